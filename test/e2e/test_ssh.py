"""Stock `ssh -R` to karezd: where it listens, how it ends, and what nobody gets."""

import signal
import socket
import struct

import paramiko
import pytest

from karez import free_port, wait_until
from raw_servers import RawTarget, echo
from servers import Target
from ssh_scene import (ALLOCATED, REFUSED, SshScene, echoed, forward_to, port_of, transport,
                       wait_events)
from tunnel_scene import cut, refuses, tcp, wait_open, wait_refused
from visitor import Visitor


@pytest.fixture
def scene(world):
    return SshScene(world)


@pytest.fixture
def echoes(world):
    return world.closes(RawTarget(echo))


@pytest.fixture
def target(world):
    """The test is the target."""
    made = world.closes(RawTarget())
    yield made
    made.close()


@pytest.fixture
def web(world):
    return world.closes(Target())


# ---- A15 ----


def test_a15_port_0(scene, echoes):
    proc = scene.ssh("-N", "-R", f"0:localhost:{echoes.port}")
    port = int(proc.wait_line(ALLOCATED + f"localhost:{echoes.port}", 10, "err")[1])
    assert port >= 1024
    assert echoed(port)
    proc.stop()
    wait_refused(port)


@pytest.mark.parametrize("bind, listens", [
    ("127.0.0.1:", {"127.0.0.1"}),
    ("127.0.0.7:", {"127.0.0.7"}),
    ("localhost:", {"127.0.0.1", "::1"}),
    ("", {"127.0.0.1", "::1"}),  # OpenSSH says localhost for it
    ("[::1]:", {"::1"}),
    ("0.0.0.0:", {"127.0.0.1", "127.0.0.7"}),
    ("*:", {"127.0.0.1", "127.0.0.7", "::1"}),
    (":", {"127.0.0.1", "127.0.0.7", "::1"}),
])
def test_a15_it_listens_where_it_was_told(world, echoes, bind, listens):
    scene = SshScene(world, bind=None)
    port = free_port()
    scene.quiet(forward_to(echoes, f"{bind}{port}"))
    for address in ("127.0.0.1", "127.0.0.7", "::1"):
        if address in listens:
            assert echoed(port, address), address
        else:
            assert refuses(port, address), address


def test_two_colons_are_ipv6_alone(world, echoes):
    """As RFC 4254 7.1 and sshd have it; no address at all is every one."""
    scene = SshScene(world, bind=None)
    port = free_port()
    scene.quiet(forward_to(echoes, f"[::]:{port}"))
    assert echoed(port, "::1") and refuses(port)


def test_gateway_ports_yes(world, echoes):
    scene = SshScene(world, "--ssh-gateway-ports", "yes", bind=None)
    for bind in ("", "localhost:"):
        port = free_port()
        scene.quiet(forward_to(echoes, f"{bind}{port}"))
        assert echoed(port, "127.0.0.7") and echoed(port, "::1"), bind


def test_a15_a_busy_port_is_a_warning_and_the_session_stays(scene, echoes):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        busy, good = taken.getsockname()[1], free_port()
        proc = scene.ssh("-v", "-N", "-R", forward_to(echoes, busy), "-R", forward_to(echoes, good))
        assert int(proc.wait_line(f"^Warning: {REFUSED}", 10, "err")[1]) == busy
        wait_open(good)
        assert echoed(good) and proc.alive()
        scene.audit("forward-refused", f"port={busy}")


def test_a15_exit_on_forward_failure(scene, echoes):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        status, proc = scene.run("-N", "-R", forward_to(echoes, taken.getsockname()[1]),
                                 options=["ExitOnForwardFailure=yes"])
        assert status == 255 and "remote port forwarding failed" in proc.text("err"), proc.text()


# ---- the letter of RFC 4254, by paramiko ----


def person(made):
    """A channel for a person; None: there is one already."""
    try:
        return made.open_session(timeout=10)
    except paramiko.ChannelException:
        return None


def asked(made, address, port, cancel=False):
    """The bytes behind SSH_MSG_REQUEST_SUCCESS; None: refused."""
    kind = "cancel-tcpip-forward" if cancel else "tcpip-forward"
    answer = made.global_request(kind, (address, port), wait=True)
    return None if answer is None else answer.get_remainder()


