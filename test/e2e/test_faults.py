"""What is kept goes wrong: karezd is killed, the disk is full, the file is held or read-only, Redis
is away. Whatever was acknowledged is there afterwards, and visitors never notice."""

import random
import sqlite3
import subprocess
import threading
import time

import pytest

from karez import BUILD, PATIENCE, SANITIZED, Failure, free_port, wait_until
from redis_server import Redis
from servers import Target
from test_redis import Traffic
from visitor import Broken

KILLS = 30 if SANITIZED else 200
WRITERS = 4
# What one writer keeps; beyond it the oldest goes, so that there are deletions as well.
KEPT = 12
# The most that anybody waits for a call that touches no store, in seconds.
HEALTH_MAX = 0.5 * PATIENCE


@pytest.fixture
def target(world):
    return world.closes(Target())


# ---- changes, and what was acknowledged of them ----

class Writer:
    """Changes what is its account's as fast as it is answered, and notes what it was told."""

    def __init__(self, api, name):
        self.api, self.name, self.n, self.n_acknowledged = api, name, 0, 0
        self.api.plant = lambda *secrets: None  # thousands; those left at the end are planted
        self.tunnels, self.dropped = [], set()
        self.tokens, self.revoked = {}, {}
        self.doubt = set()   # tunnels of which it was told nothing
        self.news = []       # tokens made and revoked since the last check
        self.failed = None
        self.thread = None

    # One at a time: what is being asked is in doubt until it is answered.

    def _make_tunnel(self):
        self.n += 1
        name = f"{self.name}-{self.n}"
        self.doubt.add(name)
        if self._done(self.api.post("/v1/tunnels", {"name": name}), 201):
            self.doubt.discard(name)
            self.tunnels.append(name)

    def _drop_tunnel(self):
        name = self.tunnels.pop(0)
        self.doubt.add(name)
        if self._done(self.api.delete(f"/v1/tunnels/{name}"), 204):
            self.doubt.discard(name)
            self.dropped.add(name)

    def _make_token(self):
        answer = self.api.post("/v1/credentials", {"type": "token", "name": f"t{self.n}"})
        if self._done(answer, 201):
            made = answer.json()
            self.tokens[made["id"]] = made["token"]
            self.news.append((made["id"], made["token"]))

    def _revoke_token(self):
        credential, token = next(iter(self.tokens.items()))
        del self.tokens[credential]
        if self._done(self.api.delete(f"/v1/credentials/{credential}"), 204):
            self.revoked[credential] = token
            self.news.append((credential, token))

    def _done(self, answer, status):
        if answer.status == status:
            self.n_acknowledged += 1
            return True
        assert answer.status in (503, 507), answer
        return False

    def _run(self, ended):
        try:
            while not ended.is_set():
                before = self.n_acknowledged
                (self._make_tunnel if len(self.tunnels) < KEPT else self._drop_tunnel)()
                (self._make_token if len(self.tokens) < KEPT else self._revoke_token)()
                if self.n_acknowledged == before:
                    ended.wait(0.05)  # as a client would that is told to try later
        except (OSError, Broken):
            pass  # the server is gone
        except AssertionError as e:
            self.failed = e

    def start(self, ended):
        self.thread = threading.Thread(target=self._run, args=(ended,), daemon=True)
        self.thread.start()

    def join(self):
        self.thread.join()
        if self.failed:
            raise self.failed

    def check(self):
        """All that it was told is true; what it was not told of is either whole or not there."""
        tunnels = {t["name"] for t in self.api.pages("/v1/tunnels", 100)}
        assert tunnels >= set(self.tunnels), set(self.tunnels) - tunnels
        assert not tunnels & self.dropped, tunnels & self.dropped
        assert tunnels - set(self.tunnels) <= self.doubt
        self.tunnels, self.doubt = sorted(tunnels), set()
        there = {c["id"]: c for c in self.api.pages("/v1/credentials", 100)}
        assert set(self.tokens) <= set(there), set(self.tokens) - set(there)
        assert not set(there) & set(self.revoked)
        for credential, token in self.news:
            status = self.api.as_(token).get("/v1/account").status
            assert status == (200 if credential in there else 401), credential
        self.news = []
        usage = self.api.account()["usage"]
        counted = [c for c in there.values() if c["type"] != "number"]
        assert usage == {"tunnels": len(tunnels), "credentials": len(counted)}
        own = {c["id"] for c in there.values() if c["self"] or c["type"] == "number"}
        for credential in set(there) - set(self.tokens) - own:
            self.api.delete(f"/v1/credentials/{credential}").want(204)


