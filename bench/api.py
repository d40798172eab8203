"""make bench, second part: the REST API of karezd, beside nginx with a constant answer of the same
size, in one run. See README.md.

    python3 bench/api.py [--rounds N] [--quick]
"""

import argparse
import json
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import chains
from karezd import Karezd, Served

CONNS = 16       # of wrk
PROBE_S = 0.002  # between two probes of the loop
STORES = ('memory', 'sqlite')

# One tunnel after the other gets another target: as many changes under way as there are connections,
# and every one of them is written.
CHANGES = '''
local n = 0
request = function()
    n = n + 1
    local body = string.format('{{"target":{{"url":"http://127.0.0.1:%d"}}}}', 1024 + n % 60000)
    return wrk.format("PATCH", "/v1/tunnels/bench-" .. n % {conns}, nil, body)
end
'''


class Api(Karezd):
    """One with a store of this kind, as its administrator sees it."""

    def __init__(self, lab, store):
        self.store = store
        state = pathlib.Path(tempfile.mkdtemp(dir=lab.dir))
        where = 'memory:' if store == 'memory' else f'sqlite:{state}/karez.db'
        super().__init__(lab, state, '--store', where)
        self.token = self.admin_token()


class Constant(Served):
    """nginx with one constant answer: what HTTP alone costs."""

    store = 'nginx'

    def __init__(self, lab, answer):
        self.lab, self.port, self.token = lab, lab.port(), 'none'
        quoted = answer.replace('\\', '\\\\').replace('"', '\\"').replace('$', '')
        conf = lab.write(f'api-{self.port}.conf', f'''
            daemon off; master_process off; pid {lab.dir}/api.pid; error_log {lab.dir}/api.err;
            worker_processes 1;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; tcp_nodelay on; keepalive_requests 1000000000;
                server {{
                    listen 127.0.0.1:{self.port};
                    location / {{ default_type application/json; return 200 "{quoted}"; }}
                }}
            }}''')
        self.proc = lab.start('nginx', ['nginx', '-e', lab.dir / 'api.err', '-c', conf])
        chains.wait_port(self.proc, self.port)


def wrk(api, seconds, path='/', script=None):
    """Requests that were answered well."""
    argv = ['wrk', '-t1', f'-c{CONNS}', f'-d{seconds}s', '-H', f'Host: localhost:{api.port}', '-H',
            f'Authorization: Bearer {api.token}']
    if script is not None:
        argv += ['-s', script, '-H', 'Content-Type: application/json']
    out = subprocess.run(argv + [f'http://127.0.0.1:{api.port}{path}'], check=True, text=True,
                         capture_output=True, timeout=seconds + 60).stdout
    done = re.search(r'(\d+) requests in', out)
    if done is None or int(done[1]) == 0 or 'Non-2xx' in out or 'Socket errors' in out:
        raise chains.Wrong(f'{api.store}: wrk says\n{out}\n{chains.tail(api.proc)}')
    return int(done[1])


def reads(api, seconds, path, answer):
    """(answers a second of CPU time, answers a second); each is that answer, by its status."""
    wrk(api, 1, path)
    cpu, begin = api.cpu(), time.monotonic()
    done = wrk(api, seconds, path)
    found = done / (api.cpu() - cpu), done / (time.monotonic() - begin)
    if api.call(api.token, 'GET', path) != answer:
        raise chains.Wrong(f'{api.store}: {path} is not {answer} any more')
    return found


def probe(api, seconds, out):
    """Latencies of a call that touches nothing: how long the loop lets others wait."""
    ask = (f'GET /v1/health HTTP/1.1\r\nHost: localhost:{api.port}\r\n\r\n').encode()
    with socket.create_connection(('127.0.0.1', api.port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.perf_counter()
            s.sendall(ask)
            answer = s.recv(65536)
            out.append(time.perf_counter() - begin)
            if not answer.startswith(b'HTTP/1.1 200'):
                raise chains.Wrong(f'health says {answer!r}\n{chains.tail(api.proc)}')
            time.sleep(PROBE_S)


def lag(api, seconds, load=None):
    """(p50, p99 in ms of the probe, what load() came to a second)"""
    found, done = [], 0
    t = threading.Thread(target=probe, args=(api, seconds, found))
    t.start()
    if load is not None:
        done = load()
    t.join()
    if len(found) < 20:
        raise chains.Wrong('the probe was not answered')
    cuts = statistics.quantiles(found, n=100)
    return cuts[49] * 1e3, cuts[98] * 1e3, done / seconds


def one_round(lab, seconds, samples):
    def note(key, value):
        samples.setdefault(key, []).append(value)

    script = lab.write('changes.lua', CHANGES.format(conns=CONNS))
    answer = None
    for store in STORES:
        api = Api(lab, store)
        for i in range(CONNS):
            api.call(api.token, 'POST', '/v1/tunnels', {'name': f'bench-{i}'})
        answer = api.call(api.token, 'GET', '/v1/tunnels/bench-0')
        per_cpu, rate = reads(api, seconds, '/v1/tunnels/bench-0', answer)
        note(f'{store} reads per CPU second', per_cpu)
        note(f'{store} reads per second', rate)
        p50, p99, _ = lag(api, seconds)
        note(f'{store} lag p50 ms, idle', p50)
        note(f'{store} lag p99 ms, idle', p99)
        p50, p99, changes = lag(api, seconds, lambda: wrk(api, seconds, script=script))
        if not re.fullmatch(r'http://127\.0\.0\.1:\d+',
                            api.call(api.token, 'GET', '/v1/tunnels/bench-0')['target']['url']):
            raise chains.Wrong(f'{store}: the changes changed nothing')
        note(f'{store} lag p50 ms, writing', p50)
        note(f'{store} lag p99 ms, writing', p99)
        note(f'{store} changes per second', changes)
        api.stop()
    peer = Constant(lab, json.dumps(answer))
    per_cpu, rate = reads(peer, seconds, '/', answer)
    note('nginx constant answers per CPU second', per_cpu)
    note('nginx constant answers per second', rate)
    p50, p99, _ = lag(peer, seconds, lambda: wrk(peer, seconds))
    note('nginx lag p50 ms, loaded', p50)
    note('nginx lag p99 ms, loaded', p99)
    peer.stop()


def main():
    p = argparse.ArgumentParser(prog='bench/api.py', description=__doc__)
    p.add_argument('--rounds', type=int)
    p.add_argument('--quick', action='store_true', help='one short round')
    o = p.parse_args()
    samples = {}
    try:
        with chains.Lab() as lab:
            for _ in range(o.rounds or (1 if o.quick else 5)):
                one_round(lab, 1 if o.quick else 4, samples)
    except chains.Wrong as e:
        sys.exit(f'bench: {e}')
    width = max(map(len, samples))
    for key, values in samples.items():
        print(f'{key:{width}}  {statistics.median(values):10.2f}   '
              f'({min(values):.2f} - {max(values):.2f})')
    for store in STORES:
        ratio = [a / b for a, b in zip(samples[f'{store} reads per CPU second'],
                                       samples['nginx constant answers per CPU second'])]
        print(f'{store} reads / nginx, of CPU time  {statistics.median(ratio):.2f}')
    chains.OUT.mkdir(exist_ok=True)
    (pathlib.Path(chains.OUT) / 'api.json').write_text(json.dumps(samples, indent=1))


if __name__ == '__main__':
    main()
