"""From an agent to its server: through proxies, past boxes that cut connections, and to a server that
is known by its key."""

import base64
import hashlib
import itertools
import shutil
import signal
import subprocess

import pytest

from certs import Cert
from karez import BUILD, PATIENCE, wait_until
from proxies import StubProxy, Tinyproxy, nobody, with_tls
from servers import Target, digest_of
from visitor import Visitor, fetch

LOGIN = "Aladdin:open%20sesame"


@pytest.fixture
def target(world):
    return world.closes(Target())


people = itertools.count()


def command(world, server, *args, env=None, url=None):
    """A command of the API's, by somebody new."""
    home = world.dir(f"person{next(people)}")
    done = subprocess.run([BUILD / "karez", *map(str, args), "--server", url or server.url],
                          env=world.env(KAREZ_CONFIG_DIR=home, **(env or {})),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=40 * PATIENCE, check=False)
    for text in (done.stdout, done.stderr):
        assert "Sanitizer" not in text and "runtime error:" not in text, text
    return done


def account(world, server, *args, **kw):
    return command(world, server, "account", "create", *args, **kw)


def refused(world, server, target, *options, code=1, **kw):
    """An agent that ends by itself; returns what it said."""
    agent = world.agent_unchecked(server, target.port, *options, **kw)
    assert agent.wait(25) == code, agent.text()
    assert not agent.said("out"), agent.text()
    return agent.text("err")


# ---- proxies ----

@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_agent_and_a_command_through_a_proxy(world, authority, target, scheme):
    server = world.server(tls=authority.localhost if scheme == "https" else None,
                          domain="tunnels.localhost")
    trust = ["--ca-file", authority.ca] if scheme == "https" else []
    proxy = Tinyproxy(world)
    agent = world.agent(server, target.port, "--proxy", proxy.url, *trust)
    tls = authority.client_context() if scheme == "https" else None
    assert fetch(server.port, agent.host, tls=tls).status == 200
    wait_until(lambda: len(proxy.asked()) == 2, 5, "both sessions go through the proxy")
    done = account(world, server, "--proxy", proxy.url, *trust)
    assert done.returncode == 0, done.stderr
    host = server.url.partition("://")[2]
    wait_until(lambda: proxy.asked() == [host] * 3, 5, "nothing else went through the proxy")


