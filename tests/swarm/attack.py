#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""attack.py PORT KIND: garbage, slowloris or 10,000 connections against a node's port, until killed."""
import itertools
import os
import random
import resource
import socket
import sys
import time


def connect(port, number):
    # 127.0.0.2 and on: one address has too few ports.
    s = socket.socket()
    s.bind((f"127.0.{number // 20000 + 1}.{number // 5000 % 4 + 2}", 0))
    s.settimeout(2)
    s.connect(("127.0.0.1", port))
    return s


def garbage(port):
    rng = random.Random(1)
    upgrade = b"GET /v1/link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: snowboot-link/1\r\n\r\n"
    for number in itertools.count():
        try:
            with connect(port, number % 20000) as s:
                s.sendall((upgrade if number % 2 else b"") + rng.randbytes(rng.randrange(1, 5000)))
                s.recv(100)
        except OSError:
            pass
        time.sleep(0.002)


def slowloris(port):
    held = []
    for number in itertools.count():
        try:
            if len(held) < 500:
                s = connect(port, number % 20000)
                s.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n")
                held.append(s)
            s = held[number % len(held)]
            s.sendall(b"X-a: b\r\n")
        except OSError:
            if held:
                held.pop(number % len(held)).close()
        time.sleep(0.002)


def connections(port):
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    held = []
    for number in range(10000):
        s = socket.socket()
        s.setblocking(False)
        s.bind((f"127.0.1.{number // 5000 + 2}", 0))
        s.connect_ex(("127.0.0.1", port))
        held.append(s)
    print(f"{len(held)} connections are open or wait to be", flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    os.nice(5)
    {"garbage": garbage, "slowloris": slowloris, "connections": connections}[sys.argv[2]](int(sys.argv[1]))
