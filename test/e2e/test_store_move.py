"""Moving an installation: karezd store export and import, between SQLite and Redis and back."""

import base64
import json
import stat

import pytest

from dns_server import DnsServer
from karez import BUILD
from redis_server import Redis
from servers import Target
from visitor import fetch

DOMAIN = "app.example.org"
PASSWORD = "canary-4be1-hush"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti a@b"


@pytest.fixture
def target(world):
    return world.closes(Target("mine"))


def karezd(world, *words):
    """One command; returns the ended process."""
    proc = world.run("karezd " + " ".join(map(str, words[:2])), [BUILD / "karezd", *words])
    proc.code = proc.wait(20)
    return proc


def export(world, store, file):
    proc = karezd(world, "store", "export", file, "--store", store)
    assert proc.code == 0, proc.text()
    return file


def load(world, store, file):
    proc = karezd(world, "store", "import", file, "--store", store)
    assert proc.code == 0, proc.text()


def lines_of(file):
    """The head line, and the records in an order of their own."""
    head, *records = file.read_text().splitlines()
    assert json.loads(head) == {"karez-store": 1}
    return sorted(records)


class Installation:
    """One of everything that a store keeps, and whether it is all good on another server."""

    def __init__(self, world, server, dns):
        self.world = world
        self.admin, self.anna = server.admin(), server.account("Anna")
        self.number = self.anna.made["account_id"]
        self.code = self.admin.post("/v1/admin/invitations",
                                    {"name": "for Bert", "uses": 9}).want(201).json()["code"]
        self.limited = self.anna.token("limited", tunnels=["demo"])[1]
        revoked_id, self.revoked = self.anna.token("revoked")
        self.anna.delete(f"/v1/credentials/{revoked_id}").want(204)
        self.anna.post("/v1/credentials", {"type": "ssh-key", "name": "laptop",
                                           "key": KEY}).want(201)
        self.bert = server.account("Bert")
        self.bert.tunnel("berts")
        self.anna.tunnel("demo", visitors={"basic": [{"user": "anna", "password": PASSWORD}]})
        world.plant(PASSWORD)
        dns.set(DOMAIN, "CNAME", "demo.localhost")
        self.anna.patch("/v1/tunnels/demo",
                        {"ingress": {"http": {"alt_names": [DOMAIN]}}}).want(200)
        self.told = self._tell()

    def _tell(self):
        """All that the administrator and Anna see, without what comes with use."""
        told = {path: self.admin.pages(path, 100) for path in
                ("/v1/admin/accounts", "/v1/admin/tunnels", "/v1/admin/invitations")}
        told["credentials"] = self.anna.pages("/v1/credentials", 100)
        for item in (i for items in told.values() for i in items):
            item.pop("used_at", None)
            item.pop("connection", None)
        return told

    def check(self, server, target, config):
        """The same people do the same things there."""
        assert self._tell() == self.told
        assert self.anna.as_(self.number).account()["name"] == "Anna"
        self.anna.as_(self.limited).get("/v1/tunnels/demo").want(200)
        self.anna.as_(self.limited).get("/v1/account").want(200)
        self.anna.as_(self.limited).delete("/v1/account").refused(403, "DENIED")
        self.anna.as_(self.revoked).get("/v1/account").refused(401)
        self.bert.put("/v1/tunnels/demo", {}).refused(409, "EXISTS")
        agent = self.world.agent(server, target.port, "--name", "demo", config=config,
                                 env={"KAREZ_TOKEN": self.limited})
        for host in (agent.host, DOMAIN):
            assert fetch(server.port, host).status == 401
            allowed = [("Authorization", "Basic " + base64.b64encode(
                f"anna:{PASSWORD}".encode()).decode())]
            assert fetch(server.port, host, fields=allowed).text() == "hello from mine\n"
        assert agent.stop() == 0
        self.told = self._tell()  # the agent has left its target there


@pytest.fixture
def dns(world):
    return world.closes(DnsServer())


