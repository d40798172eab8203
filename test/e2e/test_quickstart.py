"""make quickstart: what a person sees first."""

import os
import re
import signal
import socket
import subprocess

import pytest

from karez import BUILD, TREE, wait_until
from visitor import fetch

SCRIPT = TREE / "scripts" / "quickstart.sh"


@pytest.fixture
def env(world):
    temp = world.dir("temp")
    return world.env(KAREZ_BUILD=BUILD, KAREZ_SKIP_DEPS=1, TMPDIR=temp)


def parts_of(text):
    port = int(re.search(r"--listen 127\.0\.0\.1:(\d+)", text).group(1))
    url = re.search(r"publicly accessible from (http://\w+\.localhost:(\d+)) \.\.\.", text)
    assert int(url.group(2)) == port
    return port, url.group(1)


def nobody_listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


def test_without_a_terminal_it_fetches_once_and_ends(world, env):
    proc = world.run("quickstart", [SCRIPT], env=env)
    assert proc.wait(30) == 0
    text = proc.text("out")
    port, url = parts_of(text)
    assert "Hello from" in text and "came to you through karez" in text
    assert url in text
    assert proc.said("err") == []
    assert nobody_listens(port), "it left something behind"
    assert list((world.path / "temp").iterdir()) == []


def test_a_port_that_is_taken_is_said_and_another_one_found(world, env):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", 8080))
            s.listen()
        except OSError:
            pass  # taken already: as good
        proc = world.run("quickstart", [SCRIPT], env=env)
        assert proc.wait(30) == 0
    port, _ = parts_of(proc.text("out"))
    assert port > 8080 and f"Port 8080 is taken, so karezd listens on {port}." in proc.text("out")


def test_on_a_terminal_it_goes_on_until_ctrl_c(world, env):
    ours, theirs = os.openpty()
    proc = subprocess.Popen([SCRIPT], stdin=theirs, stdout=theirs, stderr=theirs, env=env,
                            start_new_session=True)
    os.close(theirs)
    seen = bytearray()

    def said(what):
        try:
            seen.extend(os.read(ours, 65536))
        except OSError:
            return True
        return what in seen
    try:
        wait_until(lambda: said(b"until Ctrl-C"), 30, "it says that it goes on")
        port, url = parts_of(seen.decode())
        assert fetch(port, url[len("http://"):], "/again").status == 404
        wait_until(lambda: said(b"/again"), 10, "the request is shown")
        os.killpg(proc.pid, signal.SIGINT)
        assert proc.wait(10) == 0
        assert nobody_listens(port)
        assert list((world.path / "temp").iterdir()) == []
    finally:
        if proc.poll() is None:
            proc.send_signal(signal.SIGTERM)
            proc.wait(10)
        os.close(ours)


def test_a_program_that_does_not_start_is_shown_with_its_log(world, env):
    folder = world.dir("broken")
    for name in ("karez", "karezd"):
        (folder / name).write_text("#!/bin/sh\necho this is why >&2\nexit 1\n")
        (folder / name).chmod(0o755)
    proc = world.run("quickstart", [SCRIPT], env={**env, "KAREZ_BUILD": str(folder)})
    assert proc.wait(30) == 1
    assert "karezd does not start" in proc.text("err") and "this is why" in proc.text("err")
    assert list((world.path / "temp").iterdir()) == []
