#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A VLAN on a bridge, for kernels that have none: a tap device whose frames are tagged on the bridge.

usage: vlan.py BRIDGE ID TAP ADDRESS RANGE FOLDER PID

The tap gets ADDRESS and the bridge's hardware address, and dnsmasq gives out RANGE on it. Says "ready", and ends with
process PID.
"""

import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
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


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def set_up(bridge, name, address):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as at_bridge:
        at_bridge.bind((bridge, 0))
        hardware = at_bridge.getsockname()[4].hex(":")
    for command in (["link", "set", name, "address", hardware], ["addr", "add", address, "dev", name],
                    ["link", "set", name, "up"]):
        subprocess.run(["ip", *command], check=True)


def relay(tap, wire, vlan, pid):
    tag = struct.pack("!HH", 0x8100, vlan)
    while is_alive(pid):
        for readable in select.select([tap, wire], [], [], 1)[0]:
            if readable is wire:
                frame = frame_of(wire.recvmsg(65536, 256), vlan)
                if frame is not None:
                    os.write(tap, frame)
            else:
                frame = os.read(tap, 65536)
                wire.send(frame[:12] + tag + frame[12:])


def main():
    bridge, vlan, name, address, addresses, folder, pid = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    wire.bind((bridge, 0))
    set_up(bridge, name, address)
    dhcp = subprocess.Popen(["dnsmasq", "-k", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file=",
                             f"--dhcp-leasefile={folder}/vlan-leases", f"--interface={name}", "--bind-interfaces",
                             f"--dhcp-range={addresses},1h"])
    try:
        print("ready", flush=True)
        relay(tap, wire, int(vlan), int(pid))
    finally:
        dhcp.terminate()
        dhcp.wait()


main()
