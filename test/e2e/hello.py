"""ClientHellos, cut into segments and records as the test wants, and the handshake behind them."""

import ssl
import struct

UNRECOGNIZED_NAME, INTERNAL_ERROR = 112, 80


def context(ca=None, alpn=None, version=None):
    """A client's; without a CA it takes any certificate."""
    if ca is not None:
        made = ssl.create_default_context(cafile=str(ca))
    else:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if alpn:
        made.set_alpn_protocols(alpn)
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


class Handshake:
    """TLS of a client by hand: the bytes go where the test lets them."""

    def __init__(self, ctx, name):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = ctx.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.hello = self.outgoing.read()

    def finish(self, sock):
        """The hello was sent: do the rest."""
        self._run(sock, self.tls.do_handshake)
        return self

    def send(self, sock, data):
        self._run(sock, lambda: self.tls.write(data))

    def receive(self, sock, n=65536):
        return self._run(sock, lambda: self.tls.read(n))

    def _run(self, sock, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            finally:
                if out := self.outgoing.read():
                    sock.sendall(out)
            data = sock.recv(65536)
            if not data:
                raise ConnectionError("the connection ended within TLS")
            self.incoming.write(data)


def hello(name, alpn=None):
    """The first flight of a client that wants this name; None: it says none."""
    return Handshake(context(alpn=alpn), name).hello


def records(data, size):
    """The same handshake bytes in records of so many bytes."""
    body = b""
    while data:
        length = struct.unpack(">H", data[3:5])[0]
        body += data[5:5 + length]
        version, data = data[1:3], data[5 + length:]
    return b"".join(b"\x16" + version + struct.pack(">H", len(body[i:i + size])) +
                    body[i:i + size] for i in range(0, len(body), size))


def padded(data, more):
    """The same ClientHello with an extension that nobody knows, of `more` bytes, in records."""
    body = data[9:]  # of one record, of one message
    at = 34
    at += 1 + body[at]
    at += 2 + struct.unpack(">H", body[at:at + 2])[0]
    at += 1 + body[at]
    extensions = body[at + 2:] + struct.pack(">HH", 60001, more) + bytes(more)
    body = body[:at] + struct.pack(">H", len(extensions)) + extensions
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"".join(b"\x16\3\1" + struct.pack(">H", len(part)) + part for part in
                    (message[i:i + 16384] for i in range(0, len(message), 16384)))


def alert(visitor):
    """The number of the fatal alert that comes in clear, and is the last thing that comes."""
    data = visitor.to_end()
    assert len(data) == 7 and data[0] == 21 and data[3:5] == b"\0\2" and data[5] == 2, data
    return data[6]
