"""Three nodes, Redis and HAProxy on machines of their own (A18, A19 and A20), whichever way agents come, and what is
served while some of them do not reach each other."""

import collections
import hashlib
import signal
import threading
import time

import pytest

from bad_network import why_not
from cluster_apart import FRONT, OUTSIDE, Apart, SshApart, more
from karez import BUILD, PATIENCE, wait_until
from servers import Target, digest_of, fields_of
from ssh_scene import events, forward_to
from visitor import Visitor

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


@pytest.fixture
def apart(world):
    return Apart(world, drain="10s")


@pytest.fixture
def web(world, apart):
    """It lives where agents do."""
    return world.closes(Target("web"))


@pytest.fixture
def shell(apart):
    return SshApart(apart)


# ---- every way in, every node ----


def by_upgrade(apart, web):
    apart.agent(web, "demo", "--transport", "upgrade")


def by_websocket(apart, web):
    apart.agent(web, "demo", "--transport", "websocket")


def by_ssh(apart, web):
    SshApart(apart).session(forward_to(web, "demo:80"))


def by_karez_ssh(apart, web):
    shell = SshApart(apart)
    proc = apart.world.guest("karez-ssh", [
        BUILD / "karez", "ssh", "-F", "none", "-p", 80, "-i", shell.key.file, "-o",
        f"UserKnownHostsFile={shell.known_hosts}", "-R", forward_to(web, "demo:80"),
        f"anna@{shell.ssh_address}"])
    proc.wait_line("^Forwarding demo:80 ", 15)


@pytest.mark.parametrize("way", [by_upgrade, by_websocket, by_ssh, by_karez_ssh])
def test_an_agent_behind_the_balancer_is_reached_at_every_node(apart, web, way):
    way(apart, web)
    apart.wait_everywhere("demo")
    for node in apart.nodes:
        answer = apart.fetch_at(node, "demo", "/headers")
        assert fields_of(answer)["x-forwarded-for"] == [OUTSIDE]
        assert fields_of(answer)["host"] == ["demo.localhost"]
        assert hashlib.sha256(apart.fetch_at(node, "demo", f"/down/{4 << 20}").body).hexdigest() \
            == digest_of(4 << 20)
    for _ in range(2 * len(apart.nodes)):
        assert fields_of(apart.fetch_front("demo", "/headers"))["x-forwarded-for"] == [OUTSIDE]


def test_a18_a_tunnel_that_leads_to_the_balancer(world, apart):
    """Whichever nodes it comes by, it ends, and all of them live."""
    world.agent(apart.front, f"{FRONT}:80", "--name", "snake", url=apart.front.url, env=apart.env())
    wait_until(lambda: apart.status_front("snake") == 508, 10, "it is found to be a loop")
    for node in apart.nodes:
        begun = time.monotonic()
        assert apart.fetch_at(node, "snake").status == 508
        assert time.monotonic() - begun < 5 * PATIENCE
    assert all(node.alive() for node in apart.nodes)


# ---- A19 ----


def test_a19_one_of_two_sessions_is_killed_with_its_node(apart, web):
    """Of 1000 requests those fail, at most, that were in its hands."""
    apart.agent(web, "demo", nodes=apart.nodes[:2])
    apart.wait_held("demo", apart.nodes[:2])
    apart.wait_everywhere("demo")
    load = apart.load("demo", 200)
    apart.nodes[1].kill()
    more(load, 1000)
    made = load.stop()
    assert len(load.failures) <= 4, f"{len(load.failures)} of {made}: {load.failures}"  # its threads


def test_a19_a_node_is_stopped_during_downloads_of_5_s(apart, web):
    """Through every node, with the session at the one that goes; the agent comes back by itself."""
    agent = apart.agent(web, "demo", nodes=[apart.nodes[0]], sessions=1)
    apart.wait_everywhere("demo")
    got = {}

    def download(node):
        got[node.name] = apart.fetch_at(node, "demo", "/trickle/50")

    threads = [threading.Thread(target=download, args=(n,)) for n in apart.nodes]
    for thread in threads:
        thread.start()
    wait_until(lambda: sum(r.path == "/trickle/50" for r in web.requests) == 3, 5, "all run")
    first = apart.nodes[0]
    first.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert {n: a.status for n, a in got.items()} == {n.name: 200 for n in apart.nodes}
    assert len({a.body for a in got.values()}) == 1 and len(got["node1"].body) > 0
    assert first.wait(10) == 0
    wait_until(lambda: agent.count("connection refused"), 10, "it tries again")
    again = apart.again(first)
    apart.wait_held("demo", [again], 30)
    apart.wait_everywhere("demo")


