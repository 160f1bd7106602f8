#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""reader.py SOCKET IMAGE MEGABYTES FIRST [MARK]: reads an NBD export in a fixed, scattered order and compares every byte with IMAGE.

FIRST is where in that order it begins. Creates the file MARK when a tenth is read. Prints how long the longest read took; exits 1 on an error or a wrong byte.
"""
import sys
import time
from pathlib import Path

import nbd

SIZE = 65536


def main():
    uri, image, megabytes = sys.argv[1], sys.argv[2], float(sys.argv[3])
    first = int(sys.argv[4])
    mark = sys.argv[5] if len(sys.argv) > 5 else None
    handle = nbd.NBD()
    handle.connect_unix(uri)
    blocks = handle.get_size() // SIZE
    count = min(blocks, int(megabytes * 1e6 / SIZE))
    longest, total = 0.0, time.monotonic()
    with open(image, "rb") as reference:
        for i in range(count):
            off = (first + i) * 7919 % blocks * SIZE
            begun = time.monotonic()
            data = handle.pread(SIZE, off)
            longest = max(longest, time.monotonic() - begun)
            reference.seek(off)
            if bytes(data) != reference.read(SIZE):
                sys.exit(f"wrong bytes at {off}")
            if mark and i == count // 10:
                Path(mark).touch()
    print(f"{count} reads in {time.monotonic() - total:.1f} s, the longest {longest:.2f} s")


if __name__ == "__main__":
    main()
