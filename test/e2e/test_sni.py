"""TLS by name: passed through to the target untouched, or ended here with a certificate of ours."""

import os
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

from dns_server import DnsServer
from hello import (INTERNAL_ERROR, UNRECOGNIZED_NAME, Handshake, alert, context, hello, padded,
                   records)
from karez import PATIENCE, free_port, wait_until
from raw_servers import RawTarget, echo, named
from servers import Target, fields_of
from tunnel_scene import Scene
from visitor import Broken, Visitor, fetch


@pytest.fixture
def scene(world, authority):
    return Scene(world, "--unproven-domains", tls=authority.localhost)


@pytest.fixture
def target(world):
    """The test is the target."""
    made = world.closes(RawTarget())
    yield made
    made.close()  # no half of a connection is left when the world is looked at


def secure(world, authority, name, names):
    """A target that speaks TLS by a certificate of its own, and says its name."""
    cert = authority.client(name, names=",".join(f"DNS:{n}" for n in names))
    return world.closes(RawTarget(named(name), tls=cert.server_context()))


def through(scene, authority, target, *domains, config="agent", **kw):
    options = [a for d in domains for a in ("--domain", d)]
    return scene.agent(target, *options, kind="tls", config=config, **kw)


def visit(scene, authority, name):
    """Whose line comes, and by whose certificate; the name is verified."""
    with Visitor(scene.tls_port, tls=authority.client_context(), name=name) as v:
        names = [n for _, n in v.sock.getpeercert()["subjectAltName"]]
        return v.until(b"\n").decode(), names


def s_client(port, name, *more, ca=None):
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"]
    argv += ["-servername", name] if name else ["-noservername"]
    argv += ["-CAfile", str(ca), "-verify_return_error"] if ca else []
    return subprocess.run([*argv, *map(str, more)], input="", capture_output=True, text=True,
                          timeout=20 * PATIENCE, check=False)


# ---- passed through ----


def test_a14_the_more_specific_pattern_wins_and_the_certificate_is_the_targets(world, authority,
                                                                               scene):
    wide = secure(world, authority, "wide", ["*.a.example", "*.c.a.example"])
    exact = secure(world, authority, "exact", ["x.a.example"])
    deep = secure(world, authority, "deep", ["*.b.a.example"])
    agent = through(scene, authority, wide, "*.a.example", config="wide")
    assert "a.example" in agent.url
    through(scene, authority, exact, "x.a.example", config="exact")
    through(scene, authority, deep, "*.b.a.example", config="deep")
    assert visit(scene, authority, "x.a.example") == ("exact", ["x.a.example"])
    assert visit(scene, authority, "X.A.EXAMPLE") == ("exact", ["x.a.example"])
    assert visit(scene, authority, "y.a.example")[0] == "wide"
    assert visit(scene, authority, "q.b.a.example") == ("deep", ["*.b.a.example"])
    done = s_client(scene.tls_port, "x.a.example", "-brief", ca=authority.ca)
    assert done.returncode == 0 and "Verification: OK" in done.stderr, done.stderr
    done = s_client(scene.tls_port, "y.a.example", "-showcerts", ca=authority.ca)
    assert "subject=CN = wide" in done.stdout, done.stdout


def test_its_name_under_the_domain_is_passed_through_as_well(world, authority, scene):
    target = secure(world, authority, "own", ["demo.localhost"])
    agent = through(scene, authority, target, "app.own.example", config="own")
    tunnels = scene.anna.pages("/v1/tunnels")
    assert tunnels[0]["kind"] == "tls" and tunnels[0]["domains"] == ["app.own.example"]
    assert agent.url.endswith(f"app.own.example:{scene.tls_port}")
    scene.agent(secure(world, authority, "named", ["demo.localhost"]), "--name", "demo", kind="tls",
                config="demo")
    assert visit(scene, authority, "demo.localhost")[0] == "named"


CUTS = {"in one": lambda h: [h],
        "over 3 segments": lambda h: [h[:3], h[3:100], h[100:]],
        "byte by byte": lambda h: [h[i:i + 1] for i in range(len(h))],
        "over records of 60": lambda h: [records(h, 60)],
        "over records of 1, segments of 5": lambda h: [
            records(h, 1)[i:i + 5] for i in range(0, len(records(h, 1)), 5)]}


