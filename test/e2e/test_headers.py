"""What a tunnel changes in the heads that pass: Host, fields that are taken away and added, in requests,
answers and upgrades; and what it may not change."""

import pytest

from servers import Target, fields_of
from visitor import Visitor, fetch

EDITS = ("--request-header-remove", "Cookie", "--request-header-remove", "X-Secret",
         "--request-header-add", "X-Env: test, a", "--request-header-add", "X-Env: b",
         "--response-header-remove", "Content-Type",
         "--response-header-add", "X-Frame-Options: DENY")


@pytest.fixture
def target(world):
    return world.closes(Target())


def test_requests_and_answers(world, target):
    server = world.server()
    agent = world.agent(server, str(target.port), "--name", "demo", *EDITS)
    answer = fetch(server.port, agent.host, "/headers", fields=[
        ("Cookie", "a=b"), ("X-Secret", "1"), ("x_secret", "2"), ("X-Env", "visitor")])
    came = fields_of(answer)
    assert "cookie" not in came and "x-secret" not in came and "x_secret" not in came
    assert came["x-env"] == ["visitor", "test, a", "b"]
    assert came["host"] == [agent.host]
    assert answer.get("Content-Type") is None
    assert answer.get("X-Frame-Options") == "DENY"
    for method, path in (("HEAD", "/"), ("GET", "/status/204"), ("GET", "/status/304"),
                         ("GET", "/chunked")):
        answer = fetch(server.port, agent.host, path, method)
        assert answer.get("X-Frame-Options") == "DENY", (method, path)
    hint = []
    with Visitor(server.port) as v:
        v.ask(agent.host, "/hint")
        final = v.answer(interim=hint)
    assert hint[0].get("X-Frame-Options") is None and hint[0].get("Link") is not None
    assert final.get("X-Frame-Options") == "DENY"


def test_an_upgrade(world, target):
    server = world.server()
    agent = world.agent(server, str(target.port), "--name", "demo", *EDITS)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/upgrade", fields=[("Connection", "Upgrade"), ("Upgrade", "echo")])
        head = v.head()
        assert head.status == 101 and head.get("X-Frame-Options") == "DENY"
        assert head.get("Upgrade") == "echo"
        assert v.exactly(18) == b"early from target;"
        v.send(b"X-Env: not a head any more\r\n\r\n")
        assert v.until(b"\r\n\r\n") == b"X-Env: not a head any more"


def test_pages_of_the_server_are_its_own(world, target):
    server = world.server()
    agent = world.agent(server, str(target.port), "--name", "demo", *EDITS)
    answer = fetch(server.port, agent.host, "/raw/no-http")
    assert answer.status == 502 and answer.get("X-Frame-Options") is None


@pytest.mark.parametrize("value, want", [
    ("keep", None), ("rewrite", "target"), ("app.local:8443", "app.local:8443"),
    ("my_app", "my_app")])
def test_host(world, target, value, want):
    server = world.server()
    agent = world.agent(server, f"http://localhost:{target.port}", "--name", "demo",
                        "--host-header", value)
    origin = f"http://{agent.host}"
    came = fields_of(fetch(server.port, agent.host, "/headers", fields=[("Origin", origin)]))
    own = f"localhost:{target.port}"
    assert came["host"] == [own if want == "target" else want or agent.host]
    assert came["origin"] == [f"http://{own}" if want == "target" else origin]
    assert came["x-forwarded-host"] == [agent.host]


@pytest.mark.parametrize("option, value, said", [
    ("--request-header-add", "X-Env", 'expected "Name: value"'),
    ("--request-header-add", "X-A: b\r\nX-B: c", 'expected "Name: value"'),
    ("--request-header-add", "X-A: b\nHost: c", 'expected "Name: value"'),
    ("--request-header-add", "X-A: " + "v" * 1025, 'expected "Name: value"'),
    ("--request-header-add", "n" * 65 + ": v", 'expected "Name: value"'),
    ("--request-header-add", "Content-Length: 3", "writes that itself"),
    ("--request-header-add", "X_Forwarded_For: 1", "vouches for that"),
    ("--request-header-remove", "X-Real-IP", "vouches for that"),
    ("--request-header-remove", "Host", "setting of its own"),
    ("--response-header-add", "Transfer-Encoding: chunked", "writes that itself"),
    ("--response-header-remove", "a b", "not the name of a header"),
    ("--host-header", "a/b", "is not a Host"),
    ("--host-header", "a\r\nX: b", "is not a Host"),
])
def test_what_cannot_be_changed(world, option, value, said):
    server = world.server()
    agent = world.agent_unchecked(server, "3000", option, value)
    assert agent.wait(5) == 2
    assert said in agent.text()


def test_what_an_agent_has_said_is_changed_while_it_serves(world, target):
    server = world.server()
    agent = world.agent(server, str(target.port), "--name", "demo", *EDITS)
    api = server.admin()
    now = api.get("/v1/admin/tunnels/demo").want(200).json()["headers"]
    assert now["request_add"] == ["X-Env: test, a", "X-Env: b"]
    assert now["request_remove"] == ["Cookie", "X-Secret"]
    with Visitor(server.port) as v:
        assert v.get(agent.host, "/headers").get("X-Frame-Options") == "DENY"
        api.patch("/v1/tunnels/demo",
                  {"headers": {"response_add": [], "request_remove": []}}).want(200)
        answer = v.get(agent.host, "/headers", fields=[("Cookie", "a=b")])
        assert answer.get("X-Frame-Options") is None
        assert fields_of(answer)["cookie"] == ["a=b"]
        assert fields_of(answer)["x-env"] == ["test, a", "b"]


def test_nobody_learns_which_services_there_are(world, target):
    """404 under a label that somebody has, and under one that nobody has, say the same."""
    server = world.server()
    agent = world.agent(server, str(target.port), "--name", "hello.tim")
    host = agent.host
    assert fetch(server.port, host).status == 200
    pages = []
    for name in ("other.tim", "tim", "other.tom", "tom"):
        answer = fetch(server.port, server.host(name))
        assert answer.status == 404
        pages.append(answer.text().replace(name, "NAME"))
        assert "hello" not in answer.text()
    assert len(set(pages)) == 1
    index = world.agent(server, str(target.port), "--name", "tim", config="agent")
    assert fetch(server.port, index.host).status == 200
    assert fetch(server.port, server.host("other.tim")).status == 404
    stranger = world.agent_unchecked(server, str(target.port), "--name", "mine.tim",
                                     config="stranger")
    assert stranger.wait(10) == 1
    assert "taken" in stranger.text() and "hello" not in stranger.text()