def writers_of(server):
    return [Writer(server.account(), f"w{i}") for i in range(WRITERS)]


def write(writers, ended):
    for w in writers:
        w.start(ended)


def acknowledged(writers):
    return sum(w.n_acknowledged for w in writers)


def check_all(world, writers):
    for w in writers:
        w.check()
        world.plant(*w.tokens.values())


def served(traffic):
    """Visitors are, at this moment."""
    n = len(traffic.answers)
    wait_until(lambda: len(traffic.answers) > n + 50, 5, "visitors are served meanwhile")


# ---- kill -9 ----

def test_no_kill_loses_what_was_acknowledged(world):
    rng = random.Random(3)
    server = world.server()
    writers = writers_of(server)
    most = 0
    for _ in range(KILLS):
        ended, before = threading.Event(), acknowledged(writers)
        write(writers, ended)
        ended.wait(rng.uniform(0, 0.06))  # a random moment, not a wait for anything
        server.kill()
        for w in writers:
            w.join()
        most = max(most, acknowledged(writers) - before)
        server = world.server(port=server.port)
        for w in writers:
            w.check()
    assert most > 5 and acknowledged(writers) > KILLS, "it was killed while it wrote"
    check_all(world, writers)


# ---- a full disk, a read-only one ----

class Disk:
    """A small file system of its own, as far as this process may mount one."""

    def __init__(self, world, size):
        self.path = world.dir("disk")
        argv = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "karez-test", self.path]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no right to mount: {done.stderr.strip()}")
        world.closes(self)
        self.store = f"sqlite:{self.path}/karez.db"
        self.filler = self.path / "filler"

    def fill(self):
        """Not a byte is left."""
        with open(self.filler, "wb", buffering=0) as f:
            for size in (65536, 1):
                try:
                    while True:
                        f.write(bytes(size))
                except OSError:
                    pass

    def empty(self):
        self.filler.unlink()

    def read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", self.path], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.path], check=True)


def fill_store(api, disk):
    """Make tunnels until there is no room for one more; returns their names."""
    disk.fill()
    made = []
    for i in range(90):  # SQLite has room of its own first
        answer = api.post("/v1/tunnels", {"name": f"fill-{i}",
                                          "target": {"url": "http://127.0.0.1/" + "x" * 200}})
        if answer.status == 507:
            answer.refused(507, "FULL")
            return made
        answer.want(201)
        made.append(f"fill-{i}")
    raise Failure("the disk is not full")


def names_of(api):
    return {t["name"] for t in api.pages("/v1/tunnels", 100)}


def test_a_full_disk_refuses_changes_and_nothing_else(world, target):
    disk = Disk(world, "2m")
    server = world.server(store=disk.store)
    anna = server.account("Anna")
    anna.tunnel("demo")
    as_anna = {"env": {"KAREZ_TOKEN": anna.credential}}
    traffic = world.closes(Traffic(server, world.agent(server, target.port, "--name", "demo",
                                                       config="one", **as_anna)))
    made = fill_store(anna, disk)
    for method, path, body in (("PUT", "/v1/tunnels/more", {}),
                               ("POST", "/v1/credentials", {"type": "token", "name": "x" * 60}),
                               ("POST", "/v1/account/number", None)):
        answer = anna.call(method, path, **({} if body is None else {"body": body}))
        assert answer.refused(507, "FULL")["detail"]
    assert server.api().post("/v1/account", {}).status == 507
    assert names_of(anna) == {"demo", *made}
    assert anna.get("/v1/ready").status == 200, "it serves visitors and agents"
    world.agent(server, target.port, "--name", "demo", config="two", **as_anna)
    served(traffic)
    disk.empty()
    assert anna.put("/v1/tunnels/more", {}).status == 201, "at once"
    traffic.check()
    for agent in world.agents:
        assert agent.stop() == 0
    assert server.stop() == 0
    world.server(store=disk.store, port=server.port)
    assert names_of(anna) == {"demo", "more", *made}


