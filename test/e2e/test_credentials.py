"""What proves an account: which keys are taken, and how a credential is revoked, limited, over."""

import json
import subprocess

import pytest

from api_client import number_forms
from api_scene import agent, agent_refused, ended, later
from karez import wait_until
from servers import Target
from visitor import Broken, Visitor, fetch


@pytest.fixture
def target(world):
    return world.closes(Target())


# ---- A3: keys ----

def keygen(folder, *options):
    file = folder / f"key{len(list(folder.iterdir()))}"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "anna@laptop", "-f", file, *options],
                   check=True, stdin=subprocess.DEVNULL)
    return file.read_text(), file.with_name(file.name + ".pub").read_text()


def add_key(api, text):
    return api.post("/v1/credentials", {"type": "ssh-key", "name": "laptop", "key": text})


@pytest.mark.parametrize("options", [("-t", "ed25519"), ("-t", "ecdsa", "-b", "256"),
                                     ("-t", "ecdsa", "-b", "384"), ("-t", "ecdsa", "-b", "521"),
                                     ("-t", "rsa", "-b", "2048"), ("-t", "rsa", "-b", "4096")],
                         ids=" ".join)
def test_a3_keys_of_ssh_keygen_are_accepted(world, options):
    server = world.server()
    anna, bert = server.account(), server.account()
    private, public = keygen(world.dir("keys"), *options)
    made = add_key(anna, public).want(201).json()
    assert made["shown"] == public.strip() and made["type"] == "ssh-key" and "token" not in made
    assert made["scope"] == {"tunnels": [], "kinds": [], "ports": []}
    for api in (anna, bert):  # one key proves one account
        add_key(api, public).refused(409, "EXISTS", "key")
    refused = add_key(anna, private).refused(400, "INVAL", "key")
    assert "private key" in refused["detail"] and ".pub" in refused["detail"]
    assert private.split("\n")[3] not in json.dumps(refused)
    anna.delete("/v1/credentials/" + made["id"]).want(204)
    add_key(bert, public.replace("anna@laptop", "")).want(201)


PUTTY = """PuTTY-User-Key-File-3: ssh-ed25519
Encryption: none
Comment: eddsa-key-20261121
Public-Lines: 2
AAAAC3NzaC1lZDI1NTE5AAAAIHq2PYjVJQ2rYbS0V8mhPLBlsQZ2g0rYQXvUcuF7
RqC6
Private-Lines: 1
AAAAIGc2canary0putty0private0canary0putty0private0canary0=
Private-MAC: 00
"""


def test_a3_what_is_no_public_key_is_refused_with_the_reason(world):
    server = world.server()
    anna = server.account()
    keys = world.dir("keys")
    _, one = keygen(keys, "-t", "ed25519")
    _, two = keygen(keys, "-t", "ed25519")
    pem, _ = keygen(keys, "-t", "rsa", "-b", "2048", "-m", "PEM")
    locked, _ = keygen(keys, "-t", "ed25519", "-N", "secret phrase")
    _, short = keygen(keys, "-t", "rsa", "-b", "1024")
    words = one.split()
    cases = [
        ("a private key as PEM", pem, "private key"),
        ("a private key with a passphrase", locked, "private key"),
        ("a key of PuTTY", PUTTY, "PuTTY"),
        ("two lines", one + two, "more than one line"),
        ("two lines, the other is empty of sense", "# mine\n" + one, "more than one line"),
        ("an option", 'command="/bin/sh" ' + one, "in front"),
        ("several", "no-pty,from=\"10.0.0.0/8\" " + one, "in front"),
        ("a short RSA key", short, "2048"),
        ("another type's name", "ssh-rsa " + words[1], "another type"),
        ("cut", f"{words[0]} {words[1][:40]}", "damaged"),
        ("one letter is none", f"{words[0]} {words[1][:20]}!{words[1][21:]}", "damaged"),
        ("the type alone", words[0], "missing"),
        ("the rest alone", words[1], "type in front"),
        ("DSA", "ssh-dss AAAAB3NzaC1kc3MAAACB", "DSA"),
        ("a word", "hello", "not known"),
        ("spaces", "   ", "no key"),
    ]
    for why, text, word in cases:
        problem = add_key(anna, text).refused(400, "INVAL", "key")
        assert word in problem["detail"], (why, problem)
    anna.post("/v1/credentials", {"type": "ssh-key"}).refused(400, field="key")
    anna.post("/v1/credentials", {"type": "token", "key": one}).refused(400, field="key")
    assert len(anna.pages("/v1/credentials")) == 2, "its number and its first token"
    world.plant("canary0putty0private0", pem.split("\n")[3], locked.split("\n")[3])


