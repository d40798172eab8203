"""HTTP through the tunnel is what the target said, and the target learns who asked."""

import json
import re
import socket
import subprocess
import threading
import time

import pytest

import bulk
from karez import check_growth, free_port, wait_until
from servers import Target, digest_of, fields_of
from visitor import Visitor, fetch


@pytest.fixture
def tunnel(world):
    """A server, the agent, and a target behind it."""
    target = world.closes(Target())
    server = world.server()
    return server, world.agent(server, target.port, "--name", "demo"), target


# ---- who asked ----

def test_the_target_learns_who_asked(tunnel):
    server, agent, _ = tunnel
    fields = fields_of(fetch(server.port, agent.host, "/headers?q=1"))
    assert fields["host"] == [agent.host]
    assert fields["x-forwarded-for"] == ["127.0.0.1"]
    assert fields["x-real-ip"] == ["127.0.0.1"]
    assert fields["x-forwarded-proto"] == ["http"]
    assert fields["x-forwarded-host"] == [agent.host]
    assert fields["x-forwarded-port"] == [str(server.port)]
    assert fields["forwarded"] == [f'for=127.0.0.1;host="{agent.host}";proto=http']
    assert len(fields["via"]) == 1 and re.fullmatch(r"1\.1 \S+", fields["via"][0])


FORGED = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "7.7.7.7"),
          ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "bank.example"),
          ("X-Forwarded-Port", "443"), ("Forwarded", "for=6.6.6.6;proto=https"),
          ("X-Real-IP", "6.6.6.6"), ("Via", "1.1 elsewhere"), ("x-forwarded-for", "8.8.8.8")]


def test_what_a_visitor_forges_is_dropped(tunnel):
    server, agent, _ = tunnel
    answer = fetch(server.port, agent.host, "/headers", fields=FORGED)
    for value in ("6.6.6.6", "7.7.7.7", "8.8.8.8", "bank.example"):
        assert value not in json.dumps(fields_of(answer)), value
    fields = fields_of(answer)
    assert fields["x-forwarded-for"] == ["127.0.0.1"]
    assert fields["x-forwarded-proto"] == ["http"]


def test_a_trusted_proxy_is_believed(world):
    target = world.closes(Target())
    server = world.server("--trusted-proxies", "127.0.0.1/32")
    agent = world.agent(server, target.port)
    fields = fields_of(fetch(server.port, agent.host, "/headers", fields=FORGED))
    assert fields["x-forwarded-for"] == ["6.6.6.6, 7.7.7.7, 8.8.8.8, 127.0.0.1"]
    assert fields["x-forwarded-proto"] == ["https"]
    assert fields["x-forwarded-host"] == ["bank.example"]
    assert fields["x-forwarded-port"] == ["443"]
    assert fields["x-real-ip"] == ["6.6.6.6"]
    assert fields["forwarded"][0].startswith("for=6.6.6.6;proto=https, for=127.0.0.1")
    assert fields["via"][0].startswith("1.1 elsewhere, 1.1 ")


def test_another_address_than_the_trusted_one_is_not_believed(world):
    target = world.closes(Target())
    server = world.server("--trusted-proxies", "127.0.0.2")
    agent = world.agent(server, target.port)
    fields = fields_of(fetch(server.port, agent.host, "/headers", fields=FORGED))
    assert fields["x-forwarded-for"] == ["127.0.0.1"]
    fields = fields_of(fetch(server.port, agent.host, "/headers", fields=FORGED,
                             source="127.0.0.2"))
    assert fields["x-forwarded-for"] == ["6.6.6.6, 7.7.7.7, 8.8.8.8, 127.0.0.2"]


def test_an_ipv6_visitor_is_quoted_in_forwarded(world):
    target = world.closes(Target())
    port = free_port("::1")
    server = world.server(port=port, listen=f"[::1]:{port}")
    agent = world.agent(server, target.port, url=f"http://[::1]:{port}")
    fields = fields_of(fetch(port, agent.host, "/headers", address="::1"))
    assert 'for="[::1]"' in fields["forwarded"][0]
    assert fields["x-forwarded-for"] == ["::1"]


# ---- bodies ----

