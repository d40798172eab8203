"""A9 to A12: threshold's automation, unchanged, on a management address that wants a
certificate."""

import json
import signal
import socket
import subprocess
import threading
import time

import pytest

from api_client import Api
from karez import PATIENCE, free_port, wait_until
from proxy_header import read_v1
from raw_servers import RawTarget, named
from servers import Target
from tunnel_scene import refuses, tcp, wait_open, wait_refused
from visitor import Broken, Visitor, fetch

JSON = "application/json"


class Threshold:
    """A server for agents and automation with certificates of one account, *@example.org."""

    def __init__(self, world, authority, *options):
        self.world, self.authority = world, authority
        self.clear, self.manage = free_port(), free_port()
        self.server = world.server(
            "--listen", f"127.0.0.1:{self.clear}", "--agent-ca", authority.ca, "--tcp-bind",
            "127.0.0.1,::1", "--manage-listen", f"127.0.0.1:{self.manage}", "--unproven-domains",
            *options, tls=authority.localhost)
        file = self.server.state / "admin-token"
        wait_until(file.exists, 5, "the administrator's token is written")
        self.admin = Api(self.clear, file.read_text().strip(), "localhost", world.plant)
        made = self.admin.as_(None).post("/v1/account", {}).want(201).json()
        self.api = self.admin.as_(made["token"])
        for subject in ("*@example.org", "manager"):
            self.admin.post(f"/v1/admin/accounts/{made['id']}/credentials",
                            {"type": "certificate", "name": subject, "subject": subject}).want(201)
        self.manager = authority.client("manager")

    # ---- agents ----

    def agent(self, client, *options, cert=None, wait=True, **services):
        cert = cert or self.authority.client(f"{client}@example.org")
        given = [a for n, t in services.items() for a in ("--services", f"{n}=127.0.0.1:{t.port}")]
        agent = self.world.agent_unchecked(
            self.server, None, *given, "--ca-file", self.authority.ca, "--cert", cert.cert, "--key",
            cert.key, *options, command=("serve",), config=f"agent-{client}-{time.monotonic_ns()}")
        if wait:
            self.wait_state(client, "ClientConnected", agent)
            wait_until(lambda: self.n_sessions(client) == 2, 10, "both sessions are there")
            agent.base_files = agent.n_files()
        return agent

    def refused(self, client, cert, *options):
        agent = self.agent(client, *options, cert=cert, wait=False, x=Port(free_port()))
        assert agent.wait(10) == 1, agent.text()
        assert not agent.said("out")
        return agent.text("err")

    def n_sessions(self, client):
        agents = self.api.get("/v1/agents").want(200).json()["agents"]
        return sum(a["sessions"] for a in agents if a["id"] == client)

    def wait_state(self, client, state, agent=None):
        def there():
            assert agent is None or agent.alive(), agent.text()
            return self.get("/clients")[1].get(client, {}).get("CurrentState") == state
        wait_until(there, 10, f"{client} is {state}")

    # ---- curl ----

    def curl(self, method, path, *more, cert=True):
        """(status, body as text, head as text); status 0: there was no answer."""
        argv = ["curl", "-sS", "-i", "--noproxy", "*", "-m", "20", "-X", method, "--cacert",
                self.authority.ca, *more, f"https://localhost:{self.manage}{path}"]
        cert = self.manager if cert is True else cert
        argv += ["--cert", cert.cert, "--key", cert.key] if cert else []
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False,
                              timeout=30 * PATIENCE, env=self.world.env())
        if done.returncode != 0:
            return 0, done.stderr, ""
        head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
        return int(head.split()[1]), body, head

    def get(self, path):
        status, body, _ = self.curl("GET", path)
        assert status == 200, body
        return status, json.loads(body)

    def put(self, entries, status=200, kind=JSON):
        """The answer: a list when it is 200, else text."""
        body = entries if isinstance(entries, str) else json.dumps(entries)
        got, text, _ = self.curl("PUT", "/tunnels", "-H", f"Content-Type: {kind}", "-d", body)
        assert got == status, (got, text)
        return json.loads(text) if status == 200 else text.strip()


