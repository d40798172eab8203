"""The PROXY protocol: from load balancers to us, from us to targets, and through both."""

import socket
import struct

import pytest

import proxy_header as pp
from haproxy import Haproxy
from hello import context, hello
from karez import free_port
from raw_servers import RawTarget
from servers import Target, fields_of
from tunnel_scene import Scene
from visitor import Visitor, fetch

READ = {"v1": pp.read_v1, "v2": pp.read_v2}


@pytest.fixture
def target(world):
    made = world.closes(RawTarget())
    yield made
    made.close()  # no half of a connection is left when the world is looked at


@pytest.fixture
def web(world):
    return world.closes(Target("web"))


def own(visitor):
    return visitor.sock.getsockname()[:2]


# ---- to the target ----


def test_a10_v1_is_the_first_line(world, target):
    scene = Scene(world, bind="127.0.0.1,::1")
    agent = scene.agent(target, "--proxy-protocol", "v1", "--port", free_port())
    for address, family in (("127.0.0.1", "TCP4"), ("::1", "TCP6")):
        with Visitor(agent.port, address) as v:
            v.send(b"hello")
            want = f"PROXY {family} {address} {address} {own(v)[1]} {agent.port}\r\nhello".encode()
            assert target.take().exactly(len(want)) == want
    with Visitor(agent.port, source="127.0.0.77") as v:  # it needs no byte of the visitor
        header = pp.read_v1(target.take())
        assert header.src == own(v) and header.src[0] == "127.0.0.77"
        assert header.dst == ("127.0.0.1", agent.port)


def test_v2_says_the_same_and_more(world, target):
    scene = Scene(world, bind="127.0.0.1,::1")
    agent = scene.agent(target, "--proxy-protocol", "v2")
    ids = set()
    for address, family in (("127.0.0.1", "TCP4"), ("::1", "TCP6"), ("127.0.0.1", "TCP4")):
        with Visitor(agent.port, address) as v:
            peer = target.take()
            header = pp.read_v2(peer)
            assert header.family == family and header.src == own(v)
            assert header.dst == (address, agent.port)
            ids.add(header.tlvs[pp.UNIQUE_ID])
            assert pp.AUTHORITY not in header.tlvs and pp.tls_of(header) is None
            v.send(b"data")
            assert peer.exactly(4) == b"data"
    assert len(ids) == 3 and all(1 <= len(i) <= 128 for i in ids), ids


def test_v2_of_tls_that_passes_through(world, authority, target):
    scene = Scene(world, "--unproven-domains", tls=authority.localhost)
    scene.agent(target, "--domain", "x.a.example", "--proxy-protocol", "v2", kind="tls")
    sent = hello("x.a.example", ["h2", "http/1.1"])
    with Visitor(scene.tls_port) as v:
        v.send(sent)
        peer = target.take()
        header = pp.read_v2(peer)
        assert header.src == own(v) and header.dst == ("127.0.0.1", scene.tls_port)
        assert header.tlvs[pp.AUTHORITY] == b"x.a.example"
        assert pp.UNIQUE_ID in header.tlvs
        assert pp.tls_of(header) is None, "nothing is known of what is inside"
        assert peer.exactly(len(sent)) == sent


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_of_tls_that_ends_here(world, authority, target, version):
    scene = Scene(world, tls=authority.localhost)
    scene.agent(target, "--name", "x", "--tls", "end", "--proxy-protocol", version, kind="tls")
    with Visitor(scene.tls_port, tls=context(), name="x.localhost") as v:
        v.send(b"inside")
        peer = target.take()
        header = READ[version](peer)
        assert header.src == own(v) and header.dst == ("127.0.0.1", scene.tls_port)
        assert peer.exactly(6) == b"inside"
        if version == "v2":
            assert header.tlvs[pp.AUTHORITY] == b"x.localhost"
            flags, _, subs = pp.tls_of(header)
            assert flags & 1 and subs[pp.SSL_VERSION] == v.sock.version().encode()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_http_targets_get_one_connection_for_each_visitor(world, target, version):
    """A header tells of one visitor, so nobody else may use that connection."""
    scene = Scene(world)
    agent = scene.agent(target, "--proxy-protocol", version, "--name", "web", kind="http")
    for source in ("127.0.0.1", "127.0.0.5", "127.0.0.6", "127.0.0.5"):
        with Visitor(scene.server.port, source=source) as v:
            v.ask(agent.host, "/")
            peer = target.take()
            header = READ[version](peer)
            assert header.src == own(v) and header.dst == ("127.0.0.1", scene.server.port)
            head = peer.until(b"\r\n\r\n").decode().lower()
            assert f"x-forwarded-for: {source}" in head
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert v.answer().body == b"ok"