@pytest.mark.parametrize("mode", ["pass", "end"])
@pytest.mark.parametrize("how", CUTS)
def test_a14_a_hello_in_pieces(world, authority, scene, how, mode):
    if mode == "pass":
        through(scene, authority, secure(world, authority, "x", ["x.a.example"]), "x.a.example")
        shake = Handshake(context(authority.ca), "x.a.example")
    else:
        scene.agent(world.closes(RawTarget(named("x"))), "--name", "x", "--tls", "end", kind="tls")
        shake = Handshake(context(), "x.localhost")
    with Visitor(scene.tls_port) as v:
        for piece in CUTS[how](shake.hello):
            v.send(piece)
        shake.finish(v.sock)
        assert shake.receive(v.sock) == b"x\n"


def test_what_the_target_reads_is_what_the_visitor_sent(authority, scene, target):
    through(scene, authority, target, "x.a.example")
    for sent in (hello("x.a.example"), records(hello("x.a.example"), 33),
                 padded(hello("x.a.example"), 60000)):
        with Visitor(scene.tls_port) as v:
            v.send(sent)
            peer = target.take()
            assert peer.exactly(len(sent)) == sent
            peer.send(b"anything")
            assert v.exactly(8) == b"anything"
            v.sock.shutdown(socket.SHUT_WR)
            assert peer.to_end() == b""


def test_a_hello_beyond_the_cap(authority, scene, target):
    through(scene, authority, target, "x.a.example")
    sent = padded(hello("x.a.example"), 65100)
    assert len(sent) > 65536
    for size in (len(sent), 7000):
        with Visitor(scene.tls_port) as v:
            try:
                for i in range(0, len(sent), size):
                    v.send(sent[i:i + size])
                assert v.to_end()[:1] in (b"", b"\x15")
            except (ConnectionResetError, BrokenPipeError):
                pass
    assert target.connections == 0


@pytest.mark.parametrize("sent", [
    b"GET / HTTP/1.1\r\nHost: x.a.example\r\n\r\n", b"SSH-2.0-OpenSSH_9.2p1\r\n", b"\0",
    b"\x16\x02", b"\x16\3\1\xff\xff", b"\x16\3\1\0\0", b"\x16\3\1\0\4\2\0\0\0",
    hello("x.a.example").replace(b"x.a.example", b"x.a.exa\0ple"), b"\x80\x2e\1\3\1\0\x15",
], ids=range(9))
def test_what_is_no_hello_ends_at_once(authority, scene, sent, target):
    through(scene, authority, target, "x.a.example")
    with Visitor(scene.tls_port) as v:
        v.send(sent)
        try:
            assert v.to_end()[:1] in (b"", b"\x15")
        except ConnectionResetError:
            pass
    assert target.connections == 0


def test_a_hello_that_does_not_end_has_a_deadline(world, authority, target):
    scene = Scene(world, "--unproven-domains", "--handshake-timeout", "1s", tls=authority.localhost)
    through(scene, authority, target, "x.a.example")
    whole = hello("x.a.example")
    for part in (0, 1, 5, 100, len(whole) - 1):
        with Visitor(scene.tls_port) as v:
            v.send(whole[:part])
            try:
                assert v.to_end()[:1] in (b"", b"\x15")
            except ConnectionResetError:
                pass
    assert target.connections == 0
    with Visitor(scene.tls_port) as v:
        v.send(whole)
        assert target.take().exactly(len(whole)) == whole


@pytest.mark.parametrize("name", ["nobody.example", "a.example", "example", "nobody.a.example.org"])
def test_a14_no_match_is_an_alert_and_the_end(world, authority, scene, name):
    through(scene, authority, secure(world, authority, "wide", ["*.a.example"]), "*.a.example")
    with Visitor(scene.tls_port) as v:
        v.send(hello(name))
        assert alert(v) == UNRECOGNIZED_NAME
    done = s_client(scene.tls_port, name)
    assert "unrecognized name" in done.stderr, done.stderr


def test_known_but_nobody_is_there(world, authority, scene):
    target = secure(world, authority, "x", ["x.a.example"])
    agent = through(scene, authority, target, "x.a.example", "*.x.a.example")
    assert agent.stop() == 0
    for name in ("x.a.example", "y.x.a.example"):
        def offline(name=name):
            with Visitor(scene.tls_port) as v:
                v.send(hello(name))
                return alert(v) == INTERNAL_ERROR
        wait_until(offline, 5, "the agent has left")
    scene.anna.delete(f"/v1/tunnels/{scene.anna.pages('/v1/tunnels')[0]['name']}").want(204)
    with Visitor(scene.tls_port) as v:
        v.send(hello("x.a.example"))
        assert alert(v) == UNRECOGNIZED_NAME