class Port:
    def __init__(self, port):
        self.port = port


@pytest.fixture
def rig(world, authority):
    return Threshold(world, authority)


@pytest.fixture
def target(world):
    """The test is the target."""
    made = world.closes(RawTarget())
    yield made
    made.close()  # no half of a connection is left when the world is looked at


def entry(port, service="fooService", client="TestClient1", **more):
    return {"ClientId": client, "ListenPort": port, "BackEndService": service,
            "HaProxyProxyProtocol": False, **more}


def line(port, address="127.0.0.1"):
    """The name of the target behind the port, "" when there is none."""
    try:
        with Visitor(port, address) as v:
            return v.until(b"\n").decode()
    except (OSError, Broken):
        return ""


# ---- A9: who is let in ----


def test_a9_a_good_certificate(world, rig):
    foo = world.closes(RawTarget(named("foo")))
    rig.agent("TestClient1", fooService=foo)
    assert rig.get("/clients")[1] == {"TestClient1": {"CurrentState": "ClientConnected",
                                                      "LastState": "ClientUnknown"}}


def test_a9_states_of_a_client(world, rig):
    foo = world.closes(RawTarget(named("foo")))
    agent = rig.agent("TestClient1", fooService=foo)
    assert agent.stop() == 0
    rig.wait_state("TestClient1", "ClientDisconnected")
    assert rig.get("/clients")[1]["TestClient1"]["LastState"] == "ClientConnected"
    rig.agent("TestClient1", fooService=foo)
    assert rig.get("/clients")[1]["TestClient1"] == {"CurrentState": "ClientConnected",
                                                     "LastState": "ClientDisconnected"}


def test_a9_bad_certificates_are_refused_on_both_sides(authority, rig):
    for cert, agent_words, server_words in (
            (authority.client("old@example.org", days=-1), "expired", "expired"),
            (authority.client("alien@example.org", ca="other"), "unknown CA", "another CA")):
        mark = rig.server.mark()
        said = rig.refused("x", cert)
        assert agent_words in said and str(cert.cert) in said, said
        rig.server.wait_line(rf"{cert.cert.stem}.*{server_words}", 5, since=mark)


def test_a9_another_common_name(authority, rig):
    cert = authority.client("TestClient2@example.org")
    mark = rig.server.mark()
    said = rig.refused("TestClient1", cert, "--agent", "TestClient1")
    assert "TestClient1" in said and "TestClient2" in said, said
    rig.server.wait_line(r"TestClient2.*TestClient1|TestClient1.*TestClient2", 5, since=mark)
    mark = rig.server.mark()
    said = rig.refused("x", authority.client("TestClient1@example.com"))
    assert "TestClient1@example.com" in said, said
    rig.server.wait_line(r"TestClient1@example\.com", 5, since=mark)


def test_a9_management_needs_a_certificate(authority, rig):
    assert rig.curl("GET", "/clients", cert=None)[0] == 0
    for cert in (authority.client("older", days=-1), authority.client("stranger", ca="other")):
        assert rig.curl("GET", "/clients", cert=cert)[0] == 0
    status, body, _ = rig.curl("GET", "/clients", cert=authority.client("unknown"))
    assert status in (401, 403) and "unknown" in body, body


# ---- A10 ----


def test_a10_put_tunnels(rig, target):
    rig.agent("TestClient1", fooService=target)
    port = free_port()
    wanted = [{"ClientId": "TestClient1", "ListenPort": port, "BackEndService": "fooService",
               "HaProxyProxyProtocol": True}]
    assert rig.put(wanted) == wanted
    for address, family in (("127.0.0.1", "TCP4"), ("::1", "TCP6")):
        with Visitor(port, address) as v:
            v.send(b"then the bytes")
            own = v.sock.getsockname()[1]
            want = f"PROXY {family} {address} {address} {own} {port}\r\nthen the bytes".encode()
            assert target.take().exactly(len(want)) == want
    wanted[0]["HaProxyProxyProtocol"] = False
    rig.put(wanted)
    with Visitor(port) as v:
        v.send(b"only the bytes")
        assert target.take().exactly(14) == b"only the bytes"


