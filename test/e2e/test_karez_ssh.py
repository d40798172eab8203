"""`karez ssh -R`: forwards through Debian's sshd, and through karezd; and what ssh-setup says."""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess

import pytest

from karez import BUILD, free_port, wait_until
from raw_servers import RawTarget, digest, echo, named, receive_digest, send_blocks, source
from servers import Target, digest_of
from ssh_scene import Key, SshScene, echoed
from sshd import Sshd, children_of
from tunnel_scene import refuses, wait_open, wait_refused
from visitor import Broken, Visitor

ALLOCATED = r"Allocated port (\d+) for remote forward to "
FAILED = r"remote port forwarding failed for listen port (\d+)"


class There:
    """A key, an sshd that takes it, and `karez ssh` to it."""

    def __init__(self, world, **config):
        self.world = world
        self.key = Key(world.dir("keys") / "id")
        self.sshd = Sshd(world, self.key, **config)
        self.known_hosts = world.path / "known_hosts"
        self.known_hosts.write_text(self.sshd.known())

    def argv(self, *args, key=None, options=(), port=None, user=None, host="127.0.0.1"):
        identity = [] if key == "none" else ["-i", (key or self.key).file]
        options = [f"UserKnownHostsFile={self.known_hosts}", *options]
        return [BUILD / "karez", "ssh", "-F", "none", "-p", port or self.sshd.port, *identity,
                *(a for o in options for a in ("-o", o)), *args,
                f"{user or self.sshd.user}@{host}"]

    def karez(self, *args, tty=False, env=None, **kw):
        n = len(self.world.guests) + 1
        return self.world.guest(f"karez-ssh#{n}", self.argv(*args, **kw), tty=tty,
                                env=self.world.env(**(env or {})))

    def forward(self, *specs, **kw):
        """All of them are granted; .ports: where, in their order."""
        proc = self.karez(*(a for s in specs for a in ("-R", s)), **kw)
        proc.ports = granted(proc, len(specs))
        return proc

    def fails(self, *args, code=1, seconds=15, **kw):
        proc = self.karez(*args, **kw)
        assert proc.wait(seconds) == code, proc.text()
        return proc.text()


def granted(proc, n, seconds=10):
    pattern = rf"{ALLOCATED}|^Forwarding \S+:(\d+) on \S+ to "

    def there():
        found = [int(m[1] or m[2]) for m in
                 (re.search(pattern, line) for line in proc.said()) if m]
        assert proc.alive(), proc.text()
        return found if len(found) >= n else None
    return wait_until(there, seconds, f"{proc.name} has {n} forwards")


def to(target, spec):
    return f"{spec}:127.0.0.1:{target.port}"


@pytest.fixture
def there(world):
    return There(world)


@pytest.fixture
def echoes(world):
    return world.closes(RawTarget(echo))


# ---- forwards ----


def test_port_0(there, echoes):
    proc = there.karez("-R", f"0:localhost:{echoes.port}")
    port = int(proc.wait_line(ALLOCATED + f"localhost:{echoes.port}", 10)[1])
    assert echoed(port)
    assert proc.stop(signal.SIGINT) == 0
    wait_refused(port)


def test_a_fixed_port(there, echoes):
    port = free_port()
    proc = there.karez("-N", "-R", to(echoes, port))
    proc.wait_line(rf"^Forwarding localhost:{port} on 127\.0\.0\.1 to "
                   rf"127\.0\.0\.1:{echoes.port}$", 10)
    assert echoed(port)


def test_several(there, echoes, world):
    other = world.closes(RawTarget(named("other")))
    port = free_port()
    proc = there.forward(to(echoes, port), to(other, 0), to(echoes, 0))
    assert proc.ports[0] == port and len(set(proc.ports)) == 3
    assert echoed(proc.ports[0]) and echoed(proc.ports[2])
    with Visitor(proc.ports[1]) as v:
        assert v.until(b"\n") == b"other"


EVERYWHERE, LOOPBACK = {"127.0.0.1", "127.0.0.7", "::1"}, {"127.0.0.1", "::1"}


