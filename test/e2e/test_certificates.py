"""TLS client certificates: who is asked for one, whom it proves, and what is said when it does not."""

import json
import signal
import subprocess

import pytest

from api_client import Api
from karez import BUILD, PATIENCE, free_port, wait_until
from servers import Target
from visitor import fetch


@pytest.fixture
def target(world):
    return world.closes(Target())


class Rig:
    """A server that asks for certificates, with a second door in clear for the administrator."""

    def __init__(self, world, authority, *options, ask=True, **kw):
        self.world, self.authority = world, authority
        self.clear = free_port()
        more = ["--agent-ca", authority.ca] if ask else []
        self.server = world.server("--listen", f"127.0.0.1:{self.clear}", *more, *options,
                                   tls=authority.localhost, **kw)
        self.port = self.server.port
        file = self.server.state / "admin-token"
        wait_until(file.exists, 5, "the administrator's token is written")
        self.admin_file = file
        self.admin = Api(self.clear, file.read_text().strip(), "localhost", world.plant)

    def account(self, *subjects):
        """Somebody's new account whom these names prove; returns its API."""
        made = self.admin.as_(None).post("/v1/account", {}).want(201).json()
        api = self.admin.as_(made["token"])
        api.id = made["id"]
        for subject in subjects:
            self.add(api.id, subject)
        return api

    def add(self, account, subject, **scope):
        made = self.admin.post(f"/v1/admin/accounts/{account}/credentials",
                               {"type": "certificate", "name": subject, "subject": subject,
                                "scope": scope}).want(201).json()
        return made["id"]

    def n_accounts(self):
        return len(self.admin.pages("/v1/admin/accounts"))

    def options(self, cert):
        return ["--ca-file", self.authority.ca, "--cert", cert.cert, "--key", cert.key]

    def agent(self, target, cert, *options, **kw):
        return self.world.agent(self.server, target.port, *self.options(cert), *options, **kw)

    def refused(self, target, cert, *options, **kw):
        """Start an agent that ends by itself with exit code 1; returns what it said."""
        agent = self.world.agent_unchecked(self.server, target.port, *self.options(cert), *options,
                                           **kw)
        assert agent.wait(10) == 1
        assert not agent.said("out")
        return agent.text("err")

    def karez(self, *args, env=None):
        """One command in a home without any credential; returns what has ended."""
        argv = [BUILD / "karez", *args, "--server", self.server.url, "--ca-file", self.authority.ca]
        env = self.world.env(KAREZ_CONFIG_DIR=self.world.dir("nobody"), **(env or {}))
        return subprocess.run([str(a) for a in argv], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30 * PATIENCE, check=False)

    def curl(self, path, cert=None, *more, host="localhost"):
        """Returns (status, what came as JSON); (0, None) when there was no answer."""
        argv = ["curl", "-sS", "--noproxy", "*", "-m", "10", "--cacert", self.authority.ca,
                "-w", "\n%{http_code}", f"https://{host}:{self.port}{path}", *more]
        argv += ["--cert", cert.cert, "--key", cert.key] if cert else []
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False,
                              env=self.world.env())
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), json.loads(body) if body else None


def tokens(config):
    """What is remembered there."""
    file = config / "credentials.json"
    text = file.read_text() if file.exists() else ""
    return text.count("kz_")


# ---- a good one ----


def test_a_certificate_is_as_good_as_a_token(world, authority, target):
    rig = Rig(world, authority)
    anna = rig.account("robot.example.org")
    cert = authority.client("robot", "/CN=somebody", "DNS:robot.example.org,DNS:second.example.org")
    agent = rig.agent(target, cert, "--name", "demo")
    assert fetch(rig.port, agent.host, tls=authority.client_context()).status == 200
    assert anna.get("/v1/tunnels/demo").want(200).json()["owner"] == anna.id
    assert tokens(agent.config) == 0

    for host in ("localhost", "127.0.0.1"):  # without SNI it is asked for, too
        status, account = rig.curl("/v1/account", cert, host=host)
        assert (status, account["id"]) == (200, anna.id)
    made = rig.curl("/v1/tunnels", cert, "-H", "Content-Type: application/json", "-d",
                    '{"name": "second"}')
    assert (made[0], made[1]["owner"]) == (201, anna.id)

    done = rig.karez("account", "show", "--json", "--cert", cert.cert, "--key", cert.key)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["id"] == anna.id
    done = rig.karez("login", "--cert", cert.cert, "--key", cert.key)
    assert done.returncode == 0 and anna.id in done.stdout, done.stderr
    assert tokens(world.dir("nobody")) == 0


