"""A18: what a visitor is told when there is no answer from the tunnel, and upgrades."""

import asyncio
import json
import socket

import pytest
import websockets

from karez import free_port, wait_until
from servers import Path, Target, WebSocketTarget
from visitor import Visitor, fetch

BROWSER = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")


@pytest.fixture
def target(world):
    return world.closes(Target())


def test_a18_404_for_a_name_that_nobody_has(world):
    server = world.server()
    for host in ("nosuch.localhost", "a.b.c.localhost", "example.com", "localhost.example.com"):
        answer = fetch(server.port, host)
        assert answer.status == 404, host
        assert answer.text().startswith("404 Not Found: "), answer.text()


def test_a18_503_when_the_agent_is_away(world, target):
    server = world.server()
    assert world.agent(server, target.port, "--name", "away").stop() == 0
    answer = fetch(server.port, server.host("away"))
    assert answer.status == 503
    assert answer.get("Retry-After") is not None
    assert "karez" in answer.text()


def test_a18_502_for_a_dead_target(world):
    server = world.server()
    agent = world.agent(server, free_port())
    answer = fetch(server.port, agent.host)
    assert answer.status == 502
    assert "not running" in answer.text()


def test_a18_502_for_a_target_whose_name_does_not_resolve(world):
    server = world.server()
    agent = world.agent(server, "http://nosuch.invalid")
    assert fetch(server.port, agent.host).status == 502


def test_a18_502_for_a_missing_unix_socket(world):
    server = world.server()
    agent = world.agent(server, f"unix:{world.path}/nothing")
    assert fetch(server.port, agent.host).status == 502


def test_a18_a_target_that_comes_up_is_served_again(world):
    server = world.server()
    port = free_port()
    agent = world.agent(server, port)
    assert fetch(server.port, agent.host).status == 502
    with socket.create_server(("127.0.0.1", port)) as late:
        with Visitor(server.port) as v:
            v.ask(agent.host)
            sock, _ = late.accept()
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert v.answer().text() == "ok"
            sock.close()
    assert fetch(server.port, agent.host).status == 502


def test_a18_508_for_a_tunnel_that_reaches_itself(world):
    server = world.server()
    # the agent connects to the server itself; Host stays, so the request comes to the same tunnel
    agent = world.agent(server, server.port, "--name", "snake")
    answer = fetch(server.port, agent.host)
    assert answer.status == 508
    assert "itself" in answer.text()


def test_a18_508_for_two_tunnels_that_lead_to_each_other(world):
    one, two = world.server(), world.server(state="state2")
    a = world.agent(one, two.port, "--name", "ring", config="one")
    world.agent(two, one.port, "--name", "ring", config="two")
    assert fetch(one.port, a.host).status == 508


@pytest.mark.parametrize("accept, kind", [
    (None, "text/plain; charset=utf-8"),
    (("Accept", "*/*"), "text/plain; charset=utf-8"),
    (BROWSER, "text/html; charset=utf-8"),
    (("Accept", "application/json"), "application/problem+json"),
    (("Accept", "application/problem+json, text/html"), "application/problem+json"),
])
def test_a18_the_page_is_of_the_kind_that_is_asked_for(world, accept, kind):
    server = world.server()
    answer = fetch(server.port, "nosuch.localhost", fields=[accept] if accept else [])
    assert answer.status == 404
    assert answer.get("Content-Type") == kind
    assert answer.get("Cache-Control") == "no-store"
    if "json" in kind:
        problem = answer.json()
        assert problem["status"] == 404 and problem["code"] == "NOROUTE"
    elif "html" in kind:
        assert "<title>404" in answer.text() and "nosuch.localhost" in answer.text()
    else:
        assert "<" not in answer.text() and len(answer.text().splitlines()) == 2


