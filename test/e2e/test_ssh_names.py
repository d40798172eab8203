"""Names and words of `ssh -R`: which tunnel a forward is, and what a person sees of it."""

import re
import socket
import threading
import types

import pytest

import proxy_header
from hello import context
from karez import check_growth, free_port, wait_until
from raw_servers import RawTarget, echo, named
from servers import Target, fields_of
from ssh_raw import REQUEST_FAILURE, REQUEST_SUCCESS, RawSsh, cancel, forward
from ssh_scene import (REFUSED, SshScene, echoed, events, forward_to, port_of, transport,
                       wait_events)
from tunnel_scene import refuses, tcp, wait_refused
from visitor import Visitor, fetch


@pytest.fixture
def scene(world):
    return SshScene(world, "--unproven-domains")


@pytest.fixture
def web(world):
    return world.closes(Target())


@pytest.fixture
def echoes(world):
    return world.closes(RawTarget(echo))


HELLO = "hello from target\n"
RANDOM = r"[a-z0-9]{4,}"


# ---- which tunnel a forward is ----


@pytest.mark.parametrize("spec, name", [
    ("80", "anna"), ("443", "anna"), (":80", "anna"), ("*:80", "anna"), ("localhost:80", "anna"),
    ("0.0.0.0:443", "anna"), ("demo:80", "demo"), ("demo:443", "demo"), ("DEMO:80", "demo"),
    ("demo.localhost:80", "demo"), ("demo.localhost:443", "demo"), ("localhost:443", "anna"),
])
def test_http(scene, web, spec, name):
    online = scene.session(forward_to(web, spec)).online[0]
    assert (online["tunnel"], online["kind"]) == (name, "http"), online
    assert online["urls"] == [f"http://{name}.localhost:{scene.server.port}"], online
    address, port = spec.rpartition(":")[::2]
    assert online["requested"]["port"] == int(port)
    assert online["requested"]["address"] == {"*": ""}.get(address, address or "localhost") or \
        online["requested"]["address"] == ""
    assert scene.page(name).text() == HELLO


def test_the_visitor_is_told_to_the_target(scene, web):
    scene.session(forward_to(web, "demo:80"))
    seen = fields_of(scene.page("demo", "/headers", source="127.0.0.9"))
    assert seen["x-forwarded-for"] == ["127.0.0.9"] and seen["x-forwarded-proto"] == ["http"]


def test_a_name_with_another_port_is_a_tcp_tunnel_of_that_name(scene, echoes):
    port = free_port()
    online = scene.session(forward_to(echoes, f"demo:{port}")).online[0]
    scene.server.kept_files += 1  # it has a name, so it stays
    assert (online["tunnel"], online["kind"]) == ("demo", "tcp")
    assert online["urls"] == [f"tcp://localhost:{port}"]
    assert echoed(port)
    assert scene.anna.get("/v1/tunnels/demo").json()["ingress"]["tcp"]["port"] == port


def test_a_custom_domain(scene, web):
    online = scene.session(forward_to(web, "app.example.org:80")).online[0]
    assert f"http://app.example.org:{scene.server.port}" in online["urls"], online
    assert fetch(scene.server.port, "app.example.org").text() == HELLO
    _, key = scene.person("Bert")
    proc = scene.ssh("-R", forward_to(web, "app.example.org:80"), words=["json"], key=key)
    refused = wait_events(proc, "refused")[0]
    assert "app.example.org" in refused["reason"], refused


def test_a_custom_domain_is_found_again(scene, web):
    first = scene.session(forward_to(web, "app.example.org:80"))
    name = first.online[0]["tunnel"]
    first.stop()
    assert scene.tunnels() == [name], "a custom domain stays"
    assert scene.session(forward_to(web, "app.example.org:80")).online[0]["tunnel"] == name


