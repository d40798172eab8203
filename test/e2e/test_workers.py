"""One server, several processes: a supervisor that holds the sockets, and workers that come and go without a visitor
noticing."""

import functools
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from karez import BUILD, PATIENCE, SANITIZED, free_port, wait_until
from request_load import RequestLoad
from servers import Target
from test_service import Manager
from visitor import Visitor

# Replacements in a row, under load.
TIMES = int(os.environ.get("KAREZ_E2E_REPLACE", "5" if SANITIZED else "50"))


def workers_of(server):
    """The processes that it has started and that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == server.pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def started(world, *options, n=2, **kw):
    """A server all of whose workers are there."""
    server = world.server("--workers", n, *options, **kw)
    server.wait_line("event=ready workers=", 30)
    server.base_files = server.n_files()
    return server


def karezd(world, *args):
    return subprocess.run([str(a) for a in (BUILD / "karezd", *args)], env=world.env(), text=True, capture_output=True,
                          timeout=60 * PATIENCE)


def run_dirs():
    return set(Path("/run").glob("karez-*")) | set(Path("/tmp").glob("karez-??????"))


# ---- life ----

def test_one_that_dies_is_started_again(world):
    server = started(world)
    before = workers_of(server)
    assert len(before) == 2
    load = world.closes(RequestLoad(server.port, "localhost", rate=200))
    wait_until(lambda: load.done > 50, 10, "requests are made")
    os.kill(before[0], signal.SIGKILL)
    server.wait_line(rf"event=worker-died worker=\d pid={before[0]} signal=9")
    wait_until(lambda: len(workers_of(server)) == 2, 5, "there are two again")
    assert before[1] in workers_of(server)
    server.wait_line(r"event=ready worker=\d", since=server.mark() - 1)
    made = load.done
    wait_until(lambda: load.done > made + 100, 10, "more requests are made")
    load.stop()
    # whoever was connected to the one that died has lost his connection, and nobody else: 4 at most
    assert len(load.failures) <= 4, load.failures


def test_one_that_dies_again_and_again_rests(world):
    server = started(world, n=1)
    for _ in range(3):
        since = server.mark()
        (pid,) = wait_until(lambda: workers_of(server), 5, "a worker")
        os.kill(pid, signal.SIGKILL)
        server.wait_line(f"event=worker-died worker=0 pid={pid} signal=9", since=since)
        server.wait_line("event=ready worker=0", since=since)
    assert Visitor(server.port).get("localhost").status == 200


def test_no_worker_outlives_a_supervisor_that_is_killed(world):
    with tempfile.TemporaryDirectory(prefix="karez-") as place:  # nobody else removes what it leaves
        server = started(world, env={"RUNTIME_DIRECTORY": place})
        left = workers_of(server)
        server.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), 10, "workers end")


def test_what_people_read_is_printed_once(world):
    server = started(world, "--ssh-listen", f"127.0.0.1:{free_port()}", n=3)
    assert server.count("karez login", "out") == 1
    assert server.count("ssh host key .*ed25519", "out") == 1
    assert server.count("event=listen") == 2
    since = server.mark()
    server.popen.send_signal(signal.SIGHUP)
    server.wait_line("event=reload generation=2", since=since)
    assert not [text for stream, text in server.lines[since:] if stream == "out"]


def test_a_start_that_fails_ends(world, authority):
    port = free_port()
    options = ("--domain", "localhost", "--workers", 2, "--state-dir", world.path / "s")
    with socket.create_server(("127.0.0.1", port)):
        r = karezd(world, *options, "--listen", f"127.0.0.1:{port}")
    assert r.returncode == 1
    assert f"--listen 127.0.0.1:{port}: cannot listen: address already in use" in r.stderr
    r = karezd(world, *options, "--listen", f"tls:127.0.0.1:{port}", "--tls-dir", "/nowhere")
    assert r.returncode == 1 and "/nowhere" in r.stderr
    r = karezd(world, *options, "--listen", "nowhere")
    assert r.returncode == 2 and "--listen" in r.stderr


def test_records_in_memory_are_everybody_s(world):
    """Until the end of the server, also of all its first workers; then nothing is left of them."""
    dirs = run_dirs()
    server = started(world, store="memory:")
    assert server.count("kept in memory and lost at exit") == 1
    (made,) = run_dirs() - dirs
    assert made.stat().st_mode & 0o777 == 0o700
    admin = server.admin()
    for pid in workers_of(server):
        os.kill(pid, signal.SIGKILL)
    assert admin.get("/v1/account").status == 200
    assert server.stop(signal.SIGTERM) == 0
    assert not made.exists()


def test_the_watchdog_hears_of_the_supervisor(world):
    manager = world.closes(Manager())
    world.env = functools.partial(world.env, NOTIFY_SOCKET=manager.path, WATCHDOG_USEC=200000)
    server = started(world)
    ready = manager.wait("READY=1")
    assert manager.heard.count("READY=1") == 1
    alive = manager.wait("WATCHDOG=1", since=ready)
    for pid in workers_of(server):
        os.kill(pid, signal.SIGKILL)
    manager.wait("WATCHDOG=1", since=alive + 1)
    since = len(manager.heard)
    server.popen.send_signal(signal.SIGHUP)
    reloading = manager.wait(r"RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+", since=since)
    since = manager.wait("READY=1", since=reloading)
    server.popen.send_signal(signal.SIGUSR2)
    reloading = manager.wait(r"RELOADING=1\n.*", since=since)
    manager.wait("READY=1", since=reloading)
    assert server.stop(signal.SIGTERM) == 0
    manager.wait(r"STOPPING=1\nEXTEND_TIMEOUT_USEC=\d+", since=reloading)


# ---- the configuration ----

class Configured:
    """A server with a file, which changes."""

    def __init__(self, world, n=2, **more):
        self.world, self.file, self.ports = world, world.path / "karezd.yaml", [free_port(), free_port()]
        self.n = n
        self.write(self.ports[:1], **more)
        self.server = self._start()

    def _start(self):
        argv = [BUILD / "karezd", "--config", self.file]
        server = self.world.run("karezd", argv)
        server.wait_line("event=ready workers=" if self.n else "event=ready", 30)
        return server

    def write(self, ports, **more):
        lines = [f"listen: [{', '.join(f'127.0.0.1:{p}' for p in ports)}]", "domain: localhost",
                 f"state-dir: {self.world.path / 'state'}", "drain-timeout: 5s"]
        lines += [f"workers: {self.n}"] if self.n else []
        self.file.write_text("\n".join(lines + [f"{k.replace('_', '-')}: {v}" for k, v in more.items()]) + "\n")

    def tell(self, command):
        return karezd(self.world, command, "--state-dir", self.world.path / "state")

    def answers(self, port):
        try:
            with Visitor(port) as v:
                return v.get("localhost").status == 200
        except OSError:
            return False

    def close(self):
        """Ends well."""
        self.server.send_signal(signal.SIGTERM)
        assert self.server.wait(15) == 0


def test_reload(world):
    """Addresses come and go; visitors of those that stay notice nothing."""
    conf = Configured(world)
    kept, second = conf.ports
    load = world.closes(RequestLoad(kept, "localhost", rate=200))
    old = workers_of(conf.server)
    conf.write([kept, second])
    r = conf.tell("reload")
    assert (r.returncode, r.stdout) == (0, f"karezd (process {conf.server.pid}) has read its configuration again\n")
    assert conf.answers(kept) and conf.answers(second)
    wait_until(lambda: not set(old) & set(workers_of(conf.server)), 15, "the old workers have drained")
    conf.n = 3
    conf.write([kept])
    assert conf.tell("reload").returncode == 0
    assert conf.answers(kept)
    wait_until(lambda: not conf.answers(second), 10, "the second address is given up")
    wait_until(lambda: len(workers_of(conf.server)) == 3, 15, "the old workers have drained")
    made = load.done
    wait_until(lambda: load.done > made + 50, 10, "more requests are made")
    load.check()
    conf.close()


WRONG = [
    ("a word that is none", "domian: x\n", r"karezd\.yaml:\d+:1: .*domian"),
    ("a value that is none", "idle-timeout: soon\n", r"karezd\.yaml:\d+:\d+: idle-timeout.*soon"),
    ("no YAML", "domain: [\n", r"karezd\.yaml:\d+"),
    ("a file that is not there", "ssh-listen: 127.0.0.1:0\nssh-ca: /nowhere/ca\n", "/nowhere/ca"),
    ("certificates that are not there", "manage-listen: 127.0.0.1:0\nagent-ca: /nowhere/ca\ntls-dir: /nowhere\n", "/nowhere"),
    ("an address that is taken", "manage-listen: TAKEN\nagent-ca: CA\ntls-cert: CERT\ntls-key: KEY\n",
     "--manage-listen 127.0.0.1:.* already in use"),
]


def test_a_wrong_file_changes_nothing(world, authority):
    conf = Configured(world)
    server, old = conf.server, sorted(workers_of(conf.server))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        good = conf.file.read_text()
        for why, text, says in WRONG:
            text = (text.replace("TAKEN", f"127.0.0.1:{taken.getsockname()[1]}").replace("CERT", str(authority.localhost.cert))
                    .replace("CA", str(authority.ca)).replace("KEY", str(authority.localhost.key)))
            conf.file.write_text(good + text)
            since = server.mark()
            server.popen.send_signal(signal.SIGHUP)
            line = server.wait_line("error event=reload .*", since=since).group(0)
            assert re.search(says, line) and "everything stays as it is" in line, why
            since = server.mark()
            server.popen.send_signal(signal.SIGUSR2)
            assert re.search(says, server.wait_line("error event=reload .*", since=since).group(0)), why
            assert sorted(workers_of(server)) == old, why
            assert conf.answers(conf.ports[0]), why
        r = karezd(world, "reload", "--state-dir", world.path / "state")
        assert r.returncode == 1 and f"process {server.pid} keeps to what it had: " in r.stderr
        os.kill(old[0], signal.SIGKILL)  # a new one serves by what is in force
        server.wait_line("event=ready worker=", since=server.mark())
        assert len(workers_of(server)) == 2
    conf.file.write_text(good)
    assert conf.tell("reload").returncode == 0
    conf.close()


def test_alone_only_some_things_follow(world):
    """Without workers; what does not follow is named."""
    conf = Configured(world, n=0)
    server = conf.server
    conf.write(conf.ports, log_level="debug", max_sessions=5)
    since = server.mark()
    assert conf.tell("reload").returncode == 0
    assert server.wait_line("warn event=reload .*restart: (.*)\"", since=since).group(1) == "--listen, --max-sessions"
    conf.write(conf.ports[:1], log_level="error", nonsense=1)
    r = conf.tell("reload")
    assert r.returncode == 1 and "karezd.yaml:" in r.stderr and "nonsense" in r.stderr
    conf.write(conf.ports[:1])
    since = server.mark()
    assert conf.tell("reload").returncode == 0
    server.wait_line("info event=reload msg=\"in force\"", since=since)
    server.popen.send_signal(signal.SIGUSR2)
    server.wait_line("SIGUSR2 needs a server with --workers", since=since)
    assert conf.answers(conf.ports[0])
    conf.close()


# ---- the program ----

def replace_under_load(server, load, times):
    """Requests are made before, between and during all of it, and each is answered."""
    wait_until(lambda: load.done > 500, 30, "requests are made")
    for i in range(times):
        since = server.mark()
        server.popen.send_signal(signal.SIGUSR2)
        server.wait_line(f"info event=reload generation={i + 2} ", 30, since=since)
        made = load.done
        wait_until(lambda: load.done > made + 100 or load.failures, 10, "requests are made")
        assert not load.failures, f"after {i + 1}: {load.failures[:5]}"
    made = load.check()
    print(f"{made} requests, the slowest took {load.slowest * 1000:.0f} ms", file=sys.stderr)


def test_replaced_again_and_again_under_load(world):
    server = started(world)
    replace_under_load(server, world.closes(RequestLoad(server.port, "localhost", rate=1000)), TIMES)
    wait_until(lambda: len(workers_of(server)) == 2, 15, "the old workers have drained")


def test_tunnels_outlive_the_workers(world):
    """The same through a tunnel: its agent moves to the new workers in time."""
    server = started(world)
    target = world.closes(Target())
    agent = world.agent(server, target.port, "--name", "a")
    load = world.closes(RequestLoad(server.port, server.host("a"), rate=1000))
    replace_under_load(server, load, TIMES)
    agent.kill()


def test_a_program_that_does_not_run_changes_nothing(world, tmp_path):
    """The one on the disk is another one now; what runs goes on, and dies and is started again as it was."""
    program = tmp_path / "karezd"
    program.write_bytes((BUILD / "karezd").read_bytes())
    program.chmod(0o755)
    port = free_port()
    server = world.run("karezd", [program, "--listen", f"127.0.0.1:{port}", "--state-dir", tmp_path / "s",
                                  "--workers", 2])
    server.wait_line("event=ready workers=2", 30)
    program.unlink()
    for text, says in ((None, "does not run"), ("#!/bin/sh\necho no such luck >&2\nexit 3\n", "no such luck")):
        if text is not None:
            program.write_text(text)
            program.chmod(0o755)
        since = server.mark()
        server.popen.send_signal(signal.SIGUSR2)
        server.wait_line(f"error event=reload .*{says}", since=since)
    since = server.mark()
    os.kill(workers_of(server)[0], signal.SIGKILL)
    server.wait_line(r"event=ready worker=\d", since=since)
    since = server.mark()
    server.popen.send_signal(signal.SIGHUP)
    server.wait_line("info event=reload generation=2", since=since)
    program.unlink()
    program.write_bytes((BUILD / "karezd").read_bytes())
    program.chmod(0o755)
    since = server.mark()
    server.popen.send_signal(signal.SIGUSR2)
    server.wait_line("info event=reload generation=3", since=since)
    assert Path(f"/proc/{server.pid}/exe").readlink() == program
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0


# ---- the end ----

@pytest.mark.parametrize("n", [0, 2])
def test_drain(world, n):
    """The command waits for the end; running visitors have their time, new ones are refused."""
    conf = Configured(world, n=n, allow_registration="yes")
    pid_file = world.path / "state" / "karezd.pid"
    assert pid_file.read_text() == f"{conf.server.pid}\n0 ok\n"
    load = world.closes(RequestLoad(conf.ports[0], "localhost", rate=200))
    wait_until(lambda: load.done > 50, 10, "requests are made")
    conf.server.expect_alive = False
    r = conf.tell("drain")
    assert (r.returncode, r.stdout) == (0, f"karezd (process {conf.server.pid}) has drained and ended\n")
    assert conf.server.wait() == 0
    load.stop()
    assert not [why for why in load.failures if "ConnectionRefused" not in why], load.failures[:5]
    assert not pid_file.exists()
    for command in ("drain", "reload"):
        r = conf.tell(command)
        assert r.returncode == 1
        assert r.stderr == f"karezd: no karezd runs here: nobody holds the file {pid_file} (see --state-dir)\n"
    assert karezd(world, "drain", "--now").returncode == 2


def test_a_second_signal_ends_at_once(world):
    server = started(world, n=1, drain="100s")
    target = world.closes(Target())
    agent = world.agent(server, target.port, "--name", "a")
    with Visitor(server.port) as v:
        v.ask(server.host("a"), "/gate")
        wait_until(lambda: target.paths(), 10, "the request is at the target")
        server.send_signal(signal.SIGTERM)
        server.wait_line("event=drain .*worker=")
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
    agent.kill()


def test_all_processes_told_at_once(world):
    """As a container or a terminal does it: who is served by a worker is served to the end all the same."""
    server = started(world, n=1, drain="20s")
    target = world.closes(Target())
    agent = world.agent(server, target.port, "--name", "a")
    with Visitor(server.port) as v:
        v.ask(server.host("a"), "/gate")
        wait_until(lambda: target.paths(), 10, "the request is at the target")
        (pid,) = workers_of(server)
        server.send_signal(signal.SIGTERM)
        os.kill(pid, signal.SIGTERM)
        server.wait_line("event=drain .*worker=")
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        target.gate.set()
        assert v.answer().status == 200
    assert server.wait(25) == 0
    agent.kill()


# ---- socket activation ----

ACTIVATE = """
import os, socket, sys
def listening(where):
    if where.startswith("/"):
        s = socket.socket(socket.AF_UNIX); s.bind(where)
    else:
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(where)))
    s.listen(100)
    return s
