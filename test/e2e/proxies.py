"""HTTP proxies on the way to a server: tinyproxy, and one whose bad habits the test chooses."""

import re
import socket
import threading
import time

from haproxy import Haproxy
from karez import free_port

RESET = b"\1\0\0\0\0\0\0\0"


class Tinyproxy:
    def __init__(self, world, login=None):
        self.world, self.port = world, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.file = world.path / f"tinyproxy-{self.port}.conf"
        self.file.write_text(f"Port {self.port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\n"
                             "LogLevel Info\n" + (f"BasicAuth {login}\n" if login else ""))
        self.start()

    def start(self):
        self.proc = self.world.run("tinyproxy", ["tinyproxy", "-d", "-c", self.file])
        self.proc.wait_line("Accepting connections")

    def asked(self):
        """Where it was asked to connect to."""
        return re.findall(r"CONNECT (\S+) HTTP", self.proc.text())


class StubProxy:
    """Takes CONNECT and connects to localhost, whatever name was asked for.

    says   answer so instead, and end the connection; "" ends it at once, None is the proxy's usual.
    keep   do not end it then.
    idle   cut a connection on which nothing has come for so many seconds.
    """

    def __init__(self, says=None, keep=False, idle=None):
        self.says, self.keep, self.idle = says, keep, idle
        self.heads, self.cuts, self.socks = [], 0, set()
        self._lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def asked(self):
        return [head.split(" ")[1] for head in self.heads]

    def close(self):
        self.listener.close()
        self.cut()

    def cut(self):
        """Everybody gets a reset, in the middle of whatever it is."""
        with self._lock:
            socks, self.socks = self.socks, set()
        for sock in socks:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        try:
            near.settimeout(20)
            with self._lock:
                self.socks.add(near)
            head = b""
            while b"\r\n\r\n" not in head:
                data = near.recv(4096)
                if not data:
                    return
                head += data
            self.heads.append(head.decode())
            if self.says is not None:
                near.sendall(self.says.encode())
                if self.keep:
                    near.recv(1)
                near.close()
                return
            self._connect(near, int(self.asked()[-1].rpartition(":")[2]))
        except OSError:
            near.close()

    def _connect(self, near, port):
        far = socket.create_connection(("127.0.0.1", port), 5)
        with self._lock:
            self.socks.add(far)
        # nothing is read of what is sent before: it is one segment with the head's last line
        near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        last = [time.monotonic()]  # when something came, either way
        for sock in (near, far):
            sock.settimeout(self.idle / 4 if self.idle else 600)
        for a, b in ((near, far), (far, near)):
            threading.Thread(target=self._copy, args=(a, b, last), daemon=True).start()

    def _read(self, sock, last):
        while True:
            try:
                data = sock.recv(65536)
                last[0] = time.monotonic()
                return data
            except TimeoutError:
                if time.monotonic() - last[0] > (self.idle or 600):
                    self.cuts += 1
                    return b""

    def _copy(self, a, b, last):
        try:
            while data := self._read(a, last):
                b.sendall(data)
        except OSError:
            pass
        for sock in (a, b):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def with_tls(world, proxy, cert):
    """HAProxy ends TLS in front of a proxy; returns the URL of both together."""
    pem = world.path / "proxy.pem"
    pem.write_text(cert.cert.read_text() + cert.key.read_text())
    front = Haproxy(world, """
frontend proxy
    bind 127.0.0.1:{front} ssl crt {pem}
    default_backend inside
backend inside
    server inside 127.0.0.1:{to}
""", pem=pem, to=proxy.port)
    return f"https://localhost:{front.front}"


def nobody():
    """The URL of a proxy that is not there."""
    return f"http://127.0.0.1:{free_port()}"