@pytest.mark.parametrize("year", [2018, 2020, 2021])
def test_a10_field_names_of_all_years(world, rig, year):
    target = world.closes(RawTarget(named("it")))
    port = free_port()
    service = f"port{target.port}" if year == 2018 else "fooService"
    rig.agent("TestClient1", **{service: target})
    wanted = {2018: {"ClientIdentifier": "TestClient1", "FrontEndListenPort": port,
                     "BackEndPort": target.port, "HaProxyProxyProtocol": False},
              2020: {"ClientIdentifier": "TestClient1", "ListenPort": port,
                     "ListenAddress": "127.0.0.1", "ListenHostnameGlob": "*",
                     "BackEndService": "fooService", "HaProxyProxyProtocol": False},
              2021: {"ClientId": "TestClient1", "ListenPort": port, "ListenAddress": "::",
                     "ListenHostnameGlob": "*", "BackEndService": "fooService",
                     "HaProxyProxyProtocol": False}}[year]
    assert rig.put([wanted]) == [wanted]
    assert line(port, "::1" if year == 2021 else "127.0.0.1") == "it"
    assert len(rig.get("/tunnels")[1]) == 1


def test_a10_a_client_that_is_away(world, rig):
    """As threshold since 2021: its tunnels wait for it."""
    foo = world.closes(RawTarget(named("foo")))
    agent = rig.agent("TestClient1", fooService=foo)
    assert agent.stop() == 0
    rig.wait_state("TestClient1", "ClientDisconnected")
    port = free_port()
    rig.put([entry(port)])
    assert refuses(port)
    rig.agent("TestClient1", fooService=foo)
    wait_open(port)
    assert line(port) == "foo"


def test_sni_by_a_glob(world, authority, rig):
    cert = authority.client("glob", names="DNS:*.a.example")
    target = world.closes(RawTarget(named("glob"), tls=cert.server_context()))
    rig.agent("TestClient1", fooService=target)
    rig.put([entry(rig.server.port, ListenHostnameGlob="*.a.example")])
    with Visitor(rig.server.port, tls=authority.client_context(), name="q.a.example") as v:
        assert v.until(b"\n") == b"glob"
    said = rig.put([entry(free_port(), ListenHostnameGlob="*.a.example")], 400)
    assert str(rig.server.port) in said, said
    with Visitor(rig.server.port, tls=authority.client_context(), name="q.a.example") as v:
        assert v.until(b"\n") == b"glob"


# ---- A11: what is refused, and that nothing changes then ----


def test_a11_statuses_and_texts(world, rig):
    foo = world.closes(RawTarget(named("foo")))
    rig.agent("TestClient1", fooService=foo)
    port, other = free_port(), free_port()
    kept = [entry(port)]
    assert rig.put(kept) == kept
    before = rig.get("/tunnels")[1]
    with socket.create_server(("127.0.0.1", free_port())) as taken, \
            Visitor(port) as v:
        assert v.until(b"\n") == b"foo"
        conflict = taken.getsockname()[1]
        cases = [
            ("it is text", kept, "text/plain", 415,
             "415 Unsupported Media Type: Content-Type must be application/json"),
            ("broken", "[{", JSON, 422, "422 Unprocessable Entity: Can't Parse JSON"),
            ("no list", '{"ListenPort": 9000}', JSON, 422,
             "422 Unprocessable Entity: Can't Parse JSON"),
            ("a client that never was", [entry(other), entry(port, client="Nobody")], JSON, 404,
             "Client Nobody Not Found"),
            ("a bad address", [entry(other), entry(port, ListenAddress="nowhere")], JSON, 400,
             'Bad Request: "nowhere" is not an IP address.'),
            ("a port in use", [entry(other), entry(conflict)], JSON, 409,
             f"Port Conflict Port {conflict} already in use"),
            ("a port twice", [entry(other), entry(other)], JSON, 409,
             f"Port Conflict Port {other} already in use"),
        ]
        for why, body, kind, status, text in cases:
            assert rig.put(body, status, kind) == text, why
            assert rig.get("/tunnels")[1] == before, why
            assert refuses(other), why
            assert line(port) == "foo", why
        v.send(b"still there")
        v.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            v.sock.recv(1)


