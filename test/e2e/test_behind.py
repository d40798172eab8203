"""karezd behind nginx and HAProxy, with the configurations of deploy/ (A17, A18 through each)."""

import asyncio
import hashlib
import json
import signal
import socket
import ssl

import pytest
import websockets

import proxy_header as pp
from fronts import Front
from hello import context, hello
from karez import free_port, wait_until
from raw_servers import RawTarget, echo
from servers import BLOCK, Target, WebSocketTarget, fields_of
from ssh_scene import echoed
from test_auto import AutoScene
from visitor import Visitor, fetch

HTTP = ["nginx/karez.conf", "haproxy/karez-http.cfg"]
ALL = [*HTTP, "haproxy/karez-tcp.cfg"]
SIZE = 4 << 20

# What a visitor says of himself, and is not believed.
FORGED = [("X-Forwarded-For", "6.6.6.6"), ("X-Real-IP", "6.6.6.6"), ("X-Forwarded-Proto", "gopher"),
          ("X-Forwarded-Host", "bank.example"), ("X-Forwarded-Port", "7"),
          ("Forwarded", "for=6.6.6.6;proto=gopher")]


class Scene(AutoScene):
    """All comes through the load balancer but the test's own calls of the API."""

    def __init__(self, world, authority, name, edit=()):
        self.front = Front(world, name, authority.localhost, edit)
        self.authority = authority
        super().__init__(world, "--unproven-domains", *self.front.options, front=self.front.port,
                         ssh=name not in HTTP)
        self.front.start()

    def agent(self, target, *options, kind="http", **kw):
        return super().agent(target, "--ca-file", self.authority.ca, *options, kind=kind,
                             url=f"https://localhost:{self.front.port}", **kw)

    def at(self, name):
        return f"{name}.localhost:{self.front.port}"

    def visitor(self, name="web", **kw):
        return Visitor(self.front.port, tls=context(), name=f"{name}.localhost", **kw)

    def fetch(self, path="/", name="web", method="GET", fields=(), body=None, **kw):
        return fetch(self.front.port, self.at(name), path, method, fields, body, tls=context(),
                     name=f"{name}.localhost", **kw)


@pytest.fixture(params=ALL)
def scene(world, authority, request):
    return Scene(world, authority, request.param)


@pytest.fixture
def web(world):
    return world.closes(Target("web"))


@pytest.mark.parametrize("transport", ["upgrade", "websocket"])
def test_a17_an_agent_and_whom_its_target_sees(scene, web, transport):
    agent = scene.agent(web, "--name", "web", "--transport", transport)
    assert agent.url == f"https://{scene.at('web')}"
    scene.connected("web", 2)
    got = fields_of(scene.fetch("/headers", source="127.0.0.50", fields=FORGED))
    behind_http = scene.front.name in HTTP
    assert got["x-forwarded-for"] == ["127.0.0.50, 127.0.0.1" if behind_http else "127.0.0.50"]
    assert got["x-real-ip"] == ["127.0.0.50"]
    assert got["forwarded"][0].startswith("for=127.0.0.50;") and "6.6.6.6" not in str(got)
    assert got["x-forwarded-proto"] == ["https"]
    assert got["x-forwarded-host"] == [scene.at("web")] == got["host"]
    assert got["x-forwarded-port"] == [str(scene.front.port)]


def test_a17_an_account_is_made_through_it(scene, world):
    answer = fetch(scene.front.port, f"localhost:{scene.front.port}", "/v1/account", "POST",
                   [("Content-Type", "application/json")], b"{}", tls=context(), name="localhost")
    made = answer.json()
    world.plant(made["token"])
    assert answer.status == 201 and len(made["account_id_hr"]) == 19


def test_an_address_list_judges_the_visitor_and_not_the_balancer(scene, web):
    scene.agent(web, "--name", "web")
    scene.anna.patch("/v1/tunnels/web", {"visitors": {"allow": ["127.0.0.50"]}}).want(200)
    assert scene.fetch(source="127.0.0.50").status == 200
    assert scene.fetch(source="127.0.0.51").status == 403
    assert scene.fetch(fields=[("X-Forwarded-For", "127.0.0.50")], source="127.0.0.51").status == 403


def test_a18_answers_of_karezd_come_as_they_are(scene, web):
    assert scene.fetch(name="nosuch").status == 404
    scene.agent(free_port(), "--name", "dead")
    assert scene.fetch(name="dead").status == 502
    away = scene.agent(web, "--name", "away", config="away")
    assert away.stop() == 0
    answer = scene.fetch(name="away")
    assert answer.status == 503 and "karez" in answer.text()
    scene.agent(f"https://localhost:{scene.front.port}", "--target-insecure", "--name", "snake",
                config="snake")
    assert scene.fetch(name="snake").status == 508


def test_a19_the_agent_comes_back_when_karezd_does(scene, web):
    """Meanwhile the load balancer speaks for it: that is no refusal."""
    agent = scene.agent(web, "--name", "web")
    assert scene.server.stop(signal.SIGTERM, 8) == 0
    with pytest.raises((AssertionError, OSError)):
        assert scene.fetch().status == 200
    scene.again()
    scene.connected("web", 2)
    assert agent.alive()
    wait_until(lambda: scene.fetch().status == 200, 10, "visitors are served again")


