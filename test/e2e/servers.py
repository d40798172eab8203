"""Targets: real little servers behind the tunnel, which can also behave badly on purpose.

A target has a thread per connection and notes every request it sees, so a test can say that nothing
came through. Waiting is done on events that the test sets.
"""

import asyncio
import hashlib
import json
import queue
import socket
import threading
import time

import websockets

BLOCK = hashlib.shake_256(b"karez").digest(1 << 20)


def digest_of(size):
    """Of the first `size` bytes of BLOCK repeated: what /down sends."""
    sha = hashlib.sha256()
    for _ in range(size // len(BLOCK)):
        sha.update(BLOCK)
    sha.update(BLOCK[:size % len(BLOCK)])
    return sha.hexdigest()


class Request:
    def __init__(self, raw):
        self.raw = raw
        first, *lines = raw.decode("latin-1").split("\r\n")
        self.method, self.path, self.version = first.split(" ")
        self.fields = [tuple(s.strip() for s in line.split(":", 1)) for line in lines]

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None


class Gone(Exception):
    """The other side has left."""


class Connection:
    """One connection at a target."""

    def __init__(self, target, sock, number):
        self.target, self.sock, self.number = target, sock, number
        self.rest = b""
        self.requests = 0
        self.keep = True

    def more(self):
        data = self.sock.recv(262144)
        if not data:
            raise Gone
        self.rest += data

    def exactly(self, n):
        while len(self.rest) < n:
            self.more()
        found, self.rest = self.rest[:n], self.rest[n:]
        return found

    def line(self):
        while b"\r\n" not in self.rest:
            self.more()
        found, self.rest = self.rest.split(b"\r\n", 1)
        return found

    def body(self, request):
        """The pieces of a request's body."""
        if request.get("Expect") == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.get("Transfer-Encoding") is not None:
            while (size := int(self.line().split(b";")[0], 16)) > 0:
                yield self.exactly(size)
                assert self.exactly(2) == b"\r\n"
            while self.line() != b"":
                pass
            return
        left = int(request.get("Content-Length") or 0)
        while left > 0:
            if not self.rest:
                self.more()
            piece, self.rest = self.rest[:left], self.rest[left:]
            left -= len(piece)
            yield piece

    def reply(self, body=b"", status="200 OK", kind="text/plain", fields=(), head_only=False):
        body = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *fields,
                 f"Content-Length: {len(body)}", "", ""]
        self.sock.sendall("\r\n".join(lines).encode() + (b"" if head_only else body))

    def begin_chunks(self, kind="text/plain"):
        self.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n".encode())

    def chunk(self, data):
        self.sock.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.keep = False


