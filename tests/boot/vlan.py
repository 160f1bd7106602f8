#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A VLAN on a bridge, for kernels that have none: a tap device whose frames are tagged on the bridge.

usage: vlan.py BRIDGE ID TAP   (until it is killed)
"""

import fcntl
import os
import select
import socket
import struct
import sys

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
TUNSETIFF, IFF_TAP_NO_PI = 0x400454CA, 0x0002 | 0x1000
VLAN_VALID = 1 << 4  # linux/if_packet.h TP_STATUS_VLAN_VALID


def frame_of(message, vlan):
    """The frame without its tag, which the kernel hands over beside it; None for other frames."""
    data, control, _, address = message
    if address[2] == socket.PACKET_OUTGOING:
        return None
    for level, kind, aux in control:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, tci = struct.unpack_from("=I", aux)[0], struct.unpack_from("=H", aux, 16)[0]
            if status & VLAN_VALID and tci & 0xFFF == vlan:
                return data
    return None


def main():
    bridge, vlan, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    wire.bind((bridge, 0))
    print("ready", flush=True)
    tag = struct.pack("!HH", 0x8100, vlan)
    while True:
        for readable in select.select([tap, wire], [], [])[0]:
            if readable is wire:
                frame = frame_of(wire.recvmsg(65536, 256), vlan)
                if frame is not None:
                    os.write(tap, frame)
            else:
                frame = os.read(tap, 65536)
                wire.send(frame[:12] + tag + frame[12:])


main()