def test_a_domain_that_is_not_proven_is_refused_with_what_to_do(world, web):
    scene = SshScene(world)
    proc = scene.ssh("-R", forward_to(web, "app.example.org:80"), words=["json"])
    refused = wait_events(proc, "refused", seconds=20)[0]
    assert "app.example.org" in refused["reason"], refused
    assert scene.tunnels() == []


def test_several_forwards_of_one_session(scene, web, echoes):
    port = free_port()
    specs = [forward_to(web, "one:80"), forward_to(web, "two:80"), forward_to(web, "80"),
             forward_to(web, "443"), forward_to(echoes, port), forward_to(echoes, 0)]
    proc = scene.session(*specs)
    names = [o["tunnel"] for o in proc.online]
    assert names[:3] == ["one", "two", "anna"] and len(set(names)) == 6
    assert re.fullmatch(RANDOM, names[3])
    for name in names[:4]:
        assert scene.page(name).text() == HELLO
    for online in proc.online[4:]:
        assert echoed(port_of(online["urls"][0]))
    assert port_of(proc.online[4]["urls"][0]) == port


def test_many_forwards(world, scene):
    targets = [world.closes(RawTarget(named(str(i)))) for i in range(64)]
    proc = scene.session(*(forward_to(t, 0) for t in targets))  # ssh drops those that are equal
    ports = [port_of(o["urls"][0]) for o in proc.online]
    assert len(set(ports)) == 64
    assert sorted(int(scene.line(port)) for port in ports) == list(range(64))


def test_more_forwards_than_there_may_be(scene):
    """All at once, or one after the other: the two that are too many are refused."""
    specs = [f"t{i}:80:127.0.0.1:9" for i in range(66)]
    proc = scene.ssh("-N", *(a for s in specs for a in ("-R", s)))
    wait_until(lambda: proc.count(REFUSED) == 2, 10, "two refusals")
    wait_until(lambda: len(scene.tunnels()) == 64, 10, "64 tunnels")
    assert proc.alive() and proc.count(REFUSED) == 2
    proc.kill()
    scene.wait_sessions(0)
    made = transport(scene)
    for i in range(66):
        answer = made.global_request("tcpip-forward", (f"t{i}", 80), wait=True)
        assert (answer is not None) == (i < 64), i
    assert made.is_active() and len(scene.tunnels()) == 64


def test_what_is_too_much_is_told(scene):
    """The session's 65th and 66th: why, on the screen, for programs and in the log."""
    specs = [f"t{i}:80:127.0.0.1:9" for i in range(66)]
    proc = scene.ssh(*(a for s in specs for a in ("-R", s)), words=["json"])
    refused = wait_events(proc, "refused", 2)
    assert [r["requested"]["address"] for r in refused] == ["t64", "t65"]
    assert {r["code"] for r in refused} == {"LIMIT"}
    assert all("64 forwards at most" in r["reason"] for r in refused), refused
    assert len(wait_events(proc, "forward", 64)) == 64
    assert scene.server.count('address="t65" port=80 code=LIMIT '
                              'reason="a session has 64 forwards at most"') == 1


def enter(scene):
    client = RawSsh(scene.ssh_port)
    scene.world.guests.append(types.SimpleNamespace(kill=client.close))
    return client.login(scene.key)


def test_requests_that_wait_are_judged_as_if_they_had_been_answered(scene):
    """Nothing is answered while the first one waits for words that may come."""
    names = [f"t{i}" for i in range(65)]
    asked = [forward("t0", 80)] * 11 + [forward(name, 80) for name in names]
    client = enter(scene)
    client.send(*asked)
    got = [client.receive(REQUEST_SUCCESS, REQUEST_FAILURE)[0] for _ in asked]
    assert got == [REQUEST_SUCCESS] + [REQUEST_FAILURE] * 11 + [REQUEST_SUCCESS] * 63 + \
        [REQUEST_FAILURE]
    client.send(cancel("t0", 80), forward("t64", 80), forward("t0", 80))
    got = [client.receive(REQUEST_SUCCESS, REQUEST_FAILURE)[0] for _ in range(3)]
    assert got == [REQUEST_SUCCESS, REQUEST_SUCCESS, REQUEST_FAILURE]


