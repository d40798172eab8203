"""What is sent to the API: bodies that are right, wrong, huge, and whatever else may come."""

import copy
import json
import os
import random
import re

import jsonschema
import pytest

from api_scene import (LISTS, account, ask, asker, body_of, operations_with_body, path_of,
                       scene_of, state_of)
from karez import SANITIZED
from visitor import Visitor

SEED = os.environ.get("KAREZ_E2E_SEED", "karez")
FUZZED = 300 if SANITIZED else 1000


@pytest.fixture
def scene(world):
    return scene_of(world)


# ---- bodies ----

def test_what_is_not_json_is_refused(scene):
    before = state_of(scene)
    for op in operations_with_body(scene):
        for kind in (None, "text/plain", "application/jsonx", "text/json",
                     "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"):
            answer = ask(scene, op, raw=b"{}", kind=kind)
            assert "JSON" in answer.refused(415, "UNSUPPORTED")["detail"], (op, kind)
            scene.doc.check(answer)
        for raw in (b"{", b"nothing", b"{} {}", b"{'a': 1}", b'{"a": 1,}', b"\xff\xfe{}",
                    b'{"name": "a", "name": "b"}', b'{"name": "\xc3\x28"}', b'{"name": "\\ud800"}',
                    b'{"name": NaN}', b"\xef\xbb\xbf{}", b'{"name": "a\\u0000b"}',
                  b'{"name": 1000000000000000000000000000000}', b'{"name": 1e999}'):
            answer = ask(scene, op, raw=raw)
            assert answer.status == 400, (op, raw, answer)
            scene.doc.check(answer)
        for raw in (b"[]", b"null", b"7", b'"{}"', b"true"):
            ask(scene, op, raw=raw).refused(400)
        ask(scene, op, raw=b"[" * 20000 + b"]" * 20000).refused(400)
        ask(scene, op, raw=b'{"a":' * 9000 + b"1" + b"}" * 9000).refused(400)
        if op.needs_body:
            ask(scene, op).refused(400)
    assert state_of(scene) == before


def test_bodies_up_to_64_kib_are_read_and_not_a_byte_more(scene):
    before = state_of(scene)
    for op in operations_with_body(scene):
        args, most = body_of(op), 1 << 20 if op.id in LISTS else 1 << 16
        if op.method in ("PUT", "PATCH"):
            raw = json.dumps(args["body"]).encode()
            ask(scene, op, raw=raw + b" " * (most - len(raw))).want(200)
        answer = ask(scene, op, raw=b" " * (most - 1) + b"{}")
        answer.refused(413, "TOOBIG")
        scene.doc.check(answer)
    chunked = b"%x\r\n%b\r\n" * 3 % (30000, b" " * 30000, 30000, b" " * 30000, 30000, b" " * 30000)
    with Visitor(scene.server.port) as v:
        v.send(f"PUT /v1/tunnels/demo HTTP/1.1\r\nHost: {scene.nobody.host}\r\n"
               "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
               f"Authorization: Bearer {scene.anna.credential}\r\n\r\n")
        v.send(chunked)
        assert v.answer("PUT").status == 413
    after = state_of(scene)
    assert without_updates(after) == without_updates(before)


def without_updates(state):
    state = copy.deepcopy(state)
    for t in state[2]:
        t.pop("updated_at")
    return state


def test_a_body_in_chunks_is_as_good(scene):
    with Visitor(scene.server.port) as v:
        v.send(f"PATCH /v1/account HTTP/1.1\r\nHost: {scene.nobody.host}\r\n"
               "Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
               f"Authorization: Bearer {scene.anna.credential}\r\n\r\n"
               '5\r\n{"nam\r\n9\r\ne": "Eva"\r\n1\r\n}\r\n0\r\n\r\n')
        assert v.answer("PATCH").json()["name"] == "Eva"
        v.ask(scene.nobody.host, "/v1/health")  # the connection goes on
        assert v.answer().status == 200


def objects_of(s, schema, path=()):
    """All objects that a body may hold: (path, schema)."""
    schema = s.doc.deref(schema)
    if schema.get("type") == "array":
        yield from objects_of(s, schema["items"], (*path, 0))
        return
    if schema.get("type") != "object":
        return
    yield path, schema
    for name, member in schema["properties"].items():
        if not member.get("readOnly"):
            yield from objects_of(s, member, (*path, name))


