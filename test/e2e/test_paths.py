"""A5 to A8 and A17 to A19 by every way that leads from an agent to its server, over both transports.

There is one scene for each way and transport, which the tests share and use in their order: those that
take the server or the agent down are the last ones.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading

import pytest
import websockets

from fronts import Front
from hello import context
from karez import World, free_port, wait_until
from middlebox import Stream, frame, read_frame
from proxies import Tinyproxy
from servers import Target, WebSocketTarget, fields_of
from up_scene import Up
from visitor import Broken, Visitor, fetch

FRONTS = {"nginx": "nginx/karez.conf", "haproxy": "haproxy/karez-http.cfg",
          "haproxy-tcp": "haproxy/karez-tcp.cfg"}
WAYS = ["direct", *FRONTS, "tinyproxy"]
MATRIX = [(way, transport) for way in WAYS for transport in ("upgrade", "websocket")]
# What "at once" may take on a busy machine; and coming back, with what a load balancer needs to notice.
SOON, BACK = 10, 40
HEAD_TIMEOUT = 2

# What a visitor says of himself, and is not believed.
FORGED = [("X-Forwarded-For", "6.6.6.6"), ("X-Real-IP", "6.6.6.6"), ("X-Forwarded-Proto", "gopher"),
          ("X-Forwarded-Host", "bank.example"), ("X-Forwarded-Port", "7"),
          ("Forwarded", "for=6.6.6.6;proto=gopher")]


class Scene:
    """A server, the way to it, and `karez up` that comes by this way. .port: where visitors come in;
    .tls: what they speak there, or None."""

    def __init__(self, world, authority, way, transport):
        self.world, self.way, self.transport = world, way, transport
        self.front = self.proxy = self.tls = None
        self.trust = ["--ca-file", authority.ca]
        options = ["--head-timeout", f"{HEAD_TIMEOUT}s"]
        if way in FRONTS:
            self.front = Front(world, FRONTS[way], authority.localhost)
            options += self.front.options
            self.tls = context()
        elif way == "tinyproxy":
            tls_port = free_port()
            options += ["--listen", f"tls:127.0.0.1:{tls_port}", "--tls-cert",
                        authority.localhost.cert, "--tls-key", authority.localhost.key]
        self.options = options
        self.server = world.server(*options, drain="20s")
        self.port, self.url, self.way_out = self.server.port, self.server.url, []
        if self.front is not None:
            self.front.start()
            self.port, self.url = self.front.port, f"https://localhost:{self.front.port}"
        elif way == "tinyproxy":
            self.proxy, self.url = Tinyproxy(world), f"https://localhost:{tls_port}"
            self.way_out = ["--proxy", self.proxy.url]
        self.silent = Visitor(self.server.port, timeout=30)
        self.anna = self.server.account("Anna")
        self.hello, self.other = world.closes(Target("hello")), world.closes(Target("other"))
        self.echo = world.closes(WebSocketTarget())
        self.up = self.new_up("services", {"hello-world": self.hello.port, "websockets": self.echo.port})
        self.agent = self.start(self.up)

    def new_up(self, name, services):
        return Up(self.world, self.server, services, name=f"{name}.json")

    def start(self, up, *options):
        return up.start("--id", "tim", "--transport", self.transport, *self.trust, *self.way_out,
                        *options, url=self.url, env={"KAREZ_TOKEN": self.anna.credential})

    def edit(self, **services):
        """The services file names these as well, until it is edited again."""
        self.up.rename({"hello-world": self.hello.port, "websockets": self.echo.port,
                        **{name.replace("_", "-"): to for name, to in services.items()}})

    def connected(self, service, n):
        def there():
            tunnel = self.anna.get(f"/v1/tunnels/{service}.tim").want(200).json()
            return tunnel["connection"]["connections"] == n
        wait_until(there, BACK, f"{n} sessions serve {service}")

    def again(self):
        """The server has ended: start it once more, with the same state."""
        old = self.server
        self.server = self.world.server(*self.options, port=old.port, drain="20s")
        for agent in self.world.agents:
            if agent.server is old:
                agent.server = self.server
        self.up.server = self.server

    # ---- visitors ----

    def at(self, name):
        return f"{name}.tim.localhost:{self.port}"

    def visitor(self, name="hello-world", **kw):
        return Visitor(self.port, tls=self.tls, name=f"{name}.tim.localhost", **kw)

    def fetch(self, name="hello-world", path="/", fields=(), host=None, **kw):
        return fetch(self.port, host or self.at(name), path, fields=fields, tls=self.tls,
                     name=f"{name}.tim.localhost", **kw)

    def status(self, name="hello-world", path="/"):
        """0: no answer at all."""
        try:
            return self.fetch(name, path).status
        except (OSError, Broken):
            return 0

    def becomes(self, name, *statuses, seconds=SOON):
        wait_until(lambda: self.status(name) in statuses, seconds, f"{name} answers with {statuses}")

    def websocket(self, name="websockets", **kw):
        """To be opened by a client that would not find the name by itself."""
        secure = {"ssl": self.tls} if self.tls else {}
        return websockets.connect(f"{'wss' if self.tls else 'ws'}://{self.at(name)}/chat",
                                  host="127.0.0.1", port=self.port, **secure, **kw)


@pytest.fixture(scope="module", params=MATRIX, ids=["-".join(m) for m in MATRIX])
def world(tmp_path_factory, request):
    """As every test's own, but for all tests of a scene."""
    w = World(tmp_path_factory.mktemp("paths"))
    w.way = request.param
    failed = request.session.testsfailed
    try:
        yield w
        if request.session.testsfailed == failed:
            w.check()
    finally:
        w.close()


