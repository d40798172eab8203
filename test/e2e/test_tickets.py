"""Visitors who come back by a ticket: to any worker and any node, in any generation of them."""

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from cluster_scene import Cluster
from karez import PATIENCE, wait_until
from test_workers import started, workers_of

VERSIONS = ["-tls1_2", "-tls1_3"]


class Guest:
    """A visitor who keeps the last ticket that he was given."""

    def __init__(self, world, authority, version, name="localhost"):
        self.version, self.name, self.ca = version, name, authority.ca
        self.file = world.path / f"ticket{version}-{name}"

    def resumes(self, port):
        """Is one more connection the continuation of an earlier one?"""
        more = ["-sess_in", self.file] if self.file.exists() else []
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", self.name, self.version,
             "-CAfile", self.ca, "-sess_out", self.file, "-ign_eof", *more],
            input=f"GET / HTTP/1.1\r\nHost: {self.name}\r\nConnection: close\r\n\r\n",
            capture_output=True, text=True, timeout=20 * PATIENCE, check=False)
        assert "HTTP/1.1 " in done.stdout, done.stdout + done.stderr
        assert ("Reused, TLS" in done.stdout) != ("New, TLS" in done.stdout), done.stdout
        return "Reused, TLS" in done.stdout


@contextlib.contextmanager
def only(pid, pids):
    """All others of these processes stand still."""
    others = [p for p in pids if p != pid]
    try:
        for p in others:
            os.kill(p, signal.SIGSTOP)
        yield
    finally:
        for p in others:
            os.kill(p, signal.SIGCONT)


def test_any_node_takes_them(world, authority):
    cluster = Cluster(world, 0)
    one, two = (cluster.add(doors=authority.localhost).tls_port for _ in range(2))
    cluster.wait_whole()
    guest = Guest(world, authority, "-tls1_3")
    assert not guest.resumes(one)
    for port in (two, two, one, two):
        assert guest.resumes(port), port


def test_of_tls_12_only_its_own(world, authority):
    """For such a ticket holds the secret of the connection, and the cluster's key is kept for years."""
    cluster = Cluster(world, 0)
    one, two = (cluster.add(doors=authority.localhost).tls_port for _ in range(2))
    cluster.wait_whole()
    guest = Guest(world, authority, "-tls1_2")
    assert not guest.resumes(one)
    assert guest.resumes(one)
    assert not guest.resumes(two)  # and nothing fails
    assert guest.resumes(two)


def test_any_worker_takes_them(world, authority):
    server = started(world, tls=authority.localhost)
    pids = workers_of(server)
    assert len(pids) == 2
    guest = Guest(world, authority, "-tls1_3")
    for i, pid in enumerate(pids * 2):
        with only(pid, pids):
            assert guest.resumes(server.port) == (i > 0), pid


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_they_outlive_a_generation(world, authority, number):
    with tempfile.TemporaryDirectory(prefix="karez-") as place:
        server = started(world, tls=authority.localhost, env={"RUNTIME_DIRECTORY": place})
        (file,) = Path(place).glob("*/key")
        key = file.read_bytes()
        guest = Guest(world, authority, "-tls1_3")
        assert not guest.resumes(server.port)
        for generation in (2, 3):
            since, before = server.mark(), workers_of(server)
            server.popen.send_signal(number)
            server.wait_line(f"event=reload generation={generation}", 30, since=since)
            wait_until(lambda: not set(before) & set(workers_of(server)), 20, "the older workers are gone")
            assert guest.resumes(server.port)
        # only who is the server's user can learn by what they are made
        assert file.read_bytes() == key and len(key) == 32
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        for pid in (server.pid, *workers_of(server)):
            for told in ("cmdline", "environ"):
                seen = Path(f"/proc/{pid}/{told}").read_bytes()
                assert key not in seen and key.hex().encode() not in seen
        server.stop(signal.SIGTERM, 20)


@pytest.mark.parametrize("version", VERSIONS)
def test_nobody_else_takes_them(world, authority, version):
    """Two servers that know nothing of each other."""
    one = world.server(tls=authority.localhost, state="one")
    two = world.server(tls=authority.localhost, state="two")
    guest = Guest(world, authority, version)
    assert not guest.resumes(one.port)
    assert guest.resumes(one.port)
    assert not guest.resumes(two.port)


@pytest.mark.parametrize("version", VERSIONS)
def test_none_where_agents_show_certificates(world, authority, version):
    """A ticket would say what a certificate was when it was made; visitors of tunnels show none."""
    server = world.server("--agent-ca", authority.ca, tls=authority.localhost)
    agent, visitor = (Guest(world, authority, version, name) for name in ("localhost", "web.localhost"))
    for i in range(3):
        assert not agent.resumes(server.port)
        assert visitor.resumes(server.port) == (i > 0)
