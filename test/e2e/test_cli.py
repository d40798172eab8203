"""The command line for people: accounts, credentials and tunnels through the API, and no secret where others look."""

import glob
import json
import os
import pty
import re
import select
import socket
import subprocess
import threading

import pytest

from fake_api import FakeApi, refuse, say
from karez import BUILD, PATIENCE, Failure, wait_until
from servers import Target
from visitor import fetch

TOKEN = re.compile(r"^kz_[A-Za-z0-9_-]{40,}$")
NUMBER = re.compile(r"^[A-Z0-9]{4}(-[A-Z0-9]{4}){3}$")


class Done:
    """A command that has ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


class Person:
    """Somebody with a home of their own, and all that was ever shown to them."""

    def __init__(self, world, name, server=None):
        self.dir = world.dir(name)
        self.env = world.env(KAREZ_CONFIG_DIR=self.dir / "config")
        if server:
            self.env["KAREZ_SERVER"] = server.url

    def run(self, *args, typed=None, env=None):
        argv = [str(BUILD / "karez"), *map(str, args)]
        done = subprocess.run(argv, input=typed, env={**self.env, **(env or {})}, cwd=self.dir,
                              stdin=subprocess.DEVNULL if typed is None else None,
                              capture_output=True, text=True, timeout=40 * PATIENCE, check=False)
        for text in (done.stdout, done.stderr):
            assert "Sanitizer" not in text and "runtime error:" not in text, text
            assert "CHECK failed" not in text, text
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *args, **kw):
        done = self.run(*args, **kw)
        assert done.code == 0, done.err
        return done

    def no(self, *args, **kw):
        """A command that is refused; returns what it said, which is never a result."""
        done = self.run(*args, **kw)
        assert done.code == 1 and done.out == "", (done.code, done.out, done.err)
        assert done.err.startswith("karez: "), done.err
        return done.err

    def on_a_terminal(self, *args, answers=(), env=None):
        """Run with a terminal; answers are (prompt, what is typed then). Returns (code, what the screen shows)."""
        master, slave = pty.openpty()
        child = subprocess.Popen([str(BUILD / "karez"), *map(str, args)], stdin=slave,
                                 stdout=slave, stderr=slave, cwd=self.dir,
                                 env={**self.env, "TERM": "xterm", **(env or {})})
        os.close(slave)
        screen, answers = b"", list(answers)
        try:
            while True:
                if not select.select([master], [], [], 20 * PATIENCE)[0]:
                    raise Failure(f"nothing happens after {screen!r}")
                try:
                    data = os.read(master, 4096)
                except OSError:  # a terminal ends with EIO
                    data = b""
                if not data:
                    break
                screen += data
                if answers and screen.endswith(answers[0][0].encode()):
                    os.write(master, answers.pop(0)[1].encode())
            return child.wait(10 * PATIENCE), screen.decode()
        finally:
            child.kill()
            child.wait()
            os.close(master)

    def file(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def credentials(self):
        path = self.dir / "config" / "credentials.json"
        return path.read_text() if path.exists() else ""


def administrator(world, server, name="admin"):
    """The first administrator, logged in as the server's first line says."""
    person = Person(world, name, server)
    path = world.path / "state" / "admin-token"
    wait_until(path.exists, 5, "karezd writes the administrator's token")
    person.ok("login", "--token-file", path)
    return person


def member(world, server, name):
    """Somebody with an account; returns (person, number)."""
    person = Person(world, name, server)
    return person, person.ok("account", "create", "--name", name).out.strip()


@pytest.fixture
def target(world):
    return world.closes(Target())


# ---- logging in ----

def test_login_by_file_names_the_account_and_keeps_the_token_to_itself(world):
    server = world.server()
    path = world.path / "state" / "admin-token"
    wait_until(path.exists, 5, "karezd writes the administrator's token")
    token = path.read_text().strip()
    person = Person(world, "admin")
    done = person.ok("login", "--server", server.url, "--token-file", path)
    assert re.match(rf"Logged in at {server.url}: account [a-z0-9]+, administrator", done.out)
    assert token not in done.out + done.err and token in person.credentials()
    assert (person.dir / "config" / "credentials.json").stat().st_mode & 0o777 == 0o600
    # the server that was logged in to is the one that is meant from now on
    assert person.ok("account", "show", "--json").json["admin"] is True
    done = person.ok("logout")
    assert token not in person.credentials() and "Logged out" in done.out
    assert 'use "karez login"' in person.no("account", "show", "--server", server.url)


