"""What is done to a chain, and the figures that come of it. Every group gets a fresh chain, so
that none inherits the buffers another load has grown; the body of every bulk transfer, every paced
answer and a probe before and after each wrk run are checked.
"""

import contextlib
import filecmp
import json
import re
import socket
import subprocess
import time

from chains import (GIB, HOST, OUT, PASSED, ROOT, SMALL, Nginx, NginxTls, Path, Sink, Wrong)

PACE_CONNS = 100  # enough that even an answer after 100 ms leaves one free at the rate below
WRK_CONNS = 50
IDLE_BATCH = 50  # idle visitors that ask at the same time
ONE_WAY_MS = 20
NARROW_MBIT = 200
PROVE_LEN = 64 << 20  # bytes compared one by one before anything is timed


class Size:
    """How much of everything: the full run, or a quick one to see that all works."""

    def __init__(self, quick):
        self.bulk = GIB // 4 if quick else GIB  # bytes of one transfer, over all streams
        self.wrk_s = 1 if quick else 4
        self.rate = 1000  # paced requests per second
        self.pace_s = 2 if quick else 5
        self.idle = 1000 if quick else 5000  # visitors
        self.sessions = 100 if quick else 1000  # of ssh
        self.distance_s = 3 if quick else 8
        self.narrow_s = 3 if quick else 8
        self.narrow_rate = 50


class Group:
    """Loads that share a chain: name, target, path, the chains by key (None: all; those that name
    this group themselves take part in any case), what to do."""

    def __init__(self, name, target, run, path=None, only=None):
        self.name, self.target, self.run, self.path, self.only = name, target, run, path, only

    def takes(self, chain):
        if chain.fits:
            return self.name in chain.fits
        return self.only is None or chain.key in self.only


def tool(name, chain, *args):
    """Start a load generator at a chain's public port."""
    argv = [OUT / name, '-a', f'127.0.0.1:{chain.port}', '-H', HOST, *args]
    return subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def finish(proc, chain, seconds=120):
    """A load generator's JSON. Raises Wrong if it complains."""
    try:
        out, err = proc.communicate(timeout=seconds)
    except BaseException as e:
        proc.kill()
        proc.communicate()
        if not isinstance(e, subprocess.TimeoutExpired):
            raise
        raise Wrong(f'{chain.key}: {proc.args} does not end\n{chain.logs()}') from e
    if proc.returncode != 0:
        raise Wrong(f'{chain.key}: {err.strip()}\n{chain.logs()}')
    return json.loads(out)


@contextlib.contextmanager
def beside(proc):
    """Run something else while a load generator works; it does not outlive a failure."""
    try:
        yield
    except BaseException:
        proc.kill()
        proc.communicate()
        raise


def bulk(chain, mode, streams, size, seconds=0, stride=509):
    """Start `streams` transfers of together `size` bytes, or repeat them for some seconds.

    stride  every how manieth byte is compared with what it must be.
    """
    length = size // streams
    path = f'/bulk/{length}.bin' if mode == 'down' else f'/{stride}'
    file = chain.lab.body_file(length)
    return tool('bulk', chain, '-m', mode, '-p', path, '-n', length, '-s', streams, '-f', file,
                '-t', seconds, '-k', stride)


def pace(chain, rate, seconds, warm=1):
    proc = tool('pace', chain, '-p', '/small', '-b', SMALL, '-r', rate, '-c', PACE_CONNS,
                '-d', seconds, '-w', warm)
    got = finish(proc, chain)
    return got['p50'], got['p99']


def run_bulk(chain, size, mode):
    """CPU seconds per GiB with 1 and with 8 streams."""
    finish(bulk(chain, mode, 1, PROVE_LEN, stride=1), chain)
    for streams in (1, 8):
        before = chain.cpu()
        got = finish(bulk(chain, mode, streams, size.bulk), chain)
        gib = got['bytes'] / GIB
        yield f'{mode}-{streams}', (chain.cpu() - before) / gib
        yield f'{mode}-{streams}-rate', got['rate'] / GIB


