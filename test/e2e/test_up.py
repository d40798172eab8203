"""`karez up`: A5 to A8, edits of the services file while it runs, and what is told about it all."""

import asyncio
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import threading

import pytest
import websockets

from karez import SANITIZED, TREE, free_port, wait_until
from servers import Target, WebSocketTarget
from up_scene import Up
from visitor import Broken, Visitor, fetch

# What "at once" may take on a busy machine.
SOON = 5


@pytest.fixture
def hello(world):
    return world.closes(Target("hello"))


@pytest.fixture
def other(world):
    return world.closes(Target("other"))


@pytest.fixture
def echo(world):
    return world.closes(WebSocketTarget())


@pytest.fixture
def up(world):
    return Up(world, world.server())


# ---- A5 ----


def test_a5_services_of_one_file(up, hello, other):
    up.write({"hello-world": hello.port, "second": other.port})
    agent = up.start("--id", "tim")
    assert up.get("hello-world.tim").text() == "hello from hello\n"
    assert up.get("second.tim").text() == "hello from other\n"
    upper = up.server.host("hello-world.tim").upper()
    assert fetch(up.server.port, upper).text() == "hello from hello\n"
    assert up.get("nosuch.tim").status == 404
    assert agent.count("publicly accessible") == 2


def test_a5_without_an_id_services_stand_below_the_domain(up, hello):
    up.write({"hello-world": hello.port})
    up.start()
    assert up.get("hello-world").text() == "hello from hello\n"


def _reach(up, name):
    """A WebSocket that is being opened; only we know that its name is here."""
    return websockets.connect(f"ws://{up.server.host(name)}/chat", host="127.0.0.1", port=up.server.port)


async def _messages(up, name, n):
    async with _reach(up, name) as ws:
        await ws.recv()  # the fields of the upgrade
        for i in range(n):
            message = f"message {i} " + "x" * (i * 37 % 5000)
            await ws.send(message)
            assert await ws.recv() == message


def test_a5_200_messages_through_a_websocket(up, echo):
    up.write({"websockets": echo.port})
    up.start("--id", "tim")
    asyncio.run(_messages(up, "websockets.tim", 200))


NPM_CLIENT = """
const WebSocket = require('ws');
const [port, host] = process.argv.slice(1);
const ws = new WebSocket(`ws://127.0.0.1:${port}/chat`, {headers: {Host: host}});
let n = -1;
ws.on('message', (data) => {
    if (n >= 0 && data.toString() !== `message ${n}`) { console.error(`${n}: ${data}`); process.exit(1); }
    if (++n === 200) { console.log('200 messages'); ws.close(); return; }
    ws.send(`message ${n}`);
});
ws.on('error', (e) => { console.error(e.message); process.exit(1); });
"""


def test_a5_200_messages_of_the_ws_of_npm(up, echo):
    node = shutil.which("node") or shutil.which("nodejs")
    path = os.environ.get("NODE_PATH", "/usr/share/nodejs:/usr/share/javascript")
    env = {**os.environ, "NODE_PATH": path}
    if node is None or subprocess.run([node, "-e", "require('ws')"], env=env, capture_output=True).returncode != 0:
        pytest.skip("node or its package ws is not installed (Debian: node-ws; else NODE_PATH)")
    up.write({"websockets": echo.port})
    up.start("--id", "tim")
    done = subprocess.run([node, "-e", NPM_CLIENT, str(up.server.port), up.server.host("websockets.tim")], env=env,
                          text=True, capture_output=True, timeout=60)
    assert done.stdout == "200 messages\n", done.stderr