def test_login_by_prompt_shows_nothing_of_what_is_typed(world):
    server = world.server()
    anna, number = member(world, server, "anna")
    again = Person(world, "again", server)
    code, screen = again.on_a_terminal("login", answers=[("Token or account number: ",
                                                         number.lower().replace("-", "") + "\r")])
    assert code == 0, screen
    assert "Logged in at" in screen and "anna" in screen
    assert number.lower().replace("-", "") not in screen and number not in screen
    code, screen = again.on_a_terminal("login", answers=[("Token or account number: ", "x\x03")])
    assert code == 1 and "broken off" in screen
    assert again.ok("account", "show", "--json").json == anna.ok("account", "show", "--json").json


def test_login_from_standard_input_and_from_the_environment(world):
    server = world.server()
    anna, number = member(world, server, "anna")
    assert Person(world, "b", server).ok("login", typed=number + "\n").out.startswith("Logged in")
    assert Person(world, "c", server).ok("login", "--token-file", "-", typed=number).code == 0
    c = Person(world, "d", server)
    assert c.ok("login", env={"KAREZ_TOKEN": number}).out.startswith("Logged in")
    assert number in c.credentials()
    # a token in the environment is used without being remembered
    e = Person(world, "e", server)
    assert e.ok("account", "show", "--json", env={"KAREZ_TOKEN": number}).json["name"] == "anna"
    assert number not in e.credentials()


@pytest.mark.parametrize("token", ["kz_" + "x" * 43, "ABCD-ABCD-ABCD-ABCD", "no such thing", "\x01", "x" * 600])
def test_a_wrong_token_is_refused_and_not_remembered(world, token):
    server = world.server()
    person = Person(world, "somebody", server)
    said = person.no("login", typed=token + "\n")
    assert token not in said
    assert token not in person.credentials()
    assert "not logged in" in person.no("account", "show")


def test_a_secret_on_the_command_line_is_refused(world):
    server = world.server()
    person = Person(world, "somebody", server)
    for args in (["login", "--token", "kz_canary"], ["account", "create", "--invitation=kz_canary"],
                 ["tunnel", "set", "demo", "--basic-auth", "anna:kz_canary"]):
        done = person.run(*args)
        assert done.code == 2 and done.out == ""
    assert not os.path.exists(person.dir / "config")


def test_no_secret_is_in_any_command_line_while_a_command_runs(world):
    secrets = ["kz_" + "c" * 43, "password-canary"]
    seen = []

    def script(method, path, headers, body):
        for file in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(file, "rb") as f:
                    seen.append(f.read())
            except OSError:
                pass
        if method == "GET":
            return say({"id": "x", "name": "demo"}, ETag='"7"')
        return say({"name": "demo"})

    api = world.closes(FakeApi(script))
    person = Person(world, "somebody", api)
    done = person.ok("login", typed=secrets[0] + "\n")
    done = person.ok("tunnel", "set", "demo", "--basic-auth", "anna", typed=secrets[1] + "\n")
    assert any(b"karez\0login" in line for line in seen)
    assert not any(s.encode() in line for s in secrets for line in seen)
    assert not any(s in done.out + done.err for s in secrets)
    method, path, headers, body = api.requests[-1]
    assert headers["Authorization"] == "Bearer " + secrets[0] and secrets[1] in body.decode()
    assert headers["If-Match"] == '"7"' and headers["User-Agent"].startswith("karez/")


# ---- accounts ----

def test_an_account_is_made_and_its_number_told_once(world):
    server = world.server()
    person = Person(world, "anna", server)
    done = person.ok("account", "create", "--name", "Anna Ä")
    number = done.out.strip()
    assert NUMBER.match(number) and "write it down" in done.err
    assert number not in person.credentials(), "the token is remembered, not the number"
    shown = person.ok("account", "show")
    assert "Anna Ä" in shown.out and number not in shown.out
    assert "already logged in" in person.no("account", "create")
    assert person.ok("account", "rename", "A. N.", "--json").json["name"] == "A. N."

    fresh = person.ok("account", "number", "--yes").out.strip()
    assert NUMBER.match(fresh) and fresh != number
    assert "does not accept" in Person(world, "b", server).no("login", typed=number + "\n")
    Person(world, "c", server).ok("login", typed=fresh + "\n")


