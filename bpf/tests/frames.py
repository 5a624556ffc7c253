# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Sends frames that device_test.bpf.c counts: frames.py DEVICE COUNT."""
import socket
import sys

FRAME = b"\xff" * 6 + b"\x02" + bytes(5) + b"\x88\xb5" + bytes(46)

device, count = sys.argv[1], int(sys.argv[2])
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind((device, 0))
for _ in range(count):
    sender.send(FRAME)