def test_certificates_are_added_by_administrators_only(world):
    server = world.server()
    admin, anna = server.admin(), server.account()
    body = {"type": "certificate", "name": "robot", "subject": "robot.example.org"}
    anna.post("/v1/credentials", body).refused(403, "DENIED")
    path = f"/v1/admin/accounts/{anna.made['id']}/credentials"
    made = admin.post(path, body).want(201).json()
    assert made["shown"] == "robot.example.org" and made["self"] is False
    admin.post(path, body).refused(409, "EXISTS", "subject")
    assert made["id"] in {c["id"] for c in anna.pages("/v1/credentials")}
    anna.delete("/v1/credentials/" + made["id"]).want(204)
    admin.post(path, body).want(201)


# ---- credentials: revoked, limited, over ----

def test_revoking_a_token_ends_its_sessions_at_once_also_for_a_visitor_in_the_middle(world, target):
    server = world.server()
    anna = server.account()
    id_, token = anna.token("ci")
    revoked = agent(world, server, server.api(token), target, "one", config="one")
    stays = agent(world, server, anna, target, "two", config="two")
    with Visitor(server.port) as v, Visitor(server.port) as other:
        v.ask(revoked.host, "/gate")
        wait_until(lambda: target.waiting == 1, 5, "one waits")
        with Visitor(server.port) as down:
            down.ask(revoked.host, "/down/1000000000")
            assert down.head().status == 200
            anna.delete(f"/v1/credentials/{id_}").want(204)
            with pytest.raises((Broken, ConnectionResetError)):
                down.exactly(1000000000)
        assert v.answer().status == 502
        assert other.get(stays.host).status == 200
    ended(revoked, "revoked", "KAREZ_TOKEN")
    assert fetch(server.port, revoked.host).status == 503
    server.api(token).get("/v1/account").refused(401)
    assert "refused by" in agent_refused(world, server, token, target, "--name", "one")
    assert stays.alive()


def test_logging_out_by_the_api_ends_sessions(world, target):
    server = world.server()
    anna = server.account()
    limited = server.api(anna.token("ci", tunnels=["one"])[1])
    a = agent(world, server, limited, target, "one")
    limited.delete("/v1/credentials/self").want(204)
    ended(a, "revoked")


def test_an_administrator_revokes_for_others(world, target):
    server = world.server()
    admin, anna = server.admin(), server.account()
    a = agent(world, server, anna, target, "one")
    path = f"/v1/admin/accounts/{anna.made['id']}/credentials"
    mine = [c["id"] for c in admin.pages(path) if c["type"] == "token"]
    admin.delete(f"{path}/{mine[0]}").want(204)
    ended(a, "revoked")
    anna.get("/v1/account").refused(401)


def test_disabling_an_account_ends_its_sessions_with_the_reason(world, target):
    server = world.server()
    admin, anna = server.admin(), server.account()
    a = agent(world, server, anna, target, "one")
    path = "/v1/admin/accounts/" + anna.made["id"]
    admin.patch(path, {"enabled": False, "reason": "phishing, see ticket 7"}).want(200)
    ended(a, "phishing, see ticket 7")
    assert fetch(server.port, a.host).status in (403, 503)
    assert "ticket 7" in agent_refused(world, server, anna.credential, target, "--name", "one")
    assert "ticket 7" in anna.get("/v1/account").refused(403, "DISABLED")["detail"]
    admin.patch(path, {"enabled": True}).want(200)
    agent(world, server, anna, target, "one")
    assert "reason" not in anna.account()


