"""A client of SSH that says whatever a test wants it to say: every packet is the test's own.
curve25519-sha256, ssh-ed25519 and aes128-gcm@openssh.com, nothing else."""

import hashlib
import os
import socket
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DISCONNECT, SERVICE_ACCEPT, KEXINIT, NEWKEYS, ECDH_REPLY = 1, 6, 20, 21, 31
AUTH_FAILURE, AUTH_SUCCESS = 51, 52
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
OPEN, OPEN_CONFIRMATION, OPEN_FAILURE, ADJUST, DATA, EOF, CLOSE = 90, 91, 92, 93, 94, 96, 97


class Ended(Exception):
    """The server has closed the connection; its last words."""


def number(value):
    return struct.pack(">I", value & 0xFFFFFFFF)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return number(len(value)) + value


def _mpint(value):
    value = value.lstrip(b"\0")
    return text(b"\0" + value if value and value[0] & 0x80 else value)


def take(packet, at):
    """(the text there, where it ends)"""
    size, = struct.unpack_from(">I", packet, at)
    return packet[at + 4:at + 4 + size], at + 4 + size


# ---- messages: RFC 4254 4, 5 and 7.1 ----

def global_request(name, reply, *rest):
    return bytes([GLOBAL_REQUEST]) + text(name) + bytes([reply]) + b"".join(rest)


def forward(address, port, reply=True):
    return global_request("tcpip-forward", reply, text(address), number(port))


def cancel(address, port, reply=True):
    return global_request("cancel-tcpip-forward", reply, text(address), number(port))


def open_channel(kind, ours=0, window=1 << 20, packet=32768, rest=b""):
    return bytes([OPEN]) + text(kind) + number(ours) + number(window) + number(packet) + rest


def confirm(theirs, ours, window=1 << 20, packet=32768):
    return bytes([OPEN_CONFIRMATION]) + b"".join(map(number, (theirs, ours, window, packet)))


def refuse(theirs):
    return bytes([OPEN_FAILURE]) + number(theirs) + number(2) + text("no") + text("")


def adjust(theirs, by):
    return bytes([ADJUST]) + number(theirs) + number(by)


def data(theirs, value):
    return bytes([DATA]) + number(theirs) + text(value)


def eof(theirs):
    return bytes([EOF]) + number(theirs)


def close(theirs):
    return bytes([CLOSE]) + number(theirs)


