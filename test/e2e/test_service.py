"""`karez service`, with a systemctl that writes down what it is asked for; and what a service manager hears of both
programs, at a socket of the test's own."""

import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import pytest

from karez import BUILD, Failure, wait_until
from servers import Target
from up_scene import Up

SERVER = "https://tunnel.example.org"


class Manager:
    """Hears what is said to NOTIFY_SOCKET. The path must be short, so it is not below the test's folder."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="karez-")
        self.path = f"{self.dir}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.heard = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            data = self.socket.recv(65536)
            if data == b"END":
                break
            self.heard.append(data.decode())
        self.socket.close()

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"END", self.path)
        shutil.rmtree(self.dir)

    def wait(self, message, seconds=10, since=0):
        """Its place among the messages."""
        try:
            wait_until(lambda: any(re.fullmatch(message, m) for m in self.heard[since:]), seconds, message)
        except Failure:
            raise Failure(f"nobody said {message!r}, but {self.heard}") from None
        return next(i for i, m in enumerate(self.heard) if i >= since and re.fullmatch(message, m))


@pytest.fixture
def manager(world):
    m = world.closes(Manager())
    # of whatever is started from now on
    world.env = functools.partial(world.env, NOTIFY_SOCKET=m.path)
    return m


# ---- what a service manager hears ----

def test_karezd_is_ready_when_it_serves(world, manager):
    server = world.server()
    ready = manager.wait("READY=1")
    assert manager.heard[:ready] == ["STATUS=waiting for the store", "STATUS=tunnels under localhost"]
    assert server.admin().get("/v1/account").status == 200
    server.send_signal(signal.SIGHUP)
    reloading = manager.wait(r"RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+", since=ready + 1)
    manager.wait("READY=1", since=reloading)
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert manager.heard[-1] == "STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000"  # the drain timeout, and 5 s


def test_signs_of_life(world, manager):
    """Every half of the time that the manager waits."""
    world.env = functools.partial(world.env, WATCHDOG_USEC=200000)
    world.server()
    first = manager.wait("WATCHDOG=1")
    manager.wait("WATCHDOG=1", since=first + 1)


def test_up_is_ready_when_services_are_online(world, manager):
    server = world.server()
    hello = world.closes(Target("hello"))
    up = Up(world, server, {"a": hello.port, "b": hello.port, "c": hello.port})
    manager.wait("READY=1")
    since = len(manager.heard)
    agent = up.start(env={"NOTIFY_SOCKET": manager.path})
    ready = manager.wait("READY=1", since=since)
    online = manager.wait("STATUS=3 of 3 services online", since=since)
    up.write({"a": hello.port})
    manager.wait("STATUS=1 of 1 services online", since=online)
    up.write("a: 1\nb: [")
    manager.wait("STATUS=1 of 1 services online; the services file is wrong")
    assert "READY=1" not in manager.heard[ready + 1:]  # an edit is no reload
    up.write({"a": hello.port, "b": hello.port})
    since = manager.wait("STATUS=2 of 2 services online")
    agent.send_signal(signal.SIGHUP)
    reloading = manager.wait(r"RELOADING=1\n.*", since=since)
    since = manager.wait("READY=1", since=reloading)
    server.kill()
    since = manager.wait("STATUS=0 of 2 services online: .+", 30, since=since)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait() == 0
    manager.wait(r"STOPPING=1\nEXTEND_TIMEOUT_USEC=\d+", since=since)


def test_a_machine_that_boots_waits_for_no_server_that_is_not_there(world, manager):
    up = Up(world, None, {"a": 9000})
    agent = up.start("--server", "http://127.0.0.1:1", "--wait", wait=False, server=False,
                     env={"NOTIFY_SOCKET": manager.path})
    ready = manager.wait("READY=1")
    assert manager.heard[ready - 1].startswith("STATUS=0 of 1 services online: ")
    agent.stop()


def test_a_start_that_fails_is_not_ready(world, manager):
    """Without --wait it ends, and with a wrong file as well."""
    up = Up(world, None, {"a": 9000})
    options = dict(wait=False, server=False, env={"NOTIFY_SOCKET": manager.path})
    agent = up.start("--server", "http://127.0.0.1:1", **options)
    assert agent.wait() == 1
    up.write("a: [")
    agent.expect_alive = False
    agent = up.start("--server", "http://127.0.0.1:1", **options)
    agent.expect_alive = False
    assert agent.wait() == 2
    assert "READY=1" not in manager.heard


# ---- karez service ----

class Box:
    """A home, a services file with a difficult name, and a systemctl."""

    def __init__(self, path):
        self.home = path / "home"
        self.home.mkdir()
        self.file = path / "my 100% $services.yaml"
        self.file.write_text("hello: 9000\n")
        self.calls = path / "calls"
        self.unit = self.home / ".config/systemd/user/karez.service"
        (path / "bin").mkdir()
        self.path = path
        self.systemctl()

    def systemctl(self, fails="none"):
        script = self.path / "bin" / "systemctl"
        script.write_text(f"#!/bin/sh\necho \"$*\" >>{self.calls}\ncase \" $* \" in *\" {fails} \"*) exit 3;; esac\n")
        script.chmod(0o755)

    def run(self, *words, path=None, **env):
        keep = {k: v for k, v in os.environ.items() if k in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")}
        env = {**keep, "HOME": str(self.home), "PATH": path or f"{self.path}/bin:/usr/bin:/bin", **env}
        return subprocess.run([BUILD / "karez", "service", *map(str, words)], cwd=self.path, env=env, text=True,
                              capture_output=True, timeout=60)

    def install(self, *words, **env):
        return self.run("install", "--user", "--file", self.file.name, "--server", SERVER, *words, **env)

    def called(self):
        """What systemctl was asked for since the last time, without the question whether it is there."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return [line for line in lines if "show --property=Version" not in line]


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def command_of(unit):
    """What a unit starts, as systemd takes it apart."""
    line = re.search(r"^ExecStart=((?:.|\\\n)*?[^\\])$", unit, re.M).group(1).replace("\\\n\t", "")
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [re.sub(r"\\(.)", r"\1", a or b).replace("%%", "%").replace("$$", "$") for a, b in words]