def test_who_logs_in_by_the_number_can_replace_it_and_stays_logged_in(world):
    server = world.server()
    _, number = member(world, server, "anna")
    person = Person(world, "b", server)
    person.ok("login", typed=number + "\n")
    person.ok("account", "number", "--yes")
    assert person.ok("account", "show", "--json").json["name"] == "anna"


def test_an_account_made_on_the_fly_can_be_kept(world, target):
    server = world.server()
    agent = world.agent(server, target.port, config="anna/config")
    anna = Person(world, "anna", server)
    assert "made on the fly" in anna.ok("account", "show").out
    assert json.loads(anna.credentials())["servers"][server.url]["auto"] is True
    number = anna.ok("account", "number", "--yes").out.strip()
    assert json.loads(anna.credentials())["servers"][server.url]["auto"] is False
    elsewhere = Person(world, "elsewhere", server)
    elsewhere.ok("login", typed=number)
    assert elsewhere.ok("tunnel", "ls", "--json").json[0]["name"] == agent.name_

    # another account in its place: what becomes of the first one is said
    bob, bobs_number = member(world, server, "bob")
    world.agent(server, target.port, config="carl/config")
    carl = Person(world, "carl", server)
    done = carl.ok("login", typed=bobs_number)
    assert "made on the fly here is forgotten" in done.err
    assert carl.ok("account", "show", "--json").json["name"] == "bob"


def test_without_a_place_to_remember_a_given_token_still_works(world):
    server = world.server()
    anna, number = member(world, server, "anna")
    nowhere = {"KAREZ_CONFIG_DIR": "/dev/null/x", "KAREZ_TOKEN": number}
    assert anna.ok("account", "show", "--json", env=nowhere).json["name"] == "anna"
    said = anna.no("login", env=nowhere)
    assert "nothing can be remembered: " in said and "/dev/null/x" in said
    said = anna.no("account", "create", env=nowhere)
    assert "nothing can be remembered" in said
    broken = anna.dir / "broken"
    broken.mkdir()
    (broken / "credentials.json").write_text("{")
    assert "is damaged" in anna.no("account", "show", env={"KAREZ_CONFIG_DIR": str(broken)})
    assert (broken / "credentials.json").read_text() == "{"
    (broken / "credentials.json").unlink()


def test_deleting_an_account_asks_for_its_id(world):
    server = world.server()
    person, number = member(world, server, "anna")
    account = person.ok("account", "show", "--json").json["id"]
    assert "--yes" in person.no("account", "rm")
    code, screen = person.on_a_terminal("account", "rm", answers=[("to go on: ", "yes\r")])
    assert code == 1 and "nothing was done" in screen
    code, screen = person.on_a_terminal("account", "rm", answers=[("to go on: ", account + "\r")])
    assert code == 0 and f"Deleted account {account}" in screen
    assert "not logged in" in person.no("account", "show")
    assert "does not accept" in person.no("login", typed=number + "\n")


def test_registration_switched_off_is_said(world):
    server = world.server(registration=False)
    person = Person(world, "anna", server)
    said = person.no("account", "create")
    assert "account" in said
    assert "token" not in person.credentials()


def test_registration_by_invitation(world):
    server = world.server("--registration", "invitation", registration=False)
    admin = administrator(world, server)
    done = admin.ok("admin", "invite", "add", "for anna", "--expires", "30d")
    code = done.out.strip()
    assert code in done.out and "not shown again" in done.err and code not in done.err
    assert "for anna" in admin.ok("admin", "invite", "ls").out
    anna = Person(world, "anna", server)
    assert "nothing was given" in anna.no("account", "create")
    anna.no("account", "create", typed="ABCD-ABCD-ABCD-ABCD\n")
    done = anna.ok("account", "create", "--invitation-file", anna.file("code", code + "\n"))
    assert code not in done.out + done.err
    # used up
    Person(world, "bob", server).no("account", "create", env={"KAREZ_INVITATION": code})
    more = admin.ok("admin", "invite", "add", "--json").json
    assert "for anna" not in admin.ok("admin", "invite", "ls").out
    admin.ok("admin", "invite", "rm", more["id"])
    Person(world, "carl", server).no("account", "create", typed=more["code"])