NUMBERS = ["0x7f000001", "127.1", "2130706433", "017700000001", "1.2.3", "127.0.0.256", "123"]


@pytest.mark.parametrize("port", [80, 0])
def test_what_looks_like_an_address_is_no_name(scene, web, port):
    specs = [forward_to(web, f"{number}:{port}") for number in NUMBERS]
    proc = scene.ssh(*(a for s in specs for a in ("-R", s)), words=["json"])
    refused = wait_events(proc, "refused", len(NUMBERS))
    assert [r["requested"]["address"] for r in refused] == NUMBERS
    assert all("is a number" in r["reason"] for r in refused), refused
    assert scene.tunnels() == []


def test_a_name_of_digits_goes_with_its_domain(scene, web):
    assert scene.session(forward_to(web, "123.localhost:80")).online[0]["tunnel"] == "123"
    assert scene.page("123").text() == HELLO


def test_address_0_is_everywhere(world, echoes):
    """As sshd has it."""
    scene = SshScene(world, bind=None)
    port = port_of(scene.session(forward_to(echoes, "0:0")).online[0]["urls"][0])
    assert echoed(port) and echoed(port, "127.0.0.9")


# ---- users ----


def test_the_user_is_the_name_of_the_first_unnamed_http_tunnel(scene, web):
    online = scene.session(forward_to(web, "80"), user="shop").online[0]
    assert online["tunnel"] == "shop"


def test_a_user_whose_name_is_anothers_gets_a_random_name(scene, web):
    bert, key = scene.person("Bert")
    bert.tunnel("shop")
    online = scene.session(forward_to(web, "80"), user="shop").online[0]
    assert re.fullmatch(RANDOM, online["tunnel"]) and online["tunnel"] != "shop"
    assert scene.page("shop").status == 503
    assert scene.session(forward_to(web, "80"), user="shop", key=key).online[0]["tunnel"] == "shop"


@pytest.mark.parametrize("user", ["Not_A_Name", "x" * 64, "a b", "\u00e4", "anonymous"])
def test_a_user_that_is_no_name(scene, web, user):
    online = scene.session(forward_to(web, "80"), user=user).online[0]
    assert re.fullmatch(RANDOM, online["tunnel"])
    assert scene.page(online["tunnel"]).text() == HELLO


def test_what_was_not_named_goes_with_the_session(scene, web, echoes):
    proc = scene.session(forward_to(web, "80"), forward_to(web, "demo:80"), forward_to(echoes, 0))
    assert len(scene.tunnels()) == 3
    assert scene.anna.get("/v1/tunnels/anna").json()["temporary"] is True
    proc.stop()
    wait_until(lambda: scene.tunnels() == ["demo"], 5, "only what has a name stays")
    assert scene.page("anna").status == 404 and scene.page("demo").status == 503


def test_a_port_that_the_account_has_is_served(scene, echoes):
    port = free_port()
    scene.anna.tunnel("mine", **tcp(port))
    scene.server.kept_files += 1
    proc = scene.session(forward_to(echoes, port))
    assert proc.online[0]["tunnel"] == "mine" and echoed(port)
    proc.stop()
    wait_refused(port)
    assert scene.tunnels() == ["mine"]


# ---- words ----


def test_name(scene, web):
    online = scene.session(forward_to(web, "80"), words=["name=shop"]).online[0]
    assert online["tunnel"] == "shop"
    bert, _ = scene.person("Bert")
    bert.tunnel("berts")
    proc = scene.ssh("-R", forward_to(web, "80"), words=["json", "name=berts"])
    assert "another" in wait_events(proc, "refused")[0]["reason"]
    assert "berts" not in scene.tunnels()


