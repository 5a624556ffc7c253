#!/usr/bin/env python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Switches offloads of a device on or off, as ethtool(8) does: `offload.py DEVICE 0|1 tso|gso|gro|tx...`."""
import fcntl
import ctypes
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
COMMANDS = {"tx": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}


def main():
    device, on, *features = sys.argv[1:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for feature in features:
            value = ctypes.create_string_buffer(struct.pack("II", COMMANDS[feature], int(on)))
            fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sQ", device.encode(), ctypes.addressof(value)))


main()
