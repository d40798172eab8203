"""tcp tunnels: whose a port is, and how its bytes pass."""

import json
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

from karez import Failure, check_growth, free_port, wait_until
from raw_servers import RawTarget, digest, echo, named, receive_digest, send_blocks, source
from servers import Target, digest_of
from tunnel_scene import Scene, cut, refuses, tcp, wait_open, wait_refused
from visitor import Broken, Visitor, fetch


@pytest.fixture
def scene(world):
    return Scene(world)


@pytest.fixture
def target(world):
    """The test is the target."""
    made = world.closes(RawTarget())
    yield made
    made.close()  # no half of a connection is left when the world is looked at


@pytest.fixture
def echoes(world):
    return world.closes(RawTarget(echo))


def echoed(port, address="127.0.0.1"):
    """What we say comes back, and the end does."""
    with Visitor(port, address) as v:
        v.send(b"ping")
        v.sock.shutdown(socket.SHUT_WR)
        return v.to_end() == b"ping"


# ---- which port ----


def test_the_port_that_was_asked_for(scene, echoes):
    port = free_port()
    agent = scene.agent(echoes, "--port", port, "--name", "demo")
    assert agent.port == port and agent.url == f"localhost:{port}"
    assert agent.shown.endswith(str(echoes.port))
    assert echoed(port)
    tunnel = scene.anna.get("/v1/tunnels/demo").want(200).json()
    assert tunnel["kind"] == "tcp" and tunnel["ingress"]["tcp"]["port"] == port


def test_port_0_is_one_that_is_free_and_unprivileged(world, echoes):
    first = free_port()
    scene = Scene(world, "--tcp-ports", f"80,443,{first}-{first + 40}")
    ports = set()
    for i, options in enumerate((["--port", "0"], [], ["--port", "0"])):
        agent = scene.agent(echoes, *options, "--name", f"t{i}", config=f"a{i}")
        assert first <= agent.port <= first + 40
        ports.add(agent.port)
        assert echoed(agent.port)
    assert len(ports) == 3


def test_all_ports_in_use(world, echoes):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        scene = Scene(world, "--tcp-ports", str(taken.getsockname()[1]))
        said = scene.refused(echoes, "--port", "0")
        assert "port" in said, said


def test_without_a_port_the_one_from_last_time(scene, echoes):
    first = scene.agent(echoes)
    assert first.stop() == 0
    wait_refused(first.port)
    again = scene.agent(echoes)
    assert again.port == first.port
    assert echoed(again.port)


def test_another_port_moves_it(scene, echoes):
    one, two = free_port(), free_port()
    assert scene.agent(echoes, "--name", "demo", "--port", one).stop() == 0
    scene.agent(echoes, "--name", "demo", "--port", two)
    assert echoed(two)
    wait_refused(one)
    with socket.create_server(("127.0.0.1", one)):
        pass