@pytest.mark.parametrize("ports, spec, listens", [
    ("no", "{}", LOOPBACK), ("no", "*:{}", LOOPBACK), ("no", "127.0.0.7:{}", LOOPBACK),
    ("yes", "{}", EVERYWHERE), ("yes", "localhost:{}", EVERYWHERE),
    ("clientspecified", "{}", LOOPBACK), ("clientspecified", "localhost:{}", LOOPBACK),
    ("clientspecified", "*:{}", EVERYWHERE), ("clientspecified", ":{}", EVERYWHERE),
    ("clientspecified", "127.0.0.7:{}", {"127.0.0.7"}), ("clientspecified", "[::1]:{}", {"::1"}),
    ("clientspecified", "0.0.0.0:{}", {"127.0.0.1", "127.0.0.7"}),
])
def test_gateway_ports(world, echoes, ports, spec, listens):
    there = There(world, GatewayPorts=ports)
    port = free_port()
    there.forward(to(echoes, spec.format(port)))
    assert {a for a in EVERYWHERE if not refuses(port, a)} == listens
    assert all(echoed(port, a) for a in listens)


def test_permit_listen(world, echoes):
    good, bad = free_port(), free_port()
    there = There(world, PermitListen=f"localhost:{good}")
    proc = there.karez("-R", to(echoes, bad), "-R", to(echoes, good))
    assert int(proc.wait_line(FAILED, 10)[1]) == bad
    wait_open(good)
    assert echoed(good) and refuses(bad) and proc.alive()
    said = there.fails("-R", to(echoes, bad))
    assert f"failed for listen port {bad}" in said
    said = there.fails("-R", to(echoes, bad), "-R", to(echoes, free_port()),
                       options=["ExitOnForwardFailure=yes"])
    assert f"failed for listen port {bad}" in said


def test_exit_on_forward_failure(world, echoes):
    good, bad = free_port(), free_port()
    there = There(world, PermitListen=f"localhost:{good}")
    said = there.fails("-R", to(echoes, good), "-R", to(echoes, bad),
                       options=["ExitOnForwardFailure=yes"])
    assert f"failed for listen port {bad}" in said
    wait_refused(good)


def test_no_forwarding_at_all(world, echoes):
    there = There(world, AllowTcpForwarding="no")
    said = there.fails("-R", to(echoes, 0))
    assert "remote port forwarding failed for listen port 0" in said


@contextlib.contextmanager
def holding(port):
    """Nobody else may have it; sshd is content with one of two addresses."""
    with socket.create_server(("127.0.0.1", port)), \
            socket.create_server(("::1", port), family=socket.AF_INET6):
        yield port


def test_a_busy_port(there, echoes):
    with holding(free_port()) as port:
        assert f"failed for listen port {port}" in there.fails("-R", to(echoes, port))


def test_a_unix_socket_as_the_target(world, there):
    path = world.path / "web.sock"
    world.closes(Target(path=path))
    proc = there.forward(f"0:{path}")
    with Visitor(proc.ports[0]) as v:
        assert v.get("x").text() == "hello from target\n"


def test_ip6_target(world, there):
    target = world.closes(RawTarget(named("six"), host="::1"))
    proc = there.forward(f"0:[::1]:{target.port}")
    with Visitor(proc.ports[0]) as v:
        assert v.until(b"\n") == b"six"


def test_a_target_that_is_not_there(there):
    proc = there.forward(f"0:127.0.0.1:{free_port()}")
    with Visitor(proc.ports[0]) as v:
        assert v.ended()
    assert proc.alive()
    proc.wait_line("refused|cannot", 5)


# ---- SOCKS ----


def socks5(v, host, port):
    v.send(b"\5\1\0")
    assert v.exactly(2) == b"\5\0"
    name = host.encode()
    v.send(b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack(">H", port))
    reply = v.exactly(4)
    v.exactly({1: 6, 4: 18}.get(reply[3]) or v.exactly(1)[0] + 2)
    return reply[1]


