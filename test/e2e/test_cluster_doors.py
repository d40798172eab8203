"""All that a visitor of one node can be, or meet, is the same when the session is at another."""

import asyncio
import base64
import json
import ssl

import pytest
import websockets

import proxy_header as pp
from cluster_scene import Cluster
from dns_server import DnsServer
from hello import context, hello
from karez import free_port, wait_until
from raw_servers import RawTarget, echo, named
from servers import Target, WebSocketTarget, fields_of
from ssh_scene import SshScene, echoed, events, forward_to
from tunnel_scene import wait_open
from visitor import Visitor, fetch

READ = {"v1": pp.read_v1, "v2": pp.read_v2}
PASSWORD = "open-sesame-7"


class Doors(Cluster):
    """Two nodes with TLS, that give ports of addresses of their own. Anna's agents are at .one,
    visitors at .two, which is ended first, so that .one need not wait for streams it has kept."""

    def __init__(self, world, authority, *options, **kw):
        super().__init__(world, 0, options=options, **kw)
        for i in (1, 2):
            self.add("--tcp-bind", f"127.0.0.{i}", doors=authority.localhost)
        self.wait_whole()
        self.two, self.one = self.nodes

    def agent(self, target, *options, kind="http", config="agent", **kw):
        # a single session stays where it is
        return self.world.agent(self.one, getattr(target, "port", target), *options,
                                command=(kind,), config=config, env=self.env(), sessions=1, **kw)

    def connected(self, name):
        """The node of the visitors has heard of it."""
        def there():
            tunnel = self.two.api(self.anna.credential).get(f"/v1/tunnels/{name}").want(200).json()
            return tunnel["connection"]["connections"] > 0
        wait_until(there, 5, f"{name} is served by a session of the other node")

    def host(self, name):
        return self.two.host(name)


@pytest.fixture
def doors(world, authority):
    return Doors(world, authority)


@pytest.fixture
def web(world):
    return world.closes(Target("web"))


@pytest.fixture
def target(world):
    """The test is the target."""
    made = world.closes(RawTarget())
    yield made
    made.close()


def own(visitor):
    return visitor.sock.getsockname()[:2]


# ---- HTTP ----


def test_a_websocket(world, doors):
    target = world.closes(WebSocketTarget())
    doors.agent(target, "--name", "chat")
    doors.connected("chat")

    async def talk():
        url = f"ws://{doors.host('chat')}/room"
        async with websockets.connect(url, host="127.0.0.1", port=doors.two.port) as ws:
            fields = dict(json.loads(await ws.recv()))
            assert fields["X-Forwarded-For"] == "127.0.0.1", fields
            for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
                await ws.send(b"x" * size)
                assert len(await ws.recv()) == size
    asyncio.run(talk())


def test_an_upgrade(doors, web):
    doors.agent(web, "--name", "web")
    doors.connected("web")
    with Visitor(doors.two.port) as v:
        v.ask(doors.host("web"), "/upgrade",
              fields=[("Connection", "Upgrade"), ("Upgrade", "echo")])
        assert v.answer().status == 101
        assert v.until(b";") == b"early from target"
        v.send(b"more")
        assert v.exactly(4) == b"more"
        v.sock.shutdown(1)
        assert v.to_end() == b"bye"


@pytest.mark.parametrize("door", ["clear", "tls"])
def test_who_asks_is_told_to_the_target(doors, web, door):
    doors.agent(web, "--name", "web")
    doors.connected("web")
    port = doors.two.port if door == "clear" else doors.two.tls_port
    scheme = "http" if door == "clear" else "https"
    answer = fetch(port, f"web.localhost:{port}", "/headers", source="127.0.0.50",
                   tls=None if door == "clear" else context(), name="web.localhost",
                   fields=[("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=6.6.6.6"),
                           ("X-Forwarded-Proto", "gopher")])
    fields = fields_of(answer)
    assert fields["x-forwarded-for"] == ["127.0.0.50"] == fields["x-real-ip"]
    assert fields["x-forwarded-proto"] == [scheme]
    assert fields["x-forwarded-host"] == [f"web.localhost:{port}"] == fields["host"]
    assert fields["x-forwarded-port"] == [str(port)]
    assert fields["forwarded"][0].startswith("for=127.0.0.50;") and len(fields["forwarded"]) == 1
    assert f"proto={scheme}" in fields["forwarded"][0]


def test_who_asks_through_a_load_balancer(doors, web):
    doors.agent(web, "--name", "web")
    doors.connected("web")
    for header in (pp.v1("192.0.2.7", "192.0.2.9", 4711, 443),
                   pp.v2("2001:db8::7", "2001:db8::9", 4711, 443)):
        with Visitor(doors.two.proxy_port, source="127.0.0.99") as v:
            v.send(header)
            fields = fields_of(v.get("web.localhost", "/headers"))
            assert fields["x-forwarded-for"][0] in ("192.0.2.7", "2001:db8::7")
    # another than the load balancer cannot say so
    fields = fields_of(fetch(doors.two.port, doors.host("web"), "/headers", source="127.0.0.51",
                             fields=[("X-Forwarded-For", "192.0.2.66")]))
    assert fields["x-forwarded-for"] == ["127.0.0.51"]