class Running:
    """A download and a WebSocket that are under way, and must not be cut."""

    def __init__(self, up, name, chat):
        self.visitor = Visitor(up.server.port)
        self.visitor.ask(up.server.host(name), "/trickle/40")
        self.failed = None
        self.started, self.end = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._chat, args=(up, chat))
        self.thread.start()
        assert self.started.wait(10)

    def _chat(self, up, name):
        async def chat():
            async with _reach(up, name) as ws:
                await ws.recv()
                self.started.set()
                while not self.end.is_set():
                    await ws.send("still here")
                    assert await ws.recv() == "still here"
                    await asyncio.sleep(0.01)
        try:
            asyncio.run(chat())
        except Exception as e:  # noqa: BLE001 - told by finish()
            self.failed = e

    def finish(self):
        answer = self.visitor.answer()
        self.visitor.close()
        self.end.set()
        self.thread.join(10)
        assert answer.status == 200 and len(answer.body) == 40000
        assert self.failed is None, repr(self.failed)


@pytest.mark.parametrize("how", ["write", "rename"])
def test_a5_an_edit_adds_and_removes_and_cuts_nobody(up, hello, other, echo, how):
    services = {"hello": hello.port, "chat": echo.port, "goes": other.port}
    up.write(services)
    agent = up.start("--id", "tim")
    sessions = agent.count("session-open")
    running = Running(up, "hello.tim", "chat.tim")
    del services["goes"]
    services["comes"] = other.port
    getattr(up, how)(services)
    agent.wait_line(r"^goes was removed", SOON, "out")
    agent.wait_line(r"^comes was added", SOON, "out")
    up.becomes("comes.tim", 200)
    wait_until(lambda: up.get("goes.tim").status in (404, 503), SOON, "it is served no longer")
    services["hello"] = other.port
    getattr(up, how)(services)
    agent.wait_line(r"^hello was changed", SOON, "out")
    wait_until(lambda: up.get("hello.tim").text() == "hello from other\n", SOON, "the new target is visited")
    running.finish()
    assert agent.count("was (added|removed|changed)") == 3, agent.text("out")
    assert agent.count("session-open") == sessions
    assert agent.count("lost the connection") == 0


# ---- A6 to A8 ----


def _garbage(up, i):
    try:
        with Visitor(up.server.port, timeout=2) as v:
            if i % 3 == 0:
                v.send("GET / HTTP/1.1\r\n\r\n")
                assert v.answer().status == 400
            elif i % 3 == 1:
                v.send(os.urandom(300))
                v.to_end()
            else:
                v.ask(up.server.host("hello.tim"), "/down/10000000")
                v.exactly(1000)
                v.reset()
    except (OSError, Broken):
        pass


def test_a6_strangers_bring_neither_server_nor_agent_down(up, hello):
    up.write({"hello": hello.port})
    agent = up.start("--id", "tim")
    strangers = [threading.Thread(target=_garbage, args=(up, i)) for i in range(100)]
    for t in strangers:
        t.start()
    for t in strangers:
        t.join(30)
    assert up.server.alive() and agent.alive()
    assert up.get("hello.tim").status == 200
    wait_until(lambda: up.status()["services"][0]["visitors"] == 0, 10, "no visitor is left")


def test_a7_who_connects_and_says_nothing_is_sent_away(world, hello):
    up = Up(world, world.server("--head-timeout", "1s"), {"hello": hello.port})
    up.start("--id", "tim")
    with Visitor(up.server.port) as silent:
        assert silent.ended() or True  # by an answer or without one, but it ends
    assert up.get("hello.tim").status == 200


def test_a7_a_server_that_comes_back_is_found_again(world, hello, other):
    port = free_port()
    first = world.server(port=port)
    up = Up(world, first, {"hello": hello.port, "other": other.port})
    agent = up.start("--id", "tim")
    first.kill()
    agent.wait_line("lost the connection", 10, "err")
    agent.wait_line("trying again in", 10, "err")
    wait_until(lambda: agent.count("trying again") >= 3, 20, "each attempt is told")
    assert up.state("hello")[0] == "connecting"
    assert up.status()["offline"] is True
    up.server = agent.server = world.server(port=port)
    agent.wait_line("back again", 30, "err")
    up.becomes("hello.tim", 200)
    up.becomes("other.tim", 200)
    assert agent.count("back again") == 1
    assert up.command("status").returncode == 0


