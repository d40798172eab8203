"""`karez serve`: services by name, and tunnels that the server assigns to whoever offers them."""

import json
import socket

import pytest

from karez import free_port, wait_until
from raw_servers import RawTarget, named
from servers import Target
from tunnel_scene import Scene, refuses, tcp, wait_open, wait_refused
from visitor import Broken, Visitor, fetch


@pytest.fixture
def scene(world):
    scene = Scene(world)
    scene.server.kept_files = 8
    return scene


@pytest.fixture
def one(world):
    return world.closes(RawTarget(named("one")))


@pytest.fixture
def two(world):
    return world.closes(RawTarget(named("two")))


def line(port):
    """Whose line comes; "" when none does."""
    try:
        with Visitor(port) as v:
            return v.until(b"\n").decode()
    except (OSError, Broken):
        return ""


def tunnel(scene, name, service, api=None, **transport):
    """A tcp tunnel that leads to a service; returns its port."""
    port = free_port()
    (api or scene.anna).tunnel(name, **tcp(port), target={"service": service}, transport=transport)
    return port


def test_services_from_the_command_line(scene, one, two):
    ports = [tunnel(scene, "a", "one"), tunnel(scene, "b", "two"), tunnel(scene, "c", "one")]
    assert all(refuses(p) for p in ports)
    agent = scene.serve(one=one, two=f"127.0.0.1:{two.port}")
    agent.wait_line("offers one, two", 5, "out")
    for port, name in zip(ports, ("one", "two", "one")):
        wait_open(port)
        assert line(port) == name
    later = tunnel(scene, "d", "two")
    wait_open(later)
    assert line(later) == "two"
    for name in "abcd":
        agent.wait_line(rf"\b{name}\b", 5, "out")


def test_services_from_a_file(world, scene, one, two):
    ports = [tunnel(scene, "a", "one"), tunnel(scene, "b", "two")]
    file = world.path / "agent.yaml"
    file.write_text(f"server: {scene.server.url}\nagent: home\nservices:\n"
                    f"  one: 127.0.0.1:{one.port}\n  two: tcp://127.0.0.1:{two.port}\n")
    agent = scene.serve("--config", file)
    for port, name in zip(ports, ("one", "two")):
        wait_open(port)
        assert line(port) == name
    sessions = scene.anna.get("/v1/tunnels/a/sessions").want(200).json()["sessions"]
    assert {s["agent"] for s in sessions} == {"home"}
    assert agent.alive()


@pytest.mark.parametrize("text, words", [
    ("services:\n  one: nonsense target\n", [":2:", "one"]),
    ("services:\n  one: 80\n  one: 81\n", [":3:"]),
    ("services:\n  'o n e': 80\n", [":2:"]),
    ("services: {}\n", ["services"]),
    ("services:\n  one: [80]\n", [":2:"]),
    ("services:\n  one 80\n", [":2:"]),
])
def test_mistakes_in_a_file_are_named(world, scene, text, words):
    file = world.path / "agent.yaml"
    file.write_text(text)
    agent = scene.serve("--config", file, wait=False)
    assert agent.wait() == 2, agent.text()
    for word in words:
        assert word in agent.text("err"), agent.text()


@pytest.mark.parametrize("options", [[], ["--services", "one"], ["--services", "=80"],
                                     ["--services", "one=80", "--services", "one=81"],
                                     ["--services", "one=70000"], ["--services", "a/b=80"]])
def test_mistakes_in_options_are_named(scene, options):
    agent = scene.serve(*options, wait=False)
    assert agent.wait() == 2, agent.text()
    assert "services" in agent.text("err"), agent.text()


def test_an_unknown_service_is_refused_and_named_on_both_sides(scene, one):
    port = tunnel(scene, "a", "nothere", agents=["home"])
    agent = scene.serve(agent_id="home", one=one)
    wait_open(port)
    assert line(port) == ""
    agent.wait_line("nothere", 5)
    scene.server.wait_line(r"a\b.*(NOTFOUND|nothere|no such)", 5)
    assert one.connections == 0
    scene.anna.patch("/v1/tunnels/a", {"target": {"service": "one"}}).want(200)
    wait_until(lambda: line(port) == "one", 5, "the new service is asked for")


def test_a_tunnel_without_a_service_is_asked_for_by_its_own_name(scene, one):
    port = free_port()
    scene.anna.tunnel("one", **tcp(port), transport={"agents": ["home"]})
    scene.serve(agent_id="home", one=one)
    wait_open(port)
    assert line(port) == "one"


