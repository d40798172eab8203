"""What the tests of SSH have in common: a server with a door for stock clients, people with keys,
and sessions of OpenSSH's ssh."""

import json
import re
import socket
import subprocess
import types

import paramiko

from karez import Failure, free_port, wait_until
from tunnel_scene import Scene
from visitor import Visitor, fetch

ALLOCATED = r"Allocated port (\d+) for remote forward to "
REFUSED = r"remote port forwarding failed for listen port (\d+)"


class Key:
    """A pair of files that ssh-keygen has made."""

    def __init__(self, file, *options, comment="anna@laptop", passphrase=""):
        self.file = file
        subprocess.run(["ssh-keygen", "-q", "-N", passphrase, "-C", comment, "-f", file,
                        *(options or ("-t", "ed25519"))], check=True, stdin=subprocess.DEVNULL)
        self.public = file.with_name(file.name + ".pub")

    @property
    def line(self):
        return self.public.read_text().strip()

    @property
    def fingerprint(self):
        said = subprocess.run(["ssh-keygen", "-l", "-f", self.public], check=True,
                              capture_output=True, text=True).stdout
        return said.split()[1]


class SshScene(Scene):
    """A server with an SSH door at .ssh_port of .ssh_address, and Anna, who has uploaded .key."""

    ssh_address = "127.0.0.1"

    def __init__(self, world, *options, ssh_listen="127.0.0.1", **kw):
        self.ssh_port = free_port()
        super().__init__(world, "--ssh-listen", f"{ssh_listen}:{self.ssh_port}", *options, **kw)
        self.server.wait_line("event=listen.* ssh=1", 30)
        self.n_keys = 0
        self.key = self.new_key()
        self.upload(self.key)
        self.known_hosts = world.path / f"known_hosts.{self.ssh_port}"
        self.learn()

    def again(self):
        super().again()
        self.server.wait_line("event=listen.* ssh=1", 30)
        return self.server

    # ---- keys ----

    def new_key(self, *options, **kw):
        self.n_keys += 1
        return Key(self.world.dir("keys") / f"id{self.n_keys}-{self.ssh_port}", *options, **kw)

    def upload(self, key, api=None, **scope):
        """Returns the id of the credential."""
        body = {"type": "ssh-key", "name": "laptop", "key": key.line}
        if scope:
            body["scope"] = scope
        return (api or self.anna).post("/v1/credentials", body).want(201).json()["id"]

    def person(self, name, **scope):
        """Somebody else, with a key: (api, key)."""
        api, key = self.server.account(name), self.new_key()
        self.upload(key, api, **scope)
        return api, key

    def host_keys(self):
        return self.server.api().get("/v1/ssh").want(200).json()["host_keys"]

    def learn(self):
        """What the API says goes into known_hosts."""
        self.known_hosts.write_text("".join(f"[{self.ssh_address}]:{self.ssh_port} {k['key']}\n"
                                            for k in self.host_keys()))

    # ---- sessions ----

    def argv(self, *args, user="anna", key=None, words=(), options=(), program="ssh"):
        """The command line; words: behind the host; key: "none", or the one to use."""
        key = key or self.key
        given = [f"UserKnownHostsFile={self.known_hosts}", "GlobalKnownHostsFile=none",
                 "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"]
        given += [o for o in ("IdentityAgent=none",)
                  if not any(g.startswith("IdentityAgent") for g in options)]
        given += ["IdentityFile=none"] if key == "none" else [f"IdentityFile={key.file}"]
        return [program, "-F", "none", "-p", str(self.ssh_port),
                *(a for o in (*options, *given) for a in ("-o", o)), *map(str, args),
                f"{user}@{self.ssh_address}", *words]

    def ssh(self, *args, tty=False, env=None, preexec=None, **kw):
        """A client, whatever becomes of it."""
        proc = self.world.guest(f"ssh#{len(self.world.guests) + 1}", self.argv(*args, **kw),
                                env=self.world.env(**(env or {})), tty=tty, preexec=preexec)
        return proc

    def run(self, *args, seconds=10, **kw):
        """A client that ends by itself; returns (status, client)."""
        proc = self.ssh(*args, **kw)
        return proc.wait(seconds), proc

    def refuses_login(self, *args, **kw):
        """Nobody is let in; returns what was said."""
        status, proc = self.run("-N", "-R", "0:127.0.0.1:9", *args, **kw)
        assert status == 255, proc.text()
        return proc.text("err")

    def quiet(self, *forwards, **kw):
        """-N, and all forwards have been granted; .ports: where they listen, in their order."""
        args = [a for f in forwards for a in ("-R", f)]
        proc = self.ssh("-v", "-N", *args, **kw)
        proc.ports = granted(proc, len(forwards))
        return proc

    def session(self, *forwards, words=(), **kw):
        """One that tells in JSON what it serves; .online: an object for each forward."""
        args = [a for f in forwards for a in ("-R", f)]
        proc = self.ssh(*args, words=("json", *words), **kw)
        proc.online = wait_events(proc, "forward", len(forwards))
        return proc

    def wait_sessions(self, n, api=None):
        """So many agents of the account are connected."""
        def there():
            agents = (api or self.anna).get("/v1/agents").want(200).json()["agents"]
            return sum(a["sessions"] for a in agents) == n
        wait_until(there, 10, f"{n} sessions")

    def tunnels(self, api=None):
        """Names, in their order."""
        return sorted(t["name"] for t in (api or self.anna).pages("/v1/tunnels"))

    # ---- visitors ----

    def page(self, name, path="/", **kw):
        return fetch(self.server.port, f"{name}.{self.server.domain}", path, **kw)

    def audit(self, event, *words, seconds=5):
        """The server has written a line of it."""
        pattern = f"event={event}\\b" + "".join(f"(?=.*{re.escape(w)})" for w in words)
        return self.server.wait_line(pattern, seconds).string