@pytest.mark.parametrize("transport", ["upgrade", "websocket"])
def test_a18_a_websocket_of_a_visitor(world, scene, transport):
    target = world.closes(WebSocketTarget())
    scene.agent(target, "--name", "web", "--transport", transport)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE

    async def talk():
        async with websockets.connect(f"wss://{scene.at('web')}/chat", host="127.0.0.1", ssl=tls,
                                      port=scene.front.port, extra_headers=FORGED,
                                      local_addr=("127.0.0.60", 0)) as ws:
            fields = {n.lower(): v for n, v in json.loads(await ws.recv())}
            assert fields["x-real-ip"] == "127.0.0.60"
            assert fields["x-forwarded-proto"] == "https"
            assert "6.6.6.6" not in str(fields)
            big = bytes(range(256)) * 4096
            for message in ("one", "two", big):
                await ws.send(message)
                assert await ws.recv() == message

    asyncio.run(talk())


def test_a18_an_upgrade_that_nobody_knows(scene, web):
    """Early bytes of both sides, and the end."""
    scene.agent(web, "--name", "web")
    with scene.visitor() as v:
        v.ask(scene.at("web"), "/upgrade", fields=[("Connection", "Upgrade"), ("Upgrade", "echo")])
        assert v.head().status == 101
        assert v.exactly(18) == b"early from target;"
        v.send(b"later")
        assert v.exactly(5) == b"later"


def test_who_passes_only_websocket_on(world, authority, web):
    """An agent finds that out by itself."""
    scene = Scene(world, authority, "nginx/karez.conf", [("default upgrade;", "websocket upgrade;")])
    scene.agent(web, "--name", "web")
    scene.connected("web", 2)
    assert scene.fetch().text() == "hello from web\n"
    refused = scene.world.agent_unchecked(
        scene.server, web.port, "--ca-file", authority.ca, "--transport", "upgrade", env=scene.env(),
        url=f"https://localhost:{scene.front.port}", config="other")
    assert refused.wait(10) == 1, refused.text()


def test_bodies_are_not_kept(scene, web):
    scene.agent(web, "--name", "web")
    body = (BLOCK * (SIZE // len(BLOCK)))[:SIZE]
    answer = scene.fetch("/up", method="PUT", body=body)
    assert answer.text() == hashlib.sha256(body).hexdigest()
    assert hashlib.sha256(scene.fetch(f"/down/{SIZE}").body).digest() == \
        hashlib.sha256(body).digest()
    with scene.visitor() as v:  # a piece arrives while the next has not been sent
        v.send(f"POST /echo HTTP/1.1\r\nHost: {scene.at('web')}\r\nTransfer-Encoding: chunked\r\n"
               "\r\n")
        v.send(b"1\r\na\r\n")
        assert v.head().status == 200
        assert v.chunk() == b"a"
        v.send(b"2\r\nbc\r\n0\r\n\r\n")
        assert v.chunk() == b"bc"
    with scene.visitor() as v:
        v.ask(scene.at("web"), "/sse")
        assert v.head().status == 200
        for event in ("one", "two"):
            web.events.put(event)
            assert v.chunk() == f"data: {event}\n\n".encode()
        web.events.put(None)
        assert v.chunk() == b""
    assert "temporary file" not in scene.front.proc.text()  # nginx says so


def test_100_continue(scene, web):
    scene.agent(web, "--name", "web")
    with scene.visitor() as v:
        v.send(f"POST /headers HTTP/1.1\r\nHost: {scene.at('web')}\r\nContent-Length: 5\r\n"
               "Expect: 100-continue\r\n\r\n")
        assert v.head().status == 100
        v.send(b"hello")
        seen = []
        assert v.answer(interim=seen).json()["body"] == "hello"


def test_all_else_through_one_port(world, authority):
    """Mode tcp: HTTP in clear, TLS of a tunnel, and SSH; each with the visitor's address."""
    scene = Scene(world, authority, "haproxy/karez-tcp.cfg")
    target = world.closes(RawTarget())
    scene.agent(target, "--domain", "x.a.example", "--proxy-protocol", "v2", kind="tls")
    with Visitor(scene.front.port, source="127.0.0.52") as v:
        sent = hello("x.a.example")
        v.send(sent)
        peer = target.take()
        assert pp.read_v2(peer).src == v.sock.getsockname()[:2]
        assert peer.exactly(len(sent)) == sent
    assert fetch(scene.front.port, "localhost").status == 200
    echoes = world.closes(RawTarget(echo))
    port = free_port()
    scene.quiet(f"127.0.0.1:{port}:127.0.0.1:{echoes.port}",
                options=("BindAddress=127.0.0.53",))
    assert echoed(port)
    scene.server.wait_line(r"event=session-open .*peer=127\.0\.0\.53\b")
    with socket.create_connection(("127.0.0.1", scene.front.port), 10) as silent:
        wait_until(lambda: silent.recv(8, socket.MSG_PEEK).startswith(b"SSH-2.0"), 5, "a banner")
