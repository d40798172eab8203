"""TLS: between agent and server, between visitor and server, and to the target."""

import random
import socket
import ssl
import subprocess
import threading

import pytest

from karez import BUILD, free_port
from servers import Target, fields_of
from visitor import Visitor, fetch


@pytest.fixture
def target(world):
    return world.closes(Target())


def test_a_server_with_a_private_authority(world, authority, target):
    server = world.server(tls=authority.localhost, domain="tunnels.localhost")
    agent = world.agent(server, target.port, "--ca-file", authority.ca)
    assert agent.url.startswith("https://") and agent.url.endswith(f":{server.port}")
    answer = fetch(server.port, agent.host, "/headers", tls=authority.client_context())
    fields = fields_of(answer)
    assert fields["x-forwarded-proto"] == ["https"]
    assert "proto=https" in fields["forwarded"][0]
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-m", "10", "--cacert", authority.ca,
                           agent.url], capture_output=True, check=True, env=world.env())
    assert done.stdout == b"hello from target\n"


def test_a_server_whose_authority_is_not_known_is_refused_with_the_reason(world, authority, target):
    server = world.server(tls=authority.localhost)
    for options in ([], ["--ca-file", str(authority.other_ca)]):
        agent = world.agent_unchecked(server, target.port, *options)
        assert agent.wait() == 1
        assert "certificate" in agent.text("err"), agent.text()
        assert not agent.said("out")


def test_a_server_under_another_name_than_its_certificate_is_refused(world, authority, target):
    server = world.server(tls=authority.localhost)
    agent = world.agent_unchecked(server, target.port, "--ca-file", authority.ca,
                                  url=f"https://127.0.0.2:{server.port}")
    assert agent.wait() == 1
    assert agent.text("err")


def test_https_to_a_server_in_clear_and_http_to_one_with_tls(world, authority, target):
    clear, tls = world.server(), world.server(tls=authority.localhost, state="state2")
    for url in (f"https://localhost:{clear.port}", f"http://localhost:{tls.port}"):
        agent = world.agent_unchecked(None, target.port, url=url)
        assert agent.wait(20) == 1
        assert agent.text("err")


def test_a_ca_file_that_is_none_is_named(world, authority, target):
    server = world.server(tls=authority.localhost)
    for file in ("/nosuch/ca.pem", str(authority.localhost.key)):
        agent = world.agent_unchecked(server, target.port, "--ca-file", file)
        assert agent.wait() in (1, 2)
        assert file in agent.text("err")


def test_a_self_signed_target_needs_to_be_allowed(world, authority):
    target = world.closes(Target("tls", tls=authority.self_signed.server_context()))
    server = world.server()
    strict = world.agent(server, f"https://localhost:{target.port}", "--name", "strict")
    assert fetch(server.port, strict.host).status == 502
    loose = world.agent(server, f"https://localhost:{target.port}", "--target-insecure",
                        "--name", "loose")
    for _ in range(5):
        assert fetch(server.port, loose.host).text() == "hello from tls\n"


def test_a_visitor_who_stops_in_the_handshake_is_closed(world, authority, target):
    server = world.server("--handshake-timeout", "1s", tls=authority.localhost)
    with Visitor(server.port) as v:
        v.send(b"\x16\x03\x01\x02\x00\x01")
        try:  # an alert may come first
            v.to_end()
        except ConnectionResetError:
            pass
    with Visitor(server.port) as v:  # clear HTTP at a TLS port
        v.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            v.to_end()
        except ConnectionResetError:
            pass
    agent = world.agent(server, target.port, "--ca-file", authority.ca)
    assert fetch(server.port, agent.host, tls=authority.client_context()).status == 200


@pytest.mark.parametrize("options, word", [
    (["--tls-cert", "{cert}"], "tls-key"),
    (["--tls-cert", "{cert}", "--tls-key", "{other}", "--listen", "tls:127.0.0.1:{port}"], "key"),
    (["--tls-cert", "/nosuch.pem", "--tls-key", "{key}", "--listen", "tls:127.0.0.1:{port}"],
     "/nosuch.pem"),
])
def test_a_certificate_that_does_not_fit_is_said_at_the_start(world, authority, options, word):
    fill = {"cert": authority.localhost.cert, "key": authority.localhost.key,
            "other": authority.self_signed.key, "port": free_port()}
    proc = world.run("karezd", [BUILD / "karezd", "--state-dir", world.path / "state",
                                *(o.format(**fill) for o in options)])
    assert proc.wait() in (1, 2)
    assert word in proc.text("err")


def test_many_handshakes_at_once(world, authority, target):
    server = world.server(tls=authority.localhost)
    agent = world.agent(server, target.port, "--ca-file", authority.ca)
    context, answers = authority.client_context(), []
    threads = [threading.Thread(target=lambda: answers.append(
        fetch(server.port, agent.host, tls=context, timeout=30).status)) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 60


def hello_of_a_client():
    """The first bytes of a handshake."""
    out = ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out,
                                              server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def test_garbage_at_a_tls_address_hurts_nobody(world, authority, target):
    server = world.server("--handshake-timeout", "1s", tls=authority.localhost)
    agent = world.agent(server, target.port, "--ca-file", authority.ca)
    context, hello = authority.client_context(), hello_of_a_client()
    for seed in range(60):
        rnd = random.Random(seed)
        broken = bytearray(hello)
        for _ in range(rnd.randrange(1, 8)):
            broken[rnd.randrange(len(broken))] = rnd.randrange(256)
        for data in (bytes(broken), hello + rnd.randbytes(300), rnd.randbytes(300),
                     hello[:rnd.randrange(len(hello))]):
            with Visitor(server.port) as v:
                try:
                    v.send(data)
                    v.sock.shutdown(socket.SHUT_WR)
                    v.to_end()
                except OSError:
                    pass
    assert fetch(server.port, agent.host, tls=context).status == 200
    with Visitor(server.port, tls=context) as v:  # garbage in the middle of a good session
        assert v.get(agent.host).status == 200
        raw = socket.socket(fileno=v.sock.detach())
        raw.sendall(b"\x17\x03\x03\x00\x20" + b"\xaa" * 32)
        raw.settimeout(5)
        try:
            while raw.recv(4096):
                pass
        except ConnectionResetError:
            pass
        raw.close()
    assert fetch(server.port, agent.host, tls=context).status == 200


def test_visitors_who_abort_downloads_over_tls_leave_nothing(world, authority, target):
    server = world.server(tls=authority.localhost)
    agent = world.agent(server, target.port, "--ca-file", authority.ca)
    context = authority.client_context()
    for _ in range(100):
        with Visitor(server.port, tls=context) as v:
            v.ask(agent.host, f"/down/{4 << 20}")
            v.exactly(2000)
            v.reset()
    assert fetch(server.port, agent.host, tls=context).status == 200