def test_the_common_name_counts_in_any_case(world, authority, target):
    rig = Rig(world, authority)
    anna = rig.account("Robot-7")
    cert = authority.client("robot-7", "/O=Example/CN=robot-7")
    rig.agent(target, cert, "--name", "demo")
    assert anna.get("/v1/tunnels/demo").want(200).json()["owner"] == anna.id


def test_a_certificate_may_be_limited(world, authority, target):
    rig = Rig(world, authority)
    anna = rig.account()
    rig.add(anna.id, "limited", tunnels=["mine"])
    cert = authority.client("limited")
    agent = rig.agent(target, cert, "--name", "mine")
    assert "limited to other tunnels" in rig.refused(target, cert, "--name", "demo",
                                                     config="second")
    assert rig.curl("/v1/credentials", cert)[0] == 403
    assert fetch(rig.port, agent.host, tls=authority.client_context()).status == 200


# ---- one that proves nothing ----


@pytest.mark.parametrize("name, subject, words", [
    ("stranger.example.org", "/CN=stranger.example.org",
     'no account for the certificate "stranger.example.org"'),
    ("nobody", "/CN=two words", "names nobody"),
])
def test_a_certificate_nobody_has_makes_no_account(world, authority, target, name, subject, words):
    rig = Rig(world, authority)
    rig.account("robot")
    before = rig.n_accounts()
    cert = authority.client(name, subject)
    said = rig.refused(target, cert, "--wait")
    assert words in said and "refused by" in said, said
    assert "KAREZ_TOKEN" not in said and "login" not in said, said
    assert "names nobody" in words or "karez cert add" in said
    for path in ("/v1/account", "/v1/tunnels", "/v1/open?name=mine"):
        status, problem = rig.curl(path, cert)
        assert (status, problem["code"]) == (401, "AUTH"), path
        assert words in problem["detail"]
    done = rig.karez("tunnel", "ls", "--cert", cert.cert, "--key", cert.key)
    assert done.returncode == 1 and words in done.stderr and str(cert.cert) in done.stderr
    assert "login" not in done.stderr
    assert rig.n_accounts() == before


def bad_certs(authority):
    """What is refused in the handshake, and the word for it."""
    return [(authority.client("old", days=-1), "certificate expired"),
            (authority.client("alien", ca="other"), "unknown CA")]


def test_a_certificate_that_tls_refuses_is_named_with_the_reason(world, authority, target):
    rig = Rig(world, authority)
    rig.account("old", "alien")
    before = rig.n_accounts()
    for cert, words in bad_certs(authority):
        for options in ([], ["--wait"], ["--sessions", "1"]):
            said = rig.refused(target, cert, *options)
            assert f"refuses the certificate in {cert.cert}: {words}" in said, said
            assert said.count("\n") == 0, said
        done = rig.karez("tunnel", "ls", "--cert", cert.cert, "--key", cert.key)
        assert done.returncode == 1 and not done.stdout
        assert f"refuses the certificate in {cert.cert}: {words}" in done.stderr, done.stderr
        assert rig.curl("/v1/account", cert) == (0, None)
    assert rig.n_accounts() == before


def test_the_reason_is_never_lost_on_the_way(world, authority, target):
    """The server's last word and its end come while we are still sending."""
    rig = Rig(world, authority)
    (cert, words), _ = bad_certs(authority)
    agents = [world.agent_unchecked(rig.server, target.port, *rig.options(cert), config=f"a{i % 8}")
              for i in range(24)]
    for agent in agents:
        assert agent.wait(20) == 1
        assert words in agent.text("err"), agent.text()


def test_a_server_that_does_not_ask(world, authority, target):
    """It must not make an account for somebody who means to show a certificate."""
    rig = Rig(world, authority, ask=False)
    before = rig.n_accounts()
    cert = authority.client("unasked")
    said = rig.refused(target, cert)
    assert "no certificate came" in said and "--agent-ca" in said, said
    done = rig.karez("account", "show", "--cert", cert.cert, "--key", cert.key)
    assert done.returncode == 1 and "if the server asks" in done.stderr, done.stderr
    assert rig.n_accounts() == before