def test_what_variables_say(world, target):
    server = world.server()
    proxy, dead = world.closes(StubProxy()), nobody()
    cases = [
        ("the scheme's", {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": dead}, [], True),
        ("lower case wins", {"HTTP_PROXY": dead, "http_proxy": proxy.url}, [], True),
        ("all", {"ALL_PROXY": proxy.url, "HTTPS_PROXY": dead}, [], True),
        ("without a scheme", {"http_proxy": f"127.0.0.1:{proxy.port}"}, [], True),
        ("an empty one is none", {"http_proxy": "", "all_proxy": proxy.url}, [], True),
        ("ours counts more", {"http_proxy": dead, "KAREZ_PROXY": proxy.url}, [], True),
        ("an option counts most", {"KAREZ_PROXY": dead}, ["--proxy", proxy.url], True),
        ("whatever no_proxy says", {"NO_PROXY": "*"}, ["--proxy", proxy.url], True),
        ("no proxy for its address", {"http_proxy": dead, "NO_PROXY": "x.org,127.0.0.0/8"}, [],
         False),
        ("no proxy for its port", {"http_proxy": dead, "no_proxy": f"127.0.0.1:{server.port}"}, [],
         False),
        ("none at all", {"http_proxy": dead, "ALL_PROXY": dead}, ["--proxy", "none"], False),
        ("another scheme's", {"HTTPS_PROXY": dead}, [], False),
    ]
    for number, (why, env, options, proxied) in enumerate(cases):
        seen = len(proxy.heads)
        agent = world.agent(server, target.port, *options, env=env, sessions=1,
                            config=f"config{number}")
        assert (len(proxy.heads) > seen) == proxied, why
        seen = len(proxy.heads)
        done = account(world, server, *options, env=env)
        assert done.returncode == 0, (why, done.stderr)
        assert (len(proxy.heads) > seen) == proxied, why
        agent.stop()


def test_a_proxy_that_wants_a_password(world, target):
    world.plant("open sesame", "open%20sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ", "wrong-one")
    server = world.server()
    proxy = Tinyproxy(world, login="Aladdin opensesame")
    tiny = f"127.0.0.1:{proxy.port}"
    for run in (lambda *a: refused(world, server, target, *a),
                lambda *a: account(world, server, *a).stderr):
        said = run("--proxy", proxy.url)
        assert (f"the proxy http://{tiny} wants a user name and password: give --proxy "
                f"http://user:password@{tiny}") in said, said
        said = run("--proxy", f"http://Aladdin:wrong-one@{tiny}")
        assert f"the proxy http://{tiny} does not accept the user name and password" in said, said
    login = {"KAREZ_PROXY": f"http://Aladdin:opensesame@{tiny}"}
    agent = world.agent(server, target.port, env=login)
    assert fetch(server.port, agent.host).status == 200
    assert account(world, server, env=login).returncode == 0
    shown = command(world, server, "account", "--show-config", env=login).stdout
    assert "proxy" in shown and "opensesame" not in shown, shown


def test_a_password_with_characters_that_are_encoded(world, target):
    world.plant("open sesame", "open%20sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ")
    server = world.server()
    proxy = world.closes(StubProxy())
    url = proxy.url.replace("://", f"://{LOGIN}@")
    world.agent(server, target.port, "--proxy", url, sessions=1)
    assert account(world, server, "--proxy", url).returncode == 0
    wanted = base64.b64encode(b"Aladdin:open sesame").decode()
    assert len(proxy.heads) == 2
    for head in proxy.heads:
        assert f"\r\nProxy-Authorization: Basic {wanted}\r\n" in head, head


SAYS = {
    "403": ("HTTP/1.1 403 Filtered\r\nContent-Length: 3\r\n\r\nno\n", False,
            'does not let us through to 127.0.0.1:{port}: it says "403 Filtered"'),
    "502": ("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n", False,
            'cannot connect to 127.0.0.1:{port}: it says "502 Bad Gateway"'),
    "garbage": ("\x00\x01 this is no HTTP\r\n\r\n", True, "does not answer as an HTTP proxy does"),
    "nothing": ("", False, "has closed the connection without an answer"),
    "silence": ("", True, "has not answered for 15 s"),
    "half a head": ("HTTP/1.1 200 Connection est", False,
                    "has closed the connection in the middle of its answer"),
    "a web page": ("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n", False,
                   'it says "302 Found"'),
}


@pytest.mark.parametrize("what", SAYS)
def test_proxies_that_answer_otherwise(world, target, what):
    says, keep, words = SAYS[what]
    server = world.server()
    proxy = world.closes(StubProxy(says=says, keep=keep))
    said = refused(world, server, target, "--proxy", proxy.url)
    assert f"no connection to {server.url}: the proxy {proxy.url} " in said, said
    assert words.format(port=server.port) in said, said
    if what != "silence":
        done = account(world, server, "--proxy", proxy.url)
        assert done.returncode == 1 and proxy.url in done.stderr, done.stderr


def test_proxies_that_cannot_be_used(world, target):
    world.plant("hush")
    server = world.server()
    said = refused(world, server, target, "--proxy", nobody())
    assert "the proxy http://127.0.0.1:" in said and "cannot be reached: connection refused" in said
    for value in ("socks5://u:hush@127.0.0.1:1080", "http://u:hush%@x:1", "http://x/path", ""):
        said = refused(world, server, target, "--proxy", value, code=2)
        assert "--proxy" in said, said
        done = account(world, server, env={"KAREZ_PROXY": value or "http://"})
        assert done.returncode == 2 and "KAREZ_PROXY" in done.stderr, done.stderr
    env = {"ALL_PROXY": "socks5h://u:hush@127.0.0.1:1080"}
    for said in (refused(world, server, target, env=env), account(world, server, env=env).stderr):
        assert "ALL_PROXY" in said and "only http:// and https:// proxies" in said, said
        assert "--proxy none" in said, said


def test_a_proxy_that_speaks_tls(world, authority, target):
    """TLS to the proxy, and TLS to the server inside of it."""
    server = world.server(tls=authority.localhost, domain="tunnels.localhost")
    url = with_tls(world, world.closes(StubProxy()), authority.localhost)
    options = ["--proxy", url, "--proxy-ca", authority.ca, "--ca-file", authority.ca]
    agent = world.agent(server, target.port, *options)
    context = authority.client_context()
    size = 6 << 20
    answer = fetch(server.port, agent.host, f"/down/{size}", tls=context, timeout=60)
    assert hashlib.sha256(answer.body).hexdigest() == digest_of(size)
    body = answer.body[:4 << 20]
    answer = fetch(server.port, agent.host, "/up", "POST", body=body, tls=context, timeout=60)
    assert answer.text() == hashlib.sha256(body).hexdigest()
    done = account(world, server, *options)
    assert done.returncode == 0, done.stderr
    said = refused(world, server, target, "--proxy", url, "--ca-file", authority.ca)
    assert f"the proxy {url} cannot be used: certificate is signed by an unknown" in said


def test_a_killed_proxy_and_a_reset_connection(world, target):
    server = world.server()
    proxy = Tinyproxy(world)
    agent = world.agent(server, target.port, "--proxy", proxy.url, sessions=1)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/gate")
        wait_until(lambda: target.waiting, 5, "the visitor waits for an answer")
        mark = agent.mark()
        proxy.proc.kill()
        agent.wait_line(r"the proxy http://127.0.0.1:\d+ cannot be reached", 10, "err", mark)
        target.gate.set()
    proxy.start()
    agent.wait_line("back again", 20, since=mark)
    assert fetch(server.port, agent.host).status == 200
    assert proxy.asked(), "it has come back another way"


# ---- boxes that cut connections ----

def test_a_box_that_cuts_what_is_idle(world, target):
    """Sessions are never silent for as long as this box waits, though nobody visits."""
    server = world.server()
    box = world.closes(StubProxy(idle=12))
    agent = world.agent(server, target.port, "--proxy", box.url)
    wait_until(lambda: len(box.heads) == 2, 5, "both sessions are up")
    with Visitor(server.port, timeout=40) as v:
        v.ask(agent.host, "/trickle/200")  # while it takes 20 s, the other session is idle
        assert len(v.answer().body) == 200000
    assert box.cuts == 0 and len(box.heads) == 2
    assert agent.count("lost the connection") == 0


def test_a_box_that_resets_in_the_middle(world, target):
    server = world.server()
    box = world.closes(StubProxy())
    agent = world.agent(server, target.port, "--proxy", box.url)
    wait_until(lambda: len(box.heads) == 2, 5, "both sessions are up")
    with Visitor(server.port) as v:
        v.ask(agent.host, "/trickle/50")
        v.head()
        mark = agent.mark()
        box.cut()
    agent.wait_line("back again", 20, since=mark)
    assert fetch(server.port, agent.host).status == 200


# ---- servers known by their keys ----

def key_of(cert):
    """As a person gets it who has only the openssl command."""
    key = subprocess.run(["openssl", "x509", "-in", cert, "-pubkey", "-noout"], check=True,
                         capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, check=True,
                         capture_output=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_a_server_that_is_known_by_its_key(world, authority, target):
    server = world.server(tls=authority.self_signed, domain="tunnels.localhost")
    shown = server.wait_line(r"^tls key (SHA256:\S+) \(tunnels\.localhost\)$", 5, "out").group(1)
    key, wrong = key_of(authority.self_signed.cert), key_of(authority.localhost.cert)
    assert shown == "SHA256:" + key.rstrip("=")
    right = [shown, f"sha256//{key}", f"SHA256:{wrong},{shown}"]
    for number, pins in enumerate(right):
        agent = world.agent(server, target.port, "--server-fingerprint", pins,
                            config=f"config{number}")
        assert agent.url.startswith("https://")
        done = account(world, server, "--server-fingerprint", pins)
        assert done.returncode == 0, done.stderr
        agent.stop()
    # nor does it count for which name the certificate is
    done = account(world, server, "--server-fingerprint", shown,
                   url=f"https://127.0.0.1:{server.port}")
    assert done.returncode == 0, done.stderr
    for pin in (f"SHA256:{wrong}", f"SHA256:{wrong},SHA256:{key_of(authority.ca)}"):
        for said in (refused(world, server, target, "--server-fingerprint", pin, "--wait"),
                     account(world, server, "--server-fingerprint", pin).stderr):
            assert f"its key is {shown}, and that is not in --server-fingerprint" in said, said


def test_a_server_that_gets_another_key(world, authority, target):
    """Agents that know both keys stay and come; the new one is told."""
    cert, key = world.path / "cert.pem", world.path / "key.pem"
    shutil.copy(authority.self_signed.cert, cert)
    shutil.copy(authority.self_signed.key, key)
    server = world.server(tls=Cert(cert, key), domain="tunnels.localhost")
    pins = ",".join("SHA256:" + key_of(c.cert)
                    for c in (authority.self_signed, authority.localhost))
    agent = world.agent(server, target.port, "--server-fingerprint", pins, sessions=1)
    mark = server.mark()
    shutil.copy(authority.localhost.cert, cert)
    shutil.copy(authority.localhost.key, key)
    server.popen.send_signal(signal.SIGHUP)
    shown = server.wait_line(r"^tls key (SHA256:\S+) ", 10, "out", mark).group(1)
    assert shown + "=" in pins
    assert fetch(server.port, agent.host, tls=authority.client_context()).status == 200
    agent.stop()
    world.agent(server, target.port, "--server-fingerprint", pins, sessions=1, config="later")


def test_a_key_counts_whoever_vouches_for_another(world, authority, target):
    server = world.server(tls=authority.localhost, domain="tunnels.localhost")
    pin = "SHA256:" + key_of(authority.self_signed.cert)
    env = {"SSL_CERT_FILE": authority.ca}
    world.agent(server, target.port, env=env).stop()
    assert "that is not in --server-fingerprint" in refused(
        world, server, target, "--server-fingerprint", pin, env=env)


def test_how_to_trust_a_private_server_is_said(world, authority, target):
    server = world.server(tls=authority.self_signed)
    key = key_of(authority.self_signed.cert).rstrip("=")
    for said in (refused(world, server, target), account(world, server).stderr):
        assert "--ca-file" in said and "--server-fingerprint" in said, said
        assert key not in said, "it may be that of somebody in between"


def test_fingerprints_that_are_none(world, authority, target):
    server = world.server(tls=authority.self_signed)
    good = "SHA256:" + key_of(authority.self_signed.cert)
    for pin in ("SHA256:abc", good + "x", "MD5:00", f"{good},x"):
        said = refused(world, server, target, "--server-fingerprint", pin, code=2)
        assert "--server-fingerprint" in said, said
    said = refused(world, server, target, "--server-fingerprint", good, "--ca-file", authority.ca,
                   code=2)
    assert "contradicts --ca-file" in said, said
    said = refused(world, None, target, "--server-fingerprint", good, url="http://127.0.0.1:1")
    assert "over https:// only" in said, said
