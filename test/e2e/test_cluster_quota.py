"""An account's quota of sessions is one for all nodes and workers, and none of its agents is kept out by what is left of
its own connections."""

import signal
import time

import pytest

from cluster_scene import Cluster
from karez import PATIENCE, wait_until
from servers import Target
from visitor import fetch

FULL = "this account has 2 sessions, which is its limit"


@pytest.fixture
def target(world):
    return world.closes(Target())


@pytest.fixture
def cluster(world):
    cluster = Cluster(world)
    allow(cluster, 2)
    return cluster


def allow(cluster, sessions):
    path = f"/v1/admin/accounts/{cluster.anna.made['id']}"
    cluster.admin.patch(path, {"quota": {"sessions": sessions}}).want(200)


def options(cluster, target, name, sessions=1):
    """An agent that is another one by its name, with one session if it is not told otherwise."""
    return {"args": (target.port, "--name", name, "--agent", name),
            "kw": {"env": cluster.env(), "config": name, "sessions": sessions}}


def agent(cluster, node, target, name, *more, **kw):
    opt = options(cluster, target, name, **kw)
    return cluster.world.agent(node, *opt["args"], *more, **opt["kw"])


def refused(cluster, node, target, name):
    opt = options(cluster, target, name)
    one = cluster.world.agent_unchecked(node, *opt["args"], **opt["kw"])
    one.wait_line(FULL, 5, "err")
    return one


def test_the_third_session_is_refused_at_any_node(cluster, target):
    one, two = cluster.nodes
    agent(cluster, one, target, "a")
    b = agent(cluster, two, target, "b")
    for node in cluster.nodes:
        refused(cluster, node, target, f"c{node.port}").wait(5)
    b.stop()
    agent(cluster, one, target, "d")


def test_two_of_one_agent_are_two(cluster, target):
    one, two = cluster.nodes
    agent(cluster, one, target, "a", sessions=2)
    wait_until(lambda: cluster.sessions(one, "a") == 2, 5, "its sessions are there")
    refused(cluster, two, target, "b")


def test_a_larger_quota_counts_at_once(cluster, target):
    one, two = cluster.nodes
    agent(cluster, one, target, "a", sessions=2)
    wait_until(lambda: cluster.sessions(one, "a") == 2, 5, "its sessions are there")
    refused(cluster, two, target, "b").wait(5)
    allow(cluster, 3)
    agent(cluster, two, target, "c")


def test_a_node_that_is_dead_has_none(cluster, target):
    one, two = cluster.nodes
    a = agent(cluster, one, target, "a", sessions=2)
    wait_until(lambda: cluster.sessions(one, "a") == 2, 5, "its sessions are there")
    refused(cluster, two, target, "b").wait(5)
    one.kill()
    a.kill()  # it must not take the place
    killed = time.monotonic()
    wait_until(lambda: cluster.known(two) == 1, 15, "the node is gone")
    agent(cluster, two, target, "c", sessions=2)
    assert time.monotonic() - killed < 15 * PATIENCE
    wait_until(lambda: cluster.sessions(two, "c") == 2, 5, "both of its sessions are there")


def test_an_agent_comes_to_the_other_node_when_its_own_dies(cluster, world, target):
    """Its sessions still count at the node that nobody knows to be dead."""
    one, two = cluster.nodes
    a = agent(cluster, one, target, "a", "--server", two.url, sessions=2)
    wait_until(lambda: [cluster.sessions(n, "a") for n in cluster.nodes] == [1, 1], 10,
               "it has a session at each node")
    one.kill()
    killed = time.monotonic()
    wait_until(lambda: cluster.sessions(two, "a") == 2, 7, "both are at the other")
    assert time.monotonic() - killed < 8 * PATIENCE
    assert "limit" not in a.text("err")
    assert fetch(two.port, two.host("a")).status == 200


def test_a_node_that_drains_keeps_nobody_out(cluster, world, target):
    one, two = cluster.nodes
    a = agent(cluster, one, target, "a", "--server", two.url, sessions=2)
    wait_until(lambda: [cluster.sessions(n, "a") for n in cluster.nodes] == [1, 1], 10,
               "it has a session at each node")
    one.send_signal(signal.SIGTERM)
    wait_until(lambda: cluster.sessions(two, "a") == 2, 5, "both are at the other")
    one.wait(20)
    assert "limit" not in a.text("err")


def test_an_agent_that_is_killed_and_comes_back_is_not_refused(cluster, target):
    one, two = cluster.nodes
    for i in range(4):
        a = agent(cluster, cluster.nodes[i % 2], target, "a", sessions=2)
        node = cluster.nodes[i % 2]
        wait_until(lambda: cluster.sessions(node, "a") == 2, 5, "its sessions are there")
        assert "limit" not in a.text("err")
        a.kill()


def test_workers_count_together(world, target):
    server = world.server("--workers", 2)
    server.wait_line("event=ready workers=", 30)
    anna = server.account("Anna")
    server.admin().patch(f"/v1/admin/accounts/{anna.made['id']}", {"quota": {"sessions": 2}}).want(200)

    def options(i):
        return {"config": f"a{i}", "sessions": 1, "env": {"KAREZ_TOKEN": anna.credential}}

    for i in range(2):
        world.agent(server, target.port, "--name", f"a{i}", "--agent", f"a{i}", **options(i))
    for i in range(2, 8):  # by chance at either of them
        late = world.agent_unchecked(server, target.port, "--name", f"a{i}", "--agent", f"a{i}", **options(i))
        late.wait_line(FULL, 5, "err")
        late.wait(5)