def test_a_port_alone_is_a_socks_proxy(there, echoes):
    port = free_port()
    proc = there.karez("-R", port)
    wait_open(port)
    with Visitor(port) as v:
        assert socks5(v, "localhost", echoes.port) == 0
        v.send(b"ping")
        assert v.exactly(4) == b"ping"
    with Visitor(port) as v:
        assert socks5(v, "127.0.0.1", free_port()) != 0
    with Visitor(port) as v:
        v.send(b"\4\1" + struct.pack(">H", echoes.port) + b"\x7f\0\0\1me\0")
        assert v.exactly(8)[1] == 90
        v.send(b"ping")
        assert v.exactly(4) == b"ping"
    with Visitor(port) as v:
        v.send(b"\4\1" + struct.pack(">H", echoes.port) + b"\0\0\0\1me\0localhost\0")
        assert v.exactly(8)[1] == 90
        v.send(b"ping")
        assert v.exactly(4) == b"ping"
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\5\0", b"\5\1\2", b"\4\2\0\0\0\0\0\1\0"):
        with Visitor(port) as v:
            v.send(garbage)
            v.sock.shutdown(socket.SHUT_WR)
            v.sock.settimeout(15)
            while v.sock.recv(4096):
                pass
    assert proc.alive()
    got = subprocess.run(["curl", "-s", "--socks5-hostname", f"127.0.0.1:{port}",
                          f"http://localhost:{echoes.port}/", "--max-time", "5", "--http0.9"],
                         capture_output=True, check=False, timeout=20)
    assert got.stdout.startswith(b"GET / HTTP/1.1"), got


# ---- bytes ----


def test_bytes_both_ways(world, there):
    size = 64 << 20
    up, down = world.closes(RawTarget(digest)), world.closes(RawTarget(source(size)))
    proc = there.forward(to(up, 0), to(down, 0), options=["RekeyLimit=16M"])
    with Visitor(proc.ports[0], timeout=60) as v:
        send_blocks(v.sock, size)
        v.sock.shutdown(socket.SHUT_WR)
        assert v.to_end().decode() == digest_of(size)
    with Visitor(proc.ports[1], timeout=60) as v:
        assert receive_digest(v.sock) == (digest_of(size), size)


def test_half_close_and_many_visitors(there, echoes):
    proc = there.forward(to(echoes, 0))
    for _ in range(50):
        with Visitor(proc.ports[0]) as v:
            v.send(b"x" * 1000)
            v.sock.shutdown(socket.SHUT_WR)
            assert v.to_end() == b"x" * 1000
    files = proc.n_files()
    visitors = [Visitor(proc.ports[0]) for _ in range(100)]
    for v in visitors:
        v.send(b"ping")
    for v in visitors:
        assert v.exactly(4) == b"ping"
        v.close()
    wait_until(lambda: proc.n_files() <= files + 1, 5, "the targets have gone")


# ---- who they are ----


def test_a_host_key_that_is_not_known_and_nobody_to_ask(there, echoes):
    there.known_hosts.write_text("")
    said = there.fails("-R", to(echoes, 0))
    assert "host key" in said.lower() or "authenticity" in said, said
    assert there.known_hosts.read_text() == ""


def test_a_host_key_that_is_not_known_is_asked_about(there, echoes):
    there.known_hosts.write_text("")
    proc = there.karez("-R", to(echoes, 0), tty="typed")
    proc.wait_screen("authenticity of host", 10)
    proc.wait_screen(there.sshd.host_key.fingerprint.replace("+", r"\+"), 5)
    proc.wait_screen(r"\(yes/no/\[fingerprint\]\)\? ?$", 5)
    proc.type("maybe\r")
    proc.wait_screen("Please type", 5)
    proc.type("yes\r")
    port = int(proc.wait_screen(ALLOCATED, 10)[1])
    assert echoed(port)
    assert there.sshd.host_key.line.split()[1] in there.known_hosts.read_text()
    proc.kill()
    assert there.forward(to(echoes, 0)), "it is known from now on"


def test_the_answer_no(there, echoes):
    there.known_hosts.write_text("")
    proc = there.karez("-R", to(echoes, 0), tty="typed")
    proc.wait_screen(r"fingerprint\]\)\? ?$", 10)
    proc.type("no\r")
    assert proc.wait(10) == 1
    assert there.known_hosts.read_text() == ""


