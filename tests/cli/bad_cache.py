#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A binary cache over HTTP that misbehaves: bad_cache.py PORT DIR LOG [CERTIFICATE]. /MODE/FILE serves DIR/FILE; a mode that ends in
"-nar" is one for large NARs alone, and all else is served as it is.

ok        as it is                        hang      takes the request and says nothing
status-N  answers N
early     ends after half, always         broken    ends after half, but goes on by ranges
norange   as broken, but sends it all again
lying     as broken, but what it calls the rest is the beginning
drip      a hundred bytes of it per connection
stall     half of it, then nothing        trickle   a byte a second
auth      wants user "u", password "p"    huge      10 MiB of references
slow      in forty pieces, a tenth of a second apart
busy      answers 503 twice, then gives   moved     redirects to /ok/…
circle    redirects to itself             garbage   no HTTP at all
to-file   redirects to a file:// URL      headers   never ends them
endless   answers 500 with a page that never ends
spiral    redirects to itself, with a page that never ends
LOG gets a line of method, path and status for each request.
"""
import base64
import collections
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

port, folder, log_file = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
log = open(log_file, "a", buffering=1, encoding="utf-8")
seen = collections.Counter()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        log.write(f"{self.command} {self.path} {int(code)} {self.headers.get('Range', '')}\n")

    def log_message(self, *_args):
        pass

    def answer(self, body, status=200, length=None, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def half(self, body, resumes):
        """The first half of it, then the end; later requests as `resumes` says."""
        first, start = not seen[self.path], self.start()
        seen[self.path] += 1
        if not first and start > 0 and resumes in ("range", "lie"):
            rest = body[start:] if resumes == "range" else body[:len(body) - start]
            self.answer(rest, 206, headers=[self.content_range(start, body)])
        elif not first and resumes == "again":
            self.answer(body)
        else:
            self.answer(body[:len(body) // 2], length=len(body))
            self.close_connection = True

    def start(self):
        """Where what is asked for begins."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])

    @staticmethod
    def content_range(start, body):
        return ("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")

    def drip(self, body):
        start = self.start()
        self.answer(body[start:start + 100], 206 if start > 0 else 200, length=len(body) - start,
                    headers=[self.content_range(start, body)] if start > 0 else ())
        self.close_connection = True

    def slowly(self, body):
        """Half of it at once, then a byte a second."""
        self.answer(body[:len(body) // 2], length=len(body))
        for byte in body[len(body) // 2:]:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(1)

    def in_pieces(self, body):
        """All of it, in four seconds."""
        self.answer(b"", length=len(body))
        step = len(body) // 40 + 1
        for start in range(0, len(body), step):
            self.wfile.write(body[start:start + step])
            self.wfile.flush()
            time.sleep(0.1)

    def forever(self, status, headers=()):
        """A body, or headers, without an end."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 200:
            self.end_headers()
        self.flush_headers()
        while True:
            self.wfile.write(b"X-More: and more\r\n" * 1000)

    def misbehave(self, mode, body):
        if mode == "hang":
            time.sleep(30)
            self.close_connection = True
        elif mode == "stall":
            self.answer(body[:len(body) // 2], length=len(body))
            time.sleep(30)
        elif mode.startswith("status-"):
            self.answer(b"an error page\n", int(mode.removeprefix("status-")))
        elif mode == "busy":
            seen[self.path] += 1
            self.answer(body, 503 if seen[self.path] <= 2 else 200)
        elif mode in ("circle", "moved", "to-file", "spiral"):
            self.redirect(mode)
        elif mode in ("early", "broken", "norange", "lying"):
            self.half(body, {"broken": "range", "norange": "again", "lying": "lie"}.get(mode))
        elif mode == "drip":
            self.drip(body)
        elif mode == "trickle":
            self.slowly(body)
        elif mode == "slow":
            self.in_pieces(body)
        elif mode == "auth":
            wanted = "Basic " + base64.b64encode(b"u:p").decode()
            good = self.headers.get("Authorization") == wanted
            self.answer(body if good else b"", 200 if good else 401)
        elif mode == "huge":
            self.answer(body + b"X: " + b"9y8pmvk8gdwwznmkzxa6pwyah52xy3nk-x " * (300000))
        elif mode == "garbage":
            self.wfile.write(b"this is no HTTP\r\n\r\n" * 10)
            self.close_connection = True
        elif mode == "headers":
            self.forever(200)
        elif mode == "endless":
            self.forever(500)
        else:
            self.answer(body)

    def redirect(self, mode):
        _, _, name = self.path.split("/", 2)
        to = {"moved": f"/ok/{name}", "to-file": f"file://{folder}/{name}"}.get(mode, self.path)
        if mode == "spiral":
            self.forever(302, [("Location", to)])
        self.answer(b"", 302, headers=[("Location", to)])

    def do_GET(self):
        _, mode, name = self.path.split("/", 2)
        file = folder / name
        is_nar = name.startswith("nar/") and file.is_file() and file.stat().st_size > 100000
        if mode.endswith("-nar"):
            mode = mode.removesuffix("-nar") if is_nar else "ok"
        elif name == "nix-cache-info" and mode not in ("auth", "hang"):
            mode = "ok"
        if not file.is_file():
            self.answer(b"", 404)
            return
        try:
            self.misbehave(mode, file.read_bytes())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class Server(ThreadingHTTPServer):
    def handle_error(self, *_args):
        """Whoever goes away does so on purpose."""


server = Server(("127.0.0.1", port), Handler)
if len(sys.argv) > 4:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[4])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
