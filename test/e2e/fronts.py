"""Load balancers in front of karezd, as deploy/ configures them: the files are run as they are, but for
names, ports and places, and so is the command that each of them names for karezd."""

import os
import shlex
import socket
import subprocess
from pathlib import Path

from karez import TREE, free_port, wait_until

DEPLOY = TREE / "deploy"
NGINX = """
daemon off;
{user}
pid {dir}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    include {file};
}}
"""


class Front:
    """One of them. .port: where visitors and agents come in; .options: of the karezd behind; edit:
    pairs of what stands in the file, and what somebody has written instead."""

    def __init__(self, world, name, cert, edit=()):
        self.name, self.world = name, world
        self.port, self.to = free_port(), free_port()
        self.dir = world.dir(f"front-{self.port}")
        both = self.dir / "both.pem"
        both.write_bytes(Path(cert.cert).read_bytes() + Path(cert.key).read_bytes())
        self.text = (DEPLOY / name).read_text()
        self.options = self._options(cert)
        for old, new in edit:
            self._put(old, new)
        self._put("tunnel.example.com", "localhost")
        run = {"nginx": self._nginx, "haproxy": self._haproxy}[name.partition("/")[0]]
        self.argv, file = run(cert, both)
        file.write_text(self.text)
        self._check()

    def start(self):
        """When karezd listens: who looks whether it is there finds it."""
        self.proc = self.world.guest(self.argv[0], self.argv)
        wait_until(self._listens, 10, f"{self.name} listens")

    def _put(self, old, new):
        assert old in self.text, f"{self.name} has no {old!r}"
        self.text = self.text.replace(old, str(new))

    def _options(self, cert):
        """What the file says must run beside it."""
        lines = [line.lstrip("#").strip() for line in self.text.split("\n")]
        at = next(i for i, line in enumerate(lines) if line.startswith("karezd --"))
        words = [lines[at]]
        while words[-1].endswith("\\"):
            at += 1
            words[-1] = words[-1][:-1]
            words.append(lines[at])
        program, *argv = shlex.split(" ".join(words))
        given = dict(zip(argv[::2], argv[1::2]))
        assert program == "karezd" and len(given) * 2 == len(argv), argv
        assert given.pop("--domain") == "tunnel.example.com"
        assert given["--public-url"] == "https://tunnel.example.com"
        given["--public-url"] = f"https://localhost:{self.port}"
        if given.pop("--tls-dir", None):
            given.update({"--tls-cert": cert.cert, "--tls-key": cert.key})
        where = given["--listen"]
        given["--listen"] = f"{where.rpartition(':')[0]}:{self.to}"
        self._put(where[where.index("127"):], f"127.0.0.1:{self.to}")
        return [word for pair in given.items() for word in pair]

    def _nginx(self, cert, both):
        self._put("listen [::]:443 ssl;", "")
        self._put("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;")
        self._put("/etc/karez/tls/fullchain.pem", cert.cert)
        self._put("/etc/karez/tls/privkey.pem", cert.key)
        conf, file = self.dir / "nginx.conf", self.dir / "karez.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        conf.write_text(NGINX.format(dir=self.dir, file=file, user=user))
        return ["nginx", "-c", conf], file

    def _haproxy(self, cert, both):
        if "bind :80" in self.text:
            self._put("    bind :80\n", "")
        self._put("bind :443", f"bind 127.0.0.1:{self.port}")
        if "haproxy.pem" in self.text:
            self._put("/etc/karez/tls/haproxy.pem", both)
        file = self.dir / "haproxy.cfg"
        return ["haproxy", "-db", "-f", file], file

    def _check(self):
        """Its own opinion of the file."""
        flag = {"nginx": "-t", "haproxy": "-c"}[self.argv[0]]
        said = subprocess.run([*self.argv, flag], capture_output=True, text=True, check=False,
                              env=self.world.env())
        assert said.returncode == 0, said.stderr
        assert "[warn]" not in said.stderr and "WARNING" not in said.stderr, said.stderr

    def _listens(self):
        assert self.proc.alive(), self.proc.text()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0