def run_down(chain, size):
    yield from run_bulk(chain, size, 'down')


def run_up(chain, size):
    yield from run_bulk(chain, size, 'up')


def wrk(chain, seconds, *headers):
    """Requests that wrk had answered. Raises Wrong if any answer was bad."""
    argv = ['wrk', '-t1', f'-c{WRK_CONNS}', f'-d{seconds}s', '-H', f'Host: {HOST}']
    for header in headers:
        argv += ['-H', header]
    base = 'http://127.0.0.1'
    if chain.trust is not None:
        argv += ['-s', ROOT / 'bench' / 'here.lua']
        base = f'https://{PASSED}'
    out = subprocess.run(argv + [f'{base}:{chain.port}/small'], check=True, text=True,
                         capture_output=True, timeout=seconds + 60).stdout
    done = re.search(r'(\d+) requests in', out)
    if done is None or int(done[1]) == 0 or 'Non-2xx' in out or 'Socket errors' in out:
        raise Wrong(f'{chain.key}: wrk says\n{out}\n{chain.logs()}')
    return int(done[1])


def probe(chain):
    got = chain.ask()
    if got != (200, SMALL):
        raise Wrong(f'{chain.key}: a wrong answer: {got}\n{chain.logs()}')


def run_requests(chain, size):
    """CPU microseconds per request, keep-alive and Connection: close."""
    for name, headers in (('keepalive', ()), ('close', ('Connection: close',))):
        probe(chain)
        wrk(chain, 1, *headers)
        before = chain.cpu()
        done = wrk(chain, size.wrk_s, *headers)
        yield name, (chain.cpu() - before) / done * 1e6
        yield f'{name}-rate', done / size.wrk_s
        probe(chain)


def run_short(chain, size):
    """CPU microseconds per connection that carries one request, and such connections per second."""
    probe(chain)
    wrk(chain, 1, 'Connection: close')
    before = chain.cpu()
    done = wrk(chain, size.wrk_s, 'Connection: close')
    yield 'short', (chain.cpu() - before) / done * 1e6
    yield 'short-rate', done / size.wrk_s
    probe(chain)


def fetch(chain, size, to='/dev/null'):
    """Download so many bytes over TLS; curl checks certificate and length."""
    name = f'{size}.bin'
    chain.lab.body_file(size)
    subprocess.run(['curl', '-sSf', '--cacert', chain.trust, '--resolve',
                    f'{PASSED}:{chain.port}:127.0.0.1', '-o', to,
                    f'https://{PASSED}:{chain.port}/bulk/{name}'], check=True, timeout=120)


def run_pass(chain, size):
    """TLS that is passed through: CPU seconds per GiB, microseconds per short connection."""
    copy = chain.lab.bulk_dir / 'fetched'
    fetch(chain, PROVE_LEN, copy)
    if not filecmp.cmp(copy, chain.lab.body_file(PROVE_LEN), shallow=False):
        raise Wrong(f'{chain.key}: a wrong download\n{chain.logs()}')
    copy.unlink()
    before = chain.cpu()
    fetch(chain, size.bulk)
    yield 'pass-down', (chain.cpu() - before) / (size.bulk / GIB)
    for metric, value in run_short(chain, size):
        yield f'pass-{metric}', value


def run_latency(chain, size):
    """p50 and p99 at a fixed rate, alone and beside a download that takes all it can get."""
    p50, p99 = pace(chain, size.rate, size.pace_s)
    yield 'alone-p50', p50
    yield 'alone-p99', p99
    load = bulk(chain, 'down', 1, GIB, size.pace_s + 2)
    with beside(load):
        p50, p99 = pace(chain, size.rate, size.pace_s)
    yield 'beside-p50', p50
    yield 'beside-p99', p99
    yield 'beside-rate', finish(load, chain)['rate'] / GIB


def idle_ask(sock):
    sock.sendall(f'GET /small HTTP/1.1\r\nHost: {HOST}\r\n\r\n'.encode())