def test_a15_a_fixed_port_is_answered_by_nothing_and_0_by_four_bytes(scene):
    made = transport(scene)
    assert asked(made, "127.0.0.1", free_port()) == b""
    answer = asked(made, "127.0.0.1", 0)
    assert len(answer) == 4
    port = struct.unpack(">I", answer)[0]
    assert port >= 1024 and not refuses(port)
    assert asked(made, "demo", 80) == b""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert asked(made, "127.0.0.1", taken.getsockname()[1]) is None
    assert asked(made, "127.0.0.1", port, cancel=True) == b""
    wait_refused(port, seconds=1)
    assert asked(made, "127.0.0.1", port, cancel=True) is None, "it is not there any more"
    assert asked(made, "demo", 80, cancel=True) == b""


@pytest.mark.parametrize("address", ["", "*", "localhost", "LocalHost", "127.0.0.1", "0.0.0.0"])
def test_a_visitor_comes_with_the_address_byte_for_byte_and_his_own(world, address):
    scene = SshScene(world, bind=None)
    made = transport(scene)
    seen = []
    made._tcp_handler = lambda channel, origin, server: seen.append((channel, origin, server))
    port = free_port()
    assert asked(made, address, port) == b""
    with Visitor(port) as v:
        wait_until(lambda: seen, 10, "the channel is opened")
        channel, origin, server = seen[0]
        assert server == (address, port)
        assert origin == v.sock.getsockname()[:2]
        channel.send(b"hello")
        assert v.exactly(5) == b"hello"
        v.send(b"hi")
        channel.settimeout(10)
        assert channel.recv(2) == b"hi"
        channel.close()


def test_answers_keep_the_order_of_the_requests(scene):
    made = transport(scene)
    ports = [free_port() for _ in range(4)]
    with socket.create_server(("127.0.0.1", ports[1])):
        for port in ports:
            made.global_request("tcpip-forward", ("127.0.0.1", port), wait=False)
        # paramiko asks for no answer then: each must have been served when a later one is
        assert asked(made, "127.0.0.1", 0) is not None
        for port in (ports[0], ports[2], ports[3]):
            wait_open(port)


def test_a_channel_that_the_client_refuses_is_a_reset(scene):
    made = transport(scene)
    port = free_port()
    assert asked(made, "127.0.0.1", port) == b""
    made._tcp_handler = None  # paramiko refuses all channels then
    assert cut(port)
    assert made.is_active()


def test_a_target_that_is_not_there_is_502_or_a_reset(scene):
    closed = free_port()
    proc = scene.session(f"demo:80:127.0.0.1:{closed}", f"0:127.0.0.1:{closed}")
    assert scene.page("demo").status == 502
    assert cut(port_of(proc.online[1]["urls"][0]))
    assert proc.alive()


# ---- A16 ----


def test_a16_cancel_by_the_command_line_of_ssh(scene, target):
    """~C, -KR P"""
    port = free_port()
    proc = scene.ssh("-tt", "-R", forward_to(target, port), tty="typed",
                     options=["EnableEscapeCommandline=yes"])
    proc.wait_screen(f"tcp://localhost:{port}", 10)
    with Visitor(port) as v:
        peer = target.take()
        proc.type("\r~C")
        proc.wait_screen("ssh> ", 10)
        proc.type(f"-KR {port}\r")
        wait_refused(port)
        v.send(b"still here")
        assert peer.exactly(10) == b"still here"
        peer.send(b"here, too")
        peer.shut()
        assert v.to_end() == b"here, too"
    assert proc.alive()


def test_a16_cancel_by_a_control_socket(world, scene, target):
    control = world.path / "control"
    port = free_port()
    spec = forward_to(target, port)
    proc = scene.quiet(spec, options=["ControlMaster=yes", f"ControlPath={control}"])
    with Visitor(port) as v:
        peer = target.take()
        argv = scene.argv("-O", "cancel", "-R", spec, options=[f"ControlPath={control}"])
        assert world.run("cancel", argv).wait() == 0
        wait_refused(port, seconds=1)
        v.send(b"still here")
        assert peer.exactly(10) == b"still here"
    argv = scene.argv("-O", "forward", "-R", spec, options=[f"ControlPath={control}"])
    assert world.run("forward", argv).wait() == 0
    wait_open(port)
    assert proc.alive()


