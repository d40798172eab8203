"""A4 and the names of tunnels: who has one, who keeps one, who is refused one."""

import json
import re

import pytest

from karez import ONLINE, wait_until
from servers import Target
from visitor import Visitor, fetch


@pytest.fixture
def target(world):
    return world.closes(Target())


def test_a4_a_name_of_another_account_is_refused_and_the_first_still_serves(world, target):
    server = world.server()
    first = world.agent(server, target.port, "--name", "foo", config="one")
    second = world.agent_unchecked(server, target.port, "--name", "foo", config="two")
    assert second.wait() == 1
    said = second.text("err")
    assert "foo" in said and "taken" in said, said
    assert second.said("out") == []
    assert fetch(server.port, server.host("foo")).status == 200
    assert first.alive()


def test_a4_a_name_below_that_of_another_account_is_refused(world, target):
    server = world.server()
    world.agent(server, target.port, "--name", "tim", config="one")
    second = world.agent_unchecked(server, target.port, "--name", "hello.tim", config="two")
    assert second.wait() == 1
    assert "tim" in second.text("err")
    assert fetch(server.port, server.host("hello.tim")).status == 404


def test_a4_the_same_agent_again_takes_over_and_the_old_one_is_told_why(world, target):
    other = world.closes(Target("new"))
    server = world.server()
    old = world.agent(server, target.port, "--name", "foo")
    new = world.agent(server, other.port, "--name", "foo")
    assert old.wait() == 1
    assert "foo" in old.text("err") and "taken over" in old.text("err"), old.text("err")
    wait_until(lambda: fetch(server.port, server.host("foo")).text() == "hello from new\n", 2,
               "the new one serves")
    assert new.alive()


def test_a4_taking_over_lets_running_requests_finish(world, target):
    server = world.server()
    old = world.agent(server, target.port, "--name", "foo")
    with Visitor(server.port) as v:
        v.ask(server.host("foo"), "/gate")
        wait_until(lambda: target.waiting, 5, "the request is at the target")
        world.agent(server, target.port, "--name", "foo")
        target.gate.set()
        assert v.answer().status in (200, 502)
    assert old.wait() == 1


@pytest.mark.parametrize("name, hosts", [
    ("demo", ["demo.localhost", "DEMO.LocalHost", "demo.localhost.", "demo.localhost:80",
              "demo.localhost.:9999"]),
    ("hello.tim", ["hello.tim.localhost", "Hello.TIM.localhost.", "hello.tim.localhost:1"]),
    ("xn--bcher-kva", ["xn--bcher-kva.localhost"]),
    ("a", ["a.localhost"]), ("1-2-3", ["1-2-3.localhost"]),
    ("l" * 63, ["l" * 63 + ".localhost"]),
])
def test_a_name_is_found_in_any_case_with_dot_and_port(world, target, name, hosts):
    server = world.server()
    agent = world.agent(server, target.port, "--name", name)
    assert agent.name_ == name
    for host in hosts:
        assert fetch(server.port, host).status == 200, host


def test_an_upper_case_name_is_asked_for_in_lower_case(world, target):
    server = world.server()
    assert world.agent(server, target.port, "--name", "Demo").name_ == "demo"


@pytest.mark.parametrize("name", ["www", "api", "open", "mail", "x.www", "WWW"])
def test_a_reserved_name_is_refused_with_the_reason(world, target, name):
    server = world.server()
    agent = world.agent_unchecked(server, target.port, "--name", name)
    assert agent.wait() == 1
    assert "reserved" in agent.text("err")


@pytest.mark.parametrize("name", ["-a", "a-", "a..b", "a_b", "l" * 64, "a b", "ä", ".a", "*",
                                  "a/b", "a:b", ".".join(["abcdefgh"] * 30)])
def test_a_name_that_is_none_is_refused(world, target, name):
    server = world.server()
    agent = world.agent_unchecked(server, target.port, f"--name={name}")
    assert agent.wait() in (1, 2)
    assert agent.text("err") and not agent.said("out")


def test_without_registration_a_stranger_is_refused_with_the_reason(world, target):
    server = world.server(registration=False)
    agent = world.agent_unchecked(server, target.port)
    assert agent.wait() == 1
    assert "makes no accounts" in agent.text("err") and "--token-file" in agent.text("err")
    assert not agent.said("out")


def test_a_credential_from_before_works_when_registration_is_closed(world, target):
    server = world.server()
    name = world.agent(server, target.port).name_
    assert world.agents[0].stop() == 0
    assert server.stop() == 0
    again = world.server(registration=False, port=server.port)
    assert world.agent(again, target.port).name_ == name


