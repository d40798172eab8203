"""Targets that speak no HTTP: what a tcp or tls tunnel leads to.

A RawTarget accepts connections and gives each to a habit, a function of its connection; or, without
one, to the test, which takes it and speaks for the target itself.
"""

import hashlib
import queue
import socket
import threading

from servers import BLOCK
from visitor import Visitor

class Peer(Visitor):
    """A connection that was accepted: the same words as a visitor's."""

    def __init__(self, sock, timeout=15):
        self.sock, self.rest = sock, b""
        self.sock.settimeout(timeout)

    def shut(self):
        """We send no more."""
        self.sock.shutdown(socket.SHUT_WR)


class RawTarget:
    """habit(peer, target) serves one connection, in a thread of its own; None: take() does."""

    def __init__(self, habit=None, tls=None, host="127.0.0.1", port=0, backlog=4096):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.habit, self.tls = habit, tls
        self.listener = socket.create_server((host, port), family=family, backlog=backlog)
        self.port = self.listener.getsockname()[1]
        self.accepted = queue.Queue()
        self.connections = 0
        self._socks, self._lock = set(), threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        for sock in [self.listener, *self._socks]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()

    def take(self, seconds=10):
        """The next connection."""
        peer = self.accepted.get(timeout=seconds)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._socks.add(sock)
            if self.habit is None and self.tls is None:
                self.accepted.put(Peer(sock))
            else:
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, plain):
        try:
            sock = plain
            plain.settimeout(60)
            if self.tls is not None:
                sock = self.tls.wrap_socket(plain, server_side=True)
            peer = Peer(sock, 60)
            if self.habit is None:
                self.accepted.put(peer)
                return
            with peer:
                self.habit(peer, self)
        except OSError:
            pass
        finally:
            with self._lock:
                self._socks.discard(plain)


def echo(peer, target=None):
    """Everything comes back; the end does, too."""
    while data := peer.sock.recv(262144):
        peer.sock.sendall(data)
    peer.shut()


def named(name):
    """Says its name and a new line, and then nothing until the visitor leaves."""
    def habit(peer, target=None):
        peer.sock.sendall(f"{name}\n".encode())
        while peer.sock.recv(65536):
            pass
    return habit


def digest(peer, target=None):
    """Everything is read up to its end; then its checksum is told."""
    sha = hashlib.sha256()
    room = memoryview(bytearray(1 << 20))
    while (n := peer.sock.recv_into(room)) > 0:
        sha.update(room[:n])
    peer.sock.sendall(sha.hexdigest().encode())


def source(size):
    """Sends so many bytes of BLOCK, and ends."""
    def habit(peer, target=None):
        send_blocks(peer.sock, size)
        peer.shut()
        while peer.sock.recv(65536):
            pass
    return habit


def send_blocks(sock, size):
    left = size
    while left > 0:
        sock.sendall(memoryview(BLOCK)[:left])
        left -= min(left, len(BLOCK))


def receive_digest(sock):
    """The checksum of all that comes up to the end, and how much it was."""
    sha, total = hashlib.sha256(), 0
    room = memoryview(bytearray(1 << 20))
    while (n := sock.recv_into(room)) > 0:
        sha.update(room[:n])
        total += n
    return sha.hexdigest(), total
