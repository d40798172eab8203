"""A20 and A19 with two and three nodes: a visitor at any node reaches a session at any other."""

import hashlib
import signal
import socket
import threading

import pytest

from cluster_scene import Cluster
from karez import free_port, wait_until
from proxy_header import read_v2
from raw_servers import RawTarget
from servers import Target, digest_of
from tunnel_scene import wait_open
from visitor import Visitor, fetch


@pytest.fixture
def target(world):
    return world.closes(Target())


@pytest.fixture
def cluster(world):
    """Two nodes: in most tests visitors come to the first one, and agents to the other."""
    return Cluster(world)


def served(cluster, agent, nodes=None):
    cluster.wait_served(agent.host, nodes)


# ---- a visitor at one node, a session at the other ----


def test_a_visitor_of_any_node_is_served(cluster, world, target):
    two, one = cluster.nodes
    agent = world.agent(one, target.port, "--name", "demo")
    served(cluster, agent)
    answer = fetch(two.port, two.host("demo"), "/headers")
    seen = target.requests[-1]
    assert answer.status == 200
    assert seen.get("X-Forwarded-For") == "127.0.0.1"
    assert seen.get("X-Forwarded-Host") == two.host("demo")
    assert seen.get("X-Forwarded-Proto") == "http"


def test_a_custom_domain_is_known_to_who_has_just_looked_for_it(world, target):
    """What is not there is remembered for a second, unless somebody writes it."""
    cluster = Cluster(world, options=("--unproven-domains",))
    two, one = cluster.nodes
    served(cluster, world.agent(one, target.port, "--name", "demo", env=cluster.env()))
    api = one.api(cluster.anna.credential)
    for i in range(5):
        host = f"x{i}.a.example"
        assert fetch(two.port, host).status == 404
        api.patch("/v1/tunnels/demo", {"ingress": {"http": {"alt_names": [host]}}}).want(200)
        wait_until(lambda: fetch(two.port, host).status == 200, 5, f"{host} is served")


def test_large_bodies_both_ways(cluster, world, target):
    two, one = cluster.nodes
    served(cluster, world.agent(one, target.port, "--name", "demo"))
    size = 32 << 20
    answer = fetch(two.port, two.host("demo"), f"/down/{size}")
    assert answer.status == 200 and hashlib.sha256(answer.body).hexdigest() == digest_of(size)
    body = answer.body[:8 << 20]
    answer = fetch(two.port, two.host("demo"), "/up/1", "POST", body=body)
    assert answer.status == 200 and answer.text() == hashlib.sha256(body).hexdigest()


def test_many_requests_on_one_connection(cluster, world, target):
    two, one = cluster.nodes
    served(cluster, world.agent(one, target.port, "--name", "demo"))
    with Visitor(two.port) as v:
        for _ in range(300):
            assert v.get(two.host("demo")).status == 200


def test_a_port_is_open_at_every_node(world):
    """Nodes of one machine cannot have one address twice, so each has its own of loopback."""
    cluster = Cluster(world, 0)
    for i in (1, 2):
        cluster.add("--tcp-bind", f"127.0.0.{i}")
    cluster.wait_whole()
    one, two = cluster.nodes
    anna = one.account("Anna")
    port = free_port()
    anna.tunnel("raw", kind="tcp", ingress={"tcp": {"port": port}}, target={"proxy_protocol": "v2"})
    target = world.closes(RawTarget())
    world.agent(one, target.port, "--name", "raw", command=("tcp",),
                env={"KAREZ_TOKEN": anna.credential})
    for node in cluster.nodes:
        node.kept_files += 1
    for address in ("127.0.0.1", "127.0.0.2"):
        wait_open(port, address)
        with Visitor(port, address, source="127.0.0.9") as v:
            peer, header = take(target, v)
            assert header.src[0] == "127.0.0.9"
            assert header.dst == (address, port)
            peer.send(b"pong")
            assert v.sock.recv(4) == b"pong"
            v.send(b"ping")
            assert peer.exactly(4) == b"ping"
            peer.close()


def take(target, visitor):
    """The connection of this visitor: those before it only looked whether the port is open."""
    while True:
        peer = target.take()
        header = read_v2(peer)
        if header.src[1] == visitor.sock.getsockname()[1]:
            return peer, header
        peer.close()