def test_a8_two_agents_with_one_id_share_and_either_may_leave(world, hello):
    server = world.server()
    ups = [Up(world, server, {"hello": hello.port}, name=f"{n}.json") for n in "ab"]
    agents = [u.start("--id", "tim", "--agent", n) for u, n in zip(ups, "ab")]
    assert agents[0].alive() and agents[1].alive()
    agents[0].stop(signal.SIGINT)
    for _ in range(5):
        assert ups[0].get("hello.tim").status == 200
    assert agents[1].alive()


# ---- what is wrong in a file ----


@pytest.mark.parametrize("text, words", [
    ('{"hello": 9000,\n "hello": 9001}', [":2:2:"]),
    ('hello: [1, 2]\n', [":1:"]),
    ('hello: 70000\n', [":1:8:"]),
    ('hello:\n  target: 9000\n  domian: a.example\n', [":3:3:", "domain"]),
    ('a: &x [1]\nb: *x\n', [":1:"]),
    ('hello: 9000\n\tworld: 9001\n', [":2:"]),
    ('hello: http://nosuch.invalid:80\n', [":1:8:", "nosuch.invalid"]),
], ids=["twice", "list", "port", "unknown-key", "alias", "tab", "no-host"])
def test_a_wrong_file_at_the_start_is_one_line_and_2(up, text, words):
    up.write(text)
    agent = up.start(wait=False)
    assert agent.wait() == 2, agent.text()
    said = agent.said("err")
    assert len(said) == 1 and str(up.file) in said[0], said
    for word in words:
        assert word in said[0]
    up.server.wait_files(up.server.base_files)
    assert up.server.count("session") == 0


def test_a_file_of_10_mb_is_refused(up):
    up.write("# " + "x" * 10_000_000)
    agent = up.start(wait=False)
    assert agent.wait() == 2
    assert len(agent.said("err")) == 1, agent.text("err")


def test_without_a_file_it_is_told_where_it_was_looked_for(up):
    agent = up.start(wait=False, file=False)
    assert agent.wait() == 2
    said = agent.text("err")
    assert ".tunnel-services.json" in said and "services.yaml" in said and "hello-world: 9000" in said


def test_the_usual_files(world, up, hello):
    home = world.dir("home")
    (world.path / "agent").mkdir()
    (world.path / "agent/services.yaml").write_text(f"from-yaml: {hello.port}\n")
    agent = up.start(file=False, services=["from-yaml"])
    agent.stop(signal.SIGINT)
    (home / ".tunnel-services.json").write_text(json.dumps({"from-json": hello.port}))
    up.start(file=False, services=["from-json"])


def test_the_options_of_mdm_tunnel(up, hello):
    up.write({"hello": hello.port})
    agent = up.start("-c", up.file, "-i", "tim", "-H", "127.0.0.1", "-p", up.server.port, "-v", file=False,
                     server=False)
    assert up.get("hello.tim").status == 200
    agent.wait_line("GET / ", SOON, "out")


def test_a_broken_edit_is_told_once_and_changes_nothing(up, hello, other):
    up.write({"hello": hello.port})
    agent = up.start("--id", "tim")
    up.write('{"hello": %d,\n "second": 99999999}' % hello.port)
    agent.wait_line(r"services\.json:2:12: .*stays", SOON, "err")
    assert up.get("hello.tim").status == 200
    problem = up.status()["file_problem"]
    assert "services.json:2:12" in problem
    os.utime(up.file)
    up.write('{"hello": %d,\n "second": "http://nosuch.invalid"}' % hello.port)
    agent.wait_line(r":2:12: .*nosuch\.invalid.*stays", SOON, "err")
    up.write({"hello": hello.port, "second": other.port})
    agent.wait_line("right again", SOON, "err")
    up.becomes("second.tim", 200)
    assert "file_problem" not in up.status()
    assert agent.count("stays as it was", "err") == 2, agent.text("err")
    assert agent.count("was (changed|removed)", "out") == 0


