"""The API as a program sees it, and as its own document says that it is.

Requests go out byte for byte as the test wants them. Every answer is checked for what all of them
must have; what is secret in one is told to the world, which looks for it in every log.
"""

import base64
import copy
import json
import re

import jsonschema

from visitor import Visitor

# Members that are told once, and by which an account or a tunnel can be used.
SECRETS = ("token", "account_id", "account_id_hr", "code")
# Members that may be missing, as there may be nothing to tell.
SOMETIMES = {"Account": {"reason", "used_at"},
             "Credential": {"used_at", "token"},
             "Scope": {"expires_at"},
             "Connection": {"connected_at"},
             "Invitation": {"expires_at", "code"},
             "Opened": {"token", "account_id_hr"},
             "Problem": {"field", "entry"},
             "Tunnel": {"domains"},  # an http tunnel tells them with its ingress
             "Session": {"node"}, "Visitor": {"node"}, "Agent": {"nodes"},  # of a cluster
             "": {"missing"},  # beside a list: nodes that did not answer
             "Ingress": {"http", "tcp", "tls"},
             "MadeAccount": set()}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NOTHING = object()


def number_forms(number):
    """All ways in which an account's number can be written: none of them may be in a log."""
    bare = number.replace("-", "")
    coded = base64.b64encode(bare.encode()).decode()
    return {number, number.lower(), bare, bare.lower(), coded, coded.rstrip("=")}


def number_token(number):
    """As exposr's programs send it."""
    return base64.b64encode(number.replace("-", "").encode()).decode()


def secrets_of(value):
    """What must stay secret of an answer."""
    found = set()
    if isinstance(value, dict):
        for key, member in value.items():
            if key in SECRETS and isinstance(member, str) and len(member) >= 8:
                found |= number_forms(member) if key != "token" else {member}
            found |= secrets_of(member)
    elif isinstance(value, list):
        for member in value:
            found |= secrets_of(member)
    return found


class Answer:
    """What came back, with what was asked."""

    def __init__(self, method, path, response):
        self.method, self.path, self.response = method, path, response
        self.status, self.body = response.status, response.body
        self.get, self.all, self.fields = response.get, response.all, response.fields

    def __repr__(self):
        return f"{self.method} {self.path} -> {self.status} {self.body[:600]!r}"

    @property
    def kind(self):
        return (self.get("Content-Type") or "").split(";")[0]

    @property
    def etag(self):
        return self.get("ETag")

    def json(self):
        return json.loads(self.body)

    def want(self, *statuses):
        assert self.status in statuses, self
        return self

    def refused(self, status, code=None, field=None):
        """It is a problem of this status; returns what it says."""
        assert self.status == status, self
        problem = self.json()
        assert code is None or problem["code"] == code, self
        assert field is None or problem.get("field") == field, self
        return problem

    def check(self):
        """What every answer of the API must have."""
        assert self.status != 500 and self.status < 600, self
        assert (self.get("WWW-Authenticate") is not None) == (self.status == 401), self
        assert self.get("Retry-After") is not None or self.status not in (429, 503), self
        assert self.get("Allow") is not None or self.status != 405, self
        assert self.get("X-Content-Type-Options") == "nosniff" or self.status == 204 or \
            self.kind == "application/problem+json", self
        assert self.get("Cache-Control") is not None or self.status == 204, self
        if self.status >= 400 and self.method != "HEAD":
            self._check_problem()
        if self.status in (204, 304) or self.method == "HEAD":
            assert self.body == b"", self
        return self

    def _check_problem(self):
        """RFC 9457, and what scripts rely on."""
        assert self.kind == "application/problem+json", self
        problem = self.json()
        assert set(problem) - {"field", "entry"} == {"type", "title", "status", "detail", "code",
                                            "error"}, self
        assert problem["type"] == "about:blank" and problem["status"] == self.status, self
        assert re.fullmatch("[A-Z]+", problem["code"]) and problem["error"] == problem["code"]
        assert problem["title"] and len(problem["detail"]) > 5, self
        assert problem.get("field") != "", self


class Api:
    """One who asks. Requests have connections of their own."""

    def __init__(self, port, credential=None, host="localhost", plant=lambda *secrets: None,
                 address="127.0.0.1"):
        self.port, self.credential, self.plant = port, credential, plant
        self.host = f"{host}:{port}"
        self.address = address
        self.connection = None
        if credential and len(credential) >= 8:
            self.plant(credential)

    def as_(self, credential):
        """The same as somebody else."""
        other = copy.copy(self)
        other.__init__(self.port, credential, plant=self.plant, address=self.address)
        return other.at(self.host)

    def at(self, host):
        other = copy.copy(self)
        other.host = host
        return other

    def call(self, method, path, body=NOTHING, fields=(), raw=None, kind="application/json",
             version="1.1"):
        """body: becomes JSON; raw: the bytes themselves."""
        fields = list(fields)
        if self.credential is not None:
            fields.append(("Authorization", f"Bearer {self.credential}"))
        if body is not NOTHING:
            raw = json.dumps(body).encode()
        if raw is not None and kind is not None:
            fields.append(("Content-Type", kind))
        with Visitor(self.port, address=self.address) as v:
            v.ask(self.host, path, method, [*fields, ("Connection", "close")], raw,
                  version=version)
            answer = Answer(method, path, v.answer(method, []))
        if answer.body and answer.kind == "application/json":
            self.plant(*secrets_of(answer.json()))
        return answer.check()

    def get(self, path, **kw):
        return self.call("GET", path, **kw)

    def post(self, path, body=NOTHING, **kw):
        return self.call("POST", path, body, **kw)

    def put(self, path, body=NOTHING, **kw):
        return self.call("PUT", path, body, **kw)

    def patch(self, path, body=NOTHING, **kw):
        return self.call("PATCH", path, body, **kw)

    def delete(self, path, **kw):
        return self.call("DELETE", path, **kw)

    def pages(self, path, limit=None):
        """All items of a list, page by page."""
        member = path.split("?")[0].rsplit("/", 1)[-1]
        cursor, items = None, []
        while True:
            query = [f"limit={limit}"] if limit else []
            query += [f"cursor={cursor}"] if cursor else []
            page = self.get(path + ("?" if query else "") + "&".join(query)).want(200).json()
            member = member if member in page else member + "s"  # exposr's paths
            assert not limit or len(page[member]) <= limit
            items += page[member]
            cursor = page["cursor"]
            if cursor is None:
                return items

    # ---- what many tests need ----

    def token(self, name="", **scope):
        """A new token of this account; returns (id, token)."""
        made = self.post("/v1/credentials",
                         {"type": "token", "name": name, "scope": scope}).want(201).json()
        return made["id"], made["token"]

    def account(self):
        return self.get("/v1/account").want(200).json()

    def tunnel(self, name, **members):
        """Make it, or replace it."""
        return self.put(f"/v1/tunnels/{name}", members).want(200, 201).json()


