"""Tunnels of all kinds, and whole lists of them: by the API, by the command line, all or nothing."""

import json
import socket

import pytest

from karez import free_port
from test_cli import Person


def connects(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 2).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def anna(world):
    world.it = world.server()
    return world.it.account("Anna")


def person_of(world, api, name="anna"):
    person = Person(world, name, world.it)
    person.env["KAREZ_TOKEN"] = api.credential
    return person


def tcp(name, port, **more):
    return {"name": name, "kind": "tcp", "ingress": {"tcp": {"port": port}}, **more}


# ---- the API ----

def test_a_list_is_replaced_whole_or_not_at_all(world, anna):
    one, two, busy = free_port(), free_port(), socket.create_server(("127.0.0.1", 0))
    made = anna.put("/v1/tunnels", {"tunnels": [tcp("a", one), tcp("b", two)]}).want(200).json()
    assert [t["name"] for t in made["tunnels"]] == ["a", "b"]
    assert made["tunnels"][1]["urls"] == [f"tcp://localhost:{two}"]
    etag = anna.get("/v1/tunnels/a").etag
    with busy:
        taken = busy.getsockname()[1]
        problem = anna.put("/v1/tunnels", {"tunnels": [
            tcp("c", free_port()), tcp("d", taken)]}).refused(409, "INUSE")
    assert (problem["entry"], problem["field"]) == (1, "tunnels.1.ingress.tcp.port")
    assert {t["name"] for t in anna.pages("/v1/tunnels")} == {"a", "b"}
    anna.put("/v1/tunnels?dry_run=true", {"tunnels": []}).want(200)
    swapped = anna.put("/v1/tunnels", {"tunnels": [tcp("a", one), tcp("c", two)]}).want(200)
    assert [t["name"] for t in swapped.json()["tunnels"]] == ["a", "c"]
    assert anna.get("/v1/tunnels/a").etag == etag
    anna.put("/v1/tunnels", {"tunnels": anna.pages("/v1/tunnels")}).want(200)
    assert anna.get("/v1/tunnels/a").etag == etag
    anna.put("/v1/tunnels", {"tunnels": []}).want(200)
    assert anna.pages("/v1/tunnels") == [] and not connects(one)


def test_an_account_may_have_some_ports_only(world, anna):
    port = free_port()
    place = "/v1/admin/accounts/" + anna.made["id"]
    world.it.admin().patch(place, {"ports": [str(port)]}).want(200)
    anna.put("/v1/tunnels/a", tcp("a", port)).want(201)
    assert anna.put("/v1/tunnels/b", tcp("b", free_port())).refused(403)["field"] \
        == "ingress.tcp.port"
    assert anna.account()["ports"] == [str(port)]


# ---- the command line ----