def test_a_refusal_keeps_the_connection_where_it_can(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        assert v.get("nosuch.localhost").status == 404
        assert v.get(agent.host).status == 200
        v.ask("nosuch.localhost", method="HEAD")
        assert v.answer("HEAD").status == 404
        assert v.get(agent.host).status == 200


def test_a_refused_upload_gets_its_answer_and_not_a_reset(world):
    server = world.server()
    with Visitor(server.port) as v:
        v.ask("nosuch.localhost", method="POST", body=b"x" * 50000)
        assert v.answer().status == 404


def test_the_domain_itself_says_what_this_is(world):
    server = world.server()
    for host in ("localhost", f"127.0.0.1:{server.port}", f"localhost:{server.port}"):
        answer = fetch(server.port, host)
        assert answer.status == 200 and "karez" in answer.text(), host
        assert fetch(server.port, host, "/nosuch").status == 404


def test_asking_for_a_session_wrongly_is_refused(world):
    server = world.server()
    answer = fetch(server.port, "localhost", "/v1/connect")
    assert answer.status in (400, 426)
    with Visitor(server.port) as v:
        v.ask("localhost", "/v1/connect", fields=[
            ("Connection", "Upgrade"), ("Upgrade", "karez/1"), ("Karez-Agent", "me"),
            ("Karez-Epoch", "1"), ("Karez-Carrier", "0"), ("Authorization", "Bearer wrong")])
        answer = v.answer()
        assert answer.status == 401
        assert answer.json()["code"] == "AUTH"
    with Visitor(server.port) as v:
        v.ask("localhost", "/v1/connect",
              fields=[("Connection", "Upgrade"), ("Upgrade", "karez/9")])
        assert v.answer().status in (400, 426)


def test_garbage_on_a_session_ends_that_session_only(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        v.ask("localhost", "/v1/connect", fields=[
            ("Connection", "Upgrade"), ("Upgrade", "karez/1"), ("Karez-Agent", "me"),
            ("Karez-Epoch", "1"), ("Karez-Carrier", "0")])
        assert v.answer().status == 101
        v.send(b"\0\0\0\xff" * 5000)
        try:
            v.to_end()
        except ConnectionResetError:
            pass
    assert fetch(server.port, agent.host).status == 200


# ---- upgrades ----

def test_a18_an_upgrade_carries_the_same_fields_as_a_get(world):
    target = world.closes(WebSocketTarget())
    server = world.server()
    agent = world.agent(server, target.port)

    async def talk():
        async with websockets.connect(f"ws://{agent.host}/chat?x=1", host="127.0.0.1",
                                      port=server.port, origin="http://page.example",
                                      extra_headers={"X-Forwarded-For": "6.6.6.6"}) as ws:
            fields = {n.lower(): v for n, v in json.loads(await ws.recv())}
            assert fields["host"] == agent.host
            assert fields["x-forwarded-for"] == "127.0.0.1"
            assert fields["x-forwarded-proto"] == "http"
            assert fields["x-forwarded-host"] == agent.host
            assert fields["x-forwarded-port"] == str(server.port)
            assert "for=127.0.0.1" in fields["forwarded"]
            assert fields["origin"] == "http://page.example"
            assert "via" in fields
            for i in range(200):
                await ws.send(f"message {i}")
                assert await ws.recv() == f"message {i}"
            big = bytes(range(256)) * 4096
            await ws.send(big)
            assert await ws.recv() == big

    asyncio.run(talk())
    assert target.requests == ["/chat?x=1"]


def test_a18_an_upgrade_passes_the_same_checks_as_a_get(world, target):
    server = world.server()
    agent = world.agent(server, target.port, "--name", "here")
    for host, status in (("nosuch.localhost", 404), (agent.host, 403)):
        with Visitor(server.port) as v:
            v.ask(host, "/upgrade/refuse", fields=[("Connection", "Upgrade"), ("Upgrade", "echo")])
            assert v.answer().status == status
    assert agent.stop() == 0
    with Visitor(server.port) as v:
        v.ask(agent.host, "/upgrade", fields=[("Connection", "Upgrade"), ("Upgrade", "echo")])
        assert v.answer().status == 503


def test_a18_early_bytes_of_both_sides_are_not_lost(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    for _ in range(20):
        with Visitor(server.port) as v:
            v.send(f"GET /upgrade HTTP/1.1\r\nHost: {agent.host}\r\nConnection: keep-alive, Upgrade"
                   "\r\nUpgrade: echo/1\r\n\r\nearly from visitor;")
            answer = v.head()
            assert (answer.status, answer.get("Upgrade")) == (101, "echo/1")
            want = b"early from target;early from visitor;"
            assert v.exactly(len(want)) == want
            v.send(b"later")
            assert v.exactly(5) == b"later"
            v.sock.shutdown(socket.SHUT_WR)  # half-close goes through, and the last word comes back
            assert v.to_end() == b"bye"
    wait_until(lambda: target.open == 0, 5, "the target's connections end")


def test_an_upgraded_connection_outlives_other_requests_and_is_not_reused(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        assert v.get(agent.host).status == 200
        v.ask(agent.host, "/upgrade", fields=[("Connection", "upgrade"), ("Upgrade", "echo")])
        assert v.head().status == 101
        v.exactly(len(b"early from target;"))
        for _ in range(10):
            assert fetch(server.port, agent.host).status == 200
        v.send(b"GET / HTTP/1.1\r\n\r\n")
        assert v.exactly(18) == b"GET / HTTP/1.1\r\n\r\n"


def test_upgrade_without_connection_is_an_ordinary_request(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/upgrade", fields=[("Upgrade", "echo")])
        assert v.answer().status == 400  # the target saw no upgrade
        assert v.get(agent.host).status == 200


def test_an_upgrade_ends_when_its_session_is_cut(world, target):
    server = world.server()
    path = world.closes(Path(server.port))
    agent = world.agent(server, target.port, url=path.url, sessions=1)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/upgrade", fields=[("Connection", "upgrade"), ("Upgrade", "echo")])
        assert v.head().status == 101
        v.exactly(len(b"early from target;"))
        for link in path.alive():
            link.cut()
        assert v.ended()
    wait_until(lambda: target.open == 0, 5, "the target is told")
