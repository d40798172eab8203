"""The chains that are compared: each carries visitors from a public port to a target, by two
relaying processes (three with sshd's privilege separation). One class per system; a chain says
where visitors go in and which processes' CPU and memory are its own.
"""

import contextlib
import ctypes
import fcntl
import getpass
import http.client
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / 'bench' / 'out'
BUILD = pathlib.Path(os.environ.get('KAREZ_BUILD', ROOT / 'build'))
HOST = 'bench.localhost'
PASSED = 'passed.example'  # the name of TLS that is passed through; nobody resolves it
SMALL = 'a small answer of sixty-six bytes, as the prototypes also had it.\n'
GIB = 1 << 30
START_S = 20  # how long a server may take to answer for the first time
assert len(SMALL) == 66


class Wrong(Exception):
    """A chain did not start, gave a wrong answer or died: the figures would mean nothing."""


class Path:
    """What lies between the two ends of a chain: see delay.c."""

    def __init__(self, one_way_ms, mbit=0):
        self.one_way_ms = one_way_ms
        self.mbit = mbit


class Place:
    """A directory that is locked while it is used: what a killed run has left, the next one
    removes."""

    PREFIX, LOCK = 'karez-bench-', 'lock'

    def __init__(self, parent):
        self.sweep(parent)
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=self.PREFIX, dir=parent))
        self.lock = self.locked(self.path, os.O_CREAT)

    @classmethod
    def locked(cls, path, flags=0):
        """A descriptor that holds the lock; None: there is none, or somebody else has it."""
        try:
            fd = os.open(path / cls.LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    @classmethod
    def sweep(cls, parent):
        for path in pathlib.Path(parent).glob(cls.PREFIX + '*'):
            fd = cls.locked(path)
            if fd is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(fd)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None


class Lab:
    """Ports, files and processes of one run; all of it goes away at the end, by pid."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self):
        for number in self.SIGNALS:
            signal.signal(number, self.on_signal)
        shm = pathlib.Path('/dev/shm')
        self.place = Place(tempfile.gettempdir())
        self.bulk_place = Place(shm if os.access(shm, os.W_OK) else tempfile.gettempdir())
        self.dir, self.bulk_dir = self.place.path, self.bulk_place.path
        self.procs = []
        self.used_ports = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def on_signal(number, _frame):
        """Whatever is being done ends, and __exit__ follows."""
        sys.exit(f'bench: ended by {signal.Signals(number).name}, nothing was written')

    def port(self):
        """A free port below the ephemeral range, where a generator's connections cannot take it."""
        while True:
            port = random.randint(20000, 31999)
            if port in self.used_ports:
                continue
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(('127.0.0.1', port))
                except OSError:
                    continue
            self.used_ports.add(port)
            return port

    def start(self, name, argv, env=None):
        """Start a server; it dies with this process."""
        path = self.dir / f'{name}-{len(self.used_ports)}-{time.monotonic_ns()}.log'
        with open(path, 'wb') as log:
            proc = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, env=env, preexec_fn=die_with_parent,
                                    start_new_session=True)
        proc.name, proc.log = name, path
        self.procs.append(proc)
        return proc

    def stop(self, proc):
        """End a server that start() began, and whatever it began itself."""
        pids = descendants(proc.pid) if proc.poll() is None else []
        for pid in [proc.pid] + pids:
            with contextlib.suppress(ProcessLookupError):
                if pid != proc.pid or proc.poll() is None:
                    os.kill(pid, signal.SIGTERM)
        try:
            proc.wait(5)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
        if proc in self.procs:
            self.procs.remove(proc)

    def close(self):
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # who is impatient leaves nothing behind either
        for proc in list(reversed(self.procs)):
            self.stop(proc)
        self.bulk_place.remove()
        self.place.remove()
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def write(self, name, text, mode=0o644):
        path = self.dir / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def certificate(self):
        """(certificate, key) for localhost and PASSED, one for all chains: ECDSA P-256."""
        cert, key = self.dir / 'cert.pem', self.dir / 'key.pem'
        if not cert.exists():
            subprocess.run(
                ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                 '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext',
                 f'subjectAltName=DNS:localhost,DNS:{PASSED},IP:127.0.0.1', '-keyout', key, '-out', cert],
                check=True, capture_output=True)
        return cert, key

    def body_file(self, size):
        """A file with the first `size` bytes of the pattern that bulk and sink check."""
        path = self.bulk_dir / f'{size}.bin'
        if not path.exists():
            subprocess.run([OUT / 'bulk', '-m', 'make', '-f', path, '-n', str(size)], check=True)
        return path

    def path(self, path, port):
        """Lay a path before a port: (port to connect to instead, its relay or None)."""
        if path is None:
            return port, None
        via = self.port()
        argv = [OUT / 'delay', '-l', f'127.0.0.1:{via}', '-t', f'127.0.0.1:{port}',
                '-d', path.one_way_ms]
        relay = self.start('delay', argv + (['-r', path.mbit] if path.mbit else []))
        wait_port(relay, via)
        return via, relay


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def descendants(pid):
    """The processes that a process started, and theirs."""
    found = []
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            children = pathlib.Path(f'/proc/{pid}/task/{task}/children').read_text().split()
            for child in map(int, children):
                found += [child] + descendants(child)
    except FileNotFoundError:
        pass
    return found