def test_install(box):
    r = box.install("--id", "tim", "--quiet")
    assert (r.returncode, r.stderr) == (0, "")
    assert f"{box.unit}: written" in r.stdout and "loginctl enable-linger" in r.stdout
    assert box.called() == ["--user daemon-reload", "--user enable --now karez.service"]
    assert box.unit.stat().st_mode & 0o777 == 0o644
    words = command_of(box.unit.read_text())
    assert words[:5] == [str((BUILD / "karez").resolve()), "up", "--wait", f"--config-dir={box.home}/.config/karez",
                         f"--file={box.file}"]
    assert sorted(words[5:]) == ["--id=tim", "--quiet", f"--server={SERVER}"]


def test_what_it_starts_is_a_command_of_karez(box):
    """karez itself takes those words, as the unit has them."""
    box.install("--id", "tim", "--sessions", "3", "--index", "--transport", "websocket")
    words = command_of(box.unit.read_text())
    r = subprocess.run([*words, "--show-config"], env={"HOME": str(box.home)}, text=True, capture_output=True, timeout=60)
    assert r.returncode == 0, r.stderr
    for line in (f'server: ["{SERVER}"]', 'sessions: 3', 'transport: "websocket"', 'id: "tim"', "index: true"):
        assert line in r.stdout


def test_install_again(box):
    box.install()
    first = box.unit.read_text()
    box.called()
    r = box.install()
    assert r.returncode == 0 and f"{box.unit}: as it was" in r.stdout and box.unit.read_text() == first
    assert box.called() == ["--user daemon-reload", "--user enable --now karez.service"]
    r = box.install("--id", "eve")
    assert r.returncode == 0 and f"{box.unit}: changed" in r.stdout and "--id=eve" in box.unit.read_text()
    assert box.called()[-1] == "--user restart karez.service"


def test_a_unit_of_somebody_else(box):
    box.unit.parent.mkdir(parents=True)
    box.unit.write_text("[Service]\nExecStart=/bin/true\n")
    for r in (box.install(), box.run("uninstall", "--user")):
        assert r.returncode == 1 and "was not written by karez" in r.stderr
    assert box.unit.read_text() == "[Service]\nExecStart=/bin/true\n" and box.called() == []
    assert box.install("--name", "other").returncode == 0
    assert box.unit.with_name("other.service").exists()
    assert box.called()[-1] == "--user enable --now other.service"


def test_uninstall(box):
    r = box.run("uninstall", "--user")
    assert r.returncode == 1 and "there is no service karez.service" in r.stderr
    box.install()
    box.called()
    r = box.run("uninstall", "--user")
    assert (r.returncode, r.stderr) == (0, "") and not box.unit.exists()
    assert box.called() == ["--user disable --now karez.service", "--user daemon-reload"]


