"""A visitor that says exactly the bytes it is told, and reads answers strictly."""

import json
import socket


class Broken(Exception):
    """The connection ended, or what came is not HTTP."""


class Response:
    def __init__(self, version, status, reason, fields):
        self.version, self.status, self.reason, self.fields = version, status, reason, fields
        self.body = b""
        self.chunks = []  # when it came in chunks
        self.framing = "none"

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()


class Visitor:
    """One connection."""

    def __init__(self, port, address="127.0.0.1", tls=None, timeout=15, source=None,
                 name="localhost"):
        self.sock = socket.create_connection((address, port), timeout,
                                             source and (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname=name)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Leave with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def ask(self, host, path="/", method="GET", fields=(), body=None, version="1.1"):
        """Send one request; a body gets a Content-Length."""
        lines = [f"{method} {path} HTTP/{version}"]
        lines += [f"Host: {host}"] if host is not None else []
        lines += [f"{n}: {v}" for n, v in fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))

    def get(self, host, path="/", **kw):
        self.ask(host, path, **kw)
        return self.answer(kw.get("method", "GET"))

    # ---- reading ----

    def _more(self):
        data = self.sock.recv(262144)
        if not data:
            raise Broken("the connection ended")
        self.rest += data

    def until(self, mark):
        while mark not in self.rest:
            self._more()
        found, self.rest = self.rest.split(mark, 1)
        return found

    def exactly(self, n):
        while len(self.rest) < n:
            self._more()
        found, self.rest = self.rest[:n], self.rest[n:]
        return found

    def to_end(self):
        """Everything up to an orderly end; a reset raises ConnectionResetError."""
        while True:
            data = self.sock.recv(262144)
            if not data:
                found, self.rest = self.rest, b""
                return found
            self.rest += data

    def ended(self):
        """Did the peer end the connection, one way or the other, and say nothing before it?"""
        try:
            return self.to_end() == b""
        except ConnectionResetError:
            return True

    def head(self):
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = (first.split(" ", 2) + [""])[:3]
        if not version.startswith("HTTP/1."):
            raise Broken(f"not HTTP: {first}")
        fields = []
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and name == name.strip(), f"bad field: {line!r}"
            fields.append((name, value.strip()))
        return Response(version, int(status), reason, fields)

    def answer(self, method="GET", interim=None):
        """A whole answer; interim ones are appended to the list `interim`, or refused."""
        response = self.head()
        while response.status < 200 and response.status != 101:
            assert interim is not None, f"unasked {response.status}"
            interim.append(response)
            response = self.head()
        self._body(response, method)
        return response

    def _body(self, response, method):
        if method == "HEAD" or response.status in (101, 204, 304):
            return
        if response.get("Transfer-Encoding") is not None:
            assert response.get("Transfer-Encoding") == "chunked"
            assert response.get("Content-Length") is None
            response.framing = "chunked"
            while (chunk := self.chunk()) != b"":
                response.chunks.append(chunk)
            response.body = b"".join(response.chunks)
        elif response.get("Content-Length") is not None:
            response.framing = "length"
            response.body = self.exactly(int(response.get("Content-Length")))
        else:
            response.framing = "close"
            response.body = self.to_end()

    def chunk(self):
        """The next chunk of an answer; empty at the end."""
        size = int(self.until(b"\r\n").split(b";")[0], 16)
        data = self.exactly(size)
        if size == 0:
            while self.until(b"\r\n") != b"":
                pass
        else:
            assert self.exactly(2) == b"\r\n"
        return data


def fetch(port, host, path="/", method="GET", fields=(), body=None, **kw):
    """One request on a connection of its own."""
    with Visitor(port, **kw) as v:
        v.ask(host, path, method, [*fields, ("Connection", "close")], body)
        return v.answer(method, [])