@pytest.fixture(scope="module")
def scene(world, authority):
    scene = Scene(world, authority, *world.way)
    yield scene
    scene.silent.close()


def test_the_agent_came_by_this_way(scene):
    wait_until(lambda: scene.up.status()["sessions"] == 2, SOON, "both sessions are there")
    assert scene.up.status()["transport"] == scene.transport
    if scene.proxy is not None:
        host = scene.url.partition("://")[2]
        wait_until(lambda: scene.proxy.asked() == [host] * 2, SOON, "both went through the proxy")


# ---- A5 ----


def test_a5_names(scene):
    cases = [
        ("the name of a service", scene.at("hello-world"), 200),
        ("in upper case", scene.at("hello-world").upper(), 200),
        ("nobody's", scene.at("nosuch"), 404),
    ]
    for why, host, status in cases:
        answer = scene.fetch(host=host)
        assert answer.status == status, why
        assert status != 200 or answer.text() == "hello from hello\n", why


def test_a5_200_messages_of_a_python_client(scene):
    async def talk():
        async with scene.websocket() as ws:
            await ws.recv()  # the fields of the upgrade
            for i in range(200):
                message = f"message {i} " + "x" * (i * 37 % 5000)
                await ws.send(message)
                assert await ws.recv() == message
    asyncio.run(talk())


NPM_CLIENT = """
const WebSocket = require('ws');
const [url, host] = process.argv.slice(1);
const ws = new WebSocket(url, {headers: {Host: host}, servername: host.split(':')[0], rejectUnauthorized: false});
let n = -1;
ws.on('message', (data) => {
    if (n >= 0 && data.toString() !== `message ${n}`) { console.error(`${n}: ${data}`); process.exit(1); }
    if (++n === 200) { console.log('200 messages'); ws.close(); return; }
    ws.send(`message ${n}`);
});
ws.on('error', (e) => { console.error(e.message); process.exit(1); });
"""