class Target:
    """An HTTP/1.1 server with a page for every habit of servers."""

    def __init__(self, name="target", tls=None, path=None, host="127.0.0.1"):
        self.name, self.tls, self.path = name, tls, path
        self.requests = []     # Request, in the order of arrival
        self.connections = 0   # ever
        self.open = 0
        self.failed = []       # what handlers stumbled over, for the reader of a failed test
        self.events = queue.Queue()       # what /sse sends; None ends it
        self.gate = threading.Event()     # what /gate waits for
        self.waiting = 0                  # requests at /gate
        self._lock = threading.Lock()
        self._socks = set()
        if path is not None:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.create_server((host, 0), family=family)
            self.port = self.listener.getsockname()[1]
        self.listener.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.gate.set()
        self.events.put(None)
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self._lock:
            socks = list(self._socks)
        for sock in socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def paths(self):
        with self._lock:
            return [r.path for r in self.requests]

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self.open += 1
                number = self.connections
                self._socks.add(sock)
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, plain, number):
        sock = plain
        try:
            plain.settimeout(60)
            if self.path is None:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                sock = self.tls.wrap_socket(plain, server_side=True)
            connection = Connection(self, sock, number)
            while connection.keep:
                self._one(connection)
        except (Gone, OSError):
            pass
        except Exception as e:  # noqa: BLE001
            self.failed.append(repr(e))
        finally:
            with self._lock:
                self.open -= 1
                self._socks.discard(plain)
            sock.close()

    def _one(self, c):
        while b"\r\n\r\n" not in c.rest:
            c.more()
        raw, c.rest = c.rest.split(b"\r\n\r\n", 1)
        request = Request(raw)
        c.requests += 1
        with self._lock:
            self.requests.append(request)
        page, _, rest = request.path[1:].partition("?")[0].partition("/")
        handler = getattr(self, "page_" + page.replace("-", "_"), self.page_)
        handler(c, request, rest)

    # ---- pages: /name/rest ----

    def page_(self, c, r, rest):
        for _ in c.body(r):
            pass
        c.reply(f"hello from {self.name}\n", head_only=r.method == "HEAD")

    def page_headers(self, c, r, rest):
        """What came, as JSON."""
        body = b"".join(c.body(r))
        c.reply(json.dumps({"method": r.method, "path": r.path, "fields": r.fields,
                            "body": body.decode("latin-1")}), kind="application/json")

    def page_echo(self, c, r, rest):
        """Each piece of the body comes back at once, in a chunk."""
        c.begin_chunks()
        for piece in c.body(r):
            c.chunk(piece)
        c.sock.sendall(b"0\r\n\r\n")

    def page_chunked(self, c, r, rest):
        c.begin_chunks()
        for piece in (b"one ", b"two ", b"three"):
            c.chunk(piece)
        c.sock.sendall(b"0\r\nX-Trailer: yes\r\n\r\n")

    def page_sse(self, c, r, rest):
        """Events as the test puts them into self.events."""
        c.begin_chunks("text/event-stream")
        while (event := self.events.get(timeout=30)) is not None:
            c.chunk(f"data: {event}\n\n".encode())
        c.sock.sendall(b"0\r\n\r\n")

    def page_gate(self, c, r, rest):
        """Answers when the test opens the gate."""
        with self._lock:
            self.waiting += 1
        self.gate.wait(30)
        c.reply("through the gate\n")

    def page_early(self, c, r, rest):
        """Refuses before the body has come, and does not read it."""
        c.reply("too much\n", "413 Content Too Large", fields=["Connection: close"])
        c.keep = False
        try:  # like a careful server: let the answer arrive before the connection is reset
            c.sock.shutdown(socket.SHUT_WR)
            c.sock.settimeout(1)
            for _ in range(64):
                c.more()
                c.rest = b""
        except (Gone, OSError):
            pass

    def page_early_reading(self, c, r, rest):
        """Answers at once, and reads the body afterwards."""
        c.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
        for _ in c.body(r):
            pass

    def page_hint(self, c, r, rest):
        """An interim answer of another kind first."""
        c.sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        self.page_(c, r, rest)

    def page_close(self, c, r, rest):
        """A body that only the end of the connection ends."""
        c.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
        c.keep = False

    def page_http10(self, c, r, rest):
        c.sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nof old")
        c.keep = False

    def page_raw(self, c, r, rest):
        """Wrong answers."""
        c.sock.sendall(WRONG[rest])
        c.keep = False

    def page_drop(self, c, r, rest):
        """Half a body, then a reset or an end."""
        framing = b"Content-Length: 1000" if rest != "chunked" else b"Transfer-Encoding: chunked"
        part = b"x" * 500 if rest != "chunked" else b"3e8\r\n" + b"x" * 500
        c.sock.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + part)
        if rest == "reset":
            c.reset()
        c.keep = False

    def page_status(self, c, r, rest):
        """204 and 304 have no body whatever their fields say."""
        for _ in c.body(r):
            pass
        length = "Content-Length: 77\r\n" if rest == "304" else ""
        c.sock.sendall(f"HTTP/1.1 {rest} Something\r\nETag: \"x\"\r\n{length}\r\n".encode())

    def page_cookies(self, c, r, rest):
        c.reply("two\n", fields=["Set-Cookie: a=1", "Set-Cookie: b=2"])

    def page_connection(self, c, r, rest):
        """Which connection this is, and which request on it."""
        for _ in c.body(r):
            pass
        c.reply(f"{c.number} {c.requests}\n")

    def page_down(self, c, r, rest):
        left = int(rest)
        c.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
        while left > 0:
            c.sock.sendall(memoryview(BLOCK)[:left])
            left -= min(left, len(BLOCK))

    def page_trickle(self, c, r, rest):
        """N pieces, one every 100 ms: a download that takes its time."""
        n = int(rest)
        c.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (n * 1000))
        for _ in range(n):
            time.sleep(0.1)
            c.sock.sendall(b"t" * 1000)

    def page_up(self, c, r, rest):
        """The checksum of what comes."""
        left = int(r.get("Content-Length"))
        sha = hashlib.sha256(c.rest)
        left -= len(c.rest)
        c.rest = b""
        room = memoryview(bytearray(1 << 20))
        while left > 0:
            n = c.sock.recv_into(room, min(left, len(room)))
            if n == 0:
                raise Gone
            sha.update(room[:n])
            left -= n
        c.reply(sha.hexdigest())

    def page_upgrade(self, c, r, rest):
        """Leaves HTTP; says something in the same segment, then echoes until the end."""
        if r.get("Upgrade") is None:
            c.reply("no upgrade asked\n", "400 Bad Request")
            return
        if rest == "refuse":
            c.reply("not today\n", "403 Forbidden")
            return
        c.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                       b"Upgrade: " + r.get("Upgrade").encode() + b"\r\n\r\nearly from target;")
        while True:
            if c.rest:
                data, c.rest = c.rest, b""
                c.sock.sendall(data)
            try:
                c.more()
            except Gone:
                c.sock.sendall(b"bye")
                raise


