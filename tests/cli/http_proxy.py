#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A proxy for GET over HTTP: http_proxy.py PORT LOG. LOG gets a line of method and URL for each request. It lets nobody to
*.invalid (407)."""
import http.client
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

log = open(sys.argv[2], "a", buffering=1, encoding="utf-8")


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def answer(self, status, body):
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        log.write(f"GET {self.path}\n")
        url = urllib.parse.urlsplit(self.path)
        if not url.netloc:
            self.answer(200, b"a proxy\n")
        elif url.netloc.endswith(".invalid"):
            self.answer(407, b"")
        else:
            backend = http.client.HTTPConnection(url.netloc, timeout=60)
            backend.request("GET", url.path, headers=dict(self.headers.items()))
            reply = backend.getresponse()
            self.answer(reply.status, reply.read())
            backend.close()


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Proxy).serve_forever()