class Operation:
    """One method of one path of the document."""

    def __init__(self, doc, path, method, node):
        self.doc, self.path, self.method, self.node = doc, path, method.upper(), node
        self.id = node["operationId"]
        self.params = re.findall(r"{(\w+)}", path)
        security = node["security"]
        self.open = security == []                       # a credential is not looked at
        self.optional = {} in security                   # judged if there is one
        self.admin = "admin" in node["tags"]
        self.statuses = {int(s) for s in node["responses"] if s != "default"}
        self.success = {s for s in self.statuses if s < 300}

    def __repr__(self):
        return f"{self.id} ({self.method} {self.path})"

    @property
    def body(self):
        """The schema of its body, or None."""
        content = self.node.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("schema")

    @property
    def needs_body(self):
        return self.node.get("requestBody", {}).get("required", False)

    def inputs(self, where):
        return {p["name"]: p for p in self.node.get("parameters", []) if p["in"] == where}

    def matches(self, path):
        pattern = re.sub(r"{\w+}", "[^/]+", self.path)
        return re.fullmatch(pattern, path.split("?")[0]) is not None


class OpenApi:
    """The document of a running server, and whether answers are as it says."""

    def __init__(self, api):
        self.doc = api.get("/v1/openapi.json").want(200).json()
        assert self.doc["openapi"].startswith("3.1.")
        self.operations = {}
        for path, item in self.doc["paths"].items():
            for method, node in item.items():
                op = Operation(self, path, method, node)
                assert op.id not in self.operations, f"{op.id} stands twice"
                self.operations[op.id] = op
        self.succeeded = set()

    def schema(self, node):
        """With all that its references lead to."""
        return {**node, "components": self.doc["components"]}

    def deref(self, node):
        while "$ref" in node:
            place = self.doc
            for step in node["$ref"].removeprefix("#/").split("/"):
                place = place[step]
            node = place
        return node

    def find(self, method, path):
        """Exact paths go before those with parameters."""
        found = [op for op in self.operations.values()
                 if op.method == method and op.matches(path)]
        assert found, f"{method} {path} is not in the document"
        return min(found, key=lambda op: len(op.params))

    def check(self, answer):
        """Is it what the document says? Returns the operation."""
        op = self.find("GET" if answer.method == "HEAD" else answer.method, answer.path)
        assert answer.status in op.statuses, f"{op} has no {answer.status}: {answer}"
        node = self.deref(op.node["responses"][str(answer.status)])
        for name in node.get("headers", {}):
            if answer.status < 300:
                assert answer.get(name) is not None, f"{op} must have {name}: {answer}"
        content = node.get("content")
        if content is None:
            assert answer.body == b"", f"{op} has no content: {answer}"
        elif answer.method != "HEAD":
            assert answer.kind in content, f"{op} is {list(content)}: {answer}"
            if answer.kind != "text/plain":
                self.validate(answer.json(), content[answer.kind]["schema"], str(op))
        if answer.status < 300:
            self.succeeded.add(op.id)
        return op

    def validate(self, value, schema, where):
        checker = jsonschema.FormatChecker(formats=())
        checker.checks("date-time")(lambda v: v is None or TIME.fullmatch(v) is not None)
        validator = jsonschema.Draft202012Validator(self.schema(schema), format_checker=checker)
        errors = [f"{'.'.join(map(str, e.path))}: {e.message}"
                  for e in validator.iter_errors(value)]
        assert not errors, f"{where}: {errors}: {value}"
        self._check_members(value, schema, where)

    def _check_members(self, value, schema, where):
        """Whatever is described is told, and what is only taken never is."""
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        schema = self.deref(schema)
        if isinstance(value, list) and "items" in schema:
            for item in value:
                self._check_members(item, schema["items"], where)
        if not isinstance(value, dict):
            return
        for key, member in schema.get("properties", {}).items():
            there = key in value
            if self.deref(member).get("writeOnly") or member.get("writeOnly"):
                assert not there, f"{where}: {name}.{key} is told"
            elif not member.get("deprecated") and key not in SOMETIMES.get(name, ()):
                assert there, f"{where}: {name}.{key} is missing"
            if there:
                self._check_members(value[key], member, where)
