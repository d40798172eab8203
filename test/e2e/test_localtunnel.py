"""A1 and A2: a local port becomes public, and what is said when it cannot."""

import json
import re
import signal
import socket
import subprocess
import time

import pytest

from karez import BUILD, Failure, free_port, wait_until
from servers import Path, Target
from visitor import Visitor, fetch

ALPHABET = "[23456789abcdefghijkmnpqrstuvwxyz]"


@pytest.fixture
def target(world):
    return world.closes(Target())


def test_a1_a_port_is_public_within_two_seconds(world, target):
    server = world.server()
    began = time.monotonic()
    agent = world.agent(server, target.port, command=())
    assert time.monotonic() - began < 2
    assert re.fullmatch(rf"Port {target.port} is now publicly accessible from "
                        rf"http://{ALPHABET}{{4}}\.localhost:{server.port} \.\.\.",
                        agent.said("out")[0])
    assert fetch(server.port, agent.host).text() == "hello from target\n"


def test_a1_curl_resolves_the_printed_address_and_gets_the_page(world, target):
    server = world.server()
    agent = world.agent(server, target.port, command=())
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-m", "10", agent.url],
                          capture_output=True, check=False, env=world.env())
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello from target\n", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a1_ctrl_c_ends_it_within_a_second_and_the_address_is_dead_at_once(world, target, number):
    server = world.server()
    agent = world.agent(server, target.port, command=())
    with Visitor(server.port) as idle:
        assert idle.get(agent.host).status == 200
        began = time.monotonic()
        assert agent.stop(number) == 0
        assert time.monotonic() - began < 1
        assert fetch(server.port, agent.host).status == 503
        assert idle.get(agent.host).status == 503


def test_a1_a_request_that_runs_does_not_hold_up_ctrl_c(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/gate")
        wait_until(lambda: target.waiting, 5, "the request is at the target")
        began = time.monotonic()
        assert agent.stop() == 0
        assert time.monotonic() - began < 2
        target.gate.set()
        assert v.answer().status in (502, 503)


def test_a_second_ctrl_c_ends_it_at_once(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/gate")
        wait_until(lambda: target.waiting, 5, "the request is at the target")
        began = time.monotonic()
        agent.send_signal(signal.SIGINT)
        agent.send_signal(signal.SIGTERM)
        agent.wait(3)
        assert time.monotonic() - began < 0.7
        target.gate.set()


def test_without_a_server_anywhere_two_lines_say_what_to_do(world, target):
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8080)) == 0:
            pytest.skip("something listens where karez looks for a server by itself")
    agent = world.agent_unchecked(None, target.port, command=())
    assert agent.wait(5) == 1
    text = agent.text("err")
    assert "--server" in text and "karezd --domain localhost" in text, text
    assert agent.said("out") == []


@pytest.mark.parametrize("argument", ["0", "70000", "abc:99999", "-1", "", "ftp://x", "unix:",
                                      "http://", "1.2.3.4:0", "a b"])
def test_a2_a_wrong_target_is_a_usage_error_and_nothing_is_sent(world, argument):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nobody.settimeout(0.05)
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        agent = world.agent_unchecked(None, argument, command=(), url=url)
        assert agent.wait() == 2
        assert agent.said("out") == []
        assert agent.said("err"), "nothing was said"
        with pytest.raises(TimeoutError):
            nobody.accept()


def test_a2_a_word_is_no_port(world):
    agent = world.agent_unchecked(None, "abc", command=(), url="http://127.0.0.1:9")
    assert agent.wait() == 2
    assert "abc" in agent.text("err")


def test_a2_usage_is_shown(world):
    agent = world.agent_unchecked(None, "70000", command=(), url="http://127.0.0.1:9")
    assert agent.wait() == 2
    assert re.search(r"(?i)usage|--help", agent.text("err")), agent.text("err")


def test_a2_a_server_that_is_down_is_named_with_the_reason(world, target):
    url = f"http://127.0.0.1:{free_port()}"
    agent = world.agent_unchecked(None, target.port, url=url)
    assert agent.wait(5) == 1
    lines = [x for x in agent.said("err") if url in x or url[7:] in x]
    assert lines and "refused" in lines[0], agent.text()
    assert agent.said("out") == []


def test_a2_a_server_whose_name_does_not_resolve(world, target):
    agent = world.agent_unchecked(None, target.port, url="http://nosuch.invalid:80")
    assert agent.wait(15) == 1
    assert "nosuch.invalid" in agent.text("err")


def test_a2_something_else_than_karezd_is_said_to_be_that(world, target):
    other = world.closes(Target("no karez"))
    agent = world.agent_unchecked(None, target.port, url=f"http://127.0.0.1:{other.port}")
    assert agent.wait(15) == 1
    assert agent.text("err")


def test_a2_wait_keeps_trying_until_the_server_is_there(world, target):
    port = free_port()
    agent = world.agent_unchecked(None, target.port, "--wait", url=f"http://127.0.0.1:{port}")
    agent.wait_line("refused", stream="err")
    assert agent.alive()
    agent.server = world.server(port=port)
    agent.wait_online(10)
    assert fetch(port, agent.host).status == 200
    assert agent.count("refused", "err") == 1, "the same failure is said once"


