#!/usr/bin/env python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Joins two devices by a line that delays every frame, in its order: `delay.py ONE OTHER MILLISECONDS`.

Prints "ready" when both are open, and then a line with the milliseconds for each frame that is late by more than 50; runs until
it is killed, or a device is gone.
"""
import errno
import select
import socket
import sys
import time
from collections import deque

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
LATE = 0.05


def open_device(name):
    device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    device.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    device.bind((name, 0))
    device.setblocking(False)
    return device


def receive(device, out, line, delay):
    while True:
        try:
            frame, sender = device.recvfrom(65536)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ENETDOWN:
                sys.exit(0)
            raise
        if sender[2] != PACKET_OUTGOING:
            line.append((time.monotonic() + delay, out, frame))


def send_due(line):
    while line and line[0][0] <= time.monotonic():
        due, out, frame = line.popleft()
        late = time.monotonic() - due
        if late > LATE:
            print(round(late * 1000), flush=True)
        out.send(frame)


def main():
    one, other = (open_device(name) for name in sys.argv[1:3])
    delay = float(sys.argv[3]) / 1000
    line = deque()
    print("ready", flush=True)
    while True:
        wait = max(0, line[0][0] - time.monotonic()) if line else None
        ready, _, _ = select.select([one, other], [], [], wait)
        for device in ready:
            receive(device, other if device is one else one, line, delay)
        send_due(line)


main()