class RawSsh:
    """Connected, keys exchanged; nothing is asked for yet."""

    def __init__(self, port, hello=b"SSH-2.0-raw"):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.hello, self.session = hello, None
        self.read_key = self.write_key = None
        self.bytes, self.kept = b"", []
        self.exchanging, self.owed = False, 0  # answers that have to wait meanwhile
        self.sock.sendall(hello + b"\r\n")
        while b"\n" not in self.bytes:
            self._more()
        line, self.bytes = self.bytes.split(b"\n", 1)
        self.server_hello = line.rstrip(b"\r")
        self.exchange_keys()

    # ---- packets: RFC 4253 6, RFC 5647 ----

    def _more(self):
        try:
            got = self.sock.recv(1 << 18)
        except ConnectionResetError:
            got = b""
        if not got:
            raise Ended("")
        self.bytes += got

    def _wrap(self, payload):
        block = 8 if self.write_key is None else 16
        pad = block - ((5 if self.write_key is None else 1) + len(payload)) % block
        pad += block if pad < 4 else 0
        head, body = number(1 + len(payload) + pad), bytes([pad]) + payload + bytes(pad)
        if self.write_key is not None:
            body = self.write_key.seal(body, head)
        return head + body

    def send(self, *payloads):
        """All in one piece."""
        self.sock.sendall(b"".join(map(self._wrap, payloads)))

    def _packet(self):
        tag = 0 if self.read_key is None else 16
        while len(self.bytes) < 4:
            self._more()
        size, = struct.unpack(">I", self.bytes[:4])
        while len(self.bytes) < 4 + size + tag:
            self._more()
        head, body = self.bytes[:4], self.bytes[4:4 + size + tag]
        self.bytes = self.bytes[4 + size + tag:]
        if self.read_key is not None:
            body = self.read_key.open(body, head)
        return body[1:len(body) - body[0]]

    def receive(self, *kinds):
        """The next packet of one of these kinds; others are kept for later. Raises Ended."""
        for i, packet in enumerate(self.kept):
            if packet[0] in kinds:
                return self.kept.pop(i)
        while True:
            packet = self._packet()
            if packet[0] in kinds:
                return packet
            if packet[0] == DISCONNECT:
                raise Ended(take(packet, 5)[0].decode())
            if packet[0] == KEXINIT:
                self.exchange_keys(packet)
            elif packet[0] == GLOBAL_REQUEST:  # a keepalive
                self.owed += 1
                self._answer()
            else:
                self.kept.append(packet)

    def _answer(self):
        if not self.exchanging and self.owed > 0:
            self.send(*[bytes([REQUEST_FAILURE])] * self.owed)
            self.owed = 0

    def end(self):
        """The words with which the server ends it; it must end it."""
        try:
            self.receive(-1)
        except Ended as words:
            return str(words)
        except socket.timeout as late:
            raise AssertionError("the server has not ended it") from late

    def close(self):
        self.sock.close()

    # ---- keys: RFC 4253 7, RFC 8731 ----

    def kexinit(self):
        lists = ["curve25519-sha256", "ssh-ed25519", *["aes128-gcm@openssh.com"] * 2,
                 *["hmac-sha2-256-etm@openssh.com"] * 2, "none", "none", "", ""]
        return bytes([KEXINIT]) + os.urandom(16) + b"".join(map(text, lists)) + bytes(5)

    def exchange_keys(self, theirs=None):
        self.exchanging = True
        ours, secret = self.kexinit(), X25519PrivateKey.generate()
        self.send(ours)
        theirs = theirs or self.receive(KEXINIT)
        point = secret.public_key().public_bytes(serialization.Encoding.Raw,
                                                 serialization.PublicFormat.Raw)
        self.send(b"\x1e" + text(point))
        reply = self.receive(ECDH_REPLY)
        host_key, at = take(reply, 1)
        their_point, at = take(reply, at)
        shared = _mpint(secret.exchange(X25519PublicKey.from_public_bytes(their_point)))
        said = [self.hello, self.server_hello, ours, theirs, host_key, point, their_point]
        digest = hashlib.sha256(b"".join(map(text, said)) + shared).digest()
        self.session = self.session or digest

        def key(letter):
            return hashlib.sha256(shared + digest + letter + self.session).digest()
        self.send(bytes([NEWKEYS]))
        self.receive(NEWKEYS)
        self.write_key, self.read_key = _Gcm(key(b"C"), key(b"A")), _Gcm(key(b"D"), key(b"B"))
        self.exchanging = False
        self._answer()

    # ---- what most tests begin with ----

    def service(self):
        self.send(b"\x05" + text("ssh-userauth"))
        self.receive(SERVICE_ACCEPT)

    def login(self, key, user="anna"):
        """key: an ssh_scene.Key. Returns self."""
        private = serialization.load_ssh_private_key(key.file.read_bytes(), None)
        point = private.public_key().public_bytes(serialization.Encoding.Raw,
                                                  serialization.PublicFormat.Raw)
        blob = text("ssh-ed25519") + text(point)
        ask = (b"\x32" + text(user) + text("ssh-connection") + text("publickey") + b"\1" +
               text("ssh-ed25519") + text(blob))
        signature = private.sign(text(self.session) + ask)
        self.service()
        self.send(ask + text(text("ssh-ed25519") + text(signature)))
        self.receive(AUTH_SUCCESS)
        return self

    def forward(self, address="localhost", port=0):
        """Where it listens; None: refused."""
        self.send(forward(address, port))
        reply = self.receive(REQUEST_SUCCESS, REQUEST_FAILURE)
        if reply[0] == REQUEST_FAILURE:
            return None
        return struct.unpack(">I", reply[1:5])[0] if len(reply) > 1 else port

    def visit(self):
        """The number of the channel that the server opens for the next visitor."""
        packet = self.receive(OPEN)
        return struct.unpack_from(">I", packet, take(packet, 1)[1])[0]


class _Gcm:
    def __init__(self, key, nonce):
        self.cipher, self.fixed = AESGCM(key[:16]), nonce[:4]
        self.count = int.from_bytes(nonce[4:12], "big")

    def _nonce(self):
        self.count += 1
        return self.fixed + ((self.count - 1) % (1 << 64)).to_bytes(8, "big")

    def seal(self, body, head):
        return self.cipher.encrypt(self._nonce(), body, head)

    def open(self, body, head):
        return self.cipher.decrypt(self._nonce(), body, head)