def test_a5_200_messages_of_the_ws_of_npm(scene):
    node = shutil.which("node") or shutil.which("nodejs")
    env = {**os.environ, "NODE_PATH": os.environ.get("NODE_PATH", "/usr/share/nodejs")}
    if node is None or subprocess.run([node, "-e", "require('ws')"], env=env, capture_output=True,
                                      check=False).returncode != 0:
        pytest.skip("node or its package ws is not installed")
    url = f"{'wss' if scene.tls else 'ws'}://127.0.0.1:{scene.port}/chat"
    done = subprocess.run([node, "-e", NPM_CLIENT, url, scene.at("websockets")], env=env, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.stdout == "200 messages\n", done.stderr


def test_a5_an_edit_adds_and_removes_and_cuts_nobody(scene):
    sessions = scene.agent.count("event=session-open", "err")
    mark = scene.agent.mark()
    with scene.visitor() as v:
        v.ask(scene.at("hello-world"), "/trickle/10")
        assert v.head().status == 200
        scene.edit(comes=scene.other.port)
        scene.agent.wait_line("^comes was added", SOON, "out", mark)
        scene.becomes("comes", 200)
        scene.edit()
        scene.agent.wait_line("^comes was removed", SOON, "out", mark)
        scene.becomes("comes", 404, 503)
        assert len(v.exactly(10000)) == 10000
    assert scene.agent.count("lost the connection") == 0
    assert scene.agent.count("event=session-open", "err") == sessions


# ---- A6, A7 ----


def _stranger(scene, i):
    try:
        with scene.visitor(timeout=10) as v:
            if i % 3 == 0:
                v.send("GET / HTTP/1.1\r\n\r\n")
                assert v.answer().status == 400
            elif i % 3 == 1:
                v.send(os.urandom(300) + b"\r\n\r\n")
                v.to_end()
            else:
                v.ask(scene.at("hello-world"), "/down/10000000")
                v.exactly(1000)
                v.reset()
    except (OSError, Broken):
        pass


def test_a6_strangers_do_no_harm(scene):
    threads = [threading.Thread(target=_stranger, args=(scene, i)) for i in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert scene.server.alive() and scene.agent.alive()
    assert scene.fetch().text() == "hello from hello\n"


def test_a7_who_connects_and_says_nothing_is_sent_away(scene):
    scene.silent.to_end()


# ---- A17, A18 ----


def test_a17_whom_the_target_sees(scene):
    got = fields_of(scene.fetch(path="/headers", fields=FORGED, source="127.0.0.50"))
    by_http = scene.way in ("nginx", "haproxy")
    assert got["x-forwarded-for"] == ["127.0.0.50, 127.0.0.1" if by_http else "127.0.0.50"]
    assert got["x-real-ip"] == ["127.0.0.50"]
    assert got["forwarded"][0].startswith("for=127.0.0.50;")
    assert got["x-forwarded-proto"] == ["https" if scene.tls else "http"]
    assert got["x-forwarded-host"] == [scene.at("hello-world")] == got["host"]
    assert got["x-forwarded-port"] == [str(scene.port)]
    assert "6.6.6.6" not in str(got) and "gopher" not in str(got)


def test_a18_statuses(scene):
    scene.anna.tunnel("away.tim")
    loop = f"{'https' if scene.tls else 'http'}://127.0.0.1:{scene.port}"
    mark = scene.agent.mark()
    scene.edit(dead=free_port(), off=scene.other.port,
               snake={"target": loop, **({"target_insecure": True} if scene.tls else {})})
    for name in ("dead", "off", "snake"):
        scene.agent.wait_line(f"^{name} .*publicly accessible", SOON, "out", mark)
    scene.anna.patch("/v1/tunnels/off.tim", {"enabled": False}).want(200)
    for why, name, status in (("unknown", "nosuch", 404), ("nobody connected", "away", 503),
                              ("a dead target", "dead", 502), ("switched off", "off", 403),
                              ("leads to itself", "snake", 508)):
        assert scene.fetch(name).status == status, why
    assert scene.fetch().status == 200
    scene.edit()


def test_a18_a_websocket_is_checked_and_told_as_a_get(scene):
    async def talk():
        async with scene.websocket(extra_headers=FORGED, local_addr=("127.0.0.60", 0)) as ws:
            fields = {n.lower(): v for n, v in json.loads(await ws.recv())}
            assert fields["x-real-ip"] == "127.0.0.60" and "6.6.6.6" not in str(fields)
            assert fields["x-forwarded-proto"] == ("https" if scene.tls else "http")
        with pytest.raises(websockets.InvalidStatusCode) as refusal:
            async with scene.websocket("nosuch"):
                pass
        assert refusal.value.status_code == 404
    asyncio.run(talk())


def test_a18_early_bytes_of_a_websocket_are_not_lost(scene):
    """Of the visitor, who does not wait for the 101; and of the target, right behind it."""
    with scene.visitor("websockets") as v:
        v.send(f"GET /chat HTTP/1.1\r\nHost: {scene.at('websockets')}\r\nConnection: Upgrade\r\n"
               "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
               + frame(1, b"early", True))
        assert v.head().status == 101
        stream = Stream(v.sock, v.rest)
        assert read_frame(stream)[2].startswith(b"[[")  # the fields of the upgrade
        assert read_frame(stream) == (1, True, b"early")
        v.send(frame(1, b"later", True))
        assert read_frame(stream) == (1, True, b"later")


# ---- A8, A19: one of two goes ----


def test_a8_a19_one_of_two_agents_is_killed_under_requests(scene):
    second = scene.new_up("second", {"hello-world": scene.other.port})
    agent = scene.start(second, "--agent", "second")
    statuses, lock, half = [], threading.Lock(), threading.Event()

    def visit():
        v = scene.visitor()
        for i in range(30):
            try:
                status = v.get(scene.at("hello-world"), f"/r{i}").status
            except (OSError, Broken):
                status = 0
                v.close()
                v = scene.visitor()
            with lock:
                statuses.append(status)
                if len(statuses) == 120:
                    half.set()
        v.close()

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert half.wait(30)
    agent.kill()
    for thread in threads:
        thread.join(30)
    assert any(path.startswith("/r") for path in scene.other.paths()), "it had a share of them"
    bad = [s for s in statuses if s != 200]
    assert len(statuses) == 240 and len(bad) <= 8, bad
    assert {scene.fetch().text() for _ in range(10)} == {"hello from hello\n"}
    assert scene.agent.alive() and scene.agent.count("lost the connection") == 0


# ---- A7, A19: the server goes, and comes back ----


def test_a19_sigterm_lets_a_download_finish(scene):
    got = []

    def download():
        with scene.visitor() as v:
            v.ask(scene.at("hello-world"), "/trickle/10")
            got.append(len(v.answer().body))
    thread = threading.Thread(target=download)
    n = scene.hello.paths().count("/trickle/10")
    thread.start()
    wait_until(lambda: scene.hello.paths().count("/trickle/10") > n, SOON, "the download runs")
    mark = scene.agent.mark()
    scene.server.send_signal(signal.SIGTERM)
    thread.join(30)
    assert got == [10000]
    assert scene.server.wait(20) == 0
    scene.again()
    scene.agent.wait_line("back again", BACK, "err", mark)
    scene.becomes("hello-world", 200, seconds=BACK)


def test_a7_the_agent_finds_a_server_that_was_killed_and_comes_back(scene):
    mark = scene.agent.mark()
    scene.server.kill()
    for _ in range(2):
        scene.agent.wait_line("trying again in", SOON, "err", mark)
        mark = scene.agent.mark()
    assert scene.status() in (0, 502, 503)
    scene.again()
    scene.agent.wait_line("back again", BACK, "err", mark)
    scene.becomes("hello-world", 200, seconds=BACK)
    scene.becomes("websockets", 400, 426, seconds=BACK)
    assert scene.agent.alive()


def test_a19_who_is_disconnected_is_told_why(scene):
    """One of its services; the others go on."""
    scene.connected("hello-world", 2)
    path = "/v1/admin/tunnels/hello-world.tim/disconnect"
    reason = {"reason": "maintenance at noon"}
    assert scene.server.admin().post(path, reason).want(200).json() == {"result": True}
    scene.agent.wait_line("maintenance at noon", SOON, "err")
    assert scene.agent.count("maintenance at noon") == 1
    scene.becomes("hello-world", 503)
    scene.becomes("websockets", 400, 426)
    assert scene.agent.alive()
