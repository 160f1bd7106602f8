#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A TFTP client that does what real ones do not.

tftp_client.py PORT stop NAME BLOCKS     fetches so many blocks of 1468 bytes, says "stopped", waits for a line, breaks off
tftp_client.py PORT flood COUNT          sends that many packets of garbage and requests that it never answers
tftp_client.py PORT window NAME SIZE     fetches all with that window, dropping every 4999th packet; prints the SHA-256
"""
import hashlib
import os
import random
import socket
import struct
import sys

SERVER = ("127.0.0.1", int(sys.argv[1]))


def ask(sock, name, *options):
    words = [name, "octet", *[str(o) for o in options]]
    sock.sendto(b"\0\1" + b"".join(w.encode() + b"\0" for w in words), SERVER)


def hear(sock):
    """The next packet: opcode, number or None, data."""
    data, source = sock.recvfrom(4096)
    sock.connect(source)
    opcode, = struct.unpack("!H", data[:2])
    if opcode == 6:
        return opcode, None, data[2:]
    return opcode, struct.unpack("!H", data[2:4])[0], data[4:]


def ack(sock, block):
    sock.send(struct.pack("!HH", 4, block & 0xffff))


def new_socket():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(60)
    return sock


def stop(name, blocks):
    sock = new_socket()
    ask(sock, name, "blksize", 1468, "tsize", 0)
    opcode, _, data = hear(sock)
    assert opcode == 6, (opcode, data)
    ack(sock, 0)
    for block in range(1, blocks + 1):
        opcode, number, data = hear(sock)
        assert (opcode, number, len(data)) == (3, block & 0xffff, 1468), (opcode, number, data)
        if block < blocks:
            ack(sock, block)
    print("stopped", flush=True)
    sys.stdin.readline()
    sock.send(b"\0\5\0\0enough\0")


def flood(count):
    random.seed(7)
    for i in range(count):
        sock = new_socket()
        if i % 3 == 0:
            ask(sock, "boot/default/initrd", "blksize", 1468)
        elif i % 3 == 1:
            sock.sendto(os.urandom(random.randrange(1500)), SERVER)
        else:
            sock.sendto(b"\0\1" + os.urandom(random.randrange(600)), SERVER)
        sock.close()


def window(name, size):
    sock, digest, packets = new_socket(), hashlib.sha256(), 0
    ask(sock, name, "windowsize", size, "blksize", 1468)
    opcode, _, data = hear(sock)
    assert opcode == 6 and b"windowsize\0%d\0" % min(size, 64) in data, (opcode, data)
    ack(sock, 0)
    block, unacked, nacked, size = 0, 0, False, min(size, 64)
    while True:
        opcode, number, data = hear(sock)
        assert opcode == 3, (opcode, data)
        packets += 1
        if packets % 4999 == 0:
            continue
        if number != (block + 1) & 0xffff:
            if not nacked:
                ack(sock, block)
                unacked = 0
            nacked = True
            continue
        nacked = False
        block += 1
        unacked += 1
        digest.update(data)
        if unacked == size or len(data) < 1468:
            ack(sock, block)
            unacked = 0
        if len(data) < 1468:
            break
    print(digest.hexdigest())


command, words = sys.argv[2], sys.argv[3:]
if command == "stop":
    stop(words[0], int(words[1]))
elif command == "flood":
    flood(int(words[0]))
else:
    window(words[0], int(words[1]))