n = sys.argv.index("--")
socks = [listening(w) for w in sys.argv[1:n]]
for i, s in enumerate(socks):
    fd = os.dup2(s.fileno(), 100 + i)
for i in range(len(socks)):
    os.dup2(100 + i, 3 + i)
os.closerange(3 + len(socks), 200)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(socks)))
os.execv(sys.argv[n + 1], sys.argv[n + 1:])
"""


def activated(world, wheres, *options):
    """karezd as a service manager would start it."""
    return world.run("karezd", [sys.executable, "-c", ACTIVATE, *wheres, "--", BUILD / "karezd", "--state-dir",
                                world.path / "state", *options])


@pytest.mark.parametrize("workers", [(), ("--workers", 2)], ids=["alone", "workers"])
def test_sockets_of_a_service_manager(world, workers):
    port, own, path = free_port(), free_port(), world.path / "s"
    server = activated(world, (port, path), "--listen", f"127.0.0.1:{port}", "--listen", f"unix:{path}",
                       "--listen", f"127.0.0.1:{own}", *workers)
    server.wait_line("event=ready workers=2" if workers else "event=ready", 30)
    for at in (port, own):
        with Visitor(at) as v:
            assert v.get("localhost").status == 200
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 200 ")
    if workers:
        since = server.mark()
        server.popen.send_signal(signal.SIGUSR2)
        server.wait_line("info event=reload generation=2", since=since)
        with Visitor(port) as v:
            assert v.get("localhost").status == 200
    server.send_signal(signal.SIGTERM)
    assert server.wait(15) == 0
    assert path.exists()  # it is the manager's


@pytest.mark.parametrize("workers", [(), ("--workers", 2)], ids=["alone", "workers"])
def test_a_socket_that_nobody_asked_for(world, workers):
    port, other = free_port(), free_port()
    server = activated(world, (port, other), "--listen", f"127.0.0.1:{port}", *workers)
    assert server.wait(15) == 1
    assert f"descriptor 4 listens at 127.0.0.1:{other}, which no --listen," in server.text("err")


def test_systemd_socket_activate(world):
    """The real one waits for a first connection before it starts anything."""
    tool = Path("/usr/bin/systemd-socket-activate")
    if not tool.exists():
        pytest.skip("no systemd-socket-activate here")
    port = free_port()
    server = world.run("karezd", [tool, "-l", f"127.0.0.1:{port}", BUILD / "karezd", "--workers", 2, "--listen",
                                  f"127.0.0.1:{port}", "--state-dir", world.path / "state"])
    server.wait_line("Listening on", 10)
    with Visitor(port, timeout=30) as v:
        assert v.get("localhost").status == 200
    server.wait_line("event=ready workers=2", 30)
    server.send_signal(signal.SIGTERM)
    assert server.wait(15) == 0


# ---- karezd check ----

def test_check(world, authority):
    """Exit codes 0, 1 and 2; nothing is written or opened."""
    state = world.path / "nothing"
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):  # in use: a server may run while it is looked at
        r = karezd(world, "check", "--listen", f"127.0.0.1:{port}", "--state-dir", state)
    assert (r.returncode, r.stdout, r.stderr) == (0, "nothing is wrong\n", "")
    assert not state.exists()
    r = karezd(world, "check", "--listen", "tls::443", "--tls-cert", authority.localhost.cert, "--tls-key",
               authority.localhost.key)
    assert r.returncode == 0
    r = karezd(world, "check", "--listen", "tls::443", "--tls-cert", authority.localhost.cert, "--tls-key", "/nowhere")
    assert r.returncode == 1 and "/nowhere" in r.stderr
    key = world.path / "key"
    key.write_text("0123456789abcdef" * 2 + "\n")
    cluster = ("--store", "redis://127.0.0.1:1", "--hop-listen", "127.0.0.1:7000", "--cluster-key-file", key)
    r = karezd(world, "check", *cluster)
    assert r.returncode == 1 and "is open to others (mode 0644)" in r.stderr
    key.chmod(0o600)
    assert karezd(world, "check", *cluster).returncode == 0
    r = karezd(world, "check", "--workers", "many")
    assert r.returncode == 2 and "--workers" in r.stderr