def test_without_a_name_it_is_the_servers_own_certificate(world, authority, scene):
    through(scene, authority, secure(world, authority, "x", ["x.a.example"]), "x.a.example")
    done = s_client(scene.tls_port, None, ca=authority.ca)
    assert "subject=CN = localhost" in done.stdout, done.stdout


def test_a_domain_of_somebody_else(world, authority, scene):
    target = secure(world, authority, "x", ["x.a.example"])
    through(scene, authority, target, "x.a.example", "*.a.example")
    bert = scene.server.account("Bert")
    for name in ("x.a.example", "*.a.example"):
        said = scene.refused(target, "--domain", name, kind="tls", api=bert)
        assert name in said, said
    for name in ("*.example", "*", "*.*.a.example", "a.*.example", "x*.a.example"):
        scene.anna.post("/v1/tunnels", {"kind": "tls", "domains": [name]}).want(400)
    assert scene.anna.post("/v1/tunnels", {"domains": ["*.h.example"]}).status == 400
    assert visit(scene, authority, "x.a.example")[0] == "x"


def test_a_domain_is_proven_by_the_dns(world, authority):
    dns = world.closes(DnsServer())
    scene = Scene(world, "--resolver", dns.address, tls=authority.localhost)
    scene.anna.post("/v1/tunnels", {"name": "demo", "kind": "tls"}).want(201)
    target = secure(world, authority, "x", ["*.a.example", "a.example"])
    said = scene.refused(target, "--name", "demo", "--domain", "a.example", kind="tls")
    assert "a.example" in said and ("CNAME" in said or "TXT" in said), said
    dns.set("a.example", "CNAME", "demo.localhost")
    scene.agent(target, "--name", "demo", "--domain", "a.example", "--domain", "*.a.example",
                kind="tls")
    assert visit(scene, authority, "a.example")[0] == "x"
    assert visit(scene, authority, "q.a.example")[0] == "x"


# ---- ended here ----


class CertDir:
    """--tls-dir."""

    def __init__(self, world, authority):
        self.dir, self.authority = world.dir("certs"), authority

    def put(self, file, name, names):
        cert = self.authority.client(name, names=",".join(f"DNS:{n}" for n in names))
        for end, path in ((".key", cert.key), (".pem", cert.cert)):
            fresh = self.dir / f".{file}{end}"
            shutil.copy(path, fresh)
            os.replace(fresh, self.dir / f"{file}{end}")


@pytest.fixture
def ended(world, authority):
    """A server with certificates for two names and a wildcard, beside the default one."""
    certs = CertDir(world, authority)
    certs.put("one", "one", ["app.one.example", "one.example"])
    certs.put("wild", "wild", ["*.wild.example"])
    scene = Scene(world, "--unproven-domains", tls=authority.localhost,
                  tls_options=["--tls-dir", certs.dir])
    scene.certs = certs
    return scene


def subject(scene, authority, name, **kw):
    with Visitor(scene.tls_port, tls=context(authority.ca, **kw), name=name) as v:
        return dict(x[0] for x in v.sock.getpeercert()["subject"])["commonName"], v.sock.version()


def has_new(scene, authority):
    try:
        return subject(scene, authority, "new.example")[0] == "new"
    except OSError:
        return False


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_is_chosen_by_name(world, authority, ended, version):
    want = version.name.replace("_", ".")
    for name, cn in (("app.one.example", "one"), ("one.example", "one"), ("APP.one.example", "one"),
                     ("q.wild.example", "wild"), ("localhost", "localhost")):
        assert subject(ended, authority, name, version=version) == (cn, want), name
    with Visitor(ended.tls_port) as v:
        v.send(hello("q.q.wild.example"))
        assert alert(v) == UNRECOGNIZED_NAME


def test_plain_tcp_inside_of_tls_that_ends_here(world, authority, ended):
    target = world.closes(RawTarget(echo))
    through(ended, authority, target, "app.one.example", config="one")
    ended.anna.patch(f"/v1/tunnels/{ended.anna.pages('/v1/tunnels')[0]['name']}",
                     {"ingress": {"tls": {"mode": "end"}}}).want(200)
    with Visitor(ended.tls_port, tls=authority.client_context(), name="app.one.example") as v:
        v.send(b"in clear at the target")
        assert v.exactly(22) == b"in clear at the target"
    first = world.closes(RawTarget(named("first")))
    ended.agent(first, "--domain", "q.wild.example", "--tls", "end", kind="tls", config="wild")
    assert visit(ended, authority, "q.wild.example") == ("first", ["*.wild.example"])


