"""A real HTTP server for fault tests, which takes webhooks on a given loopback port and is killed and started again at will.

    webhook_log.py PORT LOG

Writes one JSON object a line to LOG for each digest before it answers that it has it, and the line is on disk by then: to
(the path without its slash), id, begun (seconds since the epoch, of the signature). Challenges are answered and not written.
While there is a file LOG.full it takes nothing (503).
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    log = None
    writing = threading.Lock()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        full = os.path.exists(sys.argv[2] + ".full")
        if body["type"] == "digest.published" and not full:
            self.write()
        self.send_response(503 if full else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def write(self):
        line = {
            "to": self.path.removeprefix("/"),
            "id": self.headers["webhook-id"],
            "begun": float(self.headers["webhook-timestamp"]),
        }
        with self.writing:
            self.log.write(json.dumps(line).encode() + b"\n")
            os.fsync(self.log.fileno())

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    Handler.log = open(sys.argv[2], "ab", buffering=0)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