@pytest.mark.parametrize("words, says", [
    (["nonsense"], "nonsense"), (["name="], "name"), (["name=-x-"], "name"),
    (["proxy=v3"], "proxy"), (["policy=random"], "policy"), (["max-sessions=0"], "max-sessions"),
    (["priority=high"], "priority"), (["json", "nonsense=1"], "nonsense"), (["tls=yes"], "tls"),
    (["name=a", "name=b"], "name"), (["\u00e4"], "?"), (["x" * 5000], ""),
])
def test_wrong_words_make_nothing(scene, web, words, says):
    port = free_port()
    status, proc = scene.run("-R", forward_to(web, "80"), "-R", forward_to(web, port), words=words)
    assert status == 2 or (status in (1, 255) and not says), proc.text()
    assert says in proc.text("out"), proc.text()
    assert scene.tunnels() == [] and refuses(port)


def test_help(scene):
    for words in (["help"], ["--", "--help"], ["--", "-h"]):
        status, proc = scene.run(words=words)
        assert status == 0, proc.text()
        for word in ("name=", "proxy=", "policy=", "priority=", "max-sessions=", "tls", "json",
                     "quiet", "agent="):
            assert word in proc.text("out"), (word, proc.text())


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("spec", ["0", "demo:{}"])
def test_proxy(world, scene, version, spec):
    target = world.closes(RawTarget())
    proc = scene.session(forward_to(target, spec.format(free_port())), words=[f"proxy={version}"])
    scene.server.kept_files += spec != "0"
    port = port_of(proc.online[0]["urls"][0])
    with Visitor(port, source="127.0.0.9") as v:
        v.send(b"x")
        with target.take() as peer:
            header = getattr(proxy_header, f"read_{version}")(peer)
            assert header.src == v.sock.getsockname() and header.dst == ("127.0.0.1", port)
            assert peer.exactly(1) == b"x"


def test_proxy_for_http(world, scene):
    target = world.closes(RawTarget())
    scene.session(forward_to(target, "demo:80"), words=["proxy=v1"])
    with Visitor(scene.server.port, source="127.0.0.9") as v:
        v.ask("demo.localhost")
        with target.take() as peer:
            assert proxy_header.read_v1(peer).src == v.sock.getsockname()
            assert peer.until(b"\r\n") == b"GET / HTTP/1.1"


def test_policy_priority_and_max_sessions(scene, web):
    scene.session(forward_to(web, "demo:80"),
                  words=["policy=failover", "priority=7", "max-sessions=3", "agent=left"])
    transport_ = scene.anna.get("/v1/tunnels/demo").json()["transport"]
    assert transport_["policy"] == "failover" and transport_["max_connections"] == 3


def test_failover_by_priority(world, scene):
    ones = {}
    for letter, priority in (("b", 9), ("a", 1)):
        target = world.closes(Target(letter))
        ones[letter] = scene.session(forward_to(target, "demo:80"), words=[
            "policy=failover", f"priority={priority}", f"agent={letter}"])
    assert scene.page("demo").text() == "hello from a\n"
    ones["a"].kill()
    wait_until(lambda: scene.page("demo").text() == "hello from b\n", 5, "b takes over")


def test_a_pool_of_ssh_and_karez(world, scene):
    target, other = world.closes(Target("ssh")), world.closes(Target("karez"))
    scene.session(forward_to(target, "demo:80"), words=["policy=round-robin"])
    scene.agent(other.port, "--name", "demo", kind="http", sessions=1)
    seen = [scene.page("demo").text() for _ in range(10)]
    assert seen.count("hello from ssh\n") == seen.count("hello from karez\n") == 5, seen


def test_tls_is_passed_through_if_asked(world, authority):
    scene = SshScene(world, "--unproven-domains", tls=authority.localhost)
    cert = authority.client("own", names="DNS:demo.localhost,DNS:app.example.org")
    target = world.closes(RawTarget(named("own"), tls=cert.server_context()))
    proc = scene.session(forward_to(target, "demo:443"), forward_to(target, "app.example.org:443"),
                         words=["tls"])
    assert [o["kind"] for o in proc.online] == ["tls", "tls"]
    for name in ("demo.localhost", "app.example.org"):
        with Visitor(scene.tls_port, tls=authority.client_context(), name=name) as v:
            assert v.until(b"\n") == b"own"


