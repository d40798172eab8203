"""A bad network between an agent and its server: each lives in a network namespace of its own, and what passes
between them goes through the test, packet by packet, as real IP that the kernels at both ends repair.

The namespaces have no names and are gone with whoever lives in them. Making them takes root.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
LIBC = ctypes.CDLL(None, use_errno=True)
SERVER, AGENT = "10.77.0.1", "10.77.0.2"
# Large packets: those that get lost matter, and there are few enough of them for this program.
MTU = 9000
# Bytes that may be on their way in one direction; a router has no more room either.
ROOM = 8 << 20


def _check(answer):
    if answer != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _here():
    """Where the calling thread lives, to come back to."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def _enter(fd):
    _check(LIBC.setns(fd, CLONE_NEWNET))


def why_not():
    """Why there can be none here; None: there can."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    try:
        one = Namespace()
        try:
            os.close(one.tun(SERVER))
        finally:
            one.close()
    except (OSError, subprocess.CalledProcessError) as e:
        return f"no network namespaces with /dev/net/tun here: {e}"
    return None


class Namespace:
    """A network of its own with a loopback, and nothing else."""

    def __init__(self):
        home = _here()
        try:
            _check(LIBC.unshare(CLONE_NEWNET))
            self.fd = _here()
        finally:
            _enter(home)
            os.close(home)
        self.ip("link", "set", "lo", "up")

    @classmethod
    def here(cls):
        """The one in which the calling thread lives, to come back to."""
        one = cls.__new__(cls)
        one.fd = _here()
        return one

    def close(self):
        os.close(self.fd)

    def enter(self):
        """The calling thread, its children and its later threads live here."""
        _enter(self.fd)

    def ip(self, *words):
        subprocess.run(["ip", *words], preexec_fn=self.enter, check=True, capture_output=True)

    def tun(self, address):
        """A device "far" whose packets are read and written at the descriptor returned."""
        home = _here()
        try:
            self.enter()
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"far", IFF_TUN | IFF_NO_PI))
        finally:
            _enter(home)
            os.close(home)
        self.ip("address", "add", f"{address}/30", "dev", "far")
        self.ip("link", "set", "far", "mtu", str(MTU), "up")
        return fd


class BadNetwork:
    """Two namespaces and the cable between them. While it is open the calling thread lives where the
    server does. delay: seconds each way; loss: of all packets."""

    def __init__(self, delay=0.0, loss=0.0):
        self.delay, self.loss = delay, loss
        self.dice = random.Random(7)
        self.passed = self.lost = 0  # packets
        self.flows = {}              # port of the agent's end -> packets
        self.forgotten = set()       # such ports whose packets nobody knows a way for
        self.home = _here()
        self.near, self.far = Namespace(), Namespace()
        self.tuns = (self.near.tun(SERVER), self.far.tun(AGENT))
        self.stop_read, self.stop = os.pipe()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.near.enter()

    def close(self):
        _enter(self.home)
        os.close(self.stop)
        self.thread.join(10)
        for fd in (*self.tuns, self.stop_read, self.home):
            os.close(fd)
        self.near.close()
        self.far.close()

    def cut(self):
        """The agent's end of the cable is pulled."""
        self.far.ip("link", "set", "far", "down")

    def mend(self):
        self.far.ip("link", "set", "far", "up")

    def forget(self):
        """As a NAT that has been restarted: whatever runs now gets nowhere, new connections do."""
        self.forgotten |= set(self.flows)

    # ---- the cable ----

    def _run(self):
        waiting, room, number = [], [0, 0], 0
        other = {self.tuns[0]: 1, self.tuns[1]: 0}
        while True:
            left = max(0, waiting[0][0] - time.monotonic()) if waiting else None
            ready, _, _ = select.select([*self.tuns, self.stop_read], [], [], left)
            if self.stop_read in ready:
                return
            for fd in ready:
                for packet in self._packets(fd):
                    to = other[fd]
                    if not self._passes(packet, to) or room[to] + len(packet) > ROOM:
                        self.lost += 1
                        continue
                    room[to] += len(packet)
                    number += 1
                    heapq.heappush(waiting, (time.monotonic() + self.delay, number, to, packet))
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, to, packet = heapq.heappop(waiting)
                room[to] -= len(packet)
                self._deliver(self.tuns[to], packet)

    @staticmethod
    def _packets(fd):
        for _ in range(64):
            try:
                yield os.read(fd, 65536)
            except OSError:  # nothing more for now, or the device is down
                return

    def _deliver(self, fd, packet):
        try:
            os.write(fd, packet)
            self.passed += 1
        except OSError:
            self.lost += 1

    def _passes(self, packet, to):
        """A packet of TCP over IPv4 to the server (0) or the agent (1): does the network let it through?"""
        if packet[0] >> 4 != 4 or packet[9] != 6:
            return False
        at = (packet[0] & 15) * 4 + (0 if to == 0 else 2)
        port = int.from_bytes(packet[at:at + 2], "big")
        self.flows[port] = self.flows.get(port, 0) + 1
        return port not in self.forgotten and self.dice.random() >= self.loss
