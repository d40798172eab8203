"""A small authority by `karezd ca`, certificates by name, and what changes while the server runs."""

import os
import signal
import socket
import ssl
import subprocess

import pytest

from api_client import Api
from certs import PrivateCa
from karez import BUILD, PATIENCE, free_port, wait_until
from servers import Target
from visitor import fetch


@pytest.fixture
def target(world):
    return world.closes(Target())


@pytest.fixture
def own(world):
    """An authority of our own with a certificate for the server."""
    return PrivateCa(world, BUILD / "karezd", world.path / "ca")


class Rig:
    """A server that lets in the agents of example.org, by certificates of our own authority."""

    def __init__(self, world, own, *options):
        self.world, self.own = world, own
        self.cert = own.issue("--server", "localhost", "*.tunnels.localhost", "127.0.0.1")
        self.clear = free_port()
        self.server = world.server("--agent-ca", own.ca, "--agent-crl", own.crl, "--listen",
                                   f"127.0.0.1:{self.clear}", *options, tls=self.cert)
        self.port = self.server.port
        file = self.server.state / "admin-token"
        wait_until(file.exists, 5, "the administrator's token is written")
        self.admin = Api(self.clear, file.read_text().strip(), "localhost", world.plant)
        made = self.admin.as_(None).post("/v1/account", {}).want(201).json()
        self.api = self.admin.as_(made["token"])
        self.account = made["id"]
        self.let_in("*@example.org")

    def let_in(self, subject):
        self.admin.post(f"/v1/admin/accounts/{self.account}/credentials",
                        {"type": "certificate", "subject": subject}).want(201)

    def options(self, cert):
        return ["--ca-file", self.own.ca, "--cert", cert.cert, "--key", cert.key]

    def agent(self, target, cert, *options, **kw):
        return self.world.agent(self.server, target.port, *self.options(cert), *options, **kw)

    def refused(self, target, cert, *options, config="refused"):
        """Start an agent that ends by itself with exit code 1; returns what it said."""
        agent = self.world.agent_unchecked(self.server, target.port, *self.options(cert), *options,
                                           config=config)
        assert agent.wait(10) == 1, agent.text()
        return agent.text("err")

    def fetch(self, agent):
        return fetch(self.port, agent.host, tls=self.own.client_context())


def peer_names(port, name, ca=None):
    """The DNS names in the certificate that a visitor gets who asks for this name (None: no SNI)."""
    context = ssl.create_default_context(cafile=ca and str(ca))
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        with context.wrap_socket(raw, server_hostname=name) as s:
            return [value for kind, value in s.getpeercert()["subjectAltName"] if kind == "DNS"]


# ---- the commands ----


def test_an_authority_from_nothing(world, own):
    assert (own.folder / "ca-key.pem").stat().st_mode & 0o777 == 0o600
    assert "--agent-ca" in own.said and str(own.ca) in own.said
    again = own.run("init")
    assert again.returncode == 1 and "already" in again.stderr

    cert = own.issue("TestClient1@example.org")
    assert str(cert.cert) in own.said and "karez cert add" in own.said
    assert "'*@example.org'" in own.said
    assert os.stat(cert.key).st_mode & 0o777 == 0o600
    twice = own.run("issue", "TestClient1@example.org", "--out", cert.cert.parent)
    assert twice.returncode == 1 and str(cert.cert) in twice.stderr

    def judged():
        return subprocess.run(["openssl", "verify", "-CAfile", own.ca, "-CRLfile", own.crl,
                               "-crl_check", "-purpose", "sslclient", cert.cert],
                              capture_output=True, text=True, check=False)
    assert judged().returncode == 0, judged().stderr
    revoked = own.run("revoke", "TestClient1@example.org")
    assert revoked.returncode == 0 and "--agent-crl" in revoked.stdout
    assert "revoked" in judged().stderr
    listed = own.run("list").stdout.splitlines()
    assert len(listed) == 1 and "TestClient1@example.org" in listed[0] and "revoked" in listed[0]