# ---- credentials ----

def test_tokens_are_made_listed_limited_and_revoked(world):
    server = world.server()
    anna, _ = member(world, server, "anna")
    done = anna.ok("token", "add", "ci", "--tunnel", "demo", "--tunnel", "*.tim", "--expires", "30d")
    token = done.out.strip()
    assert TOKEN.match(token) and token not in done.err
    listed = anna.ok("token", "ls").out
    assert "demo, *.tim" in listed and "in 30 days" in listed and token not in listed
    assert "(this one)" in listed

    ci = {"KAREZ_TOKEN": token}
    anna.ok("tunnel", "create", "demo", env=ci)
    anna.no("tunnel", "create", "other", env=ci)
    anna.no("token", "ls", env=ci)
    anna.ok("tunnel", "create", "other")
    assert [t["name"] for t in anna.ok("tunnel", "ls", "--json", env=ci).json] == ["demo"]

    assert "no token \"cd\"" in anna.no("token", "rm", "cd")
    anna.ok("token", "rm", "ci")
    assert "does not accept" in anna.no("tunnel", "ls", env=ci)
    assert "ci" not in anna.ok("token", "ls").out


def test_a_token_goes_to_a_new_private_file(world):
    server = world.server()
    anna, _ = member(world, server, "anna")
    path = anna.dir / "ci.token"
    done = anna.ok("token", "add", "ci", "--out", path)
    token = path.read_text().strip()
    assert TOKEN.match(token) and token not in done.out + done.err
    assert path.stat().st_mode & 0o777 == 0o600
    before = len(anna.ok("token", "ls", "--json").json)
    assert "File exists" in anna.no("token", "add", "other", "--out", path)
    assert path.read_text().strip() == token
    assert len(anna.ok("token", "ls", "--json").json) == before, "none is made that nobody has"
    gone = anna.dir / "gone.token"
    anna.no("token", "add", "x" * 200, "--out", gone)
    assert not gone.exists(), "a refusal leaves no empty file"
    anna.ok("account", "show", "--token-file", path)


def test_a_revoked_login_is_explained(world):
    server = world.server()
    anna, number = member(world, server, "anna")
    other = Person(world, "other", server)
    other.ok("login", typed=number + "\n")
    listed = other.ok("token", "ls", "--json").json
    first = [c for c in listed if c["type"] == "token"][0]
    other.ok("token", "rm", first["id"])
    said = anna.no("account", "show")
    assert "no longer good" in said and "karez login" in said


def test_logout_can_revoke(world):
    server = world.server()
    anna, number = member(world, server, "anna")
    token = json.loads(anna.credentials())["servers"][server.url]["token"]
    assert "works nowhere" in anna.ok("logout", "--revoke").out
    assert "does not accept" in anna.no("account", "show", env={"KAREZ_TOKEN": token})
    anna.ok("account", "show", env={"KAREZ_TOKEN": number})


def keygen(folder, name, *options):
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "me@x", "-f", str(path), *options],
                   check=True)
    return path


def test_ssh_keys_are_checked_before_they_are_kept(world):
    server = world.server()
    anna, _ = member(world, server, "anna")
    key = keygen(anna.dir, "id", "-t", "ed25519")
    public = key.with_suffix(".pub").read_text()
    short = keygen(anna.dir, "short", "-t", "rsa", "-b", "1024").with_suffix(".pub")

    assert "private key" in anna.no("key", "add", key)
    assert "2048" in anna.no("key", "add", short)
    for text in ("", "garbage", public + public, 'command="x" ' + public, public[:-30] + "AA me\n",
                 "ssh-dss AAAAB3NzaC1kc3MAAACB me\n"):
        anna.no("key", "add", "-", "--name", "bad", typed=text)
    assert anna.ok("key", "ls").out == "There are no SSH keys\n"

    anna.ok("key", "add", str(key) + ".pub", "--name", "laptop")
    assert "ssh-ed25519" in anna.ok("key", "ls").out
    anna.no("key", "add", str(key) + ".pub")  # it proves somebody already
    anna.ok("key", "rm", "laptop")
    assert anna.ok("key", "ls", "--json").json == []


