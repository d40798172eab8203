"""A20, the store's part: karezd on a real Redis that is restarted, killed, paused, replaced."""

import re
import threading
import time

import pytest

from karez import BUILD, PATIENCE, Failure, free_port, wait_until
from redis_server import Redis, ReplicaSet, replica
from servers import Target
from visitor import fetch

SECRET = "canary-7d2e-hush"
REFUSED = "not accepted by .*cannot use its records"


@pytest.fixture
def target(world):
    return world.closes(Target())


class Traffic:
    """Visitors of one tunnel, one after another, as long as it lives; each must get its 200."""

    def __init__(self, server, agent):
        self.server, self.host = server, agent.host
        self.answers, self.ended = [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended.is_set():
            try:
                self.answers.append(fetch(self.server.port, self.host).status)
            except OSError as e:
                self.answers.append(e)

    def close(self):
        self.ended.set()
        self.thread.join()

    def check(self):
        self.close()
        assert len(self.answers) > 50 and set(self.answers) == {200}, set(self.answers)


def account_again(world, server, target, name, config):
    """The account of that configuration still owns that name: a stranger would be refused."""
    agent = world.agent(server, target.port, "--name", name, config=config)
    assert agent.name_ == name
    assert agent.stop() == 0


def test_a_restarted_server_finds_everything(world, target):
    redis = Redis(world)
    server = world.server(store=redis.where)
    mine = world.agent(server, target.port, "--name", "mine", config="one")
    other = world.agent(server, target.port, config="two")
    assert mine.stop() == 0 and other.stop() == 0 and server.stop() == 0
    again = world.server(store=redis.where, port=server.port, registration=False)
    assert world.agent(again, target.port, "--name", "mine", config="one").name_ == "mine"
    assert world.agent(again, target.port, config="two").name_ == other.name_
    thief = world.agent_unchecked(again, target.port, "--name", "mine", config="two")
    assert thief.wait() == 1 and "taken" in thief.text("err")


def test_two_servers_share_one_redis(world, target):
    redis = Redis(world)
    one, two = world.server(store=redis.where), world.server(store=redis.where)
    assert world.agent(one, target.port, "--name", "mine", config="one").stop() == 0
    file = world.path / "token"
    file.write_text(world.secrets().pop() + "\n")
    file.chmod(0o600)
    thief = world.agent_unchecked(two, target.port, "--name", "mine", config="two")
    assert thief.wait() == 1 and "taken" in thief.text("err")
    world.agent(two, target.port, "--name", "mine", "--token-file", str(file), config="three")


def test_what_one_server_writes_the_other_hears_of(world, target):
    """They know nothing of each other: the store tells."""
    redis = Redis(world)
    one, two = world.server(store=redis.where), world.server(store=redis.where)
    anna = one.account("Anna")
    agent = world.agent(one, target.port, "--name", "demo", env={"KAREZ_TOKEN": anna.credential})
    api = two.api(anna.credential)
    took = []
    for deny, status in ((["127.0.0.0/8"], 403), ([], 200)) * 3:
        api.patch("/v1/tunnels/demo", {"visitors": {"deny": deny}}).want(200)
        begun = time.monotonic()
        wait_until(lambda: fetch(one.port, agent.host).status == status, 12, f"it says {status}")
        took.append(time.monotonic() - begun)
    assert max(took) < 4 * PATIENCE, took


def refused(world, server, target, name):
    """A new agent is told that it may try again later, and that soon enough."""
    start = time.monotonic()
    agent = world.agent_unchecked(server, target.port, "--name", name, config=name)
    assert agent.wait(6) == 1
    assert re.search(REFUSED, agent.text("err")), agent.text("err")
    return time.monotonic() - start


def online_within(world, server, target, name, seconds):
    """A new agent that tries until it is accepted."""
    deadline = time.monotonic() + seconds
    while True:
        agent = world.agent_unchecked(server, target.port, "--name", name, config=name)
        try:
            return agent.wait_online(3)
        except Failure:
            assert time.monotonic() < deadline, f"{name} is not online within {seconds} s"
            agent.kill()


def away(world, target, redis, go, back, seconds):
    """Redis goes and comes back `seconds` later; nobody notices but whoever wants to change."""
    server = world.server(store=redis.where)
    world.agent(server, target.port, "--name", "kept", config="kept").stop()
    traffic = world.closes(Traffic(server, world.agent(server, target.port)))
    go()
    gone = time.monotonic()
    assert refused(world, server, target, "new") < 4.5 * PATIENCE
    wait_until(lambda: time.monotonic() - gone > seconds, seconds + 1, "Redis is away long enough")
    assert refused(world, server, target, "new") < 1 * PATIENCE, "by now it is told at once"
    n = len(traffic.answers)
    wait_until(lambda: len(traffic.answers) > n + 10, 5, "visitors are served meanwhile")
    back()
    online_within(world, server, target, "new", 5 * PATIENCE)
    traffic.check()
    # once each, however many calls failed
    assert server.count(r"error .*store=\S+ lost: ") == 1, server.text()
    assert server.count(r"info .*store=\S+ works again") == 1, server.text()
    assert server.count(r"error .*store=") == 1, server.text()
    for agent in world.agents:
        if agent.alive():
            assert agent.stop() == 0
    assert server.stop() == 0
    again = world.server(store=redis.where, registration=False, port=server.port)
    for name in ("kept", "new"):
        account_again(world, again, target, name, name)


def test_redis_is_killed_and_comes_back(world, target):
    redis = Redis(world)
    away(world, target, redis, redis.kill, redis.start, 5)


def test_redis_is_paused_and_goes_on(world, target):
    redis = Redis(world)
    away(world, target, redis, redis.pause, redis.resume, 5)


class Logins:
    """New accounts one after another, each with a name; what was acknowledged is noted."""

    def __init__(self, world, server, target):
        self.world, self.server, self.target = world, server, target
        self.names, self.ended = [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        i = 0
        while not self.ended.is_set():
            i += 1
            agent = self.world.agent_unchecked(self.server, self.target.port, "--name",
                                               f"n{i}", config=f"n{i}", sessions=1)
            try:
                agent.wait_online(4)
                self.names.append(f"n{i}")
            except Failure:
                pass  # not acknowledged
            agent.kill()

    def close(self):
        self.ended.set()
        self.thread.join()


@pytest.mark.parametrize("how", ["kill_master", "pause_master", "fail_over"])
def test_a_failover_loses_nothing_that_was_acknowledged(world, target, how):
    redis = ReplicaSet(world)
    server = world.server(store=redis.where)  # writes wait for a replica
    traffic = world.closes(Traffic(server, world.agent(server, target.port)))
    logins = world.closes(Logins(world, server, target))
    wait_until(lambda: len(logins.names) >= 10, 30, "there are accounts")
    old = getattr(redis, how)()[1]
    before = len(logins.names)
    wait_until(lambda: len(logins.names) >= before + 5, 20, "logins work again")
    if how == "pause_master":
        old.resume()
        wait_until(lambda: old.role() == "slave", 20, "the old master follows the new one")
    logins.close()
    traffic.check()
    assert server.count(r"info .*store=\S+ works again, at 127") >= 1, server.text()
    world.agents[0].stop()
    assert server.stop() == 0
    again = world.server(store=redis.where, registration=False, port=server.port)
    for name in logins.names:
        account_again(world, again, target, name, name)


def test_a_list_of_addresses_finds_the_master(world, target):
    master = Redis(world)
    slave = replica(world, master)
    where = f"redis://127.0.0.1:{free_port()},127.0.0.1:{slave.port},127.0.0.1:{master.port}/0"
    server = world.server(store=where)
    world.agent(server, target.port, "--name", "one", config="one").stop()
    wait_until(lambda: slave.ask("EXISTS", "karez:{store}:r:tunnel/one"), 5, "the replica has it")
    master.kill()
    slave.ask("REPLICAOF", "NO", "ONE")
    online_within(world, server, target, "one", 5 * PATIENCE)


# ---- starting ----

def start_refused(world, store, **env):
    """karezd that ends at once; what it said."""
    proc = world.run("karezd", [BUILD / "karezd", "--listen", f"127.0.0.1:{free_port()}",
                                "--store", store], env=world.env(**env))
    assert proc.wait() in (1, 2)
    return proc.text()


def silent(world):
    for proc in world.procs:
        assert SECRET not in proc.text(), f"{proc.name} printed the password"


@pytest.mark.parametrize("login, env, said", [
    ("", {}, "NOAUTH"),
    ("", {"KAREZ_REDIS_PASSWORD": SECRET + "x"}, "WRONGPASS"),
    (f":{SECRET}x@", {}, "WRONGPASS"),
    (f"nobody:{SECRET}@", {}, "WRONGPASS"),
])
def test_a_wrong_password_is_told_and_never_shown(world, login, env, said):
    redis = Redis(world, password=SECRET)
    text = start_refused(world, redis.where.replace("://", "://" + login), **env)
    assert said in text and "KAREZ_REDIS_PASSWORD" in text, text
    assert str(redis.port) in text, text
    silent(world)


def test_a_password_works_and_is_never_shown(world, target):
    redis = Redis(world, password=SECRET)
    port = free_port()
    by_env = world.run("karezd", [BUILD / "karezd", "--listen", f"127.0.0.1:{port}", "--store",
                                  redis.where, "--allow-registration", "--log-level", "debug"],
                       env=world.env(KAREZ_REDIS_PASSWORD=SECRET))
    by_env.wait_line("event=listen")
    assert by_env.stop() == 0
    server = world.server("--log-level", "debug",
                          store=redis.where.replace("://", f"://default:{SECRET}@"))
    world.agent(server, target.port)
    redis.kill()
    server.wait_line(r"store=redis://default:\*\*\*@\S+ lost: ")
    redis.start()
    server.wait_line("works again")
    silent(world)


def test_without_redis_the_server_starts_and_works_when_it_is_there(world, target):
    redis = Redis(world)
    redis.kill()
    server = world.server(store=redis.where)
    assert server.count(r"warn .*cannot be reached: 127\.0\.0\.1:\d+: Connection refused") == 1
    assert refused(world, server, target, "mine") < 1 * PATIENCE
    redis.start()
    online_within(world, server, target, "mine", 5 * PATIENCE)
    assert server.count("error .*store=") == 0


@pytest.mark.parametrize("store, said", [
    ("rediss://localhost/0", "TLS"),
    ("redis://", "no host"),
    ("redis://h/x", "database"),
    ("redis+sentinel://h", "master"),
    (f"redis://u:{SECRET}@h:0", "HOST:PORT"),
    (f"redis://u:{SECRET}@h?password={SECRET}", "wait=N"),
    (f"rediss://u:{SECRET}@h", "TLS"),
])
def test_a_typo_is_told(world, store, said):
    text = start_refused(world, store)
    assert re.search(re.escape(said), text), text
    silent(world)