def test_by_default_it_is_in_the_state_directory(world):
    def run(*args):
        return subprocess.run([BUILD / "karezd", "ca", *args, "--state-dir", world.path / "s"],
                              env=world.env(), capture_output=True, text=True, check=False)
    nothing = run("list")
    assert nothing.returncode == 1 and "karezd ca init" in nothing.stderr
    assert run("init", "--name", "my agents").returncode == 0
    assert (world.path / "s" / "ca" / "ca.pem").exists()
    done = run("list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("args, code, word", [
    (["issue"], 2, "NAME"),
    (["issue", "two", "agents"], 1, "--server"),
    (["issue", "../../x"], 1, "../../x"),
    (["issue", "--server", "not a host"], 1, "not a host"),
    (["issue", "robot", "--days", "0"], 2, "--days"),
    (["issue", "robot", "--out", "/nosuch"], 1, "/nosuch"),
    (["revoke", "nobody"], 1, "karezd ca list"),
    (["revoke"], 2, "NAME"),
    (["frobnicate"], 2, "frobnicate"),
])
def test_what_cannot_be_is_said(world, own, args, code, word):
    done = own.run(*args)
    assert done.returncode == code, done.stderr
    assert word in done.stderr and done.stdout == ""


# ---- agents of a realm ----


def test_an_agent_of_a_realm(world, own, target):
    rig = Rig(world, own)
    cert = own.issue("TestClient1@example.org")
    agent = rig.agent(target, cert, "--name", "demo", "--agent", "TestClient1")
    assert rig.fetch(agent).status == 200
    assert rig.api.get("/v1/tunnels/demo").want(200).json()["owner"] == rig.account
    assert rig.server.count(r"event=session-open .*agent=TestClient1 ") > 0

    said = rig.refused(target, cert, "--name", "other", "--agent", "x")
    assert '"TestClient1"' in said and '"x"' in said and "--agent TestClient1" in said, said
    rig.server.wait_line(r'event=login-refused agent=x certificate="TestClient1@example.org"')
    stranger = own.issue("TestClient1@example.com")
    said = rig.refused(target, stranger, "--agent", "TestClient1")
    assert 'no account for the certificate "TestClient1@example.com"' in said, said
    added = subprocess.run([BUILD / "karez", "cert", "add", "*@example.com", "--account",
                            rig.account, "--server", rig.server.url, "--ca-file", own.ca,
                            "--token-file", rig.server.state / "admin-token"],
                           env=world.env(KAREZ_CONFIG_DIR=world.dir("admin")), check=False,
                           capture_output=True, text=True)
    assert added.returncode == 0, added.stderr
    rig.agent(target, stranger, "--name", "other", "--agent", "TestClient1", config="other")


def test_the_certificate_names_the_agent(world, own, target):
    """Without --agent."""
    rig = Rig(world, own)
    agent = rig.agent(target, own.issue("TestClient2@example.org"), "--name", "demo")
    assert rig.fetch(agent).status == 200
    assert rig.server.count(r"event=session-open .*agent=TestClient2 ") > 0


def test_both_sides_name_what_is_wrong(world, own, authority, target):
    """A9: another authority, one that has ended, one that was revoked."""
    rig = Rig(world, own)
    alien = authority.client("TestClient1@example.org")
    said = rig.refused(target, alien)
    assert f"refuses the certificate in {alien.cert}: unknown CA" in said, said
    assert 'for "TestClient1@example.org", issued by "karez test CA"' in said, said
    line = rig.server.wait_line("event=certificate-refused .*").group(0)
    assert 'subject="TestClient1@example.org"' in line and "(karez test CA)" in line
    assert "peer=127.0.0.1:" in line and "--agent-ca" in line

    cert = own.issue("TestClient3@example.org")
    mark = rig.server.mark()
    assert own.run("revoke", "TestClient3@example.org").returncode == 0
    rig.server.wait_line("event=certificates-loaded", 8, since=mark)
    said = rig.refused(target, cert)
    assert "certificate revoked" in said and "TestClient3@example.org" in said, said
    line = rig.server.wait_line("event=certificate-refused .*", since=mark).group(0)
    assert 'subject="TestClient3@example.org"' in line and "is revoked (serial " in line