def test_a16_ten_rounds_leave_no_listener(scene, echoes):
    port = free_port()
    before = scene.server.n_files()
    for how in range(10):
        proc = scene.quiet(forward_to(echoes, port))
        assert echoed(port)
        proc.stop(signal.SIGTERM if how % 2 else signal.SIGKILL)
        wait_refused(port)
        wait_until(lambda: _binds(port), 5, "somebody else may have the port")
    wait_until(lambda: scene.server.n_files() <= before + 4, 5, "all descriptors are given back")
    assert scene.tunnels() == []


def _binds(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_a16_without_the_right_there_is_no_forward_and_an_audit_line(scene, echoes):
    for scope, spec, word in (({"kinds": ["http"]}, free_port(), "tcp"),
                              ({"kinds": ["tcp"]}, "demo:80", "http"),
                              ({"ports": [str(free_port())]}, free_port(), "port"),
                              ({"tunnels": ["other"]}, "demo:80", "demo")):
        key = scene.new_key()
        scene.upload(key, **scope)
        proc = scene.ssh("-R", forward_to(echoes, spec), words=["json"], key=key)
        refused = wait_events(proc, "refused")[0]
        assert word in str(refused), refused
        proc.wait_line(REFUSED, 5, "err")
        assert scene.tunnels() == []
        proc.stop(signal.SIGKILL)
    line = scene.audit("forward-refused", f"account={scene.anna.made['id']}", 'address="demo"',
                       "port=80")
    assert "peer=127.0.0.1" in line and "code=" in line and "reason=" in line


def test_a16_port_80_is_never_bound(scene, web):
    proc = scene.session(forward_to(web, "80"), forward_to(web, "443"), forward_to(web, "*:80"))
    for online in proc.online:
        assert online["kind"] == "http"
        host = online["urls"][0].split("//")[1].split(":")[0]
        assert scene.page(host.split(".")[0]).text() == "hello from target\n"
    assert len({o["tunnel"] for o in proc.online}) == 3
    assert refuses(80) and refuses(443)


# ---- A3: other people's tunnels ----


def test_a3_a_key_serves_its_own_account_alone(scene, web, echoes):
    scene.anna.tunnel("annas")
    port = free_port()
    scene.anna.tunnel("annas-port", **tcp(port))
    scene.server.kept_files += 1
    _, key = scene.person("Bert")
    for spec in ("annas:80", f"127.0.0.1:{port}", f"annas-port:{port}"):
        proc = scene.ssh("-R", forward_to(web, spec), words=["json"], key=key, user="bert")
        refused = wait_events(proc, "refused")[0]
        assert "another" in refused["reason"], refused
        assert scene.anna.made["id"] not in str(refused)
        proc.stop(signal.SIGKILL)
        scene.audit("forward-refused", spec.split(":")[0], f"port={spec.split(':')[1]}")
    assert scene.page("annas").status == 503 and refuses(port)
    scene.session(forward_to(web, "annas:80"), forward_to(echoes, f"127.0.0.1:{port}"))
    assert scene.page("annas").status == 200 and echoed(port)


def test_a3_l_and_d_are_refused_and_said(scene, echoes):
    """Nobody gets out through the server, not even to his own tunnels."""
    for option, local in (("-L", free_port()), ("-D", free_port())):
        spec = forward_to(echoes, local) if option == "-L" else local
        proc = scene.ssh("-N", option, f"{spec}")
        wait_open(local)
        with Visitor(local) as v:
            if option == "-D":
                v.send(b"\5\1\0")
                assert v.exactly(2) == b"\5\0"
                v.send(b"\5\1\0\1\x7f\0\0\1" + struct.pack(">H", echoes.port))
            v.to_end()
        proc.wait_line("administratively prohibited", 5, "err")
        assert proc.alive() and echoes.connections == 0
        proc.stop(signal.SIGKILL)
    scene.audit("channel-refused", "direct-tcpip")


# ---- what else nobody gets ----


def test_a_command_is_taken_for_words_and_does_not_run(scene, echoes):
    port = free_port()
    status, proc = scene.run("-R", forward_to(echoes, port), words=["ls", "-l"])
    assert status == 2, proc.text()
    assert "ls" in proc.text("out"), proc.text()
    assert refuses(port) and scene.tunnels() == []


def test_subsystems_x11_and_agents_are_refused(scene):
    status, proc = scene.run("-s", words=["sftp"])
    assert status not in (0, None) and "subsystem request failed" in proc.text("err"), proc.text()
    scene.audit("channel-refused", "sftp")
    made = transport(scene)
    for ask in (lambda c: c.request_x11(), lambda c: c.invoke_subsystem("netconf")):
        channel = wait_until(lambda: person(made), 5, "there is room for a channel")
        with pytest.raises(paramiko.SSHException):
            ask(channel)
        channel.close()
    channel = wait_until(lambda: person(made), 5, "there is room for a channel")
    channel.request_forward_agent(lambda c: None)  # wants no answer, and gets none
    channel.close()
    assert made.is_active()
    for kind in ("direct-tcpip", "direct-streamlocal@openssh.com", "tun@openssh.com", "x11",
                 "auth-agent@openssh.com", "forwarded-tcpip", "nonsense"):
        with pytest.raises((paramiko.ChannelException, paramiko.SSHException)):
            made.open_channel(kind, ("127.0.0.1", 22), ("127.0.0.1", 22), timeout=10)
    assert made.is_active()
    assert made.global_request("streamlocal-forward@openssh.com", ("/tmp/x",), wait=True) is None
    assert made.global_request("nonsense@example.org", (), wait=True) is None
    assert asked(made, "127.0.0.1", 0) is not None, "it is as good as before"


def test_a_unix_socket_there_is_refused(scene, echoes):
    proc = scene.ssh("-N", "-R", f"/tmp/karez.sock:127.0.0.1:{echoes.port}")
    proc.wait_line("remote port forwarding failed for listen path /tmp/karez.sock", 10, "err")
    assert proc.alive()


def test_more_channels_for_a_person_than_one(scene):
    made = transport(scene)
    first = made.open_session(timeout=10)
    with pytest.raises(paramiko.ChannelException):
        made.open_session(timeout=10)
    first.close()
    assert wait_until(lambda: person(made), 10, "when the first has gone there may be another")


# ---- the API ----


def test_the_host_keys_are_told_and_kept(world, scene):
    keys = scene.host_keys()
    assert [k["type"] for k in keys] == ["ssh-ed25519", "ssh-rsa"]
    answer = scene.server.api().get("/v1/ssh").want(200).json()
    assert answer["ports"] == [scene.ssh_port]
    for key in keys:
        assert key["key"].startswith(key["type"] + " ")
        assert any(key["fingerprint"] in line for line in scene.server.said())
    scene.server.stop(signal.SIGTERM)
    scene.again()
    assert scene.host_keys() == keys
    for file in (scene.server.state / "ssh").glob("*_key"):
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_without_a_door_there_is_no_ssh(world):
    world.server().api().get("/v1/ssh").refused(404)


def test_every_host_key_is_usable(scene, echoes):
    for kind in ("ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"):
        proc = scene.quiet(forward_to(echoes, 0), options=[f"HostKeyAlgorithms={kind}"])
        assert echoed(proc.ports[0]), kind
        proc.stop()


def test_sessions_tell_that_they_are_ssh(scene, web):
    scene.session(forward_to(web, "demo:80"), words=["agent=laptop"])
    found = scene.anna.get("/v1/tunnels/demo/sessions").want(200).json()["sessions"]
    assert [(s["agent"], s["kind"]) for s in found] == [("laptop", "ssh")]
    agents = scene.anna.get("/v1/agents").want(200).json()["agents"]
    assert [a["id"] for a in agents if a["connected"]] == ["laptop"]
