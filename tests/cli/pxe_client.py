#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One DHCP question as a network boot client asks it, and what was offered.

pxe_client.py INTERFACE bios|efi|efi-9|http|http-arm64|ipxe|ipxe-no-http|uboot|plain [--port4011 SERVER]

Prints a line NAME VALUE for each thing the first answer says (yiaddr, siaddr, file, and the options as o60, o67, ...),
or "no answer" after 4 seconds. --port4011 asks the boot server itself, as EFI does after a proxy's offer.
"""
import os
import select
import socket
import struct
import sys
import time

MAC = bytes.fromhex("525400aabb01")
UUID = bytes(range(1, 17))
ARCH = {"bios": 0, "efi": 7, "efi-9": 9, "http": 16, "http-arm64": 19, "ipxe": 0, "ipxe-efi": 7, "ipxe-no-http": 0, "uboot": 22}


def question(kind, message_type, xid):
    """RFC 2131's fixed part and RFC 4578's options."""
    out = struct.pack("!BBBBIHH4s4s4s4s16s64s128s", 1, 1, 6, 0, xid, 0, 0x8000, bytes(4), bytes(4), bytes(4), bytes(4),
                      MAC + bytes(10), b"", b"")
    out += bytes([99, 130, 83, 99, 53, 1, message_type])
    out += bytes([55, 6, 1, 3, 43, 60, 66, 67])
    if kind != "plain":
        arch = ARCH[kind]
        name = b"HTTPClient" if kind.startswith("http") else b"PXEClient"
        vendor = b"U-Boot.armv8" if kind == "uboot" else name + b":Arch:%05d:UNDI:003001" % arch
        out += bytes([60, len(vendor)]) + vendor
        out += bytes([93, 2]) + struct.pack("!H", arch)
        out += bytes([94, 3, 1, 3, 1])
        out += bytes([97, 17, 0]) + UUID
    if kind.startswith("ipxe"):
        out += bytes([77, 4]) + b"iPXE"
        features = b"\x12\x01\x01" + (b"" if kind == "ipxe-no-http" else b"\x13\x01\x01")
        out += bytes([175, len(features)]) + features
    return out + b"\xff"


def options(data):
    found = {}
    while data and data[0] != 255:
        if data[0] == 0:
            data = data[1:]
            continue
        length = data[1]
        found[data[0]] = found.get(data[0], b"") + data[2:2 + length]
        data = data[2 + length:]
    return found


def show(data):
    print("yiaddr", socket.inet_ntoa(data[16:20]))
    print("siaddr", socket.inet_ntoa(data[20:24]))
    print("file", data[108:236].split(b"\0")[0].decode())
    for code, value in sorted(options(data[240:]).items()):
        text = code in (60, 66, 67)
        print("o%d" % code, value.rstrip(b"\0").decode() if text else value.hex())


def main():
    interface, kind = sys.argv[1:3]
    server = sys.argv[4] if len(sys.argv) > 4 else None
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, 25, interface.encode() + b"\0")  # SO_BINDTODEVICE
    sock.bind(("0.0.0.0", 68))
    xid = struct.unpack("!I", os.urandom(4))[0]
    to = (server, 4011) if server else ("255.255.255.255", 67)
    end = time.monotonic() + 8
    # 3: REQUEST, as RFC 4578's boot server discovery has it; 1: DISCOVER
    packet = question(kind, 3 if server else 1, xid)
    while time.monotonic() < end:
        sock.sendto(packet, to)
        while select.select([sock], [], [], 2)[0]:
            data = sock.recv(2048)
            if len(data) > 240 and data[0] == 2 and struct.unpack("!I", data[4:8])[0] == xid:
                show(data)
                return
    print("no answer")


main()