WRONG = {
    "length-and-chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "no-http": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    "folded": b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc",
    "unasked-upgrade": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                       b"Upgrade: x\r\n\r\n",
    "nothing": b"",
    "half-head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "huge-head": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100000 + b"\r\n\r\n",
}


class WebSocketTarget:
    """Says which fields the upgrade had, then echoes messages."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.requests = []
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait(10)

    async def _echo(self, ws):
        self.requests.append(ws.path)
        await ws.send(json.dumps(list(ws.request_headers.raw_items())))
        try:
            async for message in ws:
                await ws.send(message)
        except websockets.ConnectionClosed:
            pass

    async def _start(self):
        self.server = await websockets.serve(self._echo, "127.0.0.1", 0, max_size=1 << 22)
        self.port = self.server.sockets[0].getsockname()[1]

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        ready.set()
        self.loop.run_forever()

    def close(self):
        async def stop():
            self.server.close()
            await self.server.wait_closed()
        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)


class Path:
    """A way between agent and server that can be cut, or swallow everything, one connection at a
    time: a TCP relay."""

    class Link:
        def __init__(self, number, near, far):
            self.number, self.near, self.far = number, near, far
            self.swallow = False
            self.dead = False
            self.ended = 0  # directions
            self.bytes = 0

        def cut(self):
            """Both sides get a reset."""
            self.dead = True
            for sock in (self.near, self.far):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                sock.close()

    def __init__(self, port):
        self.to = port
        self.links = []
        self._lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def alive(self):
        with self._lock:
            return [link for link in self.links if not link.dead]

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for link in self.alive():
            link.cut()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to), 5)
                far.settimeout(None)
                for sock in (near, far):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                near.close()
                continue
            with self._lock:
                link = Path.Link(len(self.links), near, far)
                self.links.append(link)
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(link, a, b), daemon=True).start()

    def _copy(self, link, a, b):
        try:
            while data := a.recv(262144):
                if not link.swallow:
                    b.sendall(data)
                    link.bytes += len(data)
            if not link.swallow:
                b.shutdown(socket.SHUT_WR)
            link.ended += 1
        except OSError:
            link.ended = 2
        if link.ended == 2 and not link.swallow and not link.dead:
            link.cut()


def fields_of(response):
    """The fields of a /headers page, as {lower-case name: [values]}."""
    found = {}
    for name, value in response.json()["fields"]:
        found.setdefault(name.lower(), []).append(value)
    return found
