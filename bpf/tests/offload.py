#!/usr/bin/env python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Switches an offload of a device on or off, as ethtool(8) does: `offload.py DEVICE tso|gso|gro|tx 0|1`."""
import fcntl
import ctypes
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
COMMANDS = {"tx": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}


def main():
    device, feature, on = sys.argv[1:]
    value = ctypes.create_string_buffer(struct.pack("II", COMMANDS[feature], int(on)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sQ", device.encode(), ctypes.addressof(value)))


main()