def test_three_nodes(world, target):
    cluster = Cluster(world, 3)
    agent = world.agent(cluster.nodes[2], target.port, "--name", "demo")
    served(cluster, agent)
    for node in cluster.nodes:
        assert fetch(node.port, node.host("demo")).status == 200


# ---- names ----


def test_a_name_belongs_to_one_account_on_all_nodes(cluster, world, target):
    two, one = cluster.nodes
    world.agent(one, target.port, "--name", "mine", config="one")
    thief = world.agent_unchecked(two, target.port, "--name", "mine", config="two")
    assert thief.wait() == 1 and "taken" in thief.text("err")


def test_the_limit_of_sessions_counts_all_nodes(cluster, world, target):
    two, one = cluster.nodes
    anna = one.account("Anna")
    anna.tunnel("demo", transport={"max_connections": 2})
    env = {"KAREZ_TOKEN": anna.credential}
    agent = world.agent(one, target.port, "--name", "demo", env=env, config="one")
    served(cluster, agent)
    more = world.agent_unchecked(two, target.port, "--name", "demo", "--agent", "other", env=env,
                                 config="two")
    more.wait_line("2 sessions serve this tunnel already", 10)
    assert fetch(two.port, two.host("demo")).status == 200


def test_a_newer_process_of_an_agent_takes_over_from_the_other_node(cluster, world, target):
    two, one = cluster.nodes
    anna = one.account("Anna")
    env = {"KAREZ_TOKEN": anna.credential}
    old = world.agent(one, target.port, "--name", "demo", "--agent", "home", env=env, config="one")
    served(cluster, old)
    new = world.agent(two, target.port, "--name", "demo", "--agent", "home", env=env,
                      config="two")
    assert old.wait(10) == 1 and "taken over" in old.text("err")
    served(cluster, new)


# ---- the API at another node ----


def test_a_disconnect_reaches_the_other_node(cluster, world, target):
    two, one = cluster.nodes
    anna = one.account("Anna")
    agent = world.agent(one, target.port, "--name", "demo",
                        env={"KAREZ_TOKEN": anna.credential})
    served(cluster, agent)
    two.api(anna.credential).post("/v1/tunnels/demo/disconnect",
                                  {"reason": "tea is ready"}).want(200, 202, 204)
    assert agent.wait(10) == 1
    assert "tea is ready" in agent.text("err")


def test_a_deleted_tunnel_ends_at_once_on_the_other_node(cluster, world, target):
    two, one = cluster.nodes
    anna = one.account("Anna")
    agent = world.agent(one, target.port, "--name", "demo",
                        env={"KAREZ_TOKEN": anna.credential})
    served(cluster, agent)
    two.api(anna.credential).delete("/v1/tunnels/demo").want(204)
    assert agent.wait(5) == 1
    wait_until(lambda: fetch(one.port, one.host("demo")).status == 404, 5, "it is gone at one")
    wait_until(lambda: fetch(two.port, two.host("demo")).status == 404, 5, "it is gone at two")


def test_nodes_are_listed(cluster):
    two, one = cluster.nodes
    nodes = one.api(cluster.token()).get("/v1/admin/nodes").want(200).json()["nodes"]
    assert len(nodes) == 2 and sum(n["this"] for n in nodes) == 1
    assert not any(n["draining"] for n in nodes)


# ---- nodes that go ----


def test_a_node_is_killed(cluster, world, target):
    """B says 503 while nobody serves, and the agent comes to B."""
    two, one = cluster.nodes
    agent = world.agent(one, target.port, "--name", "demo", "--server", two.url)
    served(cluster, agent)
    one.kill()
    agent.server = two
    wait_until(lambda: fetch(two.port, two.host("demo")).status == 200, 10, "B serves it")


def test_a_node_is_killed_and_nobody_comes(cluster, world, target):
    two, one = cluster.nodes
    agent = world.agent(one, target.port, "--name", "demo")
    served(cluster, agent)
    one.kill()
    wait_until(lambda: fetch(two.port, two.host("demo")).status == 503, 15, "B says 503")
    wait_until(lambda: cluster.known(two) == 1, 15, "B knows that A is gone")
    agent.stop()