def test_an_ended_one_is_named_with_its_day(world, authority, target):
    server = world.server("--agent-ca", authority.ca, tls=authority.localhost)
    old = authority.client("old-one", days=-1)
    agent = world.agent_unchecked(server, target.port, "--ca-file", authority.ca, "--cert",
                                  old.cert, "--key", old.key)
    assert agent.wait(10) == 1
    assert "certificate expired" in agent.text("err") and "good until 20" in agent.text("err")
    line = server.wait_line("event=certificate-refused .*").group(0)
    assert 'subject="old-one" reason="certificate expired on 20' in line


def test_revoking_ends_what_runs(world, own, target):
    rig = Rig(world, own)
    gone = rig.agent(target, own.issue("gone@example.org"), "--name", "gone")
    stays = rig.agent(target, own.issue("stays@example.org"), "--name", "stays", config="stays")
    assert rig.fetch(gone).status == rig.fetch(stays).status == 200
    mark = gone.mark()
    assert own.run("revoke", "gone@example.org").returncode == 0
    rig.server.wait_line(r'event=session-closed .*code=CERT reason=".*gone@example.org.*revoked', 8)
    gone.wait_line("revoked", 5, since=mark)
    wait_until(lambda: rig.fetch(gone).status == 503, 3, "its tunnel has nobody")
    assert rig.fetch(stays).status == 200
    assert rig.server.count("event=session-closed .*agent=stays") == 0
    gone.stop(signal.SIGINT, 5)


# ---- certificates by name ----


def test_certificates_by_name(world, own, target):
    folder = world.dir("tls")
    own.issue("--server", "a.example.org", "--out", folder)
    own.issue("--server", "*.b.example.org", "b2.example.org", "--out", folder)
    (folder / "live").mkdir()
    live = own.issue("--server", "live.example.org", "--out", folder / "live")
    live.cert.rename(folder / "live" / "fullchain.pem")
    live.key.rename(folder / "live" / "privkey.pem")
    (folder / "broken.pem").write_text("not a certificate\n")
    rig = Rig(world, own, "--tls-dir", folder)
    rig.server.wait_line(r'event=certificate-skipped file=".*/broken.pem" reason=')
    for name, first in (("a.example.org", "a.example.org"), ("A.Example.ORG", "a.example.org"),
                        ("x.b.example.org", "*.b.example.org"),
                        ("b2.example.org", "*.b.example.org"),
                        ("live.example.org", "live.example.org"),
                        ("localhost", "localhost"), (None, "localhost")):
        assert peer_names(rig.port, name, own.ca)[0] == first, name
    agent = rig.agent(target, own.issue("TestClient1@example.org"), "--name", "demo")
    assert rig.fetch(agent).status == 200


def test_they_come_and_go_without_a_restart(world, own, target):
    folder = world.dir("tls")
    own.issue("--server", "a.example.org", "--out", folder)
    rig = Rig(world, own, "--tls-dir", folder)
    agent = rig.agent(target, own.issue("TestClient1@example.org"), "--name", "demo")
    context = own.client_context()
    context.check_hostname = False
    raw = world.closes(socket.create_connection(("127.0.0.1", rig.port), 5))
    kept = world.closes(context.wrap_socket(raw, server_hostname="a.example.org"))

    def names(name):
        try:
            return peer_names(rig.port, name, own.ca)
        except ssl.SSLError:
            return []

    own.issue("--server", "new.example.org", "--out", folder)
    wait_until(lambda: names("new.example.org") == ["new.example.org"], 8, "the new one is served")
    os.unlink(folder / "a.example.org.pem")
    wait_until(lambda: names("a.example.org") != ["a.example.org"], 8, "the old one is gone")

    # half of a default certificate changes nothing; the whole one does
    other = own.issue("--server", "localhost", "127.0.0.1", "--out", world.dir("second"))
    mark = rig.server.mark()
    os.replace(other.cert, rig.cert.cert)
    rig.server.wait_line('event=certificates-not-loaded .*does not belong', 8, since=mark)
    assert names("localhost") == ["localhost", "*.tunnels.localhost"]
    os.replace(other.key, rig.cert.key)
    wait_until(lambda: names("localhost") == ["localhost"], 8, "the renewed one is served")

    mark = rig.server.mark()
    rig.server.popen.send_signal(signal.SIGHUP)
    rig.server.wait_line("event=certificates-loaded", 5, since=mark)
    kept.sendall(b"GET / HTTP/1.1\r\nHost: nobody.localhost\r\nConnection: close\r\n\r\n")
    assert kept.recv(9) == b"HTTP/1.1 "  # a connection of before goes on
    assert rig.fetch(agent).status == 200
    assert agent.count("back again") == 0


