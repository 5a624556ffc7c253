#!/usr/bin/env python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Opens and uses sockets on request, in a cgroup of choice: `sockets.py [CGROUP]`.

One JSON object per line on stdin, one on stdout: {"op": ..., ...} -> {"ok": value} or {"error": "ECONNREFUSED"}.
Sockets are numbered. Servers answer with their name: TCP on accept, UDP as "name:data"; "echo" is TCP that echoes.
"""
import contextlib
import ctypes
import errno
import json
import os
import selectors
import socket
import struct
import sys
import threading

SOCKETS = {}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
TYPES = {"tcp": socket.SOCK_STREAM, "echo": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "mptcp": socket.SOCK_STREAM, "udplite": socket.SOCK_DGRAM}
PROTOCOLS = {"mptcp": 262, "udplite": 136}
SO_COOKIE = 57
LIBC = ctypes.CDLL(None, use_errno=True)


def serve_tcp(server, name):
    while True:
        client, _ = server.accept()
        with client:
            client.sendall(name.encode())


def echo(client):
    with client, contextlib.suppress(ConnectionResetError):
        while data := client.recv(65536):
            client.sendall(data)


def serve_echo(server, _name):
    while True:
        client, _ = server.accept()
        threading.Thread(target=echo, args=(client,), daemon=True).start()


def serve_udp(server, name):
    while True:
        data, sender = server.recvfrom(2048)
        server.sendto(name.encode() + b":" + data, sender)


def server(proto, family, host, name):
    listening = socket.socket(FAMILIES[family], TYPES[proto])
    listening.bind((host, 0))
    if TYPES[proto] == socket.SOCK_STREAM:
        listening.listen(128)
    target = {"tcp": serve_tcp, "echo": serve_echo, "udp": serve_udp}[proto]
    threading.Thread(target=target, args=(listening, name), daemon=True).start()
    return listening.getsockname()[1]


def open_socket(proto, family, limit):
    made = socket.socket(FAMILIES[family], TYPES[proto], PROTOCOLS.get(proto, 0))
    made.settimeout(limit)
    SOCKETS[made.fileno()] = made
    return made.fileno()


def connect(sock, host, port):
    SOCKETS[sock].connect((host, port))


def fastopen(sock, host, port, data):
    """Connects with data in the SYN (TCP Fast Open)."""
    return SOCKETS[sock].sendto(data.encode(), socket.MSG_FASTOPEN, (host, port))


def disconnect(sock):
    """connect() to AF_UNSPEC: the socket has no peer again."""
    if LIBC.connect(sock, bytes(16), 16):
        raise OSError(ctypes.get_errno(), "disconnect")


def sendto(sock, host, port, data):
    return SOCKETS[sock].sendto(data.encode(), (host, port))


def send(sock, data):
    return SOCKETS[sock].send(data.encode())


def receive(sock):
    data, sender = SOCKETS[sock].recvfrom(2048)
    return {"data": data.decode(), "from": list(sender)[:2] if sender else None}


def peek(sock):
    """Waits until there is something to receive."""
    SOCKETS[sock].recv(2048, socket.MSG_PEEK)


def peer(sock):
    return list(SOCKETS[sock].getpeername())[:2]


def cookie(sock):
    """The kernel's cookie of the socket, as text: JSON numbers are exact only up to 2^53."""
    return str(int.from_bytes(SOCKETS[sock].getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder))


def rto(sock):
    """Milliseconds until the kernel sends again (tcpi_rto)."""
    (us,) = struct.unpack_from("I", SOCKETS[sock].getsockopt(socket.SOL_TCP, socket.TCP_INFO, 12), 8)
    return us / 1000


def forge(device, frame):
    """Sends a frame, in hexadecimal, past the stack."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((device, 0))
        return raw.send(bytes.fromhex(frame))


def bind(sock, host, port=0):
    SOCKETS[sock].bind((host, port))
    return SOCKETS[sock].getsockname()[1]


def shutdown(sock):
    SOCKETS[sock].shutdown(socket.SHUT_WR)


def close(sock):
    SOCKETS.pop(sock).close()


def abort(sock):
    """Closes a TCP socket with RST."""
    SOCKETS[sock].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    close(sock)


def dial(host, port, count, family):
    """Connects `count` times, one after another; returns how often each server answered, or "ended" the connection."""
    answers = {}
    for _ in range(count):
        with socket.socket(FAMILIES[family], socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect((host, port))
            try:
                name = client.recv(100).decode() or "ended"
            except ConnectionResetError:
                name = "ended"
            answers[name] = answers.get(name, 0) + 1
    return answers


def dial_at_once(host, port, count, family):
    """As `dial`, with all connects under way at the same time."""
    answers = {}
    clients = [socket.socket(FAMILIES[family], socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(count)]
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for client in map(stack.enter_context, clients):
            client.connect_ex((host, port))
            waiting.register(client, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(5)
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                waiting.unregister(key.fileobj)
                name = key.fileobj.recv(100).decode() or "ended"
                answers[name] = answers.get(name, 0) + 1
    return answers


def exchange(sock, size):
    """Sends `size` bytes to a server that echoes, and receives them; returns whether they are the same."""
    sent, received = os.urandom(size), bytearray()
    sender = threading.Thread(target=SOCKETS[sock].sendall, args=(sent,))
    sender.start()
    while len(received) < size and (data := SOCKETS[sock].recv(65536)):
        received += data
    sender.join()
    return bytes(received) == sent


FUNCTIONS = (server, open_socket, connect, disconnect, sendto, send, receive, peek, peer, cookie, rto, forge, bind,
             shutdown, close, abort, dial, dial_at_once, exchange, fastopen)
OPS = {f.__name__: f for f in FUNCTIONS}


def answer(request):
    try:
        return {"ok": OPS[request.pop("op")](**request)}
    except TimeoutError as error:
        # Without an errno it is the limit of the socket object: the kernel still tries.
        return {"error": "ETIMEDOUT" if error.errno else "TIMEOUT"}
    except OSError as error:
        return {"error": errno.errorcode.get(error.errno, str(error))}


def main():
    if len(sys.argv) > 1:
        with open(os.path.join(sys.argv[1], "cgroup.procs"), "w") as procs:
            procs.write(str(os.getpid()))
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


main()