def idle_answer(chain, sock):
    got = b''
    while not got.endswith(SMALL.encode()):
        piece = sock.recv(4096)
        if not piece:
            raise Wrong(f'{chain.key}: an idle visitor was cut off: {got!r}\n{chain.logs()}')
        got += piece
    if not got.startswith(b'HTTP/1.1 200'):
        raise Wrong(f'{chain.key}: a wrong answer: {got!r}\n{chain.logs()}')


def run_idle(chain, size):
    """Resident bytes that a visitor who stays after one request costs in each process."""
    with contextlib.ExitStack() as stack:
        probe(chain)
        before = chain.memory()
        visitors = []
        for _ in range(0, size.idle, IDLE_BATCH):
            batch = [stack.enter_context(socket.create_connection(('127.0.0.1', chain.port), 10))
                     for _ in range(IDLE_BATCH)]
            for sock in batch:
                idle_ask(sock)
            for sock in batch:
                idle_answer(chain, sock)
            visitors += batch
        time.sleep(0.5)  # what a process frees when its loop has turned
        after = chain.memory()
        for sock in visitors[::25]:  # they must still be there, or they cost nothing
            idle_ask(sock)
            idle_answer(chain, sock)
    for end in ('public', 'agent'):
        for kind in ('Rss', 'Pss'):
            each = (after[end][kind] - before[end][kind]) / len(visitors)
            yield f'idle-{end}' + ('' if kind == 'Rss' else '-pss'), each


def run_sessions(chain, size):
    """Resident bytes that an ssh session costs the server which forwards one port and is idle."""
    before = chain.memory()
    argv = [OUT / 'sessions', '127.0.0.1', str(chain.ssh_port), str(size.sessions),
            *chain.session_keys()]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as proc:
        if proc.stdout.readline() != 'up\n':
            raise Wrong(f'{chain.key}: not all sessions came up\n{chain.logs()}')
        time.sleep(0.5)  # what a process frees when its loop has turned
        after = chain.memory()
        proc.stdin.close()
    for kind in ('Rss', 'Pss'):
        each = (after['public'][kind] - before['public'][kind]) / size.sessions
        yield 'session' + ('' if kind == 'Rss' else '-pss'), each


def run_distance(chain, size):
    """Mbit/s of one download over the long path: from the start, and in the second half."""
    got = finish(bulk(chain, 'down', 1, GIB, size.distance_s), chain)
    yield 'distance', got['rate'] * 8 / 1e6
    yield 'distance-settled', got['settled'] * 8 / 1e6


def run_narrow(chain, size):
    """A small request over the long, narrow path: while it is idle, and full of one download."""
    p50, p99 = pace(chain, size.narrow_rate, size.narrow_s)
    yield 'narrow-idle-p50', p50
    yield 'narrow-idle-p99', p99
    load = bulk(chain, 'down', 1, GIB, size.narrow_s + 4)
    with beside(load):
        p50, p99 = pace(chain, size.narrow_rate, size.narrow_s, warm=2)
    yield 'narrow-busy-p50', p50
    yield 'narrow-busy-p99', p99
    yield 'narrow-down', finish(load, chain)['rate'] * 8 / 1e6


FAR = ('karez', 'karez-tls', 'haproxy-http', 'haproxy-tcp', 'ssh')

GROUPS = (
    Group('down', Nginx, run_down),
    Group('up', Sink, run_up),
    Group('requests', Nginx, run_requests),
    Group('short', Nginx, run_short, only=('haproxy-tcp',)),
    Group('pass', NginxTls, run_pass, only=()),
    Group('latency', Nginx, run_latency),
    Group('idle', Nginx, run_idle),
    Group('sessions', Nginx, run_sessions, only=()),
    Group('distance', Nginx, run_distance, Path(ONE_WAY_MS), FAR),
    Group('narrow', Nginx, run_narrow, Path(ONE_WAY_MS, NARROW_MBIT), FAR),
)
