# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Sends a datagram of UDP in fragments: fragments.py DEVICE FROM-MAC TO-MAC FROM TO PORT ID PART...

The parts are sent in the order of their numbers in the arguments; the datagram has as many as there are, of PART_BYTES
each, and is from port 40000. What is in it is the letters a, b, ... of the parts.
"""
import os
import socket
import struct
import sys

PART_BYTES = 400
MORE_FRAGMENTS = 0x2000


def folded(data):
    value = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value > 0xFFFF:
        value = (value & 0xFFFF) + (value >> 16)
    return ~value & 0xFFFF


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


device, own_mac, next_mac, own, target, port, number, *order = sys.argv[1:]
parts = [bytes([ord("a") + part]) * PART_BYTES for part in range(len(order))]
# Without a checksum, which UDP allows.
parts[0] = struct.pack("!HHHH", 40000, int(port), len(parts) * PART_BYTES, 0) + parts[0][8:]
# On one processor: those of two are received in any order.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind((device, 0))
for part in map(int, order):
    place = part * PART_BYTES // 8 | (MORE_FRAGMENTS if part < len(parts) - 1 else 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + PART_BYTES, int(number), place, 64, socket.IPPROTO_UDP, 0)
    head += socket.inet_aton(own) + socket.inet_aton(target)
    head = head[:10] + struct.pack("!H", folded(head)) + head[12:]
    sender.send(mac(next_mac) + mac(own_mac) + b"\x08\x00" + head + parts[part])
