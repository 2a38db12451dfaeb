"""A real SMTP server for tests: aiosmtpd on a free loopback port, which answers by the name it is to deliver to.

    smtp_server.py [--starttls CERT KEY | --tls CERT KEY]

    greylisted@…   451 at the first attempt, 250 afterwards
    busy@…         451, always
    nobody@…       550 5.1.1, always
    dropped@…      takes the first mail and hangs up without an answer; 250 afterwards
    anybody else   250

It offers PIPELINING where it is started with --pipelining.

Prints one JSON object a line: {"port": N} when it is ready, then {"to": …, "answer": …} for each recipient it refuses and
{"from": …, "to": …, "answer": …, "mail": …, "tls": …} for each mail that came whole, read by Python's own parser. An answer of null is
a connection it closed. {"command": "AUTH", "tls": …} is a password that came. It keeps and delivers nothing, listens on loopback alone, and ends when standard input closes.
"""

import argparse
import asyncio
import json
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult

TAKEN = "250 2.0.0 taken"


def say(**event):
    print(json.dumps(event), flush=True)


def read(content):
    """A mail as its reader's program sees it."""
    mail = message_from_bytes(content, policy=policy.default)
    parts = {kind: mail.get_body((kind,)).get_content() for kind in ("plain", "html")}
    return {
        "headers": [[name.lower(), str(value)] for name, value in mail.items()],
        "content_type": mail.get_content_type(),
        "defects": [str(defect) for defect in mail.defects],
        **parts,
    }


def encrypted(server):
    return server.transport.get_extra_info("sslcontext") is not None


class Answers:
    def __init__(self, offers):
        self.attempts = {}
        self.offers = offers

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return responses[:-1] + [f"250-{offer}" for offer in self.offers] + responses[-1:]

    def attempt(self, address):
        self.attempts[address] = self.attempts.get(address, 0) + 1
        return self.attempts[address]

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.partition("@")[0]
        attempt = self.attempt(address)
        refusal = None
        if name == "busy" or (name == "greylisted" and attempt == 1):
            refusal = "451 4.2.0 come back later"
        elif name == "nobody":
            refusal = "550 5.1.1 no such user here"
        if refusal:
            say(to=address, answer=refusal)
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 go on"

    async def handle_DATA(self, server, session, envelope):
        address = envelope.rcpt_tos[0]
        drop = address.startswith("dropped@") and self.attempts[address] == 1
        if drop:
            server.transport.abort()
        mail = read(envelope.original_content)
        say(**{"from": envelope.mail_from}, to=address, answer=None if drop else TAKEN, mail=mail, tls=encrypted(server))
        return TAKEN


class Server(SMTP):
    """Takes any password, and tells when one comes."""

    async def smtp_AUTH(self, arg):
        say(command="AUTH", tls=encrypted(self))
        await super().smtp_AUTH(arg)


def any_password(server, session, envelope, mechanism, data):
    return AuthResult(success=True)


def context(files):
    if files is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*files)
    return made


async def main():
    options = argparse.ArgumentParser()
    options.add_argument("--starttls", nargs=2)
    options.add_argument("--tls", nargs=2)
    options.add_argument("--pipelining", action="store_true")
    options = options.parse_args()
    loop = asyncio.get_running_loop()
    settings = {
        "hostname": "localhost",
        "tls_context": context(options.starttls),
        "authenticator": any_password,
        "auth_require_tls": False,
    }
    answers = Answers(["PIPELINING"] if options.pipelining else [])
    make = lambda: Server(answers, **settings)
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context(options.tls))
    say(port=server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