def test_http_targets_are_told_of_tls(world, authority, target):
    """That ended at the server; what a proxy in front has ended is known to be TLS, and no more."""
    proxied = free_port()
    scene = Scene(world, "--listen", f"proxy:127.0.0.1:{proxied}", "--trusted-proxies", "127.0.0.1",
                  tls=authority.localhost)
    agent = scene.agent(target, "--proxy-protocol", "v2", "--name", "web", kind="http")

    def told(v):
        v.ask(agent.host, "/")
        peer = target.take()
        header = pp.read_v2(peer)
        peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert v.answer().body == b"ok"
        return header

    with Visitor(scene.tls_port, tls=context(alpn=["http/1.1"]), name="web.localhost") as v:
        header = told(v)
        flags, _, subs = pp.tls_of(header)
        assert flags & 1 and subs == {pp.SSL_VERSION: v.sock.version().encode()}
        assert header.tlvs[pp.AUTHORITY] == b"web.localhost"
        assert header.tlvs[pp.ALPN] == b"http/1.1"
    with Visitor(proxied) as v:
        v.send(pp.v2("192.0.2.9", "192.0.2.1", 4711, 443, [(pp.SSL, b"\x01\0\0\0\0")]))
        flags, _, subs = pp.tls_of(told(v))
        assert flags & 1 and not subs
    with Visitor(scene.server.port) as v:
        header = told(v)
        assert pp.tls_of(header) is None and pp.AUTHORITY not in header.tlvs


def test_an_upgrade_has_it_too(world, target):
    scene = Scene(world)
    agent = scene.agent(target, "--proxy-protocol", "v1", kind="http")
    with Visitor(scene.server.port) as v:
        v.ask(agent.host, "/", fields=[("Connection", "Upgrade"), ("Upgrade", "echo")])
        peer = target.take()
        assert pp.read_v1(peer).src == own(v)
        assert "upgrade: echo" in peer.until(b"\r\n\r\n").decode().lower()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                  b"Upgrade: echo\r\n\r\n")
        assert v.answer().status == 101


def test_the_record_decides_and_may_change(world, target):
    scene = Scene(world)
    agent = scene.agent(target, "--name", "demo")
    for word, want in (("v1", b"PROXY TCP4 "), ("v2", pp.SIGNATURE), ("none", b"x")):
        scene.anna.patch("/v1/tunnels/demo", {"target": {"proxy_protocol": word}}).want(200)
        with Visitor(agent.port) as v:
            v.send(b"x")
            assert target.take().exactly(len(want)) == want


# ---- HAProxy behind ----

SHOWS = """
frontend f
    mode http
    bind 127.0.0.1:{front} accept-proxy{ssl}
    http-request return status 200 content-type text/plain lf-string \
"%[src] %[src_port] %[dst_port] %[fc_pp_authority] %[fc_pp_unique_id,length]\\n"
"""


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("kind", ["tcp", "http", "end"])
def test_haproxy_is_the_target(world, authority, version, kind):
    haproxy = Haproxy(world, SHOWS, ssl="")
    scene = Scene(world, tls=authority.localhost)
    more = ["--tls", "end"] if kind == "end" else []
    agent = scene.agent(haproxy.front, "--proxy-protocol", version, "--name", "x", *more,
                        kind=kind if kind != "end" else "tls")
    port = {"tcp": agent.port, "http": scene.server.port, "end": scene.tls_port}[kind]
    tls = context() if kind == "end" else None
    host = agent.host if kind == "http" else "x.localhost"
    with Visitor(port, source="127.0.0.44", tls=tls, name="x.localhost") as v:
        words = v.get(host).text().split(" ")
        assert words[:3] == ["127.0.0.44", str(own(v)[1]), str(port)]
        assert kind != "end" or version == "v1" or words[3] == "x.localhost"


