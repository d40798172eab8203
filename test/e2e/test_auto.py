"""One port for everything: `--listen auto:` tells TLS, HTTP, SSH and PROXY headers apart."""

import resource
import signal
import socket
import subprocess
import time

import pytest

import proxy_header as pp
from haproxy import Haproxy
from hello import Handshake, context, hello
from karez import PATIENCE, SANITIZED, free_port, wait_until
from raw_servers import RawTarget, echo
from servers import Target, fields_of
from ssh_clients import CLIENTS
from ssh_scene import SshScene, echoed
from tunnel_scene import Scene
from visitor import Visitor, fetch


class AutoScene(SshScene):
    """A server whose only address is .server.port; or, with `front`, one that SSH and all else
    reach there, and the test itself in clear at .server.port."""

    def again(self):
        return Scene.again(self)

    def __init__(self, world, *options, tls=None, front=None, ssh=True, **kw):
        port = free_port()
        kw = {"port": port, "listen": f"auto:127.0.0.1:{port}", **kw} if front is None else kw
        more = ["--tls-cert", tls.cert, "--tls-key", tls.key] if tls else []
        self.ssh_port = port if front is None else front
        Scene.__init__(self, world, *more, *options, **kw)
        self.n_keys = 0
        if not ssh:
            return
        self.key = self.new_key()
        self.upload(self.key)
        self.known_hosts = world.path / f"known_hosts.{self.ssh_port}"
        self.learn()


@pytest.fixture
def web(world):
    return world.closes(Target("web"))


@pytest.fixture
def echoes(world):
    return world.closes(RawTarget(echo))


@pytest.fixture
def scene(world, authority):
    return AutoScene(world, "--unproven-domains", tls=authority.localhost)


def answered_ssh(v):
    return v.until(b"\r\n").startswith(b"SSH-2.0-")


# ---- all at one address ----


def test_everything_at_one_address(world, authority, scene, web, echoes):
    port = scene.server.port
    scene.agent(web, "--name", "web", kind="http")
    again = scene.agent(web, "--name", "safe", "--ca-file", authority.ca, kind="http", config="tls",
                        url=f"https://localhost:{port}")
    # a certificate is there, so what people are told is https
    assert again.url == f"https://safe.localhost:{port}"
    for name in ("web", "safe"):
        assert fetch(port, f"{name}.localhost").text() == "hello from web\n"
        with Visitor(port, tls=context(), name=f"{name}.localhost") as v:
            assert v.get(f"{name}.localhost").text() == "hello from web\n"
    assert scene.server.api().get("/v1/ssh").want(200).json()["ports"] == [port]
    scene.quiet(f"safer:80:127.0.0.1:{web.port}")
    wait_until(lambda: scene.page("safer").status == 200, 10, "ssh -R serves a name")
    (at,) = scene.quiet(f"127.0.0.1:{free_port()}:127.0.0.1:{echoes.port}").ports
    assert echoed(at)
    target = world.closes(RawTarget())
    scene.agent(target, "--domain", "x.a.example", kind="tls", config="x")
    with Visitor(port) as v:
        sent = hello("x.a.example")
        v.send(sent)
        assert target.take().exactly(len(sent)) == sent


@pytest.mark.parametrize("kind", list(CLIENTS))
def test_every_ssh_client(scene, kind, echoes):
    """Also those who say nothing before the server has spoken."""
    client, port = CLIENTS[kind](scene), free_port()
    assert client.ask("127.0.0.1", port, echoes.port) == port
    assert echoed(port) and client.alive()
    client.close()