def test_http_tunnels_are_assigned_as_well(world, scene):
    web = world.closes(Target("web"))
    scene.anna.tunnel("shop", target={"service": "web"})
    assert fetch(scene.server.port, scene.server.host("shop")).status == 503
    scene.serve(web=web)
    wait_until(lambda: fetch(scene.server.port, scene.server.host("shop")).status == 200, 5,
               "it is assigned")
    scene.anna.patch("/v1/tunnels/shop", {"target": {"service": "other"}}).want(200)
    wait_until(lambda: fetch(scene.server.port, scene.server.host("shop")).status in (502, 503), 5,
               "it is taken away")


def test_who_is_named_and_who_is_not(scene, one, two):
    port = tunnel(scene, "a", "svc", agents=["second"])
    scene.serve(agent_id="first", svc=one, config="first")
    assert refuses(port), "offers it, but is not meant"
    scene.serve(agent_id="second", svc=two, config="second")
    wait_open(port)
    assert {line(port) for _ in range(6)} == {"two"}
    scene.anna.patch("/v1/tunnels/a", {"transport": {"agents": []}}).want(200)
    wait_until(lambda: {line(port) for _ in range(8)} == {"one", "two"}, 5, "all are meant")


def test_somebody_else_is_given_nothing(scene, one):
    bert = scene.server.account("Bert")
    port = tunnel(scene, "berts", "svc", api=bert)
    mine = tunnel(scene, "annas", "svc")
    scene.serve(svc=one)
    wait_open(mine)
    assert refuses(port)


def test_a_scoped_credential_is_given_what_it_is_good_for(scene, one):
    ports = {name: tunnel(scene, name, "svc") for name in ("mine", "other")}
    limited = scene.anna.as_(scene.anna.token("limited", tunnels=["mine"])[1])
    scene.serve(svc=one, wait=False, env=scene.env(limited)).wait_line("offers", 5, "out")
    wait_open(ports["mine"])
    assert refuses(ports["other"])
    for agent in scene.world.agents:
        agent.base_files = agent.n_files() + 1


def test_an_agent_stays_though_it_has_nothing_to_do(scene, one):
    agent = scene.serve(svc=one)
    port = tunnel(scene, "a", "svc")
    wait_open(port)
    scene.anna.delete("/v1/tunnels/a").want(204)
    assert refuses(port)
    with socket.create_server(("127.0.0.1", port)):
        pass
    again = tunnel(scene, "b", "svc")
    wait_open(again)
    assert line(again) == "one" and agent.alive()
    scene.anna.patch("/v1/tunnels/b", {"enabled": False}).want(200)
    wait_refused(again)
    scene.anna.patch("/v1/tunnels/b", {"enabled": True}).want(200)
    wait_open(again)
    assert agent.alive()


def test_after_a_restart_of_the_server(scene, one):
    port = tunnel(scene, "a", "svc")
    agent = scene.serve(svc=one)
    wait_open(port)
    mark = agent.mark()
    scene.server.kill()
    scene.again()
    agent.wait_line("back again", 20, since=mark)
    wait_open(port)
    assert line(port) == "one"


def test_agents_are_listed(scene, one):
    agent = scene.serve(agent_id="home", svc=one)
    agents = scene.anna.get("/v1/agents").want(200).json()["agents"]
    assert [(a["id"], a["sessions"]) for a in agents] == [("home", 2)]
    bert = scene.server.account("Bert")
    assert bert.get("/v1/agents").want(200).json()["agents"] == []
    assert agent.stop() == 0

    def gone():
        found = scene.anna.get("/v1/agents").want(200).json()["agents"]
        return [(a["id"], a["sessions"]) for a in found] == [("home", 0)]
    wait_until(gone, 5, "it has left")


def test_json_output(scene, one):
    port = tunnel(scene, "a", "svc")
    agent = scene.serve("--json", svc=one)
    wait_open(port)
    agent.wait_line('"online"', 5, "out")
    events = [json.loads(text) for text in agent.said("out")]
    assert events[0]["event"] == "offering" and events[0]["services"] == ["svc"]
    online = next(e for e in events if e["event"] == "online")
    assert (online["name"], online["service"]) == ("a", "svc")


def test_many_services_and_tunnels(scene, one):
    names = [f"svc-{i}" for i in range(100)]
    ports = [tunnel(scene, f"t{i}", name) for i, name in enumerate(names)]
    scene.server.kept_files = 100
    scene.serve(**{name: one for name in names})
    for port in ports:
        wait_open(port)
    assert line(ports[0]) == line(ports[-1]) == "one"