def test_a_file_that_vanishes_is_told_and_changes_nothing(up, hello, other):
    up.write({"hello": hello.port})
    agent = up.start("--id", "tim")
    up.file.unlink()
    agent.wait_line(r"services\.json.*stays", SOON, "err")
    assert up.get("hello.tim").status == 200
    up.write({"hello": hello.port, "second": other.port})
    agent.wait_line(r"^second was added", SOON, "out")
    up.becomes("second.tim", 200)
    assert agent.count("stays as it was", "err") == 1


def test_an_empty_file_is_no_wish_to_serve_nothing(up, hello):
    """Who writes a file in place empties it first."""
    up.write({"hello": hello.port})
    agent = up.start("--id", "tim")
    up.write("")
    agent.wait_line(r"services\.json:1:1: .*empty.*stays", SOON, "err")
    assert up.get("hello.tim").status == 200
    up.write("{}")
    agent.wait_line(r"^hello was removed", SOON, "out")


def test_a_link_that_is_turned(world, up, hello, other):
    """As Kubernetes mounts configurations: the file is a link through a folder that is a link."""
    for name, target in (("one", hello), ("two", other)):
        world.dir(name).joinpath("services.json").write_text(json.dumps({"hello": target.port}))
    (world.path / "data").symlink_to("one")
    up.file.symlink_to("data/services.json")
    up.start("--id", "tim")
    assert up.get("hello.tim").text() == "hello from hello\n"
    (world.path / "next").symlink_to("two")
    os.replace(world.path / "next", world.path / "data")
    wait_until(lambda: up.get("hello.tim").text() == "hello from other\n", SOON, "the new target is visited")
    assert up.command("status").returncode == 0


def test_sighup_reads_the_file(up, hello):
    up.write({"hello": hello.port})
    agent = up.start("--id", "tim")
    agent.popen.send_signal(signal.SIGHUP)
    up.write({"hello": hello.port, "second": hello.port})
    agent.popen.send_signal(signal.SIGHUP)
    agent.wait_line(r"^second was added", SOON, "out")
    assert agent.alive() and up.get("hello.tim").status == 200


def test_all_services_may_go_and_come_again(up, hello):
    up.write({"hello": hello.port})
    agent = up.start("--id", "tim")
    up.write({})
    agent.wait_line(r"^hello was removed", SOON, "out")
    wait_until(lambda: up.get("hello.tim").status in (404, 503), SOON, "nothing is served")
    assert agent.alive()
    up.write({"hello": hello.port})
    agent.wait_line(r"^hello was added", SOON, "out")
    up.becomes("hello.tim", 200, 10)


def test_a_service_that_changes_its_kind_is_told_to_take_another_name(up, hello):
    up.write({"hello": hello.port, "stays": hello.port})
    agent = up.start("--id", "tim")
    up.write({"hello": f"tcp://127.0.0.1:{hello.port}", "stays": hello.port})
    agent.wait_line(r"^hello was changed", SOON, "out")
    assert up.get("stays.tim").status == 200
    agent.wait_line(r"hello is not served: .* of another kind", SOON, "err")
    assert up.state("hello")[0] == "refused"
    up.write({"hello": {"target": f"tcp://127.0.0.1:{hello.port}", "name": "raw.tim"}, "stays": hello.port})
    wait_until(lambda: up.state("hello")[0] == "online", SOON, "by another name it is served")


def test_1000_services(world, hello):
    n = 200 if SANITIZED else 1000
    server = world.server()
    anna = server.account()
    server.admin().patch("/v1/admin/accounts/" + anna.made["id"], {"quota": {"tunnels": n}}).want(200)
    up = Up(world, server, {f"s{i}": hello.port for i in range(n)})
    agent = up.start("--id", "tim", wait=False, env={"KAREZ_TOKEN": anna.made["token"]})
    wait_until(lambda: agent.count("publicly accessible", "out") == n, 60, "all are online")
    agent.base_files = agent.n_files() + 2
    assert up.get(f"s{n - 1}.tim").status == 200
    up.write({f"s{i}": hello.port for i in range(n - 1)})
    agent.wait_line(rf"^s{n - 1} was removed", SOON, "out")
    assert agent.count("was (added|changed|removed)", "out") == 1
    assert up.get("s0.tim").status == 200
    assert len(up.status()["services"]) == n - 1