def test_a_scope_limits_which_tunnels_an_agent_serves(world, target):
    server = world.server()
    anna = server.account()
    limited = server.api(anna.token("ci", tunnels=["one", "*.tim"], kinds=["http"])[1])
    for name, config in (("one", "a"), ("x.tim", "b"), ("y.z.tim", "c")):
        assert agent(world, server, limited, target, name, config=config).name_ == name
    for name in ("two", "tim", "xtim", "one.one"):
        said = agent_refused(world, server, limited.credential, target, "--name", name)
        assert "limited to other tunnels" in said
    said = agent_refused(world, server, limited.credential, target, config="noname")
    assert "limited to certain tunnels" in said
    other = server.api(anna.token("tcp only", kinds=["tcp"])[1])
    assert "kind http" in agent_refused(world, server, other.credential, target, "--name", "two")
    assert {t["name"] for t in anna.pages("/v1/tunnels")} == {"one", "x.tim", "y.z.tim"}


def test_a_scope_that_shrinks_takes_away_what_it_allowed(world, target):
    server = world.server()
    anna = server.account()
    id_, token = anna.token("ci")
    one = agent(world, server, server.api(token), target, "one", config="one")
    two = agent(world, server, server.api(token), target, "two", config="two")
    with Visitor(server.port) as v:
        assert v.get(one.host).status == 200
        anna.patch(f"/v1/credentials/{id_}", {"scope": {"tunnels": ["two"]}}).want(200)
        assert v.get(one.host).status == 503
    ended(one, "limited to other tunnels")
    assert two.alive() and fetch(server.port, two.host).status == 200


def test_a_credential_that_is_over_ends_what_lives_from_it(world, target):
    server = world.server()
    anna = server.account()
    id_, token = anna.token("short", expires_at=later(60000))
    limited = server.api(token)
    a = agent(world, server, limited, target, "one")
    limited.get("/v1/account").want(200)
    anna.patch(f"/v1/credentials/{id_}", {"scope": {"expires_at": later(1500)}}).want(200)
    assert a.wait(10) == 1 and "good until" in a.text("err")
    assert "good until" in limited.get("/v1/account").refused(401, "AUTH")["detail"]
    assert fetch(server.port, a.host).status == 503
    assert "good until" in agent_refused(world, server, token, target, "--name", "one")
    assert id_ in {c["id"] for c in anna.pages("/v1/credentials")}, "it is still listed"


def test_a_new_number_takes_the_place_of_the_old_one(world, target):
    server = world.server()
    anna = server.account()
    old = anna.made["account_id_hr"]
    by_number = agent(world, server, server.api(old), target, "one", config="one")
    by_token = agent(world, server, anna, target, "two", config="two")
    new = anna.post("/v1/account/number").want(201).json()
    assert new["account_id"] != anna.made["account_id"]
    server.api(old).get("/v1/account").refused(401)
    assert server.api(new["account_id_hr"]).account()["id"] == anna.made["id"]
    ended(by_number, "KAREZ_TOKEN")
    assert by_token.alive() and fetch(server.port, by_token.host).status == 200
    again = server.api(new["account_id"]).post("/v1/account/number").want(201).json()
    server.api(new["account_id"]).get("/v1/account").refused(401)
    assert server.api(again["account_id"]).account()["id"] == anna.made["id"]


def test_lists_show_credentials_without_their_secrets(world):
    server = world.server()
    anna = server.account()
    id_, token = anna.token("ci", tunnels=["one"])
    listed = {c["id"]: c for c in anna.pages("/v1/credentials")}
    assert listed[id_]["shown"] == token[:7] + "..." and listed[id_]["name"] == "ci"
    assert "used_at" not in listed[id_] and "token" not in listed[id_]
    assert sum(c["self"] for c in listed.values()) == 1
    assert "number" in listed and listed["number"]["shown"] == ""
    text = json.dumps(list(listed.values()))
    assert token not in text and anna.credential not in text
    assert not any(form in text for form in number_forms(anna.made["account_id"]))
    server.api(token).get("/v1/account").want(200)
    assert anna.get(f"/v1/credentials/{id_}").json()["used_at"]
    assert server.api(token).get("/v1/credentials/self").json()["self"] is True