def test_tickets_outlive_a_renewal(world, own):
    folder = world.dir("tls")
    own.issue("--server", "a.example.org", "--out", folder)
    rig = Rig(world, own, "--tls-dir", folder)
    ticket = world.path / "ticket"

    def resumed(version):
        """Is one more connection of openssl's the continuation of the last one?"""
        more = ["-sess_in", ticket] if ticket.exists() else []
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{rig.port}",
                               "-servername", "a.example.org", version, "-CAfile", own.ca,
                               "-sess_out", ticket, "-ign_eof", *more],
                              input="GET / HTTP/1.1\r\nHost: a.example.org\r\n"
                                    "Connection: close\r\n\r\n",
                              capture_output=True, text=True, timeout=20 * PATIENCE, check=False)
        assert "HTTP/1.1 404" in done.stdout, done.stdout + done.stderr
        return "Reused, TLS" in done.stdout

    for version in ("-tls1_2", "-tls1_3"):
        ticket.unlink(missing_ok=True)
        assert not resumed(version)
        assert resumed(version)
        mark = rig.server.mark()
        own.issue("--server", f"new{version[-1]}.example.org", "--out", folder)
        rig.server.wait_line("event=certificates-loaded", 8, since=mark)
        assert resumed(version), version


def test_only_a_directory(world, own):
    folder = world.dir("tls")
    own.issue("--server", "b.example.org", "--out", folder)
    port = free_port()
    server = world.run("karezd", [BUILD / "karezd", "--listen", f"tls:127.0.0.1:{port}",
                                  "--tls-dir", folder, "--domain", "b.example.org", "--state-dir",
                                  world.path / "state"])
    server.wait_line("event=ready")
    assert peer_names(port, "b.example.org", own.ca) == ["b.example.org"]
    assert peer_names(port, None, own.ca) == ["b.example.org"]  # no SNI: the first
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        peer_names(port, "nobody.example.org", own.ca)
    assert server.stop(signal.SIGTERM, 8) == 0
    for file in folder.iterdir():
        file.unlink()
    nothing = world.run("karezd", [BUILD / "karezd", "--listen", f"tls:127.0.0.1:{port}",
                                   "--tls-dir", folder, "--state-dir", world.path / "state2"])
    nothing.wait_line(f'event=certificate-skipped file="{folder}" .*only passed through')
    nothing.wait_line("event=ready")


def test_karezd_says_what_is_wrong_with_a_list_of_revoked(world, own, authority):
    for file, word in (("/nosuch/crl.pem", "/nosuch/crl.pem"), (own.ca, str(own.ca))):
        proc = world.run("karezd", [
            BUILD / "karezd", "--state-dir", world.path / "state", "--agent-ca", own.ca,
            "--agent-crl", file, "--listen", f"tls:127.0.0.1:{free_port()}", "--tls-cert",
            authority.localhost.cert, "--tls-key", authority.localhost.key])
        assert proc.wait() == 1
        assert word in proc.text("err") and "revocation list" in proc.text("err")


# ---- the management listener ----


def test_the_management_listener_takes_certificates_only(world, own):
    port = free_port()
    rig = Rig(world, own, "--manage-listen", f"127.0.0.1:{port}")
    cert = own.issue("manager@example.org")

    def curl(*more):
        return subprocess.run(["curl", "-sS", "--noproxy", "*", "-m", "10", "--cacert", own.ca,
                               "-w", "\n%{http_code}", f"https://localhost:{port}/ping", *more],
                              capture_output=True, text=True, check=False, env=world.env())

    none = curl()
    assert none.returncode != 0 and none.stdout.strip() in ("", "000"), none.stdout
    rig.server.wait_line('event=certificate-refused .*subject="" reason="the peer shows no')
    shown = curl("--cert", cert.cert, "--key", cert.key)
    assert shown.returncode == 0 and not shown.stdout.endswith("000"), shown.stderr
    assert own.run("revoke", "manager@example.org").returncode == 0
    wait_until(lambda: curl("--cert", cert.cert, "--key", cert.key).returncode != 0, 8,
               "it is refused there as well")
