"""The API as HTTP: methods, versions of things and of the protocol, names, lists in pages."""

import json
import re
import threading

import pytest

from api_scene import account, asker, body_of, invite, path_of, scene_of, state_of
from karez import wait_until
from visitor import Visitor, fetch


@pytest.fixture
def scene(world):
    return scene_of(world)


# ---- HTTP ----

def test_head_is_get_without_a_body(scene):
    for op in scene.doc.operations.values():
        if op.method != "GET" or op.id in ("openByGet", "getNumberToken"):
            continue
        get, head = (asker(scene, op).call(m, path_of(scene, op)) for m in ("GET", "HEAD"))
        assert get.status == head.status, op
        same = [[(n, v) for n, v in a.fields if n.lower() not in ("date", "etag")]
                for a in (get, head)]
        # times of use and uptimes change meanwhile, their length does not
        assert same[0] == same[1], op
        scene.doc.check(head)


def test_a_wrong_method_is_405_and_allow_tells_which_there_are(scene):
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    for path in scene.doc.doc["paths"]:
        ops = [op for op in scene.doc.operations.values() if op.path == path]
        place = path_of(scene, ops[0])
        known = {op.method for op in scene.doc.operations.values() if op.matches(place)}
        known = known | ({"HEAD"} if "GET" in known else set())
        for method in [*methods, "TRACE", "BREW"]:
            if method in known:
                continue
            answer = scene.admin.call(method, place)
            if method in ("TRACE", "BREW") and answer.status == 501:
                continue
            answer.want(405)
            allow = {m.strip() for m in answer.get("Allow").split(",")}
            assert allow - {"OPTIONS"} == known, (path, method, answer)
        options = scene.nobody.call("OPTIONS", place).want(204)
        assert {m.strip() for m in options.get("Allow").split(",")} - {"OPTIONS"} == known


def test_no_route_is_there_that_the_document_does_not_have(scene):
    paths = set()
    for path in scene.doc.doc["paths"]:
        place = re.sub(r"{\w+}", "demo", path)
        paths |= {place + "/", place + "/x", place.upper(), place + "x", "/v1" + place,
                  place.replace("/v1/", "/v2/"), place.replace("/v1/", "/v1//"),
                  place.replace("/", "/./"), place + "%20", place.replace("/v1/", "/V1/"),
                  place.rsplit("/", 1)[0], place.replace("/v1/", "/v1/x/../"), place + ";x"}
    paths |= {"/v1/", "/v1/nosuch", "/v1/debug", "/v1/metrics", "/v1/admin", "/v1/admin/",
              "/v1/admin/config", "/v1/store", "/v1/tunnels/demo/ws-endpoint", "/v1/admin/cluster",
              "/v1/.", "/v1/%2e%2e/", "/v1/openapi.yaml", "/v1/swagger"}
    checked = 0
    for path in sorted(paths):
        if not path.startswith("/v1/") or any(op.matches(path)
                                              for op in scene.doc.operations.values()):
            continue
        for method in ("GET", "POST", "DELETE"):
            answer = scene.admin.call(method, path)
            assert answer.status == 404, (method, answer)
            assert answer.json()["code"] == "NOTFOUND"
            checked += 1
    assert checked > 300


def test_unknown_query_parameters_are_refused_by_name(scene):
    before = state_of(scene)
    for op in scene.doc.operations.values():
        path, args = path_of(scene, op), body_of(op)
        for query, name in (("nosuch=1", "nosuch"), ("Limit=1", "Limit"), ("x", "x"),
                            ("a%20b=1", "a b")):
            more = "&" if "?" in path else "?"
            answer = asker(scene, op).call(op.method, f"{path}{more}{query}", **args)
            answer.refused(400, "INVAL", name)
            scene.doc.check(answer)
        path = path.split("?")[0]
        for name in op.inputs("query"):
            value = {"limit": "1", "count": "1", "dry_run": "true"}.get(name, "a")
            answer = asker(scene, op).call(op.method, f"{path}?{name}={value}&{name}={value}",
                                           **args)
            answer.refused(400, "INVAL", name)
    assert state_of(scene) == before