def test_without_a_certificate_all_is_as_before(world, authority, target):
    rig = Rig(world, authority)
    before = rig.n_accounts()
    agent = world.agent(rig.server, target.port, "--ca-file", authority.ca)
    assert fetch(rig.port, agent.host, tls=authority.client_context()).status == 200
    assert rig.n_accounts() == before + 1
    assert rig.curl("/v1/account")[0] == 401


# ---- the end of one ----


def test_a_revoked_certificate_ends_its_session_at_once(world, authority, target):
    rig = Rig(world, authority)
    anna = rig.account()
    credential = rig.add(anna.id, "short-lived")
    rig.add(anna.id, "long-lived")
    cert, other = authority.client("short-lived"), authority.client("long-lived")
    agent = rig.agent(target, cert, "--name", "demo")
    stays = rig.agent(target, other, "--name", "stays", config="other")
    rig.admin.delete(f"/v1/admin/accounts/{anna.id}/credentials/{credential}").want(204)
    assert agent.wait(3) == 1
    assert "refused by" in agent.text("err"), agent.text()
    assert fetch(rig.port, agent.host, tls=authority.client_context()).status == 503
    assert fetch(rig.port, stays.host, tls=authority.client_context()).status == 200
    assert 'no account for the certificate "short-lived"' in rig.refused(target, cert)
    assert rig.curl("/v1/account", cert)[0] == 401


def test_a_certificate_is_its_own_proof_to_be_dropped(world, authority):
    rig = Rig(world, authority)
    rig.account("goner")
    cert = authority.client("goner")
    assert rig.curl("/v1/credentials/self", cert)[1]["shown"] == "goner"
    assert rig.curl("/v1/credentials/self", cert, "-X", "DELETE")[0] == 204
    assert rig.curl("/v1/credentials/self", cert)[0] == 401


def test_a_server_that_changes_its_mind_is_tried_again(world, authority, target):
    """Only at the first connect is a refusal in the handshake the end."""
    rig = Rig(world, authority)
    rig.account("robot")
    cert = authority.client("robot")
    agent = rig.agent(target, cert, "--name", "demo")
    for ca, line in ((authority.other_ca, f"refuses the certificate in {cert.cert}: unknown CA"),
                     (authority.ca, "back again at")):
        mark = agent.mark()
        assert rig.server.stop(signal.SIGTERM, 8) == 0
        rig.server = agent.server = world.server("--agent-ca", ca, tls=authority.localhost,
                                                 port=rig.port)
        agent.wait_line(line, 20, since=mark)
    assert fetch(rig.port, agent.host, tls=authority.client_context()).status == 200


# ---- several proofs ----


def test_a_token_that_is_given_counts_more(world, authority, target):
    rig = Rig(world, authority)
    anna, bob = rig.account("both"), rig.account()
    cert = authority.client("both")
    bearer = f"Authorization: Bearer {bob.credential}"
    assert rig.curl("/v1/account", cert, "-H", bearer)[1]["id"] == bob.id
    assert rig.curl("/v1/account", cert, "-H", "Authorization: Bearer kz_wrong")[0] == 401
    file = world.path / "bob.token"
    file.write_text(bob.credential)
    rig.agent(target, cert, "--name", "by-file", "--token-file", file)
    rig.agent(target, cert, "--name", "by-env", env={"KAREZ_TOKEN": bob.credential}, config="env")
    for name in ("by-file", "by-env"):
        assert bob.get(f"/v1/tunnels/{name}").want(200).json()["owner"] == bob.id
    done = rig.karez("account", "show", "--json", "--cert", cert.cert, "--key", cert.key,
                     "--token-file", file)
    assert json.loads(done.stdout)["id"] == bob.id, done.stderr
    stranger = authority.client("not-known")  # its name does not matter when there is a token
    assert rig.curl("/v1/account", stranger, "-H", bearer)[1]["id"] == bob.id
    assert anna.get("/v1/tunnels").json()["tunnels"] == []


