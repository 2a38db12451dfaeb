"""Makes keys, and verifies signed mails with dkimpy, which shares no code with what signs them.

    verify_dkim.py key ed25519|rsa FILE     writes a private key as PEM (PKCS#8), prints its DNS record
    verify_dkim.py verify SELECTOR=RECORD…  reads a mail from standard input, prints for each of its signatures, in order, the
                                            selector and true or false

The records stand in for DNS. They are those of the domain mail.example.org.
"""

import base64
import os
import re
import sys

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

DOMAIN = b"mail.example.org"


def key(kind, file):
    if kind == "ed25519":
        private = ed25519.Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(pem)
    print(f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}")


def verify(*records):
    mail = sys.stdin.buffer.read()
    records = dict(record.split("=", 1) for record in records)
    names = {b"%s._domainkey.%s." % (selector.encode(), DOMAIN): record for selector, record in records.items()}

    def dns(name, timeout=5):
        return names[name].encode()

    verifier = dkim.DKIM(mail)
    signatures = [value for name, value in verifier.headers if name.lower() == b"dkim-signature"]
    for index, signature in enumerate(signatures):
        selector = re.search(rb"s=([^;]+);", signature).group(1).decode()
        try:
            verified = dkim.DKIM(mail).verify(idx=index, dnsfunc=dns)
        except dkim.DKIMException:
            verified = False
        print(selector, str(verified).lower())


if __name__ == "__main__":
    {"key": key, "verify": verify}[sys.argv[1]](*sys.argv[2:])
