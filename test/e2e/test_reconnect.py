"""A7 and A19: connections and servers that go away, and come back."""

import re
import signal
import socket
import threading
import time

import pytest

from karez import Failure, wait_until
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
    server.crash()
    mark = agent.mark()
    # two seconds' worth of attempts, each said with when the next one is
    agent.wait_line("(?i)refused", 5, since=mark)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2, 3, "a while passes")
    again = world.server(port=server.port)
    agent.server = again
    back(again, agent.host)
    agent.wait_line(r"(?i)publicly accessible|again|back", since=mark)
    said = agent.said()[mark:]
    assert len(said) == len(set(re.sub(r"[\d.]+", "#", s) for s in said)), \
        "each change is said once:\n" + "\n".join(said)


def test_a7_delays_grow_and_are_jittered(world, target):
    server = world.server()
    agent = world.agent(server, target.port, "--log-level", "debug", "-v", sessions=1)
    path_port = server.port
    server.crash()
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
    wait_until(lambda: len(path.alive()) == 2 and all(x.bytes > 300 for x in path.alive()), 5,
               "both sessions are there")
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
    wait_until(lambda: len(path.alive()) == 2, 5, "both sessions are there")
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
    server.expect_alive = False
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
    server.expect_alive = False


def test_a_second_sigterm_cuts_what_still_runs(world, target):
    server = world.server(drain="60s")
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/gate")
        wait_until(lambda: target.waiting, 5, "the request is at the target")
        server.expect_alive = False
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
        server.expect_alive = False
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert 0.9 < time.monotonic() - began < 3
        assert v.ended()


def test_a_server_restart_under_load_fails_only_what_was_under_way(world, target):
    server = world.server(drain="10s")
    agent = world.agent(server, target.port, "--name", "busy")
    servers, stop, odd = [server], threading.Event(), []
    count = {"ok": 0, "away": 0}
    lock = threading.Lock()

    def visit():
        while not stop.is_set():
            try:
                answer = fetch(server.port, agent.host, "/x")
                kind = "ok" if answer.status == 200 else "away"
                if answer.status not in (200, 503):
                    odd.append(answer.status)
            except (OSError, Broken):
                kind = "away"  # nobody listens
            with lock:
                count[kind] += 1

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            n = count["ok"]
            wait_until(lambda: count["ok"] > n + 200, 15, "the load runs")
            servers[-1].expect_alive = False
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


def test_both_sides_notice_a_half_open_connection_and_the_name_is_free(world, target):
    server = world.server()
    path = world.closes(Path(server.port))
    agent = world.agent(server, target.port, "--name", "laptop", url=path.url)
    wait_until(lambda: len(path.alive()) == 2 and all(x.bytes > 300 for x in path.alive()), 5,
               "both sessions are there")
    for link in path.alive():
        link.swallow = True
    # the agent comes from elsewhere at once: its own ghost does not stand in its way
    roamed = world.agent(server, target.port, "--name", "laptop")
    assert fetch(server.port, roamed.host).status == 200
    assert roamed.stop() == 0
    began = time.monotonic()
    wait_until(lambda: len(path.links) > 2 or not agent.alive(), 25, "the agent notices")
    assert time.monotonic() - began < 22
    if agent.alive():  # it came back by itself, or was told that it had been replaced
        back(server, agent.host, 10)
    else:
        assert agent.popen.returncode == 1 and "taken over" in agent.text("err")
    server.wait_line("DEAD|silent", 25)
    for proc in (agent, roamed):
        assert not proc.count("in use|taken by"), proc.text()


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


def test_no_server_for_a_while_is_said_once(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    server.crash()
    mark = agent.mark()
    agent.wait_line("refused", 5, since=mark)
    with pytest.raises(Failure):
        agent.wait_line("refused", 2, since=agent.mark())