def test_half_close_inside_of_tls(world, authority, ended):
    """close_notify is the end of one direction."""
    target = world.closes(RawTarget(lambda peer, _: peer.sock.sendall(b"all: " + peer.to_end())))
    ended.agent(target, "--domain", "app.one.example", "--tls", "end", kind="tls")
    shake = Handshake(context(authority.ca), "app.one.example")
    with Visitor(ended.tls_port) as v:
        v.send(shake.hello)
        shake.finish(v.sock)
        shake.send(v.sock, b"words")
        try:
            shake.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        v.send(shake.outgoing.read())
        assert shake.receive(v.sock) == b"all: words"


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("name", ["app.one.example", "localhost"])
def test_tickets_resume(world, authority, ended, version, name):
    ended.agent(world.closes(RawTarget(named("x"))), "--domain", "app.one.example", "--tls", "end",
                kind="tls")
    file = world.path / "session"
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{ended.tls_port}", version,
            "-servername", name, "-sess_out", file]
    with subprocess.Popen(argv, stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        wait_until(lambda: file.exists() and file.stat().st_size > 0, 10, "a ticket has come")
        first.kill()
    done = s_client(ended.tls_port, name, version, "-sess_in", file)
    assert "\nReused, " in done.stdout, done.stdout


def test_http_by_name_on_the_same_port(world, authority, ended):
    web = world.closes(Target("web"))
    agent = ended.agent(web, "--name", "web", kind="http")
    ended.anna.patch("/v1/tunnels/web", {"domains": ["app.one.example"]}).want(200)
    through(ended, authority, secure(world, authority, "x", ["x.a.example"]), "x.a.example",
            config="x")
    url = f"https://app.one.example:{ended.tls_port}/headers"
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-m", "10", "--cacert", authority.ca,
                           "--resolve", f"app.one.example:{ended.tls_port}:127.0.0.1", url],
                          capture_output=True, check=True, env=world.env())
    assert b"x-forwarded-proto" in done.stdout.lower()
    answer = fetch(ended.tls_port, "app.one.example", "/headers", tls=authority.client_context(),
                   name="app.one.example")
    assert fields_of(answer)["x-forwarded-proto"] == ["https"]
    assert fetch(ended.server.port, agent.host).text() == "hello from web\n"
    assert visit(ended, authority, "x.a.example")[0] == "x"
    assert fetch(ended.tls_port, "nobody.localhost", tls=context(),
                 name="nobody.localhost").status == 404


def test_a_replaced_certificate_is_seen_without_a_restart(world, authority, ended):
    first = Visitor(ended.tls_port, tls=context(authority.ca), name="one.example")
    ended.certs.put("one", "one-renewed", ["app.one.example", "one.example"])
    wait_until(lambda: subject(ended, authority, "one.example")[0] == "one-renewed", 15,
               "the new certificate is used")
    first.ask("nobody.localhost", "/")
    assert first.answer().status == 404, "a running connection goes on"
    first.close()

    ended.certs.put("new", "new", ["new.example"])
    wait_until(lambda: has_new(ended, authority), 15, "a new file is found")
    for end in (".pem", ".key"):
        os.remove(ended.certs.dir / f"new{end}")
    wait_until(lambda: not has_new(ended, authority), 15, "a removed one is forgotten")


def test_a_broken_file_changes_nothing_and_is_named(world, authority, ended):
    (ended.certs.dir / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    (ended.certs.dir / "bad.key").write_text("nothing")
    ended.server.wait_line(r"bad\.pem", 15)
    assert subject(ended, authority, "one.example")[0] == "one"
    mark = ended.server.mark()
    (ended.certs.dir / "one.key").write_text("half of a k")
    ended.server.wait_line(r"one\.(pem|key)", 15, since=mark)
    assert subject(ended, authority, "q.wild.example")[0] == "wild"
    assert subject(ended, authority, "localhost")[0] == "localhost"


def test_sighup_reads_them_at_once(world, authority, ended):
    ended.certs.put("new", "new", ["new.example"])
    ended.server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: has_new(ended, authority), 5, "a new file is found")


def test_a_directory_is_enough(world, authority):
    certs = CertDir(world, authority)
    certs.put("b", "b-cert", ["b.example"])
    certs.put("a", "a-cert", ["a.example", "localhost"])
    scene = Scene(world, "--unproven-domains", tls_options=["--tls-dir", certs.dir])
    done = s_client(scene.tls_port, None, ca=authority.ca)
    assert "subject=CN = a-cert" in done.stdout, "the first one, when no name is said"
    assert subject(scene, authority, "b.example")[0] == "b-cert"


