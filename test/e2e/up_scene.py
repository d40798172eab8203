"""A server, and `karez up` with a services file that a test edits."""

import json
import os
import shutil
import subprocess
import tempfile

from karez import BUILD, Agent, wait_until
from visitor import fetch


class Up:
    """`karez up` of one file; the paths of sockets must be short, so they are not below the test's own folder."""

    def __init__(self, world, server, services=None, name="services.json"):
        self.world, self.server = world, server
        self.file = world.path / name
        self.run_dir = tempfile.mkdtemp(prefix="karez-")
        world.closes(self)
        if services is not None:
            self.write(services)

    def close(self):
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def write(self, services):
        self.file.write_text(services if isinstance(services, str) else json.dumps(services))

    def rename(self, services):
        """As editors write: another file takes the place."""
        other = self.file.with_suffix(".new")
        other.write_text(json.dumps(services))
        os.replace(other, self.file)

    def start(self, *options, wait=True, config="agent", server=True, file=True, services=None, **kw):
        """Start it, and wait for every service that the file names (or `services`)."""
        options = (*(("--file", self.file) if file else ()), *options)
        agent = Agent(self.world, self.server if server else None, None, options, command=("up",), config=config,
                      env={"XDG_RUNTIME_DIR": self.run_dir, **kw.pop("env", {})}, **kw)
        agent.server = self.server
        self.world.agents.append(agent)
        if wait:
            self.wait(agent, json.loads(self.file.read_text()) if services is None else services)
        return agent

    def wait(self, agent, services, seconds=10):
        for service in services:
            agent.wait_line(rf"^{service} .*is now publicly accessible from", seconds, "out")
        agent.base_files = max(agent.base_files, agent.n_files() + agent.sessions)

    def command(self, *words, config="agent", text=None):
        """Another command of karez about this file, to its end."""
        env = self.world.env(KAREZ_CONFIG_DIR=self.world.path / config, XDG_RUNTIME_DIR=self.run_dir)
        return subprocess.run([BUILD / "karez", *words, "--file", self.file], env=env, input=text, text=True,
                              capture_output=True, timeout=60)

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def state(self, service):
        """What `karez status` says of one service, as (state, reason)."""
        return next((s["state"], s["reason"]) for s in self.status()["services"] if s["service"] == service)

    def get(self, name, path="/", **kw):
        return fetch(self.server.port, self.server.host(name), path, **kw)

    def becomes(self, name, status, seconds=5):
        wait_until(lambda: self.get(name).status == status, seconds, f"{name} answers with {status}")
