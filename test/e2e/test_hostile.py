"""A6, and messages that two readers could understand in two ways: refused, and never passed on."""

import random
import socket
import threading

import pytest

from karez import World, check_growth, wait_until
from servers import WRONG, Target
from visitor import Broken, Visitor, fetch


@pytest.fixture
def tunnel(world):
    """A server, a target, and the agent between them."""
    target = world.closes(Target())
    server = world.server("--head-timeout", "2s")
    agent = world.agent(server, target.port, "--name", "tim")
    return server, agent, target


def still_served(server, agent):
    return fetch(server.port, agent.host).status == 200


# HOST stands for the tunnel's, OTHER for another name.
POST = b"POST / HTTP/1.1\r\nHost: HOST\r\n"
GET = b"GET / HTTP/1.1\r\nHost: HOST\r\n"
AMBIGUOUS = [
    ("both lengths", POST + b"Content-Length: 5\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("both, the other way round", POST + b"Transfer-Encoding: chunked\r\n"
                                  b"Content-Length: 5\r\n\r\n0\r\n\r\n"),
    ("two lengths", POST + b"Content-Length: 5\r\nContent-Length: 6\r\n"
                    b"\r\nabcdef"),
    ("two lengths in one field", POST + b"Content-Length: 5, 6\r\n\r\nabcdef"),
    ("length with a sign", POST + b"Content-Length: +5\r\n\r\nabcde"),
    ("negative length", POST + b"Content-Length: -1\r\n\r\n"),
    ("hexadecimal length", POST + b"Content-Length: 0x5\r\n\r\nabcde"),
    ("length of 2^64", POST + b"Content-Length: 18446744073709551616\r\n\r\n"),
    ("empty length", POST + b"Content-Length: \r\n\r\n"),
    ("length with a space in it", POST + b"Content-Length: 1 0\r\n\r\n"),
    ("coding that is not chunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n"),
    ("chunked before another", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n"),
    ("chunked twice", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n"),
    ("two Transfer-Encoding", POST + b"Transfer-Encoding: chunked\r\n"
                              b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    ("identity", POST + b"Transfer-Encoding: identity\r\n\r\n"),
    ("vertical tab in chunked", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n"),
    ("chunked in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n"
                            b"0\r\n\r\n"),
    ("bare LF ends lines", b"GET / HTTP/1.1\nHost: HOST\n\n"),
    ("bare LF in the middle", GET + b"X-A: b\nContent-Length: 5\r\n\r\n"),
    ("bare CR in a value", GET + b"X-A: b\rc\r\n\r\n"),
    ("NUL in a value", GET + b"X-A: b\0c\r\n\r\n"),
    ("folded line", GET + b"X-A: b\r\n c\r\n\r\n"),
    ("folded by a tab", GET + b"X-A: b\r\n\tc\r\n\r\n"),
    ("space before the first field", b"GET / HTTP/1.1\r\n Host: HOST\r\n\r\n"),
    ("space before the colon", POST + b"Content-Length : 5\r\n\r\nabcde"),
    ("tab before the colon", b"GET / HTTP/1.1\r\nHost\t: HOST\r\n\r\n"),
    ("no colon", GET + b"X-A\r\n\r\n"),
    ("no name", GET + b": b\r\n\r\n"),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n"),
    ("two Hosts", GET + b"Host: OTHER\r\n\r\n"),
    ("two equal Hosts", GET + b"Host: HOST\r\n\r\n"),
    ("two Hosts in one", b"GET / HTTP/1.1\r\nHost: HOST, OTHER\r\n\r\n"),
    ("a Host that is none", b"GET / HTTP/1.1\r\nHost: HOST/path\r\n\r\n"),
    ("a Host with a user", b"GET / HTTP/1.1\r\nHost: me@HOST\r\n\r\n"),
    ("absolute form against Host", b"GET http://OTHER/ HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("absolute form with a user", b"GET http://me@HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("no target", b"GET HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("two spaces", b"GET  / HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("a tab in the target", b"GET /a\tb HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("a target that is no path", b"GET foo HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("no version", b"GET /\r\nHost: HOST\r\n\r\n"),
    ("a space before the method", b" GET / HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("a method that is none", b"G(T / HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ("a version in small letters", b"GET / http/1.1\r\nHost: HOST\r\n\r\n"),
]


@pytest.fixture(scope="module")
def patient_tunnel(tmp_path_factory):
    """One tunnel for the whole table: it must survive it."""
    world = World(tmp_path_factory.mktemp("ambiguous"))
    try:
        target = world.closes(Target())
        server = world.server()
        yield server, world.agent(server, target.port, "--name", "tim"), target
        world.check()
    finally:
        world.close()


@pytest.mark.parametrize("why, data", AMBIGUOUS, ids=[w for w, _ in AMBIGUOUS])
def test_an_ambiguous_request_is_400_and_closed_and_not_passed_on(patient_tunnel, why, data):
    server, agent, target = patient_tunnel
    n = len(target.requests)
    data = data.replace(b"HOST", agent.host.encode()).replace(b"OTHER", b"www.localhost")
    with Visitor(server.port) as v:
        # what a reader with another opinion would take for the next request
        v.send(data + b"GET /smuggled HTTP/1.1\r\nHost: " + agent.host.encode() + b"\r\n\r\n")
        answer = v.head()
        assert answer.status == 400, f"{why}: {answer.status}"
        assert answer.get("Connection") == "close"
        body = v.exactly(int(answer.get("Content-Length")))
        assert body.startswith(b"400 ")
        assert v.ended(), "something came behind the refusal"
    assert still_served(server, agent)
    assert len(target.requests) == n + 1, "something came through"


@pytest.mark.parametrize("why, data, status", [
    ("a version we do not speak", b"GET / HTTP/2.0\r\nHost: HOST\r\n\r\n", 505),
    ("an expectation we do not know", POST + b"Expect: magic\r\n\r\n", 417),
    ("a target of 20 KB", b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n", 414),
    ("a head of 70 KB", b"GET / HTTP/1.1\r\nHost: HOST\r\nX-A: " + b"a" * 70000 + b"\r\n\r\n", 431),
    ("200 fields", b"GET / HTTP/1.1\r\nHost: HOST\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", 431),
    ("CONNECT", b"CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n", 501),
])
def test_what_is_too_much_or_not_ours_has_its_status(patient_tunnel, why, data, status):
    server, agent, target = patient_tunnel
    n = len(target.requests)
    with Visitor(server.port) as v:
        v.send(data.replace(b"HOST", agent.host.encode()))
        assert v.head().status == status, why
    assert len(target.requests) == n


CHUNKS = [
    ("not hexadecimal", b"xyz\r\nabc\r\n0\r\n\r\n"),
    ("empty size", b"\r\nabc\r\n0\r\n\r\n"),
    ("negative", b"-3\r\nabc\r\n0\r\n\r\n"),
    ("0x", b"0x3\r\nabc\r\n0\r\n\r\n"),
    ("more than 64 bits", b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("a space before", b" 3\r\nabc\r\n0\r\n\r\n"),
    ("bare LF", b"3\nabc\n0\n\n"),
    ("too long", b"3\r\nabcd\r\n0\r\n\r\n"),
    ("no CRLF behind it", b"3\r\nabcX\r\n0\r\n\r\n"),
    ("endless extension", b"3;" + b"a" * 100000 + b"\r\nabc\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("why, chunks", CHUNKS, ids=[w for w, _ in CHUNKS])
def test_a_bad_chunk_ends_the_request(patient_tunnel, why, chunks):
    server, agent, target = patient_tunnel
    with Visitor(server.port) as v:
        v.send(f"POST /up-nowhere HTTP/1.1\r\nHost: {agent.host}\r\n"
               "Transfer-Encoding: chunked\r\n\r\n")
        v.send(chunks)
        answer = v.head()
        assert answer.status == 400, why
        assert answer.get("Connection") == "close"
        v.exactly(int(answer.get("Content-Length")))
        assert v.ended()
    assert still_served(server, agent)
    assert target.failed == []


def test_a_smuggled_request_in_a_body_stays_a_body(patient_tunnel):
    server, agent, target = patient_tunnel
    body = f"GET /smuggled HTTP/1.1\r\nHost: {agent.host}\r\n\r\n".encode()
    with Visitor(server.port) as v:
        v.ask(agent.host, "/headers", "POST", body=body)
        assert v.answer().json()["body"] == body.decode()
        v.ask(agent.host, "/headers", "GET", body=body)  # a GET may have one as well
        assert v.answer().json()["body"] == body.decode()
        assert v.get(agent.host).status == 200
    assert "/smuggled" not in target.paths()


def test_bytes_of_hop_by_hop_fields_are_not_passed_on(patient_tunnel):
    server, agent, _ = patient_tunnel
    with Visitor(server.port) as v:
        v.ask(agent.host, "/headers", fields=[
            ("Connection", "keep-alive, X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "timeout=9"),
            ("TE", "trailers"), ("Proxy-Connection", "x"), ("X-Yours", "2")])
        names = [n.lower() for n, _ in v.answer().json()["fields"]]
    assert "x-yours" in names
    for gone in ("x-mine", "keep-alive", "proxy-connection", "te"):
        assert gone not in names, gone


# ---- A6 ----

def misbehave(server, agent, kind, seed):
    """One visitor of the bad kind; what it is told does not matter."""
    rnd = random.Random(seed)
    try:
        with Visitor(server.port) as v:
            if kind == "no host":
                v.send(b"GET / HTTP/1.1\r\n\r\n")
                v.to_end()
            elif kind == "garbage":
                v.send(rnd.randbytes(rnd.randrange(1, 5000)))
                v.sock.shutdown(socket.SHUT_WR)
                v.to_end()
            elif kind == "reset":
                v.ask(agent.host, f"/down/{10 << 20}")
                v.exactly(rnd.randrange(1, 300000))
                v.reset()
            elif kind == "reset at once":
                v.ask(agent.host)
                v.reset()
            elif kind == "half a head":
                v.send(b"GET / HTTP/1.1\r\nHost: " + agent.host.encode()[:rnd.randrange(9)])
            elif kind == "half a body":
                v.ask(agent.host, "/echo", "POST", [("Content-Length", "9999")])
                v.send(b"x")
            elif kind == "tls":
                v.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rnd.randbytes(500))
                v.to_end()
            elif kind == "half-close":
                v.ask(agent.host, "/chunked")
                v.sock.shutdown(socket.SHUT_WR)
                v.answer()
    except (OSError, Broken):
        pass


KINDS = ["no host", "garbage", "reset", "reset at once", "half a head", "half a body", "tls",
         "half-close"]


def test_a6_a_hundred_bad_visitors_at_once_and_the_tunnel_is_still_served(tunnel):
    server, agent, target = tunnel
    good = []
    threads = [threading.Thread(target=misbehave, args=(server, agent, KINDS[i % len(KINDS)], i))
               for i in range(100)]
    threads += [threading.Thread(
        target=lambda: good.append(fetch(server.port, agent.host).status)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert good == [200] * 20
    assert still_served(server, agent)
    wait_until(lambda: target.open <= 20 + 40, 8, "the target's connections end")


@pytest.mark.parametrize("kind", KINDS)
def test_a6_one_bad_visitor_a_time(patient_tunnel, kind):
    server, agent, _ = patient_tunnel
    for seed in range(5):
        misbehave(server, agent, kind, seed)
    assert still_served(server, agent)


def test_visitors_who_abort_downloads_500_times_leave_nothing(tunnel):
    server, agent, target = tunnel

    def abort(times):
        for _ in range(times):
            with Visitor(server.port) as v:
                v.ask(agent.host, f"/down/{4 << 20}")
                v.exactly(2000)
                v.reset()

    abort(50)
    before = server.rss(), agent.rss()
    threads = [threading.Thread(target=abort, args=(90,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert still_served(server, agent)
    server.wait_files(server.base_files + agent.sessions)
    wait_until(lambda: agent.n_files() <= agent.base_files + 5, 10,
               "the agent gives its descriptors back")
    check_growth(before, (server, agent), 24 << 20)
    wait_until(lambda: target.open <= 5, 10, "the target's connections end")


@pytest.mark.parametrize("kind", [k for k in WRONG])
def test_a_target_that_answers_wrongly_is_a_502(patient_tunnel, kind):
    server, agent, _ = patient_tunnel
    assert fetch(server.port, agent.host, f"/raw/{kind}").status == 502
    assert still_served(server, agent)


@pytest.mark.parametrize("how", ["end", "reset", "chunked"])
def test_an_answer_that_is_cut_short_is_not_taken_for_whole(patient_tunnel, how):
    server, agent, _ = patient_tunnel
    with Visitor(server.port) as v:
        v.ask(agent.host, f"/drop/{how}")
        try:  # a reset may overtake the bytes before it: then there was no answer at all
            assert v.answer().status == 502 and how == "reset"
        except (Broken, ConnectionResetError):
            pass
    assert still_served(server, agent)


# ---- deadlines ----

def test_a7_a_connection_that_says_nothing_is_closed_after_the_head_timeout(tunnel):
    server, agent, _ = tunnel
    with Visitor(server.port) as v:
        assert v.ended()
    assert still_served(server, agent)


def test_a_head_that_never_ends_is_408_after_the_head_timeout(tunnel):
    server, agent, _ = tunnel
    stop = threading.Event()
    with Visitor(server.port) as v:
        v.send(f"GET / HTTP/1.1\r\nHost: {agent.host}\r\n")

        def drip():  # a byte now and then does not help
            try:
                while not stop.wait(0.2):
                    v.send(b"X")
            except OSError:
                pass
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert v.head().status == 408
        finally:
            stop.set()
            thread.join()
    assert still_served(server, agent)


def test_an_idle_connection_is_closed_after_the_idle_timeout(world):
    target = world.closes(Target())
    server = world.server("--idle-timeout", "1s")
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        assert v.get(agent.host).status == 200
        assert v.ended()