def put_at(body, path, value):
    """The body with the value at that place; what is on the way is made."""
    if not path:
        return value
    step, *rest = path
    if isinstance(step, int):
        return [put_at({}, rest, value)]
    body = copy.deepcopy(body) if isinstance(body, dict) else {}
    body[step] = put_at(body.get(step, {}), rest, value)
    return body


def dotted(path):
    return ".".join(map(str, path))


def test_unknown_members_are_refused_by_name(scene):
    before, n = state_of(scene), 0
    for op in operations_with_body(scene):
        body = body_of(op)["body"]
        for path, _ in objects_of(scene, op.body):
            for name in ("nosuch", "Name", "name ", "_", "password2", "%s%n", "ä"):
                answer = ask(scene, op, body=put_at(body, (*path, name), 1))
                answer.refused(400, "INVAL", dotted((*path, name)))
                scene.doc.check(answer)
                n += 1
        for name in ("", "x" * 3000, "a.b", "a\nb"):
            answer = ask(scene, op, body={**body, name: 1}).want(400)
            assert len(answer.json().get("field", "")) < 300
    assert n > 150 and state_of(scene) == before


WRONG = [None, True, -1, 1.5, 1e300, 2 ** 53, "", "text", "x" * 5000, "a\nb\x7f", [], [None],
         [[]], ["x" * 3000], ["x"] * 500, {}, {"nosuch": 1}]


def test_members_of_a_wrong_type_are_refused_by_name(scene):
    """Wrong is what the document's own schema does not take."""
    before, n = state_of(scene), 0
    checker = jsonschema.FormatChecker(formats=())
    checker.checks("date-time")(lambda v: not isinstance(v, str) or v[:2] == "20")
    for op in operations_with_body(scene):
        body = body_of(op)["body"]
        for path, schema in objects_of(scene, op.body):
            for name, member in schema["properties"].items():
                if member.get("readOnly"):
                    continue
                valid = jsonschema.Draft202012Validator(scene.doc.schema(member),
                                                        format_checker=checker)
                for value in WRONG:
                    if valid.is_valid(value):
                        continue
                    answer = ask(scene, op, body=put_at(body, (*path, name), value))
                    field = answer.refused(400, "INVAL").get("field", "")
                    assert field.startswith(dotted((*path, name))), (op, path, name, value, answer)
                    n += 1
    assert n > 300 and state_of(scene) == before


def test_missing_members_are_named(scene):
    for op in operations_with_body(scene):
        for path, schema in objects_of(scene, op.body):
            for name in schema.get("required", []):
                if not path and op.method == "PATCH":
                    continue
                ask(scene, op, body=put_at(body_of(op)["body"] if path else {}, path,
                                           {})).refused(400, "INVAL", dotted((*path, name)))


VALUES = [
    ("a name with a letter that is none", {"name": "a_b"}, "name"),
    ("a name that is reserved", {"name": "www"}, "name"),
    ("two kinds at once", {"kind": "http", "ingress": {"sni": {"enabled": True}}},
     "ingress.sni.enabled"),
    ("domains by two names", {"domains": ["a.example"], "ingress": {"http": {"alt_names": []}}},
     "domains"),
    ("a service's name that is none", {"target": {"service": "a b"}}, "target.service"),
    ("an agent's name that is none", {"transport": {"agents": ["a b"]}}, "transport.agents"),
    ("an agent twice", {"transport": {"agents": ["a", "a"]}}, "transport.agents"),
    ("yes and no", {"enabled": True, "ingress": {"http": {"enabled": False}}},
     "ingress.http.enabled"),
    ("a block that is none", {"visitors": {"allow": ["10.0.0.0/8", "10.0.0.1/99"]}},
     "visitors.allow.1"),
    ("the same in the other list", {"visitors": {"deny": ["nonsense"]}}, "visitors.deny.0"),
    ("a user name with a colon", {"visitors": {"basic": [{"user": "a:b", "password": "secret"}]}},
     "visitors.basic.0.user"),
    ("a user twice", {"visitors": {"basic": [{"user": "a", "password": "secret"}] * 2}},
     "visitors.basic.1.user"),
    ("a new user without a password", {"visitors": {"basic": [{"user": "a"}]}},
     "visitors.basic"),
    ("a token that is short", {"visitors": {"bearer": ["x" * 15]}}, "visitors.bearer.0"),
    ("a token with a space", {"visitors": {"bearer": ["x" * 16, "x" * 16 + " x"]}},
     "visitors.bearer.1"),
    ("a hook that is not allowed", {"visitors": {"auth_url": "http://127.0.0.1:1/"}},
     "visitors.auth_url"),
    ("a hook that is no URL", {"visitors": {"auth_url": "what?"}}, "visitors.auth_url"),
    ("a custom domain that is none", {"ingress": {"http": {"alt_names": ["http://a.b/"]}}},
     "ingress.http.alt_names"),
    ("one of ours", {"ingress": {"http": {"alt_names": ["x.localhost"]}}},
     "ingress.http.alt_names"),
    ("twice the same", {"ingress": {"http": {"alt_names": ["a.example", "A.example."]}}},
     "ingress.http.alt_names"),
    ("no session at all", {"transport": {"max_connections": 0}}, "transport.max_connections"),
    ("too many", {"transport": {"max_connections": 65}}, "transport.max_connections"),
]


