#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Asks for an IPv6 router on INTERFACE, as iPXE does, and prints hop limit, flags and lifetime of the first answer, or "no answer"."""
import socket
import struct
import sys
import time

interface = sys.argv[1]
index = socket.if_nametoindex(interface)
asker = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
asker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
asker.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
asker.settimeout(0.5)
end = time.time() + 5
while time.time() < end:
    try:
        asker.sendto(struct.pack("!BBHI", 133, 0, 0, 0), ("ff02::2", 0, 0, index))
        packet = asker.recv(256)
    except OSError:  # no answer yet, or the link-local address is still tentative
        time.sleep(0.1)
        continue
    if packet[0] == 134:
        print(len(packet), packet[5], struct.unpack("!H", packet[6:8])[0])
        sys.exit()
print("no answer")
