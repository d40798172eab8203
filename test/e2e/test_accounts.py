"""Accounts: how they are made, what they own, and that nothing secret of them is told."""

import json
import random
import re
import subprocess
import time

import pytest

from api_client import number_forms, number_token
from api_scene import agent, agent_refused, ended, later
from karez import BUILD, PATIENCE, wait_until
from redis_server import Redis
from servers import Target, fields_of
from visitor import Visitor, fetch

LOGIN = r"^karez login --server (\S+) --token-file (\S+)$"


@pytest.fixture
def target(world):
    return world.closes(Target())


# ---- the first start ----

def test_the_first_start_prints_one_login_line_that_works(world):
    server = world.server(registration=False)
    admin = server.admin()
    url, file = server.wait_line(LOGIN, stream="out").groups()
    assert url == f"http://localhost:{server.port}" and file == str(server.state / "admin-token")
    assert (server.state / "admin-token").stat().st_mode & 0o777 == 0o600
    assert server.state.stat().st_mode & 0o777 == 0o700
    assert server.count(LOGIN) == 1 and server.said("out") == [f"karez login --server {url} "
                                                               f"--token-file {file}"]
    line = server.said("out")[0].split()
    done = subprocess.run([BUILD / "karez", *line[1:]], env=world.env(), capture_output=True,
                          text=True, timeout=30 * PATIENCE, check=False)
    assert done.returncode == 0 and "administrator" in done.stdout, done
    account = admin.account()
    assert account["admin"] is True and account["automatic"] is False
    token = (server.state / "admin-token").read_text()

    assert server.stop() == 0
    again = world.server(registration=False, port=server.port)
    again.wait_line("event=ready")
    assert again.count("karez login") == 0 and again.said("out") == []
    assert (server.state / "admin-token").read_text() == token
    assert again.admin().account()["id"] == account["id"]
    assert sorted(p.name for p in server.state.iterdir() if not p.name.startswith("karez.db")) \
        == ["admin-token", "karezd.pid"], "nothing else is left there"


def test_without_the_file_there_is_no_second_administrator(world):
    server = world.server(registration=False)
    admin = server.admin()
    (server.state / "admin-token").unlink()
    assert server.stop() == 0
    again = world.server(registration=False, port=server.port)
    again.wait_line("event=ready")
    assert again.said("out") == [] and not (server.state / "admin-token").exists()
    assert len(admin.pages("/v1/admin/accounts")) == 1


def test_a_kill_during_the_first_start_locks_nobody_out(world):
    """The token is on the disk before the account is in the store."""
    r = random.Random(1)
    for i in range(40):
        server = world.server(registration=False, state=f"state{i}")
        time.sleep(r.random() * 0.006)  # anywhere in its first steps
        server.kill()
        again = world.server(registration=False, state=f"state{i}")
        again.wait_line("event=ready")
        assert again.admin().account()["admin"] is True, f"start {i}"
        assert again.stop() == 0


def test_administrators_make_others(world):
    server = world.server()
    admin, anna = server.admin(), server.account("Anna")
    anna.get("/v1/admin/accounts").refused(403)
    admin.patch("/v1/admin/accounts/" + anna.made["id"], {"admin": True}).want(200)
    assert len(anna.pages("/v1/admin/accounts")) == 2
    for body in ({"admin": False}, {"enabled": False}):  # nobody locks himself out
        anna.patch("/v1/admin/accounts/" + anna.made["id"], body).refused(403, "DENIED")
    admin.delete("/v1/account").refused(403, "DENIED")
    anna.patch("/v1/admin/accounts/" + admin.account()["id"], {"admin": False}).want(200)
    admin.get("/v1/admin/accounts").refused(403)
    assert len(anna.pages("/v1/admin/accounts")) == 2


# ---- making accounts ----