def test_haproxy_is_the_target_of_tls_that_passes_through(world, authority):
    cert = authority.client("behind", names="DNS:x.a.example")
    both = world.path / "both.pem"
    both.write_bytes(cert.cert.read_bytes() + cert.key.read_bytes())
    haproxy = Haproxy(world, SHOWS, ssl=f" ssl crt {both}")
    scene = Scene(world, "--unproven-domains", tls=authority.localhost)
    scene.agent(haproxy.front, "--proxy-protocol", "v2", "--domain", "x.a.example", kind="tls")
    with Visitor(scene.tls_port, source="127.0.0.45", tls=authority.client_context(),
                 name="x.a.example") as v:
        words = v.get("x.a.example").text().split(" ")
        assert words[:4] == ["127.0.0.45", str(own(v)[1]), str(scene.tls_port), "x.a.example"]


# ---- HAProxy in front ----

FRONT = """
listen l
    bind 127.0.0.1:{front}
    server s 127.0.0.1:{to} {send}
"""


@pytest.fixture(params=["send-proxy", "send-proxy-v2"])
def send(request):
    return request.param


def behind(world, to, send):
    return Haproxy(world, FRONT, to=to, send=send).front


def test_haproxy_before_http(world, web, send):
    port = free_port()
    scene = Scene(world, "--listen", f"proxy:127.0.0.1:{port}", "--trusted-proxies", "127.0.0.1")
    agent = scene.agent(web, kind="http")
    front = behind(world, port, send)
    answer = fetch(front, agent.host, "/headers", source="127.0.0.50")
    fields = fields_of(answer)
    assert fields["x-forwarded-for"] == ["127.0.0.50"]
    assert "for=127.0.0.50" in fields["forwarded"][0]
    # who is not a proxy cannot say whom a request comes from
    answer = fetch(front, agent.host, "/headers", source="127.0.0.51",
                   fields=[("X-Forwarded-For", "192.0.2.66")])
    assert fields_of(answer)["x-forwarded-for"] == ["127.0.0.51"]


def test_haproxy_before_tls(world, authority, web, target, send):
    port = free_port()
    scene = Scene(world, "--unproven-domains", "--listen", f"proxy:tls:127.0.0.1:{port}",
                  "--trusted-proxies", "127.0.0.0/8", tls=authority.localhost)
    front = behind(world, port, send)
    agent = scene.agent(web, "--name", "web", kind="http")
    answer = fetch(front, agent.host, "/headers", source="127.0.0.50", tls=context(),
                   name="web.localhost")
    fields = fields_of(answer)
    assert fields["x-forwarded-for"] == ["127.0.0.50"] and fields["x-forwarded-proto"] == ["https"]
    scene.agent(target, "--domain", "x.a.example", "--proxy-protocol", "v1", kind="tls", config="x")
    sent = hello("x.a.example")
    with Visitor(front, source="127.0.0.52") as v:
        v.send(sent)
        peer = target.take()
        header = pp.read_v1(peer)
        assert header.src == own(v) and header.dst == ("127.0.0.1", front)
        assert peer.exactly(len(sent)) == sent


def test_haproxy_before_tcp_and_behind(world, target, send):
    """A whole chain: the address goes all the way."""
    scene = Scene(world, "--tcp-proxy-protocol", "--trusted-proxies", "127.0.0.1")
    agent = scene.agent(target, "--proxy-protocol", "v2")
    front = behind(world, agent.port, send)
    with Visitor(front, source="127.0.0.53") as v:
        peer = target.take()
        header = pp.read_v2(peer)
        assert header.src == own(v) and header.dst == ("127.0.0.1", front)
        v.send(b"x")
        assert peer.exactly(1) == b"x"
        name = scene.anna.pages("/v1/tunnels")[0]["name"]
        listed = scene.anna.get(f"/v1/tunnels/{name}/visitors")
        assert listed.json()["visitors"][0]["ip"] == "127.0.0.53"


# ---- from load balancers: what counts ----