def test_a_password_and_a_list_of_addresses(world, doors, web):
    doors.agent(web, "--name", "web")
    doors.connected("web")
    world.plant(PASSWORD)
    good = "Basic " + base64.b64encode(f"eve:{PASSWORD}".encode()).decode()

    def status(source="127.0.0.1", fields=()):
        return fetch(doors.two.port, doors.host("web"), source=source, fields=fields).status

    # said to the node that has the session: the others hear of it at once, and not in 10 s
    doors.anna.patch("/v1/tunnels/web", {"visitors": {
        "basic": [{"user": "eve", "password": PASSWORD}], "allow": []}}).want(200)
    wait_until(lambda: status() == 401, 2, "a password is wanted")
    arrived = len(web.requests)
    assert status(fields=[("Authorization", "Basic ZXZlOng=")]) == 401
    assert len(web.requests) == arrived
    assert status(fields=[("Authorization", good)]) == 200
    doors.anna.patch("/v1/tunnels/web", {"visitors": {"basic": [],
                                                      "allow": ["127.0.0.2"]}}).want(200)
    wait_until(lambda: status() == 403, 2, "only one address is let in")
    assert status(source="127.0.0.2") == 200 and status(source="127.0.0.3") == 403


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_http_targets_that_want_a_proxy_header(doors, target, version):
    doors.agent(target, "--name", "web", "--proxy-protocol", version)
    doors.connected("web")
    for source in ("127.0.0.5", "127.0.0.6"):
        with Visitor(doors.two.tls_port, source=source, tls=context(), name="web.localhost") as v:
            v.ask(f"web.localhost:{doors.two.tls_port}", "/")
            peer = target.take()
            header = READ[version](peer)
            assert header.src == own(v) and header.dst == ("127.0.0.1", doors.two.tls_port)
            assert version == "v1" or pp.tls_of(header)[0] & 1, "it came by TLS"
            assert f"x-forwarded-for: {source}" in peer.until(b"\r\n\r\n").decode().lower()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert v.answer().body == b"ok"


# ---- names ----


def test_a_custom_domain_over_tls(world, authority):
    dns = world.closes(DnsServer())
    doors = Doors(world, authority, "--resolver", dns.address)
    doors.agent(world.closes(Target("mine")), "--name", "demo")
    doors.connected("demo")
    host = "app.example.org"

    def page():
        try:
            return fetch(doors.two.tls_port, host, tls=context(), name=host).text()
        except ssl.SSLError as e:
            assert "UNRECOGNIZED_NAME" in str(e)
            return None

    assert page() is None
    dns.set(host, "CNAME", "demo.localhost")
    doors.anna.patch("/v1/tunnels/demo",
                     {"ingress": {"http": {"alt_names": [host]}}}).want(200)
    assert wait_until(page, 2, "the other node knows it, too") == "hello from mine\n"
    # nobody else gets it, wherever he asks
    bert = doors.two.account("Bert")
    bert.tunnel("his")
    bert.patch("/v1/tunnels/his", {"ingress": {"http": {"alt_names": [host]}}}).want(400, 409)
    assert page() == "hello from mine\n"
    doors.anna.patch("/v1/tunnels/demo", {"ingress": {"http": {"alt_names": []}}}).want(200)
    wait_until(lambda: page() is None, 2, "the other node has forgotten it")


def test_tls_that_passes_through(world, authority):
    doors = Doors(world, authority, "--unproven-domains")
    cert = authority.client("inside", names="DNS:x.a.example")
    target = world.closes(RawTarget(named("inside"), tls=cert.server_context()))
    doors.agent(target, "--domain", "x.a.example", kind="tls", config="x")

    def visit():
        with Visitor(doors.two.tls_port, tls=authority.client_context(), name="x.a.example") as v:
            return v.until(b"\n")

    def known():
        try:
            return visit()
        except OSError:  # an alert: nobody has such a name
            return None
    assert wait_until(known, 5, "the other node knows it") == b"inside"
    assert visit() == b"inside"


