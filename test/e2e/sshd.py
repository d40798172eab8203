"""Debian's sshd with a configuration, keys and a port of the test's own."""

import getpass
import os
import signal
from pathlib import Path

from karez import free_port, wait_until
from ssh_scene import Key

# What sshd wants to be there when it separates privileges.
RUN = Path("/run/sshd")


def children_of(pid):
    """All that a process has started, and what those have."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids = [int(p) for p in task.read_text().split()]
        except OSError:
            continue
        for child in pids:
            found += [child, *children_of(child)]
    return found


class Sshd:
    """config: settings of sshd_config(5); keys: who may log in."""

    def __init__(self, world, *keys, name="sshd", port=None, host_key=None, **config):
        RUN.mkdir(mode=0o755, exist_ok=True)
        self.world, self.name = world, name
        self.port = port or free_port()
        self.user = getpass.getuser()
        self.folder = world.dir(name)
        self.host_key = host_key or Key(self.folder / "host", "-t", "ed25519")
        self.authorized = self.folder / "authorized_keys"
        self.authorized.write_text("".join(f"{k.line}\n" for k in keys))
        settings = {"Port": self.port, "ListenAddress": "127.0.0.1", "HostKey": self.host_key.file,
                    "AuthorizedKeysFile": self.authorized, "StrictModes": "no", "UsePAM": "no",
                    "PidFile": "none", "PasswordAuthentication": "no", "LogLevel": "VERBOSE",
                    "KbdInteractiveAuthentication": "no", "PermitRootLogin": "yes", **config}
        self.file = self.folder / "sshd_config"
        self.file.write_text("".join(f"{k} {v}\n" for k, v in settings.items()))
        self.start()

    def start(self):
        self.proc = self.world.guest(f"{self.name}:{self.port}",
                                     ["/usr/sbin/sshd", "-D", "-e", "-f", self.file])
        self.proc.wait_line("Server listening on", 10)

    def kill(self):
        """With all its sessions."""
        pids = children_of(self.proc.pid)
        self.proc.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: not any(_lives(p) for p in pids), 5, "the sessions have ended")

    def known(self, host="127.0.0.1"):
        """Its line in known_hosts."""
        return f"[{host}]:{self.port} " + " ".join(self.host_key.line.split()[:2]) + "\n"


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