def test_more_services_than_the_account_may_have_are_not_a_thousand_lines(up, hello):
    up.write({f"s{i}": hello.port for i in range(130)})  # an account has 100
    agent = up.start("--id", "tim", services=[])
    agent.wait_line("not served yet: .*100 tunnels", 20, "err")
    agent.wait_line("more services", 20, "err")
    agent.base_files = agent.n_files() + 2
    states = [s["state"] for s in up.status()["services"]]
    wait_until(lambda: [s["state"] for s in up.status()["services"]].count("online") == 100, 20, "100 are online")
    assert len(states) == 130 and agent.count("not served yet", "err") <= 10
    assert up.command("status").returncode == 1


def test_passwords_of_visitors(up, hello):
    services = {"hello": {"target": hello.port, "users": [{"user": "anna", "password": "correct horse"}]}}
    up.write(services)
    agent = up.start("--id", "tim")
    login = ("Authorization", "Basic " + base64.b64encode(b"anna:correct horse").decode())
    assert up.get("hello.tim").status == 401
    assert up.get("hello.tim", fields=[login]).status == 200
    up.write({**services, "second": hello.port})
    agent.wait_line(r"^second was added", SOON, "out")
    agent.popen.send_signal(signal.SIGHUP)
    services["hello"]["users"][0]["password"] = "battery staple"
    up.write({**services, "second": hello.port})
    agent.wait_line(r"^hello was changed", SOON, "out")
    wait_until(lambda: up.get("hello.tim", fields=[login]).status == 401, SOON, "the old password is none any more")
    assert agent.count("was changed", "out") == 1  # the same password is no change
    up.world.plant("correct horse", "battery staple")


# ---- how it is doing ----


def test_status(up, hello):
    dead = free_port()
    up.write({"hello": hello.port, "dead": {"target": dead, "health": "tcp", "health_interval": "500ms"}})
    agent = up.start("--id", "tim")
    up.get("hello.tim", "/down/5000")
    wait_until(lambda: up.state("dead")[0] == "target down", 10, "the check has failed")
    wait_until(lambda: up.status()["sessions"] == 2, SOON, "both sessions are up")
    wait_until(lambda: up.status()["services"][0]["visitors"] == 0, SOON, "the visitor has gone")
    told = up.status()
    assert told["pid"] == agent.pid and told["id"] == "tim" and told["server"] == up.server.url
    assert told["offline"] is False and told["sessions"] == 2 and told["transport"] in ("upgrade", "websocket")
    first, second = told["services"]
    assert first["service"] == "hello" and first["name"] == "hello.tim" and first["kind"] == "http"
    assert first["url"].startswith("http://hello.tim.localhost") and first["state"] == "online"
    assert first["served"] == 1 and first["visitors"] == 0 and first["down_bytes"] > 5000 > first["up_bytes"] > 0
    assert first["target"] == f"http://localhost:{hello.port}" and first["health"] == ""
    assert second["health"] == "ill" and second["well"] is False
    table = up.command("status")
    assert table.returncode == 1, table.stdout
    for word in ("SERVICE", "hello", first["url"], "target down", str(agent.pid)):
        assert word in table.stdout
    with Visitor(up.server.port) as v:
        v.ask(up.server.host("hello.tim"), "/gate")
        wait_until(lambda: up.status()["services"][0]["visitors"] == 1, SOON, "the visitor is counted")
        hello.gate.set()
        v.answer()
    up.write({"hello": hello.port})
    agent.wait_line("dead was removed", SOON, "out")
    assert up.command("status").returncode == 0


def test_ls_of_a_running_one_and_of_a_file(up, hello):
    up.write({"hello": hello.port})
    listed = up.command("ls", "--id", "tim")
    assert listed.returncode == 0 and "hello.tim" in listed.stdout and str(hello.port) in listed.stdout
    status = up.command("status")
    assert status.returncode == 1 and "no karez up is running" in status.stderr
    agent = up.start("--id", "tim")
    assert "http://hello.tim.localhost" in up.command("ls").stdout
    agent.stop(signal.SIGINT)
    assert up.command("status").returncode == 1
    up.write("hello: [")
    assert up.command("ls").returncode == 2


