"""One karezd by itself, with a store, and calls of its API by whoever has a token."""

import http.client
import json
import time

import chains


class Served:
    """A process, .proc, with a port of its own, .port."""

    def call(self, token, method, path, body=None):
        """What it answers over HTTP, read as JSON."""
        conn = http.client.HTTPConnection('127.0.0.1', self.port, timeout=10)
        headers = {'Host': f'localhost:{self.port}', 'Authorization': f'Bearer {token}'}
        if body is not None:
            headers['Content-Type'] = 'application/json'
            body = json.dumps(body)
        conn.request(method, path, body, headers)
        answer = conn.getresponse()
        text = answer.read().decode()
        conn.close()
        if answer.status not in (200, 201):
            raise chains.Wrong(f'{method} {path}: {answer.status} {text}\n{chains.tail(self.proc)}')
        return json.loads(text)

    def cpu(self):
        return time.clock_gettime((~self.proc.pid << 3) | 2)  # see chains.py

    def rss(self):
        return chains.smaps(self.proc.pid)['Rss']

    def stop(self):
        self.lab.stop(self.proc)


class Karezd(Served):
    """Agents, visitors and the API come to one port."""

    def __init__(self, lab, state, *options):
        self.lab, self.state, self.port = lab, state, lab.port()
        self.proc = lab.start('karezd', [
            chains.BUILD / 'karezd', '--domain', 'localhost', '--listen',
            f'127.0.0.1:{self.port}', '--state-dir', state, '--log-level', 'warn', *options])
        chains.wait_port(self.proc, self.port)

    def admin_token(self):
        """The administrator's; of several with one store only the first has made it."""
        file, end = self.state / 'admin-token', time.monotonic() + chains.START_S
        while not file.exists():
            if time.monotonic() > end:
                raise chains.Wrong(f'karezd made no token\n{chains.tail(self.proc)}')
            time.sleep(0.02)
        return file.read_text().strip()
