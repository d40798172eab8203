"""How long sessions of stock clients live, what they bear, and how they end.

    KAREZ_E2E_SSH_BULK   bytes through a rekey; 128 MiB by default, 2 GiB is the long run
"""

import concurrent.futures
import os
import signal
import socket
import threading
import time

import paramiko
import pytest

from karez import PATIENCE, check_growth, free_port, wait_until
from raw_servers import RawTarget, digest, echo, named, receive_digest, send_blocks, source
from servers import Target, digest_of
from ssh_scene import SshScene, echoed, events, forward_to, transport, wait_events
from tunnel_scene import refuses, wait_refused
from visitor import Visitor

SIZE = int(os.environ.get("KAREZ_E2E_SSH_BULK", 128 << 20))
LIMITS = ["16M"] if SIZE < 1 << 30 else ["64M", "default"]


@pytest.fixture
def scene(world):
    return SshScene(world)


@pytest.fixture
def echoes(world):
    return world.closes(RawTarget(echo))


@pytest.fixture
def web(world):
    return world.closes(Target())


@pytest.fixture
def target(world):
    """The test is the target."""
    made = world.closes(RawTarget())
    yield made
    made.close()


# ---- bytes ----


def test_a19_50_visitors_in_a_row(scene, echoes):
    proc = scene.quiet(forward_to(echoes, 0))
    before = scene.server.n_files()
    for i in range(50):
        with Visitor(proc.ports[0]) as v:
            v.send(b"%d" % i)
            if i % 5 == 0:
                v.reset()  # some do not wait for what they asked
            elif i % 5 != 1:
                assert v.exactly(len(b"%d" % i)) == b"%d" % i
    assert echoed(proc.ports[0]) and proc.alive()
    wait_until(lambda: scene.server.n_files() <= before + 1, 5, "all visitors have gone")


def test_visitors_that_leave_before_they_are_let_in(scene, target):
    """The channel is not confirmed yet when they go: nobody else's channel may be closed for it."""
    proc = scene.quiet(forward_to(target, 0))
    with Visitor(proc.ports[0]) as stays:
        peer = target.take()
        for _ in range(10):
            flock = [Visitor(proc.ports[0]) for _ in range(20)]
            for v in flock:
                v.reset()
        stays.send(b"still here")
        assert peer.exactly(10) == b"still here"
        peer.send(b"here, too")
        assert stays.exactly(9) == b"here, too"
    assert proc.alive()
    assert not proc.count("close rcvd twice|nonexistent channel"), proc.text()


def test_half_close_both_ways(scene, target):
    proc = scene.quiet(forward_to(target, 0))
    with Visitor(proc.ports[0]) as v, target.take() as peer:
        v.send(b"all I have")
        v.sock.shutdown(socket.SHUT_WR)
        assert peer.to_end() == b"all I have"
        peer.send(b"a" * 300000)
        peer.shut()
        assert v.to_end() == b"a" * 300000
    with Visitor(proc.ports[0]) as v, target.take() as peer:
        peer.send(b"SSH-2.0-first\r\n")
        peer.shut()
        assert v.to_end() == b"SSH-2.0-first\r\n"
        v.send(b"b" * 300000)
        v.sock.shutdown(socket.SHUT_WR)
        assert peer.to_end() == b"b" * 300000