def test_a_remembered_token_counts_less(world, authority, target):
    rig = Rig(world, authority)
    anna = rig.account("robot")
    cert = authority.client("robot")
    first = world.agent(rig.server, target.port, "--ca-file", authority.ca, "--name", "fly")
    before = first.credentials().read_text()
    assert tokens(first.config) == 1
    second = rig.agent(target, cert, "--name", "demo")  # the same folder
    assert anna.get("/v1/tunnels/demo").want(200).json()["owner"] == anna.id
    anna.get("/v1/tunnels/fly").want(404)
    assert tokens(second.config) == 1
    remembered = json.loads(second.credentials().read_text())
    for server, had in json.loads(before).get("servers", {}).items():
        assert remembered["servers"][server]["token"] == had["token"]
    stranger = authority.client("unknown-robot")
    assert "no account for the certificate" in rig.refused(target, stranger)
    assert tokens(second.config) == 1


# ---- who is asked ----


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_visitors_are_not_asked(world, authority, version):
    rig = Rig(world, authority, domain="tunnels.localhost")

    def asked(*name):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{rig.port}", version,
                               "-CAfile", str(authority.ca), *name], input="", check=False,
                              capture_output=True, text=True, timeout=20 * PATIENCE)
        assert "Verify return code: 0" in done.stdout, done.stdout + done.stderr
        was = "Acceptable client certificate CA names" in done.stdout
        assert was != ("No client certificate CA names sent" in done.stdout)
        return was

    assert asked("-servername", "api.tunnels.localhost")
    assert asked("-servername", "API.tunnels.localhost")
    assert asked("-servername", "tunnels.localhost")
    assert asked("-noservername")
    for name in ("demo.tunnels.localhost", "a.demo.tunnels.localhost", "open.tunnels.localhost",
                 "app.example.org", "xtunnels.localhost"):
        assert not asked("-servername", name), name


def test_the_api_host_may_have_another_name(world, authority):
    rig = Rig(world, authority, "--api-host", "control.tunnels.localhost",
              domain="tunnels.localhost")
    anna = rig.account("robot")
    cert = authority.client("robot")
    to = ["--resolve", f"*:{rig.port}:127.0.0.1"]
    for host, status in (("control.tunnels.localhost", 200), ("api.tunnels.localhost", 404)):
        got, body = rig.curl("/v1/account", cert, *to, "-H", "Accept: application/json", host=host)
        assert got == status, body
    assert anna.id


def test_a_page_of_another_site_cannot_use_it(world, authority):
    """A browser shows the certificate whoever makes it ask."""
    rig = Rig(world, authority)
    anna = rig.account("browser")
    cert = authority.client("browser")
    number = ["-X", "POST"]
    for fields in (["Sec-Fetch-Site: same-site"], ["Sec-Fetch-Site: cross-site"],
                   ["Origin: https://demo.localhost"], ["Origin: null"],
                   ["Sec-Fetch-Site: same-site", "Origin: https://demo.localhost"]):
        lines = [a for f in fields for a in ("-H", f)]
        status, problem = rig.curl("/v1/account/number", cert, *number, *lines)
        assert (status, problem["code"]) == (403, "DENIED"), fields
        assert rig.curl("/v1/open?name=taken", cert, *lines)[0] == 403
    for site in ("same-origin", "none"):
        assert rig.curl("/v1/account", cert, "-H", f"Sec-Fetch-Site: {site}")[0] == 200
    anna.get("/v1/tunnels/taken").want(404)


# ---- the commands ----


def test_an_administrator_adds_and_removes_them(world, authority, target):
    rig = Rig(world, authority)
    anna = rig.account()
    by_admin = ["--token-file", rig.admin_file]
    added = rig.karez("cert", "add", "ci.example.org", "--account", anna.id, "--name", "ci",
                      "--tunnel", "ci", *by_admin)
    assert added.returncode == 0, added.stderr
    assert rig.karez("cert", "add", "mine.example.org", *by_admin).returncode == 0
    listed = rig.karez("cert", "ls", "--account", anna.id, *by_admin)
    assert "ci.example.org" in listed.stdout and "mine.example.org" not in listed.stdout
    assert "mine.example.org" in rig.karez("cert", "ls", *by_admin).stdout
    twice = rig.karez("cert", "add", "CI.example.org", "--account", anna.id, *by_admin)
    assert twice.returncode == 1 and "already" in twice.stderr
    cert = authority.client("ci", "/CN=ci.example.org")
    agent = rig.agent(target, cert, "--name", "ci")
    removed = rig.karez("cert", "rm", "ci", "--account", anna.id, *by_admin)
    assert removed.returncode == 0, removed.stderr
    assert agent.wait(3) == 1
    nowhere = rig.karez("cert", "add", "x.example.org", "--account", "nosuch", *by_admin)
    assert nowhere.returncode == 1 and nowhere.stderr
    file = world.path / "anna.token"
    file.write_text(anna.credential)
    for options in ([], ["--account", anna.id]):
        own = rig.karez("cert", "add", "own.example.org", *options, "--token-file", file)
        assert own.returncode == 1 and "administrator" in own.stderr, own.stderr


