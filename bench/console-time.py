#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""console-time.py SECONDS TEXT COMMAND…: seconds until COMMAND's output has TEXT; then ends COMMAND.

When TEXT does not come within SECONDS, the end of what it said goes to standard error."""
import subprocess
import sys
import threading
import time

limit, text = float(sys.argv[1]), sys.argv[2].encode()
began = time.monotonic()
child = subprocess.Popen(sys.argv[3:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
timer = threading.Timer(limit, child.kill)
timer.start()
said = b""
while text not in said[-4096:]:
    data = child.stdout.read(2048)
    if not data:
        sys.stderr.buffer.write(said[-4000:])
        sys.exit(f"console-time: '{sys.argv[2]}' did not come in {limit:.0f} s")
    said += data
print(f"{time.monotonic() - began:.2f}", flush=True)
timer.cancel()
child.kill()
child.wait()