def test_the_socket_is_for_its_owner_only(up, hello):
    up.write({"hello": hello.port})
    up.start("--id", "tim")
    folder = os.path.join(up.run_dir, "karez")
    assert os.stat(folder).st_mode & 0o777 == 0o700
    names = os.listdir(folder)
    assert len(names) == 2
    for name in names:
        assert os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600, name
    sock = next(os.path.join(folder, n) for n in names if n.endswith(".sock"))
    conns = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    for c in conns:  # who only sits there keeps nobody out for long, and takes no more than a few descriptors
        c.connect(sock)
    with conns[0] as c:
        c.sendall(b"DELETE /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.recv(100).startswith(b"HTTP/1.1 405")
    for c in conns[1:]:
        c.close()
    wait_until(lambda: up.command("status").returncode == 0, 10, "it answers")


def test_a_second_one_for_the_same_file_is_refused(up, hello):
    up.write({"hello": hello.port})
    first = up.start("--id", "tim")
    second = up.start("--id", "tim", wait=False)
    assert second.wait() == 1
    assert str(first.pid) in second.text("err"), second.text("err")
    assert up.get("hello.tim").status == 200
    first.kill()
    up.start("--id", "tim")
    assert up.command("status").returncode == 0


def test_the_page_of_services(up, hello):
    up.write({"id": "tim", "index": True, "services": {"hello": hello.port, "log": f"tcp://localhost:{hello.port}"}})
    agent = up.start(services=["hello", "log", "the index page"])
    page = up.get("tim")
    assert page.status == 200 and "hello.tim.localhost" in page.text() and "log" in page.text()
    listed = up.get("tim", fields=[("Accept", "application/json")]).json()["services"]
    assert [(s["name"], s["kind"], s["well"]) for s in listed] == [("hello", "http", True), ("log", "tcp", True)]
    assert up.status()["index"].startswith("http://tim.localhost")
    up.write({"id": "tim", "services": {"hello": hello.port}})
    agent.wait_line(r"^log was removed", SOON, "out")
    wait_until(lambda: up.get("tim").status in (404, 503), SOON, "the page has gone")
    assert up.get("hello.tim").status == 200


def test_the_page_is_for_an_id(up, hello):
    up.write({"hello": hello.port})
    agent = up.start("--index", wait=False)
    assert agent.wait() == 2 and "--id" in agent.text("err")


def test_nobody_sees_a_list_that_was_not_asked_for(up, hello):
    up.write({"hello": hello.port})
    up.start("--id", "tim")
    assert up.get("tim").status == 404


def test_json_lines(up, hello):
    up.write({"hello": hello.port})
    agent = up.start("--id", "tim", "--json", services=[])
    agent.wait_line('"event":"online".*"service":"hello"', SOON, "out")
    agent.base_files = agent.n_files() + 2
    up.write({"second": hello.port})
    agent.wait_line('"event":"added".*"service":"second"', SOON, "out")
    up.write("second: [")
    agent.wait_line('"event":"file"', SOON, "out")
    for line in agent.said("out"):
        assert json.loads(line)["event"] in ("online", "added", "removed", "file", "request"), line


def test_a_directory_and_another_kind(world, up, hello):
    docs = world.dir("docs")
    (docs / "a.txt").write_text("from a file\n")
    up.write({"docs": f"file://{docs}", "raw": f"tcp://127.0.0.1:{hello.port}"})
    up.start("--id", "tim")
    assert up.get("docs.tim", "/a.txt").text() == "from a file\n"
    url = next(s["url"] for s in up.status()["services"] if s["service"] == "raw")
    assert fetch(int(url.rpartition(":")[2]), "anything").status == 200


def test_the_tree_has_a_manual_of_it():
    text = (TREE / "doc/services.md").read_text()
    for word in ("karez up", "karez status", "tunnel.opts", "SIGHUP"):
        assert word in text, word
