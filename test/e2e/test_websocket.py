"""Sessions carried by WebSocket: in clear and by TLS, through what takes its messages apart,
instead of an upgrade that does not pass, and what odd clients come to at its door."""

import asyncio
import itertools
import json
import socket
import time

import pytest
import websockets

from bulk import download, upload
from karez import wait_until
from middlebox import Middlebox, Stream, frame, read_frame
from servers import Target, digest_of
from visitor import Visitor, fetch

MIB = 1 << 20


@pytest.fixture
def target(world):
    return world.closes(Target())


def transports(agent):
    """By what the sessions of this agent were carried, in their order."""
    return [line.rpartition("transport=")[2].split()[0] for line in agent.said("err")
            if "event=session-open" in line]


def remembered(agent):
    servers = json.loads(agent.credentials().read_text())["servers"]
    return [server.get("websocket", False) for server in servers.values()]


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_session(world, target, authority, tls):
    server = world.server(tls=authority.localhost if tls else None)
    options = ["--ca-file", authority.ca] if tls else []
    agent = world.agent(server, target.port, "--transport", "websocket", "-v", *options)
    context = authority.client_context() if tls else None
    with Visitor(server.port, tls=context) as v:
        assert v.get(agent.host, "/").status == 200
        assert download(v, agent.host, 32 * MIB) == digest_of(32 * MIB)
        assert upload(v, agent.host, 32 * MIB) == digest_of(32 * MIB)
    wait_until(lambda: transports(agent) == ["websocket"] * 2, 5, "both say how they are carried")
    assert remembered(agent) == [False]  # it was not its own idea


def test_many_streams_at_once(world, target):
    server = world.server()
    agent = world.agent(server, target.port, "--transport", "websocket", sessions=1)
    visitors = [Visitor(server.port) for _ in range(20)]
    for v in visitors:
        v.ask(agent.host, f"/down/{MIB}")
    for v in visitors:
        answer = v.answer()
        assert answer.status == 200 and len(answer.body) == MIB
        v.close()


@pytest.mark.parametrize("how", ["refuse", "close"])
def test_falls_back_and_remembers(world, target, how):
    server = world.server()
    box = world.closes(Middlebox(server.port, knows=("websocket",), else_=how))
    agent = world.agent(server, target.port, "-v", url=box.url)
    assert fetch(server.port, agent.host).status == 200
    wait_until(lambda: transports(agent) == ["websocket"] * 2, 5, "both sessions use what works")
    assert box.asked == ["karez/1", "websocket", "websocket"]
    assert remembered(agent) == [True]
    assert agent.stop() == 0
    again = world.agent(server, target.port, url=box.url)
    assert fetch(server.port, again.host).status == 200
    wait_until(lambda: len(box.asked) == 5, 5, "both sessions are there again")
    assert "karez/1" not in box.asked[3:]


def test_falls_back_from_what_is_remembered(world, target):
    server = world.server()
    box = world.closes(Middlebox(server.port, knows=("websocket",)))
    agent = world.agent(server, target.port, url=box.url)
    wait_until(lambda: remembered(agent) == [True], 5, "it is remembered")
    assert agent.stop() == 0
    box.knows = ("karez/1",)
    again = world.agent(server, target.port, url=box.url)
    assert fetch(server.port, again.host).status == 200
    wait_until(lambda: remembered(again) == [False], 5, "it is forgotten")


def test_a_person_insists(world, target):
    server = world.server()
    box = world.closes(Middlebox(server.port, knows=("websocket",)))
    agent = world.agent_unchecked(server, target.port, "--transport", "upgrade", "--wait",
                                  url=box.url)
    agent.wait_line("not karezd")
    wait_until(lambda: len(box.asked) >= 3, 10, "it tries again")
    assert set(box.asked) == {"karez/1"}
    agent.stop()


def test_refusals_are_final_by_websocket_too(world, target):
    server = world.server(registration=False)
    agent = world.agent_unchecked(server, target.port, "--transport", "websocket")
    assert agent.wait() == 1
    assert agent.count("not karezd") == 0


def test_an_intermediary_that_cuts_messages(world, target):
    server = world.server()
    box = world.closes(Middlebox(server.port, reframe=True))
    agent = world.agent(server, target.port, "--transport", "websocket", url=box.url, sessions=1)
    with Visitor(server.port) as v:
        assert v.get(agent.host, "/").status == 200
        assert download(v, agent.host, 4 * MIB) == digest_of(4 * MIB)
        assert upload(v, agent.host, 4 * MIB) == digest_of(4 * MIB)
    wait_until(lambda: box.pongs > 0, 5, "its pings are answered")


def test_a_session_that_is_disconnected_says_why(world, target):
    server = world.server()
    agent = world.agent(server, target.port, "--transport", "websocket")
    assert fetch(server.port, agent.host).status == 200
    path = f"/v1/admin/tunnels/{agent.name_}/disconnect"
    answer = server.admin().post(path, {"reason": "maintenance at noon"}).want(200)
    assert answer.json() == {"result": True}
    assert agent.wait() == 1
    assert agent.count("maintenance at noon") == 1


