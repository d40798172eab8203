"""`karez apply`: a file says what tunnels there shall be; and `karez swap`, who serves one."""

import json

import pytest

from karez import free_port, wait_until
from raw_servers import RawTarget, named
from test_cli import Person
from tunnel_scene import Scene, refuses, wait_open
from visitor import Broken, Visitor


class Applier(Scene):
    """Anna has a shell, and a file."""

    def __init__(self, world, authority):
        super().__init__(world, "--unproven-domains", tls=authority.localhost)
        self.server.kept_files = 8
        self.person = Person(world, "anna", self.server)
        self.person.env["KAREZ_TOKEN"] = self.anna.credential
        self.file = self.person.dir / "tunnels.yaml"

    def run(self, text, *options, code=0, typed=None):
        """Apply this text; returns what was said: (out, err)."""
        self.file.write_text(text)
        done = self.person.run("apply", "-f", "tunnels.yaml", *options, typed=typed)
        assert done.code == code, (done.code, done.out, done.err)
        return done.out, done.err

    def apply(self, text, *options, code=0):
        return self.run(text, "--yes", *options, code=code)

    def state(self):
        """All tunnels, by name, without what changes by itself."""
        found = {t["name"]: t for t in self.anna.pages("/v1/tunnels")}
        for t in found.values():
            t.pop("connection")
        return found


@pytest.fixture
def a(world, authority):
    return Applier(world, authority)


def line(port):
    try:
        with Visitor(port) as v:
            return v.until(b"\n").decode()
    except (OSError, Broken):
        return ""


def test_a_list_is_made_changed_and_unmade(world, a):
    one, two, three = free_port(), free_port(), free_port()
    out, _ = a.apply(f"""
- name: ssh
  kind: tcp
  port: {one}
  service: sshd
- {{name: post, kind: tcp, port: {two}, service: smtp, proxy_protocol: v1, agents: [home]}}
- name: site
  kind: tls
  domains: ['*.a.example', a.example]
  service: web
- name: blog
  target: 127.0.0.1:8080
""")
    assert [x[0] for x in out.splitlines() if x[:1] in "+-~"] == ["+"] * 4, out
    made = a.state()
    assert {n: t["kind"] for n, t in made.items()} == {"ssh": "tcp", "post": "tcp", "site": "tls",
                                                       "blog": "http"}
    assert made["ssh"]["ingress"]["tcp"]["port"] == one
    assert made["post"]["target"]["proxy_protocol"] == "v1"
    assert made["post"]["transport"]["agents"] == ["home"]
    assert set(made["site"]["domains"]) == {"*.a.example", "a.example"}
    a.serve(sshd=world.closes(RawTarget(named("sshd"))))
    wait_open(one)
    with Visitor(one) as v:
        assert v.until(b"\n") == b"sshd"
        out, _ = a.apply(f"""
- {{name: ssh, kind: tcp, port: {one}, service: sshd}}
- {{name: post, kind: tcp, port: {three}, service: smtp}}
""")
        signs = {x[0]: x for x in out.splitlines() if x[:1] in "+-~"}
        assert set(signs) == {"-", "~"} and "post" in signs["~"], out
        assert str(two) in signs["~"] and str(three) in signs["~"], out
        assert "unchanged: 1" in out, out
        v.send(b"alive")
        v.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            v.sock.recv(1)
    assert set(a.state()) == {"ssh", "post"}
    a.apply("[]")
    assert a.state() == {} and refuses(one)


def test_twice_is_nothing_to_do(a):
    text = f"- {{name: ssh, kind: tcp, port: {free_port()}, service: sshd, drain: 1m}}\n"
    a.apply(text)
    before = a.state()
    out, _ = a.run(text)  # and so nobody is asked
    assert "unchanged: 1" in out and a.state() == before, out


def test_dry_run_changes_nothing(a):
    port = free_port()
    out, _ = a.run(f"- {{name: ssh, kind: tcp, port: {port}}}\n", "--dry-run")
    assert out.startswith("+") and "ssh" in out and str(port) in out, out
    assert a.state() == {}
    a.anna.tunnel("other")
    before = a.state()
    out, _ = a.run("[]", "--dry-run")
    assert "- other" in out and a.state() == before


def test_dry_run_asks_the_server(a):
    bert = a.server.account("Bert")
    port = free_port()
    bert.post("/v1/tunnels", {"kind": "tcp", "ingress": {"tcp": {"port": port}}}).want(201)
    _, err = a.run(f"- name: x\n  kind: tcp\n  port: {port}\n", "--dry-run", code=1)
    assert "tunnels.yaml:3:9: " in err and str(port) in err, err


def test_without_a_terminal_it_must_be_said(a):
    out, err = a.run("- {name: x}\n", code=1)
    assert "--yes" in err and a.state() == {}, (out, err)


def test_on_a_terminal_it_asks(a):
    a.file.write_text("- {name: x}\n")
    for answer, code, names in (("no\n", 1, set()), ("yes\n", 0, {"x"})):
        got, screen = a.person.on_a_terminal("apply", "-f", "tunnels.yaml",
                                             answers=[("Type yes to go on: ", answer)])
        assert got == code, screen
        assert set(a.state()) == names, screen


