"""Nodes die, hang and lose each other, Redis goes away: what that costs is counted, not guessed."""

import collections
import re
import signal
import socket
import threading
import time

import pytest

from cluster_scene import Cluster
from karez import PATIENCE, SANITIZED, free_port, wait_until
from redis_server import Redis, Sentinel, replica
from servers import Target
from tunnel_scene import tcp
from visitor import Broken, fetch

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
# How long Redis is paused; the registry's leases are over long before.
PAUSE = 60
# Agents that come to the node that is left; of fewer a quarter would come in one second by chance.
HERD = 120 if SANITIZED else 200


@pytest.fixture
def target(world):
    return world.closes(Target())


class Visitors:
    """Visitors of a name at one node, from several threads; each outcome with when it began."""

    def __init__(self, world, node, name, threads=4, keep=False):
        self.node, self.host, self.keep = node, node.host(name), keep
        self.outcomes, self.ended = [], threading.Event()  # (begun, ended, status or error)
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()
        world.closes(self)

    def _run(self):
        while not self.ended.is_set():
            begun = time.monotonic()
            try:
                outcome = fetch(self.node.port, self.host, timeout=30).status
            except (OSError, Broken) as e:
                outcome = repr(e)
            self.outcomes.append((begun, time.monotonic(), outcome))

    def close(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def more(self, n=40, seconds=15):
        had = len(self.outcomes)
        wait_until(lambda: len(self.outcomes) >= had + n, seconds, f"{n} more visitors")

    def count(self, since=0.0):
        """How often there was which outcome, of those that began later."""
        return collections.Counter(o for begun, _, o in self.outcomes if begun >= since)

    def failed(self, since=0.0):
        return sum(n for outcome, n in self.count(since).items() if outcome != 200)

    def last_failure(self):
        """When the last one began that failed; 0: none has."""
        return max((begun for begun, _, o in self.outcomes if o != 200), default=0)


def both(world, cluster, target, first, second, name="demo"):
    """An agent that has a session at each of two nodes."""
    agent = world.agent(cluster.nodes[first], target.port, "--name", name, "--server",
                        cluster.nodes[second].url, env=cluster.env(), config=name)
    wait_until(lambda: cluster.sessions(cluster.nodes[first], name) and
               cluster.sessions(cluster.nodes[second], name), 15, "its sessions are at two nodes")
    cluster.wait_served(agent.host)
    return agent


# ---- nodes ----


def test_a_node_is_killed_and_the_agent_has_another_session(world, target):
    """Of those who come a second later nobody notices."""
    cluster = Cluster(world, 3)
    both(world, cluster, target, 0, 2)
    visitors = Visitors(world, cluster.nodes[1], "demo")
    visitors.more()
    cluster.nodes[0].kill()
    killed = time.monotonic()
    wait_until(lambda: time.monotonic() > killed + 3, 5, "three seconds have gone by")
    visitors.more()
    visitors.close()
    assert visitors.failed(killed + 1 * PATIENCE) == 0, visitors.count(killed + 1 * PATIENCE)
    # GET may be sent again: not even those that were under way
    assert visitors.failed() <= len(visitors.threads), visitors.count()


def test_a_node_is_killed_and_the_agent_had_no_other(world, target):
    cluster = Cluster(world, 3)
    agent = world.agent(cluster.nodes[0], target.port, "--name", "demo", "--sessions", "1",
                        "--server", cluster.nodes[2].url, sessions=1)
    cluster.wait_served(agent.host)
    visitors = Visitors(world, cluster.nodes[1], "demo")
    visitors.more()
    cluster.nodes[0].kill()
    killed = time.monotonic()
    agent.server = cluster.nodes[2]
    wait_until(lambda: visitors.count(killed)[200] > 20, 10, "visitors are served again")
    visitors.more()
    visitors.close()
    assert visitors.last_failure() - killed < 10 * PATIENCE
    assert set(visitors.count(killed)) <= {200, 503, 502}, visitors.count(killed)


def test_a_node_that_is_slow_is_passed_over(world, target):
    """It is stopped again and again, and lives: visitors go to the other, and none is lost."""
    cluster = Cluster(world, 3)
    both(world, cluster, target, 0, 2)
    visitors = Visitors(world, cluster.nodes[1], "demo")
    visitors.more()
    for _ in range(3):
        cluster.nodes[0].popen.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: time.monotonic() > stopped + 1.5, 5, "it was silent for a while")
        visitors.more(20)
        cluster.nodes[0].popen.send_signal(signal.SIGCONT)
        visitors.more(20)
    visitors.close()
    assert visitors.failed() == 0, visitors.count()
    slow = [e - b for b, e, _ in visitors.outcomes if e - b > 1]
    # those who were at it when it stopped wait for it; those who come then do not
    assert len(slow) <= 3 * 2 * len(visitors.threads), f"{len(slow)} of {len(visitors.outcomes)}"