def test_a_wrong_credential_is_refused(world, target):
    server = world.server()
    agent = world.agent_unchecked(server, target.port, env={"KAREZ_TOKEN": "kz_" + "A" * 43})
    assert agent.wait() == 1
    assert agent.text("err")
    assert "kz_AAA" not in agent.text() + server.text()


def test_a_name_is_kept_across_restarts_of_both(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    name = agent.name_
    assert agent.stop() == 0
    agent = world.agent(server, target.port)
    assert agent.name_ == name, "the agent was started again"
    assert server.stop() == 0
    again = world.server(port=server.port)
    agent.server = again
    wait_until(lambda: fetch(again.port, again.host(name)).status == 200, 10,
               "the server was started again")
    assert agent.stop() == 0
    agent = world.agent(again, target.port)
    assert agent.name_ == name, "both were started again"


def test_an_asked_for_name_belongs_to_its_account_while_it_is_away(world, target):
    server = world.server()
    assert world.agent(server, target.port, "--name", "mine", config="one").stop() == 0
    assert server.stop() == 0
    again = world.server(port=server.port)
    thief = world.agent_unchecked(again, target.port, "--name", "mine", config="two")
    assert thief.wait() == 1
    world.agent(again, target.port, "--name", "mine", config="one")


def test_two_targets_of_one_agent_have_two_names(world, target):
    other = world.closes(Target("other"))
    server = world.server()
    a = world.agent(server, target.port)
    b = world.agent(server, other.port)
    assert a.name_ != b.name_
    assert fetch(server.port, a.host).text() == "hello from target\n"
    assert fetch(server.port, b.host).text() == "hello from other\n"


def test_the_credential_is_for_its_owner_only(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    assert agent.credentials_mode() == 0o600
    assert agent.config.stat().st_mode & 0o777 == 0o700
    assert len(world.secrets()) == 1
    for file in (world.path / "state").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
        data = file.read_bytes()
        for secret in world.secrets():
            assert secret.encode() not in data, f"{file} holds the token itself"


def test_a_damaged_credential_file_is_named_and_left_alone(world, target):
    server = world.server()
    folder = world.dir("agent")
    (folder / "credentials.json").write_text("{ this is not")
    agent = world.agent_unchecked(server, target.port)
    assert agent.wait() == 1
    assert "credentials.json" in agent.text("err")
    assert (folder / "credentials.json").read_text() == "{ this is not"
    (folder / "credentials.json").unlink()


def test_the_memory_store_says_that_it_forgets(world, target):
    server = world.server(store="memory:")
    assert server.count(r"warn .*memory.*lost at exit") == 1
    agent = world.agent(server, target.port)
    name = agent.name_
    assert server.stop() == 0
    again = world.server(store="memory:", port=server.port)
    agent.server = again
    # the account is gone; one that was made on the fly is made anew, and the name is still free
    wait_until(lambda: fetch(again.port, again.host(name)).status == 200, 10, "it is back")


def test_names_are_random_and_cannot_be_misread(world, target):
    server = world.server()
    names = set()
    for i in range(5):
        agent = world.agent(server, target.port, config=f"c{i}")
        assert re.fullmatch("[23456789abcdefghijkmnpqrstuvwxyz]{4}", agent.name_)
        names.add(agent.name_)
    assert len(names) == 5


def test_a_config_file_can_name_the_server(world, target):
    server = world.server()
    folder = world.dir("home") / ".config" / "karez"
    folder.mkdir(parents=True)
    (folder / "karez.yaml").write_text(f"server: {server.url}\n")
    agent = world.agent_unchecked(None, target.port, command=())
    agent.server = server
    agent.wait_online()
    assert ONLINE.match(agent.said("out")[0])


def test_the_environment_can_name_the_server(world, target):
    server = world.server()
    agent = world.agent_unchecked(None, target.port, command=(), env={"KAREZ_SERVER": server.url})
    agent.server = server
    agent.wait_online()


def test_a_token_file_is_a_credential(world, target):
    server = world.server()
    first = world.agent(server, target.port, "--name", "mine", config="one")
    assert first.stop() == 0
    file = world.path / "token"
    file.write_text(world.secrets().pop() + "\n")
    file.chmod(0o600)
    world.agent(server, target.port, "--name", "mine", "--token-file", str(file), config="two")
    assert json.loads(first.credentials().read_text())