@pytest.mark.parametrize("why,body,field", VALUES, ids=[v[0] for v in VALUES])
def test_values_that_cannot_be_are_refused_with_their_member(scene, why, body, field):
    before = state_of(scene)
    answer = scene.anna.post("/v1/tunnels", body)
    assert answer.status in (400, 403, 501), answer
    problem = answer.json()
    assert problem["field"] == field, answer
    scene.doc.check(answer)
    if "name" not in body:
        again = scene.anna.patch("/v1/tunnels/demo", body)
        assert (again.status, again.json()["field"]) == (answer.status, field)
    assert state_of(scene) == before


@pytest.mark.parametrize("scope,field", [
    ({"tunnels": ["a b"]}, "scope.tunnels.0"), ({"tunnels": ["*"]}, "scope.tunnels.0"),
    ({"tunnels": ["ok", "*.*.x"]}, "scope.tunnels.1"), ({"ports": ["0"]}, "scope.ports.0"),
    ({"ports": ["1-2", "5-4"]}, "scope.ports.1"), ({"ports": ["70000"]}, "scope.ports.0"),
    ({"ports": ["1-2-3"]}, "scope.ports.0"), ({"ports": [""]}, "scope.ports.0"),
    ({"expires_at": "2001-01-01T00:00:00Z"}, "scope.expires_at"),
    ({"expires_at": "2026-02-30T00:00:00Z"}, "scope.expires_at"),
    ({"tunnels": [".".join(["abcdefgh"] * 20)] * 4}, "scope.tunnels")])
def test_scopes_that_cannot_be_are_refused(scene, scope, field):
    made = scene.anna.post("/v1/credentials", {"type": "token", "scope": scope})
    made.refused(400, "INVAL", field)
    id_ = scene.anna.token()[0]
    scene.anna.patch(f"/v1/credentials/{id_}", {"scope": scope}).refused(400, "INVAL", field)


# ---- fuzzed bodies ----

