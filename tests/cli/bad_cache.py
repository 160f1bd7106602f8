#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A binary cache over HTTP that misbehaves: bad_cache.py PORT DIR LOG. /MODE/FILE serves DIR/FILE; a mode that ends in
"-nar" is one for large NARs alone, and all else is served as it is.

ok        as it is                        hang      takes the request and says nothing
status-N  answers N                       circle    redirects to itself
early     ends after half, always         broken    ends after half, but goes on by ranges
norange   as broken, but sends it all again
trickle   a byte every 300 ms
auth      wants user "u", password "p"    huge      10 MiB of references
LOG gets a line of method, path and status for each request.
"""
import base64
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

port, folder, log_file = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
log = open(log_file, "a", buffering=1, encoding="utf-8")
seen = set()


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
        asked = self.headers.get("Range")
        if self.path in seen and resumes == "range" and asked:
            start = int(asked.removeprefix("bytes=").split("-")[0])
            self.answer(body[start:], 206,
                        headers=[("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")])
        elif self.path in seen and resumes == "again":
            self.answer(body)
        else:
            seen.add(self.path)
            self.answer(body[:len(body) // 2], length=len(body))
            self.close_connection = True

    def misbehave(self, mode, body):
        if mode == "hang":
            time.sleep(30)
            self.close_connection = True
        elif mode.startswith("status-"):
            self.answer(b"an error page\n", int(mode.removeprefix("status-")))
        elif mode == "circle":
            self.answer(b"", 302, headers=[("Location", self.path)])
        elif mode in ("early", "broken", "norange"):
            self.half(body, {"early": "never", "broken": "range", "norange": "again"}[mode])
        elif mode == "trickle":
            self.answer(b"", length=len(body))
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.3)
        elif mode == "auth":
            wanted = "Basic " + base64.b64encode(b"u:p").decode()
            good = self.headers.get("Authorization") == wanted
            self.answer(body if good else b"", 200 if good else 401)
        elif mode == "huge":
            self.answer(body + b"X: " + b"9y8pmvk8gdwwznmkzxa6pwyah52xy3nk-x " * (300000))
        else:
            self.answer(body)

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


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
