"""Makes keys, and verifies signed mails with dkimpy, which shares no code with what signs them.

    verify_dkim.py key ed25519|rsa FILE     writes a private key as PEM (PKCS#8), prints its DNS record
    verify_dkim.py verify RECORD            reads a mail from standard input, prints true or false

RECORD stands in for DNS.
"""

import base64
import sys

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa


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
    with open(file, "wb") as out:
        out.write(pem)
    print(f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}")


def verify(record):
    mail = sys.stdin.buffer.read()

    def dns(name, timeout=5):
        assert name == b"desk._domainkey.mail.example.org.", name
        return record.encode()

    print(str(dkim.verify(mail, dnsfunc=dns)).lower())


if __name__ == "__main__":
    {"key": key, "verify": verify}[sys.argv[1]](*sys.argv[2:])