def test_tls_that_passes_through_byte_by_byte(world, authority, target):
    doors = Doors(world, authority, "--unproven-domains")
    doors.agent(target, "--domain", "x.a.example", "--proxy-protocol", "v2", kind="tls",
                config="x")
    doors.connected(doors.anna.pages("/v1/tunnels")[0]["name"])
    sent = hello("x.a.example", ["h2", "http/1.1"])
    with Visitor(doors.two.tls_port, source="127.0.0.8") as v:
        for i in range(0, len(sent), 7):
            v.send(sent[i:i + 7])
        peer = target.take()
        header = pp.read_v2(peer)
        assert header.src == own(v) and header.dst == ("127.0.0.1", doors.two.tls_port)
        assert header.tlvs[pp.AUTHORITY] == b"x.a.example" and pp.tls_of(header) is None
        assert peer.exactly(len(sent)) == sent
        peer.send(b"anything")
        assert v.exactly(8) == b"anything"
        v.sock.shutdown(1)
        assert peer.to_end() == b""


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_tls_that_ends_at_the_other_node(doors, target, version):
    doors.agent(target, "--name", "x", "--tls", "end", "--proxy-protocol", version, kind="tls")
    doors.connected("x")
    with Visitor(doors.two.tls_port, source="127.0.0.9", tls=context(), name="x.localhost") as v:
        v.send(b"inside")
        peer = target.take()
        header = READ[version](peer)
        assert header.src == own(v) and header.dst == ("127.0.0.1", doors.two.tls_port)
        assert peer.exactly(6) == b"inside"
        if version == "v2":
            assert header.tlvs[pp.AUTHORITY] == b"x.localhost"
            flags, _, subs = pp.tls_of(header)
            assert flags & 1 and subs[pp.SSL_VERSION] == v.sock.version().encode()


# ---- SSH ----


class SshAt(SshScene):
    """Stock clients of a node that is there already, by Anna's key."""

    def __init__(self, cluster, node):
        self.world, self.server, self.anna = cluster.world, node, node.api(cluster.anna.credential)
        self.ssh_port, self.n_keys = node.ssh_port, 0
        self.key = self.new_key()
        self.upload(self.key)
        self.known_hosts = self.world.path / f"known_hosts.{self.ssh_port}"
        self.learn()


@pytest.fixture
def shells(world):
    """Two nodes with a door for ssh; .at: clients of each."""
    cluster = Cluster(world, 0)
    for i in (1, 2):
        port = free_port()
        node = cluster.add("--ssh-listen", f"127.0.0.1:{port}", "--tcp-bind", f"127.0.0.{i}")
        node.ssh_port = port
        node.wait_line("event=listen.* ssh=1", 30)
    cluster.wait_whole()
    cluster.at = [SshAt(cluster, node) for node in cluster.nodes]
    return cluster


def test_ssh_at_one_node_and_visitors_at_the_other(world, shells, web):
    here, there = shells.at
    here.session(forward_to(web, "demo:80"))
    shells.wait_served(shells.nodes[0].host("demo"))
    answer = fetch(shells.nodes[1].port, shells.nodes[1].host("demo"), "/headers")
    assert fields_of(answer)["x-forwarded-for"] == ["127.0.0.1"]
    assert len(fetch(shells.nodes[1].port, shells.nodes[1].host("demo"),
                     f"/down/{8 << 20}").body) == 8 << 20
    # a key that was uploaded at one node is good at the other
    line = there.argv("-R", forward_to(web, "more:80"), key=here.key, words=["json"])
    proc = world.guest("ssh", line)
    wait_until(lambda: events(proc, "forward"), 10, "it is let in")


def test_a_port_by_ssh_is_open_at_both_nodes(world, shells):
    target = world.closes(RawTarget(echo))
    port = shells.at[0].quiet(forward_to(target, "*:0")).ports[0]
    for node in shells.nodes:
        node.kept_files += 1
    for address in ("127.0.0.1", "127.0.0.2"):
        wait_open(port, address)
        assert echoed(port, address)


def test_a19_four_ssh_sessions_where_there_may_be_two(shells, web):
    """One after the other, at the nodes in turn; who is too much hears why, and may come later."""
    shells.nodes[0].api(shells.anna.credential).post("/v1/tunnels", {
        "name": "demo", "transport": {"max_connections": 2}}).want(201)

    def comes(i):
        proc = shells.at[i % 2].ssh("-R", forward_to(web, "demo:80"),
                                    words=["json", f"agent=a{i}"])
        wait_until(lambda: events(proc), 15, "it is answered")
        return proc

    def counted(n):
        def there():
            return all(scene.anna.get("/v1/tunnels/demo").want(200).json()["connection"]
                       ["connections"] == n for scene in shells.at)
        wait_until(there, 5, f"both nodes know of {n}")

    first = comes(0)
    counted(1)
    assert events(comes(1), "forward")
    counted(2)
    for i in (2, 3):
        late = comes(i)
        assert "2" in events(late, "refused")[0]["reason"], late.text()
        late.wait_line("remote port forwarding failed", 5, "err")
    shells.wait_served(shells.nodes[0].host("demo"))
    first.kill()
    counted(1)
    assert events(comes(4), "forward"), "there is room again"
    assert all(node.alive() for node in shells.nodes)