def test_certificates_are_added_by_administrators(world):
    server = world.server()
    anna, _ = member(world, server, "anna")
    assert "administrator" in anna.no("cert", "add", "robot.example.org")
    admin = administrator(world, server)
    admin.ok("cert", "add", "robot.example.org", "--name", "robot")
    assert "robot.example.org" in admin.ok("cert", "ls").out
    admin.ok("cert", "rm", "robot")
    assert admin.ok("cert", "ls").out == "There are no certificates\n"


# ---- tunnels ----

def test_a_tunnel_is_made_shown_changed_and_deleted(world):
    server = world.server()
    anna, _ = member(world, server, "anna")
    made = anna.ok("tunnel", "create", "demo", "--target", "3000", "--json").json
    assert made["name"] == "demo" and made["target"]["url"] == "http://localhost:3000"
    assert re.search(r"State +not connected", anna.ok("tunnel", "show", "demo").out)
    assert "demo" in anna.no("tunnel", "create", "demo")
    assert re.fullmatch(r"[a-z0-9]{4,}", anna.ok("tunnel", "create", "--json").json["name"])

    anna.ok("tunnel", "set", "demo", "--policy", "failover", "--max-sessions", "2", "--rewrite-host",
            "--allow", "127.0.0.0/8", "--deny", "127.0.0.9")
    anna.ok("tunnel", "set", "demo", "-u", "anna", "-u", "bob", typed="one-pass-word\ntwo-pass-word\n")
    anna.ok("tunnel", "set", "demo", "-u", "carl", typed="three-pass-word\n")
    now = anna.ok("tunnel", "show", "demo", "--json").json
    assert now["transport"]["policy"] == "failover" and now["transport"]["max_connections"] == 2
    assert now["headers"]["rewrite"] is True and now["target"]["url"] == "http://localhost:3000"
    assert [u["user"] for u in now["visitors"]["basic"]] == ["anna", "bob", "carl"]
    assert now["visitors"]["allow"] == ["127.0.0.0/8"]
    assert "pass-word" not in json.dumps(now)

    bearers = anna.file("bearers", "0123456789abcdef\n")
    cleared = anna.ok("tunnel", "set", "demo", "--no-auth", "--bearer-file", bearers, "--json").json
    assert cleared["visitors"]["basic"] == [] and cleared["visitors"]["bearer"] == 1
    assert cleared["visitors"]["allow"] == [] and cleared["transport"]["policy"] == "failover"
    assert "nothing to change" in anna.no("tunnel", "set", "demo")
    assert "switched off" in anna.ok("tunnel", "set", "demo", "--no-enabled").out

    said = anna.no("tunnel", "set", "demo", "--domain", "app.example.org")
    assert "app.example.org" in said
    bob, _ = member(world, server, "bob")
    assert "no such tunnel" in bob.no("tunnel", "show", "demo")
    bob.no("tunnel", "rm", "demo")
    assert anna.ok("tunnel", "rm", "demo").out == "Deleted demo\n"
    anna.no("tunnel", "show", "demo")
    bob.ok("tunnel", "create", "demo")


def test_the_agent_uses_the_login_and_its_sessions_can_be_ended(world, target):
    server = world.server(registration=False)
    admin = administrator(world, server)
    agent = world.agent(server, target.port, "--name", "demo", config="admin/config")
    assert fetch(server.port, agent.host).status == 200
    mine = admin.ok("account", "show", "--json").json["id"]
    shown = admin.ok("tunnel", "show", "demo", "--json").json
    assert shown["owner"] == mine and shown["connection"]["connected"] is True
    sessions = admin.ok("tunnel", "sessions", "demo", "--json").json
    assert len(sessions) == 2 and "127.0.0.1" in admin.ok("tunnel", "sessions", "demo").out
    assert admin.ok("tunnel", "visitors", "demo").out == "Nobody visits this tunnel now\n"
    admin.no("tunnel", "disconnect", "demo", "--session", "999999999")
    admin.no("tunnel", "disconnect", "demo", "--reason", "lunch \x1b[31mtime")
    number = str(sessions[0]["id"])
    admin.ok("tunnel", "disconnect", "demo", "--reason", "lunch time")
    agent.expect_alive = False
    agent.wait_line("lunch time", 5, "err")
    admin.no("tunnel", "disconnect", "demo", "--session", number)
    assert agent.wait() == 1
    assert admin.ok("tunnel", "disconnect", "demo").out == "Nobody was connected\n"