def test_a_node_drains_and_loses_nothing(cluster, world, target):
    two, one = cluster.nodes
    agent = world.agent(one, target.port, "--name", "demo", "--server", two.url)
    served(cluster, agent)
    # one download by each node, under way while the first node goes
    got = {}

    def download(node):
        got[node] = fetch(node.port, node.host("demo"), "/trickle/30", timeout=30)

    threads = [threading.Thread(target=download, args=(n,)) for n in cluster.nodes]
    for t in threads:
        t.start()
    wait_until(lambda: sum(r.path == "/trickle/30" for r in target.requests) == 2, 5, "both run")
    one.send_signal(signal.SIGTERM)
    for t in threads:
        t.join()
    assert [got[n].status for n in cluster.nodes] == [200, 200]
    assert one.wait(10) == 0
    agent.server = two
    wait_until(lambda: fetch(two.port, two.host("demo")).status == 200, 5, "served by the other")


def test_a_drain_waits_for_no_stream_that_another_node_keeps(cluster, world, target):
    """A visitor's node keeps streams for the next request, which the node of the session cannot
    tell from those that are in use."""
    two, one = cluster.nodes
    agent = world.agent(one, target.port, "--name", "demo", env=cluster.env())
    api = one.api(cluster.anna.credential)
    api.patch("/v1/tunnels/demo", {"transport": {"policy": "failover"}}).want(200)
    second = world.closes(Target("second"))
    other = world.agent(two, second.port, "--name", "demo", "--priority", "1", config="other",
                        env=cluster.env())
    served(cluster, agent)
    had = len(target.requests)
    for _ in range(3):
        assert fetch(two.port, two.host("demo")).status == 200
    assert len(target.requests) == had + 3, "by the hop"
    one.send_signal(signal.SIGTERM)
    assert one.wait(10) == 0
    assert fetch(two.port, two.host("demo")).status == 200
    other.stop()
    agent.stop()


# ---- strangers ----


def test_a_node_with_another_key_is_nobody(cluster, world, target):
    two, one = cluster.nodes
    agent = world.agent(one, target.port, "--name", "demo")
    served(cluster, agent)
    stranger = cluster.add(key=cluster.key_file("other-key", "ab" * 32))
    wait_until(lambda: one.count("event=message-refused why=forged"), 10, "one tells of it")
    assert cluster.known(one) == 2 and cluster.known(stranger) == 1
    assert fetch(stranger.port, stranger.host("demo")).status == 503
    assert fetch(two.port, two.host("demo")).status == 200


def test_replayed_messages_change_nothing(cluster, world, target):
    two, one = cluster.nodes
    heard = record(cluster.redis)
    agent = world.agent(one, target.port, "--name", "demo")
    served(cluster, agent)
    wait_until(lambda: len(heard.messages) >= 4, 10, "some messages are recorded")
    assert agent.stop() == 0
    cluster.wait_served(agent.host, [one, two], status=503)
    for channel, message in list(heard.messages):
        publish(cluster.redis, channel, message)
        publish(cluster.redis, channel, message[:-1] + b"x")
        publish(cluster.redis, channel, message[1:])
    for node in cluster.nodes:
        assert fetch(node.port, node.host("demo")).status == 503
        assert cluster.known(node) == 2
    # of a node that is gone as well
    two.stop(signal.SIGTERM)
    wait_until(lambda: cluster.known(one) == 1, 10, "one is alone")
    for channel, message in list(heard.messages):
        publish(cluster.redis, channel, message)
    assert cluster.known(one) == 1
    heard.close()


def publish(redis, channel, message):
    with socket.create_connection(("127.0.0.1", redis.port), 5) as s:
        words = (b"PUBLISH", channel, message)
        s.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        assert s.recv(64)[:1] == b":"


class record:
    """Everything that nodes say to each other by this Redis."""

    def __init__(self, redis):
        self.messages = []
        self.sock = socket.create_connection(("127.0.0.1", redis.port), 5)
        self.sock.sendall(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$18\r\nkarez:{store}:bus*\r\n")
        self.file = self.sock.makefile("rb")
        threading.Thread(target=self._run, daemon=True).start()

    def _word(self):
        line = self.file.readline()
        if line[:1] == b":":
            return int(line[1:])
        return self.file.read(int(line[1:]) + 2)[:-2]

    def _run(self):
        try:
            while line := self.file.readline():
                words = [self._word() for _ in range(int(line[1:]))]
                if words[0] == b"pmessage":
                    self.messages.append((words[2], words[3]))
        except (OSError, ValueError):
            pass

    def close(self):
        self.sock.close()