def test_a_kill_on_a_full_disk_loses_nothing(world):
    disk = Disk(world, "2m")
    server = world.server(store=disk.store)
    anna = server.account()
    made = fill_store(anna, disk)
    server.kill()
    disk.empty()
    world.server(store=disk.store, port=server.port)
    assert names_of(anna) == set(made)
    anna.tunnel("more")


def test_a_read_only_file_system_is_told_at_the_start(world):
    disk = Disk(world, "2m")
    server = world.server(store=disk.store)
    server.account()
    assert server.stop() == 0
    disk.read_only()
    proc = world.run("karezd", [BUILD / "karezd", "--listen", f"127.0.0.1:{free_port()}",
                                "--state-dir", world.dir("state"), "--store", disk.store])
    assert proc.wait() == 1
    assert f"cannot open the store {disk.path}/karez.db" in proc.text(), proc.text()
    assert "must be writable" in proc.text(), proc.text()


class Immutable:
    """Nobody may write any more, as on a file system that the kernel has made read-only."""

    def __init__(self, server):
        self.files = [f"{server.state}/karez.db{end}" for end in ("", "-wal")]
        done = subprocess.run(["chattr", "+i", *self.files], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            pytest.skip(f"no files that cannot be written: {done.stderr.strip()}")

    def close(self):
        files, self.files = self.files, []
        if files:
            subprocess.run(["chattr", "-i", *files], check=True)


class Refusing:
    """The database itself refuses every change."""

    def __init__(self, server):
        self.file = server.state / "karez.db"
        self._do("CREATE TRIGGER no_{0} BEFORE {0} ON record BEGIN "
                 "SELECT RAISE(ABORT, 'no'); END")

    def _do(self, sql):
        db = sqlite3.connect(self.file, isolation_level=None)
        for op in ("INSERT", "UPDATE", "DELETE"):
            db.execute(sql.format(op))
        db.close()

    def close(self):
        self._do("DROP TRIGGER IF EXISTS no_{0}")


@pytest.mark.parametrize("why", [Immutable, Refusing])
def test_a_store_that_cannot_write_refuses_changes_and_nothing_else(world, target, why):
    server = world.server()
    anna = server.account()
    anna.tunnel("demo")
    as_anna = {"env": {"KAREZ_TOKEN": anna.credential}}
    traffic = world.closes(Traffic(server, world.agent(server, target.port, "--name", "demo",
                                                       config="one", **as_anna)))
    fault = world.closes(why(server))
    anna.put("/v1/tunnels/more", {}).refused(503)
    anna.delete("/v1/tunnels/demo").refused(503)
    assert names_of(anna) == {"demo"}
    world.agent(server, target.port, "--name", "demo", config="two", **as_anna)
    served(traffic)
    fault.close()
    anna.put("/v1/tunnels/more", {}).want(201)
    traffic.check()


# ---- a file that another process holds ----

class Held:
    """Another process's write lock on the database."""

    def __init__(self, server):
        self.db = sqlite3.connect(server.state / "karez.db", isolation_level=None,
                                  check_same_thread=False)
        self.db.execute("BEGIN IMMEDIATE")

    def close(self):
        self.db.close()  # rolls back


class Asked:
    """One call under way."""

    def __init__(self, call):
        self.answer, self.failed = None, None
        self.begin, self.seconds = time.monotonic(), None
        self.thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self.thread.start()

    def _run(self, call):
        try:
            self.answer = call()
        except Exception as e:
            self.failed = e
        self.seconds = time.monotonic() - self.begin

    def done(self):
        if self.failed:
            raise self.failed
        return self.answer


def healthy_until(api, question, seconds, what):
    """The loop answers all the time until that is so; returns the longest that one call took."""
    worst = 0

    def look():
        nonlocal worst
        begin = time.monotonic()
        api.get("/v1/health").want(200)
        worst = max(worst, time.monotonic() - begin)
        return question()
    wait_until(look, seconds, what)
    assert worst < HEALTH_MAX, f"a call that asks no store took {worst:.3f} s"


def test_a_store_held_by_another_process_is_503_and_blocks_nobody(world, target):
    server = world.server()
    anna = server.account()
    anna.tunnel("demo")
    traffic = world.closes(Traffic(server, world.agent(
        server, target.port, "--name", "demo", env={"KAREZ_TOKEN": anna.credential})))
    held = world.closes(Held(server))
    asked = [Asked(lambda i=i: anna.put(f"/v1/tunnels/more-{i}", {})) for i in range(8)]
    healthy_until(server.api(), lambda: all(a.done() for a in asked), 8, "changes are answered")
    for a in asked:
        assert a.done().status == 503, a.done()
    later = Asked(lambda: anna.put("/v1/tunnels/more-0", {}))
    healthy_until(server.api(), later.done, 2, "the next one is answered soon")
    assert later.done().status == 503
    served(traffic)
    held.close()
    for i in range(8):
        anna.put(f"/v1/tunnels/more-{i}", {}).want(201)
    traffic.check()


def test_a_store_held_for_a_moment_is_waited_for(world):
    server = world.server()
    anna = server.account()
    held = world.closes(Held(server))
    asked = Asked(lambda: anna.put("/v1/tunnels/demo", {}))
    start = time.monotonic()
    healthy_until(server.api(), lambda: time.monotonic() - start > 0.5, 2, "a moment is over")
    assert asked.done() is None, "it waits"
    held.close()
    assert wait_until(asked.done, 2, "the change is answered").status == 201


# ---- Redis is away ----

GO = {"killed": (Redis.kill, Redis.start), "paused": (Redis.pause, Redis.resume)}


@pytest.mark.parametrize("how", GO)
def test_while_redis_is_away_changes_are_503_and_nothing_is_lost(world, target, how):
    go, back = GO[how]
    redis = Redis(world)
    server = world.server(store=redis.where)
    anna = server.account()
    anna.tunnel("demo")
    agent = world.agent(server, target.port, "--name", "demo",
                        env={"KAREZ_TOKEN": anna.credential})
    traffic = world.closes(Traffic(server, agent))
    writers, ended = writers_of(server), threading.Event()
    write(writers, ended)
    wait_until(lambda: acknowledged(writers) > 40, 10, "changes are acknowledged")
    go(redis)
    first = Asked(lambda: anna.put("/v1/tunnels/more", {}))
    healthy_until(server.api(), first.done, 8, "the change is answered")
    assert first.done().status == 503
    again = Asked(lambda: anna.put("/v1/tunnels/more", {}))
    healthy_until(server.api(), again.done, 4, "the next one is answered")
    assert again.done().status == 503
    gone = time.monotonic()
    wait_until(lambda: time.monotonic() - gone > 2, 3, "it is away for longer than is waited for")
    late = Asked(lambda: anna.put("/v1/tunnels/more", {}))
    healthy_until(server.api(), late.done, 1, "by now it is answered at once")
    assert late.done().status == 503
    assert server.api().get("/v1/ready").status == 503
    served(traffic)
    back(redis)
    before = acknowledged(writers)
    wait_until(lambda: anna.put("/v1/tunnels/more", {}).status in (200, 201), 5, "changes work")
    wait_until(lambda: acknowledged(writers) > before + 40, 10, "for everybody")
    assert server.api().get("/v1/ready").status == 200
    ended.set()
    for w in writers:
        w.join()
    traffic.check()
    check_all(world, writers)
    assert agent.alive() and agent.stop() == 0
    assert server.stop() == 0
    world.server(store=redis.where, port=server.port)
    check_all(world, writers)


def test_a_server_started_without_redis_is_complete_when_it_is_there(world):
    redis = Redis(world)
    redis.kill()
    server = world.server(store=redis.where)
    api = server.api()
    api.get("/v1/health").want(200)
    api.get("/v1/ready").refused(503)
    api.post("/v1/account", {}).refused(503)
    assert not (server.state / "admin-token").exists()
    redis.start()
    admin = server.admin()
    wait_until(lambda: api.get("/v1/ready").status == 200, 5, "it is ready")
    assert admin.account()["admin"] is True
    assert server.count("^karez login --server .* --token-file .*admin-token$", "out") == 1
    anna = server.account()
    anna.tunnel("demo")
    assert server.stop() == 0
    again = world.server(store=redis.where, port=server.port)
    again.api(admin.credential).get("/v1/admin/accounts").want(200)
    assert names_of(anna) == {"demo"}
    assert again.count("^karez login", "out") == 0, "there is an administrator already"
