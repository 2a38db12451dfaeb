"""A real HTTP server for tests, on a loopback port, which answers webhooks by path. Challenges get 204 where
nothing else is said; with --take-all everything does.

    webhook_server.py [--port N] [--tls CERT KEY] [--take-all]

    /taken       204
    /later       503 with Retry-After: 2 to the first digest, 204 afterwards
    /broken      500 to the first digest, 204 afterwards
    /unwilling   403 to the first challenge, 204 afterwards
    /down        500 to digests
    /gone        410 to digests
    /elsewhere   302 to the `to` of the query
    /slow        200 with a body that never ends, a byte at a time
    /lying       200 with a Content-Length that is not kept
    /endless     200 with more headers than anybody reads
    /silent      reads a digest and never answers

Prints one JSON object a line: {"port": N} when it is ready, then {"path": …, "at": …, "headers": {…}, "body": …, "answer": …}
for each request before it answers. It keeps nothing, and ends when standard input closes.
"""

import argparse
import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PRINTING = threading.Lock()
SEEN = set()


def say(**event):
    with PRINTING:
        print(json.dumps(event), flush=True)


def first(path, kind):
    """Whether this is the first request of its kind to a path."""
    with PRINTING:
        new = (path, kind) not in SEEN
        SEEN.add((path, kind))
        return new


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    take_all = False

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        url = urlsplit(self.path)
        kind = json.loads(body)["type"]
        answer = self.decide(url.path, kind)
        headers = {name.lower(): value for name, value in self.headers.items()}
        say(path=url.path, at=time.time(), headers=headers, body=body, answer=answer)
        if answer is None:
            threading.Event().wait()
        self.answer(url, answer, kind)

    def decide(self, path, kind):
        again = not first(path, kind)
        if self.take_all:
            return 204
        if kind == "webhook.verification":
            return 204 if again or path != "/unwilling" else 403
        answers = {"/down": 500, "/gone": 410, "/elsewhere": 302, "/slow": 200, "/lying": 200, "/endless": 200, "/silent": None}
        if not again:
            answers |= {"/later": 503, "/broken": 500}
        return answers.get(path, 204)

    def answer(self, url, status, kind):
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "2")
        if status == 302:
            self.send_header("Location", parse_qs(url.query)["to"][0])
        misbehave = {"/slow": self.slow, "/lying": self.lying, "/endless": self.endless}.get(url.path)
        if misbehave and status == 200:
            try:
                misbehave()
            except OSError:
                pass
            self.close_connection = True
            return
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def slow(self):
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while True:
            self.wfile.write(b"x")
            time.sleep(0.2)

    def lying(self):
        self.send_header("Content-Length", "1000000000000")
        self.end_headers()
        self.wfile.write(b"x")

    def endless(self):
        while True:
            self.wfile.write(b"X-Header: " + b"x" * 1000 + b"\r\n")

    def log_message(self, *arguments):
        pass


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--tls", nargs=2)
    options.add_argument("--take-all", action="store_true")
    options = options.parse_args()
    Handler.take_all = options.take_all
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(port=server.server_address[1])
    sys.stdin.read()


if __name__ == "__main__":
    main()