class Relay:
    """Between two nodes: passes bytes, or for a while neither these nor connections."""

    def __init__(self, port):
        self.to, self.cut = port, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.gate = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.mend()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def partition(self):
        """As a cable that is pulled: nobody is told."""
        self.cut = True

    def mend(self):
        with self.gate:
            self.cut = False
            self.gate.notify_all()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(near,), daemon=True).start()

    def _one(self, near):
        with near:
            self._wait()
            try:
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            with far:
                ways = [threading.Thread(target=self._copy, args=way, daemon=True)
                        for way in ((near, far), (far, near))]
                for way in ways:
                    way.start()
                for way in ways:
                    way.join()

    def _wait(self):
        with self.gate:
            self.gate.wait_for(lambda: not self.cut)

    def _copy(self, src, dst):
        try:
            while data := src.recv(65536):
                self._wait()
                dst.sendall(data)
            dst.shutdown(socket.SHUT_WR)
        except OSError:
            for sock in (src, dst):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def test_a_partition_between_two_nodes(world, target):
    """Who has a session elsewhere is served from there; who has none gets 503, and soon."""
    cluster = Cluster(world, 0)
    hop = free_port()
    relay = world.closes(Relay(hop))
    first = world.server("--hop-listen", f"127.0.0.1:{hop}", "--hop-advertise",
                         f"127.0.0.1:{relay.port}", "--cluster-key-file", cluster.key,
                         store=cluster.store, state="state-0")
    first.hop = hop
    cluster.nodes.append(first)
    cluster.add()
    cluster.add()
    cluster.wait_whole()
    both(world, cluster, target, 0, 2, "two")
    only = world.agent(first, target.port, "--name", "one", config="one")
    cluster.wait_served(only.host)
    here = cluster.nodes[1]
    visitors = Visitors(world, here, "two")
    visitors.more()
    relay.partition()
    cut = time.monotonic()
    with_answer = lambda: fetch(here.port, here.host("one"), timeout=40).status
    assert with_answer() in (502, 503)
    assert time.monotonic() - cut < 20 * PATIENCE
    visitors.more(100, 40)
    relay.mend()
    wait_until(lambda: with_answer() == 200, 20, "it is reached again")
    visitors.close()
    late = visitors.failed(cut + 2 * PATIENCE)
    assert late == 0, visitors.count(cut + 2 * PATIENCE)
    assert visitors.failed() <= len(visitors.threads), visitors.count()


# ---- Redis ----


def through_redis_trouble(world, target, cluster, trouble):
    """Visitors of a hop while Redis is in trouble: none of them notices."""
    agent = world.agent(cluster.nodes[0], target.port, "--name", "demo")
    cluster.wait_served(agent.host)
    visitors = [Visitors(world, node, "demo", 2) for node in cluster.nodes]
    for some in visitors:
        some.more()
    trouble()
    for some in visitors:
        some.more()
        some.close()
        assert some.failed() == 0, some.count()
    cluster.wait_whole(seconds=30)
    more = world.agent(cluster.nodes[1], target.port, "--name", "more", config="more")
    cluster.wait_served(more.host, seconds=10)


def test_redis_is_killed(world, target):
    cluster = Cluster(world)

    def trouble():
        cluster.redis.kill()
        gone = time.monotonic()
        wait_until(lambda: time.monotonic() > gone + 12, 15, "longer than any lease")
        cluster.redis.start()
    through_redis_trouble(world, target, cluster, trouble)


def test_redis_is_paused(world, target):
    cluster = Cluster(world)

    def trouble():
        cluster.redis.pause()
        gone = time.monotonic()
        wait_until(lambda: time.monotonic() > gone + PAUSE, PAUSE + 5, "Redis has slept")
        cluster.redis.resume()
    through_redis_trouble(world, target, cluster, trouble)


def test_redis_comes_back_empty(world, target):
    """All that nodes know of each other is said anew; the records are gone, as is their fate."""
    cluster = Cluster(world)
    cluster.redis.ask("DEL", *cluster.redis.ask("KEYS", "karez:{store}:node*"))
    wait_until(lambda: cluster.redis.ask("KEYS", "karez:{store}:node*"), 10, "they are back")
    cluster.wait_whole()


def test_redis_fails_over(world, target):
    master = Redis(world)
    replicas = [replica(world, master), replica(world, master)]
    sentinel = Sentinel(world, master)
    sentinel.knows_replicas(2)
    cluster = Cluster(world, store=sentinel.where)

    def trouble():
        master.kill()
        wait_until(lambda: any(r.role() == "master" for r in replicas), 15, "one is promoted")
    through_redis_trouble(world, target, cluster, trouble)