def tail(proc):
    text = proc.log.read_text(errors='replace')
    return '\n'.join(f'    {proc.name}: {line}' for line in text.splitlines()[-15:])


def wait_port(proc, port):
    """Wait until a server accepts connections."""
    end = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        if proc.poll() is not None or time.monotonic() > end:
            raise Wrong(f'{proc.name} does not accept connections\n{tail(proc)}')
        time.sleep(0.02)


def ask(port, path='/small', timeout=5, trust=None):
    """(status, body) of one small request; trust: over TLS, with this certificate."""
    if trust is None:
        conn = http.client.HTTPConnection('127.0.0.1', port, timeout=timeout)
    else:
        context = ssl.create_default_context(cafile=str(trust))
        conn = http.client.HTTPConnection(PASSED, port, timeout=timeout)
        conn.sock = context.wrap_socket(socket.create_connection(('127.0.0.1', port), timeout),
                                        server_hostname=PASSED)
    try:
        conn.request('GET', path, headers={'Host': HOST})
        answer = conn.getresponse()
        return answer.status, answer.read().decode(errors='replace')
    finally:
        conn.close()


class Nginx:
    """The target of everything but uploads: small answers, and files sent by sendfile."""

    want = SMALL
    name = 'nginx'

    def secure(self, _lab):
        """What stands behind its address."""
        return ''

    def __init__(self, lab):
        self.port = lab.port()
        conf = lab.write(f'{self.name}.conf', f'''
            daemon off; master_process off; pid {lab.dir}/{self.name}.pid;
            error_log {lab.dir}/{self.name}.err;
            worker_processes 1; worker_rlimit_nofile 20000;
            {'user root;' if os.geteuid() == 0 else ''}
            events {{ worker_connections 16384; }}
            http {{
                access_log off; sendfile on; tcp_nodelay on;
                keepalive_timeout 3600s; keepalive_requests 1000000000;
                client_body_temp_path {lab.dir}/t1; proxy_temp_path {lab.dir}/t2;
                fastcgi_temp_path {lab.dir}/t3; uwsgi_temp_path {lab.dir}/t4;
                scgi_temp_path {lab.dir}/t5;
                server {{
                    listen 127.0.0.1:{self.port} backlog=4096{self.secure(lab)};
                    location = /small {{ default_type text/plain; return 200 "{SMALL}"; }}
                    location /bulk/ {{ alias {lab.bulk_dir}/; }}
                }}
            }}''')
        self.proc = lab.start(self.name, [shutil.which('nginx') or '/usr/sbin/nginx', '-c', conf])
        wait_port(self.proc, self.port)


class NginxTls(Nginx):
    """The same behind TLS of its own, for chains that pass it through."""

    name = 'nginx-tls'

    def secure(self, lab):
        cert, key = lab.certificate()
        return f' ssl; ssl_certificate {cert}; ssl_certificate_key {key}'


