"""HAProxy as it stands in front of karezd, or behind karez."""

import subprocess

from karez import free_port, wait_until

HEAD = """
global
    log stdout format raw local0
defaults
    mode tcp
    log global
    timeout connect 5s
    timeout client 60s
    timeout server 60s
"""


class Haproxy:
    """sections: text with {name} for each port that is named in `ports`, made here."""

    def __init__(self, world, sections, ports=("front",), **values):
        self.ports = {name: free_port() for name in ports}
        file = world.path / f"haproxy-{next(iter(self.ports.values()))}.cfg"
        file.write_text(HEAD + sections.format(**self.ports, **values))
        subprocess.run(["haproxy", "-c", "-q", "-f", file], check=True)
        self.proc = world.run("haproxy", ["haproxy", "-db", "-f", file])
        for port in self.ports.values():
            wait_until(lambda: self._listens(port), 10, "HAProxy listens")

    def __getattr__(self, name):
        return self.__dict__["ports"][name]

    def _listens(self, port):
        assert self.proc.alive(), self.proc.text()
        with open("/proc/net/tcp", encoding="ascii") as tcp, \
                open("/proc/net/tcp6", encoding="ascii") as tcp6:
            lines = [line.split() for line in [*tcp, *tcp6]]
        return any(w[1].endswith(f":{port:04X}") and w[3] == "0A" for w in lines)


