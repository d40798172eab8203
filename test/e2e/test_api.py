"""The API is what its document says: every operation, and who may call it."""

import re
import subprocess

import jsonschema
import pytest

from api_client import number_token
from api_scene import account, agent_of, body_of, invite, path_of, scene_of, state_of
from karez import wait_until
from visitor import Visitor


@pytest.fixture
def scene(world):
    return scene_of(world)


# ---- the document ----

def test_the_document_is_a_sound_one(scene):
    doc = scene.doc.doc
    for node in walk(doc):
        if "$ref" in node:
            assert scene.doc.deref(node), node
    for schema in doc["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False
        assert set(schema.get("required", [])) <= set(schema["properties"])
    for op in scene.doc.operations.values():
        assert set(op.inputs("path")) == set(op.params), op
        assert all(p["required"] for p in op.inputs("path").values()), op
        assert len(op.success) >= 1 and "default" in op.node["responses"], op
        assert op.node["summary"] and op.node["tags"], op
        assert (401 in op.statuses) == (not op.open), op
    assert doc["info"]["version"] == scene.nobody.get("/v1/version").json()["version"]
    url = doc["servers"][0]["url"]
    assert scene.nobody.at(url.split("://")[1]).get("/v1/health").status == 200


def walk(node):
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for member in node:
            yield from walk(member)


# ---- every operation, with success ----

def session(s):
    agent, target = agent_of(s, s.anna, "served", "served")
    sessions = s.anna.get("/v1/tunnels/served/sessions")
    s.doc.check(sessions)
    return agent, sessions.json()["sessions"]


def list_sessions(s):
    agent, sessions = session(s)
    wait_until(lambda: len(s.anna.get("/v1/tunnels/served/sessions").json()["sessions"]) == 2, 5,
               "both sessions are there")
    assert agent.stop() == 0
    return s.anna.get("/v1/tunnels/served/sessions")


def end_session(s):
    agent, sessions = session(s)
    answer = s.anna.delete(f"/v1/tunnels/served/sessions/{sessions[0]['id']}?reason=enough")
    assert agent.wait() == 1 and "enough" in agent.text("err")
    return answer


def list_visitors(s):
    agent, target = agent_of(s, s.anna, "visited", "visited")
    with Visitor(s.server.port) as v:
        v.ask(agent.host, "/gate")
        wait_until(lambda: target.waiting == 1, 5, "the visitor waits at the target")
        answer = s.anna.get("/v1/tunnels/visited/visitors")
        target.gate.set()
        assert v.answer().status == 200
    found = answer.json()
    assert found["count"] == 1 and len(found["visitors"]) == 1
    assert found["visitors"][0]["ip"] == "127.0.0.1"
    assert found["visitors"][0]["host"] == agent.host
    assert agent.stop() == 0
    return answer


def renumber(s):
    return s.server.account().post("/v1/account/number")


def old_token(s):
    made = s.server.account().made
    number = made["account_id"]
    return s.nobody.as_(number_token(number)).get(f"/v1/account/{made['account_id_hr']}/token")


def put_all(s):
    """All that there is, as it is."""
    return s.admin.put("/v1/admin/tunnels", {"tunnels": s.admin.pages("/v1/admin/tunnels", 100)})


SUCCESS = {
    "makeAccount": lambda s: s.nobody.post("/v1/account", {"name": "Chris"}),
    "getAccount": lambda s: s.anna.get("/v1/account"),
    "changeAccount": lambda s: s.anna.patch("/v1/account", {"name": "Anna B."}),
    "deleteAccount": lambda s: s.server.account().delete("/v1/account"),
    "makeNumber": renumber,
    "getNumberToken": old_token,
    "listCredentials": lambda s: s.anna.get("/v1/credentials"),
    "makeCredential": lambda s: s.anna.post("/v1/credentials", {
        "type": "token", "name": "ci", "scope": {
            "tunnels": ["one", "*.two"], "kinds": ["http", "tcp"], "ports": ["1", "5-6"],
            "expires_at": "2099-12-31T23:59:59.5Z"}}),
    "getCredential": lambda s: s.anna.get("/v1/credentials/self"),
    "changeCredential": lambda s: s.anna.patch("/v1/credentials/self", {"name": "laptop"}),
    "revokeCredential": lambda s: s.anna.delete("/v1/credentials/" + s.anna.token()[0]),
    "listTunnels": lambda s: s.anna.get("/v1/tunnels"),
    "makeTunnel": lambda s: s.anna.post("/v1/tunnels", {"target": {"url": "http://[::1]:80"}}),
    "getTunnel": lambda s: s.anna.get("/v1/tunnels/demo"),
    "putTunnel": lambda s: s.anna.put("/v1/tunnels/new", {"enabled": False}),
    "changeTunnel": lambda s: s.anna.patch("/v1/tunnels/demo", {"visitors": {
        "basic": [{"user": "eve", "password": "canary-pw-1"}], "bearer": ["canary-bearer-0001"],
        "allow": ["10.0.0.0/8", "::1"], "deny": ["10.1.2.3"]}}),
    "deleteTunnel": lambda s: s.anna.delete("/v1/tunnels/demo"),
    "disconnectTunnel": lambda s: s.anna.post("/v1/tunnels/demo/disconnect"),
    "listSessions": list_sessions,
    "endSession": end_session,
    "listVisitors": list_visitors,
    "putTunnels": lambda s: s.bert.put("/v1/tunnels", {"tunnels": [
        {"name": "berts", "target": {"service": "web"}, "transport": {"agents": ["home"]}}]}),
    "listAgents": lambda s: s.anna.get("/v1/agents"),
    "adminListAgents": lambda s: s.admin.get("/v1/admin/agents"),
    "adminPutTunnels": put_all,
    "getTunnelOld": lambda s: s.anna.get("/v1/tunnel/demo"),
    "putTunnelOld": lambda s: s.anna.put("/v1/tunnel/demo", {}),
    "changeTunnelOld": lambda s: s.anna.patch("/v1/tunnel/demo", {"target": {"url": "x:1"}}),
    "deleteTunnelOld": lambda s: s.anna.delete("/v1/tunnel/demo"),
    "disconnectTunnelOld": lambda s: s.anna.post("/v1/tunnel/demo/disconnect", {"reason": "so"}),
    "openByGet": lambda s: s.nobody.get("/v1/open"),
    "open": lambda s: s.anna.post("/v1/open?name=quick&target=http://127.0.0.1:1"),
    "adminListAccounts": lambda s: s.admin.get("/v1/admin/accounts"),
    "adminMakeAccount": lambda s: s.admin.post("/v1/admin/accounts", {"name": "Dora"}),
    "adminGetAccount": lambda s: s.admin.get("/v1/admin/accounts/" + s.anna.made["id"]),
    "adminChangeAccount": lambda s: s.admin.patch("/v1/admin/accounts/" + account(s), {
        "enabled": False, "reason": "too loud", "quota": {"tunnels": 1}}),
    "adminDeleteAccount": lambda s: s.admin.delete("/v1/admin/accounts/" + account(s)),
    "adminListCredentials": lambda s: s.admin.get(
        f"/v1/admin/accounts/{s.anna.made['id']}/credentials"),
    "adminMakeCredential": lambda s: s.admin.post(
        f"/v1/admin/accounts/{s.anna.made['id']}/credentials", {"type": "token", "name": "new"}),
    "adminRevokeCredential": lambda s: s.admin.delete(
        f"/v1/admin/accounts/{s.anna.made['id']}/credentials/{s.anna.token()[0]}"),
    "adminListAccountsOld": lambda s: s.admin.get("/v1/admin/account?count=2&verbose=true"),
    "adminMakeAccountOld": lambda s: s.admin.post("/v1/admin/account"),
    "adminGetAccountOld": lambda s: s.admin.get("/v1/admin/account/" + s.anna.made["id"]),
    "adminDeleteAccountOld": lambda s: s.admin.delete("/v1/admin/account/" + account(s)),
    "adminDisableAccountOld": lambda s: s.admin.put(
        f"/v1/admin/account/{account(s)}/disable", {"disable": True, "reason": "too loud"}),
    "adminListTunnels": lambda s: s.admin.get("/v1/admin/tunnels?limit=1"),
    "adminGetTunnel": lambda s: s.admin.get("/v1/admin/tunnels/demo"),
    "adminDeleteTunnel": lambda s: s.admin.delete("/v1/admin/tunnels/berts"),
    "adminDisconnectTunnel": lambda s: s.admin.post("/v1/admin/tunnels/demo/disconnect"),
    "adminListTunnelsOld": lambda s: s.admin.get("/v1/admin/tunnel"),
    "adminGetTunnelOld": lambda s: s.admin.get("/v1/admin/tunnel/demo"),
    "adminDeleteTunnelOld": lambda s: s.admin.delete("/v1/admin/tunnel/demo"),
    "adminDisconnectTunnelOld": lambda s: s.admin.post("/v1/admin/tunnel/demo/disconnect"),
    "listInvitations": lambda s: (invite(s), s.admin.get("/v1/admin/invitations"))[1],
    "makeInvitation": invite,
    "deleteInvitation": lambda s: s.admin.delete(
        "/v1/admin/invitations/" + invite(s).json()["id"]),
    "getNode": lambda s: s.admin.get("/v1/admin/node"),
    "listNodes": lambda s: s.admin.get("/v1/admin/nodes"),
    "getHealth": lambda s: s.nobody.get("/v1/health"),
    "getReady": lambda s: s.nobody.get("/v1/ready"),
    "getVersion": lambda s: s.nobody.get("/v1/version"),
    "getSsh": lambda s: s.nobody.get("/v1/ssh"),
    "getOpenApi": lambda s: s.nobody.get("/v1/openapi.json"),
    "pingOld": lambda s: s.nobody.get("/ping"),
    "getHealthOld": lambda s: s.nobody.get("/health"),
}


def test_every_operation_works_and_answers_as_the_document_says(scene):
    wait_until(lambda: scene.nobody.get("/v1/ready").status == 200, 5, "the server is ready")
    for id_, call in SUCCESS.items():
        scene.anna.tunnel("demo")  # some delete it
        answer = call(scene)
        op = scene.doc.check(answer)
        assert op.id == id_ and answer.status in op.success, (id_, answer)
        if op.method == "GET":
            again = scene.doc.find("GET", answer.path)
            assert again is op
    assert scene.doc.succeeded == set(scene.doc.operations), "an operation was never called"


def test_what_is_told_of_ssh(scene):
    said = scene.server.text("out")
    found = scene.nobody.get("/v1/ssh").want(200).json()
    assert len(found["host_keys"]) >= 2 and len(found["ports"]) == 1
    for key in found["host_keys"]:
        assert f"ssh host key {key['fingerprint']} ({key['type']})" in said.splitlines()
        done = subprocess.run(["ssh-keygen", "-lf", "-"], input=key["key"], text=True, check=True,
                              capture_output=True)
        assert done.stdout.split()[1] == key["fingerprint"], "the key is the one that it says"
    scan = subprocess.run(["ssh-keyscan", "-T", "10", "-t", "ed25519", "-p",
                           str(found["ports"][0]), "127.0.0.1"],
                          capture_output=True, text=True, check=True)
    shown = [line.split(" ", 1)[1] for line in scan.stdout.splitlines() if line[0] != "#"]
    assert shown == [k["key"] for k in found["host_keys"] if k["type"] == "ssh-ed25519"]


def test_without_ssh_nothing_is_told_of_it(world):
    answer = world.server().api().get("/v1/ssh")
    assert "not reached by SSH" in answer.refused(404, "NOTFOUND")["detail"]


# ---- who may ----

SECRETIVE = [("a token that was never made", "kz_" + "A" * 43),
             ("a number that was never given", "CCCC-DDDD-EEEE-FFFF"),
             ("the same in base64", number_token("CCCCDDDDEEEEFFFF")),
             ("neither", "nothing-that-is-known"),
             ("one byte", "x"),
             ("longer than any", "kz_" + "A" * 600)]


def test_without_a_credential_that_is_known_there_is_401(scene):
    before, bodies = state_of(scene), set()
    for op in scene.doc.operations.values():
        path, args = path_of(scene, op), body_of(op)
        for why, credential in [("none", None), *SECRETIVE]:
            if op.open or (credential is None and op.optional):
                continue
            answer = scene.nobody.as_(credential).call(op.method, path, **args)
            problem = answer.refused(401, "AUTH")
            assert answer.get("WWW-Authenticate") == "Bearer", (op, why)
            scene.doc.check(answer)
            if credential is not None and len(credential) < 512:
                bodies.add(answer.body)
            assert credential is None or credential not in problem["detail"]
    assert len(bodies) == 1, f"some wrong credentials are told from others: {bodies}"
    assert state_of(scene) == before


@pytest.mark.parametrize("fields", [
    [("Authorization", "Basic YTpi")], [("Authorization", "Bearer")],
    [("Authorization", "Bearer ")], [("Authorization", "")],
    [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]])
def test_what_is_no_bearer_credential_is_401(scene, fields):
    answer = scene.nobody.get("/v1/account", fields=fields)
    answer.refused(401, "AUTH")


def test_operations_for_anybody_do_not_look_at_credentials(scene):
    for op in scene.doc.operations.values():
        if op.open:
            wrong = scene.nobody.as_("kz_" + "A" * 43)
            assert wrong.call(op.method, op.path).status in op.success, op


def test_a_disabled_account_may_do_nothing(scene):
    scene.admin.patch("/v1/admin/accounts/" + scene.anna.made["id"],
                      {"enabled": False, "reason": "too loud"}).want(200)
    before = state_of(scene)
    for op in scene.doc.operations.values():
        if op.open:
            continue
        answer = scene.anna.call(op.method, path_of(scene, op), **body_of(op))
        assert "too loud" in answer.refused(403, "DISABLED")["detail"], op
        scene.doc.check(answer)
    assert state_of(scene) == before
    scene.admin.patch("/v1/admin/accounts/" + scene.anna.made["id"], {"enabled": True}).want(200)
    assert scene.anna.get("/v1/tunnels/demo").status == 200


def test_only_administrators_may_do_what_is_theirs(scene):
    before = state_of(scene)
    for op in scene.doc.operations.values():
        if op.admin:
            answer = scene.anna.call(op.method, path_of(scene, op), **body_of(op))
            answer.refused(403, "DENIED")
            scene.doc.check(answer)
    assert state_of(scene) == before


def test_what_belongs_to_somebody_else_is_not_there(scene):
    """And it is not told apart from what is really not there."""
    anna, credential = scene.anna.made["id"], scene.anna.token()[0]
    before = state_of(scene)
    for op in scene.doc.operations.values():
        if op.admin or not op.params or op.id == "getNumberToken":
            continue
        there, nowhere = (
            scene.bert.call(op.method, re.sub(r"{(\w+)}", lambda m: values[m[1]], op.path),
                            **body_of(op))
            for values in ({"name": "demo", "id": credential, "session": "1"},
                           {"name": "nowhere", "id": "nowhere", "session": "1"}))
        scene.doc.check(there)
        if op.method == "PUT":  # a name is public: it can be seen to be taken
            there.refused(409, "EXISTS", "name")
            nowhere.want(201)
            scene.bert.delete("/v1/tunnels/nowhere").want(204)
            continue
        there.refused(404, "NOTFOUND")
        assert (there.status, there.body) == (nowhere.status, nowhere.body), op
    assert scene.bert.get(f"/v1/account/{anna}/token").status == 403
    shown = [t["name"] for t in scene.bert.pages("/v1/tunnels")]
    assert shown == ["berts"]
    assert state_of(scene) == before


@pytest.mark.parametrize("scope", [{"tunnels": ["other"]}, {"kinds": ["tcp"]},
                                   {"tunnels": ["*.demo"]}])
def test_a_scoped_token_is_good_for_its_scope_only(scene, scope):
    limited = scene.anna.as_(scene.anna.token("limited", **scope)[1])
    before = state_of(scene)
    allowed = {"getAccount", "getCredential", "listTunnels", "listAgents"}
    for op in scene.doc.operations.values():
        if op.open or op.id in allowed or op.id == "makeAccount":
            continue
        if op.id == "revokeCredential":  # giving back what one came with is always allowed
            path = "/v1/credentials/number"
        else:
            path = path_of(scene, op)
        answer = limited.call(op.method, path, **body_of(op))
        assert answer.status in (403, 404), (op, answer)
        scene.doc.check(answer)
    for path in ("/v1/account", "/v1/credentials/self"):
        limited.get(path).want(200)
    assert limited.pages("/v1/tunnels") == []
    assert state_of(scene) == before
    limited.delete("/v1/credentials/self").want(204)
    limited.get("/v1/account").refused(401)


def test_a_scoped_token_of_an_administrator_is_no_administrators(scene):
    limited = scene.admin.as_(scene.admin.token("ci", kinds=["http"])[1])
    over = scene.admin.as_(scene.admin.token("for a year", expires_at="2099-01-01T00:00:00Z")[1])
    before = state_of(scene)
    for op in scene.doc.operations.values():
        path = path_of(scene, op)
        if op.admin:
            limited.call(op.method, path, **body_of(op)).refused(403, "DENIED")
        elif op.path.startswith("/v1/tunnel") and op.params and op.method != "PUT":
            limited.call(op.method, path, **body_of(op)).refused(404)
        elif op.method == "PUT" and op.params:
            limited.call(op.method, path, **body_of(op)).refused(409)
    assert state_of(scene) == before
    assert len(over.pages("/v1/admin/accounts")) == 3, "until when is no limit of this kind"


def test_a_token_for_some_tunnels_can_do_all_with_them(scene):
    limited = scene.anna.as_(scene.anna.token("ci", tunnels=["one", "*.two"])[1])
    for name in ("one", "x.two", "a.b.two"):
        limited.put(f"/v1/tunnels/{name}", {}).want(201)
        limited.patch(f"/v1/tunnels/{name}", {"headers": {"rewrite": True}}).want(200)
        assert limited.post(f"/v1/tunnels/{name}/disconnect").json() == {"result": False}
    assert [t["name"] for t in limited.pages("/v1/tunnels", 2)] == ["a.b.two", "one", "x.two"]
    assert {t["name"] for t in scene.anna.pages("/v1/tunnels")} == {"a.b.two", "one", "x.two",
                                                                    "demo"}
    limited.post("/v1/tunnels", {}).refused(403, "DENIED")   # a random name is in no scope
    limited.put("/v1/tunnels/two", {}).refused(403, "DENIED")
    limited.get("/v1/tunnels/demo").refused(403, "DENIED")
    for name in ("one", "x.two", "a.b.two"):
        limited.delete(f"/v1/tunnels/{name}").want(204)