class Sink:
    """The target of uploads: see sink.c."""

    want = '0\n'

    def __init__(self, lab):
        self.port = lab.port()
        self.proc = lab.start('sink', [OUT / 'sink', f'127.0.0.1:{self.port}'])
        wait_port(self.proc, self.port)


class Chain:
    """Two relaying processes between `port`, where visitors go in, and a target."""

    key = family = title = None
    tls = False  # between the two
    trust = None  # the certificate that visitors see, where they speak TLS
    versus = 'karez'  # the chain of ours that does the same
    fits = ()  # the loads it takes part in; empty: all
    counted = ('public', 'agent')  # the ends whose CPU time is meant

    def __init__(self, lab, target, path=None):
        """Start it and wait until it answers.

        path  what lies between the public and the agent's end, or None.
        Raises Wrong if the answer is not the target's.
        """
        self.lab, self.target, self.path = lab, target, path
        self.procs, self.ends = [], {}
        self.port = lab.port()
        try:
            self.begin()
            self.wait()
        except BaseException:
            self.stop()
            raise

    def begin(self):
        raise NotImplementedError

    def run(self, name, argv, env=None):
        proc = self.lab.start(f'{self.key}-{name}', argv, env)
        self.procs.append(proc)
        return proc

    def between(self, port):
        """The port that the other end must connect to so as to come through the path."""
        via, relay = self.lab.path(self.path, port)
        if relay is not None:
            self.procs.append(relay)
        return via

    def wait(self):
        end = time.monotonic() + START_S
        got = 'no connection'
        while time.monotonic() < end:
            self.check_alive()
            with contextlib.suppress(OSError, http.client.HTTPException):
                got = self.ask()
                if got == (200, self.target.want):
                    return
            time.sleep(0.05)
        raise Wrong(f'{self.key} does not answer rightly: {got}\n' + self.logs())

    def ask(self):
        return ask(self.port, trust=self.trust)

    def check_alive(self):
        for proc in self.procs:
            if proc.poll() is not None:
                raise Wrong(f'{proc.name} ended with {proc.returncode}\n' + self.logs())

    def logs(self):
        return '\n'.join(tail(proc) for proc in self.procs)

    def pids(self):
        """{'public': [pid...], 'agent': [pid...]} of the relaying processes."""
        return self.ends

    def cpu(self):
        """CPU seconds that the relaying processes have used: user + system, all their threads.

        From each process's CPU clock (clock_getcpuclockid), exact to the nanosecond where
        /proc/PID/stat counts ticks of 10 ms; threads that have ended stay in it.
        """
        self.check_alive()
        ends = self.pids()
        return sum(time.clock_gettime((~pid << 3) | 2) for end in self.counted
                   for pid in ends[end])

    def memory(self):
        """{'public': bytes, 'agent': bytes}: resident and proportional, from smaps_rollup."""
        self.check_alive()
        return {end: {kind: sum(smaps(pid)[kind] for pid in pids) for kind in ('Rss', 'Pss')}
                for end, pids in self.pids().items()}

    def stop(self):
        for proc in reversed(self.procs):
            self.lab.stop(proc)
        self.procs = []


def smaps(pid):
    """{'Rss': bytes, 'Pss': bytes} of a process."""
    found = {}
    for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
        if line.startswith(('Rss:', 'Pss:')):
            name, number = line.split()[:2]
            found[name.rstrip(':')] = int(number) * 1024
    return found


class Direct(Chain):
    """No chain at all: what the target and the load generators have to do with the times."""

    key = family = 'direct'
    title = 'no relay'
    fits = ('latency',)

    def begin(self):
        self.port = self.target.port


