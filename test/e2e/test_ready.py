"""`karezd ready`: whoever watches over a server asks it with its own program."""

import signal
import subprocess

import pytest

from karez import BUILD, free_port, wait_until
from raw_servers import RawTarget


def ready(world, *listen, options=()):
    """(exit code, what it said) of `karezd ready` for these addresses."""
    argv = [BUILD / "karezd", "ready", *options] + [w for address in listen for w in ("--listen", address)]
    done = subprocess.run(argv, env=world.env(), text=True, check=False, capture_output=True, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("why, address", [
    ("in clear", "{host}:{port}"),
    ("everything", "auto:{host}:{port}"),
    ("every address", "0.0.0.0:{port}"),
    ("a socket", "unix:{path}"),
])
def test_it_is_asked_where_it_listens(world, why, address):
    port = free_port()
    listen = address.format(host="127.0.0.1", port=port, path=world.path / "door")
    world.server(port=port, listen=listen)
    wait_until(lambda: ready(world, listen) == (0, ""), 5, f"it is ready: {why}")


def test_it_is_asked_where_it_can_be(world, authority):
    """Beside an address with TLS, and one behind a load balancer."""
    port, other, third = free_port(), free_port(), free_port()
    tls = authority.localhost
    options = ["--tls-cert", tls.cert, "--tls-key", tls.key, "--trusted-proxies", "127.0.0.1"]
    listen = [f"tls:127.0.0.1:{other}", f"proxy:127.0.0.1:{third}", f"127.0.0.1:{port}"]
    world.server("--listen", listen[1], "--listen", listen[2], *options, port=other, listen=listen[0])
    wait_until(lambda: ready(world, *listen, options=options) == (0, ""), 5, "it is ready")
    code, said = ready(world, *listen[:2], options=options)
    assert code == 1 and "no --listen address takes HTTP in clear" in said


def test_nobody_is_there(world):
    code, said = ready(world, f"127.0.0.1:{free_port()}")
    assert code == 1 and said.startswith("karezd: the server is not ready: it does not answer: ")


def test_who_drains_is_not_ready(world):
    server = world.server(drain="3s")
    listen = f"127.0.0.1:{server.port}"
    wait_until(lambda: ready(world, listen) == (0, ""), 5, "it is ready")
    server.expect_alive = False
    server.send_signal(signal.SIGTERM)
    wait_until(lambda: ready(world, listen)[0] == 1, 5, "it is not any more")
    assert server.wait(8) == 0


def test_another_server_answers(world):
    """What answers something else is not ready, and its words do no harm."""
    def odd(peer, _target):
        peer.sock.recv(4096)
        peer.sock.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 7\r\nConnection: close\r\n\r\n\x1b[31mno")

    target = world.closes(RawTarget(odd))
    code, said = ready(world, f"127.0.0.1:{target.port}")
    assert code == 1 and "it answers 503" in said and "\x1b" not in said
