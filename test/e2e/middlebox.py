"""What may stand between an agent and its server: a proxy that understands some upgrades and others
not, and one that takes WebSocket's messages apart and puts them together as it likes.

It has two threads per connection. What the agent asks for is noted, so a test can say what was
tried.
"""

import os
import random
import re
import socket
import struct
import threading

REFUSED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n"


class Stream:
    """The bytes of a socket, so many at a time."""

    def __init__(self, sock, rest=b""):
        self.sock, self.rest = sock, rest

    def some(self):
        data, self.rest = self.rest, b""
        return data or self.sock.recv(65536)

    def exactly(self, n):
        while len(self.rest) < n:
            data = self.sock.recv(262144)
            if not data:
                raise EOFError
            self.rest += data
        data, self.rest = self.rest[:n], self.rest[n:]
        return data


def masked(data, key):
    n = len(data)
    mask = int.from_bytes((key * (n // 4 + 1))[:n], "big")
    return (int.from_bytes(data, "big") ^ mask).to_bytes(n, "big")


def frame(op, data, mask, fin=True):
    """One frame; mask: with a mask, as a client's are."""
    head = bytes([op | (0x80 if fin else 0)])
    length = len(data)
    bit = 0x80 if mask else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", length)
    if not mask:
        return head + data
    key = os.urandom(4)
    return head + key + masked(data, key)


def read_frame(stream):
    """(op, fin, payload) of the next frame, whoever sends it."""
    first, second = stream.exactly(2)
    length = second & 127
    if length >= 126:
        length = int.from_bytes(stream.exactly(2 if length == 126 else 8), "big")
    key = stream.exactly(4) if second & 0x80 else None
    data = stream.exactly(length)
    return first & 15, bool(first & 0x80), masked(data, key) if key else data


class Middlebox:
    """knows: the upgrades that it lets pass; what it does with others: "refuse" or "close".
    reframe: messages are cut into parts anew, and pings of its own stand between those."""

    def __init__(self, port, knows=("karez/1", "websocket"), else_="refuse", reframe=False):
        self.to, self.knows, self.else_, self.reframe = port, knows, else_, reframe
        self.asked = []  # the upgrades
        self.pongs = 0
        self.dice = random.Random(7)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.socks = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        for sock in (self.listener, *self.socks):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.socks.append(sock)
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock):
        try:
            with sock:
                self._pass(sock)
        except (OSError, EOFError):
            pass

    def _head(self, stream):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += stream.exactly(1)
        return head

    def _pass(self, near):
        stream = Stream(near)
        head = self._head(stream)
        upgrade = re.search(rb"\r\nUpgrade: ([^\r]*)", head).group(1).decode()
        self.asked.append(upgrade)
        if upgrade not in self.knows:
            if self.else_ == "refuse":
                near.sendall(REFUSED)
            return
        with socket.create_connection(("127.0.0.1", self.to)) as far:
            self.socks.append(far)
            far.sendall(head)
            back = Stream(far)
            near.sendall(self._head(back))
            reframe = self.reframe and upgrade == "websocket"
            copy = self._reframe if reframe else self._copy
            threads = [threading.Thread(target=self._run, args=(copy, *way), daemon=True)
                       for way in ((stream, far, True), (back, near, False))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    @staticmethod
    def _run(copy, stream, to, mask):
        try:
            copy(stream, to, mask)
        except (OSError, EOFError):
            pass
        try:
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    @staticmethod
    def _copy(stream, to, _mask):
        while data := stream.some():
            to.sendall(data)

    def _reframe(self, stream, to, mask):
        while True:
            op, _fin, data = read_frame(stream)
            if op == 10:
                self.pongs += 1
                continue
            if op >= 8:
                to.sendall(frame(op, data, mask))
                continue
            to.sendall(self._parts(data, mask))

    def _parts(self, data, mask):
        """A message in parts of any size, also none, and a ping in the middle of it."""
        out, at, op = [], 0, 2
        while at < len(data):
            n = self.dice.choice((0, 1, 3, 125, 126, 1000, 65535, 65536, 200000))
            out.append(frame(op, data[at:at + n], mask, fin=False))
            if self.dice.random() < 0.1:
                out.append(frame(9, b"are you there", mask))
            at, op = at + n, 0
        out.append(frame(op, b"", mask))
        return b"".join(out)