def test_without_the_word_tls_ends_here(world, authority, web):
    scene = SshScene(world, tls=authority.localhost)
    online = scene.session(forward_to(web, "demo:443")).online[0]
    assert online["kind"] == "http"
    with Visitor(scene.tls_port, tls=context(), name="demo.localhost") as v:
        assert v.get("demo.localhost").text() == HELLO


# ---- what a person sees ----


def test_on_a_terminal_the_url_and_a_line_for_each_request(scene, web, echoes):
    proc = scene.ssh("-R", forward_to(web, "demo:80"), "-R", forward_to(echoes, 0), "-t",
                     tty="typed")
    proc.wait_screen(r"demo +http://demo\.localhost:%d" % scene.server.port, 10)
    port = int(proc.wait_screen(r"tcp://localhost:(\d+)", 5)[1])
    assert scene.page("demo", "/a/path?q=1").status == 200
    assert scene.page("demo", "/early", source="127.0.0.9").status == 413
    proc.wait_screen(r"\d\d:\d\d:\d\d demo GET /a/path\?q=1 200 \d+ ms 127\.0\.0\.1", 5)
    proc.wait_screen(r"\d\d:\d\d:\d\d demo GET /early 413 \d+ ms 127\.0\.0\.9", 5)
    mark = len(proc.screen())
    assert echoed(port)
    proc.wait_screen(r"127\.0\.0\.1", 5, since=mark)
    for line in proc.screen().split("\n")[:-1]:
        assert line.endswith("\r"), "every line starts at the left"


@pytest.mark.parametrize("keys", ["\3", "\4", "q"])
def test_keys_that_end_it(scene, web, keys):
    proc = scene.ssh("-t", "-R", forward_to(web, "demo:80"), tty="typed")
    proc.wait_screen("demo", 10)
    wait_until(lambda: scene.page("demo").status == 200, 10, "it is served")
    proc.type("xyz ")  # nothing else does
    assert scene.page("demo").status == 200 and proc.alive()
    proc.expect_alive = False
    proc.type(keys)
    assert proc.wait(5) == 0, proc.text()
    assert scene.page("demo").status == 503


@pytest.mark.parametrize("words", [["quiet"], ["--", "-q"]], ids=" ".join)
def test_quiet(scene, web, words):
    proc = scene.ssh("-t", "-R", forward_to(web, "demo:80"), tty="typed", words=words)
    proc.wait_screen(r"http://demo\.localhost", 10)
    assert scene.page("demo", "/a/path").status == 200
    proc.type("q")
    assert proc.wait(5) == 0
    assert "/a/path" not in proc.screen()


def test_without_a_terminal_the_urls_alone(scene, web):
    """Its input is empty: that ends nothing."""
    proc = scene.ssh("-T", "-R", forward_to(web, "demo:80"))
    proc.wait_line(r"demo +http://demo\.localhost", 10, "out")
    assert scene.page("demo", "/a/path").status == 200
    assert scene.page("demo", "/second").status == 200
    assert proc.alive() and "/a/path" not in proc.text() and "\r" not in proc.screen()


def test_n_shows_nothing_and_works(scene, web):
    proc = scene.ssh("-N", "-R", forward_to(web, "demo:80"))
    wait_until(lambda: scene.page("demo").status == 200, 10, "it is served")
    assert scene.page("demo").text() == HELLO
    assert proc.text() == ""