@pytest.fixture
def door(world, target):
    """A tcp tunnel whose visitors come by way of 127.0.0.2, and whose target is told of them."""
    scene = Scene(world, "--tcp-proxy-protocol", "--trusted-proxies", "127.0.0.2",
                  "--handshake-timeout", "1s")
    scene.agent_ = scene.agent(target, "--proxy-protocol", "v1", "--name", "demo")
    scene.port = scene.agent_.port
    return scene


def proxied(door, *sent, source="127.0.0.2"):
    v = Visitor(door.port, source=source)
    for piece in sent:
        v.send(piece)
    return v


TLVS = [(pp.ALPN, b"h2"), (pp.AUTHORITY, b"a.example"), (pp.NOOP, b"xxx"), (0xE0, b"private"),
        (pp.SSL, b"\1\0\0\0\0" + pp.tlv(pp.SSL_VERSION, b"TLSv1.3")), (pp.UNIQUE_ID, b"id")]


def summed(header):
    """With a right checksum."""
    head = bytearray(header + pp.tlv(pp.CRC32C, bytes(4)))
    head[14:16] = struct.pack(">H", len(head) - 16)
    head[-4:] = pp.crc32c(bytes(head)).to_bytes(4, "big")
    return bytes(head)


GOOD = [
    (pp.v1("192.0.2.1", "192.0.2.9", 4711, 443), ("192.0.2.1", 4711), ("192.0.2.9", 443)),
    (pp.v1("2001:db8::1", "::1", 65535, 1), ("2001:db8::1", 65535), ("::1", 1)),
    (pp.v2("192.0.2.1", "192.0.2.9", 4711, 443), ("192.0.2.1", 4711), ("192.0.2.9", 443)),
    (pp.v2("2001:db8::1", "::1", 65535, 1, TLVS), ("2001:db8::1", 65535), ("::1", 1)),
    (summed(pp.v2("192.0.2.1", "192.0.2.9", 4711, 443, TLVS)), ("192.0.2.1", 4711),
     ("192.0.2.9", 443)),
    (pp.v2("::ffff:192.0.2.1", "::ffff:192.0.2.9", 4711, 443), ("192.0.2.1", 4711),
     ("192.0.2.9", 443)),
]


@pytest.mark.parametrize("how", ["alone", "with data", "byte by byte"])
@pytest.mark.parametrize("header, src, dst", GOOD, ids=range(len(GOOD)))
def test_a_good_header(door, target, header, src, dst, how):
    pieces = {"alone": [header, b"data"], "with data": [header + b"data"],
              "byte by byte": [bytes([b]) for b in header + b"data"]}[how]
    with proxied(door, *pieces):
        peer = target.take()
        got = pp.read_v1(peer)
        assert (got.src, got.dst) == (src, dst)
        assert peer.exactly(4) == b"data"


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n",
                                    b"PROXY UNKNOWN ffff::1 ::1 65535 65535\r\n",
                                    pp.SIGNATURE + b"\x20\0\0\0", pp.SIGNATURE + b"\x20\x11\0\0",
                                    pp.v2("192.0.2.1", "192.0.2.9", 1, 2, command=0x20)],
                         ids=range(5))
def test_a_header_that_tells_of_nobody(door, target, header):
    """A health check: the connection's own addresses count."""
    with proxied(door, header + b"data") as v:
        peer = target.take()
        got = pp.read_v1(peer)
        assert got.src == own(v) and got.dst == ("127.0.0.1", door.port)
        assert peer.exactly(4) == b"data"


def closed(v):
    """Ended, one way or the other, without a word."""
    with v:
        try:
            return v.to_end() == b""
        except (ConnectionResetError, BrokenPipeError):
            return True


def turned_away(port, source, sent):
    """The same for a visitor that says this; it may be over before he has said it."""
    try:
        v = Visitor(port, source=source)
        v.send(sent)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return closed(v)