def test_without_a_named_server_the_agent_goes_where_somebody_logged_in(world, target):
    server = world.server(registration=False)
    anna = Person(world, "anna")
    path = world.path / "state" / "admin-token"
    wait_until(path.exists, 5, "karezd writes the administrator's token")
    anna.ok("login", "--server", server.url, "--token-file", path)
    proc = world.run("karez", [BUILD / "karez", target.port], env=anna.env)
    proc.wait_line("is now publicly accessible", 5, "out")
    proc.stop()


def test_more_tunnels_than_a_page_are_listed(world):
    server = world.server()
    admin = administrator(world, server)
    admin.ok("admin", "account", "set", admin.ok("account", "show", "--json").json["id"],
             "--quota-tunnels", "300")
    names = [f"t{i:03}" for i in range(130)]
    token = json.loads(admin.credentials())["servers"][server.url]["token"]
    config = admin.file("curl", f'header = "Authorization: Bearer {token}"\n')
    urls = [a for n in names for a in ("-X", "PUT", "-H", "Content-Type: application/json", "-d", "{}", "-o",
                                       "/dev/null", f"{server.url}/v1/tunnels/{n}", "-K", config, "--next")]
    subprocess.run(["curl", "-sS", "--noproxy", "*", *map(str, urls[:-1])], check=True, timeout=60 * PATIENCE)
    assert sorted(t["name"] for t in admin.ok("tunnel", "ls", "--json").json) == names
    table = admin.ok("tunnel", "ls").out.splitlines()
    assert len(table) == 131 and table[0].startswith("NAME")
    assert sorted(t["name"] for t in admin.ok("admin", "tunnel", "ls", "--json").json) == names


# ---- administrators ----

def test_administrators_look_after_accounts_of_others(world, target):
    server = world.server()
    admin = administrator(world, server)
    done = admin.ok("admin", "account", "create", "--name", "bob", "--quota-tunnels", "1", "--json")
    made = json.loads(done.out)
    bob = Person(world, "bob", server)
    bob.ok("login", typed=made["account_id_hr"] + "\n")
    bob.ok("tunnel", "create", "one")
    bob.no("tunnel", "create", "two")
    assert "administrator" in bob.no("admin", "account", "ls")
    agent = world.agent(server, target.port, "--name", "one", config="bob/config")
    shown = admin.ok("admin", "account", "set", made["id"], "--no-enabled", "--reason", "unpaid")
    assert "switched off: unpaid" in shown.out
    agent.expect_alive = False
    agent.wait_line("unpaid", 5, "err")
    assert agent.wait() == 1
    assert "unpaid" in bob.no("tunnel", "ls")
    admin.ok("admin", "account", "set", made["id"], "--enabled")
    bob.ok("tunnel", "ls")
    assert "one" in admin.ok("admin", "tunnel", "ls").out
    admin.ok("admin", "tunnel", "show", "one")
    admin.ok("admin", "tunnel", "rm", "one")
    assert admin.ok("admin", "node", "--json").json["store"] == "sqlite"
    (node,) = admin.ok("admin", "nodes", "--json").json
    assert node["this"] is True and node["draining"] is False
    assert "(this)" in admin.ok("admin", "nodes").out
    assert "--yes" in admin.no("admin", "account", "rm", made["id"])
    assert admin.ok("admin", "account", "rm", made["id"], "--yes").out == f"Deleted {made['id']}\n"
    admin.no("admin", "account", "show", made["id"])


