"""redis-server and redis-sentinel on free ports of loopback, with directories of their own."""

import signal
import socket

from karez import Failure, free_port, wait_until


class RedisError(Exception):
    """What Redis answers with a minus."""


class Talk:
    """Commands to one of them, answered one by one."""

    def __init__(self, port, password=None, address="127.0.0.1"):
        self.sock = socket.create_connection((address, port), 5)
        self.file = self.sock.makefile("rb")
        if password:
            self("AUTH", password)

    def __call__(self, *words):
        data = b"*%d\r\n" % len(words)
        for word in words:
            word = str(word).encode()
            data += b"$%d\r\n%s\r\n" % (len(word), word)
        self.sock.sendall(data)
        return self._reply()

    def _reply(self):
        line = self.file.readline()
        if not line:
            raise Failure("Redis hung up")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        if rest == "-1":
            return None
        return self.file.read(int(rest) + 2)[:-2].decode(errors="replace")

    def close(self):
        self.file.close()
        self.sock.close()


class Redis:
    """One server; every write is on the disk before it is answered. preexec: puts it where `address`
    is."""

    program, ready = "redis-server", "Ready to accept connections"

    def __init__(self, world, *options, password=None, address="127.0.0.1", preexec=None):
        self.world, self.password = world, password
        self.address, self.preexec = address, preexec
        self.port = free_port()
        self.dir = world.dir(f"{self.program}-{self.port}")
        self.options = [str(o) for o in options]
        if password:
            self.options += ["--requirepass", password]
        self.start()

    def argv(self):
        return [self.program, "--port", self.port, "--bind", self.address, "--dir", self.dir,
                "--save", "", "--appendonly", "yes", "--appendfsync", "always", *self.options]

    def start(self):
        """For the first time, or again at the same port with the same files."""
        self.proc = self.world.run(f"{self.program}:{self.port}", self.argv(),
                                   preexec=self.preexec)
        self.proc.wait_line(self.ready, 10)

    def kill(self):
        self.proc.kill()

    def pause(self):
        self.proc.popen.send_signal(signal.SIGSTOP)

    def resume(self):
        self.proc.popen.send_signal(signal.SIGCONT)

    def ask(self, *words):
        talk = Talk(self.port, self.password, self.address)
        try:
            return talk(*words)
        finally:
            talk.close()

    def role(self):
        """None while it cannot say: who becomes the master drops its connections."""
        try:
            return self.ask("ROLE")[0]
        except (OSError, Failure):
            return None

    def n_replicas(self):
        role = self.ask("ROLE")
        return len(role[2]) if role[0] == "master" else 0

    @property
    def where(self):
        return f"redis://{self.address}:{self.port}/0"


class Sentinel(Redis):
    """Watches one master, which it calls "main"; `quorum` of them have to agree that it is down."""

    program, ready = "redis-sentinel", "\\+monitor master main"

    def __init__(self, world, master, quorum=1):
        self.master, self.quorum = master, quorum
        super().__init__(world)

    def argv(self):
        file = self.dir / "sentinel.conf"
        if not file.exists():
            file.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {self.dir}\n"
                            f"sentinel monitor main 127.0.0.1 {self.master.port} {self.quorum}\n"
                            "sentinel down-after-milliseconds main 500\n"
                            "sentinel failover-timeout main 3000\n")
        return [self.program, file]

    def knows_replicas(self, n):
        def known():
            found = self.ask("SENTINEL", "replicas", "main")
            return sum("s_down" not in r[r.index("flags") + 1] for r in found) >= n
        wait_until(known, 25, f"the Sentinel knows {n} replicas")  # it asks every 10 s

    def knows_sentinels(self, n):
        wait_until(lambda: len(self.ask("SENTINEL", "sentinels", "main")) >= n, 25,
                   f"the Sentinel knows {n} others")

    def master_port(self):
        """Where it would send a client now."""
        return int(self.ask("SENTINEL", "get-master-addr-by-name", "main")[1])

    @property
    def where(self):
        return f"redis+sentinel://127.0.0.1:{self.port}/main/0"


def replica(world, master):
    """Of a master; it has all of it when this returns."""
    before = master.n_replicas()
    made = Redis(world, "--replicaof", "127.0.0.1", master.port)
    wait_until(lambda: master.n_replicas() > before, 10, "the replica follows its master")
    return made


class ReplicaSet:
    """A master, its replicas and the Sentinels that watch them, as one store."""

    def __init__(self, world, replicas=2, sentinels=3):
        master = Redis(world)
        self.servers = [master, *(replica(world, master) for _ in range(replicas))]
        self.sentinels = [Sentinel(world, master, sentinels // 2 + 1) for _ in range(sentinels)]
        for sentinel in self.sentinels:
            sentinel.knows_sentinels(sentinels - 1)
            sentinel.knows_replicas(replicas)

    @property
    def master(self):
        """As most Sentinels have it; it may be down."""
        ports = [sentinel.master_port() for sentinel in self.sentinels]
        port = max(ports, key=ports.count)
        return next(server for server in self.servers if server.port == port)

    def failed_over(self, old, seconds=20):
        """The master that all Sentinels agree on, when it is another one than `old`."""
        def agreed():
            ports = {sentinel.master_port() for sentinel in self.sentinels}
            return len(ports) == 1 and old.port not in ports and self.master.role() == "master"
        wait_until(agreed, seconds, "another master is promoted")
        return self.master

    def kill_master(self):
        """kill -9; returns the new master, and the one that is dead: it may be start()ed again."""
        old = self.master
        old.kill()
        return self.failed_over(old), old

    def pause_master(self):
        """SIGSTOP, until a new master is there; the old one must be resume()d by the caller: it
        believes to be a master still until the Sentinels have told it otherwise."""
        old = self.master
        old.pause()
        return self.failed_over(old), old

    def fail_over(self):
        """A planned one, with both of them alive."""
        old = self.master
        self.sentinels[0].ask("SENTINEL", "failover", "main")
        return self.failed_over(old), old

    @property
    def where(self):
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/main/0"