class Karez(Chain):
    key = family = 'karez'
    title = 'karez'
    kind = 'http'
    domain = 'localhost'

    def door(self):
        """The port for agents; visitors come to the same one."""
        return self.port

    def more(self):
        """Options of karezd."""
        return []

    def wishes(self):
        """Options of karez."""
        return []

    def begin(self):
        lab = self.lab
        home = pathlib.Path(tempfile.mkdtemp(dir=lab.dir))
        (home / 'state').mkdir()
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(('KAREZ_', 'XDG_')) and not k.lower().endswith('_proxy')}
        env.update(HOME=str(home))  # the agent's credential and configuration live there
        door = self.door()
        server = [BUILD / 'karezd', '--domain', self.domain, '--allow-registration',
                  '--listen', f'127.0.0.1:{door}', '--state-dir', home / 'state']
        agent = [BUILD / 'karez', self.kind, f'127.0.0.1:{self.target.port}', '--name', 'bench',
                 '-q', *self.wishes(), '--server']
        server += self.more()
        if self.tls:
            cert, key = lab.certificate()
            door = lab.port()
            server += ['--listen', f'tls:127.0.0.1:{door}', '--tls-cert', cert, '--tls-key', key]
        public = self.run('karezd', server, env)
        wait_port(public, door)
        if self.tls:
            agent += [f'https://localhost:{self.between(door)}', '--ca-file', cert]
        else:
            agent += [f'http://127.0.0.1:{self.between(door)}']
        self.ends = {'public': [public.pid], 'agent': [self.run('karez', agent, env).pid]}


class KarezTls(Karez):
    key, title, tls = 'karez-tls', 'karez, TLS between', True


class KarezWs(Karez):
    """The sessions are carried by WebSocket: what the agent sends is masked."""

    key, title = 'karez-ws', 'karez, WebSocket between'
    fits = ('down', 'up', 'requests')

    def wishes(self):
        return ['--transport', 'websocket']


class KarezWsTls(KarezWs):
    key, title, tls = 'karez-ws-tls', 'karez, WebSocket over TLS between', True


class KarezTcp(Karez):
    """A port of its own: nobody looks at what passes."""

    key, title, kind = 'karez-tcp', 'karez tcp', 'tcp'
    fits = ('down', 'up', 'short', 'idle')

    def door(self):
        return self.lab.port()

    def wishes(self):
        return ['--port', self.port, '--bind', '127.0.0.1']


class KarezPass(Karez):
    """TLS passed through, by the name in the ClientHello."""

    key, title, kind = 'karez-pass', 'karez tls, passed through', 'tls'
    domain = 'bench.example'
    fits = ('pass',)

    def door(self):
        self.trust = self.lab.certificate()[0]
        return self.lab.port()

    def more(self):
        empty = self.lab.dir / 'no-certificates'
        empty.mkdir(exist_ok=True)
        return ['--listen', f'tls:127.0.0.1:{self.port}', '--tls-dir', empty,
                '--unproven-domains']

    def wishes(self):
        return ['--domain', PASSED]


class KarezHop(Karez):
    """Two nodes: visitors come to the one, the agent to the other, TLS between the two."""

    key, title = 'karez-hop', 'karez, two nodes, a hop between'
    fits = ('down', 'up', 'requests')

    def begin(self):
        lab = self.lab
        redis_port = lab.port()
        redis = self.run('redis', [shutil.which('redis-server') or '/usr/bin/redis-server',
                                   '--port', redis_port, '--bind', '127.0.0.1', '--save', '',
                                   '--appendonly', 'no', '--dir', lab.dir])
        wait_port(redis, redis_port)
        self.key_file = lab.write('cluster-key', 'bench ' * 8, 0o600)
        self.store = f'redis://127.0.0.1:{redis_port}/0'
        self.inner = lab.port()
        super().begin()  # the agent's node
        far = pathlib.Path(tempfile.mkdtemp(dir=lab.dir))
        env = {k: v for k, v in os.environ.items() if not k.startswith(('KAREZ_', 'XDG_'))}
        env.update(HOME=str(far))
        public = self.run('karezd-far', [
            BUILD / 'karezd', '--domain', self.domain, '--listen', f'127.0.0.1:{self.port}',
            '--state-dir', far, *self.more()], env)
        wait_port(public, self.port)
        self.ends['public'].append(public.pid)

    def door(self):
        return self.inner

    def more(self):
        return ['--store', self.store, '--cluster-key-file', self.key_file,
                '--hop-listen', f'127.0.0.1:{self.lab.port()}']


class KarezHopTls(KarezHop):
    key, title, tls = 'karez-hop-tls', 'karez, a hop between, TLS to the agent', True