@pytest.mark.parametrize("cipher", ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"])
@pytest.mark.parametrize("limit", LIMITS)
def test_bulk_through_rekeys_both_ways(world, scene, cipher, limit):
    options = [f"Ciphers={cipher}", f"RekeyLimit={limit}"]
    up, down, both = (world.closes(RawTarget(h)) for h in (digest, source(SIZE), echo))
    proc = scene.quiet(*(forward_to(t, 0) for t in (up, down, both)), options=options)
    before = [scene.server.rss()]
    cpu, began = scene.server.cpu_seconds(), time.monotonic()
    with Visitor(proc.ports[0], timeout=60) as v:
        send_blocks(v.sock, SIZE)
        v.sock.shutdown(socket.SHUT_WR)
        assert v.to_end().decode() == digest_of(SIZE)
    with Visitor(proc.ports[1], timeout=60) as v:
        assert receive_digest(v.sock) == (digest_of(SIZE), SIZE)
    with Visitor(proc.ports[2], timeout=60) as v:
        thread = threading.Thread(target=lambda: (send_blocks(v.sock, SIZE),
                                                  v.sock.shutdown(socket.SHUT_WR)))
        thread.start()
        assert receive_digest(v.sock) == (digest_of(SIZE), SIZE)
        thread.join(10)
    print("%.2f s, cpu karezd %.2f s" % (time.monotonic() - began,
                                         scene.server.cpu_seconds() - cpu))
    check_growth(before, (scene.server,), 24 << 20)
    if limit != "default":
        proc.kill()
        assert proc.count("rekey|SSH2_MSG_KEXINIT sent") > 6, "keys were changed on the way"


def test_rekeys_while_visitors_come_and_go(scene, echoes):
    proc = scene.quiet(forward_to(echoes, 0), options=["RekeyLimit=1M"])
    data = bytes(range(256)) * 1024

    def visit():
        for _ in range(8):
            with Visitor(proc.ports[0], timeout=60) as v:
                sender = threading.Thread(target=lambda v=v: (v.send(data),
                                                              v.sock.shutdown(socket.SHUT_WR)))
                sender.start()
                good.append(v.to_end() == data)
                sender.join(10)
    good = []
    threads = [threading.Thread(target=visit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(good) == 48 and all(good) and proc.alive()


def test_a_slow_visitor_holds_no_more_than_his_window(scene, target):
    proc = scene.quiet(forward_to(target, 0))
    before = [scene.server.rss()]
    with Visitor(proc.ports[0]) as v, target.take() as peer:
        peer.sock.settimeout(2)
        sent = 0
        with pytest.raises(socket.timeout):
            while sent < 64 << 20:
                sent += peer.sock.send(bytes(65536))
        check_growth(before, (scene.server,), 16 << 20)
        assert echo_of_another(scene, proc, target)
        v.exactly(sent)


def test_a_slow_target_holds_no_more_than_its_window(scene, target):
    proc = scene.quiet(forward_to(target, 0))
    before = [scene.server.rss()]
    with Visitor(proc.ports[0]) as v, target.take() as peer:
        v.sock.settimeout(2)
        sent = 0
        with pytest.raises(socket.timeout):
            while sent < 64 << 20:
                sent += v.sock.send(bytes(65536))
        check_growth(before, (scene.server,), 16 << 20)
        assert echo_of_another(scene, proc, target)
        peer.exactly(sent)


def echo_of_another(scene, proc, target):
    """Somebody else is served meanwhile."""
    with Visitor(proc.ports[0]) as v, target.take() as peer:
        v.send(b"ping")
        assert peer.exactly(4) == b"ping"
        peer.send(b"pong")
        return v.exactly(4) == b"pong"


def test_one_hostile_session_slows_nobody(scene, web):
    """A flood of requests, and of channels, from one who is let in."""
    scene.session(forward_to(web, "demo:80"))
    made = transport(scene)
    before = [scene.server.rss()]
    stop = threading.Event()

    def flood():
        i = 0
        while not stop.is_set() and made.is_active():
            m = paramiko.Message()
            if i % 2:
                m.add_byte(b"\x50")
                m.add_string("tcpip-forward")
                m.add_boolean(True)
                m.add_string(f"flood{i}")
                m.add_int(80)
            else:
                m.add_byte(b"\x5a")
                m.add_string("direct-tcpip")
                for value in (i, 1 << 20, 32768):
                    m.add_int(value)
                m.add_string("127.0.0.1")
                m.add_int(22)
                m.add_string("127.0.0.1")
                m.add_int(1)
            try:
                made._send_message(m)
            except (OSError, EOFError):
                return
            i += 1
    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    began = time.monotonic()
    for _ in range(100):
        assert scene.page("demo").status == 200
    took = time.monotonic() - began
    stop.set()
    thread.join(10)
    assert took < 10 * PATIENCE
    check_growth(before, (scene.server,), 24 << 20)


# ---- ends ----


def test_kill_9_of_the_client(scene, target):
    proc = scene.quiet(forward_to(target, 0))
    with Visitor(proc.ports[0]) as v, target.take():
        proc.kill()
        assert v.ended()
    wait_refused(proc.ports[0])
    wait_until(lambda: scene.tunnels() == [], 5, "its tunnel has gone")


def test_kill_9_of_the_server(scene, echoes):
    port = free_port()
    first = scene.quiet(forward_to(echoes, port))
    named_ = scene.quiet(forward_to(echoes, f"demo:{free_port()}"))
    scene.server.send_signal(signal.SIGKILL)
    scene.server.wait(10)
    for proc in (first, named_):
        proc.expect_alive = False
        assert proc.wait(10) == 255
    scene.again()
    scene.server.kept_files += 1
    wait_until(lambda: scene.tunnels() == ["demo"], 5, "what was temporary has gone")
    proc = scene.quiet(forward_to(echoes, port))
    assert echoed(proc.ports[0])


def test_the_server_is_started_again_while_ssh_tries(world, scene, web):
    """A loop around ssh, as people write it."""
    argv = scene.argv("-N", "-R", forward_to(web, "demo:80"),
                      options=["ServerAliveInterval=5", "ExitOnForwardFailure=yes"])
    file = world.path / "again.sh"
    file.write_text("#!/bin/sh\ntrap 'kill $child; exit' TERM\nwhile :; do\n\"$@\" & child=$!\n"
                    "wait $child\nsleep 0.2\ndone\n")
    file.chmod(0o700)
    loop = world.run("again", [file, *argv])
    wait_until(lambda: scene.page("demo").status == 200, 10, "it is served")
    for number in (signal.SIGTERM, signal.SIGKILL):
        scene.server.send_signal(number)
        scene.server.wait(10)
        scene.again()
        wait_until(lambda: scene.page("demo").status == 200, 20, "it is served again")
    loop.stop(signal.SIGTERM)
    wait_until(lambda: scene.page("demo").status == 503, 10, "it has left")


def test_a_silent_client_is_dead_after_15_seconds_and_others_serve(scene, world):
    """SIGSTOP of ssh is a cable that was cut: nothing comes, and nothing ends."""
    port = free_port()
    one, two = (world.closes(RawTarget(named(n))) for n in ("one", "two"))
    stopped = scene.quiet(forward_to(one, port), forward_to(one, 0))
    other = scene.quiet(forward_to(two, port))
    lonely = stopped.ports[1]
    stopped.popen.send_signal(signal.SIGSTOP)
    wait_until(lambda: all(scene.line(port) == "two" for _ in range(4)), 25, "only two is asked")
    wait_refused(lonely, seconds=25)
    wait_until(lambda: len(sessions(scene)) == 1, 25, "the session has gone")
    with socket.create_server(("127.0.0.1", lonely)):
        pass
    assert scene.server.count("session-closed.*kind=ssh") == 1 and other.alive()
    stopped.popen.send_signal(signal.SIGCONT)
    stopped.expect_alive = False
    assert stopped.wait(10) == 255


def sessions(scene):
    return [a for a in scene.anna.get("/v1/agents").want(200).json()["agents"] if a["sessions"]]


def test_an_idle_session_stays(scene, echoes):
    """Both ping: the server by its own, the client by ServerAliveInterval."""
    proc = scene.quiet(forward_to(echoes, 0), options=["ServerAliveInterval=3",
                                                       "ServerAliveCountMax=3"])
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 18, 30, "a while passes")
    assert proc.alive() and echoed(proc.ports[0])


def test_drain(scene, web):
    """SIGTERM: nobody new, the running download completes, then the connection ends."""
    proc = scene.session(forward_to(web, "demo:80"))
    with Visitor(scene.server.port) as v:
        v.ask("demo.localhost", "/gate")
        wait_until(lambda: web.waiting == 1, 5, "it waits at the target")
        scene.server.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(scene.ssh_port), 5, "nobody new is let in")
        assert scene.server.alive() and proc.alive()
        web.gate.set()
        assert v.answer().text() == "through the gate\n"
    assert scene.server.wait(10) == 0
    assert proc.wait(5) in (1, 255)


def test_a_draining_server_serves_whoever_comes(scene, web):
    """Its doors are closed, but a visitor who is here may open another channel."""
    proc = scene.session(forward_to(web, "demo:80"))
    with Visitor(scene.server.port) as slow, Visitor(scene.server.port) as quick:
        slow.ask("demo.localhost", "/gate")
        wait_until(lambda: web.waiting == 1, 5, "it waits at the target")
        quick.ask("demo.localhost", "/")
        assert quick.answer().status == 200
        scene.server.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(scene.ssh_port), 5, "nobody new is let in")
        quick.ask("demo.localhost", "/")
        assert quick.answer().status == 200
        web.gate.set()
        assert slow.answer().text() == "through the gate\n"
    assert scene.server.wait(10) == 0
    assert proc.wait(5) in (1, 255)