def test_the_default_certificate_is_replaced_as_well(world, authority):
    first = authority.client("first-default", names="DNS:localhost")
    second = authority.client("second-default", names="DNS:localhost")
    folder = world.dir("default")
    for path, file in ((first.cert, "c.pem"), (first.key, "k.pem")):
        shutil.copy(path, folder / file)
    cert = type(first)(folder / "c.pem", folder / "k.pem")
    scene = Scene(world, tls=cert)
    assert subject(scene, authority, "localhost")[0] == "first-default"
    shutil.copy(second.cert, folder / "c.pem")
    shutil.copy(second.key, folder / "k.pem")
    wait_until(lambda: subject(scene, authority, "localhost")[0] == "second-default", 15,
               "the new one is used")


# ---- TLS to the target ----


def lines(scene, agent):
    """What a tcp visitor reads up to the end; b"" when it was refused or cut."""
    with Visitor(agent.port) as v:
        try:
            return v.until(b"\n")
        except (OSError, Broken):
            return b""


def test_tls_to_the_target_of_a_tcp_tunnel(world, authority, scene):
    target = secure(world, authority, "inner", ["localhost"])
    url = f"tls://localhost:{target.port}"
    good = scene.agent(url, "--target-ca", authority.ca, "--name", "good", config="good")
    assert lines(scene, good) == b"inner"
    wrong = scene.agent(url, "--target-ca", authority.other_ca, "--name", "wrong", config="wrong")
    assert lines(scene, wrong) == b""
    none = scene.agent(url, "--name", "none", config="none")
    assert lines(scene, none) == b""
    loose = scene.agent(url, "--target-insecure", "--name", "loose", config="loose")
    assert lines(scene, loose) == b"inner"
    other = scene.agent(f"tls://127.0.0.1:{target.port}", "--target-ca", authority.ca, "--name",
                        "other", config="other")
    assert lines(scene, other) == b"", "the name in the certificate counts"


def test_tls_to_the_target_of_an_http_tunnel(world, authority, scene):
    cert = authority.client("web", names="DNS:localhost")
    target = world.closes(Target("web", tls=cert.server_context()))
    for name, options, status in (("good", ["--target-ca", authority.ca], 200),
                                  ("wrong", ["--target-ca", authority.other_ca], 502),
                                  ("none", [], 502), ("loose", ["--target-insecure"], 200)):
        agent = scene.agent(f"https://localhost:{target.port}", *options, "--name", name,
                            kind="http", config=name)
        assert fetch(scene.server.port, agent.host).status == status, name


def test_a_ca_that_is_none(world, scene):
    agent = world.agent_unchecked(scene.server, f"tls://localhost:{free_port()}", "--target-ca",
                                  "/nosuch/ca.pem", command=("tcp",), env=scene.env())
    assert agent.wait() in (1, 2) and "/nosuch/ca.pem" in agent.text("err"), agent.text()


def test_a_name_that_moves_during_the_handshake(world, scene):
    bob = scene.server.account("Bob")
    anna = scene.agent(world.closes(RawTarget(named("anna"))), "--name", "x", "--tls", "end",
                       "--domain", "app.example.org", kind="tls", config="anna")
    shake = Handshake(context(), "app.example.org")
    with Visitor(scene.tls_port) as v:
        v.send(shake.hello)
        shake.incoming.write(v.sock.recv(1))  # it has begun
        scene.anna.delete("/v1/tunnels/x").want(204)
        assert anna.wait(10) == 1
        world.agents.remove(anna)
        scene.agent(world.closes(RawTarget(named("bob"))), "--name", "x", "--tls", "end",
                    kind="tls", api=bob, config="bob")
        with pytest.raises(OSError):  # not Bob's target: nobody has the name
            shake.finish(v.sock)
            shake.receive(v.sock)


def test_the_servers_own_names_are_nobodys_tunnel(world, authority):
    scene = Scene(world, "--unproven-domains", "--api-host", "api.example.org",
                  tls=authority.localhost)
    text = scene.refused(world.closes(RawTarget()), "--domain", "api.example.org", kind="tls")
    assert "this server's own name" in text
    through(scene, authority, secure(world, authority, "wide", ["*.example.org"]), "*.example.org")
    assert visit(scene, authority, "www.example.org")[0] == "wide"
    done = s_client(scene.tls_port, "api.example.org", "-showcerts")
    assert "wide" not in done.stdout and "localhost" in done.stdout, done.stdout
