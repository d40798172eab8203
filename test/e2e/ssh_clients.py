"""SSH clients that people have, each with the same three words: ask for a forward, and hear the
port or that there is none; say that they are still there; leave."""

import asyncio
import os
import socket
import subprocess
import threading
import types
from pathlib import Path

import asyncssh

from karez import wait_until
from ssh_scene import ALLOCATED, REFUSED, transport


class Openssh:
    """A process of its own for each forward."""

    def __init__(self, scene):
        self.scene, self.procs = scene, []

    def ask(self, bind, port, target):
        """The port where it listens; None: refused."""
        spec = f"{bind}:{port}:127.0.0.1:{target}" if bind is not None else \
            f"{port}:127.0.0.1:{target}"
        proc = self.scene.ssh("-v", "-N", "-R", spec)
        self.procs.append(proc)
        return _said(proc, port, "remote forward success for: listen (?:[^,]*:)?[1-9][0-9]*, ",
                     REFUSED)

    def alive(self):
        return all(p.alive() for p in self.procs)

    def close(self):
        for proc in self.procs:
            proc.kill()


def _said(proc, port, yes, no):
    """What the output says of the one forward."""
    match = proc.wait_line(f"(?P<no>{no})|{ALLOCATED}|(?P<yes>{yes})", 20)
    if match["no"] is not None:
        return None
    return port if match["yes"] is not None else int(match[match.lastindex])


class Dropbear(Openssh):
    """dbclient says nothing about a fixed port that it has been given."""

    def __init__(self, scene):
        super().__init__(scene)
        self.key = scene.key.file.with_name(scene.key.file.name + ".dropbear")
        subprocess.run(["dropbearconvert", "openssh", "dropbear", scene.key.file, self.key],
                       check=True, capture_output=True)

    def ask(self, bind, port, target):
        bind = f"{bind}:" if bind is not None else ""
        argv = ["dbclient", "-y", "-y", "-N", "-i", self.key, "-p", self.scene.ssh_port, "-R",
                f"{bind}{port}:127.0.0.1:{target}", "anna@127.0.0.1"]
        proc = self.scene.world.guest("dbclient", argv)
        self.procs.append(proc)
        return self._heard(proc, port)

    def _heard(self, proc, port):
        """Nothing is said of success; and of an HTTP tunnel there is nothing to see."""
        no = r"Remote TCP forward request failed"
        if port in (80, 443):
            return port
        if port == 0:
            match = proc.wait_line(f"({no})|Allocated port (\\d+)", 20)
            return match[2] and int(match[2])
        wait_until(lambda: proc.count(no) or _listens(port, self.scene.server.pid), 20,
                   f"dbclient is answered: {proc.text()}")
        return None if proc.count(no) else port


def _listens(port, pid):
    """As the kernel tells, for the sockets of this process: no visitor is made by it."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().split("\n")[1:-1]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return any(_link(fd) in inodes for fd in Path(f"/proc/{pid}/fd").iterdir())


def _link(fd):
    try:
        return os.readlink(fd)
    except OSError:
        return None


class Putty(Openssh):

    def __init__(self, scene):
        super().__init__(scene)
        self.key = scene.key.file.with_name(scene.key.file.name + ".ppk")
        subprocess.run(["puttygen", scene.key.file, "-o", self.key], check=True,
                       capture_output=True, stdin=subprocess.DEVNULL)
        self.host_key = next(k["fingerprint"] for k in scene.host_keys()
                             if k["type"] == "ssh-ed25519")

    def ask(self, bind, port, target):
        bind = f"{bind}:" if bind is not None else ""
        argv = ["plink", "-batch", "-ssh", "-v", "-N", "-noagent", "-i", self.key, "-P",
                self.scene.ssh_port, "-hostkey", self.host_key, "-R",
                f"{bind}{port}:127.0.0.1:{target}", "anna@127.0.0.1"]
        proc = self.scene.world.guest("plink", argv)
        self.procs.append(proc)
        match = proc.wait_line(r"Remote port forwarding from \S+ (enabled|refused)|"
                               r"Server refused|Allocated port (\d+)|(FATAL|closed)", 20)
        return port if match[1] == "enabled" else None


class Paramiko:
    """All forwards by one connection."""

    def __init__(self, scene):
        self.transport = transport(scene)

    def ask(self, bind, port, target):
        def handle(channel, origin, server):
            threading.Thread(target=_join, args=(channel, target), daemon=True).start()
        self.transport._tcp_handler = handle
        answer = self.transport.global_request("tcpip-forward", (bind or "", port), wait=True)
        if answer is None:
            return None
        return answer.get_int() if port == 0 else port

    def alive(self):
        return self.transport.is_active()

    def close(self):
        self.transport.close()


def _join(channel, port):
    """What a client does with a channel: its target's bytes and the visitor's."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.settimeout(None)

        def back():
            while data := sock.recv(65536):
                channel.sendall(data)
            channel.shutdown_write()
        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        try:
            while data := channel.recv(65536):
                sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            thread.join(20)
        except OSError:
            pass
    channel.close()


class Asyncssh:
    """All forwards by one connection, in a loop of its own."""

    def __init__(self, scene):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        scene.world.guests.append(types.SimpleNamespace(kill=self.close))
        self.connection = self.call(asyncssh.connect(
            "127.0.0.1", scene.ssh_port, username="anna", client_keys=[str(scene.key.file)],
            known_hosts=str(scene.known_hosts), config=[], agent_path=None))

    def call(self, what):
        async def run():
            return await what
        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(20)

    def ask(self, bind, port, target):
        try:
            listener = self.call(self.connection.forward_remote_port(bind or "", port, "127.0.0.1",
                                                                     target))
        except asyncssh.ChannelListenError:
            return None
        return listener.get_port()

    def alive(self):
        return not self.connection.is_closed() if hasattr(self.connection, "is_closed") else \
            self.connection._transport is not None

    def close(self):
        self.loop.call_soon_threadsafe(self.connection.abort)


CLIENTS = {"openssh": Openssh, "dropbear": Dropbear, "putty": Putty, "paramiko": Paramiko,
           "asyncssh": Asyncssh}