@pytest.mark.parametrize("way", ["agent", "ssh"])
def test_a19_disconnected_by_the_api_of_any_node(apart, web, way, request):
    if way == "agent":
        proc = apart.agent(web, "demo", nodes=[apart.nodes[0]], sessions=1)
    else:
        proc = request.getfixturevalue("shell").session(forward_to(web, "demo:80"))
    apart.wait_everywhere("demo")
    other = next(n for n in apart.nodes if not apart.has(n, "demo"))
    proc.expect_alive = False
    other.api(apart.anna.credential).post("/v1/tunnels/demo/disconnect",
                                          {"reason": "tea is ready"}).want(200, 202, 204)
    assert proc.wait(10) != 0
    assert "tea is ready" in proc.text(), proc.text()
    for node in apart.nodes:
        wait_until(lambda: apart.fetch_at(node, "demo").status == 503, 5, f"{node.name}: nobody")


def test_a19_50_visitors_of_an_ssh_session_from_every_node(apart, web, shell):
    proc = shell.session(forward_to(web, "demo:80"))
    apart.wait_everywhere("demo")
    for i in range(50):
        assert apart.fetch_at(apart.nodes[i % 3], "demo").status == 200
        with Visitor(apart.nodes[i % 3].port, apart.nodes[i % 3].address) as v:
            v.ask("demo.localhost", "/")  # and this one leaves without its answer
    assert proc.alive() and len(apart.holders("demo")) == 1
    apart.wait_everywhere("demo")


def test_a19_four_ssh_sessions_where_there_may_be_two(apart, web, shell):
    """HAProxy sends each to another node; two are refused with a reason, and all nodes live."""
    shell.anna.post("/v1/tunnels", {"name": "demo", "transport": {"max_connections": 2}}).want(201)

    def comes(i):
        proc = shell.ssh("-R", forward_to(web, "demo:80"), words=["json", f"agent=a{i}"])
        wait_until(lambda: events(proc), 15, "it is answered")
        return proc

    def counted(n):
        def there():
            return all(node.api(apart.anna.credential).get("/v1/tunnels/demo").want(200).json()
                       ["connection"]["connections"] == n for node in apart.nodes)
        wait_until(there, 5, f"all nodes know of {n}")

    for i in (0, 1):
        assert events(comes(i), "forward")
        counted(i + 1)
    for i in (2, 3):
        late = comes(i)
        assert "2" in events(late, "refused")[0]["reason"], late.text()
    apart.wait_everywhere("demo")
    assert all(node.alive() for node in apart.nodes)


# ---- ssh sessions and a node that goes ----


def test_a_node_of_an_ssh_session_drains_and_another_serves_it_too(apart, web, shell):
    """Nobody who comes through the balancer notices; whoever is here is served to the end."""
    procs, nodes = [], []
    while len(nodes) < 2:  # in turn, but for what HAProxy makes of its own looks
        procs.append(shell.session(forward_to(web, "demo:80"), words=[f"agent=a{len(procs)}"]))
        nodes = apart.holders("demo")
        assert len(procs) < 6
    apart.wait_everywhere("demo")
    leaving = nodes[0]
    others = [n for n in apart.nodes if n is not leaving]
    load = apart.load("demo")
    # HAProxy has to see that it goes: karezd's --drain-delay is for that, here its look is waited for
    with Visitor(others[0].port, others[0].address) as v:
        v.ask("demo.localhost", "/gate")
        wait_until(lambda: web.waiting == 1, 5, "it waits at the target")
        leaving.send_signal(signal.SIGTERM)
        more(load, 300)
        web.gate.set()
        assert v.answer().text() == "through the gate\n"
    assert leaving.wait(10) == 0
    more(load, 100)
    load.check()
    gone = [p for p in procs if not p.alive()]
    assert gone and all(p.wait(1) == 255 or p.wait(1) == 1 for p in gone)


def test_a_node_of_the_only_ssh_session_drains(apart, web, shell):
    """It serves whoever comes while a visitor is there; then a client that is started again comes to
    another node."""
    proc = shell.quiet(forward_to(web, "demo:80"))
    apart.wait_everywhere("demo")
    leaving = apart.holders("demo")[0]
    others = [n for n in apart.nodes if n is not leaving]
    with Visitor(others[0].port, others[0].address) as v:
        v.ask("demo.localhost", "/gate")
        wait_until(lambda: web.waiting == 1, 5, "it waits at the target")
        leaving.send_signal(signal.SIGTERM)
        leaving.wait_line("event=drain", 5)
        for node in others:
            assert apart.fetch_at(node, "demo").status == 200
        assert proc.alive(), proc.text()
        web.gate.set()
        assert v.answer().text() == "through the gate\n"
    assert proc.wait(15) == 255
    shell.quiet(forward_to(web, "demo:80"))
    assert leaving.wait(10) == 0
    apart.wait_everywhere("demo")
    assert apart.holders("demo")[0] in others


