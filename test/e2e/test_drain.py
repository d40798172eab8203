"""SIGTERM under load: whoever has sent a request gets its answer."""

import signal
import socket
import threading
import time

import pytest

from karez import wait_until
from raw_servers import RawTarget, echo
from servers import Target
from tunnel_scene import refuses
from visitor import Broken, Visitor

CLIENTS = 8


@pytest.fixture
def target(world):
    return world.closes(Target())


class Load:
    """Visitors that ask again and again on connections that they keep, until nobody listens."""

    def __init__(self, server, host, tls=None, pause=0):
        self.server, self.host, self.tls, self.pause = server, host, tls, pause
        self.answers, self.last_words, self.lost = [], 0, []
        self.ends = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def connection(self):
        """One connection to its end. False: nobody listens any more."""
        try:
            visitor = Visitor(self.server.port, tls=self.tls, timeout=10)
        except OSError:
            return False
        with visitor as v:
            while not self.ends.is_set():
                try:
                    answer = v.get(self.host, "/headers")
                except (Broken, OSError) as e:
                    with self.lock:
                        self.lost.append(repr(e))
                    return True
                with self.lock:
                    self.answers.append(answer.status)
                    self.last_words += answer.get("Connection") == "close"
                if answer.get("Connection") == "close":
                    return True
                time.sleep(self.pause)
        return True

    def run(self):
        while not self.ends.is_set() and self.connection():
            pass

    def join(self):
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()

    def check(self):
        assert not self.lost, self.lost
        assert set(self.answers) == {200}, set(self.answers)


def drained(server, load, n):
    """The load runs, the server is asked to go, and both end."""
    wait_until(lambda: len(load.answers) > n, 20, "the load runs")
    server.send_signal(signal.SIGTERM)
    try:
        assert server.wait(15) == 0
    finally:
        load.ends.set()
        load.join()
    load.check()
    assert load.last_words >= CLIENTS // 2, "they were told by their last answer"


@pytest.mark.parametrize("turn", range(5))
def test_no_request_is_lost(world, target, turn):
    server = world.server(drain="20s")
    agent = world.agent(server, target.port)
    drained(server, Load(server, agent.host), 300)


def test_nor_over_tls(world, target, authority):
    server = world.server(drain="20s", tls=authority.localhost, domain="tunnels.localhost")
    agent = world.agent(server, target.port, "--ca-file", authority.ca)
    drained(server, Load(server, agent.host, tls=authority.client_context()), 100)


def test_nor_of_those_who_take_their_time(world, target):
    """Each asks every 0.3 s, so it is between two requests when the server is asked to go."""
    server = world.server(drain="20s")
    agent = world.agent(server, target.port)
    drained(server, Load(server, agent.host, pause=0.3), 2 * CLIENTS)


def test_who_is_silent_is_let_go_gently(world, target):
    server = world.server(drain="2s")
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        assert v.get(agent.host, "/headers").get("Connection") is None
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert v.to_end() == b""  # no reset: that would be an error
        assert 0.5 < time.monotonic() - began < 1.9
        assert server.wait(5) == 0
        assert time.monotonic() - began < 1.9, "it did not wait for the end of --drain-timeout"


def test_a_request_after_the_agent_was_asked_to_go(world, target):
    """The agent hears of the drain first, the visitor asks much later: it is served all the same."""
    server = world.server(drain="10s")
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        assert v.get(agent.host, "/headers").status == 200
        mark = agent.mark()
        server.send_signal(signal.SIGTERM)
        agent.wait_line("trying again", 5, "err", mark)
        time.sleep(1)  # it is the time between that counts
        answer = v.get(agent.host, "/headers")
        assert answer.status == 200 and answer.get("Connection") == "close"
    assert server.wait(5) == 0


def test_connections_of_a_port_are_not_cut(world):
    target = world.closes(RawTarget(echo))
    server = world.server("--tcp-ports", "10000-60000", drain="10s")
    agent = world.agent(server, str(target.port), command=("tcp",))
    with socket.create_connection(("127.0.0.1", agent.port), 10) as runs:
        runs.sendall(b"before")
        assert runs.recv(100) == b"before"
        server.send_signal(signal.SIGTERM)
        server.wait_line("event=drain")
        runs.sendall(b"after")
        assert runs.recv(100) == b"after"
        assert refuses(agent.port)
    assert server.wait(5) == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_doors_stay_open_for_the_delay(world, target, workers):
    """Load balancers notice only after a moment: until then whoever they send is served."""
    server = world.server("--drain-delay", "1500ms", *(["--workers", str(workers)] if workers else []),
                          drain="10s")
    if workers:
        server.wait_line("event=ready workers=", 30)
    agent = world.agent(server, target.port)
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    wait_until(lambda: ready_status(server) == 503, 1, "it says that it is not ready")
    while time.monotonic() < began + 1.2:
        with Visitor(server.port) as v:
            assert v.get(agent.host, "/headers").status == 200
    wait_until(lambda: refuses(server.port), 2, "the doors are closed")
    assert time.monotonic() - began >= 1.5
    assert server.wait(10) == 0


def ready_status(server):
    with Visitor(server.port) as v:
        return v.get("localhost", "/v1/ready").status