def transport(scene, user="anna", key=None, source=None):
    """paramiko, logged in with nothing asked for; without a user, not logged in either."""
    sock = socket.create_connection(("127.0.0.1", scene.ssh_port), 10, source and (source, 0))
    made = paramiko.Transport(sock)
    scene.world.guests.append(types.SimpleNamespace(kill=made.close))
    made.start_client(timeout=20)
    if user is not None:
        file = str((key or scene.key).file)
        made.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(file))
    return made


def forward_to(target, spec):
    """The whole -R; spec: what stands in front of the target."""
    return f"{spec}:127.0.0.1:{target.port}"


def granted(proc, n=1, seconds=10):
    """Where n forwards listen, by what `ssh -v` says; a port that was 0 has a line of its own."""
    pattern = f"remote forward success for: listen (?:[^,]*:)?([1-9][0-9]*), |{ALLOCATED}"

    def there():
        assert not proc.count(REFUSED), proc.text()
        if not proc.alive():
            raise Failure(f"{proc.name} has ended: {proc.text()}")
        found = [m for m in (re.search(pattern, line) for line in proc.said("err")) if m]
        return found if len(found) >= n else None
    return [int(m[1] or m[2]) for m in wait_until(there, seconds, f"{n} forwards: {proc.name}")]


def events(proc, kind=None):
    """The objects that a session with the word json has written."""
    found = []
    for line in proc.said("out"):
        if line.startswith("{"):
            found.append(json.loads(line))
    return [e for e in found if kind in (None, e["event"])]


def wait_events(proc, kind, n=1, seconds=10):
    def there():
        found = events(proc, kind)
        if len(found) < n and not proc.alive():
            raise Failure(f"{proc.name} has ended: {proc.text()}")
        return found if len(found) >= n else None
    return wait_until(there, seconds, f"{n} events {kind} of {proc.name}")


def echoed(port, address="127.0.0.1"):
    """What we say comes back."""
    with Visitor(port, address) as v:
        v.send(b"ping")
        return v.exactly(4) == b"ping"


def port_of(url):
    return int(url.rpartition(":")[2].rstrip("/"))
