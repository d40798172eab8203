"""deploy/compose.yaml with real processes: each service in a network of its own, with the address,
the settings and the files that compose gives it. What Docker's name server would answer stands in
the files as addresses."""

import signal
from pathlib import Path

import pytest

from bad_network import Namespace, why_not
from karez import BUILD, PATIENCE, wait_until
from request_load import RequestLoad
from servers import Target, fields_of
from switch import Switch
from test_deploy import compose  # pylint: disable=unused-import  # a fixture
from visitor import Broken, fetch

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")
DOMAIN = "tunnel.example.com"
REDIS, OUTSIDE = "172.30.87.20", "172.30.87.1"  # those that compose leaves to Docker
RATE = 100


class Composed:
    """The four services. While it is open the calling thread lives where visitors and agents do."""

    def __init__(self, world, home, said):
        self.world, self.home, self.services = world, home, said["services"]
        self.at = {name: service["networks"]["back"]["ipv4_address"]
                   for name, service in self.services.items() if name != "redis"}
        self.at["redis"] = REDIS
        self.before, self.switch = Namespace.here(), Switch()
        world.closes(self)
        self.nets = {name: self.switch.plug(where) for name, where in self.at.items()}
        self.switch.plug(OUTSIDE).enter()
        self.procs = {}
        for name in ("redis", "node1", "node2", "haproxy"):
            self.start(name)
            if name == "node1":
                self.token()  # of two that begin at once either may make it

    def close(self):
        self.before.enter()
        self.before.close()
        self.switch.close()

    def start(self, name):
        argv, env, ready = getattr(self, "_" + name.rstrip("12"))(name)
        proc = self.world.run(name, argv, env=self.world.env(**env), preexec=self.nets[name].enter)
        self.procs[name] = proc
        if ready is not None:
            proc.wait_line(ready, 30)

    # ---- what a container would run ----

    def _file(self, path, *edit):
        """A file that compose shows to a service, with addresses instead of names."""
        text = Path(path).read_text()
        for old, new in edit:
            assert old in text, f"{path} has no {old!r}"
            text = text.replace(old, new)
        file = self.world.path / f"composed-{Path(path).name}"
        file.write_text(text)
        file.chmod(0o600)
        return file

    def _redis(self, name):
        file = self._file(self.home / "secrets" / "redis.conf",
                          ("dir /data", f"dir {self.home / 'state' / 'redis'}"))
        program, given = self.services[name]["command"]
        assert given == "/run/secrets/redis"
        return [program, file], {}, "Ready to accept connections"

    def _node(self, name):
        file = self._file(self.home / "secrets" / "karezd.yaml", ("@redis:", f"@{REDIS}:"))
        env = dict(self.services[name]["environment"])
        assert env["KAREZ_CLUSTER_KEY_FILE"] == "/run/secrets/cluster-key"
        env["KAREZ_CLUSTER_KEY_FILE"] = self.home / "secrets" / "cluster-key"
        env["KAREZ_STATE_DIR"] = self.home / "state" / name
        return [BUILD / "karezd", "--config", file], env, "event=ready"

    def _haproxy(self, name):
        file = self._file(self.home / "haproxy" / "karez-cluster.cfg",
                          *((f"{n}:8080", f"{self.at[n]}:8080") for n in ("node1", "node2")))
        return ["haproxy", "-db", "-f", file], {}, None

    # ---- what is asked of all of them ----

    def token(self):
        files = wait_until(lambda: list(self.home.glob("state/*/admin-token")), 10,
                           "the administrator's token is written")
        self.world.plant(files[0].read_text().strip())
        return files[0].read_text().strip()

    def fetch(self, name, path="/"):
        return fetch(80, f"{name}.{DOMAIN}", path, address=self.at["haproxy"], timeout=30)

    def status(self, name):
        try:
            return self.fetch(name).status
        except (OSError, Broken):  # HAProxy has found no node
            return None

    def agent(self, target, name):
        agent = self.world.run("karez", [
            BUILD / "karez", "http", target.port, "--server", f"http://{self.at['haproxy']}",
            "--name", name], env=self.world.env(KAREZ_TOKEN=self.token()))
        agent.wait_line("is now publicly accessible", 10)
        return agent

    def load(self, name):
        load = self.world.closes(RequestLoad(80, f"{name}.{DOMAIN}", RATE,
                                             address=self.at["haproxy"]))
        more(load, RATE)
        return load

    def stop(self, name):
        """As `docker compose stop` does."""
        assert self.procs[name].stop(signal.SIGTERM, 40) == 0


def more(load, n):
    had = load.done
    wait_until(lambda: load.done >= had + n, 30, f"{n} more requests")


@pytest.fixture
def composed(world, compose):  # pylint: disable=redefined-outer-name
    made = Composed(world, *compose)
    wait_until(lambda: made.status("nobody") == 404, 20, "all is up")
    return made


@pytest.fixture
def target(world, composed):
    """It lives where the agent does."""
    return world.closes(Target())


def ended(composed, agent):
    """Everything ends as it should."""
    assert agent.stop() == 0
    for name in ("haproxy", "node1", "node2", "redis"):
        if composed.procs[name].alive():
            composed.procs[name].send_signal(signal.SIGTERM)
    for name in ("node1", "node2"):
        assert composed.procs[name].wait(40) in (0, -signal.SIGKILL)


def test_nodes_are_stopped_and_started_one_by_one_and_no_request_fails(composed, target):
    agent = composed.agent(target, "web")
    wait_until(lambda: composed.status("web") == 200, 10, "it is served")
    for _ in range(10):
        fields = fields_of(composed.fetch("web", "/headers"))
        assert fields["x-forwarded-for"] == [OUTSIDE] and fields["host"] == [f"web.{DOMAIN}"]
    load = composed.load("web")
    for name in ("node1", "node2"):
        composed.stop(name)
        more(load, RATE)
        composed.start(name)
        more(load, 3 * RATE)  # HAProxy looks every second
    composed.stop("redis")
    more(load, RATE)
    composed.start("redis")
    more(load, RATE)
    load.check()
    ended(composed, agent)


def test_a_node_is_lost(composed, target):
    """Killed, then cut off: who comes 10 s later is served."""
    agent = composed.agent(target, "web")
    wait_until(lambda: composed.status("web") == 200, 10, "it is served")
    composed.procs["node1"].kill()
    wait_until(lambda: all(composed.status("web") == 200 for _ in range(5)), 10, "by the other")
    composed.start("node1")
    wait_until(lambda: all(composed.status("web") == 200 for _ in range(5)), 10, "by both")
    composed.switch.cable(composed.nets["node2"], "down")
    # whether the agent was there is only known after 15 s of silence
    wait_until(lambda: all(composed.status("web") == 200 for _ in range(5)), 25 * PATIENCE,
               "by the one that is reached")
    composed.switch.cable(composed.nets["node2"], "up")
    wait_until(lambda: all(composed.status("web") == 200 for _ in range(5)), 20, "by both again")
    ended(composed, agent)
