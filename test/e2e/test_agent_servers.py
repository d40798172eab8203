"""An agent that knows several servers: from where it has them, and that the next one is asked."""

import json

import pytest

from karez import free_port
from servers import Target
from visitor import fetch


@pytest.fixture
def target(world):
    return world.closes(Target("here"))


def nobody():
    """A URL at which nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


def served(server, agent):
    return fetch(server.port, agent.host).text() == "hello from here\n"


def by_options(world, server, target):
    return world.agent_unchecked(None, target.port, "--server", nobody(), "--server", server.url)


def by_a_comma(world, server, target):
    return world.agent_unchecked(None, target.port, "--server", f"{nobody()},{server.url}")


def by_the_environment(world, server, target):
    return world.agent_unchecked(None, target.port,
                                 env={"KAREZ_SERVER": f"{nobody()},{server.url}"})


def by_the_configuration(world, server, target):
    file = world.path / "karez.yaml"
    file.write_text(f"server:\n- {nobody()}\n- {server.url}\n")
    return world.agent_unchecked(None, target.port, "--config", file)


def by_a_services_file(world, server, target):
    file = world.path / "services.yaml"
    file.write_text(json.dumps({"server": [nobody(), server.url],
                                "services": {"a": target.port}}))
    return world.agent_unchecked(None, None, "-f", file, command=("up",))


@pytest.mark.parametrize("named", [by_options, by_a_comma, by_the_environment,
                                   by_the_configuration, by_a_services_file])
def test_the_next_server_is_asked(world, target, named):
    server = world.server()
    agent = named(world, server, target)
    agent.server = server
    agent.wait_online()
    assert served(server, agent)
    # what is remembered goes by the name of the first
    remembered = json.loads(agent.credentials().read_text())["servers"]
    assert server.url not in remembered and len(remembered) == 1


@pytest.mark.parametrize("options, words", [
    (["--server", ""], "is empty"),
    ([w for i in range(9) for w in ("--server", f"http://a{i}.example")], "8 are the most"),
    (["--server", "http://a.example,ftp://b.example"], "is not the URL of a server"),
])
def test_servers_that_cannot_be(world, target, options, words):
    agent = world.agent_unchecked(None, target.port, *options)
    assert agent.wait(5) == 2
    assert agent.count(words) == 1


def test_none_of_several_may_be_in_clear_where_a_key_is_asked_for(world, target):
    agent = world.agent_unchecked(None, target.port, "--server", "https://a.example",
                                  "--server", "http://b.example", "--server-fingerprint",
                                  "SHA256:" + "A" * 43)
    assert agent.wait(5) == 1
    assert agent.count("http://b.example") == 1