class KarezWorkers(Karez):
    """Two workers; CPU of the supervisor and of both is counted."""

    key, title = 'karez-workers', 'karez, two workers'
    fits = ('down', 'requests')

    def more(self):
        return ['--workers', '2']

    def pids(self):
        return {'public': [pid for top in self.ends['public']
                           for pid in [top] + descendants(top)],
                'agent': self.ends['agent']}


class Haproxy(Chain):
    """HAProxy -> HAProxy, one thread each, 16 KiB buffers (the default)."""

    family = 'haproxy'
    mode = 'http'
    more = ''
    maxconn = 9000

    def begin(self):
        door = self.lab.port()
        to_agent = f'127.0.0.1:{self.between(door)}'
        bind, server = f'127.0.0.1:{door}', to_agent
        if self.tls:
            cert, key = self.lab.certificate()
            both = self.lab.write('both.pem', cert.read_text() + key.read_text(), 0o600)
            suite = 'ciphersuites TLS_AES_128_GCM_SHA256'
            bind += f' ssl crt {both} {suite}'
            server += f' ssl verify required ca-file {cert} {suite}'
        self.ends = {
            'agent': [self.one('b', bind, f'127.0.0.1:{self.target.port}', door).pid],
            'public': [self.one('a', f'127.0.0.1:{self.port}', server, self.port).pid],
        }

    def choose(self, _port):
        """How the one at this port finds its backend."""
        return 'default_backend next'

    def one(self, name, bind, server, port):
        reuse = 'http-reuse always' if self.mode == 'http' else ''
        conf = self.lab.write(f'haproxy-{port}.cfg', f'''
global
    nbthread 1
    maxconn {self.maxconn}
defaults
    mode {self.mode}
    {self.more}
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
frontend public
    bind {bind}
    maxconn {self.maxconn}
    {self.choose(port)}
backend next
    {reuse}
    server next {server}
''')
        haproxy = shutil.which('haproxy') or '/usr/sbin/haproxy'
        proc = self.run(name, [haproxy, '-db', '-f', conf])
        wait_port(proc, port)
        return proc


class HaproxyHttp(Haproxy):
    key, title = 'haproxy-http', 'HAProxy x 2, mode http'


class HaproxyHttpTls(Haproxy):
    key, title, tls = 'haproxy-http-tls', 'HAProxy x 2, mode http, TLS between', True
    versus = 'karez-tls'


class HaproxyTcp(Haproxy):
    key, title, mode = 'haproxy-tcp', 'HAProxy x 2, mode tcp', 'tcp'
    versus = 'karez-tcp'


class HaproxyTcpTls(Haproxy):
    key, title, mode, tls = 'haproxy-tcp-tls', 'HAProxy x 2, mode tcp, TLS between', 'tcp', True
    versus = 'karez-tls'


class HaproxySplice(Haproxy):
    key, title, mode = 'haproxy-splice', 'HAProxy x 2, mode tcp, splice', 'tcp'
    more = 'option splice-auto'
    maxconn = 2000  # pipes count against the descriptors too
    versus = 'karez-tcp'
    fits = ('down', 'up', 'short')


class HaproxyPass(Haproxy):
    """The first one chooses by the name in the ClientHello, as karezd does."""

    key, title, mode = 'haproxy-pass', 'HAProxy x 2, mode tcp, SNI, splice', 'tcp'
    more = 'option splice-auto'
    maxconn = 2000
    versus = 'karez-pass'
    fits = ('pass',)

    def begin(self):
        self.trust = self.lab.certificate()[0]
        super().begin()

    def choose(self, port):
        if port != self.port:
            return 'default_backend next'
        return f"""tcp-request inspect-delay 5s
    tcp-request content accept if {{ req_ssl_hello_type 1 }}
    use_backend next if {{ req_ssl_sni -i {PASSED} }}"""


