"""Nodes, Redis and a load balancer, each a machine in a network of its own, as deploy/haproxy/karez-cluster.cfg puts
them together: any two can be cut off from each other."""

import re
import shutil
import types

from api_client import Api
from bad_network import Namespace
from cluster_scene import Cluster
from karez import TREE, Failure, wait_until
from redis_server import Redis
from request_load import RequestLoad
from ssh_scene import SshScene
from switch import Switch
from visitor import Broken, fetch

BALANCER = TREE / "deploy" / "haproxy" / "karez-cluster.cfg"
PORT, HOP = 8080, 7070
# Where visitors and agents live, and the others.
OUTSIDE, FRONT, REDIS, NODE = "10.78.0.1", "10.78.0.2", "10.78.0.3", "10.78.0.{}"
# A node and its visitors come to each other by these, whatever agents and balancer do at the moment.
FILES = 24


class Apart(Cluster):
    """While it is open the calling thread lives outside, where visitors and agents do. .front: what they
    know of all this."""

    def __init__(self, world, n=3, options=(), **kw):
        self.before, self.switch = Namespace.here(), Switch()
        world.closes(self)
        self.nets, self.load_balancer = [], None
        self.redis_net = self.switch.plug(REDIS)
        self.front_net = self.switch.plug(FRONT)
        self.switch.plug(OUTSIDE).enter()
        redis = Redis(world, "--protected-mode", "no", address=REDIS, preexec=self.redis_net.enter)
        super().__init__(world, n, store=redis.where, options=options, **kw)
        self.redis = redis
        self.front = types.SimpleNamespace(address=FRONT, port=80, url=f"http://{FRONT}",
                                           domain="localhost")
        self._balance()

    def close(self):
        self.before.enter()
        self.before.close()
        self.switch.close()

    def add(self, *options, **kw):
        i = len(self.nodes)
        if i > 0:
            self.wait_token()  # of two that begin at once either may make it
            self._host_keys(i)
        self.nets.append(self.switch.plug(NODE.format(11 + i)))
        self.nodes.append(None)
        return self._start(i, *options, **kw)

    def again(self, node, **kw):
        return self._start(self.nodes.index(node), **kw)

    def _start(self, i, *options, **kw):
        where = self.nets[i].address
        node = self.world.server("--hop-listen", f"{where}:{HOP}", "--cluster-key-file", self.key,
                                 "--trusted-proxies", FRONT, "--public-url", "http://localhost",
                                 *self.options, *options, listen=f"auto:0.0.0.0:{PORT}", port=PORT,
                                 address=where, store=self.store, preexec=self.nets[i].enter,
                                 **{"state": f"state-{i}", **self.kw, **kw})
        node.net, node.name = self.nets[i], f"node{i + 1}"
        node.kept_files = FILES
        self.nodes[i] = node
        return node

    def _host_keys(self, i):
        """Those of the first node, as doc/cluster.md says: or clients would warn of all others."""
        self.world.dir(f"state-{i}")
        shutil.copytree(self.world.path / "state-0" / "ssh", self.world.path / f"state-{i}" / "ssh")

    def _balance(self):
        text = BALANCER.read_text()
        found = re.findall(r"(?m)^    server node\d+ .*\n", text)
        if len(found) != 2 or "    bind :443\n" not in text:
            raise Failure(f"{BALANCER} has changed")
        mine = "".join(f"    server {n.name} {n.address}:{PORT}\n" for n in self.nodes)
        text = text.replace("".join(found), mine).replace("    bind :443\n", "")
        file = self.world.path / "karez-cluster.cfg"
        file.write_text(text)
        self.load_balancer = self.world.guest("haproxy", ["haproxy", "-db", "-f", file],
                                              preexec=self.front_net.enter)
        self.wait_balanced()

    def wait_balanced(self):
        """HAProxy sends whoever comes to every node that lives."""
        live, seen = sum(n.alive() for n in self.nodes), set()
        front = Api(80, self.token(), "localhost", self.world.plant, FRONT)

        def all_seen():
            try:
                answer = front.get("/v1/admin/nodes")
            except (OSError, Broken):  # it has found no node yet
                return False
            if answer.status == 200:
                seen.add(next(n["id"] for n in answer.json()["nodes"] if n["this"]))
            return len(seen) == live
        wait_until(all_seen, 15, f"HAProxy sends to {live} nodes")

    # ---- what is asked from outside ----

    def fetch_front(self, name, path="/", **kw):
        """None: HAProxy has found no node."""
        try:
            return fetch(80, f"{name}.localhost", path, address=FRONT, **{"timeout": 40, **kw})
        except (OSError, Broken):
            return None

    def status_front(self, name, **kw):
        answer = self.fetch_front(name, **kw)
        return answer and answer.status

    def fetch_at(self, node, name, path="/", **kw):
        return fetch(PORT, f"{name}.localhost", path, address=node.address,
                     **{"timeout": 40, **kw})

    def served_at(self, node, name):
        try:
            return self.fetch_at(node, name).status == 200
        except (OSError, Broken):
            return False

    def wait_everywhere(self, name, seconds=10):
        for node in self.nodes:
            if node.alive():
                wait_until(lambda: self.served_at(node, name), seconds, f"{node.name} serves {name}")

    def load(self, name, rate=100):
        """Visitors who come through the balancer."""
        load = self.world.closes(RequestLoad(80, f"{name}.localhost", rate, address=FRONT))
        more(load, rate)
        return load

    def listed(self, node):
        """Anna's tunnels, as this node reads them; None: it cannot."""
        answer = node.api(self.anna.credential).get("/v1/tunnels")
        return answer.status == 200 and sorted(t["name"] for t in answer.json()["tunnels"])

    # ---- agents ----

    def agent(self, target, name, *options, nodes=None, **kw):
        """One that is online; nodes: it is told of these, and not of the balancer."""
        told = [n.url for n in nodes] if nodes else [self.front.url]
        more_ = [word for url in told[1:] for word in ("--server", url)]
        return self.world.agent(self.front, target.port, "--name", name, *more_, *options,
                                url=told[0], config=name, env=self.env(), **kw)

    def has(self, node, name):
        """Sessions that serve this tunnel at this very node, by its log."""
        came = node.count(f"event=attach tunnel={name} ")
        return came - node.count(f"event=(detach|replaced|taken|expelled) tunnel={name} ")

    def holders(self, name):
        return [n for n in self.nodes if n.alive() and self.has(n, name) > 0]

    def wait_held(self, name, nodes, seconds=30):
        wait_until(lambda: all(self.has(n, name) > 0 for n in nodes), seconds,
                   f"{name} has sessions at {[n.name for n in nodes]}")

    # ---- cables ----

    def sever(self, node, other):
        self.switch.sever(node.net, getattr(other, "net", other))

    def mend(self, node, other):
        self.switch.mend(node.net, getattr(other, "net", other))


class SshApart(SshScene):
    """Stock clients that come through the balancer, by Anna's key."""

    ssh_address = FRONT

    def __init__(self, cluster):
        self.world, self.server = cluster.world, cluster.nodes[0]
        self.anna = self.server.api(cluster.anna.credential)
        self.ssh_port, self.n_keys = 80, 0
        self.key = self.new_key()
        self.upload(self.key)
        self.known_hosts = self.world.path / "known_hosts.front"
        self.learn()


def more(load, n):
    had = load.done
    wait_until(lambda: load.done >= had + n, 30, f"{n} more requests")
