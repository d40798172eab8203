"""Who is there, asked at any node: sessions, visitors and agents of all of them, and ending one by
its number at a node that does not have it."""

import signal
import subprocess
import time

import pytest

from cluster_scene import Cluster
from karez import BUILD, PATIENCE, wait_until
from servers import Target
from visitor import Visitor, fetch


@pytest.fixture
def target(world):
    return world.closes(Target())


@pytest.fixture
def cluster(world):
    return Cluster(world)


def spread(cluster, world, target, name="demo", **kw):
    """An agent with a session at each of two nodes."""
    two, one = cluster.nodes
    agent = world.agent(one, target.port, "--name", name, "--server", two.url,
                        env=cluster.env(), **kw)
    cluster.wait_served(agent.host)
    wait_until(lambda: cluster.sessions(one, name) and cluster.sessions(two, name), 10,
               "its sessions are at both nodes")
    return agent


def listed(cluster, node, what):
    return node.api(cluster.anna.credential).get(f"/v1/{what}").want(200).json()


def karez(cluster, node, *args):
    env = cluster.world.env(KAREZ_TOKEN=cluster.anna.credential, KAREZ_SERVER=node.url,
                            KAREZ_CONFIG_DIR=cluster.world.dir("nobody"))
    done = subprocess.run([str(BUILD / "karez"), *args], env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=20 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_sessions_of_all_nodes(cluster, world, target):
    spread(cluster, world, target)
    ids = {cluster.id_of(n) for n in cluster.nodes}
    seen = []
    for node in cluster.nodes:
        answer = listed(cluster, node, "tunnels/demo/sessions")
        assert {s["node"] for s in answer["sessions"]} == ids
        assert "missing" not in answer
        seen.append([(s["id"], s["node"], s["agent"], s["carrier"], s["ip"])
                     for s in answer["sessions"]])
    assert seen[0] == seen[1], "the same list at both"
    numbers = [s[0] for s in seen[0]]
    assert numbers == sorted(set(numbers)) and max(numbers) < 2 ** 53
    table = karez(cluster, cluster.nodes[0], "tunnel", "sessions", "demo")
    assert "NODE" in table.stdout
    assert all(i in table.stdout for i in ids) and table.stderr == ""


def test_agents_of_all_nodes(cluster, world, target):
    agent = spread(cluster, world, target)
    for node in cluster.nodes:
        (one,) = listed(cluster, node, "agents")["agents"]
        assert one["connected"] and one["sessions"] == 2
        assert set(one["nodes"]) == {cluster.id_of(n) for n in cluster.nodes}
    everybody = cluster.admin.get("/v1/admin/agents").want(200).json()["agents"]
    assert [a["id"] for a in everybody] == [one["id"]]
    assert one["id"] in karez(cluster, cluster.nodes[1], "agents").stdout
    assert agent.stop() == 0
    for node in cluster.nodes:
        wait_until(lambda: not listed(cluster, node, "agents")["agents"][0]["connected"], 5,
                   "it has gone")
        (one,) = listed(cluster, node, "agents")["agents"]
        assert one["sessions"] == 0 and "nodes" not in one


def test_visitors_of_all_nodes(cluster, world, target):
    """Each is told once, at the node that it has come to, though another one may carry it."""
    two, one = cluster.nodes
    agent = world.agent(one, target.port, "--name", "demo", env=cluster.env())
    cluster.wait_served(agent.host)
    visitors = {n: world.closes(Visitor(n.port, source=f"127.0.0.{9 + i}"))
                for i, n in enumerate(cluster.nodes)}
    for node, v in visitors.items():
        v.ask(node.host("demo"), "/gate")
    wait_until(lambda: target.waiting == 2, 5, "two wait")
    want = {(v.sock.getsockname(), cluster.id_of(n)) for n, v in visitors.items()}
    for node in cluster.nodes:
        answer = listed(cluster, node, "tunnels/demo/visitors")
        assert {((v["ip"], v["port"]), v["node"]) for v in answer["visitors"]} == want
        assert answer["count"] == 2 and "missing" not in answer
    target.gate.set()
    for v in visitors.values():
        assert v.answer().status == 200
        v.close()
    wait_until(lambda: listed(cluster, two, "tunnels/demo/visitors")["count"] == 0, 5, "all left")


@pytest.mark.parametrize("here", (True, False))
def test_one_session_is_ended_at_any_node(cluster, world, target, here):
    agent = spread(cluster, world, target)
    node, other = cluster.nodes
    api = node.api(cluster.anna.credential)
    sessions = {s["node"]: s["id"] for s in listed(cluster, node, "tunnels/demo/sessions")["sessions"]}
    number = sessions[cluster.id_of(node if here else other)]
    api.delete(f"/v1/tunnels/demo/sessions/{number}?reason=enough").want(204)
    assert agent.wait(10) == 1
    assert "enough" in agent.text("err")
    wait_until(lambda: listed(cluster, node, "tunnels/demo/sessions") == {"sessions": []}, 5,
               "nobody serves it")
    api.delete(f"/v1/tunnels/demo/sessions/{number}").refused(404)


def test_a_node_that_hangs_is_missing(cluster, world, target):
    agent = spread(cluster, world, target)
    node, hangs = cluster.nodes
    other = cluster.id_of(hangs)
    hangs.send_signal(signal.SIGSTOP)
    try:
        for what, rows in (("tunnels/demo/sessions", "sessions"), ("agents", "agents"),
                           ("tunnels/demo/visitors", "visitors")):
            start = time.monotonic()
            answer = listed(cluster, node, what)
            took = time.monotonic() - start
            assert answer["missing"] == [other], what
            assert took < 2.5 * PATIENCE, f"{what} took {took} s"
            assert other not in [r.get("node") for r in answer[rows]]
        done = karez(cluster, node, "tunnel", "sessions", "demo")
        assert f"node {other} did not answer" in done.stderr
        assert other not in done.stdout and cluster.id_of(node) in done.stdout
    finally:
        hangs.send_signal(signal.SIGCONT)
    wait_until(lambda: "missing" not in listed(cluster, node, "tunnels/demo/sessions"), 15,
               "it answers again")
    cluster.wait_whole(seconds=20)
    cluster.wait_served(agent.host, seconds=20)


def test_nobody_else_learns_of_it(cluster, world, target):
    spread(cluster, world, target)
    bert = cluster.nodes[1].account("Bert")
    for node in cluster.nodes:
        api = node.api(bert.credential)
        api.get("/v1/tunnels/demo/sessions").refused(404)
        api.get("/v1/tunnels/demo/visitors").refused(404)
        assert api.get("/v1/agents").want(200).json() == {"agents": []}
        number = listed(cluster, node, "tunnels/demo/sessions")["sessions"][0]["id"]
        api.delete(f"/v1/tunnels/demo/sessions/{number}").refused(404)
    assert fetch(node.port, node.host("demo")).status == 200


def test_workers_answer_for_each_other(world, target):
    server = world.server("--workers", "2")
    anna = server.account("Anna")
    agent = world.agent(server, target.port, "--name", "demo", env={"KAREZ_TOKEN": anna.credential})
    wait_until(lambda: fetch(server.port, agent.host).status == 200, 5, "it is served")
    wait_until(lambda: len(anna.get("/v1/tunnels/demo/sessions").json()["sessions"]) == 2, 5,
               "its second session is there")
    for _ in range(12):  # whichever worker it is that answers
        answer = anna.get("/v1/tunnels/demo/sessions").want(200).json()
        assert len(answer["sessions"]) == 2 and "missing" not in answer
        assert len(anna.get("/v1/agents").want(200).json()["agents"]) == 1
    number = answer["sessions"][0]["id"]
    anna.delete(f"/v1/tunnels/demo/sessions/{number}?reason=enough").want(204)
    assert agent.wait(10) == 1