@pytest.mark.parametrize("sent", [
    b"GET / HTTP/1.1\r\n\r\n", b"\0", b"PROXY \r\n", b"PROXY TCP4\r\n",
    b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 1 65536\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.9 1 02\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 -1 2\r\n", b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP4  192.0.2.1 192.0.2.9 1 2\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.9 1 2 3\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 1 2\nx\r\n", b"PROXY TCP5 192.0.2.1 192.0.2.9 1 2\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.9 1 2\r\n", b"PROXY TCP4 " + b"1" * 100 + b"\r\n",
    b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
    pp.SIGNATURE + b"\x31\x11\0\x0c" + bytes(12), pp.SIGNATURE + b"\x22\x11\0\x0c" + bytes(12),
    pp.SIGNATURE + b"\x21\x11\0\x0b" + bytes(11), pp.SIGNATURE + b"\x21\x21\0\x0c" + bytes(12),
    pp.SIGNATURE + b"\x21\x11\xff\xff" + bytes(65535),
    pp.v2("192.0.2.1", "192.0.2.9", 1, 2, TLVS)[:14] + b"\0\x10" + bytes(13) + b"\1\0\4",
    summed(pp.v2("192.0.2.1", "192.0.2.9", 1, 2))[:-1] + b"\0" + b"x",
    pp.SIGNATURE[:-1] + b"x" + bytes(40),
], ids=range(24))
def test_a_header_that_is_wrong(door, target, sent):
    assert turned_away(door.port, "127.0.0.2", sent)
    assert target.connections == 0
    with proxied(door, GOOD[0][0] + b"data"):
        assert pp.read_v1(target.take()).src == GOOD[0][1]


@pytest.mark.parametrize("then", ["silence", "the end"])
def test_every_truncation(door, target, then):
    """Each prefix of a header, and nothing more: ended, at the latest at the deadline."""
    visitors = []
    for header in (GOOD[0][0], summed(pp.v2("192.0.2.1", "192.0.2.9", 4711, 443, TLVS[:2]))):
        for n in range(len(header)):
            visitors.append(proxied(door, header[:n]))
            if then == "the end":
                visitors[-1].sock.shutdown(socket.SHUT_WR)
    for v in visitors:
        assert closed(v)
    assert target.connections == 0


def test_only_trusted_addresses(door, target):
    for sent in (GOOD[0][0], GOOD[2][0], b"", b"no header"):
        assert turned_away(door.port, "127.0.0.3", sent)
    assert target.connections == 0
    door.server.wait_line(r"127\.0\.0\.3", 5)
    with proxied(door, GOOD[0][0]):
        assert pp.read_v1(target.take()).src == GOOD[0][1]


def test_only_trusted_addresses_at_a_door(world, web):
    port = free_port()
    scene = Scene(world, "--listen", f"proxy:127.0.0.1:{port}", "--trusted-proxies", "127.0.0.2")
    agent = scene.agent(web, kind="http")
    request = f"GET /headers HTTP/1.1\r\nHost: {agent.host}\r\n\r\n".encode()
    header = GOOD[0][0]
    with Visitor(port, source="127.0.0.2") as v:
        v.send(header + request)
        assert fields_of(v.answer())["x-forwarded-for"] == ["192.0.2.1"]
    for source, sent in (("127.0.0.3", header + request), ("127.0.0.2", request)):
        assert turned_away(port, source, sent)
    with Visitor(scene.server.port, source="127.0.0.2") as v:  # a door that expects no header
        v.send(header + request)
        assert b" 400 " in v.until(b"\r\n")  # a reset may follow
    assert len(web.requests) == 1


def test_the_visitors_address_is_judged_not_the_proxys(door, target):
    door.anna.patch("/v1/tunnels/demo", {"visitors": {"allow": ["192.0.2.0/24"]}}).want(200)
    with proxied(door, GOOD[0][0]):
        assert pp.read_v1(target.take()).src == GOOD[0][1]
    sent = pp.v1("198.51.100.1", "192.0.2.9", 1, 2) + b"x"
    assert turned_away(door.port, "127.0.0.2", sent)
    assert target.connections == 1


def test_one_silent_proxy_slows_nobody(door, target):
    silent = [proxied(door, b"PROXY") for _ in range(50)]
    with proxied(door, GOOD[0][0] + b"data"):
        assert pp.read_v1(target.take()).src == GOOD[0][1]
    for v in silent:
        assert closed(v)
