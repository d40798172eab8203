"""A gigabyte both ways, and karezd when descriptors run out."""

import os
import resource
import threading
import time

import pytest

import bulk
from karez import PATIENCE, check_growth, wait_until
from servers import Target, digest_of
from visitor import Broken, Visitor, fetch

SIZE = int(os.environ.get("KAREZ_E2E_BULK", 1 << 30))


@pytest.fixture(scope="module")
def digest():
    return digest_of(SIZE)


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_a_gigabyte_both_ways_has_its_checksum(world, authority, digest, tls):
    target = world.closes(Target())
    server = world.server(tls=authority.localhost if tls else None)
    options = ["--ca-file", authority.ca] if tls else []
    agent = world.agent(server, target.port, *options)
    context = authority.client_context() if tls else None
    began = time.monotonic()
    with Visitor(server.port, tls=context, timeout=60) as v:
        assert bulk.download(v, agent.host, SIZE) == digest
        half = time.monotonic()
        assert bulk.upload(v, agent.host, SIZE) == digest
    took = half - began, time.monotonic() - half
    print("down %.2f s, up %.2f s, cpu karezd %.2f s, karez %.2f s" %
          (*took, server.cpu_seconds(), agent.cpu_seconds()))
    check_growth((0, 0), (server, agent), 96 << 20)


def _few_files(n):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))


def test_karezd_out_of_descriptors_backs_off_says_so_once_and_recovers(world):
    target = world.closes(Target())
    server = world.server(preexec=_few_files(64))
    agent = world.agent(server, target.port, "--name", "few")
    held = []
    for _ in range(200):  # more than there are descriptors: the rest waits in the queue
        held.append(Visitor(server.port))
        held[-1].send("GET / HTTP/1.1\r\n")  # whoever has spoken is accepted in its turn
    server.wait_line("event=accept error=NOFILE")
    cpu = server.cpu_seconds()
    began = time.monotonic()
    served = 0
    for v in held[:20]:
        v.send(f"Host: {agent.host}\r\n\r\n")
        served += v.answer("GET").status == 200
    assert served == 20, "those who were accepted are served"
    wait_until(lambda: time.monotonic() - began > 1, 2, "a while passes")
    assert server.cpu_seconds() - cpu < 0.5 * PATIENCE, "it does not spin"
    for v in held:
        v.close()
    wait_until(lambda: fetch(server.port, agent.host).status == 200, 10, "it recovers")
    server.wait_line("accepting again")
    assert server.count("event=accept error=NOFILE") == 1


def test_karez_out_of_descriptors_says_so_to_the_visitor_and_recovers(world):
    target = world.closes(Target())
    server = world.server()
    agent = world.agent(server, target.port, preexec=_few_files(48))
    statuses, lock = [], threading.Lock()

    def visit():
        try:
            status = fetch(server.port, agent.host, "/gate").status
        except (OSError, Broken) as e:
            status = repr(e)
        with lock:
            statuses.append(status)
    threads = [threading.Thread(target=visit) for _ in range(100)]
    for thread in threads:
        thread.start()
    wait_until(lambda: statuses.count(503) > 20, 15, "some are told that it is too busy")
    target.gate.set()
    for thread in threads:
        thread.join(30)
    assert set(statuses) <= {200, 503}, set(statuses)
    assert statuses.count(200) > 10
    wait_until(lambda: fetch(server.port, agent.host).status == 200, 10, "it recovers")


def test_thousands_of_short_visits_do_not_grow_anything(world):
    target = world.closes(Target())
    server = world.server()
    agent = world.agent(server, target.port)

    def visit(n):
        for _ in range(n):
            assert fetch(server.port, agent.host).status == 200
    visit(300)
    before = server.rss(), agent.rss()
    threads = [threading.Thread(target=visit, args=(500,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_growth(before, (server, agent), 8 << 20)
