"""A network of networks: each machine lives in a network namespace of its own, all are plugged into one switch.
Making them takes root (bad_network.why_not says whether it works here)."""

import subprocess

from bad_network import Namespace

# Nobody's: what is sent there is lost, and nobody says so.
NOBODY = "02:00:00:00:00:66"


class Switch(Namespace):
    """What the networks of all are plugged into."""

    def __init__(self):
        super().__init__()
        self.ends = []
        self.ip("link", "add", "switch", "type", "bridge")
        self.ip("link", "set", "switch", "up")

    def plug(self, address):
        """A new network with this address."""
        one, name = Namespace(), f"port{len(self.ends)}"
        one.address = address
        self.ends.append(one)
        subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns",
                        f"/proc/self/fd/{one.fd}"], preexec_fn=self.enter, pass_fds=(one.fd,),
                       check=True, capture_output=True)
        self.ip("link", "set", name, "master", "switch", "up")
        one.ip("address", "add", f"{address}/24", "dev", "eth0")
        one.ip("link", "set", "eth0", "up")
        return one

    def cable(self, one, word):
        """Pull it ("down") or plug it in again ("up")."""
        self.ip("link", "set", f"port{self.ends.index(one)}", word)

    @staticmethod
    def sever(one, other):
        """These two do not reach each other any more, all others do."""
        for near, far in ((one, other), (other, one)):
            near.ip("neigh", "replace", far.address, "lladdr", NOBODY, "dev", "eth0", "nud",
                    "permanent")

    @staticmethod
    def mend(one, other):
        for near, far in ((one, other), (other, one)):
            near.ip("neigh", "del", far.address, "dev", "eth0")

    def close(self):
        for one in self.ends:
            one.close()
        super().close()