@pytest.mark.parametrize("text, place", [
    ("- name: x\n  kind: tcp\n  prot: 9000\n", "3:3"),
    ("- name: x\n  port: nine\n", "2:9"),
    ("- name: x\n  domains: a.example\n", "2:12"),
    ("name: [\n", "2:1"),
    ("just words\n", "1:1"),
    ("- 7\n", "1:3"),
    ("- name: x\n  drain: soon\n", "2:10"),
    ("- name: x\n  port: 9000\n  ingress: {tcp: {port: 9001}}\n", "3:"),
    ('[{"name": "x", "nothing": 1}]', "1:16"),
    ("- name: x\n  name: y\n", "2:3"),
    ("- &a {name: x}\n- *a\n", "1:3"),
])
def test_mistakes_of_the_file_have_a_place(a, text, place):
    out, err = a.apply(text, code=2)
    assert f"tunnels.yaml:{place}" in err, err
    assert out == "" and a.state() == {}


@pytest.mark.parametrize("entry, place, word", [
    ("  kind: udp\n", "3:9", "kind"), ("  kind: tcp\n  port: 80\n", "4:9", "80"),
    ("  kind: tcp\n  bind: nowhere\n", "4:9", "nowhere"),
    ("  kind: tls\n  domains: ['*.x']\n", "4:12", "domain"),
    ("  policy: random\n", "3:11", "failover"), ("  agents: ['a b']\n", "3:11", "agent"),
    ("  kind: tls\n  tls: half\n", "4:8", "pass"),
    ("  proxy_protocol: v3\n", "3:19", "v2"),
    ("  kind: tcp\n  users: [{user: a, password: long enough}]\n", "4:10", "tcp"),
])
def test_refusals_of_the_server_have_a_place_too(a, entry, place, word):
    port = free_port()
    text = f"- {{name: good, kind: tcp, port: {port}}}\n- name: bad\n{entry}"
    out, err = a.apply(text, code=1)
    assert f"tunnels.yaml:{place}: " in err and word in err, (out, err)
    assert a.state() == {} and refuses(port)


def test_all_or_nothing(a):
    ports = [free_port() for _ in range(3)]
    bert = a.server.account("Bert")
    bert.post("/v1/tunnels", {"kind": "tcp", "ingress": {"tcp": {"port": ports[2]}}}).want(201)
    a.apply(f"- {{name: one, kind: tcp, port: {ports[0]}}}\n")
    before = a.state()
    _, err = a.apply(f"- {{name: two, kind: tcp, port: {ports[0]}}}\n"
                     f"- {{name: three, kind: tcp, port: {ports[1]}}}\n"
                     f"- {{name: four, kind: tcp, port: {ports[2]}}}\n", code=1)
    assert "tunnels.yaml:3:" in err, err
    assert a.state() == before


def test_ports_may_change_hands(world, a):
    one, two = free_port(), free_port()
    a.serve(a=world.closes(RawTarget(named("a"))), b=world.closes(RawTarget(named("b"))))
    for first, second in ((one, two), (two, one), (one, two)):
        a.apply(f"- {{name: a, kind: tcp, port: {first}, service: a}}\n"
                f"- {{name: b, kind: tcp, port: {second}, service: b}}\n")
        wait_until(lambda: (line(first), line(second)) == ("a", "b"), 5, "both are reached")


def test_what_the_api_tells_can_be_applied(a):
    a.anna.tunnel("x", **{"kind": "tcp", "ingress": {"tcp": {"port": free_port()}},
                          "transport": {"policy": "failover"},
                          "visitors": {"deny": ["10.0.0.0/8"]}})
    a.anna.tunnel("y", visitors={"basic": [{"user": "u", "password": "a password"}]})
    listed = a.anna.get("/v1/tunnels").want(200).json()["tunnels"]
    before = a.state()
    out, _ = a.run(json.dumps(listed))
    assert "unchanged: 2" in out, out
    assert a.state() == before


def test_secrets_are_not_shown(a):
    out, err = a.apply("- name: y\n  users: [{user: u, password: canary-password-1}]\n"
                       "  tokens: [canary-token-of-visitors-1]\n")
    assert "canary" not in out + err
    assert a.state()["y"]["visitors"]["basic"] == [{"user": "u"}]


def test_a_file_that_is_not_there(a):
    done = a.person.run("apply", "-f", "nothere.yaml", "--yes")
    assert done.code == 2 and "nothere.yaml" in done.err
    assert a.person.run("apply").code == 2


def test_from_standard_input_and_as_json(a):
    done = a.person.run("apply", "-f", "-", "--yes", "--json", typed='[{"name": "x"}]')
    assert done.code == 0, done.err
    assert [t["name"] for t in done.json["tunnels"]] == ["x"]


def test_a_thousand_entries(a):
    a.server.admin().patch(f"/v1/admin/accounts/{a.anna.made['id']}",
                           {"quota": {"tunnels": 1000}}).want(200)
    text = "".join(f"- {{name: t{i}, kind: tls, domains: [t{i}.many.example]}}\n"
                   for i in range(1000))
    a.apply(text)
    assert len(a.state()) == 1000
    out, _ = a.run(text)
    assert "unchanged: 1000" in out
    _, err = a.apply(text + "- {name: more}\n", code=2)
    assert "1000" in err
    a.apply("[]")
    assert a.state() == {}


def test_swap(world, a):
    port = free_port()
    for letter in "ab":
        a.serve(agent_id=letter, web=world.closes(RawTarget(named(letter))), config=letter)
    a.apply(f"- {{name: web, kind: tcp, port: {port}, service: web, agents: [a]}}\n")
    wait_open(port)
    with Visitor(port) as v:
        assert v.until(b"\n") == b"a"
        a.person.ok("swap", "web", "b", "--drain", "1s")
        assert line(port) == "b"
        assert v.ended()
    assert a.state()["web"]["transport"]["drain"] == 1
    a.person.no("swap", "nothere", "b")
    listed = a.person.ok("agents").out
    assert "a" in listed.split() and "b" in listed.split()