def test_requests_are_shown_on_a_terminal(world, target):
    server = world.server()
    agent = world.agent(server, target.port, tty=True)
    fetch(server.port, agent.host, "/some/where?a=b")
    agent.wait_line(r"\d\d:\d\d:\d\d +GET +/some/where\S* +200 +\d+ ms", stream="out")
    fetch(server.port, agent.host, "/status/204", "POST", body=b"x")
    agent.wait_line(r"POST +/status/204 +204", stream="out")


def test_requests_are_not_shown_to_a_pipe(world, target):
    server = world.server()
    agent = world.agent(server, target.port)
    fetch(server.port, agent.host, "/some/where")
    fetch(server.port, agent.host, "/again")
    assert len(agent.said("out")) == 1


def test_verbose_shows_requests_to_a_pipe_as_well(world, target):
    server = world.server()
    agent = world.agent(server, target.port, "-v")
    with Visitor(server.port) as v:
        for i in range(3):
            assert v.get(agent.host, f"/n{i}").status == 200
    for i in range(3):
        agent.wait_line(rf"GET +/n{i} +200")


def test_quiet_says_nothing(world, target):
    server = world.server()
    agent = world.agent_unchecked(server, target.port, "-q", "--name", "quiet")
    wait_until(lambda: fetch(server.port, server.host("quiet")).status == 200, 5, "it is online")
    agent.base_files = agent.n_files()
    agent.sessions = 2
    assert agent.stop() == 0
    assert agent.said() == []


def test_json_is_one_object_a_line(world, target):
    server = world.server()
    agent = world.agent_unchecked(server, target.port, "--json", "--name", "machine")
    agent.wait_line('"online"', stream="out")
    fetch(server.port, server.host("machine"), "/page")
    agent.wait_line('"request"', stream="out")
    assert agent.stop() == 0
    events = [json.loads(line) for line in agent.said("out")]
    online = next(e for e in events if e["event"] == "online")
    assert online["url"] == f"http://machine.localhost:{server.port}"
    request = next(e for e in events if e["event"] == "request")
    assert (request["method"], request["path"], request["status"]) == ("GET", "/page", 200)


@pytest.mark.parametrize("program", ["karez", "karezd"])
def test_help_and_version_exit_with_0(world, program):
    for args in (["--help"], ["--version"]):
        proc = world.run(program, [BUILD / program, *args])
        assert proc.wait() == 0
        assert program in proc.text("out")
        assert proc.said("err") == []


@pytest.mark.parametrize("program, args", [
    ("karez", ["--nosuch"]), ("karez", ["http"]), ("karez", ["nosuch", "command"]),
    ("karezd", ["--nosuch"]), ("karezd", ["--listen", "nowhere"]),
    ("karezd", ["--head-timeout", "soon"]), ("karezd", ["--domain", "a..b"]),
    ("karezd", ["--store", "paper:"]), ("karezd", ["--trusted-proxies", "10.0.0.0/99"]),
    ("karezd", ["--tls-cert", "/nosuch"]),
])
def test_a_wrong_command_line_is_exit_2(world, program, args):
    proc = world.run(program, [BUILD / program, *args])
    assert proc.wait() == 2
    assert proc.said("err") and not proc.said("out")


def test_a_token_does_not_belong_on_the_command_line(world):
    agent = world.agent_unchecked(None, 3000, "--token", "kz_secret", url="http://127.0.0.1:9")
    assert agent.wait() == 2
    assert "kz_secret" not in agent.text()


@pytest.mark.parametrize("text, words", [
    ("domain: localhost\nhead-timeout: soon\n", ["karezd.yaml:2", "head-timeout", "soon"]),
    ("domain: localhost\nhaed-timeout: 1s\n", ["karezd.yaml:2", "haed-timeout"]),
    ("listen: [\n", ["karezd.yaml"]),
    ('{"domain": "localhost", "listen": ["nowhere"]}', ["karezd.yaml", "listen", "nowhere"]),
])
def test_a_wrong_value_in_the_file_is_named_with_its_line(world, text, words):
    folder = world.dir("home") / ".config" / "karez"
    folder.mkdir(parents=True)
    (folder / "karezd.yaml").write_text(text)
    proc = world.run("karezd", [BUILD / "karezd", "--state-dir", world.path / "state"])
    assert proc.wait() == 2
    for word in words:
        assert word in proc.text("err"), proc.text("err")


def test_an_address_in_use_is_said_and_exit_1(world):
    first = world.server()
    with pytest.raises(Failure):
        world.server(port=first.port, state="other")
    second = world.servers[-1] if len(world.servers) > 1 else world.procs[-1]
    assert second.wait() == 1
    assert "in use" in second.text("err")


def test_ctrl_c_is_as_quick_when_the_way_to_the_server_is_dead(world, target):
    server = world.server()
    path = world.closes(Path(server.port))
    agent = world.agent(server, target.port, url=path.url)
    wait_until(lambda: server.count("event=attach") == 2, 5, "both sessions serve it")
    for link in path.alive():
        link.swallow = True
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 1.5
