"""Visitors that ask at a pace, over connections they keep and over new ones, and count every request that is not answered
as it should be."""

import socket
import threading
import time


class RequestLoad:
    """`rate` requests a second in all; what failed is in .failures, a sentence each."""

    def __init__(self, port, host, rate=1000, kept=3, fresh=1, path="/", want=b" 200 ",
                 address="127.0.0.1"):
        self.port, self.path, self.host, self.want = port, path, host, want
        self.address = address
        self.request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n".encode()
        self.failures = []
        self.done = 0
        self.slowest = 0
        self._over = threading.Event()
        self._lock = threading.Lock()
        pace = (kept + fresh) / rate
        self._threads = [threading.Thread(target=self._run, args=(pace, i < kept), daemon=True)
                         for i in range(kept + fresh)]
        for thread in self._threads:
            thread.start()

    def close(self):
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def stop(self):
        """End, and say how many requests were made."""
        self.close()
        return self.done

    def check(self):
        """None has failed."""
        made = self.stop()
        assert not self.failures, f"{len(self.failures)} of {made} failed: {self.failures[:5]}"
        return made

    def _run(self, pace, kept):
        at, sock, file = time.monotonic(), None, None
        while not self._over.is_set():
            at += pace
            rest = at - time.monotonic()
            if rest > 0:
                self._over.wait(rest)
            elif rest < -1:
                at = time.monotonic()  # too slow a machine: no flood afterwards
            began = time.monotonic()
            try:
                if sock is None:
                    sock = socket.create_connection((self.address, self.port), 30)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    file = sock.makefile("rb")
                sock.sendall(self.request + (b"\r\n" if kept else b"Connection: close\r\n\r\n"))
                again = self._answer(file)
                why = None
            except (OSError, ValueError) as e:
                again, why = False, f"{type(e).__name__}: {e} ({'kept' if kept else 'new'})"
            with self._lock:
                self.done += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
                if why is not None:
                    self.failures.append(why)
            if not (kept and again):
                if sock is not None:
                    file.close()
                    sock.close()
                sock = None
        if sock is not None:
            file.close()
            sock.close()

    def _answer(self, file):
        """Read one whole answer; may the connection be used again?"""
        status = file.readline()
        if self.want not in status:
            raise ValueError(f"the answer is {status!r}")
        length, again = 0, True
        while (line := file.readline().strip().lower()):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
            if line == b"connection: close":
                again = False
        if len(file.read(length)) != length:
            raise ValueError("the answer ends too early")
        return again