# ---- others at the door ----

WHO = {"Karez-Agent": "odd", "Karez-Epoch": "1", "Karez-Carrier": "0"}
numbers = itertools.count(1)


def connect(server, **kw):
    """A session as the Python client makes one; each replaces the one before it."""
    who = dict(WHO, **{"Karez-Epoch": str(next(numbers))})
    return websockets.connect(f"ws://127.0.0.1:{server.port}/v1/connect", extra_headers=who,
                              max_size=None, **kw)


async def closed(ws):
    """The code that the server ends it with."""
    while True:
        try:
            await asyncio.wait_for(ws.recv(), 10)
        except websockets.ConnectionClosed:
            return ws.close_code


def test_a_client_of_somebody_else(world):
    server = world.server()

    async def talk():
        async with connect(server, subprotocols=["a", "karez.1"], compression="deflate") as ws:
            assert ws.subprotocol == "karez.1"
            assert ws.extensions == []
            data = await ws.recv()
            assert isinstance(data, bytes) and data.startswith(b"PRI * HTTP/2.0")
            await asyncio.wait_for(await ws.ping(b"x" * 125), 5)
            settings = b"\0\0\0\4\0\0\0\0\0"

            async def crumbs():
                for n in range(len(settings)):
                    yield settings[n:n + 1]
            await ws.send(crumbs())  # one message in parts
            await ws.send(b"")
            await asyncio.wait_for(await ws.ping(), 5)
        assert ws.close_code == 1000
        async with connect(server) as ws:
            assert ws.subprotocol is None
            await ws.send("text")
            assert await closed(ws) == 1003
        async with connect(server) as ws:
            await ws.send(b"this is no HTTP/2 at all, however long it is" * 1000)
            assert await closed(ws) in (1000, 1002, 4009)
        async with connect(server) as ws:
            await ws.close(4022, "good bye")

    asyncio.run(talk())


def test_an_odd_client_is_refused_before_anything_is_kept(world):
    server = world.server()
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    ask = ("GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
           "Upgrade: websocket\r\nOrigin: https://evil.example\r\n")
    for more, status in ((key, 426), ("Sec-WebSocket-Version: 8\r\n" + key, 426),
                         ("Sec-WebSocket-Version: 13\r\n", 400),
                         # what a page in a browser can send: it has no field of ours
                         ("Sec-WebSocket-Version: 13\r\n" + key, 400)):
        with Visitor(server.port) as v:
            v.send(ask + more + "\r\n")
            answer = v.answer()
            assert answer.status == status
            if status == 426:
                assert answer.get("Sec-WebSocket-Version") == "13"


HOSTILE = [
    ("no mask", frame(2, b"x", False), 1002),
    ("a reserved bit", b"\xc2\x80\0\0\0\0", 1002),
    ("a reserved kind", b"\x83\x80\0\0\0\0", 1002),
    ("a length with its top bit", b"\x82\xff\x80" + b"\0" * 11, 1002),
    ("a length not written in the shortest way", b"\x82\xfe\0\1\0\0\0\0x", 1002),
    ("a ping that is too long", b"\x89\xfe\0\x7e" + b"\0" * 130, 1002),
    ("a ping in parts", b"\x09\x80\0\0\0\0", 1002),
    ("a part of nothing", frame(0, b"x", True), 1002),
    ("a message in a message", frame(2, b"\0", True, fin=False) + frame(2, b"x", True), 1002),
    ("half a code", frame(8, b"\3", True), 1002),
]


def open_raw(server):
    v = Visitor(server.port)
    v.send("GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
           "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nKarez-Agent: raw\r\n"
           f"Karez-Epoch: {next(numbers)}\r\nKarez-Carrier: 0\r\n\r\n")
    assert v.head().status == 101
    return v


@pytest.mark.parametrize("why,said,code", HOSTILE, ids=[row[0] for row in HOSTILE])
def test_hostile_frames(world, why, said, code):
    server = world.server()
    with open_raw(server) as v:
        v.send(said)
        stream = Stream(v.sock, v.rest)
        op = 0
        while op != 8:
            op, _fin, data = read_frame(stream)
        assert int.from_bytes(data[:2], "big") == code, why
        assert v.sock.recv(1) == b""


def test_a_flood_of_pings_does_not_grow_the_server(world):
    server = world.server()
    with open_raw(server) as v:
        v.sock.settimeout(2)
        before = server.rss()
        pings = frame(9, b"x" * 125, True) * 2000
        began = time.monotonic()
        try:
            while time.monotonic() - began < 3:  # nobody reads the pongs
                v.send(pings)
        except (TimeoutError, socket.timeout, OSError):
            pass
        assert server.rss() - before < 16 * MIB
