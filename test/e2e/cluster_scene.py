"""A few nodes on one Redis, as an operator would run them, and what tests ask of all of them."""

import functools
import secrets

from karez import free_port, wait_until
from redis_server import Redis
from visitor import fetch


class Cluster:
    """Nodes with one store and one key: .nodes[0] is the first, whose state has the
    administrator's token."""

    def __init__(self, world, n=2, store=None, options=(), **kw):
        self.world, self.options, self.kw = world, list(options), kw
        self.redis = None
        if store is None:
            self.redis = Redis(world)
            store = self.redis.where
        self.store = store
        self.key = self.key_file("cluster-key", secrets.token_hex(32))
        self.nodes = []
        self.ids = {}
        for _ in range(n):
            self.add()
        self.wait_whole()

    def key_file(self, name, text):
        file = self.world.path / name
        file.write_text(text + "\n")
        file.chmod(0o600)
        self.world.plant(text)
        return file

    def add(self, *options, key=None, doors=None, **kw):
        """One more node; doors: a certificate, for an address of it with TLS at .tls_port, and one
        of those that speak the PROXY protocol at .proxy_port."""
        hop, tls, proxy = free_port(), free_port(), free_port()
        if self.nodes:
            self.wait_token()  # of two that begin at once either may make it
        i = len(self.nodes)
        more = () if doors is None else (
            "--listen", f"tls:127.0.0.1:{tls}", "--listen", f"proxy:127.0.0.1:{proxy}",
            "--trusted-proxies", "127.0.0.99", "--tls-cert", doors.cert, "--tls-key", doors.key)
        node = self.world.server("--hop-listen", f"127.0.0.1:{hop}",
                                 "--cluster-key-file", key or self.key,
                                 *self.options, *options, *more, store=self.store,
                                 **{"state": f"state-{i}", **self.kw, **kw})
        node.hop, node.tls_port, node.proxy_port = hop, tls, proxy
        self.nodes.append(node)
        return node

    def again(self, node, **kw):
        """A node that has ended is started once more, at the same addresses."""
        i = self.nodes.index(node)
        new = self.world.server("--hop-listen", f"127.0.0.1:{node.hop}",
                                "--cluster-key-file", self.key, *self.options,
                                store=self.store, port=node.port,
                                **{"state": f"state-{i}", **self.kw, **kw})
        new.hop = node.hop
        self.nodes[i] = new
        return new

    @functools.cached_property
    def anna(self):
        """A person; her account is known to all nodes."""
        return self.nodes[0].account("Anna")

    def env(self):
        return {"KAREZ_TOKEN": self.anna.credential}

    def sessions(self, node, name):
        """That serve her tunnel at this very node."""
        answer = node.api(self.anna.credential).get(f"/v1/tunnels/{name}/sessions")
        if answer.status != 200:
            return 0
        return sum(s["node"] == self.id_of(node) for s in answer.json()["sessions"])

    def id_of(self, node):
        """By which others know it: of this process of it."""
        if node.pid not in self.ids:
            nodes = node.api(self.token()).get("/v1/admin/nodes").want(200).json()["nodes"]
            self.ids[node.pid] = next(n["id"] for n in nodes if n["this"])
        return self.ids[node.pid]

    @property
    def admin(self):
        """The administrator's API at a node that lives."""
        token = next(self.world.path.glob("state-*/admin-token")).read_text().strip()
        return next(n for n in self.nodes if n.alive()).api(token)

    def wait_token(self):
        wait_until(lambda: list(self.world.path.glob("state-*/admin-token")), 10,
                   "the administrator's token is written")

    def token(self):
        return next(self.world.path.glob("state-*/admin-token")).read_text().strip()

    def known(self, node):
        """How many nodes this one knows, itself included."""
        answer = node.api(self.token()).get("/v1/admin/nodes")
        return len(answer.json()["nodes"]) if answer.status == 200 else 0

    def wait_whole(self, n=None, seconds=15):
        """Every node that lives knows all that live."""
        live = [node for node in self.nodes if node.alive()]
        if not live:
            return
        self.wait_token()
        for node in live:
            wait_until(lambda: self.known(node) == (n or len(live)), seconds,
                       f"{node.name} knows {n or len(live)} nodes")
            # three connections to Redis, and with each other node one that either has made
            node.kept_files = max(node.kept_files, 3 + 2 * (len(live) - 1))

    def status(self, node, host, **kw):
        return fetch(node.port, host, address=node.address, **kw).status

    def wait_served(self, host, nodes=None, seconds=5, status=200):
        """Visitors of these nodes get that status."""
        for node in nodes or self.nodes:
            wait_until(lambda: self.status(node, self.host_at(node, host)) == status, seconds,
                       f"{host} is answered with {status} by {node.name}")

    @staticmethod
    def host_at(node, host):
        """The same name with the port of that node, as its visitors write it."""
        return f"{host.rpartition(':')[0] or host}:{node.port}"