def test_a11_paths_and_methods(rig):
    status, body, _ = rig.curl("GET", "/ping")
    assert (status, body.strip()) == (200, "pong")
    for method, path, allow in (("POST", "/tunnels", "PUT"), ("DELETE", "/clients", "GET"),
                                ("PUT", "/ping", "GET")):
        status, _, head = rig.curl(method, path, "-H", f"Content-Type: {JSON}", "-d", "[]")
        assert status == 405 and allow in head.lower().split("allow:")[1].split("\n")[0].upper()
    for path in ("/", "/nothing", "/tunnels/x", "/client"):
        assert rig.curl("GET", path)[0] == 404
    status, body, _ = rig.curl("GET", "/v1/account")
    assert status == 200 and "id" in json.loads(body)
    assert rig.put([]) == []


def test_a11_only_on_the_management_address(authority, rig):
    for path in ("/clients", "/tunnels"):
        answer = fetch(rig.server.port, f"localhost:{rig.server.port}", path,
                       tls=authority.client_context())
        assert answer.status == 404


def test_a11_the_same_list_twice_keeps_connections(rig, target):
    rig.agent("TestClient1", fooService=target, barService=target)
    one, two, three = free_port(), free_port(), free_port()
    rig.put([entry(one), entry(two)])
    with Visitor(one) as v, target.take() as peer, Visitor(two) as gone:
        gone_peer = target.take()
        rig.put([entry(one), entry(two)])
        rig.put([entry(three, "barService"), entry(one)])
        assert refuses(two), "a removed entry refuses at once"
        assert gone.ended() and gone_peer.ended()
        gone_peer.close()
        rig.put([entry(one)])
        v.send(b"alive")
        assert peer.exactly(5) == b"alive"
        peer.send(b"too")
        assert v.exactly(3) == b"too"
    with socket.create_server(("127.0.0.1", two)):
        pass


def test_a11_other_tunnels_of_the_account_stay(world, rig):
    web, foo = world.closes(Target("web")), world.closes(RawTarget(named("foo")))
    rig.api.tunnel("web")
    bert = rig.admin.as_(rig.admin.as_(None).post("/v1/account", {}).json()["token"])
    berts = free_port()
    bert.tunnel("berts", **tcp(berts))
    agent = world.agent_unchecked(None, str(web.port), "--name", "web", command=("http",),
                                  url=f"http://127.0.0.1:{rig.clear}", config="web",
                                  env={"KAREZ_TOKEN": rig.api.credential})
    agent.server = rig.server
    agent.wait_online()
    rig.agent("TestClient1", fooService=foo)
    rig.put([entry(free_port())])
    rig.put([])
    rig.api.get("/v1/tunnels/web").want(200)
    bert.get("/v1/tunnels/berts").want(200)
    assert fetch(rig.clear, "web.localhost").text() == "hello from web\n"
    assert rig.put([entry(berts)], 409) == f"Port Conflict Port {berts} already in use"


def test_many_entries(world, rig):
    foo = world.closes(RawTarget(named("foo")))
    rig.agent("TestClient1", fooService=foo)
    ports = [free_port() for _ in range(60)]
    assert len(set(ports)) == 60
    rig.server.kept_files = 2 * len(ports)
    wanted = [entry(p) for p in ports]
    assert rig.put(wanted) == wanted
    for port in ports[::20]:
        wait_open(port)
        assert line(port) == "foo"
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        conflict = taken.getsockname()[1]
        bad = [entry(free_port()) for _ in range(30)] + [entry(conflict)]
        assert rig.put(bad, 409) == f"Port Conflict Port {conflict} already in use"
        assert all(refuses(e["ListenPort"]) for e in bad[:-1])
    assert line(ports[0]) == "foo"
    assert rig.put([]) == []
    assert all(refuses(p) for p in ports)
    rig.server.kept_files = 0


# ---- A12: another client ----


def stream(peer, stop):
    """1 MB/s, in pieces of 10 ms."""
    try:
        while not stop.wait(0.01):
            peer.send(b"s" * 10000)
    except OSError:
        pass