def test_pruning_leaves_alone_what_is_young_used_or_kept(world):
    def account(name, automatic=True, used="2020-01-01T00:00:00.000Z", **more):
        return {"id": name, "name": "", "enabled": True, "automatic": automatic, "used_at": used, **more}

    accounts = [account("old"), account("kept", automatic=False), account("admin", admin=True),
                account("new", used="2099-01-01T00:00:00.000Z"), account("serves"),
                account("comes-back"), account("odd", used="yesterday")]

    def script(method, path, headers, body):
        if path.startswith("/v1/admin/accounts?"):
            return say({"accounts": accounts, "cursor": None})
        if path.startswith("/v1/admin/tunnels?"):
            return say({"tunnels": [{"name": "t", "owner": "serves", "connection": {"connected": True}},
                                    {"name": "u", "owner": "old", "connection": {"connected": False}}]})
        if method == "GET":
            name = path.rsplit("/", 1)[1]
            return say(next(a for a in accounts if a["id"] == name), ETag='"1"')
        if path == "/v1/admin/accounts/comes-back":
            return refuse(412, "CONFLICT", "changed")
        assert method == "DELETE" and headers["If-Match"] == '"1"'
        return 204, {}, b""

    api = world.closes(FakeApi(script))
    person = Person(world, "admin", api)
    env = {"KAREZ_TOKEN": "kz_x"}
    assert "2 accounts" in person.no("admin", "account", "prune", "--unused", "90d", env=env)
    assert not [r for r in api.requests if r[0] == "DELETE"]
    done = person.ok("admin", "account", "prune", "--unused", "90d", "--yes", env=env)
    assert done.out == "Deleted old\n"
    assert {r[1] for r in api.requests if r[0] == "DELETE"} == {"/v1/admin/accounts/old",
                                                               "/v1/admin/accounts/comes-back"}


# ---- the way to the server ----

class Proxy:
    """An HTTP proxy that knows CONNECT and nothing else, and notes what it was asked."""

    def __init__(self):
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_one, args=(sock,), daemon=True).start()

    def serve_one(self, sock):
        try:
            self.connect(sock)
        except OSError:
            pass  # one of the two has left

    def connect(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(4096)
            if not data:
                return
            head += data
        self.asked.append(head.decode())
        host, port = head.split(b" ")[1].rsplit(b":", 1)
        with sock, socket.create_connection(("127.0.0.1", int(port))) as far:
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                ready, _, _ = select.select([sock, far], [], [])
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    (far if end is sock else sock).sendall(data)

    def close(self):
        self.listener.close()


def test_the_proxy_of_the_environment_is_used_and_sees_no_credential(world, authority):
    server = world.server(tls=authority.localhost, domain="tunnels.localhost")
    proxy = world.closes(Proxy())
    anna = Person(world, "anna", server)
    anna.env["KAREZ_CA_FILE"] = str(authority.ca)
    anna.ok("account", "create", env={"HTTPS_PROXY": proxy.url})
    anna.ok("account", "show", env={"HTTPS_PROXY": proxy.url})
    assert len(proxy.asked) == 2
    for head in proxy.asked:
        assert head.startswith(f"CONNECT localhost:{server.port} HTTP/1.1\r\n")
        assert "authorization" not in head.lower() and "kz_" not in head
    anna.ok("account", "show", env={"HTTPS_PROXY": proxy.url, "NO_PROXY": "localhost"})
    assert len(proxy.asked) == 2


def test_a_server_that_cannot_prove_its_name_gets_no_credential(world, authority):
    for tls, options in ((authority.localhost, []), (authority.self_signed, ["--ca-file", str(authority.ca)])):
        api = world.closes(FakeApi(lambda *_: say({}), tls=tls.server_context()))
        said = Person(world, "somebody", api).no("account", "show", *options, env={"KAREZ_TOKEN": "kz_canary"})
        assert "no answer from" in said and "certificate" in said.lower(), said
        assert api.requests == []


def test_no_server_is_said_with_what_to_do(world):
    person = Person(world, "somebody")
    assert "not logged in at http://localhost:8080" in person.no("tunnel", "ls")
    said = person.no("tunnel", "ls", "--server", "http://127.0.0.1:1", env={"KAREZ_TOKEN": "kz_x"})
    assert "no answer from http://127.0.0.1:1" in said


# ---- servers that are not karezd, or not kind ----

def answer_once(world, answer, *args, code=1, name="somebody"):
    api = world.closes(FakeApi(lambda *_: answer))
    person = Person(world, name, api)
    done = person.run(*args, env={"KAREZ_TOKEN": "kz_canary"})
    assert done.code == code, done.err
    assert "kz_canary" not in done.out + done.err
    return done, api


HOSTILE = [
    ("a redirect is not followed", (302, {"Location": "http://127.0.0.1:1/"}, b""), "redirect"),
    ("another web server", (200, {"Content-Type": "text/html"}, b"<html>"), "no API of karez"),
    ("another web server's 404", (404, {}, b"<html>"), "no API of karez"),
    ("no JSON", (200, {}, b'{"id":'), "no API of karez"),
    ("too deep", (200, {}, b"[" * 100 + b"]" * 100), "no API of karez"),
    ("too long", (200, {}, b'"' + b"x" * (5 << 20) + b'"'), "too long"),
    ("a failure", (500, {}, b"oops"), "no API of karez"),
    ("a refusal with an escape", refuse(400, "INVAL", "\x1b[31mred\nkarez: ok"), "\\x1b[31mred\\x0akarez: ok"),
    ("an unknown credential", refuse(401, "AUTH", "not known"), "does not accept"),
    ("somebody was faster", refuse(412, "CONFLICT", "x"), "somebody else has changed it"),
]


@pytest.mark.parametrize("why,answer,said", HOSTILE, ids=[h[0] for h in HOSTILE])
def test_answers_that_are_none(world, why, answer, said):
    done, api = answer_once(world, answer, "account", "show")
    assert said in done.err and done.out == ""
    assert len(api.requests) == 1


def test_control_characters_of_others_never_reach_the_terminal(world):
    evil = "a\x1b]0;owned\x07\x9b31mb\u202ec\x7f"
    items = {"tunnels": [{"name": evil, "target": {"url": evil}}, {"name": "市场häuser"}]}
    api = world.closes(FakeApi(lambda *_: say(items)))
    person = Person(world, "somebody", api)
    env = {"KAREZ_TOKEN": "kz_x"}
    for args in (["tunnel", "ls"], ["tunnel", "ls", "--json"]):
        out = person.ok(*args, env=env).out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out), out
    assert person.ok("tunnel", "ls", "--json", env=env).json == items["tunnels"]
    code, screen = person.on_a_terminal("tunnel", "ls", env={**env, "NO_COLOR": "1"})
    assert code == 0 and "\x1b" not in screen
    code, screen = person.on_a_terminal("tunnel", "ls", env=env)
    assert screen.count("\x1b") == 2 and screen.startswith("\x1b[1mNAME")