def test_a_port_survives_its_agent(scene, echoes):
    agent = scene.agent(echoes, "--name", "demo", "--port", free_port())
    for stop in (lambda: agent.stop(), lambda: agent.kill()):
        stop()
        wait_refused(agent.port)
        with pytest.raises(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", agent.port))  # it is held, also while nobody is there
        agent = scene.agent(echoes, "--name", "demo")
        assert echoed(agent.port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_port_survives_the_server(scene, echoes, number):
    agent = scene.agent(echoes, "--name", "demo", "--port", free_port())
    idle = free_port()
    scene.anna.tunnel("idle", **tcp(idle))
    mark = agent.mark()
    scene.server.send_signal(number)
    scene.server.wait(10)
    assert refuses(agent.port)
    scene.again()
    agent.wait_line("back again", 20, since=mark)
    wait_open(agent.port)
    assert echoed(agent.port)
    with pytest.raises(OSError), socket.socket() as s:
        s.bind(("127.0.0.1", idle))  # taken before anybody serves it


def test_deleted_means_free_at_once(scene, target):
    agent = scene.agent(target, "--name", "demo", "--port", free_port())
    with Visitor(agent.port) as v:
        target.take()
        scene.anna.delete("/v1/tunnels/demo").want(204)
        assert refuses(agent.port)
        with socket.create_server(("127.0.0.1", agent.port)):
            pass
        assert v.ended()
    assert agent.wait() == 1
    assert "deleted" in agent.text("err")


def test_disabled_refuses_but_keeps_its_port(scene, echoes):
    agent = scene.agent(echoes, "--name", "demo", "--port", free_port())
    scene.anna.patch("/v1/tunnels/demo", {"enabled": False}).want(200)
    wait_refused(agent.port)
    with pytest.raises(OSError), socket.socket() as s:
        s.bind(("127.0.0.1", agent.port))
    assert agent.wait() == 1
    scene.anna.patch("/v1/tunnels/demo", {"enabled": True}).want(200)
    agent = scene.agent(echoes, "--name", "demo")
    assert echoed(agent.port)


def test_a_port_of_somebody_else(scene, echoes):
    port = free_port()
    first = scene.agent(echoes, "--name", "annas", "--port", port)
    bert = scene.server.account("Bert")
    said = scene.refused(echoes, "--name", "berts", "--port", port, api=bert)
    assert str(port) in said and "another" in said, said
    assert "annas" not in said
    bert.get("/v1/tunnels/berts").want(404)
    bert.post("/v1/tunnels", {"name": "berts", **tcp(port)}).refused(409, "INUSE",
                                                                    "ingress.tcp.port")
    said = scene.refused(echoes, "--name", "second", "--port", port)  # nor twice by one account
    assert str(port) in said, said
    assert echoed(port) and first.alive()


def test_a_port_of_another_program(scene, echoes):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        said = scene.refused(echoes, "--name", "demo", "--port", port)
        assert f"127.0.0.1:{port}" in said or f"port {port}" in said, said
        scene.anna.get("/v1/tunnels/demo").want(404)
    agent = scene.agent(echoes, "--name", "demo", "--port", port)
    assert echoed(agent.port)


def test_ports_that_the_server_does_not_give(world, echoes):
    inside, outside = free_port(), free_port()
    scene = Scene(world, "--tcp-ports", f"{inside}")
    assert str(outside) in scene.refused(echoes, "--port", outside)
    assert "80" in scene.refused(echoes, "--port", "80")
    scene.anna.put("/v1/tunnels/x", tcp(outside)).refused(403, "DENIED", "ingress.tcp.port")
    assert echoed(scene.agent(echoes, "--port", inside).port)


def test_privileged_ports_are_not_given_unless_listed(scene, echoes):
    for port in (1, 80, 443, 1023):
        said = scene.refused(echoes, "--port", port)
        assert str(port) in said, said
    assert refuses(80)


def test_ports_of_an_account(scene, echoes):
    mine, other = free_port(), free_port()
    admin = scene.server.admin()
    admin.patch(f"/v1/admin/accounts/{scene.anna.made['id']}",
                {"ports": [f"{mine}-{mine}"]}).want(200)
    assert str(other) in scene.refused(echoes, "--port", other)
    agent = scene.agent(echoes, "--port", "0", "--name", "demo")
    assert agent.port == mine
    bert = scene.server.account("Bert")
    assert scene.agent(echoes, "--port", other, api=bert, config="bert").port == other


def test_ports_of_a_credential(scene, echoes):
    mine, other = free_port(), free_port()
    limited = scene.anna.as_(scene.anna.token("limited", ports=[str(mine)])[1])
    assert str(other) in scene.refused(echoes, "--port", other, "--name", "a", api=limited)
    assert scene.agent(echoes, "--port", mine, "--name", "b", api=limited).port == mine
    https = scene.anna.as_(scene.anna.token("web", kinds=["http"])[1])
    said = scene.refused(echoes, "--port", other, "--name", "c", api=https)
    assert "tcp" in said, said


def test_a_name_of_another_kind(world, scene, echoes):
    scene.anna.tunnel("web")
    said = scene.refused(echoes, "--name", "web", "--port", free_port())
    assert "http" in said, said
    assert scene.anna.get("/v1/tunnels/web").json()["kind"] == "http"


@pytest.mark.parametrize("args", [["tcp"], ["tcp", "70000"], ["tcp", "22", "--port", "70000"],
                                  ["tcp", "http://localhost:80"],
                                  ["tcp", "22", "--bind", "nowhere"],
                                  ["tcp", "22", "--proxy-protocol", "v3"],
                                  ["tcp", "22", "--policy", "random"],
                                  ["tcp", "22", "--domain", "x"],
                                  ["http", "80", "--port", "9000"]])
def test_wrong_arguments(world, args):
    agent = world.agent_unchecked(None, args[1] if len(args) > 1 else None, *args[2:],
                                  command=args[:1])
    assert agent.wait() == 2, agent.text()
    assert agent.text("err")


# ---- where it listens ----


def test_bind(world, echoes):
    scene = Scene(world, bind="127.0.0.1,127.0.0.2,::1")
    port = free_port()
    scene.agent(echoes, "--name", "four", "--port", port, "--bind", "127.0.0.1")
    assert echoed(port) and refuses(port, "127.0.0.2") and refuses(port, "::1")
    port = free_port()
    agent = scene.agent(echoes, "--name", "six", "--port", port, "--bind", "::1", config="b")
    assert echoed(port, "::1") and refuses(port) and agent.url == f"[::1]:{port}"
    port = free_port()
    agent = scene.agent(echoes, "--name", "both", "--port", port, "--bind", "localhost", config="c")
    assert echoed(port) and echoed(port, "::1") and refuses(port, "127.0.0.2")
    port = free_port()
    scene.agent(echoes, "--name", "all", "--port", port, config="d")
    assert echoed(port) and echoed(port, "::1") and echoed(port, "127.0.0.2")
    said = scene.refused(echoes, "--name", "no", "--port", free_port(), "--bind", "127.0.0.3")
    assert "127.0.0.3" in said, said


def test_every_address_unless_told_otherwise(world, echoes):
    scene = Scene(world, bind=None)
    agent = scene.agent(echoes, "--port", free_port())
    assert echoed(agent.port) and echoed(agent.port, "::1") and echoed(agent.port, "127.0.0.7")


def test_bind_changes(world, echoes):
    scene = Scene(world, bind="127.0.0.1,127.0.0.2")
    agent = scene.agent(echoes, "--name", "demo", "--port", free_port(), "--bind", "127.0.0.1")
    scene.anna.patch("/v1/tunnels/demo",
                     {"ingress": {"tcp": {"port": agent.port, "bind": "127.0.0.2"}}}).want(200)
    assert refuses(agent.port) and echoed(agent.port, "127.0.0.2")


class Knocker(threading.Thread):
    """A visitor who comes in a loop, and notes everyone that was not let in."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.n, self.failed, self.over = port, 0, [], False

    def run(self):
        while not self.over:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 10) as s:
                    s.shutdown(socket.SHUT_WR)
                    if s.recv(10) != b"":
                        raise OSError("not an end")
            except OSError as e:
                self.failed.append(e)
            self.n += 1


def test_nobody_is_refused_while_bind_changes(world, echoes):
    scene = Scene(world, bind=None)
    agent = scene.agent(echoes, "--name", "demo", "--port", free_port(), "--bind", "127.0.0.1")
    knockers = [Knocker(agent.port) for _ in range(3)]
    for k in knockers:
        k.start()
    moves = 0
    while moves < 10 or any(k.n <= 20 and not k.failed for k in knockers):
        for bind in ("", "127.0.0.1", "0.0.0.0", "localhost", "127.0.0.1"):
            scene.anna.patch("/v1/tunnels/demo",
                             {"ingress": {"tcp": {"port": agent.port, "bind": bind}}}).want(200)
        moves += 1
    with socket.socket() as foreign:  # now it cannot be had: the old one goes on
        foreign.bind(("127.0.0.2", agent.port))
        foreign.listen()
        for _ in range(5):
            scene.anna.patch("/v1/tunnels/demo",
                             {"ingress": {"tcp": {"port": agent.port, "bind": ""}}}).want(409)
    for k in knockers:
        k.over = True
        k.join()
    assert not any(k.failed for k in knockers), [k.failed[:3] for k in knockers]


# ---- bytes ----


def test_a13_the_service_speaks_first(scene, target):
    agent = scene.agent(target)
    with Visitor(agent.port) as v:
        peer = target.take()
        peer.send(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        assert v.until(b"\r\n") == b"SSH-2.0-OpenSSH_9.2p1"
        v.send(b"SSH-2.0-x\r\n")
        assert peer.until(b"\r\n") == b"SSH-2.0-x"


def test_a13_half_close_gets_the_full_echo(scene, echoes):
    agent = scene.agent(echoes)
    for data in (b"x", b"", bytes(range(256)) * 4096):
        with Visitor(agent.port) as v:
            threading.Thread(target=lambda: (v.send(data), v.sock.shutdown(socket.SHUT_WR))).start()
            assert v.to_end() == data


def test_a13_nc(scene, echoes):
    """printf x | nc -N, by OpenBSD's nc."""
    agent = scene.agent(echoes)
    got = subprocess.run(["nc", "-N", "127.0.0.1", str(agent.port)], input=b"x", timeout=20,
                         capture_output=True, check=True)
    assert got.stdout == b"x" and got.stderr == b""


def test_half_close_of_the_target(scene, target):
    """It has said all; the visitor goes on."""
    agent = scene.agent(target)
    with Visitor(agent.port) as v:
        peer = target.take()
        peer.send(b"all I have")
        peer.shut()
        assert v.to_end() == b"all I have"
        v.send(b"a" * 100000)
        v.sock.shutdown(socket.SHUT_WR)
        assert peer.to_end() == b"a" * 100000


def test_a13_one_who_says_nothing_slows_nobody(world, scene):
    agent = scene.agent(world.closes(Target()))
    with Visitor(agent.port) as silent:
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(
            fetch(agent.port, "x").status)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(15)
        assert statuses == [200] * 20
        assert silent.get("x").status == 200


def seen_reset(sock):
    """Does the connection end with a RST?"""
    sock.settimeout(15)
    try:
        while sock.recv(65536):
            pass
        return False
    except ConnectionResetError:
        return True


def test_a_reset_becomes_a_reset(scene, target):
    agent = scene.agent(target)
    with Visitor(agent.port) as v:
        peer = target.take()
        v.send(b"x")
        assert peer.exactly(1) == b"x"
        peer.reset()
        assert seen_reset(v.sock)
    v = Visitor(agent.port)
    peer = target.take()
    v.send(b"x")
    assert peer.exactly(1) == b"x"
    v.reset()
    assert seen_reset(peer.sock)
    peer.close()


def test_an_end_is_not_a_reset(scene, target):
    agent = scene.agent(target)
    for first, second in ((0, 1), (1, 0)):
        with Visitor(agent.port) as v:
            ends = (v, target.take())
            ends[first].send(b"x")
            assert ends[second].exactly(1) == b"x"
            ends[first].sock.shutdown(socket.SHUT_WR)
            assert ends[second].to_end() == b""
            ends[second].close()
            assert ends[first].to_end() == b""


def test_a_target_that_is_not_there(scene):
    port = free_port()
    agent = scene.agent(port)
    assert cut(agent.port)
    assert agent.alive()


@pytest.mark.parametrize("size", [1 << 20, 64 << 20])
def test_what_arrives_is_what_was_sent(world, scene, size):
    up = scene.agent(world.closes(RawTarget(digest)), "--name", "up", config="up")
    down = scene.agent(world.closes(RawTarget(source(size))), "--name", "down", config="down")
    both = scene.agent(world.closes(RawTarget(echo)), "--name", "both", config="both")
    with Visitor(up.port, timeout=60) as v:
        send_blocks(v.sock, size)
        v.sock.shutdown(socket.SHUT_WR)
        assert v.to_end().decode() == digest_of(size)
    with Visitor(down.port, timeout=60) as v:
        assert receive_digest(v.sock) == (digest_of(size), size)
    with Visitor(both.port, timeout=60) as v:
        thread = threading.Thread(target=lambda: (send_blocks(v.sock, size),
                                                  v.sock.shutdown(socket.SHUT_WR)))
        thread.start()
        assert receive_digest(v.sock) == (digest_of(size), size)
        thread.join(10)


def test_a_slow_reader_holds_no_more_than_its_window(scene, target):
    agent = scene.agent(target)
    before = [scene.server.rss(), agent.rss()]
    with Visitor(agent.port) as v:
        peer = target.take()
        peer.sock.setblocking(False)
        sent, quiet_at = 0, time.monotonic() + 60
        while time.monotonic() < quiet_at:
            if not select.select([], [peer.sock], [], 1)[1]:
                break  # nothing moves any more
            sent += peer.sock.send(bytes(65536))
        else:
            raise Failure("the target may send without end")
        check_growth(before, (scene.server, agent), 24 << 20)
        assert sent < 48 << 20, sent
        v.exactly(sent)


# ---- who is there ----


def test_refused_while_nobody_is_there_and_accepted_as_soon_as_somebody_comes(scene, echoes):
    port = free_port()
    scene.anna.tunnel("demo", **tcp(port))
    assert refuses(port)
    agent = scene.agent(echoes, "--name", "demo")
    assert agent.port == port and echoed(port)
    assert agent.stop() == 0
    wait_refused(port)
    scene.agent(echoes, "--name", "demo")
    assert echoed(port)


def test_a_dead_agent_is_no_open_port(scene, target):
    agent = scene.agent(target)
    with Visitor(agent.port) as v:
        target.take()
        agent.kill()
        assert v.ended()
    wait_refused(agent.port)


def test_allow_and_deny(scene, echoes):
    agent = scene.agent(echoes, "--name", "demo")

    def let_in(source):
        try:
            with Visitor(agent.port, source=source) as v:
                v.send(b"x")
                return v.exactly(1) == b"x"
        except (OSError, Broken):
            return False

    scene.anna.patch("/v1/tunnels/demo", {"visitors": {"allow": ["127.0.0.2"]}}).want(200)
    assert let_in("127.0.0.2") and not let_in("127.0.0.3")
    scene.anna.patch("/v1/tunnels/demo",
                     {"visitors": {"allow": [], "deny": ["127.0.0.2"]}}).want(200)
    assert not let_in("127.0.0.2") and let_in("127.0.0.3")
    assert echoes.connections == 2
    scene.anna.patch("/v1/tunnels/demo", {"visitors": {"basic": [
        {"user": "a", "password": "secret word"}]}}).refused(400, field="visitors.basic")


def test_idle_visitors_may_stay_unless_there_is_a_deadline(world, target):
    scene = Scene(world, "--tcp-idle-timeout", "1s")
    agent = scene.agent(target)
    with Visitor(agent.port) as v, target.take() as peer:
        for _ in range(6):  # whoever says something stays
            v.send(b"x")
            assert peer.exactly(1) == b"x"
        assert v.ended() and peer.ended()


def test_2000_idle_visitors(scene, echoes):
    agent = scene.agent(echoes)
    before = [scene.server.rss(), agent.rss()]
    visitors = []
    try:
        for i in range(2000):
            visitors.append(Visitor(agent.port, timeout=30))
        for v in visitors[::97] + visitors[-1:]:
            v.send(b"still here")
            assert v.exactly(10) == b"still here"
        wait_until(lambda: echoes.connections == 2000, 20, "all are at the target")
        check_growth(before, (scene.server, agent), 2000 * 16384)
        listed = scene.anna.pages("/v1/tunnels")[0]
        assert listed["connection"]["visitors"] == 2000
    finally:
        for v in visitors:
            v.close()
    wait_until(lambda: scene.anna.pages("/v1/tunnels")[0]["connection"]["visitors"] == 0, 20,
               "they have left")
    assert echoed(agent.port)


# ---- what is said ----


def test_json_output(world, scene, echoes):
    port = free_port()
    agent = world.agent_unchecked(scene.server, str(echoes.port), "--port", port, "--json",
                                  command=("tcp",), env=scene.env())
    agent.wait_line('"online"', 5, "out")
    online = next(o for o in map(json.loads, agent.said("out")) if o["event"] == "online")
    assert online["url"] == f"tcp://localhost:{port}"
    assert online["host"] == "localhost" and online["port"] == port
    agent.base_files = agent.n_files() + 1
    assert echoed(port)


def test_verbose_says_a_line_for_every_connection(scene, echoes):
    agent = scene.agent(echoes, "-v")
    assert echoed(agent.port)
    agent.wait_line(r"127\.0\.0\.1.*\b4\b.*\b4\b", 5)


def test_targets_in_all_their_forms(world, scene):
    for i, (host, text) in enumerate((("127.0.0.1", "127.0.0.1:{}"), ("::1", "[::1]:{}"),
                                      ("127.0.0.1", "tcp://127.0.0.1:{}"),
                                      ("127.0.0.1", "tcp://localhost:{}"))):
        target = world.closes(RawTarget(echo, host=host))
        agent = scene.agent(text.format(target.port), "--name", f"t{i}", config=f"t{i}")
        assert echoed(agent.port), text


def test_visitors_are_listed(scene, target):
    agent = scene.agent(target, "--name", "demo")
    with Visitor(agent.port, source="127.0.0.9") as v:
        peer = target.take()
        found = scene.anna.get("/v1/tunnels/demo/visitors").want(200).json()["visitors"]
        assert [(f["ip"], f["port"], f["protocol"]) for f in found] == \
            [("127.0.0.9", v.sock.getsockname()[1], "tcp")]
    peer.close()
    wait_until(lambda: scene.anna.get("/v1/tunnels/demo/visitors").json()["visitors"] == [], 5,
               "it has left")


@pytest.mark.parametrize("bind", ["0.0.0.0,::", "127.0.0.1,::"])
def test_addresses_that_stand_for_each_other(world, bind):
    scene = Scene(world, bind=bind)
    scene.n_bind = 1
    target = world.closes(RawTarget(named("me")))
    port = free_port()
    scene.agent(target, "--port", port)
    assert scene.line(port) == "me" and scene.line(port, "::1") == "me"