def test_the_answer_is_what_the_target_said(tunnel):
    server, agent, _ = tunnel
    answer = fetch(server.port, agent.host, "/cookies")
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert (answer.version, answer.status, answer.reason) == ("HTTP/1.1", 200, "OK")
    assert answer.text() == "two\n"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
                                    "PROPFIND"])
def test_methods_paths_and_bodies_arrive_as_they_are(tunnel, method):
    server, agent, _ = tunnel
    path = "/headers/%2e%2e//a;b?x=%20&y=[]"
    seen = fetch(server.port, agent.host, path, method, body=b"the body").json()
    assert (seen["method"], seen["path"], seen["body"]) == (method, path, "the body")


def test_absolute_form_is_as_good_as_a_path(tunnel):
    server, agent, _ = tunnel
    answer = fetch(server.port, agent.host, f"http://{agent.host}/headers?a")
    assert answer.json()["path"] == "/headers?a"


def test_chunks_go_both_ways(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        for _ in range(3):
            v.ask(agent.host, "/echo", "POST", [("Transfer-Encoding", "chunked")])
            v.send("5\r\nhello\r\n6;ext=1\r\n there\r\n0\r\nX-Trailer: 1\r\n\r\n")
            answer = v.answer()
            assert (answer.framing, answer.body) == ("chunked", b"hello there")
        assert v.get(agent.host, "/chunked").text() == "one two three"


def test_pieces_of_a_body_do_not_wait_for_the_rest(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        v.send(f"POST /echo HTTP/1.1\r\nHost: {agent.host}\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert v.head().status == 200
        for word in (b"a", b"bc", b"def" * 1000):
            v.send(b"%x\r\n%b\r\n" % (len(word), word))
            got = b""
            while len(got) < len(word):
                got += v.chunk()
            assert got == word
        v.send(b"0\r\n\r\n")
        assert v.chunk() == b""
        assert v.get(agent.host).status == 200


def test_events_arrive_one_by_one(tunnel):
    server, agent, target = tunnel
    with Visitor(server.port) as v:
        v.ask(agent.host, "/sse")
        assert v.head().get("Content-Type") == "text/event-stream"
        for i in range(20):
            target.events.put(f"number {i}")
            assert v.chunk() == f"data: number {i}\n\n".encode()
        target.events.put(None)
        assert v.chunk() == b""


def test_100_continue_comes_before_the_body_is_sent(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        v.send(f"POST /headers HTTP/1.1\r\nHost: {agent.host}\r\nContent-Length: 4\r\n"
               "Expect: 100-continue\r\n\r\n")
        assert v.head().status == 100
        v.send(b"body")
        assert v.answer().json()["body"] == "body"


def test_curl_uploads_with_100_continue(tunnel, world):
    server, agent, _ = tunnel
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-m", "10",
                           "-H", "Expect: 100-continue", "--expect100-timeout", "9",
                           "--data-binary", "@-", agent.url + "/headers"],
                          input=b"x" * 100000, capture_output=True, check=True, env=world.env())
    assert len(json.loads(done.stdout)["body"]) == 100000


def test_early_hints_come_through(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        v.ask(agent.host, "/hint")
        interim = []
        assert v.answer(interim=interim).status == 200
        assert [(i.status, i.get("Link")) for i in interim] == [(103, "</a.css>; rel=preload")]


def test_an_answer_before_the_end_of_the_request_arrives(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        v.send(f"POST /early HTTP/1.1\r\nHost: {agent.host}\r\nContent-Length: 100000000\r\n\r\n")
        v.send(b"x" * 100000)
        assert v.answer().status == 413
    with Visitor(server.port) as v:  # one who never stops sending
        v.send(f"POST /early HTTP/1.1\r\nHost: {agent.host}\r\nContent-Length: 100000000\r\n\r\n")
        try:
            for _ in range(1000):
                v.send(b"x" * 100000)
        except OSError:
            pass
    assert fetch(server.port, agent.host).status == 200


def test_an_early_answer_of_a_target_that_goes_on_reading(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        v.send(f"POST /early-reading HTTP/1.1\r\nHost: {agent.host}\r\nContent-Length: 10\r\n\r\n")
        v.send(b"12345")
        assert v.answer().text() == "early"


def test_no_body_where_there_is_none(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        for method, path, status, length in (
                ("HEAD", "/", 200, "18"), ("GET", "/status/204", 204, None),
                ("GET", "/status/304", 304, "77"), ("HEAD", "/", 200, "18")):
            v.ask(agent.host, path, method)
            answer = v.answer(method)
            assert (answer.status, answer.get("Content-Length")) == (status, length), path
            assert answer.get("Transfer-Encoding") is None
        assert v.get(agent.host).text() == "hello from target\n"


@pytest.mark.parametrize("path, body", [("/close", "until the end"), ("/http10", "of old")])
def test_a_body_that_ends_with_the_connection(tunnel, path, body):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        answer = v.get(agent.host, path)
        assert (answer.version, answer.text()) == ("HTTP/1.1", body)
        assert answer.framing == "chunked", "so the visitor's connection can stay"
        assert v.get(agent.host).status == 200


@pytest.mark.parametrize("path, body, keeps", [
    ("/chunked", "one two three", False), ("/close", "until the end", False),
    ("/", "hello from target\n", True)])
def test_a_visitor_of_http_1_0_gets_what_it_understands(tunnel, path, body, keeps):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        v.ask(agent.host, path, version="1.0")
        answer = v.answer()
        assert answer.get("Transfer-Encoding") is None
        assert answer.text() == body
        assert v.ended()
    with Visitor(server.port) as v:
        v.ask(agent.host, path, version="1.0", fields=[("Connection", "keep-alive")])
        answer = v.answer()
        assert answer.text() == body
        if keeps:
            assert answer.get("Connection").lower() == "keep-alive"
            assert v.get(agent.host, version="1.0").status == 200
        else:
            assert v.ended()


def test_http_1_0_without_host_is_answered(tunnel):
    server, _, target = tunnel
    with Visitor(server.port) as v:
        v.send(b"GET / HTTP/1.0\r\n\r\n")
        assert v.answer().status in (400, 404)
    assert target.requests == []


def test_a_100_does_not_reach_a_visitor_of_http_1_0(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        v.ask(agent.host, "/hint", version="1.0")
        assert v.answer().text() == "hello from target\n"


# ---- connections ----

def test_each_request_of_a_connection_is_routed_by_its_own_host(world):
    server = world.server()
    targets = [world.closes(Target(n)) for n in ("one", "two")]
    agents = [world.agent(server, t.port) for t in targets]
    with Visitor(server.port) as v:
        for i in range(20):
            answer = v.get(agents[i % 2].host)
            assert answer.text() == f"hello from {('one', 'two')[i % 2]}\n"
        assert v.get("nosuch.localhost").status == 404
        assert v.get(agents[0].host).text() == "hello from one\n"


def test_pipelined_requests_are_answered_in_order(world):
    server = world.server()
    targets = [world.closes(Target(n)) for n in ("one", "two")]
    hosts = [world.agent(server, t.port).host for t in targets]
    with Visitor(server.port) as v:
        v.send("".join(f"GET /headers/{i} HTTP/1.1\r\nHost: {hosts[i % 2]}\r\n\r\n"
                       for i in range(50)))
        paths = [v.answer().json()["path"] for _ in range(50)]
        assert paths == [f"/headers/{i}" for i in range(50)]


def test_a_head_in_single_bytes_is_read(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        for byte in f"GET /headers HTTP/1.1\r\nHost: {agent.host}\r\nX-A: b\r\n\r\n".encode():
            v.send(bytes([byte]))
        assert ["X-A", "b"] in v.answer().json()["fields"]


def test_visitors_who_do_not_keep_alive_cost_the_target_no_connection_each(tunnel):
    server, agent, target = tunnel
    for i in range(50):
        if i % 2:
            answer = fetch(server.port, agent.host, "/connection")
        else:
            answer = fetch(server.port, agent.host, "/connection", "POST", body=b"data")
        assert answer.status == 200
    assert target.connections <= 2, target.connections


def test_a_connection_that_the_target_closes_while_it_is_idle_is_not_noticed(tunnel):
    server, agent, target = tunnel
    for i in range(20):
        assert fetch(server.port, agent.host).status == 200
        target_side = list(target._socks)
        for sock in target_side:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        method = "POST" if i % 2 else "GET"
        if method == "POST":  # not repeated: so it must not meet the connection that is closing
            wait_until(lambda: target.open == 0, 5, "the target's connection is gone")
        status = fetch(server.port, agent.host, method=method, body=b"x" if i % 2 else None).status
        assert status == 200, f"{method}: {status}"


def test_a_waiting_request_does_not_hold_up_others(tunnel):
    server, agent, target = tunnel
    with Visitor(server.port) as slow:
        slow.ask(agent.host, "/gate")
        wait_until(lambda: target.waiting, 5, "the request is at the target")
        began = time.monotonic()
        for _ in range(20):
            assert fetch(server.port, agent.host).status == 200
        assert time.monotonic() - began < 2
        target.gate.set()
        assert slow.answer().text() == "through the gate\n"


def test_a_visitor_who_does_not_read_holds_up_nobody(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as lazy:
        lazy.ask(agent.host, f"/down/{256 << 20}")
        lazy.exactly(100)
        began = time.monotonic()
        for _ in range(20):
            assert fetch(server.port, agent.host).status == 200
        assert time.monotonic() - began < 2
        check_growth((0, 0), (server, agent), 64 << 20)


def test_a_visitor_who_leaves_is_told_to_the_target(tunnel):
    server, agent, target = tunnel
    with Visitor(server.port) as v:
        v.ask(agent.host, "/sse")
        assert v.head().status == 200
        target.events.put("one")
        v.chunk()
    deadline = time.monotonic() + 5
    while target.open and time.monotonic() < deadline:
        target.events.put("more")
        time.sleep(0.01)
    assert target.open == 0


# ---- targets ----

def test_a_unix_socket_is_a_target(world):
    path = world.path / "target.sock"
    world.closes(Target("a socket", path=path))
    server = world.server()
    agent = world.agent(server, f"unix:{path}")
    assert agent.shown.endswith(str(path))
    for _ in range(3):
        assert fetch(server.port, agent.host).text() == "hello from a socket\n"


def test_host_and_port_is_a_target(world):
    target = world.closes(Target())
    server = world.server()
    for shape in (f"127.0.0.1:{target.port}", f"http://127.0.0.1:{target.port}",
                  f"localhost:{target.port}"):
        agent = world.agent(server, shape)
        assert fetch(server.port, agent.host).status == 200, shape
        assert agent.stop() == 0


def test_an_ipv6_target(world):
    target = world.closes(Target("six", host="::1"))
    server = world.server()
    agent = world.agent(server, f"[::1]:{target.port}")
    assert fetch(server.port, agent.host).status == 200
    assert agent.stop() == 0
    # a server that listens on ::1 only is found under its port as well
    agent = world.agent(server, target.port)
    assert fetch(server.port, agent.host).status == 200


# ---- much at once ----

def test_200_visitors_at_once(tunnel):
    server, agent, target = tunnel
    barrier, answers = threading.Barrier(200), []

    def visit(i):
        with Visitor(server.port, timeout=30) as v:
            barrier.wait(30)
            for j in range(5):
                v.ask(agent.host, f"/headers/{i}-{j}", "POST", body=b"b" * (i * 50))
                seen = v.answer().json()
                answers.append(seen["path"] == f"/headers/{i}-{j}" and len(seen["body"]) == i * 50)
    threads = [threading.Thread(target=visit, args=(i,)) for i in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 1000 and all(answers)
    assert target.failed == []


def test_big_bodies_beside_each_other_keep_their_bytes(tunnel):
    server, agent, _ = tunnel
    size = 24 << 20
    want, results = digest_of(size), []

    def down():
        with Visitor(server.port, timeout=60) as v:
            results.append(bulk.download(v, agent.host, size) == want)

    def up():
        with Visitor(server.port, timeout=60) as v:
            results.append(bulk.upload(v, agent.host, size) == want)
    threads = [threading.Thread(target=f) for f in (down, up) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert results == [True] * 8
