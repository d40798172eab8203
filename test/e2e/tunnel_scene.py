"""What the tests of tcp and tls tunnels have in common: a server with ports to give, a person, and
agents of that person."""

import socket

from karez import free_port, wait_until
from visitor import Visitor


class Scene:
    """A server in clear at .server.port, which gives ports of 127.0.0.1; with `tls`, a certificate,
    TLS is spoken at .tls_port."""

    def __init__(self, world, *options, tls=None, tls_options=(), bind="127.0.0.1", name="Anna",
                 **kw):
        self.world = world
        more = ["--tcp-bind", bind] if bind is not None else []
        self.n_bind = len(bind.split(",")) if bind else 2
        if tls is not None or tls_options:
            self.tls_port = free_port()
            more += ["--listen", f"tls:127.0.0.1:{self.tls_port}"]
            more += ["--tls-cert", tls.cert, "--tls-key", tls.key] if tls else []
            more += tls_options
        self.options = [*more, *options]
        self.kw = kw
        self.server = world.server(*self.options, **kw)
        self.anna = self.server.account(name)

    def env(self, api=None):
        return {"KAREZ_TOKEN": (api or self.anna).credential}

    def agent(self, target, *options, kind="tcp", api=None, **kw):
        """An agent that is online; target: something with a port, or text."""
        agent = self.world.agent(self.server, _text(target), *options, command=(kind,),
                                 env=self.env(api), **kw)
        if kind == "tcp":
            self.server.kept_files += self.n_bind
        return agent

    def refused(self, target, *options, kind="tcp", api=None, config="refused", code=1, **kw):
        """An agent that ends by itself; returns what it said."""
        agent = self.world.agent_unchecked(self.server, _text(target), *options, command=(kind,),
                                           env=self.env(api), config=config, **kw)
        assert agent.wait(10) == code, agent.text()
        assert not agent.said("out"), agent.text()
        return agent.text("err")

    def serve(self, *options, agent_id=None, api=None, config="serve", wait=True, env=None,
              **services):
        """`karez serve` with these services, {name: something with a port, or text}."""
        given = [a for name, to in services.items()
                 for a in ("--services", f"{name}=127.0.0.1:{to.port}" if hasattr(to, "port")
                           else f"{name}={to}")]
        given += ["--agent", agent_id] if agent_id else []
        agent = self.world.agent_unchecked(self.server, None, *given, *options, command=("serve",),
                                           config=config, env=env or self.env(api))
        if wait:
            self.wait_agent(agent_id, agent, api)
        return agent

    def wait_agent(self, agent_id, agent, api=None):
        """It is connected, with all its sessions."""
        def here():
            assert agent.alive(), agent.text()
            agents = (api or self.anna).get("/v1/agents").want(200).json()["agents"]
            return any(a["sessions"] >= agent.sessions for a in agents
                       if agent_id in (None, a["id"]))
        wait_until(here, 10, f"the agent {agent_id or ''} is connected")
        agent.base_files = agent.n_files()

    def again(self):
        """The server has ended: start it once more, with the same state."""
        kept = self.server.kept_files
        old = self.server
        self.server = self.world.server(*self.options, port=old.port, **self.kw)
        self.server.kept_files = kept
        for agent in self.world.agents:
            if agent.server is old:
                agent.server = self.server
        return self.server

    def connected(self, name, n=None, api=None):
        """Wait until so many sessions serve it; None: at least one."""
        def there():
            tunnel = (api or self.anna).get(f"/v1/tunnels/{name}").want(200).json()
            got = tunnel["connection"]["connections"]
            return got == n if n is not None else got > 0
        wait_until(there, 10, f"{n if n is not None else 'any'} sessions serve {name}")

    def line(self, port, address="127.0.0.1", **kw):
        """What a target that says its name says."""
        with Visitor(port, address, **kw) as v:
            return v.until(b"\n").decode()


def _text(target):
    return str(target.port) if hasattr(target, "port") else str(target)


def refuses(port, address="127.0.0.1"):
    """Is a connection refused?"""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as s:
        s.settimeout(10)
        return s.connect_ex((address, port)) != 0


def cut(port):
    """Is a visitor let in, and reset at once? That may be before he has noticed that he is in."""
    try:
        with Visitor(port) as v:
            v.to_end()
    except ConnectionResetError:
        return True
    return False


def wait_refused(port, address="127.0.0.1", seconds=5):
    wait_until(lambda: refuses(port, address), seconds, f"{address}:{port} refuses connections")


def wait_open(port, address="127.0.0.1", seconds=10):
    wait_until(lambda: not refuses(port, address), seconds, f"{address}:{port} is open")


def tcp(port, bind="", **more):
    """The body of a tcp tunnel."""
    return {"kind": "tcp", "ingress": {"tcp": {"port": port, "bind": bind}}, **more}
