"""Nodes of a cluster go and come under load, and nobody who asks for something notices."""

import signal
import threading
import time

import pytest

from cluster_scene import Cluster
from haproxy import Haproxy
from karez import wait_until
from request_load import RequestLoad
from servers import Target
from test_cluster import publish, record
from visitor import Visitor, fetch

# No sticky sessions: each connection goes to the next node that says it is ready.
BALANCER = """
    retries 3
    option redispatch 1
listen l
    bind 127.0.0.1:{front}
    balance roundrobin
    option httpchk
    http-check send meth GET uri /v1/ready ver HTTP/1.1 hdr Host 127.0.0.1 hdr Connection close
    http-check expect status 200
    default-server check inter 200ms fall 1 rise 1
{servers}
"""
RATE = 200


@pytest.fixture
def target(world):
    return world.closes(Target())


class Balanced:
    """Nodes behind a load balancer; agents and visitors know only that."""

    def __init__(self, world, n, drain="10s"):
        self.world = world
        self.cluster = Cluster(world, n, drain=drain)
        servers = "\n".join(f"    server n{i} 127.0.0.1:{node.port}"
                            for i, node in enumerate(self.cluster.nodes))
        self.front = Haproxy(world, BALANCER, servers=servers).front
        world.guests.append(world.procs[-1])  # it ends before the nodes are looked at
        wait_until(lambda: self.status("nobody") == 404, 10, "HAProxy has seen a node")

    def agent(self, target, name, **kw):
        agent = self.world.agent(self.cluster.nodes[0], target.port, "--name", name,
                                 url=f"http://127.0.0.1:{self.front}", config=name,
                                 env=self.cluster.env(), **kw)
        self.cluster.wait_served(agent.host)
        return agent

    def spread(self, name):
        """At how many nodes the tunnel has sessions."""
        return sum(self.cluster.sessions(n, name) > 0 for n in self.cluster.nodes if n.alive())

    def status(self, name):
        return fetch(self.front, f"{name}.localhost:{self.front}").status

    def load(self, name, rate=RATE):
        load = self.world.closes(RequestLoad(self.front, f"{name}.localhost:{self.front}", rate))
        wait_until(lambda: load.done > rate, 20, "the load runs")
        return load


def more(load, n):
    had = load.done
    wait_until(lambda: load.done >= had + n, 30, f"{n} more requests")


def drained(balanced, node, load):
    """One node goes and comes again."""
    node.send_signal(signal.SIGTERM)
    assert node.wait(20) == 0
    more(load, RATE)
    balanced.cluster.again(node)
    balanced.cluster.wait_whole()
    more(load, RATE)


def test_a_visitor_of_any_node_behind_a_balancer(world, target):
    balanced = Balanced(world, 3)
    balanced.agent(target, "demo")
    wait_until(lambda: balanced.spread("demo") >= 2, 30, "its sessions are at two nodes")
    for _ in range(12):
        assert balanced.status("demo") == 200
    with Visitor(balanced.front) as v:
        for _ in range(50):
            assert v.get(f"demo.localhost:{balanced.front}").status == 200
    for i, node in enumerate(balanced.cluster.nodes):
        asked = node.api(balanced.cluster.token()).get("/v1/admin/nodes").want(200)
        assert len(asked.json()["nodes"]) == 3, i


def test_one_of_two_drains_and_no_request_fails(world, target):
    balanced = Balanced(world, 2)
    balanced.agent(target, "demo")
    load = balanced.load("demo")
    for node in list(balanced.cluster.nodes):
        drained(balanced, node, load)
    assert load.check() > 4 * RATE


def test_three_are_started_anew_one_after_the_other_and_no_request_fails(world, target):
    balanced = Balanced(world, 3)
    agents = [balanced.agent(target, name) for name in ("demo", "more")]
    loads = [balanced.load("demo"), balanced.load("more", 50)]
    for node in list(balanced.cluster.nodes):
        drained(balanced, node, loads[0])
    assert loads[0].check() > 6 * RATE and loads[1].check() > 50
    assert all(agent.alive() for agent in agents)


def test_a_download_goes_on_while_its_node_drains(world, target):
    """Of a visitor whose agent's session is at that very node, and of one who comes by a hop."""
    balanced = Balanced(world, 2)
    balanced.agent(target, "demo")
    got = []
    threads = [threading.Thread(target=lambda: got.append(
        fetch(balanced.front, f"demo.localhost:{balanced.front}", "/trickle/40", timeout=30)))
        for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: sum(r.path == "/trickle/40" for r in target.requests) == 4, 5, "all run")
    node = balanced.cluster.nodes[0]
    node.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert [answer.status for answer in got] == [200] * 4
    assert node.wait(10) == 0


# ---- two versions ----


def test_what_a_later_version_may_say_is_passed_over(world, target):
    """Garbled, cut and unknown messages: the nodes stay, are served by each other, and say so."""
    cluster = Cluster(world)
    heard = record(cluster.redis)
    agent = world.agent(cluster.nodes[1], target.port, "--name", "demo")
    cluster.wait_served(agent.host)
    wait_until(lambda: len(heard.messages) >= 4, 10, "some messages are recorded")
    for channel, message in list(heard.messages):
        for made in (message + b"new=words", b"z" + message[1:], b"", b"\0" * 100,
                     message.replace(b"1", b"2")):
            publish(cluster.redis, channel, made)
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() > begun + 3, 5, "some beats have been heard")
    for node in cluster.nodes:
        assert cluster.known(node) == 2
        assert fetch(node.port, node.host("demo")).status == 200
    heard.close()