def start(world, dns, store, state, port=None):
    return world.server("--resolver", dns.address, store=store, state=state, port=port)


def test_an_installation_moves_to_redis_and_back(world, target, dns):
    redis = Redis(world)
    one, two = f"sqlite:{world.path}/one.db", f"sqlite:{world.path}/two.db"
    server = start(world, dns, one, "state-one")
    all_of_it = Installation(world, server, dns)
    all_of_it.check(server, target, "agent-one")
    assert server.stop() == 0
    first = export(world, one, world.path / "first")
    load(world, redis.where, first)

    server = start(world, dns, redis.where, "state-redis", server.port)
    all_of_it.check(server, target, "agent-redis")
    assert not (server.state / "admin-token").exists(), "there is an administrator already"
    assert server.stop() == 0
    second = export(world, redis.where, world.path / "second")
    load(world, two, second)

    server = start(world, dns, two, "state-two", server.port)
    all_of_it.check(server, target, "agent-two")
    assert server.account().tunnel("another")["name"] == "another", "it is in full use"
    assert server.stop() == 0


def test_nothing_is_lost_or_changed_on_the_way(world, dns):
    redis = Redis(world)
    one, two = f"sqlite:{world.path}/one.db", f"sqlite:{world.path}/two.db"
    server = start(world, dns, one, "state")
    Installation(world, server, dns)
    for i in range(90):
        server.account(f"account {i} \u00fc").tunnel(f"t{i}")
    assert server.stop() == 0
    files = [export(world, one, world.path / "a")]
    load(world, redis.where, files[0])
    files.append(export(world, redis.where, world.path / "b"))
    load(world, two, files[1])
    files.append(export(world, two, world.path / "c"))
    first, *others = map(lines_of, files)
    assert len(first) > 90 * 5
    for other in others:
        assert other == first


def test_an_export_may_be_made_while_karezd_runs(world, dns):
    store = f"sqlite:{world.path}/one.db"
    server = start(world, dns, store, "state")
    anna = server.account()
    anna.tunnel("demo")
    load(world, f"sqlite:{world.path}/two.db", export(world, store, world.path / "file"))
    anna.tunnel("more")


# ---- the file ----

@pytest.fixture
def kept(world):
    """A small store, and its export."""
    store = f"sqlite:{world.path}/one.db"
    server = world.server(store=store)
    server.account()
    assert server.stop() == 0
    return store, export(world, store, world.path / "file")


def test_the_file_is_for_its_owner_only(world, kept):
    assert stat.S_IMODE(kept[1].stat().st_mode) == 0o600


def test_a_file_that_is_there_is_not_overwritten(world, kept):
    store, file = kept
    before = file.read_bytes()
    proc = karezd(world, "store", "export", file, "--store", store)
    assert proc.code == 1 and "File exists" in proc.text("err") and str(file) in proc.text("err")
    assert file.read_bytes() == before


def test_an_export_goes_to_standard_output_as_well(world, kept):
    store, file = kept
    proc = karezd(world, "store", "export", "-", "--store", store)
    assert proc.code == 0 and proc.said("out") == file.read_text().splitlines()


def test_an_export_that_fails_leaves_no_file(world, kept):
    store, _ = kept
    file = world.path / "not-there" / "file"
    proc = karezd(world, "store", "export", file, "--store", store)
    assert proc.code == 1 and str(file) in proc.text("err")
    proc = karezd(world, "store", "export", "/dev/full", "--store", store)
    assert proc.code == 1 and "File exists" in proc.text("err"), "no device is written to"


def test_a_store_that_has_records_is_left_as_it_is(world, kept):
    store, file = kept
    other = f"sqlite:{world.path}/other.db"
    server = world.server(store=other, state="other")
    anna = server.account()
    anna.tunnel("demo")
    assert server.stop() == 0
    before = lines_of(export(world, other, world.path / "before"))
    for where in (store, other):
        proc = karezd(world, "store", "import", file, "--store", where)
        assert proc.code == 1 and "has records already" in proc.text("err"), proc.text()
        assert "nothing was imported" in proc.text("err")
    assert lines_of(export(world, other, world.path / "after")) == before