def test_a_drain_without_visitors_is_at_once(scene, echoes):
    proc = scene.quiet(forward_to(echoes, 0))
    scene.server.send_signal(signal.SIGTERM)
    assert scene.server.wait(4) == 0
    assert proc.wait(5) == 255
    assert proc.count("disconnect"), proc.text()


def test_a19_disconnected_by_the_api_with_the_reason(scene, web):
    quiet = scene.quiet(forward_to(web, "one:80"))
    seeing = scene.ssh("-t", "-R", forward_to(web, "two:80"), tty="typed")
    seeing.wait_screen("http://two", 10)
    for name, proc in (("one", quiet), ("two", seeing)):
        found = scene.anna.get(f"/v1/tunnels/{name}/sessions").want(200).json()["sessions"]
        path = f"/v1/tunnels/{name}/sessions/{found[0]['id']}?reason=too+loud"
        scene.anna.delete(path).want(204)
        proc.expect_alive = False
        assert proc.wait(5) in (1, 255)
        assert "too loud" in proc.text(), proc.text()
    assert scene.page("one").status == 503


def test_a_tunnel_deleted_or_disabled(scene, web, echoes):
    proc = scene.session(forward_to(web, "one:80"), forward_to(web, "two:80"))
    scene.anna.delete("/v1/tunnels/one").want(204)
    assert wait_events(proc, "detached")[0]["tunnel"] == "one"
    assert scene.page("one").status == 404 and scene.page("two").status == 200
    scene.anna.patch("/v1/tunnels/two", {"enabled": False}).want(200)
    wait_events(proc, "detached", 2)
    assert scene.page("two").status == 403