def test_the_fingerprint_as_the_answer(there, echoes):
    there.known_hosts.write_text("")
    proc = there.karez("-R", to(echoes, 0), tty="typed")
    proc.wait_screen(r"fingerprint\]\)\? ?$", 10)
    proc.type(there.sshd.host_key.fingerprint + "\r")
    proc.wait_screen(ALLOCATED, 10)


def test_a_host_key_that_has_changed(there, echoes, world):
    other = Key(world.dir("keys") / "other")
    there.known_hosts.write_text(f"[127.0.0.1]:{there.sshd.port} {other.line}\n")
    said = there.fails("-R", to(echoes, 0))
    assert "CHANGED" in said.upper() and there.sshd.host_key.fingerprint in said, said
    proc = there.karez("-R", to(echoes, 0), tty="typed")
    assert proc.wait(10) == 1, "it is not even asked about"


def test_accept_new(there, echoes):
    there.known_hosts.write_text("")
    there.forward(to(echoes, 0), options=["StrictHostKeyChecking=accept-new"])
    assert there.sshd.host_key.line.split()[1] in there.known_hosts.read_text()


# ---- who we are ----


@pytest.mark.parametrize("kind", [("-t", "ed25519"), ("-t", "ecdsa"), ("-t", "rsa", "-b", "2048")],
                         ids=" ".join)
def test_kinds_of_keys(world, there, echoes, kind):
    key = Key(world.dir("keys") / "kind", *kind)
    there.sshd.authorized.write_text(key.line + "\n")
    assert echoed(there.forward(to(echoes, 0), key=key).ports[0])


def test_a_key_that_is_not_taken(world, there, echoes):
    said = there.fails("-R", to(echoes, 0), key=Key(world.dir("keys") / "stranger"))
    assert "ermission denied" in said and "publickey" in said, said


def test_a_passphrase_is_asked_once(world, there, echoes):
    key = Key(world.dir("keys") / "locked", passphrase="open sesame")
    there.sshd.authorized.write_text(key.line + "\n")
    there.fails("-R", to(echoes, 0), key=key)
    port = free_port()
    proc = there.karez("-R", to(echoes, port), key=key, tty="typed")
    proc.wait_screen(r"passphrase for .*locked.*: ?$", 10)
    proc.type("open sesame\r")
    proc.wait_screen(f"Forwarding .*{port}", 10)
    assert echoed(port)
    there.sshd.kill()
    wait_refused(port)
    there.sshd.start()
    wait_open(port, seconds=30)
    assert echoed(port)
    assert proc.screen().count("passphrase for") == 1 and "sesame" not in proc.screen()


def agent_with(world, key):
    path = world.path / "agent.sock"
    world.guest("ssh-agent", ["ssh-agent", "-D", "-a", path])
    wait_until(path.exists, 5, "the agent listens")
    subprocess.run(["ssh-add", "-q", key.file], check=True, env=world.env(SSH_AUTH_SOCK=path),
                   stdin=subprocess.DEVNULL)
    return {"SSH_AUTH_SOCK": path}


def test_the_agent_of_a_person(world, there, echoes):
    env = agent_with(world, there.key)
    assert echoed(there.forward(to(echoes, 0), key="none", env=env).ports[0])


def test_a_password_is_asked_for_and_refused(world, echoes):
    there = There(world, PasswordAuthentication="yes")
    there.sshd.authorized.write_text("")
    proc = there.karez("-R", to(echoes, 0), tty="typed")
    for i in range(1, 4):
        proc.wait_screen("(?s)" + "assword: .*" * i, 15)
        proc.type("wrong\r")
    assert proc.wait(20) == 1, proc.text()
    assert "ermission denied" in proc.screen() and "wrong" not in proc.screen()


# ---- the configuration of ssh ----


