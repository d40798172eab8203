"""The same table of forwards with every client that people have: where they may listen."""

import socket

import pytest

from karez import free_port, wait_until
from raw_servers import RawTarget, echo
from servers import Target
from ssh_clients import CLIENTS
from ssh_scene import SshScene, echoed
from tunnel_scene import refuses, tcp
from visitor import Visitor

HERE, ELSEWHERE, SIX = "127.0.0.1", "127.0.0.7", "::1"
EVERYWHERE, LOOPBACK = {HERE, ELSEWHERE, SIX}, {HERE, SIX}

# What is written in front of the port, and where it leads. Where nothing is written, programs send
# "localhost", and libraries "".
BINDS = {"nothing": (None, LOOPBACK), "empty": ("", EVERYWHERE), "star": ("*", EVERYWHERE),
         "ip4-any": ("0.0.0.0", {HERE, ELSEWHERE}), "localhost": ("localhost", LOOPBACK),
         "ip4": ("127.0.0.1", {HERE}), "ip6": ("[::1]", {SIX})}
LIBRARIES = ("paramiko", "asyncssh")


@pytest.fixture(params=list(CLIENTS))
def kind(request):
    return request.param


@pytest.fixture
def scene(world):
    return SshScene(world, bind=None)


@pytest.fixture
def echoes(world):
    return world.closes(RawTarget(echo))


@pytest.fixture
def client(world, scene, kind):
    return CLIENTS[kind](scene)


def where(port):
    return {a for a in EVERYWHERE if not refuses(port, a)}


def spelled(kind, bind):
    """How a program takes an address of IPv6: the libraries want it bare."""
    if kind == "dropbear" and bind == "[::1]":
        pytest.skip("dbclient knows no brackets")
    return bind.strip("[]") if bind and kind in LIBRARIES else bind


@pytest.mark.parametrize("name", list(BINDS))
def test_where_a_fixed_port_listens(client, kind, name, echoes):
    bind, listens = BINDS[name]
    port = free_port()
    assert client.ask(spelled(kind, bind), port, echoes.port) == port
    found = where(port)
    if name == "nothing" and kind in LIBRARIES:
        listens = EVERYWHERE
    assert found == listens
    assert all(echoed(port, a) for a in found)
    assert client.alive()
    client.close()
    wait_until(lambda: where(port) == set(), 5, "the port is free")


@pytest.mark.parametrize("name", ["nothing", "star", "localhost", "ip4", "ip6"])
def test_port_0(client, kind, name, echoes):
    bind, _ = BINDS[name]
    if kind == "putty":
        pytest.skip("plink takes no port 0")
    port = client.ask(spelled(kind, bind), 0, echoes.port)
    assert port >= 1024
    found = where(port)
    assert found and all(echoed(port, a) for a in found)


def test_a_port_that_another_program_has(client, echoes):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert client.ask("127.0.0.1", taken.getsockname()[1], echoes.port) is None
        assert client.alive()
    port = free_port()
    assert client.ask("127.0.0.1", port, echoes.port) == port and echoed(port)


def test_a_port_of_another_account(scene, client, echoes):
    bert = scene.server.account("Bert")
    port = free_port()
    bert.tunnel("berts", **tcp(port))
    scene.server.kept_files += 2
    assert client.ask("127.0.0.1", port, echoes.port) is None
    assert client.alive() and refuses(port)


@pytest.mark.parametrize("port", [22, 1023])
def test_a_privileged_port(client, echoes, port):
    assert client.ask("127.0.0.1", port, echoes.port) is None
    assert client.alive()


@pytest.mark.parametrize("port", [80, 443])
def test_ports_of_http_are_not_bound(world, scene, client, port):
    web = world.closes(Target())
    assert client.ask("demo", port, web.port) == port
    wait_until(lambda: scene.page("demo").status == 200, 10, "demo is served")
    assert scene.page("demo").text() == "hello from target\n" and refuses(port)


def test_bytes_both_ways_and_many_at_once(client, echoes):
    port = free_port()
    assert client.ask("127.0.0.1", port, echoes.port) == port
    visitors = [Visitor(port) for _ in range(20)]
    for v in visitors:
        v.send(b"a" * 20000)
    for v in visitors:
        assert v.exactly(20000) == b"a" * 20000
    for v in visitors:
        v.close()
    assert client.alive() and echoed(port)