class Fuzz:
    """Bodies from a schema: right ones, nearly right ones, and nonsense."""

    def __init__(self, doc, seed):
        self.doc, self.r = doc, random.Random(seed)

    def text(self):
        r = self.r
        return r.choice([
            lambda: "", lambda: "demo", lambda: f"n{r.randrange(8)}", lambda: "a.example.org",
            lambda: "x" * r.randrange(1, 700), lambda: "\x00\x1b[2J\r\n", lambda: "%s%n%x../..",
            lambda: "".join(chr(r.choice([r.randrange(32, 127), r.randrange(128, 0xd800),
                                          r.randrange(0x10000, 0x110000)])) for _ in range(20)),
            lambda: "127.0.0.1/8", lambda: "::/0", lambda: "http://[::1]:99999/", lambda: "80-81",
            lambda: "2099-01-01T00:00:00Z", lambda: "9999-12-31T23:59:60+14:00", lambda: "*.n1",
            lambda: "'; DROP TABLE records; --", lambda: "ssh-ed25519 AAAA", lambda: "\\" * 30])()

    def junk(self, depth=0):
        r = self.r
        kind = r.randrange(9 if depth < 4 else 7)
        if kind == 7:
            return [self.junk(depth + 1) for _ in range(r.randrange(4))]
        if kind == 8:
            return {self.text(): self.junk(depth + 1) for _ in range(r.randrange(4))}
        return [None, True, False, r.randrange(-5, 100), r.random() * 1e300, 2 ** 63, None][kind] \
            if kind != 6 else self.text()

    def value(self, schema):
        """Of the schema, mostly."""
        r = self.r
        schema = self.doc.deref(schema)
        if r.random() < 0.06:
            return self.junk()
        if "oneOf" in schema:
            return self.value(r.choice(schema["oneOf"]))
        if "enum" in schema:
            return r.choice(schema["enum"])
        kinds = schema.get("type")
        kind = r.choice(kinds) if isinstance(kinds, list) else kinds
        if kind == "object":
            found = {name: self.value(member) for name, member in schema["properties"].items()
                     if r.random() < 0.4 or name in schema.get("required", ())}
            if r.random() < 0.03:
                found[self.text()] = self.junk()
            return found
        if kind == "array":
            return [self.value(schema["items"]) for _ in range(r.choice([0, 1, 1, 2, 3]))]
        if kind == "integer":
            return r.choice([0, 1, 2, 64, r.randrange(1 << 20)])
        if kind == "boolean":
            return r.random() < 0.5
        return None if kind == "null" else self.text()

    def bytes(self, schema):
        r = self.r
        raw = bytearray(json.dumps(self.value(schema)).encode())
        while r.random() < 0.25 and raw:
            at = r.randrange(len(raw))
            raw[at:at + r.randrange(3)] = bytes(r.randrange(256) for _ in range(r.randrange(4)))
        return bytes(raw)


def test_fuzzed_bodies_are_answered_and_never_kill(scene):
    fuzz, seen = Fuzz(scene.doc, SEED), {}
    victim = account(scene)
    before = scene.server.rss()
    ops = operations_with_body(scene)
    for i in range(FUZZED):
        op = ops[i % len(ops)]
        raw = fuzz.bytes(op.body)
        answer = asker(scene, op).call(op.method, path_of(scene, op, id=victim), raw=raw)
        assert answer.status < 500 or answer.json()["code"] == "UNSUPPORTED", (SEED, i, raw, answer)
        scene.doc.check(answer)
        seen[answer.status // 100] = seen.get(answer.status // 100, 0) + 1
    assert seen[2] > FUZZED / 20 and seen[4] > FUZZED / 20, seen
    assert scene.server.rss() - before < 64 << 20 or SANITIZED
    assert scene.server.count("level=error| error ") == 0
    state_of(scene)  # all that was written can be read


def test_fuzzed_paths_queries_and_fields_are_answered(scene):
    r = random.Random(SEED)
    bits = ["..", "%2e%2e", "%00", "%", "%zz", "demo", "DEMO", "x" * 300, "a%20b",
            "self", "1", "18446744073709551616", "-1", "%2F", "%C3%A4", "~",
            "number", "%F0%9F%98%80", "*", ";", "'"]
    paths = sorted({op.path for op in scene.doc.operations.values()})
    for i in range(FUZZED):
        path = re.sub(r"{\w+}", lambda m: r.choice(bits), r.choice(paths))
        if r.random() < 0.5:
            path += "?" + "&".join(f"{r.choice(['limit', 'cursor', 'reason', 'name', *bits])}="
                                   f"{r.choice(bits)}" for _ in range(r.randrange(1, 4)))
        fields = [(r.choice(["If-Match", "If-None-Match"]),
                   r.choice(['"1"', "*", "W/\"1\"", '"', '""', '"zz"', "x" * 500,
                             '"' + "f" * 40 + '"', '"1", "2"', ""]))] if r.random() < 0.4 else []
        method = r.choice(["GET", "GET", "GET", "HEAD", "POST", "PATCH", "OPTIONS"])
        who = r.choice([scene.anna, scene.admin, scene.bert, scene.nobody])
        answer = who.call(method, path, fields=fields)
        assert answer.status < 500, (SEED, i, method, path, fields, answer)
    assert scene.anna.get("/v1/tunnels/demo").status == 200