def test_other_programs(world, authority, scene, web):
    port = scene.server.port
    scene.agent(web, "--name", "web", kind="http")
    at = ["--resolve", f"web.localhost:{port}:127.0.0.1"]
    for url in (f"http://web.localhost:{port}/", f"https://web.localhost:{port}/"):
        said = subprocess.run(["curl", "-sS", "-k", *at, url], env=world.env(), check=True,
                              capture_output=True, text=True).stdout
        assert said == "hello from web\n"
    said = subprocess.run(["openssl", "s_client", "-brief", "-connect", f"127.0.0.1:{port}",
                           "-servername", "localhost", "-CAfile", authority.ca], env=world.env(),
                          input=b"", capture_output=True, check=True).stderr
    assert b"Verification: OK" in said


# ---- behind a load balancer that says whom it brings ----

FRONT = """
listen l
    bind 127.0.0.1:{front}
    server s 127.0.0.1:{to} {send}
"""


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("where", ["auto", "proxy:auto"])
def test_behind_haproxy(world, authority, web, echoes, send, where):
    to = free_port()
    front = Haproxy(world, FRONT, ports=("front",), to=to, send=send).front
    scene = AutoScene(world, "--listen", f"{where}:127.0.0.1:{to}", "--trusted-proxies",
                      "127.0.0.1", tls=authority.localhost, front=front)
    scene.agent(web, "--name", "web", kind="http")
    for tls in (None, context()):
        got = fields_of(fetch(front, "web.localhost", "/headers", source="127.0.0.50", tls=tls,
                              name="web.localhost"))
        assert got["x-forwarded-for"] == ["127.0.0.50"]
        assert got["x-forwarded-proto"] == ["https" if tls else "http"]
    port = free_port()
    assert CLIENTS["putty"](scene).ask("127.0.0.1", port, echoes.port) == port
    assert echoed(port)
    scene.quiet(f"127.0.0.1:{free_port()}:127.0.0.1:{echoes.port}",
                options=("BindAddress=127.0.0.51",))
    scene.server.wait_line(r"event=session-open .*peer=127\.0\.0\.51\b")


def test_headers_of_whom_nobody_trusts(world, authority, web):
    scene = AutoScene(world, "--trusted-proxies", "127.0.0.2", tls=authority.localhost)
    scene.agent(web, "--name", "web", kind="http")
    sent = b"GET /headers HTTP/1.1\r\nHost: web.localhost\r\n\r\n"
    for header in (pp.v1("192.0.2.1", "192.0.2.9", 1, 2), pp.v2("192.0.2.1", "192.0.2.9", 1, 2)):
        with Visitor(scene.server.port) as v:
            v.send(header + sent)
            assert v.ended()
        scene.server.wait_line("event=refused peer=127.0.0.1 code=DENIED")
        with Visitor(scene.server.port, source="127.0.0.2") as v:
            v.send(header + header)
            assert v.ended()
        with Visitor(scene.server.port, source="127.0.0.2") as v:
            v.send(header + sent)
            assert fields_of(v.answer())["x-forwarded-for"] == ["192.0.2.1"]


# ---- who is slow, and who is strange ----


def trickle(v, data):
    """Byte by byte, each in a segment of its own."""
    v.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(len(data)):
        v.send(data[i:i + 1])
        time.sleep(0.002)


def test_first_words_byte_by_byte(scene, web):
    scene.agent(web, "--name", "web", kind="http")
    port = scene.server.port
    for method in ("GET", "POST", "PUT", "PATCH", "PROPFIND", "SEARCH"):
        with Visitor(port) as v:
            trickle(v, f"{method} / HTTP/1.1\r\nHost: web.localhost\r\n\r\n".encode())
            assert v.answer().text() == "hello from web\n", method
    with Visitor(port) as v:
        trickle(v, b"SSH-2.0-slow\r\n")
        assert answered_ssh(v)
    with Visitor(port) as v:
        shake = Handshake(context(), "web.localhost")
        trickle(v, shake.hello)
        assert shake.finish(v.sock).tls.version().startswith("TLSv1")


