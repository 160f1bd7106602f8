#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A binary cache over HTTP: slow_cache.py DIR HOLD LOG. Prints its port. NARs wait as long as the file HOLD is there; LOG
gets the path of each request."""
import os
import sys
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

folder, hold, log_file = sys.argv[1:]
log = open(log_file, "a", buffering=1, encoding="utf-8")


class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def do_GET(self):
        log.write(self.path + "\n")
        while self.path.startswith("/nar/") and os.path.exists(hold):
            time.sleep(0.1)
        super().do_GET()


server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
print(server.server_port, flush=True)
server.serve_forever()