# ---- limits ----


def test_a19_four_sessions_where_there_may_be_two(scene, web):
    scene.anna.tunnel("demo", transport={"max_connections": 2})
    procs = [scene.ssh("-R", forward_to(web, "demo:80"), words=["json", f"agent=a{i}"])
             for i in range(4)]
    wait_until(lambda: all(events(p) for p in procs), 15, "all are answered")
    kinds = sorted(events(p)[0]["event"] for p in procs)
    assert kinds == ["forward", "forward", "refused", "refused"], kinds
    for proc in procs:
        for event in events(proc, "refused"):
            assert "2" in event["reason"] or "session" in event["reason"], event
            proc.wait_line("remote port forwarding failed", 5, "err")
    assert scene.page("demo").status == 200 and scene.server.alive()
    next(p for p in procs if events(p, "forward")).kill()
    wait_until(lambda: _attaches(scene, web), 5, "there is room again")


def _attaches(scene, web):
    proc = scene.ssh("-R", forward_to(web, "demo:80"), words=["json"])
    wait_until(lambda: events(proc), 10, "it is answered")
    return bool(events(proc, "forward"))


def test_a_ghost_does_not_keep_its_own_person_out(scene, web):
    """The cable was cut, and ssh is started again before the server has noticed."""
    scene.anna.tunnel("demo", transport={"max_connections": 1})
    ghost = scene.session(forward_to(web, "demo:80"))
    ghost.popen.send_signal(signal.SIGSTOP)
    wait_until(lambda: _attaches(scene, web), 25, "who comes back is let in")
    assert scene.page("demo", timeout=20 * PATIENCE).status == 200


def test_a_session_that_serves_nothing_is_closed(scene):
    proc = scene.ssh("-N", "-v")
    proc.wait_line("Authenticated to", 10, "err")
    assert proc.wait(40) == 255, proc.text()


def _serving(scene, name):
    made = transport(scene)
    assert made.global_request("tcpip-forward", (name, 80), wait=True) is not None
    return made


def test_200_sessions(scene, web):
    path = f"/v1/admin/accounts/{scene.anna.made['id']}"
    scene.server.admin().patch(path, {"quota": {"tunnels": 300, "sessions": 300}}).want(200)
    before = scene.server.rss()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:  # paramiko waits more than it works
        made = list(pool.map(lambda i: _serving(scene, f"t{i}"), range(200)))
    assert len(sessions(scene)) == 200
    check_growth([before], (scene.server,), 200 * 160 * 1024)
    proc = scene.session(forward_to(web, "demo:80"))
    cpu, began = scene.server.cpu_seconds(), time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2, 5, "a while passes")
    assert scene.server.cpu_seconds() - cpu < 0.5 * PATIENCE, "idle ones cost nothing"
    assert scene.page("demo").status == 200 and proc.alive()
    for m in made:
        m.close()
    wait_until(lambda: len(sessions(scene)) == 1, 20, "they have gone")


def test_sessions_of_an_account_are_limited(scene, web):
    path = f"/v1/admin/accounts/{scene.anna.made['id']}"
    scene.server.admin().patch(path, {"quota": {"sessions": 2}}).want(200)
    first, second = (scene.quiet(forward_to(web, f"t{i}:80")) for i in range(2))
    proc = scene.ssh("-R", forward_to(web, "three:80"), words=["json"])
    wait_until(lambda: events(proc, "refused") or not proc.alive(), 10, "one more is refused")
    assert "session" in proc.text(), proc.text()
    assert first.alive() and second.alive() and scene.page("t1").status == 200
