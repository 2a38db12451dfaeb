"""A real SMTP server for fault tests: aiosmtpd on a given loopback port, killed and started again at will.

    smtp_log.py PORT LOG

Writes one JSON object a line to LOG for each mail before it answers that it has it, and the line is on disk by then: to, id
(of the Message-ID header), begun (seconds since the epoch, of the Date header). While there is a file LOG.full it takes nothing
(452).
"""

import asyncio
import json
import os
import sys
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

from aiosmtpd.smtp import SMTP


class Log:
    def __init__(self, path):
        self.full = path + ".full"
        self.file = open(path, "ab", buffering=0)

    def write(self, content, recipients):
        mail = message_from_bytes(content, policy=policy.default)
        line = {
            "to": recipients[0],
            "id": mail["message-id"],
            "begun": parsedate_to_datetime(mail["date"]).timestamp(),
        }
        self.file.write(json.dumps(line).encode() + b"\n")
        os.fsync(self.file.fileno())

    async def handle_DATA(self, server, session, envelope):
        if os.path.exists(self.full):
            return "452 4.3.1 the queue is full"
        self.write(envelope.original_content, envelope.rcpt_tos)
        return "250 2.0.0 taken"


async def main(port, path):
    log = Log(path)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(log, hostname="localhost"), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