def is_over(v):
    try:
        v.exactly(10000)
        return False
    except (Broken, ConnectionResetError):
        return True


def test_a12_a_moved_entry(world, rig, target):
    rig.agent("A", fooService=target)
    agent_b = rig.agent("B", fooService=world.closes(RawTarget(named("b"))))
    port = free_port()
    rig.put([entry(port, client="A")])
    stop = threading.Event()
    with Visitor(port) as v:
        peer = target.take()
        thread = threading.Thread(target=stream, args=(peer, stop))
        thread.start()
        v.exactly(200000)
        rig.put([entry(port, client="B")])
        assert line(port) == "b", "new connections reach B at once"
        v.exactly(1000000)  # and A's goes on while it drains ...
        rig.put([])
        wait_until(lambda: is_over(v), 10, "a removed entry ends all its visitors")
        stop.set()
        thread.join(5)
    assert target.connections == 1
    rig.put([entry(port, client="B")])
    wait_open(port)
    assert agent_b.stop() == 0
    wait_refused(port)
    rig.put([entry(port, client="A")])
    wait_open(port)


def test_a12_the_drain_of_a_moved_entry_ends(world, rig, target):
    """What the list cannot say is usual: 30 s; so here it is said by the API."""
    rig.agent("A", fooService=target)
    rig.agent("B", fooService=world.closes(RawTarget(named("b"))))
    port = free_port()
    rig.put([entry(port, client="A")])
    path = f"/v1/tunnels/{rig.api.pages('/v1/tunnels')[0]['name']}"
    stop = threading.Event()
    with Visitor(port) as v:
        thread = threading.Thread(target=stream, args=(target.take(), stop))
        thread.start()
        rig.api.patch(path, {"transport": {"agents": ["B"], "drain": 1}}).want(200)
        assert line(port) == "b"
        v.exactly(300000)
        wait_until(lambda: is_over(v), 10, "the drain is over")
        stop.set()
        thread.join(5)


def test_a12_back_and_forth_under_load(world, rig):
    a, b = world.closes(RawTarget(named("a"))), world.closes(RawTarget(named("b")))
    rig.agent("A", fooService=a)
    rig.agent("B", fooService=b)
    port = free_port()
    rig.put([entry(port, client="A")])
    seen, stop = [], threading.Event()

    def visit():
        while not stop.is_set():
            seen.append(line(port))

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(10):
        client = "BA"[i % 2]
        rig.put([entry(port, client=client)])
        assert line(port) == client.lower()
    stop.set()
    for thread in threads:
        thread.join(15)
        assert not thread.is_alive()
    assert set(seen) == {"a", "b"}, "no visitor was refused"


# ---- services ----


def test_an_unknown_service_is_refused_and_logged_on_both_sides(world, rig):
    foo = world.closes(RawTarget(named("foo")))
    agent = rig.agent("TestClient1", fooService=foo)
    port = free_port()
    rig.put([entry(port, "nosuchService")])
    mark, server_mark = agent.mark(), rig.server.mark()
    assert line(port) == ""
    agent.wait_line("nosuchService", 5, since=mark)
    rig.server.wait_line("nosuchService|NOTFOUND|no such", 5, since=server_mark)
    rig.put([entry(port)])
    assert line(port) == "foo"


def test_the_list_outlives_the_server(world, authority, rig, target):
    rig.agent("TestClient1", fooService=target)
    port = free_port()
    rig.put([entry(port, HaProxyProxyProtocol=True)])
    rig.server.send_signal(signal.SIGKILL)
    rig.server.wait()
    again = world.server(
        "--listen", f"127.0.0.1:{rig.clear}", "--agent-ca", authority.ca, "--tcp-bind",
        "127.0.0.1,::1", "--manage-listen", f"127.0.0.1:{rig.manage}", tls=authority.localhost,
        port=rig.server.port)
    for agent in world.agents:
        agent.server = again
    wait_until(lambda: not refuses(port), 20, "the port is open again")
    assert read_v1(target.take()).dst == ("127.0.0.1", port)