def test_a17_an_account_is_made_and_its_number_shown(world, target):
    server = world.server()
    anna = server.account("Anna")
    made = anna.made
    assert re.fullmatch("([CDEFHJKMNPRTVWXY2345689]{4}-){3}[CDEFHJKMNPRTVWXY2345689]{4}",
                        made["account_id_hr"])
    number = made["account_id"]
    for form in number_forms(made["account_id_hr"]):
        account = server.api(form).account()
        assert account["id"] == made["id"] and account["name"] == "Anna", form
    assert number not in made["id"].upper() and made["id"] != number
    a = world.agent(server, target.port, "--name", "demo", env={"KAREZ_TOKEN": number})
    wait_until(lambda: anna.get("/v1/tunnels/demo").json()["connection"]["connections"] == 2, 5,
               "two sessions")
    assert a.stop() == 0


def test_a17_without_registration_there_is_a_reason(world, target):
    server = world.server(registration=False)
    assert server.api().get("/v1/version").json()["registration"] == "closed"
    problem = server.api().post("/v1/account").refused(403, "DENIED")
    assert "operator" in problem["detail"]
    server.api().post("/v1/account", {"invitation": "CCCC-DDDD-EEEE-FFFF"}).refused(403, "DENIED")
    server.api().get("/v1/open").refused(403, "DENIED")
    done = subprocess.run([BUILD / "karez", "account", "create", "--server", server.url],
                          env=world.env(), capture_output=True, text=True, timeout=30 * PATIENCE,
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 1 and "makes no accounts" in done.stderr and not done.stdout
    a = world.agent_unchecked(server, target.port)
    assert a.wait() == 1 and "makes no accounts" in a.text("err")
    admin = server.admin()
    made = admin.post("/v1/admin/accounts", {"name": "by hand"}).want(201).json()
    assert server.api(made["token"]).account()["name"] == "by hand"
    assert len(admin.pages("/v1/admin/accounts")) == 2


def test_accounts_by_invitation(world, target):
    server = world.server("--registration", "invitation", registration=False)
    admin, nobody = server.admin(), server.api()
    assert nobody.get("/v1/version").json()["registration"] == "invitation"
    nobody.post("/v1/account").refused(403, "DENIED", "invitation")
    nobody.get("/v1/open").refused(403, "DENIED")
    one = admin.post("/v1/admin/invitations", {"uses": 2, "name": "for two"}).want(201).json()
    gone = admin.post("/v1/admin/invitations", {"expires_at": later(700)}).want(201).json()
    taken = admin.post("/v1/admin/invitations").want(201).json()
    assert taken["uses"] == 1 and one["uses"] == 2
    for form in (one["code"], one["code"].lower().replace("-", " ")):
        made = nobody.post("/v1/account", {"invitation": form, "name": "Bob"}).want(201).json()
        assert server.api(made["token"]).account()["name"] == "Bob"
    admin.delete("/v1/admin/invitations/" + taken["id"]).want(204)
    admin.delete("/v1/admin/invitations/" + taken["id"]).refused(404)

    def use(code):
        return nobody.post("/v1/account", {"invitation": code})
    wait_until(lambda: gone["id"] not in {
        i["id"] for i in admin.pages("/v1/admin/invitations")}, 10, "one is over")
    answers = {name: use(code) for name, code in (
        ("used up", one["code"]), ("over", gone["code"]), ("taken back", taken["code"]),
        ("wrong", "CCCC-DDDD-EEEE-FFFF"), ("none at all", "please"), ("long", "x" * 128))}
    for answer in answers.values():
        answer.refused(403, "DENIED", "invitation")
    assert len({a.body for a in answers.values()}) == 1, answers
    assert admin.pages("/v1/admin/invitations") == []
    assert len(admin.pages("/v1/admin/accounts")) == 3, "the administrator and two"
    a = world.agent_unchecked(server, target.port)
    assert a.wait() == 1 and "invitation" in a.text("err")


def test_an_invitation_is_used_no_more_often_than_it_says_by_many_at_once(world):
    server = world.server("--registration", "invitation", registration=False)
    admin = server.admin()
    code = admin.post("/v1/admin/invitations", {"uses": 3}).want(201).json()["code"]
    visitors = [Visitor(server.port) for _ in range(12)]
    body = json.dumps({"invitation": code}).encode()
    for v in visitors:
        v.ask(admin.host, "/v1/account", "POST", [("Content-Type", "application/json")], body)
    answers = [v.answer("POST") for v in visitors]
    for v in visitors:
        v.close()
    made = [a.json() for a in answers if a.status == 201]
    world.plant(*(m["token"] for m in made))
    assert len(made) == 3 and {a.status for a in answers} == {201, 403}
    assert len(admin.pages("/v1/admin/accounts")) == 4


def test_agents_without_a_credential_get_an_account_that_can_be_kept(world, target):
    server = world.server()
    a = world.agent(server, target.port)
    token = world.secrets().pop()
    api = server.api(token)
    account = api.account()
    assert account["automatic"] is True and account["usage"]["tunnels"] == 1
    number = api.post("/v1/account/number").want(201).json()["account_id_hr"]
    assert server.api(number).account()["id"] == account["id"]
    assert a.alive() and fetch(server.port, a.host).status == 200


# ---- A4: names ----

def test_a4_a_name_belongs_to_who_has_it(world, target):
    server = world.server()
    anna, bert = server.account(), server.account()
    other = world.closes(Target("other"))
    anna.tunnel("foo")
    first = agent(world, server, anna, target, "foo")
    for method, path, body in (("PUT", "/v1/tunnels/foo", {}), ("PUT", "/v1/tunnel/FOO", {}),
                               ("PUT", "/v1/tunnels/x.foo", {}),
                               ("POST", "/v1/tunnels", {"name": "foo"})):
        assert "taken" in bert.call(method, path, body).refused(409, "EXISTS", "name")["detail"]
    bert.get("/v1/open?name=foo").refused(409, "EXISTS")
    bert.patch("/v1/tunnels/foo", {}).refused(404)
    bert.delete("/v1/tunnels/foo").refused(404)
    bert.post("/v1/tunnels/foo/disconnect").refused(404)
    bert.delete("/v1/tunnels/foo/sessions/1").refused(404)
    assert "taken" in agent_refused(world, server, bert.credential, other, "--name", "foo")
    assert fetch(server.port, first.host).text() == "hello from target\n"
    # the same account and the same agent again: it takes over, and the old one is told
    second = agent(world, server, anna, other, "foo")
    ended(first, "ended by", "has taken over \"foo\"")
    assert fetch(server.port, second.host).text() == "hello from other\n"


def test_deleting_an_account_frees_its_names(world, target):
    server = world.server()
    admin, anna, bert = server.admin(), server.account(), server.account()
    for name in ("foo", "a.tim", "b.tim"):
        anna.tunnel(name)
    a = agent(world, server, anna, target, "foo")
    bert.put("/v1/tunnels/c.tim", {}).refused(409)
    anna.delete("/v1/account").want(204)
    ended(a, "account has been deleted")
    anna.get("/v1/account").refused(401)
    server.api(anna.made["account_id"]).get("/v1/account").refused(401)
    assert fetch(server.port, server.host("foo")).status == 404
    for name in ("foo", "c.tim"):
        bert.put(f"/v1/tunnels/{name}", {}).want(201)
    assert {a["id"] for a in admin.pages("/v1/admin/accounts")} == {
        bert.made["id"], admin.account()["id"]}


def test_deleting_a_tunnel_tells_its_agent_and_frees_the_name(world, target):
    server = world.server()
    anna, bert = server.account(), server.account()
    a = agent(world, server, anna, target, "foo")
    anna.delete("/v1/tunnels/foo").want(204)
    ended(a, "the tunnel has been deleted")
    bert.put("/v1/tunnels/foo", {}).want(201)


# ---- quotas ----

def test_quotas(world, target):
    server = world.server()
    admin, anna = server.admin(), server.account()
    quota = {"tunnels": 2, "sessions": 3, "credentials": 4}
    admin.patch("/v1/admin/accounts/" + anna.made["id"], {"quota": quota}).want(200)
    assert anna.account()["quota"] == quota
    anna.tunnel("one")
    anna.tunnel("two")
    problem = anna.put("/v1/tunnels/three", {}).refused(429, "LIMIT")
    assert "2 tunnels" in problem["detail"]
    anna.get("/v1/open").refused(429, "LIMIT")
    anna.put("/v1/tunnels/two", {}).want(200)
    said = agent_refused(world, server, anna.credential, target, "--name", "three")
    assert "2 tunnels, which is the limit" in said
    anna.delete("/v1/tunnels/two").want(204)
    anna.put("/v1/tunnels/three", {}).want(201)

    assert anna.account()["usage"] == {"tunnels": 2, "credentials": 1}
    ids = [anna.token()[0] for _ in range(3)]
    assert "4 credentials" in anna.post("/v1/credentials",
                                        {"type": "token"}).refused(429, "LIMIT")["detail"]
    anna.delete("/v1/credentials/" + ids[0]).want(204)
    anna.token()

    agent(world, server, anna, target, "one", config="one")
    wait_until(lambda: len(anna.get("/v1/tunnels/one/sessions").json()["sessions"]) == 2, 5,
               "two sessions")
    agent(world, server, anna, target, "three", "--sessions", "1", config="two", sessions=1)
    said = agent_refused(world, server, anna.credential, target, "--name", "one", "--sessions",
                         "1", config="three")
    assert "3 sessions, which is its limit" in said


# ---- the register call ----

def test_one_request_is_all_that_a_one_line_client_needs(world, target):
    server = world.server()
    host = f"open.localhost:{server.port}"
    for method in ("GET", "POST"):
        opened = server.api().at(host).call(method, "/").want(200).json()
        name = opened["name"]
        assert opened["host"] == f"{name}.localhost"
        assert opened["url"] == f"http://{name}.localhost:{server.port}"
        assert opened["urls"] == [opened["url"]]
        assert opened["connect_url"] == opened["server"] + "/v1/connect"
        assert opened["token"].startswith("kz_") and opened["banner"]
        assert re.fullmatch(r"(\w{4}-){3}\w{4}", opened["account_id_hr"])
        assert opened["command"] == f"karez http PORT --server {opened['server']} --name {name}"
        a = world.agent(server, target.port, "--name", name, config=name, url=opened["server"],
                        env={"KAREZ_TOKEN": opened["token"]})
        assert a.url.rstrip("/") == opened["url"]
        assert fetch(server.port, opened["host"]).text() == "hello from target\n"


def test_the_register_call_with_a_name_and_a_credential(world):
    server = world.server()
    admin, anna = server.admin(), server.account()
    host = f"open.localhost:{server.port}"
    opened = anna.at(host).get("/?name=Demo&target=http://127.0.0.1:3000").want(200).json()
    assert opened["name"] == "demo" and "token" not in opened and "account_id_hr" not in opened
    tunnel = anna.get("/v1/tunnels/demo").json()
    assert tunnel["target"]["url"] == "http://127.0.0.1:3000"
    assert anna.at(host).post("/?name=demo").want(200).json() == opened, "asked again"
    accounts = len(admin.pages("/v1/admin/accounts"))
    server.api().at(host).get("/?name=demo").refused(409, "EXISTS")
    server.api().at(host).get("/?name=www").refused(403, "RESERVED")
    server.api().at(host).get("/?name=a_b").refused(400, "INVAL")
    server.api().at(host).get("/?what=ever").refused(400, "INVAL", "what")
    server.api("kz_" + "B" * 43).at(host).get("/").refused(401)
    assert len(admin.pages("/v1/admin/accounts")) == accounts, "no account stays behind"
    server.api().at(host).call("PUT", "/").refused(405)


# ---- who is there ----

def test_sessions_and_visitors_show_what_is_true(world, target):
    server = world.server()
    admin, anna = server.admin(), server.account()
    anna.tunnel("demo")

    def shown():
        return anna.get("/v1/tunnels/demo").json()["connection"]
    assert shown() == {"connected": False, "connections": 0, "visitors": 0}
    assert anna.get("/v1/tunnels/demo/sessions").json() == {"sessions": []}
    assert anna.get("/v1/tunnels/demo/visitors").json() == {"visitors": [], "count": 0}
    a = agent(world, server, anna, target, "demo")
    wait_until(lambda: shown()["connections"] == 2, 5, "two sessions")
    sessions = anna.get("/v1/tunnels/demo/sessions").json()["sessions"]
    assert {s["carrier"] for s in sessions} == {0, 1}
    assert len({s["id"] for s in sessions}) == 2 and len({s["port"] for s in sessions}) == 2
    assert {(s["agent"], s["epoch"], s["ip"], s["draining"], s["streams"]) for s in sessions} == \
        {(sessions[0]["agent"], sessions[0]["epoch"], "127.0.0.1", False, 1)}
    assert shown()["connected_at"] == min(s["connected_at"] for s in sessions)
    visitors = [Visitor(server.port, source=f"127.0.0.{i}") for i in (2, 3, 4)]
    for v in visitors:
        v.ask(a.host, "/gate")
    wait_until(lambda: target.waiting == 3, 5, "three visitors wait")
    found = anna.get("/v1/tunnels/demo/visitors").json()
    assert found["count"] == 3
    assert {(v["ip"], v["port"]) for v in found["visitors"]} == \
        {v.sock.getsockname() for v in visitors}
    assert {(v["host"], v["protocol"]) for v in found["visitors"]} == {(a.host, "http")}
    assert shown()["visitors"] == 3
    sessions = anna.get("/v1/tunnels/demo/sessions").json()["sessions"]
    assert sum(s["streams"] for s in sessions) == 2 + 3, "one of each for the agent itself"
    node = admin.get("/v1/admin/node").json()
    assert (node["sessions"], node["exchanges"], node["store"]) == (2, 3, "sqlite")
    target.gate.set()
    for v in visitors:
        assert v.answer().status == 200
        v.close()
    wait_until(lambda: shown()["visitors"] == 0, 5, "all are served")
    assert a.stop() == 0
    wait_until(lambda: shown() == {"connected": False, "connections": 0, "visitors": 0}, 5,
               "nobody is there")


def test_a_visitor_who_leaves_before_the_answer_is_there_no_more(world, target):
    server = world.server()
    anna = server.account()
    a = agent(world, server, anna, target, "demo")
    with Visitor(server.port) as v:
        v.ask(a.host, "/gate")
        wait_until(lambda: target.waiting == 1, 5, "the visitor waits")
        v.reset()
    wait_until(lambda: anna.get("/v1/tunnels/demo/visitors").json()["count"] == 0, 3,
               "the visitor is gone")


def test_a_disconnect_by_the_api_is_printed_and_ends_the_agent(world, target):
    server = world.server()
    admin, anna = server.admin(), server.account()
    cases = [
        (lambda: anna.post("/v1/tunnels/demo/disconnect", {"reason": "maintenance at noon"}),
         "maintenance at noon"),
        (lambda: anna.post("/v1/tunnels/demo/disconnect"), "disconnected by its owner"),
        (lambda: admin.post("/v1/admin/tunnels/demo/disconnect"),
         "disconnected by an administrator"),
        (lambda: anna.post("/v1/tunnels/demo/disconnect", {"reason": "\u00e9\u202e\u2028x" * 20}),
         "x"),
    ]
    for call, words in cases:
        a = agent(world, server, anna, target, "demo")
        assert call().want(200).json() == {"result": True}
        ended(a, "ended by", words)
        assert fetch(server.port, a.host).status == 503
        assert "\u202e" not in a.text() and "\u2028" not in a.text()
    assert anna.post("/v1/tunnels/demo/disconnect").json() == {"result": False}
    agent(world, server, anna, target, "demo")  # it may come back


def test_an_agent_for_programs_says_the_reason_as_json(world, target):
    server = world.server()
    anna = server.account()
    a = world.agent_unchecked(server, target.port, "--name", "demo", "--json",
                              env={"KAREZ_TOKEN": anna.credential})
    a.wait_line('"online"', 5, "out")
    session = anna.get("/v1/tunnels/demo/sessions").json()["sessions"][0]["id"]
    anna.delete(f"/v1/tunnels/demo/sessions/{session}?reason=enough%20now").want(204)
    anna.delete(f"/v1/tunnels/demo/sessions/{session}").refused(404)
    assert a.wait() == 1
    last = json.loads(a.said("out")[-1])
    assert last["event"] == "disconnected" and last["code"] == "DISCONNECTED"
    assert last["reason"] == "enough now"
    for nonsense in ("0", "-1", "x", "99999999999999999999999", "1e3"):
        anna.delete(f"/v1/tunnels/demo/sessions/{nonsense}").refused(404)


# ---- A17: what the target sees ----

def test_a17_headers_and_rewriting_only_where_it_is_asked_for(world, target):
    server = world.server(listen="[::]:0", port=1)  # the port is told by the log
    server.port = int(server.wait_line(r"event=listen address=\[::\]:(\d+)").group(1))
    anna = server.account()
    a = agent(world, server, anna, target, "demo")
    sent = [("Origin", f"http://demo.localhost:{server.port}"),
            ("Referer", f"http://demo.localhost:{server.port}/page?a=b"),
            ("X-Forwarded-For", "6.6.6.6")]
    host = f"demo.localhost:{server.port}"

    def seen(address):
        fields = fields_of(fetch(server.port, host, "/headers", fields=sent, address=address))
        quoted = f'"[{address}]"' if ":" in address else address
        assert fields["x-forwarded-for"] == fields["x-real-ip"] == [address]
        assert fields["x-forwarded-proto"] == ["http"] and fields["x-forwarded-host"] == [host]
        assert fields["x-forwarded-port"] == [str(server.port)]
        assert fields["forwarded"] == [f'for={quoted};host="{host}";proto=http']
        return fields["host"] + fields["origin"] + fields["referer"]

    plain = [host, f"http://{host}", f"http://{host}/page?a=b"]
    for address in ("127.0.0.1", "::1"):
        assert seen(address) == plain
    anna.patch("/v1/tunnels/demo", {"headers": {"rewrite": True}}).want(200)
    there = f"localhost:{target.port}"
    assert anna.get("/v1/tunnels/demo").json()["target"]["url"] == f"http://{there}"
    for address in ("127.0.0.1", "::1"):
        assert seen(address) == [there, f"http://{there}", f"http://{there}/page?a=b"]
    anna.patch("/v1/tunnels/demo", {"headers": {"rewrite": False}}).want(200)
    assert seen("127.0.0.1") == plain
    assert a.alive()


# ---- A20: what a restart keeps ----

def test_a20_a_restart_keeps_accounts_credentials_tunnels_and_invitations(world, target):
    server = world.server("--registration", "open", registration=False)
    admin, anna = server.admin(), server.account("Anna")
    id_, token = anna.token("ci", tunnels=["demo"])
    anna.put("/v1/tunnels/demo", {
        "target": {"url": "http://127.0.0.1:3000"}, "headers": {"rewrite": True},
        "transport": {"policy": "failover", "max_connections": 5},
        "visitors": {"basic": [{"user": "eve", "password": "canary-pw-5"}],
                     "bearer": ["canary-bearer-0005"], "allow": ["127.0.0.0/8"],
                     "deny": ["127.0.0.9/32"]}}).want(201)
    code = admin.post("/v1/admin/invitations", {"uses": 2}).want(201).json()["code"]
    admin.patch("/v1/admin/accounts/" + anna.made["id"], {"quota": {"tunnels": 7}}).want(200)
    world.plant("canary-pw-5", "canary-bearer-0005")

    def kept():
        found = [anna.account(), anna.pages("/v1/credentials"), anna.get("/v1/tunnels/demo").json(),
                 admin.pages("/v1/admin/invitations")]
        for thing in (found[0], *found[1]):
            thing.pop("used_at", None)
        return found
    before, etag = kept(), anna.get("/v1/tunnels/demo").etag
    assert server.stop() == 0
    again = world.server("--registration", "invitation", registration=False, port=server.port)
    assert kept() == before and anna.get("/v1/tunnels/demo").etag == etag
    assert server.api(token).get("/v1/credentials/self").json()["id"] == id_
    assert server.api(anna.made["account_id"]).account()["id"] == anna.made["id"]
    again.api().post("/v1/account", {"invitation": code}).want(201)
    agent(world, again, server.api(token), target, "demo")
    assert fetch(again.port, again.host("demo")).status == 401
    assert fetch(again.port, again.host("demo"),
                 fields=[("Authorization", "Bearer canary-bearer-0005")]).status == 200


def test_a20_memory_loses_all_and_says_so_at_start(world):
    server = world.server(store="memory:")
    assert server.count("warn .*memory.*lost at exit") == 1
    admin, anna = server.admin(), server.account()
    anna.tunnel("demo")
    assert server.stop() == 0
    again = world.server(store="memory:", port=server.port)
    assert again.count("warn .*memory.*lost at exit") == 1
    again.wait_line("event=ready")
    anna.get("/v1/account").refused(401)
    admin.get("/v1/account").refused(401)
    again.admin().get("/v1/admin/tunnels/demo").refused(404)


# ---- nothing is told ----

def test_unknown_and_wrong_take_the_same_way(world):
    """Status, bytes, and what the store is asked: all the same, whatever is wrong."""
    redis = Redis(world)
    server = world.server(store=redis.where)
    anna = server.account()
    revoked_id, revoked = anna.token()
    anna.delete(f"/v1/credentials/{revoked_id}").want(204)
    old = anna.made["account_id"]
    anna.post("/v1/account/number").want(201)
    gone = server.account()
    gone.delete("/v1/account").want(204)
    wrong = {"never made": "kz_" + "C" * 43, "revoked": revoked, "the number before": old,
             "a token of an account that is gone": gone.made["token"],
             "its number": gone.made["account_id_hr"],
             "one letter is another": anna.credential[:-2] + ("aa", "bb")[
                 anna.credential.endswith("aa")],
             "a number that is nobody's": "CCCC-DDDD-EEEE-FFFF",
             "another in base64": number_token("CCCCDDDDEEEEHHHH"),
             "not of our making": "hunter2-hunter2", "one byte": "x",
             "as long as may be": "kz_" + "D" * 500}

    def asked():
        stats = redis.ask("INFO", "commandstats")
        return {k: int(n) for k, n in re.findall(r"cmdstat_(\w+):calls=(\d+)", stats)}
    server.api("kz_" + "E" * 43).get("/v1/account").refused(401)  # what is read once, is read
    seen = {}
    for why, credential in wrong.items():
        before = asked()
        answer = server.api(credential).get("/v1/account")
        answer.refused(401)
        reads = {k: n - before.get(k, 0) for k, n in asked().items() if k != "info"}
        seen[why] = (answer.status, answer.body, tuple(answer.all("WWW-Authenticate")),
                     str({k: n for k, n in sorted(reads.items()) if n}))
    assert len(set(seen.values())) == 1, seen
    assert {reads for *_, reads in seen.values()} == {"{'get': 1}"}, "the store is asked"


def test_agents_with_wrong_credentials_hear_the_same(world, target):
    server = world.server()
    anna = server.account()
    id_, revoked = anna.token()
    anna.delete(f"/v1/credentials/{id_}").want(204)
    said = {agent_refused(world, server, credential, target, config=f"c{i}")
            for i, credential in enumerate(("kz_" + "C" * 43, revoked, "CCCC-DDDD-EEEE-FFFF"))}
    assert len(said) == 1 and "does not know the credential" in said.pop()


def test_no_secret_is_in_any_output_at_debug_level(world, target):
    server = world.server("--log-level", "debug", "--registration", "open", "--auth-hosts", "*",
                          registration=False)
    admin, anna = server.admin(), server.account("Anna")
    canaries = {"password": "canary-password-1", "bearer": "canary-bearer-000001",
                "cookie": "canary-cookie-1", "wrong": "canary-wrong-token-1",
                "wrong password": "canary-wrong-password-1", "query": "canary-query-1",
                "invitation": "canary-invitation-1", "body": "canary-body-1",
                "hook": "canary-hook-1"}
    world.plant(*canaries.values())
    code = admin.post("/v1/admin/invitations").want(201).json()["code"]
    server.api().post("/v1/account", {"invitation": code}).want(201)
    server.api().post("/v1/account", {"invitation": canaries["invitation"]}).refused(403)
    server.api(canaries["wrong"]).get("/v1/account").refused(401)
    server.api(f"{canaries['wrong']} x").get("/v1/account").refused(401)
    anna.post("/v1/account/number").want(201)
    anna.put("/v1/tunnels/demo", {"visitors": {
        "basic": [{"user": "eve", "password": canaries["password"]}],
        "bearer": [canaries["bearer"]]}}).want(201)
    anna.put("/v1/tunnels/demo", raw=f'{{"{canaries["body"]}": '.encode()).refused(400)
    id_, token = anna.token("ci")
    for level in ("debug", "info"):
        a = agent(world, server, server.api(token), target, "demo", "--log-level", level,
                  "--verbose", config=level)
        for value in (f"Bearer {canaries['bearer']}", f"Bearer {canaries['wrong']}",
                      "Basic ZXZlOmNhbmFyeS1wYXNzd29yZC0x",
                      "Basic ZXZlOmNhbmFyeS13cm9uZy1wYXNzd29yZC0x"):
            fetch(server.port, a.host, "/", fields=[("Authorization", value),
                                                    ("Cookie", canaries["cookie"])])
        assert a.stop() == 0
    world.plant("ZXZlOmNhbmFyeS1wYXNzd29yZC0x", "ZXZlOmNhbmFyeS13cm9uZy1wYXNzd29yZC0x")
    agent_refused(world, server, canaries["wrong"], target, "--log-level", "debug")
    url = f"http://eve:{canaries['hook']}@127.0.0.1:1/?k={canaries['query']}"
    anna.patch("/v1/tunnels/demo", {"visitors": {"auth_url": url}}).want(200, 400)
    anna.delete(f"/v1/credentials/{id_}").want(204)
    assert server.count("debug ") > 10, "it was asked to say much"
    text = "\n".join(p.text() for p in world.procs)
    for secret in world.planted | world.secrets():
        assert secret not in text, "a secret is in a log"
    for file in server.state.iterdir():
        data = file.read_bytes()
        for secret in world.planted - {canaries["hook"], canaries["query"]}:
            known = file.name == "admin-token" and secret == admin.credential
            assert known or secret.encode() not in data, f"{file.name} holds a secret itself"