def test_status(box):
    r = box.run("status", "--user")
    assert r.returncode == 1 and "karez service install" in r.stderr and box.called() == []
    box.install()
    box.called()
    r = box.run("status", "--user")
    assert r.returncode == 0 and '"karez status --file FILE" tells' in r.stdout  # its name needs quotes
    assert box.called() == ["--user status --no-pager karez.service"]
    plain = box.path / "services.yaml"
    plain.write_text("hello: 9000\n")
    r = box.run("install", "--user", "-f", plain, "-s", SERVER)
    assert f'"karez status --file={plain}" tells' in r.stdout
    assert f'"karez status --file={plain}" tells' in box.run("status", "--user").stdout
    box.systemctl(fails="status")
    assert box.run("status", "--user").returncode == 1


def test_print_touches_nothing(box):
    r = box.install("--print")
    assert r.returncode == 0 and r.stdout.startswith("# Written by karez")
    assert not box.unit.exists() and not (box.home / ".config").exists() and box.called() == []
    system = box.run("install", "--system", "--print", "-f", box.file, "-s", SERVER)
    assert system.returncode == 0 and "WantedBy=multi-user.target" in system.stdout


def test_without_systemd(box):
    """It is said, and the unit is printed."""
    box.systemctl(fails="show")
    for r in (box.install(), box.install(path="/nowhere")):
        assert r.returncode == 1 and "there is no systemd here" in r.stderr
        assert r.stdout.startswith("# Written by karez") and not box.unit.exists()


def test_a_systemctl_that_fails(box):
    box.systemctl(fails="enable")
    r = box.install()
    assert r.returncode == 1 and "journalctl --user-unit karez.service" in r.stderr


BAD = [
    ("a file that is not there", ["--file", "none.yaml", "-s", SERVER], {}, "none.yaml"),
    ("standard input", ["--file", "-", "-s", SERVER], {}, "cannot be standard input"),
    ("a token in the environment", ["-s", SERVER], {"KAREZ_TOKEN": "s3cr3t-token"}, "--token-file"),
    ("a proxy's password", ["-s", SERVER, "--proxy", "http://me:s3cr3t-token@p:3128"], {}, "karez.yaml"),
    ("a newline in a path", ["-s", SERVER, "--token-file", "a\nb"], {}, "control characters"),
    ("no server", [], {}, "karez login"),
    ("two managers", ["-s", SERVER, "--system"], {}, "contradicts --system"),
    ("a name with a suffix", ["-s", SERVER, "--name", "karez.service"], {}, "without .service"),
]


@pytest.mark.parametrize("words, env, said", [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input(box, words, env, said):
    file = [] if "--file" in words else ["--file", box.file.name]
    r = box.run("install", "--user", *file, *words, **env)
    assert r.returncode == 2 and said in r.stderr and "s3cr3t" not in r.stderr + r.stdout
    assert not box.unit.exists() and box.called() == []


def test_a_broken_services_file(box):
    box.file.write_text("hello:\n  target: 9000\n  domian: a.b\n")
    r = box.install()
    assert r.returncode == 2 and ":3:3: " in r.stderr and not box.unit.exists()


def test_no_secret_in_the_unit(box):
    """A token file's place is in it, and not what is in the file."""
    (box.path / "token").write_text("s3cr3t-token\n")
    assert box.install("--token-file", "token").returncode == 0
    assert f"--token-file={box.path}/token" in box.unit.read_text()
    assert "s3cr3t" not in box.unit.read_text()


# ---- what systemd says of the units ----

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def exposure(path):
    text = subprocess.run([ANALYZE, "security", "--offline=true", "--no-pager", path], text=True,
                          capture_output=True, timeout=60).stdout
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", text).group(1))


def verify(path):
    r = subprocess.run([ANALYZE, "verify", "--man=no", path], text=True, capture_output=True, timeout=60)
    ours = [line for line in r.stderr.splitlines() if str(path.name) in line]
    assert ours == []


@needs_systemd
@pytest.mark.parametrize("name", ["karezd.service", "karez.service"])
def test_shipped_units(name, tmp_path):
    """Complete, right, and locked; only where the programs lie is another place before they are installed."""
    unit = tmp_path / name
    unit.write_text(re.sub(r"^(Exec\w+)=\S*/(karezd?)\b", rf"\1={BUILD.resolve()}/\2",
                           (BUILD / name).read_text(), flags=re.M))
    verify(unit)
    assert exposure(unit) < 2.5


@needs_systemd
@pytest.mark.parametrize("whose", ["--user", "--system"])
def test_written_units(box, whose):
    unit = box.path / "karez.service"
    unit.write_text(box.run("install", whose, "--print", "-f", box.file, "-s", SERVER).stdout)
    verify(unit)
    if whose == "--system":
        assert exposure(unit) < 2.5