RECORD = b'{"kind":"tunnel","key":"x","value":"y"}\n'


@pytest.mark.parametrize("why, damage, said", [
    ("empty", lambda data: b"", "the file is empty"),
    ("another file", lambda data: b"hello\n" + data, "first line"),
    ("no head line", lambda data: data.split(b"\n", 1)[1], "first line"),
    ("a newer format", lambda data: data.replace(b":1}", b":2}", 1), "first line"),
    ("half a line", lambda data: data[:-20], "line {last}"),
    ("a line that is no JSON", lambda data: data + b"what?\n", "line {next}"),
    ("an unknown kind", lambda data: data + RECORD.replace(b"tunnel", b"camel"), "line {next}"),
    ("no key", lambda data: data + RECORD.replace(b'"x"', b'""'), "line {next}"),
    ("a key that is too long", lambda data: data + RECORD.replace(b'"x"', b'"%s"' % (b"x" * 401)),
     "line {next}"),
    ("no value", lambda data: data + b'{"kind":"tunnel","key":"x"}\n', "line {next}"),
    ("bad base64", lambda data: data + RECORD.replace(b"value", b"value64").replace(
        b'"y"', b'"%%%"'), "line {next}"),
    ("a list", lambda data: data + b"[]\n", "line {next}"),
    ("a NUL", lambda data: data + b"\0\n", "line {next}"),
    ("a line that is too long", lambda data: data + RECORD.replace(b'"y"', b'"%s"' % (
        b"y" * 600000)), "line {next}"),
    ("a record twice", lambda data: data + data.split(b"\n")[1] + b"\n", "already"),
])
def test_a_damaged_file_is_refused_with_its_line_and_nothing_is_imported(world, kept, why, damage,
                                                                        said):
    good = kept[1].read_bytes()
    n = good.count(b"\n")
    file = world.path / "damaged"
    file.write_bytes(damage(good))
    store = f"sqlite:{world.path}/two.db"
    proc = karezd(world, "store", "import", file, "--store", store)
    assert proc.code == 1, proc.text()
    assert said.format(last=n, next=n + 1) in proc.text("err"), proc.text()
    assert "nothing was imported" in proc.text("err"), proc.text()
    load(world, store, kept[1])  # it is as empty as before
    assert lines_of(export(world, store, world.path / "again")) == lines_of(kept[1])


def test_a_file_that_is_not_there_is_told(world, kept):
    proc = karezd(world, "store", "import", world.path / "nowhere", "--store", kept[0])
    assert proc.code == 1
    assert "nowhere" in proc.text("err") and "No such file" in proc.text("err")


def test_a_store_that_is_away_is_told(world):
    redis = Redis(world)
    redis.kill()
    file = world.path / "file"
    proc = karezd(world, "store", "export", file, "--store", redis.where)
    assert proc.code == 1 and not file.exists(), proc.text()


@pytest.mark.parametrize("words", [
    ["store"],
    ["store", "export"],
    ["store", "import"],
    ["store", "move", "file"],
    ["store", "export", "file", "another"],
    ["store", "import", "file", "another"],
    ["store", "export", "file", "--store", "paper:"],
    ["store", "export", "file", "--frobnicate"],
    ["export", "file"],
])
def test_wrong_usage_exits_with_2_and_does_nothing(world, words):
    proc = world.run("karezd", [BUILD / "karezd", *words], cwd=world.path)
    assert proc.wait() == 2, proc.text()
    assert 'Try "karezd' in proc.text("err"), proc.text()
    assert not (world.path / "file").exists()


@pytest.mark.parametrize("words", [["store", "--help"], ["store", "export", "--help"],
                                   ["store", "import", "--help"]])
def test_help_is_there(world, words):
    proc = karezd(world, *words)
    assert proc.code == 0 and "Usage: karezd store" in proc.text("out"), proc.text()
