"""Several agents for one tunnel: who gets a visitor, and what happens when one of them fails."""

import collections
import signal
import socket
import threading

import pytest

from karez import free_port, wait_until
from raw_servers import RawTarget, echo, named
from servers import Target
from tunnel_scene import Scene, cut, tcp, wait_open, wait_refused
from visitor import Broken, Visitor, fetch


class Pool(Scene):
    """A server with a tcp tunnel "demo" at .port, and agents for it by their letters."""

    def __init__(self, world, *options, **transport):
        super().__init__(world, *options)
        self.port = free_port()
        self.anna.tunnel("demo", **tcp(self.port), transport=transport)
        self.server.kept_files += 1
        self.targets = {}

    def member(self, letter, *options, habit=None, target=None, sessions=1, **kw):
        """An agent whose target says this letter."""
        target = target or self.world.closes(RawTarget(habit or named(letter)))
        self.targets[letter] = target
        agent = self.world.agent(self.server, target.port, "--name", "demo", "--agent", letter,
                                 *options, command=("tcp",), env=self.env(), config=letter,
                                 sessions=sessions, **kw)
        return agent

    def who(self, timeout=15):
        """Who gets a new visitor; "" when nobody does."""
        try:
            with Visitor(self.port, timeout=timeout) as v:
                return v.until(b"\n").decode()
        except (OSError, Broken):
            return ""

    def count(self, n):
        return collections.Counter(self.who() for _ in range(n))

    def wait_all(self, letter, seconds=10, n=10, timeout=15):
        wait_until(lambda: all(self.who(timeout) == letter for _ in range(n)), seconds,
                   f"all visitors reach {letter}")

    def session(self, letter):
        """As the API tells of it; None: it has gone."""
        found = self.anna.get("/v1/tunnels/demo/sessions").want(200).json()["sessions"]
        return next((s for s in found if s["agent"] == letter), None)


# ---- policies ----


def test_round_robin(world):
    pool = Pool(world, policy="round-robin")
    for letter in "abc":
        pool.member(letter)
    assert pool.count(30) == {"a": 10, "b": 10, "c": 10}


def test_least_conn(world):
    pool = Pool(world)
    for letter in "ab":
        pool.member(letter)
    visitors = [Visitor(pool.port) for _ in range(20)]
    names = collections.Counter(v.until(b"\n").decode() for v in visitors)
    assert names == {"a": 10, "b": 10}
    for v in visitors:
        v.close()


def test_failover_prefers_the_better_priority(world):
    pool = Pool(world, policy="failover")
    pool.member("b", "--priority", "10")
    assert pool.count(5) == {"b": 5}
    first = pool.member("a", "--priority", "1")
    pool.member("c", "--priority", "20")
    assert pool.count(10) == {"a": 10}
    with Visitor(pool.port) as v:
        assert v.until(b"\n") == b"a"
        first.kill()
        pool.wait_all("b")
        assert v.ended()
    pool.member("a", "--priority", "1")
    assert pool.count(10) == {"a": 10}


def test_failover_by_the_order_that_the_record_names(world):
    pool = Pool(world, policy="failover", agents=["b", "a", "c"])
    for letter in "acb":
        last = pool.member(letter)
    assert pool.count(10) == {"b": 10}
    pool.anna.patch("/v1/tunnels/demo", {"transport": {"agents": ["c", "a", "b"]}}).want(200)
    assert pool.count(10) == {"c": 10}
    assert last.alive()


def test_an_agent_that_is_not_named(world):
    pool = Pool(world, agents=["a"])
    target = world.closes(RawTarget(named("z")))
    said = pool.refused(target, "--name", "demo", "--agent", "z")
    assert "z" in said and "a" in said, said
    pool.member("a")
    assert pool.count(3) == {"a": 3}


def test_the_agent_says_the_policy(world):
    pool = Pool(world)
    pool.member("a", "--policy", "round-robin")
    assert pool.anna.get("/v1/tunnels/demo").json()["transport"]["policy"] == "round-robin"


# ---- one that dies ----


@pytest.mark.parametrize("policy", ["round-robin", "least-conn", "failover"])
def test_a19_kill_9_under_load(world, policy):
    pool = Pool(world, policy=policy)
    a, _ = pool.member("a", sessions=2), pool.member("b", sessions=2)
    results, stop, lock = [], threading.Event(), threading.Lock()

    def visit():
        while not stop.is_set():
            try:
                with Visitor(pool.port, timeout=10) as v:
                    said = v.until(b"\n").decode()
            except TimeoutError:
                said = "hung"
            except (OSError, Broken):
                said = ""
            with lock:
                results.append(said)

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: results.count("a") > 50, 15, "there is load")
    a.kill()
    pool.wait_all("b", 1)
    mark = len(results)
    wait_until(lambda: len(results) > mark + 100, 15, "the load goes on")
    stop.set()
    for thread in threads:
        thread.join(15)
    assert "hung" not in results
    assert set(results[mark:]) == {"b"}
    assert results.count("") <= 16, "only those that were on their way"