@pytest.mark.parametrize("sent, first", [
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 "), (b"\xff\xfe\0\1", b"HTTP/1.1 400"),
    (b"HELO mail\r\n\r\n", b"HTTP/1.1 400"), (b"\x16\x03\x01\0\4rubb", b"\x15\x03"),
    (b"\x80\x2e\1\0\2", b"HTTP/1.1 400")], ids=range(5))
def test_what_is_no_protocol_of_ours(scene, sent, first):
    with Visitor(scene.server.port) as v:
        v.send(sent)
        v.sock.shutdown(socket.SHUT_WR)
        assert v.to_end().startswith(first)


def test_half_a_word_is_waited_for_only_so_long(world, authority):
    scene = AutoScene(world, "--handshake-timeout", "2s", tls=authority.localhost)
    before = scene.server.cpu_seconds()
    visitors = [Visitor(scene.server.port) for _ in range(200)]
    for v in visitors:
        v.send(b"PROXY TCP4 "[:3])
    began = time.monotonic()
    for v in visitors:
        assert v.ended()
        v.close()
    assert 1.5 < time.monotonic() - began < 8 * PATIENCE
    # all of them were ready all the time, but for what the kernel was told
    assert scene.server.cpu_seconds() - before < 0.5 * PATIENCE
    assert scene.server.count("code=TIMEOUT") > 0


def test_tls_to_nobody(world):
    scene = AutoScene(world)
    with Visitor(scene.server.port) as v:
        v.send(hello("localhost"))
        assert v.to_end() == b"\x15\x03\x03\0\2\2\x28"  # handshake_failure
    assert fetch(scene.server.port, "localhost").status == 200
    assert scene.anna.get("/v1/ssh").want(200).json()["ports"] == [scene.server.port]


def test_without_ssh(world, authority, web):
    port = free_port()
    scene = Scene(world, "--ssh-auto", "off", "--handshake-timeout", "2s", "--tls-cert",
                  authority.localhost.cert, "--tls-key", authority.localhost.key, port=port,
                  listen=f"auto:127.0.0.1:{port}")
    scene.agent(web, "--name", "web", kind="http")
    scene.anna.get("/v1/ssh").want(404)
    with Visitor(port) as v:
        v.send(b"SSH-2.0-x\r\n\r\n")
        assert v.head().status == 400
    with Visitor(port) as late:
        time.sleep(1.2)  # longer than silence is waited for where it means something
        assert late.get("web.localhost").text() == "hello from web\n"
    with Visitor(port) as v:
        assert v.ended()  # in the end
    assert not (scene.server.state / "ssh").exists()


def test_5000_who_say_nothing(world, authority, web):
    scene = AutoScene(world, "--ssh-login-grace", "3s", tls=authority.localhost)
    scene.agent(web, "--name", "web", kind="http")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    before, silent, slowest = scene.server.rss(), [], 0
    try:
        for n in range(5000 if not SANITIZED else 1000):
            silent.append(socket.create_connection(("127.0.0.1", scene.server.port), 10))
            if n % 250 == 0:
                began = time.monotonic()
                tls = context() if n % 500 else None
                answer = fetch(scene.server.port, "web.localhost", tls=tls, name="web.localhost")
                assert answer.text() == "hello from web\n"
                slowest = max(slowest, time.monotonic() - began)
        assert slowest < 0.5 * PATIENCE, slowest
        grown = scene.server.rss() - before
        assert grown < 16 << 20 or SANITIZED, grown
        # who is no SSH client is soon gone: its own limits say how many may stay
        scene.server.wait_files(scene.server.base_files + 30 + 4)
    finally:
        for sock in silent:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_they_do_not_hold_up_the_end(world, authority):
    scene = AutoScene(world, "--handshake-timeout", "60s", tls=authority.localhost)
    with Visitor(scene.server.port) as half, Visitor(scene.server.port) as silent:
        half.send(b"SS")
        assert fetch(scene.server.port, "localhost").status == 200
        assert scene.server.stop(signal.SIGTERM, 4) == 0
        assert half.ended() and silent.ended()