class Ssh(Chain):
    """ssh -R through Debian's sshd, aes128-gcm."""

    key = family = 'ssh'
    title = 'ssh -R, aes128-gcm'
    tls = True
    versus = 'karez-tls'
    cipher = 'aes128-gcm@openssh.com'

    def key_file(self, name):
        path = self.lab.dir / name
        if not path.exists():
            subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', path],
                           check=True)
        return path

    def session_keys(self):
        """Those of many sessions: an account of karezd has 100 tunnels unless it is told more."""
        return [self.key_file(f'session_key_{i}') for i in range(20)]

    def authorized(self):
        keys = [self.key_file('user_key'), *self.session_keys()]
        return self.lab.write('authorized_keys',
                              ''.join(pathlib.Path(f'{key}.pub').read_text() for key in keys))

    def server(self, door):
        """Start what listens for ssh on a port."""
        if os.geteuid() == 0:
            os.makedirs('/run/sshd', mode=0o755, exist_ok=True)  # sshd insists on it
        conf = self.lab.write(f'sshd-{door}.conf', f'''
ListenAddress 127.0.0.1:{door}
HostKey {self.key_file('host_key')}
AuthorizedKeysFile {self.authorized()}
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding yes
UseDNS no
MaxStartups 2000
''')
        return self.run('sshd', [shutil.which('sshd') or '/usr/sbin/sshd', '-D', '-e', '-f', conf])

    def begin(self):
        self.ssh_port = self.lab.port()
        server = self.server(self.ssh_port)
        wait_port(server, self.ssh_port)
        ssh = self.run('ssh', [
            'ssh', '-F', 'none', '-N', '-T', '-p', self.between(self.ssh_port),
            '-i', self.key_file('user_key'),
            '-c', self.cipher, '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes',
            '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
            '-o', 'ExitOnForwardFailure=yes', '-o', 'LogLevel=ERROR', '-o', 'Compression=no',
            '-R', f'127.0.0.1:{self.port}:127.0.0.1:{self.target.port}',
            f'{getpass.getuser()}@127.0.0.1'])
        self.ends = {'public': [server.pid], 'agent': [ssh.pid]}

    def pids(self):
        """sshd's own process only accepts; the session is carried by what it started."""
        return {'public': [pid for top in self.ends['public'] for pid in descendants(top)],
                'agent': self.ends['agent']}


class SshdGcm(Ssh):
    """The same, of which the server's side alone is counted: the ssh in front of it is the same."""

    key, title = 'sshd-gcm', "sshd, ssh -R, aes128-gcm, the server's side"
    family = 'sshd'
    versus = 'karez-ssh-gcm'
    counted = ('public',)
    fits = ('down', 'up', 'requests', 'sessions')


class SshdChacha(SshdGcm):
    key, title = 'sshd-chacha', "sshd, ssh -R, chacha20-poly1305, the server's side"
    versus = 'karez-ssh-chacha'
    cipher = 'chacha20-poly1305@openssh.com'
    fits = ('down', 'up', 'requests')


class KarezSshGcm(SshdGcm):
    """karezd in the place of sshd."""

    key, title = 'karez-ssh-gcm', "karezd, ssh -R, aes128-gcm, the server's side"
    family, versus = 'karez', 'karez-ssh-gcm'

    def server(self, door):
        home = pathlib.Path(tempfile.mkdtemp(dir=self.lab.dir))
        return self.run('karezd', [
            BUILD / 'karezd', '--domain', 'localhost', '--allow-registration',
            '--listen', f'127.0.0.1:{self.lab.port()}', '--state-dir', home,
            '--ssh-listen', f'127.0.0.1:{door}', '--ssh-max-startups', '2000',
            '--ssh-max-startups-per-ip', '2000'])

    def pids(self):
        return self.ends


class KarezSshChacha(KarezSshGcm):
    key, title = 'karez-ssh-chacha', "karezd, ssh -R, chacha20-poly1305, the server's side"
    versus = 'karez-ssh-chacha'
    cipher = 'chacha20-poly1305@openssh.com'
    fits = ('down', 'up', 'requests')


ALL = (Direct, Karez, KarezTls, KarezWs, KarezWsTls, KarezTcp, KarezPass, KarezHop,
       KarezHopTls, KarezWorkers, HaproxyHttp, HaproxyHttpTls, HaproxyTcp, HaproxyTcpTls, HaproxySplice, HaproxyPass, Ssh, SshdGcm,
       KarezSshGcm, SshdChacha, KarezSshChacha)