def test_a_config_file(world, there, echoes):
    file = world.path / "config"
    file.write_text(f"Host there\n HostName 127.0.0.1\n Port {there.sshd.port}\n"
                    f" User {there.sshd.user}\n IdentityFile {there.key.file}\n"
                    f" UserKnownHostsFile {there.known_hosts}\n")
    proc = world.guest("karez-ssh", [BUILD / "karez", "ssh", "-F", file, "-R", to(echoes, 0),
                                     "there"])
    assert echoed(granted(proc, 1)[0])


def jump(world, there):
    """A second sshd on the way, and an `ssh` that finds its key and its known hosts."""
    second = Sshd(world, there.key, name="jump")
    there.known_hosts.write_text(there.sshd.known() + second.known())
    config = world.path / "jump.config"
    config.write_text(f"Host *\n IdentityFile {there.key.file}\n IdentitiesOnly yes\n"
                      f" UserKnownHostsFile {there.known_hosts}\n BatchMode yes\n")
    wrapper = world.dir("bin") / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} "$@"\n')
    wrapper.chmod(0o755)
    return second, f"{wrapper.parent}:/usr/bin:/bin"


def test_proxy_jump(world, there, echoes):
    second, path = jump(world, there)
    proc = there.forward(to(echoes, 0), env={"PATH": path},
                         options=[f"ProxyJump={second.user}@127.0.0.1:{second.port}"])
    assert echoed(proc.ports[0])
    assert second.proc.count("Accepted publickey") == 1
    proc.stop(signal.SIGINT)
    wait_refused(proc.ports[0])


def test_proxy_command(world, there, echoes):
    second, path = jump(world, there)
    proc = there.forward(to(echoes, 0), env={"PATH": path}, options=[
        f"ProxyCommand=ssh -p {second.port} -W %h:%p {second.user}@127.0.0.1"])
    assert echoed(proc.ports[0])
    assert second.proc.count("Accepted publickey") == 1


# ---- wrong arguments ----


@pytest.mark.parametrize("args, word", [
    ([], ""), (["host"], "remote-forward"), (["-R", "x", "host"], "x"),
    (["-R", "70000:a:1", "host"], "70000"),
    (["-R", "80:a:0", "host"], "0"), (["-R", "80:a:80"], ""), (["-R", "80:a:80", "a", "b"], "b"),
    (["-R", "/tmp/there.sock:a:80", "host"], "/tmp/there.sock"),
    (["-R", "80:a:80", "-p", "70000", "host"], "70000"),
    (["-R", "80:a:80", "-o", "Nonsense=1", "host"], "Nonsense"),
    (["-R", "80:a:80", "-L", "80:a:80", "host"], "-L"), (["-R", ":::::", "host"], ""),
])
def test_wrong_arguments(world, args, word):
    proc = world.run("karez-ssh", [BUILD / "karez", "ssh", "-F", "none", *args])
    assert proc.wait(10) == 2, proc.text()
    assert word in proc.text("err") and not proc.said("out"), proc.text()


def test_help(world):
    for command in ("ssh", "ssh-setup"):
        proc = world.run("karez", [BUILD / "karez", command, "--help"])
        assert proc.wait(5) == 0 and proc.text("out")


def test_a_server_that_is_not_there(there, echoes):
    there.sshd.kill()
    said = there.fails("-R", to(echoes, 0))
    assert f"{there.sshd.port}" in said and "refused" in said, said


# ---- life ----


def test_reconnect(there, echoes):
    port = free_port()
    proc = there.forward(to(echoes, port), to(echoes, 0))
    for _ in range(2):
        there.sshd.kill()
        for p in proc.ports:
            wait_refused(p)
        there.sshd.start()
        for p in proc.ports:
            wait_open(p, seconds=30)
            assert echoed(p), "a port that was allocated is asked for again"
    assert proc.stop(signal.SIGINT) == 0


def test_a_port_that_is_gone_after_a_reconnect(there, echoes):
    proc = there.forward(to(echoes, 0))
    port = proc.ports[0]
    there.sshd.kill()
    with holding(port):
        mark = proc.mark()
        there.sshd.start()
        other = int(proc.wait_line(ALLOCATED, 90, since=mark)[1])
        assert other != port and echoed(other)