def test_json(scene, web, echoes):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        proc = scene.ssh("-R", forward_to(web, "demo:80"), "-R", forward_to(echoes, port),
                         "-R", forward_to(echoes, 0), words=["json"])
        wait_events(proc, "forward", 2)
        refused = wait_events(proc, "refused")[0]
    assert refused["requested"] == {"address": "localhost", "port": port} and refused["reason"]
    assert scene.page("demo", "/x?y=\"1\"").status == 200
    request = wait_events(proc, "request")[0]
    assert request["tunnel"] == "demo" and request["method"] == "GET"
    assert request["path"] == '/x?y="1"' and request["status"] == 200
    assert echoed(port_of(events(proc, "forward")[1]["urls"][0]))
    assert wait_events(proc, "connection")[0]["tunnel"] == events(proc, "forward")[1]["tunnel"]
    assert all(line.startswith("{") for line in proc.said("out"))
    scene.anna.delete("/v1/tunnels/demo").want(204)
    detached = wait_events(proc, "detached")[0]
    assert detached["tunnel"] == "demo" and "deleted" in detached["reason"], detached
    assert proc.alive()


def test_nothing_of_a_visitor_steers_the_terminal(scene, web):
    proc = scene.ssh("-t", "-R", forward_to(web, "demo:80"), tty="typed")
    proc.wait_screen("http://demo", 10)
    for path in (b"/\x9b31m", b"/\xc2\x9b2J", b"/\xe2\x80\xae", b"/" + b"a" * 3000, b"/%1b[2J"):
        with Visitor(scene.server.port) as v:
            v.send(b"GET " + path + b" HTTP/1.1\r\nHost: demo.localhost\r\nUser-Agent: \x9b31m\r\n"
                   b"Connection: close\r\n\r\n")
            v.head()
    assert scene.page("demo", "/last").status == 200
    proc.wait_screen("GET /last", 5)
    with proc._news:
        raw = proc.raw
    assert re.fullmatch(rb"[\x20-\x7e\r\n]*", raw), raw
    assert max(len(line) for line in raw.split(b"\r\n")) <= 250


def test_refusals_are_shown_and_the_session_stays(scene, web):
    bert, _ = scene.person("Bert")
    bert.tunnel("berts")
    proc = scene.ssh("-t", "-R", forward_to(web, "berts:80"), tty="typed")
    proc.wait_screen("berts.*another", 10)
    proc.wait_screen(REFUSED, 5)
    assert proc.alive()
    proc.type("q")
    assert proc.wait(5) == 0


def test_a_tunnel_that_is_taken_away_is_said_on_the_screen(scene, web):
    proc = scene.ssh("-t", "-R", forward_to(web, "demo:80"), "-R", forward_to(web, "two:80"),
                     tty="typed")
    proc.wait_screen("http://two", 10)
    scene.anna.delete("/v1/tunnels/demo").want(204)
    proc.wait_screen("demo.*deleted", 5)
    assert scene.page("two").text() == HELLO and proc.alive()


def test_loopback_alone_is_said(world, echoes):
    scene = SshScene(world, bind=None)
    port = free_port()
    proc = scene.ssh("-T", "-R", forward_to(echoes, port))
    proc.wait_line(rf"\*:{port}:", 10, "out")


def test_the_screen_of_one_who_does_not_read_stops_nobody(scene, web):
    """A terminal that is stopped: lines for it are dropped, visitors are served."""
    made = transport(scene)
    made.global_request("tcpip-forward", ("demo", 80), wait=False)
    channel = made.open_session(window_size=1024, max_packet_size=1024, timeout=10)
    channel.get_pty()
    channel.invoke_shell()
    made._tcp_handler = lambda c, origin, server: _answer_all(c)
    wait_until(lambda: scene.page("demo").status == 200, 10, "it is served")
    before = [scene.server.rss()]
    for i in range(300):
        assert scene.page("demo", f"/{'x' * 150}/{i}").status == 200
    check_growth(before, (scene.server,), 4 << 20)
    assert channel.recv_ready()


def _answer_all(channel):
    def run():
        rest = b""
        while data := channel.recv(65536):
            rest += data
            while b"\r\n\r\n" in rest:
                rest = rest.split(b"\r\n\r\n", 1)[1]
                channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    threading.Thread(target=run, daemon=True).start()