# ---- A20 ----


def test_a20_redis_is_started_again(world, apart, web):
    """Accounts, tunnels and domains are as they were, at all nodes."""
    anna = apart.nodes[0].api(apart.anna.credential)
    agent = apart.agent(web, "demo")
    apart.wait_everywhere("demo")
    apart.redis.kill()
    for node in apart.nodes:
        assert apart.served_at(node, "demo"), "what was served is"
    apart.redis.start()
    apart.wait_whole(seconds=30)
    tunnels = [wait_until(lambda: apart.listed(node), 10, f"{node.name} reads")
               for node in apart.nodes]
    assert tunnels == [["demo"]] * 3 and anna.get("/v1/account").want(200)
    assert agent.alive()
    apart.wait_everywhere("demo")


def test_a20_the_node_of_the_only_session_is_killed(apart, web):
    """The others say 503 within 15 s while nobody serves, and serve within 10 s once somebody may."""
    still = apart.agent(web, "still", nodes=[apart.nodes[0]], sessions=1)
    apart.agent(web, "moves", sessions=1, nodes=[apart.nodes[0], apart.nodes[1]])
    for name in ("still", "moves"):
        apart.wait_everywhere(name)
    apart.nodes[0].kill()
    killed = time.monotonic()
    for node in apart.nodes[1:]:
        wait_until(lambda: apart.served_at(node, "moves"), 10, f"{node.name} serves it again")
    for node in apart.nodes[1:]:
        wait_until(lambda: apart.fetch_at(node, "still").status == 503, 15, f"{node.name}: 503")
    assert time.monotonic() - killed < 15 * PATIENCE
    assert still.alive()


# ---- who does not reach whom ----


def test_a_node_that_does_not_reach_one_of_two_others(apart, web):
    """Both of these live and know of each other by Redis: whoever has a session that is reached is served by it."""
    one, two, three = apart.nodes
    apart.agent(web, "both", nodes=[two, three])
    apart.agent(web, "only", nodes=[two], sessions=1)
    apart.wait_held("both", [two, three])
    for name in ("both", "only"):
        apart.wait_everywhere(name)
    apart.sever(one, two)
    cut = time.monotonic()
    assert apart.fetch_at(three, "only").status == 200, "the third node reaches it"
    # nobody passes on what is not his: one hop, or none
    assert apart.fetch_at(one, "only").status in (502, 503)
    assert time.monotonic() - cut < 20 * PATIENCE
    for _ in range(20):
        assert apart.fetch_at(one, "both").status == 200
    assert apart.fetch_at(three, "both").status == 200
    assert all(apart.known(node) == 3 for node in apart.nodes)
    apart.mend(one, two)
    wait_until(lambda: apart.served_at(one, "only"), 20, "it is reached again")


def test_a_node_that_does_not_reach_redis(apart, web):
    """For longer than a lease. Then the others take it for gone, so what only it has is served by itself alone; nobody
    else notices."""
    one, two, three = apart.nodes
    apart.agent(web, "one", nodes=[one], sessions=1)
    apart.agent(web, "two", nodes=[two], sessions=1)
    apart.agent(web, "both", nodes=[one, two])
    apart.wait_held("both", [one, two])
    for name in ("one", "two", "both"):
        apart.wait_everywhere(name)
    apart.sever(one, apart.redis_net)
    cut = time.monotonic()
    asked = {}
    while time.monotonic() < cut + 15:
        for node in apart.nodes:
            for name in ("one", "two", "both"):
                asked.setdefault((node.name, name), collections.Counter())[
                    apart.fetch_at(node, name).status] += 1
    for (node, name), found in asked.items():
        alone = name == "one" and node != one.name
        assert set(found) <= ({200, 503} if alone else {200}), (node, name, found)
    assert [apart.known(node) for node in (two, three)] == [2, 2]
    for _ in range(6):  # the balancer has taken it out
        assert apart.status_front("both") == 200
    late = apart.agent(web, "late")
    assert apart.holders("late") and not apart.has(one, "late")
    apart.mend(one, apart.redis_net)
    apart.wait_whole(seconds=20)
    for name in ("one", "two", "both", "late"):
        apart.wait_everywhere(name)
    assert late.alive()