def drip(peer, target=None):
    """A line now and then, and never a greeting (RFC 4253 4.2 lets a server)."""
    peer.sock.settimeout(0.1)
    with contextlib.suppress(OSError):
        while True:
            peer.sock.sendall(b"wait\r\n")
            with contextlib.suppress(TimeoutError):
                if not peer.sock.recv(4096):
                    return


def test_a_server_that_only_says_to_wait(world, there, echoes):
    target = world.closes(RawTarget(drip))
    said = there.fails("-R", to(echoes, 0), port=target.port, options=["ConnectTimeout=1"])
    assert "does not let us in in time" in said, said


def test_a_silent_server_is_dead(there, echoes):
    proc = there.forward(to(echoes, 0))
    mark = proc.mark()
    pids = children_of(there.sshd.proc.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    proc.wait_line("lost|silent|dead|again|no answer", 25, since=mark)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _is_back(proc.ports[0]), 40, "it is back")


def _is_back(port):
    """The socket of the one that was killed may still be there for a moment."""
    try:
        return echoed(port)
    except (OSError, Broken):
        return False


def test_json(there, echoes):
    proc = there.karez("--json", "-R", to(echoes, 0))

    def found():
        return [json.loads(line) for line in proc.said("out")]
    wait_until(lambda: any("port" in str(o) for o in found()), 10, "the port is told")
    assert all("event" in o for o in found()), proc.text()


def test_a_line_for_each_connection_unless_quiet(there, echoes):
    loud = there.forward(to(echoes, 0))
    with Visitor(loud.ports[0]) as v:
        source_port = v.sock.getsockname()[1]
        v.send(b"ping")
        assert v.exactly(4) == b"ping"
    loud.wait_line(rf"127\.0\.0\.1.*\b4\b|127\.0\.0\.1:{source_port}", 5)
    port = free_port()
    quiet = there.karez("-q", "-R", to(echoes, port))
    wait_open(port)
    assert echoed(port) and not quiet.said()


# ---- to karezd ----


def test_karez_ssh_to_karezd(world, echoes):
    scene = SshScene(world)
    web = world.closes(Target())
    argv = [BUILD / "karez", "ssh", "-F", "none", "-p", scene.ssh_port, "-i", scene.key.file, "-o",
            f"UserKnownHostsFile={scene.known_hosts}", "-R", to(echoes, 0), "-R",
            to(web, "demo:80"), "anna@127.0.0.1"]
    proc = world.guest("karez-ssh", argv)
    port = int(proc.wait_line(ALLOCATED, 10)[1])
    assert echoed(port)
    wait_until(lambda: scene.page("demo").status == 200, 10, "demo is served")
    scene.server.stop(signal.SIGTERM)
    scene.again()
    wait_until(lambda: scene.page("demo").status == 200, 30, "it comes back by itself")
    wait_open(port, seconds=30)
    assert echoed(port)
    assert proc.stop(signal.SIGINT) == 0
    wait_until(lambda: scene.page("demo").status == 503, 5, "it has left")


def test_help_tells_what_has_a_meaning(world):
    proc = world.run("karez", [BUILD / "karez", "ssh", "--help"])
    assert proc.wait(10) == 0
    said = proc.text("out")
    assert "--remote-forward" in said and "--json" in said, said
    assert not re.search(r"^ .*--(server|token|token-file|ca-file|config-dir)\b", said, re.M), said


def test_ssh_setup(world):
    scene = SshScene(world)
    proc = world.run("karez", [BUILD / "karez", "ssh-setup", "--server", scene.server.url])
    assert proc.wait(10) == 0, proc.text()
    said = proc.text("out")
    assert "karez key add" in said and f"-p {scene.ssh_port}" in said and "-R" in said, said
    assert scene.host_keys()[0]["fingerprint"] in said or scene.host_keys()[0]["key"] in said


def test_ssh_setup_where_there_is_no_ssh(world):
    server = world.server()
    proc = world.run("karez", [BUILD / "karez", "ssh-setup", "--server", server.url])
    assert proc.wait(10) == 1
    assert "SSH" in proc.text("err"), proc.text()
