"""make bench, third part: 10,000 tunnels on two nodes: what each costs them, how long a visitor waits
at the node that has no session of it, and what they say to each other. See README.md.

    python3 bench/nodes.py [--tunnels N] [--both]
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import chains
import run
from karezd import Karezd, Served

PER_AGENT = 1000
ASKED = 2000     # tunnels that a visitor asks for
QUIET_S = 8      # how long nothing happens while what nodes say to each other is counted
SETTLE_S = 15    # for what agents and nodes do afterwards, a whole round of reading records included
FAR_S = 60       # how long it may take until all are known everywhere


class Node(Karezd):
    """One of a cluster."""

    def __init__(self, lab, cluster):
        state = pathlib.Path(tempfile.mkdtemp(dir=lab.dir))
        super().__init__(lab, state, '--hop-listen', f'127.0.0.1:{lab.port()}', *cluster)


class Redis(Served):
    """The store and the bus; memory only."""

    def __init__(self, lab):
        self.port = lab.port()
        self.proc = lab.start('redis', [
            shutil.which('redis-server') or '/usr/bin/redis-server', '--port', self.port,
            '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', lab.dir])
        chains.wait_port(self.proc, self.port)

    def info(self):
        with socket.create_connection(('127.0.0.1', self.port)) as s:
            s.sendall(b'*1\r\n$4\r\nINFO\r\n')
            head, text = b'', b''
            while b'\r\n' not in head:
                head += s.recv(65536)
            head, text = head.split(b'\r\n', 1)
            while len(text) < int(head[1:]):
                text += s.recv(65536)
        found = dict(re.findall(r'^(\w+):(\d+)\r?$', text.decode(), re.M))
        return {k: int(found[k]) for k in ('total_commands_processed', 'total_net_input_bytes',
                                           'total_net_output_bytes', 'used_memory')}


def until(seconds, what, question):
    end = time.monotonic() + seconds
    while not question():
        if time.monotonic() > end:
            raise chains.Wrong(f'not within {seconds} s: {what}')
        time.sleep(0.25)


def name_of(i):
    return f't{i:06d}'


def agents(lab, token, servers, target, n):
    """Agents of PER_AGENT tunnels each; one session to each of the servers."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(('KAREZ_', 'XDG_')) and not k.lower().endswith('_proxy')}
    env['KAREZ_TOKEN'] = token
    for first in range(0, n, PER_AGENT):
        home = pathlib.Path(tempfile.mkdtemp(dir=lab.dir))
        file = lab.write(f'services-{first}.yaml', ''.join(
            f'{name_of(i)}: 127.0.0.1:{target.port}\n'
            for i in range(first, min(first + PER_AGENT, n))))
        argv = [chains.BUILD / 'karez', 'up', '-f', file, '-q', '--sessions', len(servers)]
        for server in servers:
            argv += ['--server', f'http://127.0.0.1:{server.port}']
        lab.start('karez', argv, {**env, 'HOME': str(home)})