def test_apply_shows_what_changes_and_does_it(world, anna):
    person, port, other = person_of(world, anna), free_port(), free_port()
    anna.tunnel("old")
    anna.tunnel("web", target={"url": "http://localhost:3000"})
    path = person.file("tunnels.yaml", f"""\
- name: ssh
  kind: tcp
  port: {port}
  service: sshd
  agents: [home]
- name: web
  target: http://localhost:4000
""")
    lines = (f"+ ssh (kind: tcp; port: {port}; service: sshd; agents: home)\n"
             "~ web (target: http://localhost:3000 -> http://localhost:4000)\n- old\n"
             "unchanged: 0\n")
    done = person.ok("apply", "-f", path, "--dry-run")
    assert done.out == lines and done.err == ""
    assert {t["name"] for t in anna.pages("/v1/tunnels")} == {"old", "web"}
    done = person.run("apply", "-f", path)
    assert done.code == 1 and "nobody to ask" in done.err and done.out == lines
    done = person.ok("apply", "-f", path, "--yes")
    assert done.out == lines + f"ssh is reached at tcp://localhost:{port}\n"
    assert {t["name"] for t in anna.pages("/v1/tunnels")} == {"ssh", "web"}
    assert anna.get("/v1/tunnels/ssh").json()["transport"]["agents"] == ["home"]
    assert person.ok("apply", "-f", path).out == "unchanged: 2\n"
    # what the API tells is a file, too
    listed = person.file("told.json", person.ok("tunnel", "ls", "--json").out)
    assert person.ok("apply", "-f", listed).out == "unchanged: 2\n"
    told = person.ok("apply", "-f", path, "--json").json
    assert [t["name"] for t in told["tunnels"]] == ["ssh", "web"]
    code, screen = person.on_a_terminal("apply", "-f", person.file("less.yaml", f"""\
- {{kind: tcp, port: {port}, service: sshd, agents: [home]}}
"""), answers=[("to go on: ", "yes\n")])
    assert code == 0 and "- web\r\nunchanged: 1\r\n" in screen
    assert {t["name"] for t in anna.pages("/v1/tunnels")} == {"ssh"}
    done = person.ok("swap", "ssh", "spare,home", "--drain", "10s")
    transport = anna.get("/v1/tunnels/ssh").json()["transport"]
    assert (transport["agents"], transport["drain"]) == (["spare", "home"], 10)
    person.ok("tunnel", "set", "ssh", "--port", other, "--proxy-protocol", "v2")
    shown = person.ok("tunnel", "show", "ssh").out
    assert f"tcp://localhost:{other}" in shown and "PROXY protocol" in shown
    assert person.ok("agents").out == "No agent is or was connected\n"


def test_apply_says_which_line_is_wrong(world, anna):
    person = person_of(world, anna)
    anna.tunnel("mine")
    world.it.account("Bert").tunnel("berts")
    cases = [("- name: a\n  prot: 22\n", 2, "bad.yaml:2:3: there is no \"prot\" here; did you mean port?"),
             ("", 2, "bad.yaml: expected a list of tunnels; [] for none"),
             ("- {\n", 2, "bad.yaml:2:1: "),
             ("- name: a\n- name: berts\n", 1, "bad.yaml:2:9: "),
             ("- name: a\n  kind: tcp\n  port: 99999\n", 1,
              "bad.yaml:3:9: \"99999\": must be a whole number from 0 to 65535 (ingress.tcp.port)"),
             ("- name: a\n  kind: udp\n", 1, "bad.yaml:2:9: \"udp\": must be one of")]
    for text, code, said in cases:
        person.file("bad.yaml", text)
        done = person.run("apply", "-f", "bad.yaml", "--yes")
        assert done.code == code and done.err.startswith("karez: " + said), (text, done.err)
    assert person.run("apply", "-f", "nosuch.yaml").code == 2
    assert person.run("apply").code == 2
    assert [t["name"] for t in anna.pages("/v1/tunnels")] == ["mine"]
    done = person.run("apply", "-f", "-", "--yes", typed="[]")
    assert done.code == 0 and done.out == "- mine\nunchanged: 0\n"


def test_apply_keeps_secrets_that_it_does_not_say(world, anna):
    person = person_of(world, anna)
    world.plant("canary-pw-7", "canary-bearer-0007")
    path = person.file("t.json", json.dumps([{"name": "a", "visitors": {
        "basic": [{"user": "eve", "password": "canary-pw-7"}], "bearer": ["canary-bearer-0007"]}}]))
    done = person.ok("apply", "-f", path, "-y")
    assert done.out.startswith("+ a (kind: http; users: eve with a new password; tokens: 1 new ones)")
    assert "canary" not in done.out + done.err
    etag = anna.get("/v1/tunnels/a").etag
    kept = person.file("kept.yaml", "- {name: a, users: [{user: eve}], tokens: 1}\n")
    assert person.ok("apply", "-f", kept).out == "unchanged: 1\n"
    assert anna.get("/v1/tunnels/a").etag == etag
