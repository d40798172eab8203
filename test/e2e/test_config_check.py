"""`karez config check`: a services file is looked at without a server and without an agent."""

import json
import subprocess
from pathlib import Path

import pytest

from karez import BUILD

EXAMPLE = Path(__file__).parents[2] / "deploy" / "services.yaml"


@pytest.fixture
def check(tmp_path):
    """Run it in a home of its own."""
    home = tmp_path / "home"
    home.mkdir()

    def run(*args, stdin=""):
        return subprocess.run([BUILD / "karez", "config", "check", *args], input=stdin, text=True,
                              capture_output=True, timeout=60,
                              env={"HOME": str(home), "PATH": "/usr/bin:/bin"})

    run.home = home
    return run


def test_the_example(check):
    r = check("--file", EXAMPLE)
    assert (r.returncode, r.stderr) == (0, "")
    assert r.stdout.splitlines()[:2] == [
        "SERVICE       NAME             KIND  TARGET",
        "hello-world   hello-world.tim  http  http://localhost:9000"]
    assert "(index page)  tim              http" in r.stdout


def test_for_programs(check):
    r = check("-f", "-", "-i", "eve", "--json", stdin='{"hello-world": 9000, "ssh": "tcp://h:22"}')
    assert r.returncode == 0
    assert json.loads(r.stdout) == [
        {"service": "hello-world", "name": "hello-world.eve", "kind": "http",
         "target": "http://localhost:9000"},
        {"service": "ssh", "name": "ssh.eve", "kind": "tcp", "target": "tcp://h:22"}]


def test_which_file(check):
    """mdm-tunnel's if it is there, else ours; and what is said when neither is."""
    r = check()
    assert r.returncode == 2 and "there is no services file" in r.stderr
    assert r.stderr.count("\n") == 1
    (check.home / ".config/karez").mkdir(parents=True)
    (check.home / ".config/karez/services.yaml").write_text("ours: 1\n")
    assert "ours" in check().stdout
    (check.home / ".tunnel-services.json").write_text('{"theirs": 1}\n')
    assert "theirs" in check().stdout


BAD = [
    ("a slip", "a:\n  target: 1\n  domian: b.c\n",
     "3:3: there is no \"domian\" here; did you mean domain?"),
    ("a bomb", "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "1:4: anchors are not allowed"),
    ("10 MB", "# more and more of it\n" * 480000, "1:1: too big: 1 MiB is the most"),
    ("10 MB in one line", "a" * 10_000_000, "1:1: too big: 1 MiB is the most"),
    ("too deep", "a: " + "[" * 100000, "1:11: nested too deep: 8 levels are the most"),
    ("no text", "a: \x01\n", "1:4: "),
    ("a name twice", "a: 1\nA: 2\n", "2:1: this service has the name a, and so has the one at 1:1"),
]


@pytest.mark.parametrize("text, place", [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_files(check, tmp_path, text, place):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    r = check("-f", path)
    assert r.returncode == 2 and r.stdout == ""
    assert r.stderr.count("\n") == 1 and len(r.stderr) < 1000
    assert r.stderr.startswith(f"karez: {path}:") and place in r.stderr


def test_no_such_file(check):
    r = check("-f", "/nonexistent/s.yaml")
    assert r.returncode == 2
    assert r.stderr == "karez: /nonexistent/s.yaml cannot be read: No such file or directory\n"


def test_a_server_is_not_needed(check):
    """Nor is what is remembered, even if that is damaged."""
    (check.home / ".config/karez").mkdir(parents=True)
    (check.home / ".config/karez/credentials.json").write_text("{")
    assert check("-f", "-", stdin="a: 1").returncode == 0
