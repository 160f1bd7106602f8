#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""s3_gate.py LISTEN_PORT BACKEND_PORT: a proxy that holds every request to its AWS Signature Version 4.

Written from Amazon's description ("Signature Calculations for the Authorization Header"), since the S3 server of the tests
accepts any signature. Key and secret are in the environment. GETs without a signature pass, as in a public bucket, unless
GATE_PUBLIC=no.
With GATE_FLAKY=N, each N-th request is answered 503 first, as a store under load does."""
import hashlib
import hmac
import http.client
import http.server
import os
import socketserver
import sys
import threading
import urllib.parse

KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["GATE_SECRET"]
FLAKY = int(os.environ.get("GATE_FLAKY", "0"))
PUBLIC = os.environ.get("GATE_PUBLIC") != "no"
count = 0
lock = threading.Lock()


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def expected(handler, body, signed, scope):
    date, region, service, _ = scope.split("/")
    url = urllib.parse.urlsplit(handler.path)
    query = "&".join(sorted(url.query.split("&"))) if url.query else ""
    path = urllib.parse.quote(urllib.parse.unquote(url.path), safe="/-_.~")
    if any(name not in handler.headers for name in signed):
        return None
    headers = "".join(f"{name}:{' '.join(handler.headers[name].split())}\n" for name in signed)
    payload = hashlib.sha256(body).hexdigest()
    if handler.headers["x-amz-content-sha256"] != payload:
        return None
    canonical = "\n".join([handler.command, path, query, headers, ";".join(signed), payload])
    stamp = handler.headers["x-amz-date"]
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in (date, region, service, "aws4_request"):
        key = sign(key, part)
    return sign(key, text).hex()


def is_signed(handler, body):
    field = handler.headers.get("Authorization")
    if field is None:
        return PUBLIC and handler.command in ("GET", "HEAD") and "list-type" not in handler.path
    if not field.startswith("AWS4-HMAC-SHA256 "):
        return False
    words = dict(word.strip().split("=", 1) for word in field[len("AWS4-HMAC-SHA256 "):].split(","))
    key, scope = words["Credential"].split("/", 1)
    signed = words["SignedHeaders"].split(";")
    # Amazon wants every header of its own signed, like the token of a session.
    if any(name.lower().startswith("x-amz-") and name.lower() not in signed for name in handler.headers):
        return False
    if key != KEY or "host" not in signed or "x-amz-date" not in signed or signed != sorted(signed):
        return False
    return hmac.compare_digest(expected(handler, body, signed, scope) or "", words["Signature"])


class Gate(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "keep-alive"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        global count
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with lock:
            count += 1
            number = count
        if FLAKY and number % FLAKY == 0:
            return self.answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
        if not is_signed(self, body):
            return self.answer(403, [], b"<Error><Code>SignatureDoesNotMatch</Code><Message>not signed so</Message></Error>")
        backend = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]), timeout=60)
        backend.request(self.command, self.path, body or None, dict(self.headers.items()))
        reply = backend.getresponse()
        self.answer(reply.status, reply.getheaders(), reply.read())
        backend.close()
        return None

    do_GET = do_PUT = do_DELETE = do_HEAD = handle_any

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


Server(("127.0.0.1", int(sys.argv[1])), Gate).serve_forever()