class Visitor:
    """One connection, a request after the other."""

    def __init__(self, node):
        self.node = node
        self.sock = socket.create_connection(('127.0.0.1', node.port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, name):
        """(status, microseconds)"""
        head = f'GET /small HTTP/1.1\r\nHost: {name}.localhost:{self.node.port}\r\n\r\n'.encode()
        begin = time.perf_counter()
        self.sock.sendall(head)
        got = b''
        while b'\r\n\r\n' not in got:
            piece = self.sock.recv(65536)
            if not piece:
                raise chains.Wrong(f'{name}: the node closed: {got!r}')
            got += piece
        head, body = got.split(b'\r\n\r\n', 1)
        want = int(re.search(rb'(?i)content-length: *(\d+)', head)[1])
        while len(body) < want:
            body += self.sock.recv(65536)
        took = (time.perf_counter() - begin) * 1e6
        status = int(head.split()[1])
        if status == 200 and body.decode() != chains.SMALL:
            raise chains.Wrong(f'{name}: a wrong answer: {body!r}')
        return status, took


def knows(node, names):
    """Does it answer for all of these, from wherever?"""
    try:
        visitor = Visitor(node)
        return all(visitor.ask(name)[0] == 200 for name in names)
    except (OSError, chains.Wrong):
        return False


def waits(what, node, names):
    """How long visitors wait who ask for each of these once."""
    visitor, cpu = Visitor(node), node.cpu()
    found = []
    for name in names:
        status, took = visitor.ask(name)
        if status != 200:
            raise chains.Wrong(f'{name}: {status}\n{chains.tail(node.proc)}')
        found.append(took)
    cpu = (node.cpu() - cpu) / len(names) * 1e6
    found.sort()
    print(f'{what:52s} p50 {statistics.median(found):6.0f} us  p99 '
          f'{found[len(found) * 99 // 100]:6.0f} us  CPU of the node {cpu:5.0f} us', flush=True)


def quiet(what, redis, nodes):
    """What nodes and store do while nothing happens."""
    before, cpu, own = redis.info(), redis.cpu(), [n.cpu() for n in nodes]
    time.sleep(QUIET_S)
    after = redis.info()
    share = [(n.cpu() - c) / QUIET_S * 100 for n, c in zip(nodes, own)]
    each = {k: (after[k] - before[k]) / QUIET_S / len(nodes) for k in after}
    print(f'{what}: a node a second {each["total_commands_processed"]:.1f} commands, '
          f'{each["total_net_input_bytes"]:.0f} B to Redis, {each["total_net_output_bytes"]:.0f} B '
          f'from it; CPU: Redis {(redis.cpu() - cpu) / QUIET_S * 100:.2f} %, nodes '
          + ', '.join(f'{s:.2f} %' for s in share), flush=True)


def measure(lab, n, both):
    target, redis = chains.Nginx(lab), Redis(lab)
    key = lab.write('cluster-key', 'bench ' * 8, 0o600)
    cluster = ['--store', f'redis://127.0.0.1:{redis.port}/0', '--cluster-key-file', key]
    near = Node(lab, cluster)
    token = near.admin_token()
    far = Node(lab, cluster)
    nodes = (near, far)
    for node in nodes:
        until(15, 'nodes that know each other', lambda node=node: len(
            node.call(token, 'GET', '/v1/admin/nodes')['nodes']) == 2)
    account = near.call(token, 'POST', '/v1/admin/accounts', {'name': 'bench'})['id']
    near.call(token, 'PATCH', f'/v1/admin/accounts/{account}',
              {'quota': {'tunnels': n, 'sessions': 1000}})
    secret = near.call(token, 'POST', f'/v1/admin/accounts/{account}/credentials',
                       {'type': 'token', 'name': 'bench'})['token']

    quiet('at rest, no tunnel', redis, nodes)
    store, rss = redis.info(), [node.rss() for node in nodes]
    cpu, store_cpu = [node.cpu() for node in nodes], redis.cpu()
    begin = time.monotonic()
    agents(lab, secret, nodes if both else (near,), target, n)
    until(FAR_S, 'all records are written', lambda: near.call(
        token, 'GET', f'/v1/admin/accounts/{account}')['usage']['tunnels'] == n)
    last = [name_of(i) for i in range(PER_AGENT - 1, n, PER_AGENT)]
    for node in nodes:
        until(FAR_S, 'all tunnels are known everywhere', lambda node=node: knows(node, last))
    print(f'{n} tunnels of {len(last)} agents, served by {"both nodes" if both else "the one node"}'
          f': all known after {time.monotonic() - begin:.1f} s', flush=True)
    time.sleep(SETTLE_S)
    after = redis.info()
    for what, node, b, c in zip(('the one', 'the other'), nodes, rss, cpu):
        print(f'{what} node: {(node.rss() - b) / n:.0f} B, {(node.cpu() - c) / n * 1e6:.0f} us '
              'a tunnel', flush=True)
    print('Redis, a tunnel: ' + ', '.join(
        f'{(after[k] - store[k]) / n:.1f} {what}' for k, what in
        (('total_commands_processed', 'commands'), ('total_net_input_bytes', 'B in'),
         ('total_net_output_bytes', 'B out'), ('used_memory', 'B of memory')))
        + f', {(redis.cpu() - store_cpu) / n * 1e6:.0f} us', flush=True)
    quiet('at rest, all served', redis, nodes)

    names = [name_of(i) for i in range(n) if name_of(i) not in last]
    names = random.sample(names, min(ASKED, len(names)))
    for node, what in ((far, 'the other node'), (near, 'the one node')):
        before = node.rss()
        waits(f'{what}, a tunnel\'s first visitor', node, names)
        waits(f'{what}, its second', node, names)
        print(f'{what}: {(node.rss() - before) / len(names):.0f} B more for each of these', flush=True)


def main():
    p = argparse.ArgumentParser(prog='bench/nodes.py', description=__doc__)
    p.add_argument('--tunnels', type=int, default=10000)
    p.add_argument('--both', action='store_true', help='every agent has a session to both nodes')
    o = p.parse_args()
    run.prepare()
    with chains.Lab() as lab:
        measure(lab, o.tunnels, o.both)


if __name__ == '__main__':
    try:
        main()
    except (chains.Wrong, subprocess.SubprocessError) as e:
        raise SystemExit(f'bench: {e}')
