"""The two programs under test as children of the test: started on free ports with state of their
own, their output kept line by line, ended by their process ids."""

import fcntl
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import termios
import threading
import time
from pathlib import Path

from api_client import Api

TREE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("KAREZ_BUILD", TREE / "build"))
if not BUILD.is_absolute():
    BUILD = TREE / BUILD

# With sanitizers memory is kept in quarantine, so its growth says nothing, and all takes longer.
SANITIZED = os.environ.get("KAREZ_E2E_SANITIZED") == "1"
PATIENCE = 4 if SANITIZED else 1
# A shell's background job ignores SIGINT, and so would what we start: ssh keeps it like that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Resident bytes that either program may come to in any test.
RSS_MAX = 192 << 20
ONLINE = re.compile(r"^(.*) is now publicly accessible from ([^ ]+) \.\.\.$")


class Failure(AssertionError):
    """What did not happen, with the output of the program that did not do it."""


def wait_until(question, seconds, what):
    """Ask again and again until the answer is true; returns it."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.01)


# Ports are taken from blocks; whoever holds the datagram socket of its first port has the block, so
# that several runs of the tests do not meet. None is an ephemeral one: no outgoing connection takes
# it either.
PORTS, BLOCK = range(20000, 32000, 100), 100
_blocks = []  # (socket, first port)
_next_port = 0


def _claim_block():
    start = os.getpid() * 7 % len(PORTS)
    for first in (*PORTS[start:], *PORTS[:start]):
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", first))
        except OSError:
            claim.close()
            continue
        _blocks.append((claim, first))
        return
    raise Failure("all blocks of ports are taken")


def _free(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host="127.0.0.1"):
    """A port that nobody uses, and no other run of the tests is given."""
    global _next_port
    for _ in range(len(PORTS)):
        for _ in range(len(_blocks) * BLOCK):
            block, at = divmod(_next_port, BLOCK)
            _next_port = (_next_port + 1) % (len(_blocks) * BLOCK)
            if at != 0 and _free(host, _blocks[block][1] + at):
                return _blocks[block][1] + at
        _next_port = len(_blocks) * BLOCK
        _claim_block()
    raise Failure("no free port")


def check_growth(before, procs, most):
    """None of the programs is more than `most` bytes larger than `before` says, in their order."""
    for was, proc in zip(before, procs):
        grown = proc.rss() - was
        assert grown < most or SANITIZED, f"{proc.name} grew by {grown} bytes to {proc.rss()}"


def _at_terminal(preexec):
    """Standard input is the terminal of the new child."""
    def run():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if preexec is not None:
            preexec()
    return run


class Proc:
    """A child and what it says; tty: to a terminal. "typed": it has no streams but a terminal, at
    which somebody types, and where it asks for passwords."""

    def __init__(self, name, argv, env, tty=False, preexec=None, cwd=None):
        self.name = name
        self.lines = []  # (stream, text)
        self.raw = b""   # all that came to "out", as it came
        self.expect_alive = True
        self._news = threading.Condition()
        self._readers = 2
        out_read, out_write = (pty.openpty() if tty else os.pipe())
        err_read, err_write = os.pipe()
        typed = tty == "typed"
        self.keyboard = os.dup(out_read) if typed else None
        self.popen = subprocess.Popen(argv, stdin=out_write if typed else subprocess.DEVNULL,
                                      stdout=out_write, stderr=out_write if typed else err_write,
                                      preexec_fn=_at_terminal(preexec) if typed else preexec,
                                      start_new_session=typed, env=env, cwd=cwd)
        os.close(out_write)
        os.close(err_write)
        self.pid = self.popen.pid
        for stream, fd in (("out", out_read), ("err", err_read)):
            threading.Thread(target=self._read, args=(stream, fd), daemon=True).start()

    def _read(self, stream, fd):
        rest = b""
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:  # a terminal ends with EIO
                data = b""
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            with self._news:
                self.raw += data if stream == "out" else b""
                self.lines += [(stream, w.decode(errors="replace").rstrip("\r")) for w in whole]
                self._news.notify_all()
        os.close(fd)
        with self._news:
            if rest:
                self.lines.append((stream, rest.decode(errors="replace")))
            self._readers -= 1
            self._news.notify_all()

    def said(self, stream=None):
        with self._news:
            return [text for s, text in self.lines if stream in (None, s)]

    def text(self, stream=None):
        return "\n".join(self.said(stream))

    def count(self, pattern, stream=None):
        return sum(1 for text in self.said(stream) if re.search(pattern, text))

    def wait_line(self, pattern, seconds=10, stream=None, since=0):
        """The match of the first line that fits, of those behind the first `since` lines."""
        deadline = time.monotonic() + seconds * PATIENCE
        seen = since
        with self._news:
            while True:
                for s, text in self.lines[seen:]:
                    match = re.search(pattern, text) if stream in (None, s) else None
                    if match:
                        return match
                seen = max(seen, len(self.lines))
                left = deadline - time.monotonic()
                if left <= 0 or self._readers == 0:
                    raise Failure(f"{self.name} did not say /{pattern}/ within {seconds} s")
                self._news.wait(left)

    def type(self, text):
        """Keys pressed at its terminal."""
        os.write(self.keyboard, text.encode())

    def screen(self):
        with self._news:
            return self.raw.decode(errors="replace")

    def wait_screen(self, pattern, seconds=5, since=0):
        """The match in what it has written to "out", also in a line that has not ended."""
        deadline = time.monotonic() + seconds * PATIENCE
        with self._news:
            while (match := re.search(pattern, self.raw[since:].decode(errors="replace"))) is None:
                left = deadline - time.monotonic()
                if left <= 0 or self._readers == 0:
                    raise Failure(f"{self.name} did not show /{pattern}/ within {seconds} s")
                self._news.wait(left)
        return match

    def mark(self):
        with self._news:
            return len(self.lines)

    def send_signal(self, number):
        self.expect_alive = False
        self.popen.send_signal(number)

    def wait(self, seconds=5):
        """Its exit status; waits for the last of its output as well."""
        try:
            code = self.popen.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s") from None
        with self._news:
            self._news.wait_for(lambda: self._readers == 0, 2)
        return code

    def stop(self, number=signal.SIGINT, seconds=5):
        self.send_signal(number)
        return self.wait(seconds)

    def kill(self):
        self.expect_alive = False
        if self.alive():
            self.popen.kill()
        self.popen.wait()
        if self.keyboard is not None:
            os.close(self.keyboard)
            self.keyboard = None

    def alive(self):
        return self.popen.poll() is None

    def n_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss(self):
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class World:
    """Everything one test starts, and what must be true of it at the end."""

    def __init__(self, path):
        self.path = path
        self.procs = []
        self.servers = []
        self.agents = []
        self.guests = []  # programs of others, which end before we look at our own
        self.closers = []
        self.planted = set()

    def dir(self, name):
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def env(self, **more):
        keep = ("PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
        env = {k: v for k, v in os.environ.items() if k in keep}
        env.update(HOME=str(self.dir("home")), LANG="C.UTF-8", TZ="UTC")
        env.update({k: str(v) for k, v in more.items()})
        return env

    def closes(self, thing):
        """thing.close() is called when the test is over."""
        self.closers.append(thing)
        return thing

    def guest(self, name, argv, **kw):
        """A program of somebody else that connects to ours, or ours to it."""
        proc = self.run(name, argv, **kw)
        self.guests.append(proc)
        return proc

    def run(self, name, argv, **kw):
        proc = Proc(name, [str(a) for a in argv], kw.pop("env", None) or self.env(), **kw)
        self.procs.append(proc)
        return proc

    def server(self, *options, **kw):
        server = Server(self, options, **kw)
        self.servers.append(server)
        return server

    def agent(self, server, target, *options, **kw):
        """An agent that is online."""
        agent = Agent(self, server, target, options, **kw)
        self.agents.append(agent)
        agent.wait_online()
        return agent

    def agent_unchecked(self, server, target, *options, **kw):
        """One that may never come online."""
        agent = Agent(self, server, target, options, **kw)
        self.agents.append(agent)
        return agent

    # ---- the end ----

    def plant(self, *secrets):
        """No program of this test may say one of these."""
        self.planted |= set(secrets)

    def secrets(self):
        """Every token that any agent of this test has been given."""
        found = set()
        for file in self.path.rglob("credentials.json"):
            _collect_tokens(json.loads(file.read_text()), found)
        return found

    def check(self):
        for proc in self.guests:
            proc.kill()
        for proc in self.servers:
            if proc.expect_alive:
                proc.check_settled()
        self._check_stop()
        for proc in self.procs:
            text = proc.text()
            assert "Sanitizer" not in text and "runtime error:" not in text, proc.name
            assert "CHECK failed" not in text, proc.name
            for secret in self.secrets() | self.planted:
                assert secret not in text, f"{proc.name} printed a credential"

    def _check_stop(self):
        """Servers end by themselves; then agents hold nothing for them; then agents end."""
        for server in self.servers:
            if server.alive():
                code = server.stop(signal.SIGTERM, 8)
                assert code == 0, f"{server.name} ended with {code}"
        for agent in self.agents:
            if agent.alive():
                assert agent.rss() < RSS_MAX or SANITIZED, f"{agent.name} grew to {agent.rss()}"
                wait_until(lambda: agent.n_files() <= agent.base_files, 6,
                           f"{agent.name} gives back its descriptors")
                assert agent.stop(signal.SIGINT, 3) == 0, f"{agent.name} did not end well"

    def close(self):
        for proc in self.procs:
            proc.kill()
        for thing in reversed(self.closers):
            thing.close()

    def logs(self):
        for proc in self.procs:
            tail = proc.said()[-60:]
            state = "alive" if proc.alive() else f"exit {proc.popen.returncode}"
            yield f"---- {proc.name}: {state}, last {len(tail)} lines", "\n".join(tail)


def _collect_tokens(value, found):
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "token" and isinstance(member, str) and member:
                found.add(member)
            _collect_tokens(member, found)
    elif isinstance(value, list):
        for member in value:
            _collect_tokens(member, found)


class Server(Proc):
    """karezd on a free port of loopback; address: another one, where `preexec` puts it."""

    def __init__(self, world, options, port=None, registration=True, tls=None, state="state",
                 store=None, listen=None, domain="localhost", preexec=None, drain="5s", env=None,
                 address="127.0.0.1"):
        self.world = world
        self.domain, self.address = domain, address
        self.port = port or free_port()
        self.tls = tls
        self.kept_files = 0  # ports of tunnels, which stay as long as the tunnels do
        listen = listen or f"{address}:{self.port}"
        argv = [BUILD / "karezd", "--domain", domain,
                "--listen", ("tls:" if tls else "") + listen, "--drain-timeout", drain]
        self.state = world.path / state
        argv += ["--state-dir", self.state] + (["--store", store] if store else [])
        argv += ["--allow-registration"] if registration else []
        argv += ["--tls-cert", tls.cert, "--tls-key", tls.key] if tls else []
        argv += list(options)
        super().__init__(f"karezd:{self.port}", [str(a) for a in argv],
                         world.env(**(env or {})), preexec=preexec)
        world.procs.append(self)
        self.wait_line("event=listen", 30)  # host keys are made first
        self.base_files = self.n_files()

    @property
    def url(self):
        host = "localhost" if self.tls else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def host(self, name):
        return f"{name}.{self.domain}:{self.port}"

    def api(self, credential=None):
        """The API as somebody with this credential sees it."""
        return Api(self.port, credential, self.domain, self.world.plant, self.address)

    def admin(self):
        """The same as the first administrator."""
        file = self.state / "admin-token"
        wait_until(file.exists, 5, f"{self.name} writes the administrator's token")
        return self.api(file.read_text().strip())

    def account(self, name=""):
        """The same as somebody who has just made an account; what was answered is .made."""
        made = self.api().post("/v1/account", {"name": name}).want(201).json()
        api = self.api(made["token"])
        api.made = made
        return api

    def sessions(self):
        return sum(a.sessions for a in self.world.agents
                   if a.alive() and a.server is self and a.sessions)

    def check_settled(self):
        """It lives, is of a reasonable size, and holds nothing but its sessions."""
        assert self.alive(), f"{self.name} has ended"
        assert self.rss() < RSS_MAX or SANITIZED, f"{self.name} grew to {self.rss()} bytes"
        self.wait_files(self.base_files + self.sessions() + self.kept_files)

    def wait_files(self, most, seconds=8):
        # it was counted at the first door: others, the pid file and the store's files are opened after that
        wait_until(lambda: self.n_files() <= most + 8, seconds,
                   f"{self.name} gives back its descriptors ({most} wanted, {self.n_files()} now)")


class Agent(Proc):
    """karez in front of a target."""

    def __init__(self, world, server, target, options=(), config="agent", command=("http",),
                 tty=False, url=None, sessions=2, env=None, preexec=None):
        self.server = server
        self.config = world.path / config
        self.sessions = sessions
        self.url = self.name_ = self.port = None
        self.base_files = 0
        argv = [BUILD / "karez", *command, *([] if target is None else [target])]
        server_url = url or (server.url if server else None)
        argv += ["--server", server_url] if server_url else []
        argv += ["--sessions", sessions] if sessions != 2 else []
        argv += list(options)
        env = world.env(KAREZ_CONFIG_DIR=self.config, **(env or {}))
        n = sum(1 for a in world.agents) + 1
        super().__init__(f"karez#{n}:{target}", [str(a) for a in argv], env, tty=tty,
                         preexec=preexec)
        world.procs.append(self)

    def wait_online(self, seconds=3):
        match = self.wait_line(ONLINE.pattern, seconds, "out")
        self.shown, self.url = match.group(1), match.group(2)
        if re.match(r"https?://", self.url):
            self.name_ = re.match(r"https?://([^:/]+)", self.url).group(1)
            self.name_ = self.name_[:-len(self.server.domain) - 1]
        elif self.url.rpartition(":")[2].isdigit():  # "host:port" of a tcp tunnel
            self.port = int(self.url.rpartition(":")[2])
        self.base_files = self.n_files() + self.sessions  # the other session may be on its way
        return self

    @property
    def host(self):
        """As a visitor writes it into Host."""
        return re.sub(r"^https?://|/$", "", self.url)

    def credentials(self):
        return self.config / "credentials.json"

    def credentials_mode(self):
        return stat.S_IMODE(self.credentials().stat().st_mode)