def test_http_visitors_do_not_notice(world):
    scene = Scene(world)
    agents = []
    for letter in "ab":
        agents.append(scene.agent(world.closes(Target(letter)), "--name", "web", "--agent", letter,
                                  "--policy", "round-robin", kind="http", config=letter))
    statuses, stop = [], threading.Event()

    def visit():
        while not stop.is_set():
            statuses.append(fetch(scene.server.port, agents[0].host).status)

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(statuses) > 40, 15, "there is load")
    agents[0].kill()
    mark = len(statuses) + 8
    wait_until(lambda: len(statuses) > mark + 100, 15, "the load goes on")
    stop.set()
    for thread in threads:
        thread.join(15)
    assert set(statuses[mark:]) == {200}
    assert sum(s != 200 for s in statuses) <= 4, collections.Counter(statuses)


def test_a_frozen_agent_is_passed_over(world):
    pool = Pool(world, policy="round-robin")
    a = pool.member("a")
    pool.member("b")
    assert pool.count(4) == {"a": 2, "b": 2}
    a.popen.send_signal(signal.SIGSTOP)
    try:
        pool.wait_all("b", 5, timeout=1)
    finally:
        a.popen.send_signal(signal.SIGCONT)
    wait_until(lambda: "a" in pool.count(2), 20, "it takes part again")


def test_the_only_one_is_frozen_and_comes_back(world):
    """The last resort is better than none: a visitor waits for it."""
    pool = Pool(world)
    a = pool.member("a")
    a.popen.send_signal(signal.SIGSTOP)
    try:
        assert pool.who(1) == ""
        v = Visitor(pool.port)
    finally:
        a.popen.send_signal(signal.SIGCONT)
    with v:
        assert v.until(b"\n") == b"a"


# ---- one whose target does not work ----