def test_query_parameters_are_checked_as_the_document_says(scene):
    for op in scene.doc.operations.values():
        for name, parameter in op.inputs("query").items():
            schema = parameter["schema"]
            if schema["type"] == "integer":
                bad = [schema["minimum"] - 1, schema["maximum"] + 1, "x", "", "1.0", "%2B1", "0x1",
                       " 1", 10 ** 30]
            elif schema["type"] == "boolean":
                bad = ["", "1", "yes", "True", "true%20", "a%00b", "%"]
            else:
                bad = ["x" * (schema["maxLength"] + 1), "a%00b", "a%0Ab", "%"]
                bad += [""] if schema.get("minLength") else []
            for value in bad:
                path = path_of(scene, op).split("?")[0]
                path = f"{path}?{name}={value}".replace(" ", "%20")
                answer = asker(scene, op).call(op.method, path, **body_of(op))
                problem = answer.refused(400)
                assert problem.get("field") in (name, None), (op, value, answer)


def test_http_1_0_is_served(scene):
    answer = scene.anna.get("/v1/tunnels/demo", version="1.0").want(200)
    assert answer.json()["name"] == "demo" and answer.get("Transfer-Encoding") is None
    scene.anna.put("/v1/tunnels/old", {}, version="1.0").want(201)
    scene.nobody.get("/v1/account", version="1.0").refused(401)
    with Visitor(scene.server.port) as v:  # without Host there is no telling whom it is for
        v.send("GET /v1/health HTTP/1.0\r\n\r\n")
        assert v.answer().status == 404


def test_one_connection_carries_many_calls_in_order(scene):
    head = f"Host: {scene.nobody.host}\r\nAuthorization: Bearer {scene.anna.credential}\r\n"
    with Visitor(scene.server.port) as v:
        for i in range(20):  # pipelined: all questions first
            body = json.dumps({"target": {"url": f"http://127.0.0.1:{i + 1}"}})
            v.send(f"PUT /v1/tunnels/demo HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n{body}"
                   f"GET /v1/tunnels/demo HTTP/1.1\r\n{head}\r\n")
        for i in range(20):
            for method in ("PUT", "GET"):
                answer = v.answer(method)
                assert answer.status == 200
                assert answer.json()["target"]["url"] == f"http://127.0.0.1:{i + 1}"