def test_a_list_without_an_end_ends(world):
    api = world.closes(FakeApi(lambda *_: say({"tunnels": [{"name": "x"}], "cursor": "same"})))
    person = Person(world, "somebody", api)
    assert "has no end" in person.no("tunnel", "ls", env={"KAREZ_TOKEN": "kz_x"})
    assert len(api.requests) == 2 and api.requests[1][1] == "/v1/tunnels?limit=100&cursor=same"


def test_names_cannot_lead_to_another_path(world):
    api = world.closes(FakeApi(lambda *_: say({"name": "x"})))
    person = Person(world, "somebody", api)
    person.ok("tunnel", "show", "a/../../b?c#d%2e", env={"KAREZ_TOKEN": "kz_x"})
    assert api.requests[0][1] == "/v1/tunnels/a%2F..%2F..%2Fb%3Fc%23d%252e"
    assert person.run("tunnel", "rm", "..", env={"KAREZ_TOKEN": "kz_x"}).code == 2


def test_a_dns_record_that_would_prove_a_domain_stands_on_a_line_of_its_own(world):
    answer = refuse(400, "INVAL", '"a.example" is not proven to be yours: make a DNS record "a.example CNAME '
                                  'demo.x", or "_karez.a.example TXT karez-verify=0f", and try again',
                    "ingress.http.alt_names")
    done, _ = answer_once(world, answer, "tunnel", "set", "demo", "--domain", "a.example")
    assert "    a.example  IN CNAME  demo.x\n    _karez.a.example  IN TXT  karez-verify=0f\n" in done.err


# ---- help ----

def test_every_command_has_help_and_stands_in_the_manual(world):
    person = Person(world, "somebody")
    page = person.ok("--print-manual").out
    commands = [line.split(" ")[2:] for line in page.splitlines() if line.startswith(".Ss karez ")]
    assert ["token", "add"] in commands and ["admin", "account", "prune"] in commands
    for words in commands + [[], ["token"], ["admin"], ["admin", "account"]]:
        done = person.ok(*words, "--help")
        assert done.out.startswith("Usage: karez") and done.err == ""
        assert max(map(len, done.out.splitlines())) <= 80
    done = person.run("token")
    assert done.code == 2 and "expected one of add, ls, rm" in done.err
    assert not os.path.exists(person.dir / "config"), "help makes no files"
