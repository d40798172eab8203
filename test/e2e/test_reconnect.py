"""A7 and A19: connections and servers that go away, and come back."""

import re
import signal
import socket
import threading
import time

import pytest

from karez import wait_until
from servers import Path, Target
from visitor import Broken, Visitor, fetch


@pytest.fixture
def target(world):
    return world.closes(Target())


def back(server, host, seconds=20):
    def ok():
        try:
            return fetch(server.port, host).status == 200
        except OSError:
            return False
    wait_until(ok, seconds, "the tunnel is served again")


def test_a7_the_agent_comes_back_when_the_server_was_killed(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    mark = agent.mark()
    server.kill()
    # each attempt is said once, with when the next one is
    retry = r"127\.0\.0\.1:\d+: connection refused; trying again in ([\d.]+) s"
    agent.wait_line(retry, 5, "err", mark)
    wait_until(lambda: agent.count(retry) >= 3, 10, "a few attempts are made")
    waits = [float(re.search(retry, x).group(1)) for x in agent.said("err") if re.search(retry, x)]
    assert waits[-1] > 1.5 * waits[0] and len(waits) <= 4, waits
    again = world.server(port=server.port)
    agent.server = again
    agent.wait_line("back again at " + re.escape(agent.url), 20, since=mark)
    assert fetch(again.port, agent.host).status == 200
    assert agent.count("back again") == 1


def test_a7_delays_grow_and_are_jittered(world, target):
    server = world.server()
    agent = world.agent(server, target.port, "--log-level", "debug", "-v", sessions=1)
    path_port = server.port
    server.kill()
    times = []
    with socket.create_server(("127.0.0.1", path_port)) as gate:
        gate.settimeout(15)
        while len(times) < 6:
            sock, _ = gate.accept()
            times.append(time.monotonic())
            sock.close()
    waits = [b - a for a, b in zip(times, times[1:])]
    assert waits[-1] > 1.5 * waits[0], waits
    assert waits[0] < 1.5 and sum(waits) < 15, waits
    assert len(set(round(w / 0.25, 1) for w in waits)) > 2, waits


def test_a19_cutting_one_of_two_sessions_fails_only_its_requests(world, target):
    server = world.server()
    path = world.closes(Path(server.port))
    agent = world.agent(server, target.port, url=path.url)
    wait_until(lambda: server.count("event=attach") == 2, 5, "both sessions serve it")
    statuses, lock, cut = [], threading.Lock(), threading.Event()

    def visit(n):
        with Visitor(server.port) as v:
            for i in range(n):
                if i == n // 2:
                    cut.set()
                answer = v.get(agent.host, f"/r{i}")
                with lock:
                    statuses.append(answer.status)

    threads = [threading.Thread(target=visit, args=(125,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert cut.wait(20)
    path.alive()[0].cut()
    for thread in threads:
        thread.join(30)
    bad = [s for s in statuses if s != 200]
    assert len(statuses) == 1000
    assert len(bad) <= 8 and set(bad) <= {502, 503}, bad
    wait_until(lambda: len(path.alive()) == 2, 10, "the second session is back")
    assert agent.alive()
    assert not any("in use" in line for line in agent.said())


def test_a19_requests_that_may_be_repeated_do_not_even_notice(world, target):
    server = world.server()
    path = world.closes(Path(server.port))
    agent = world.agent(server, target.port, url=path.url)
    wait_until(lambda: server.count("event=attach") == 2, 5, "both sessions serve it")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        fetch(server.port, agent.host, "/gate").status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: target.waiting == 8, 10, "all requests are at the target")
    path.alive()[0].cut()
    target.gate.set()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 8 and answers.count(200) >= 4, answers


def test_a19_sigterm_lets_a_download_finish_and_the_agent_finds_the_next_server(world, target):
    server = world.server(drain="20s")
    agent = world.agent(server, target.port)
    got = []

    def download():
        with Visitor(server.port) as v:
            v.ask(agent.host, "/trickle/40")
            got.append(len(v.answer().body))
    thread = threading.Thread(target=download)
    thread.start()
    wait_until(lambda: "/trickle/40" in target.paths(), 5, "the download runs")
    server.send_signal(signal.SIGTERM)
    server.wait_line("event=drain")
    again = world.server(port=server.port, state="state2")
    agent.server = again
    back(again, agent.host)
    assert thread.is_alive(), "the new server serves while the old one still drains"
    thread.join(20)
    assert got == [40000]
    assert server.wait(5) == 0


def test_sigterm_with_nobody_there_ends_at_once(world, target):
    server = world.server()
    world.agent(server, target.port)
    began = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 1


def test_a_second_sigterm_cuts_what_still_runs(world, target):
    server = world.server(drain="60s")
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/gate")
        wait_until(lambda: target.waiting, 5, "the request is at the target")
        server.send_signal(signal.SIGTERM)
        server.wait_line("event=drain")
        assert server.alive()
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 1
        assert v.ended()


def test_the_drain_timeout_ends_what_never_ends(world, target):
    server = world.server(drain="1s")
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/gate")
        wait_until(lambda: target.waiting, 5, "the request is at the target")
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert 0.9 < time.monotonic() - began < 3
        assert v.ended()


def test_a_server_restart_under_load_fails_only_what_was_under_way(world, target):
    server = world.server(drain="10s")
    agent = world.agent(server, target.port, "--name", "busy")
    servers, stop, odd = [server], threading.Event(), []
    count = {"ok": 0, "away": 0, "cut": 0}
    lock = threading.Lock()

    def visit():
        while not stop.is_set():
            try:
                answer = fetch(server.port, agent.host, "/x")
                kind = "ok" if answer.status == 200 else "away"
                if answer.status not in (200, 503):
                    odd.append(answer.status)
            except ConnectionRefusedError:
                kind = "away"  # nobody listens
            except (OSError, Broken):
                kind = "cut"
            with lock:
                count[kind] += 1

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            n = count["ok"]
            wait_until(lambda: count["ok"] > n + 200, 15, "the load runs")
            assert servers[-1].stop(signal.SIGTERM, 10) == 0
            servers.append(world.server(port=server.port))
            agent.server = servers[-1]
            back(servers[-1], agent.host)
        n = count["ok"]
        wait_until(lambda: count["ok"] > n + 200, 15, "the load runs again")
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert odd == []
    # a drain cuts nobody; those who still waited to be accepted are as many as there are visitors
    assert count["cut"] <= 2 * len(threads), count


def test_both_sides_notice_a_half_open_connection_and_the_name_is_free(world, target):
    server = world.server()
    path = world.closes(Path(server.port))
    agent = world.agent(server, target.port, "--name", "laptop", url=path.url)
    wait_until(lambda: server.count("event=attach") == 2, 5, "both sessions serve it")
    for link in path.alive():
        link.swallow = True
    began = time.monotonic()
    wait_until(lambda: len(path.links) > 2, 25, "the agent notices, and connects anew")
    assert 5 < time.monotonic() - began < 22
    back(server, agent.host, 5)
    wait_until(lambda: server.count("event=session-closed") >= 2, 25, "the server notices as well")
    assert time.monotonic() - began < 30
    assert not agent.count("in use|taken"), agent.text()


def test_an_agent_that_comes_from_elsewhere_is_not_stopped_by_its_own_ghost(world, target):
    server = world.server()
    path = world.closes(Path(server.port))
    ghost = world.agent(server, target.port, "--name", "laptop", url=path.url)
    wait_until(lambda: server.count("event=attach") == 2, 5, "both sessions serve it")
    for link in path.alive():
        link.swallow = True
    agent = world.agent(server, target.port, "--name", "laptop", url=path.url)
    for _ in range(10):
        assert fetch(server.port, agent.host).status == 200
    ghost.kill()


def test_a_visitor_on_a_half_open_session_is_not_left_hanging(world, target):
    server = world.server()
    path = world.closes(Path(server.port))
    agent = world.agent(server, target.port, url=path.url, sessions=1)
    path.alive()[0].swallow = True
    began = time.monotonic()
    with Visitor(server.port, timeout=30) as v:
        v.ask(agent.host, method="POST", body=b"x")
        assert v.answer().status in (502, 503)
    assert time.monotonic() - began < 22
    back(server, agent.host)


def test_a_path_that_is_cut_again_and_again_is_survived(world, target):
    server = world.server()
    path = world.closes(Path(server.port))
    agent = world.agent(server, target.port, url=path.url)
    name = agent.name_
    for _ in range(5):
        for link in path.alive():
            link.cut()
        back(server, server.host(name))
    wait_until(lambda: len(path.alive()) == 2, 15, "both sessions are back")
    assert agent.alive()


def test_sigterm_does_not_wait_for_visitors_who_do_not_hang_up(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    held = [Visitor(server.port) for _ in range(5)]
    for v in held:  # answered with close, and the visitor stays
        v.ask(agent.host, fields=[("Connection", "close")])
        assert v.answer().status == 200
    began = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 1
    for v in held:
        v.close()


def test_an_agent_that_was_killed_is_gone_at_once(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    with Visitor(server.port) as busy, Visitor(server.port) as half:
        busy.ask(agent.host, "/gate")
        half.ask(agent.host, f"/down/{64 << 20}")
        assert half.head().status == 200
        half.exactly(100000)
        wait_until(lambda: target.waiting, 5, "the request is at the target")
        agent.kill()
        assert busy.answer().status in (502, 503)
        with pytest.raises((Broken, ConnectionResetError)):
            half.exactly((64 << 20) - 100000)
    began = time.monotonic()
    wait_until(lambda: fetch(server.port, agent.host).status == 503, 2, "nobody serves it")
    assert time.monotonic() - began < 1


# What a server that is no karezd, or a broken one, may answer to an agent.
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
REFUSE = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
NONSENSE = [
    b"", b"\0" * 5000, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 301 Moved\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
    SWITCH + b"other\r\n\r\n",
    SWITCH + b"karez/1\r\n\r\n",
    SWITCH + b"karez/1\r\n\r\n" + b"\xff" * 10000,
    SWITCH + b"karez/1\r\nKarez-Token: " + b"t" * 5000 + b"\r\n\r\n",
    SWITCH + b"karez/1\r\n\r\n" + PREFACE + NO_SETTINGS +
    b"\0\0\4\1\4\0\0\0\1\xff\xff\xff\xff",
    SWITCH + b"karez/1\r\n\r\n" + PREFACE + NO_SETTINGS * 100000,
    REFUSE + b"\r\n{\"code\":\"DENIED\"",
    REFUSE + b"Content-Length: 9\r\n\r\n[[[[[[[[[",
    REFUSE + b"Content-Length: 99999999999\r\n\r\n" + b"x" * 500000,
    REFUSE + b"Content-Length: 73\r\n\r\n"
    b"{\"status\":403,\"code\":\"DENIED\",\"detail\":\"\\u001b[2Jescapes\\u0007 and more\"}",
]


@pytest.mark.parametrize("n", range(len(NONSENSE)))
def test_a_server_that_talks_nonsense_does_not_hurt_the_agent(world, target, n):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        over = threading.Event()

        def serve():
            while not over.is_set():
                try:
                    sock, _ = server.accept()
                except TimeoutError:
                    continue
                try:
                    sock.settimeout(1)
                    sock.recv(65536)
                    sock.sendall(NONSENSE[n])
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
                except OSError:
                    pass
                sock.close()
        thread = threading.Thread(target=serve)
        thread.start()
        agent = world.agent_unchecked(None, target.port,
                                      url=f"http://127.0.0.1:{server.getsockname()[1]}")
        try:
            assert agent.wait(10) == 1
        finally:
            over.set()
            thread.join()
        assert agent.said("err") and not agent.said("out")
        assert "\x1b" not in agent.text() and "tttt" not in agent.text()