def test_who_hangs_up_in_the_middle_of_a_call_leaves_nothing(scene):
    for cut in range(0, 160, 8):
        body = json.dumps({"visitors": {"basic": [{"user": "eve", "password": "canary-pw-2"}]}})
        data = (f"PATCH /v1/tunnels/demo HTTP/1.1\r\nHost: {scene.nobody.host}\r\n"
                f"Authorization: Bearer {scene.anna.credential}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        with Visitor(scene.server.port) as v:
            v.send(data[:len(data) - cut])
            v.reset()
    node = scene.admin.get("/v1/admin/node").json()
    assert node["exchanges"] == 0
    wait_until(lambda: scene.admin.get("/v1/admin/node").json()["connections"] == 1, 5,
               "the connections are gone")


@pytest.mark.parametrize("host,ours", [
    ("localhost", True), ("LOCALHOST", True), ("api.localhost", True), ("API.localhost.", True),
    ("127.0.0.1", True), ("[::1]", True), ("other.example", False), ("demo.localhost", False),
    ("x.api.localhost", False)])
def test_the_api_has_names_of_its_own(scene, host, ours):
    response = fetch(scene.server.port, f"{host}:{scene.server.port}", "/v1/version")
    assert (response.status == 200) == ours, response.body


def test_the_api_host_can_be_named(world):
    server = world.server("--api-host", "manage.example", domain="tunnels.example")
    for host, ours in (("tunnels.example", True), ("manage.example", True),
                       ("localhost", True), ("api.tunnels.example", False)):
        assert (fetch(server.port, host, "/v1/version").status == 200) == ours, host
    version = server.api().get("/v1/version").json()
    assert version == {"name": "karezd", "version": version["version"], "domain": "tunnels.example",
                       "protocols": ["karez/1", "websocket"], "registration": "open"}


def test_the_api_over_tls_speaks_of_https(world, authority):
    server = world.server(tls=authority.localhost)
    with Visitor(server.port, tls=authority.client_context()) as v:
        v.ask(f"localhost:{server.port}", "/v1/open", "POST")
        opened = v.answer("POST").json()
    world.plant(opened["token"])
    assert opened["url"] == f"https://{opened['name']}.localhost:{server.port}"
    assert opened["server"] == f"https://localhost:{server.port}"


# ---- lists ----

def test_120_tunnels_come_in_pages(scene):
    account = "/v1/admin/accounts/" + scene.anna.made["id"]
    scene.admin.patch(account, {"quota": {"tunnels": 121}}).want(200)
    names = {"demo"} | {f"t{i}" for i in range(120)}
    for name in names:
        scene.anna.put(f"/v1/tunnels/{name}", {}).want(200, 201)
    scene.anna.put("/v1/tunnels/toomuch", {}).refused(429, "LIMIT")
    assert scene.anna.account()["usage"]["tunnels"] == 121
    for limit in (None, 1, 7, 99, 100):
        found = [t["name"] for t in scene.anna.pages("/v1/tunnels", limit)]
        assert len(found) == 121 and set(found) == names, limit
        assert found == sorted(found), "a list has an order"
    assert len(scene.anna.get("/v1/tunnels").json()["tunnels"]) == 25
    everybody = [t["name"] for t in scene.admin.pages("/v1/admin/tunnels", 50)]
    assert set(everybody) == names | {"berts"} and len(everybody) == 122
    old = scene.admin.get("/v1/admin/tunnel?count=100").json()
    assert len(old["tunnels"]) == 100
    assert len(scene.admin.get("/v1/admin/tunnel?count=100&cursor=" + old["cursor"])
               .json()["tunnels"]) == 22


def test_a_page_goes_on_where_the_one_before_ended_whatever_happens_meanwhile(scene):
    for i in range(10):
        scene.anna.tunnel(f"t{i}")
    page = scene.anna.get("/v1/tunnels?limit=5").json()
    seen = [t["name"] for t in page["tunnels"]]
    assert seen == ["demo", "t0", "t1", "t2", "t3"]
    scene.anna.delete("/v1/tunnels/t3").want(204)  # what the cursor stands on
    scene.anna.delete("/v1/tunnels/t5").want(204)
    scene.anna.tunnel("aaaa")
    scene.anna.tunnel("t31")
    page = scene.anna.get("/v1/tunnels?limit=100&cursor=" + page["cursor"]).json()
    assert [t["name"] for t in page["tunnels"]] == ["t31", "t4", "t6", "t7", "t8", "t9"]
    assert page["cursor"] is None


def test_pages_of_the_other_lists(scene):
    for i in range(6):
        scene.anna.token(f"c{i}")
        invite(scene).want(201)
        account(scene)
    for limit in (1, 2, 100):
        assert len(scene.anna.pages("/v1/credentials", limit)) == 8  # its number and first token
        assert len(scene.admin.pages("/v1/admin/invitations", limit)) == 6
        accounts = scene.admin.pages("/v1/admin/accounts", limit)
        assert len(accounts) == 9 and len({a["id"] for a in accounts}) == 9
        assert len(scene.admin.pages("/v1/admin/account", limit)) == 9
        listed = scene.admin.pages(f"/v1/admin/accounts/{scene.anna.made['id']}/credentials",
                                   limit)
        assert len(listed) == 8


def test_no_cursor_leads_to_what_is_somebody_elses(scene):
    scene.anna.tunnel("aaaa")
    scene.anna.tunnel("zzzz")
    cursors = ["AA", "fg", "Li4v", "L34", "LQ", "YQ", "eg", "_____w", "-_-_",
               scene.anna.get("/v1/tunnels?limit=1").json()["cursor"],
               scene.anna.get("/v1/credentials?limit=1").json()["cursor"],
               scene.admin.get("/v1/admin/accounts?limit=1").json()["cursor"],
               scene.admin.get("/v1/admin/tunnels?limit=1").json()["cursor"]]
    for cursor in cursors:
        for path, member in (("/v1/tunnels", "tunnels"), ("/v1/credentials", "credentials")):
            answer = scene.bert.get(f"{path}?cursor={cursor}")
            if answer.status == 400:
                answer.refused(400, field="cursor")
                continue
            ours = {"berts"} | {c["id"] for c in scene.bert.pages("/v1/credentials")}
            assert {i.get("id") for i in answer.json()[member]} <= ours, (path, cursor)
    for cursor in ("", "!", "a", "x" * 2000, "a b", "YQ=="):
        answer = scene.bert.get(f"/v1/tunnels?cursor={cursor}".replace(" ", "%20"))
        assert answer.status in (200, 400)
        if answer.status == 400:
            answer.refused(400, field="cursor")


# ---- versions ----

def items(s):
    """Each kind of item that has versions: (who, path, change, may be deleted)."""
    anna = s.anna.made["id"]
    return [(s.anna, "/v1/account", {"name": "A"}, False),
            (s.anna, "/v1/credentials/" + s.anna.token()[0], {"name": "A"}, False),
            (s.anna, "/v1/tunnels/demo", {"headers": {"rewrite": True}}, True),
            (s.anna, "/v1/tunnel/demo", {"headers": {"rewrite": False}}, True),
            (s.admin, f"/v1/admin/accounts/{anna}", {"name": "B"}, True),
            (s.admin, "/v1/admin/tunnels/demo", None, True),
            (s.admin, f"/v1/admin/account/{anna}", None, True),
            (s.admin, "/v1/admin/tunnel/demo", None, True)]


def test_every_item_has_a_version_that_guards_it(scene):
    for who, path, change, may_delete in items(scene):
        first = who.get(path).want(200)
        etag = first.etag
        assert re.fullmatch('"[0-9a-f]+"', etag), path
        for known in (etag, f"W/{etag}", "*", f'"x", {etag}'):
            same = who.get(path, fields=[("If-None-Match", known)]).want(304)
            assert same.body == b"" and same.etag == etag
            scene.doc.check(same)
            who.call("HEAD", path, fields=[("If-None-Match", known)]).want(304)
        for other in ('"0"', '"x"', "W/\"ffff\"", etag[1:-1]):
            who.get(path, fields=[("If-None-Match", other)]).want(200)
        if change is not None:
            _check_guarded_change(scene, who, path, change)
        if may_delete:
            for stale in ('"fffffffffffff"', etag if change is not None else '"0"', '"x"', 'x'):
                answer = who.delete(path, fields=[("If-Match", stale)])
                answer.refused(412)
                scene.doc.check(answer)
            who.get(path).want(200)


def _check_guarded_change(s, who, path, change):
    etag = who.get(path).etag
    done = who.patch(path, change, fields=[("If-Match", etag)]).want(200)
    assert done.etag != etag and who.get(path).etag == done.etag, path
    for stale in (etag, '"0"', f"W/{done.etag}", "nonsense", '"' + "f" * 30 + '"'):
        answer = who.patch(path, change, fields=[("If-Match", stale)])
        answer.refused(412)
        s.doc.check(answer)
    assert who.get(path).etag == done.etag
    who.patch(path, change, fields=[("If-Match", "*")]).want(200)
    who.patch(path, change, fields=[("If-Match", f"{etag}, {done.etag}")]).refused(400)


def test_conditions_of_put(scene):
    anna = scene.anna
    star, known = [("If-None-Match", "*")], [("If-Match", "*")]
    anna.put("/v1/tunnels/fresh", {}, fields=known).refused(412)
    anna.put("/v1/tunnels/fresh", {}, fields=[("If-Match", '"1"')]).refused(412)
    anna.get("/v1/tunnels/fresh").refused(404)
    made = anna.put("/v1/tunnels/fresh", {}, fields=star).want(201)
    assert made.get("Location") == "/v1/tunnels/fresh"
    anna.put("/v1/tunnels/fresh", {}, fields=star).refused(412)
    assert anna.get("/v1/tunnels/fresh").etag == made.etag
    again = anna.put("/v1/tunnels/fresh", {}, fields=known).want(200)
    anna.put("/v1/tunnels/fresh", {}, fields=[("If-Match", made.etag)]).refused(412)
    anna.put("/v1/tunnels/fresh", {}, fields=[("If-Match", again.etag)]).want(200)
    scene.bert.put("/v1/tunnels/fresh", {}, fields=known).want(409, 412)
    scene.bert.put("/v1/tunnels/fresh", {}, fields=star).want(409, 412)
    assert anna.get("/v1/tunnels/fresh").json()["owner"] == anna.made["id"]
    anna.post("/v1/tunnels", {}, fields=known).refused(400, field="If-Match")
    anna.put("/v1/tunnels/fresh", {}, fields=[("If-None-Match", '"1"')]).refused(400)


def test_a_put_again_changes_nothing(scene):
    body = {"target": {"url": "http://127.0.0.1:3000"}, "enabled": True,
            "transport": {"max_connections": 3, "policy": "failover"},
            "headers": {"rewrite": True},
            "visitors": {"allow": ["10.0.0.0/8"], "deny": ["10.0.0.1/32"],
                         "basic": [{"user": "eve", "password": "canary-pw-3"}]}}
    first = scene.anna.put("/v1/tunnels/put", body).want(201).json()
    second = scene.anna.put("/v1/tunnels/put", body).want(200).json()
    first.pop("updated_at"), second.pop("updated_at")
    assert first == second
    assert first["transport"]["max_connections"] == 3 and first["headers"]["rewrite"] is True
    assert first["visitors"]["basic"] == [{"user": "eve"}]
    # what is left out gets its usual value again, other than with PATCH
    third = scene.anna.put("/v1/tunnels/put", {"enabled": False}).want(200).json()
    assert third["visitors"] == {"basic": [], "bearer": 0, "allow": [], "deny": [],
                                 "auth_url": ""}
    assert third["target"]["url"] == "" and third["transport"]["policy"] == "least-conn"
    assert third["created_at"] == first["created_at"]


def test_patch_leaves_alone_what_it_does_not_name(scene):
    scene.anna.put("/v1/tunnels/demo", {"target": {"url": "x:1"}, "visitors": {
        "allow": ["10.0.0.0/8"], "bearer": ["canary-bearer-0002"]}})
    was = scene.anna.get("/v1/tunnels/demo").json()
    now = scene.anna.patch("/v1/tunnels/demo", {"visitors": {"deny": ["2001:DB8::1"]}}).json()
    for t in (was, now):
        t.pop("updated_at")
    assert now["visitors"].pop("deny") == ["2001:db8::1/128"]
    assert was["visitors"].pop("deny") == []
    assert now == was


def test_what_was_read_can_be_edited_and_put_back(scene):
    scene.anna.put("/v1/tunnels/demo", {
        "target": {"url": "http://127.0.0.1:3000"},
        "visitors": {"basic": [{"user": "eve", "password": "canary-pw-4"}],
                     "bearer": ["canary-bearer-0003", "canary-bearer-0004"]}}).want(200)
    read = scene.anna.get("/v1/tunnels/demo")
    tunnel = read.json()
    tunnel["headers"]["rewrite"] = True
    put = scene.anna.put("/v1/tunnels/demo", tunnel, fields=[("If-Match", read.etag)]).want(200)
    now = put.json()
    assert now["headers"]["rewrite"] is True
    assert now["visitors"] == tunnel["visitors"], "secrets that cannot be read are kept"
    account = scene.admin.get("/v1/admin/accounts/" + scene.anna.made["id"]).json()
    account["quota"]["sessions"] = 7
    done = scene.admin.patch("/v1/admin/accounts/" + account["id"], account).want(200).json()
    assert done["quota"]["sessions"] == 7
    credential = scene.anna.get("/v1/credentials/self").json()
    scene.anna.patch("/v1/credentials/self", credential).want(200)
    tunnel["name"] = "other"
    scene.anna.put("/v1/tunnels/demo", tunnel).refused(400, field="name")
    scene.anna.post("/v1/tunnels", {**now, "name": "copy", "id": "copy",
                                    "visitors": {}}).want(201)


def test_no_change_is_lost_when_many_change_one_thing(scene):
    def add(n):
        for _ in range(n):
            while True:
                read = scene.anna.get("/v1/tunnels/demo")
                allow = read.json()["visitors"]["allow"]
                body = {"visitors": {"allow": [*allow, f"10.0.0.{len(allow)}/32"]}}
                done = scene.anna.patch("/v1/tunnels/demo", body,
                                        fields=[("If-Match", read.etag)]).want(200, 412)
                if done.status == 200:
                    break

    threads = [threading.Thread(target=add, args=(4,)) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    allow = scene.anna.get("/v1/tunnels/demo").json()["visitors"]["allow"]
    assert len(allow) == 24 and len(set(allow)) == 24