def test_an_administrator_may_be_a_certificate(world, authority):
    rig = Rig(world, authority)
    by_admin = ["--token-file", rig.admin_file]
    assert rig.karez("cert", "add", "root.example.org", *by_admin).returncode == 0
    cert = authority.client("root", "/CN=root.example.org")
    done = rig.karez("admin", "account", "ls", "--cert", cert.cert, "--key", cert.key)
    assert done.returncode == 0, done.stderr
    made = rig.karez("account", "create", "--cert", cert.cert, "--key", cert.key)
    assert made.returncode == 0, made.stderr  # whose certificate it is does not matter here
    assert rig.admin.get("/v1/account").json()["id"] not in made.stderr


@pytest.mark.parametrize("options, code, words", [
    (["--cert", "{cert}"], 2, "--key"),
    (["--key", "{key}"], 2, "--cert"),
    (["--cert", "/nosuch.pem", "--key", "{key}"], 1, "/nosuch.pem"),
    (["--cert", "{cert}", "--key", "{other}"], 1, "{other}"),
    (["--cert", "{cert}", "--key", "{locked}"], 1, "{locked}"),
])
def test_files_that_cannot_be_used_are_named(world, authority, target, options, code, words):
    rig = Rig(world, authority)
    cert = authority.client("robot")
    locked = authority.folder / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", cert.key, "-aes128", "-passout", "pass:x", "-out",
                    locked], check=True)
    fill = {"cert": cert.cert, "key": cert.key, "other": authority.localhost.key, "locked": locked}
    options = [o.format(**fill) for o in options]
    agent = world.agent_unchecked(rig.server, target.port, "--ca-file", authority.ca, *options)
    assert agent.wait() == code
    assert words.format(**fill) in agent.text("err"), agent.text()
    done = rig.karez("account", "show", *options)
    assert done.returncode == code and done.stderr, done
    if "nosuch" in words or code == 2:
        assert words.format(**fill) in done.stderr, done.stderr


def test_a_certificate_needs_https(world, authority, target):
    server, cert = world.server(), authority.client("robot")
    options = ["--cert", cert.cert, "--key", cert.key]
    agent = world.agent_unchecked(server, target.port, *options)
    assert agent.wait() == 1
    assert "https://" in agent.text("err"), agent.text()
    done = subprocess.run([BUILD / "karez", "account", "show", "--server", server.url, *options],
                          env=world.env(KAREZ_CONFIG_DIR=world.dir("nobody")), check=False,
                          capture_output=True, text=True)
    assert done.returncode == 1 and "https://" in done.stderr, done.stderr


@pytest.mark.parametrize("tls, file, code, word", [
    (False, "{ca}", 2, "tls:"),
    (True, "/nosuch/ca.pem", 1, "/nosuch/ca.pem"),
    (True, "{key}", 1, "{key}"),
])
def test_karezd_says_what_is_wrong_with_its_authority(world, authority, tls, file, code, word):
    fill = {"ca": authority.ca, "key": authority.localhost.key}
    argv = [BUILD / "karezd", "--state-dir", world.path / "state", "--agent-ca",
            file.format(**fill), "--listen", ("tls:" if tls else "") + f"127.0.0.1:{free_port()}"]
    if tls:
        argv += ["--tls-cert", authority.localhost.cert, "--tls-key", authority.localhost.key]
    proc = world.run("karezd", argv)
    assert proc.wait() == code
    assert word.format(**fill) in proc.text("err"), proc.text()
    assert "--agent-ca" in proc.text("err") or tls