@pytest.mark.parametrize("policy", ["round-robin", "least-conn", "failover"])
@pytest.mark.parametrize("size", [0, 10000])
def test_an_agent_whose_target_is_down_is_passed_over(world, policy, size):
    """The stream is refused before a byte went to anybody: the visitor is still served."""
    pool = Pool(world, policy=policy)
    pool.member("a", target=Gone(), habit=None)
    pool.member("b", habit=echo)
    sent = bytes(range(250)) * (size // 250) + b"x"
    for _ in range(10):
        with Visitor(pool.port) as v:
            v.send(sent)
            v.sock.shutdown(socket.SHUT_WR)
            assert v.to_end() == sent
    assert pool.targets["b"].connections == 10


class Gone:
    """No target at all."""

    def __init__(self):
        self.port = free_port()


def test_all_targets_are_down(world):
    pool = Pool(world)
    for letter in "ab":
        pool.member(letter, target=Gone())
    assert cut(pool.port)


CHECKS = ["--health-interval", "500ms", "--health-rise", "1", "--health-fall", "1"]


def test_health_by_tcp(world):
    pool = Pool(world, policy="failover")
    a = pool.member("a", "--health", "tcp", *CHECKS)
    pool.member("b", "--priority", "5")
    assert pool.count(3) == {"a": 3}
    port = pool.targets["a"].port
    pool.targets["a"].close()
    wait_until(lambda: pool.session("a")["down"], 10, "its target is found to be down")
    assert pool.count(5) == {"b": 5}
    mark = a.mark()
    world.closes(RawTarget(named("a"), port=port))
    wait_until(lambda: not pool.session("a")["down"], 10, "its target is found to be up")
    assert pool.count(5) == {"a": 5}
    assert a.alive() and a.said()[mark:], "and it was said"


class Judge(Target):
    """A web server that may not feel well."""

    status = "200 OK"

    def page_health(self, c, r, rest):
        c.reply("", self.status)


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_health_by_http(world, kind):
    scene = Scene(world)
    judges = {x: world.closes(Judge(x)) for x in "ab"}
    for x, judge in judges.items():
        agent = scene.agent(judge, "--name", "web", "--agent", x, "--health", "/health", "--policy",
                            "round-robin", *CHECKS, kind=kind, config=x, sessions=1)
    port = agent.port or scene.server.port
    host = "x" if agent.port else agent.host

    def seen():
        return {fetch(port, host).text()[-2] for _ in range(8)}

    assert seen() == {"a", "b"}
    for sick in ("503 Service Unavailable", "404 Not Found"):
        judges["a"].status = sick
        wait_until(lambda: seen() == {"b"}, 10, "a has left")
        judges["a"].status = "204 No Content"
        wait_until(lambda: seen() == {"a", "b"}, 10, "a is back")


def test_nobody_is_well(world):
    pool = Pool(world)
    judge = world.closes(Judge("a"))
    pool.member("a", "--health", "/health", *CHECKS, target=judge)
    assert fetch(pool.port, "x").status == 200
    judge.status = "500 Oops"
    wait_refused(pool.port, seconds=10)
    judge.status = "200 OK"
    wait_open(pool.port)
    assert fetch(pool.port, "x").status == 200

    web = world.closes(Judge("web"))
    agent = pool.agent(web, "--health", "/health", *CHECKS, kind="http", config="web")
    web.status = "500 Oops"
    wait_until(lambda: fetch(pool.server.port, agent.host).status == 502, 10, "nobody is well")
    web.status = "200 OK"
    wait_until(lambda: fetch(pool.server.port, agent.host).status == 200, 10, "it is well again")


def test_ill_from_the_start(world):
    """One bad check is enough at the start."""
    pool = Pool(world)
    pool.member("b")
    pool.member("a", "--health", "tcp", "--health-interval", "500ms", "--health-fall", "100",
                target=Gone())
    wait_until(lambda: pool.session("a")["down"], 10, "its target is found to be down")
    assert pool.count(6) == {"b": 6}


def test_a_new_session_of_an_ill_agent_is_ill_too(world):
    pool = Pool(world)
    pool.member("a", "--health", "tcp", *CHECKS, target=Gone())
    wait_until(lambda: (pool.session("a") or {}).get("down"), 10, "it is down")
    pool.server.send_signal(signal.SIGTERM)
    assert pool.server.wait(10) == 0
    pool.again()
    wait_until(lambda: (pool.session("a") or {}).get("down"), 20, "it is down here, too")
    wait_refused(pool.port)


# ---- how many ----


def test_max_sessions(world):
    pool = Pool(world)
    first = pool.member("a", "--max-sessions", "2", sessions=2)
    target = world.closes(RawTarget(named("b")))
    second = world.agent_unchecked(pool.server, str(target.port), "--name", "demo", "--agent", "b",
                                   command=("tcp",), env=pool.env(), config="b")
    second.wait_line(r"\b2\b", 5, "err")
    assert pool.count(4) == {"a": 4}
    assert first.stop() == 0
    if second.alive():
        pool.wait_all("b", 20)
        second.base_files = second.n_files() + 1
    else:
        assert second.popen.returncode == 1


# ---- hot swap ----


def test_hot_swap_by_the_api(world):
    pool = Pool(world, agents=["a"], drain=2)
    a = pool.member("a")
    b = pool.serve("--sessions", "1", agent_id="b", web=world.closes(RawTarget(named("b"))),
                   config="b", wait=False)
    b.wait_line("offers", 5, "out")
    b.base_files = b.n_files() + 1
    with Visitor(pool.port) as v:
        assert v.until(b"\n") == b"a"
        pool.anna.patch("/v1/tunnels/demo", {"transport": {"agents": ["b"]},
                                             "target": {"service": "web"}}).want(200)
        assert pool.count(5) == {"b": 5}
        v.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            v.sock.recv(1)
        v.sock.settimeout(15)
        assert v.ended()  # after its drain
    assert a.wait() == 1 and "other agents" in a.text("err")
    listed = pool.anna.get("/v1/tunnels/demo/sessions").json()["sessions"]
    assert {s["agent"] for s in listed} == {"b"}


def test_a_swap_lets_a_download_finish(world):
    pool = Pool(world, agents=["a"], drain=30)
    a = pool.member("a", habit=lambda peer, _: (peer.exactly(1), peer.sock.sendall(bytes(1 << 20))))
    with Visitor(pool.port) as v:
        wait_until(lambda: pool.targets["a"].connections == 1, 5, "the target has it")
        pool.anna.patch("/v1/tunnels/demo", {"transport": {"agents": ["b"]}}).want(200)
        wait_refused(pool.port)
        v.send(b"x")
        assert len(v.exactly(1 << 20)) == 1 << 20
    assert a.wait() == 1, "it has no more to do"
    pool.member("b")
    assert pool.count(3) == {"b": 3}