def test_no_port_has_two_owners_while_redis_fails_over(world, target):
    """Two accounts at two nodes fight for the same ports through a failover."""
    master = Redis(world)
    replicas = [replica(world, master), replica(world, master)]
    sentinel = Sentinel(world, master)
    sentinel.knows_replicas(2)
    cluster = Cluster(world, 0, store=sentinel.where)
    first = free_port()
    ports = [free_port() for _ in range(30)]
    for i in (1, 2):
        cluster.add("--tcp-bind", f"127.0.0.{i}")
    cluster.wait_whole()
    people = [node.account(name) for node, name in zip(cluster.nodes, ("Anna", "Bert"))]
    won = [{}, {}]  # what each was told to be his, and not that it is his no more

    def fight(i):
        for n, port in enumerate(ports):
            try:
                answer = people[i].post("/v1/tunnels", {"name": f"t{i}-{n}", **tcp(port)})
            except (OSError, Broken):
                continue
            if answer.status == 201:
                won[i][port] = f"t{i}-{n}"
            if n == 8 and i == 0:
                master.kill()

    threads = [threading.Thread(target=fight, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: any(r.role() == "master" for r in replicas), 15, "one is promoted")
    assert not set(won[0]) & set(won[1]), "a port was given to both"

    def whole():
        answers = [p.get("/v1/tunnels?limit=100") for p in people]
        return all(a.status == 200 for a in answers) and answers
    owners = collections.Counter()
    for answer in wait_until(whole, 20, "the records can be read again"):
        for tunnel in answer.json()["tunnels"]:
            owners[tunnel["ingress"]["tcp"]["port"]] += 1
    assert max(owners.values()) == 1, owners
    for i in (0, 1):  # with wait=1 nothing that was acknowledged is lost
        assert set(won[i]) <= set(owners)
    for node in cluster.nodes:
        node.kept_files += len(ports)


# ---- clocks ----


def test_a_clock_that_jumps(world, target):
    """Of one node, an hour ahead and back: leases are Redis's to judge."""
    cluster = Cluster(world, 1)
    offset = world.path / "offset"
    offset.write_text("+0")
    node = world.server("--hop-listen", f"127.0.0.1:{free_port()}", "--cluster-key-file",
                        cluster.key, store=cluster.store, state="state-1",
                        env={"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": offset,
                             "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    cluster.nodes.append(node)
    cluster.wait_whole()
    agent = world.agent(node, target.port, "--name", "demo")
    cluster.wait_served(agent.host)
    visitors = [Visitors(world, n, "demo", 2) for n in cluster.nodes]
    for jump in ("+3600", "-3600", "+0"):
        offset.write_text(jump)
        begun = time.monotonic()
        for some in visitors:
            some.more(50)
        wait_until(lambda: time.monotonic() > begun + 5, 10, "some beats have been heard")
        assert [cluster.known(n) for n in cluster.nodes] == [2, 2]
    for some in visitors:
        some.close()
        assert some.failed() == 0, some.count()


# ---- many at once ----


class Counting(Relay):
    """Counts those who come."""

    def __init__(self, port):
        self.n = 0
        super().__init__(port)

    def _one(self, near):
        self.n += 1
        super()._one(near)


def planned(agent, since):
    """When it means to try again, in seconds after it has noticed its loss, by what it says: that depends on no machine."""
    at, found = 0.0, []
    for line in agent.said("err")[since:]:
        match = re.search(r"trying again (?:now|in ([0-9.]+) s)$", line)
        if match:
            at += float(match[1] or 0)
            found.append(at)
    return found


def test_a_herd_comes_to_the_node_that_is_left(world, target):
    """All agents of a dead node: their attempts are spread over time."""
    cluster = Cluster(world)
    one, two = cluster.nodes
    cluster.admin.patch(f"/v1/admin/accounts/{cluster.anna.made['id']}",
                        {"quota": {"tunnels": HERD + 1, "sessions": 4 * HERD}}).want(200)
    counting = world.closes(Counting(two.port))
    herd = [world.agent_unchecked(one, target.port, "--name", f"a{i}", "--agent", f"a{i}",
                                  "--server", f"http://127.0.0.1:{counting.port}",
                                  env=cluster.env(), config=f"a{i}", sessions=1)
            for i in range(HERD)]
    for agent in herd:
        agent.wait_online(60)
    marks, counting.n = [len(agent.said("err")) for agent in herd], 0
    one.kill()
    for agent in herd:
        agent.server = two
    wait_until(lambda: all(fetch(two.port, two.host(f"a{i}")).status == 200
                           for i in range(HERD)), 90, "they serve at the other node")
    attempts = [at for agent, mark in zip(herd, marks) for at in planned(agent, mark)]
    assert HERD <= counting.n <= len(attempts), "none came that was not meant to"
    assert len(attempts) < 2 * HERD
    seconds = collections.Counter(int(at) for at in attempts)
    assert max(seconds.values()) <= len(attempts) / 4, sorted(seconds.items())
    for agent in herd:  # not one after the other
        agent.send_signal(signal.SIGINT)
    assert [agent.wait(20) for agent in herd] == [0] * HERD
