"""Private certificate authorities: one made by the openssl command, one by `karezd ca`."""

import ssl
import subprocess
from pathlib import Path


class Cert:
    def __init__(self, cert, key):
        self.cert, self.key = cert, key

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


class Authority:
    def __init__(self, folder):
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.other_ca = folder / "other.pem"
        self.localhost = Cert(folder / "localhost.pem", folder / "localhost.key")
        self.self_signed = Cert(folder / "self.pem", folder / "self.key")

    def client_context(self):
        return ssl.create_default_context(cafile=str(self.ca))

    def client(self, name, subject=None, names=None, ca="ca", days=30):
        """A certificate by which a client proves that it is `name`; ca: "ca", or "other", which
        nobody trusts; days -1: it expired yesterday."""
        cert = Cert(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        assert cert.cert not in (self.ca, self.other_ca), "it would take the authority's place"
        more = []
        if names:
            (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}")
            more = ["-extfile", self.folder / f"{name}.ext"]
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                 subject or f"/CN={name}", "-keyout", cert.key, "-out", self.folder / "csr")
        _openssl("x509", "-req", "-in", self.folder / "csr", "-CA", self.folder / f"{ca}.pem",
                 "-CAkey", self.folder / f"{ca}.key", "-CAcreateserial", "-days", days, *more,
                 "-out", cert.cert)
        return cert


class PrivateCa:
    """What `karezd ca` makes of a folder."""

    def __init__(self, world, karezd, folder):
        self.world, self.karezd, self.folder = world, karezd, folder
        self.ca, self.crl = folder / "ca.pem", folder / "crl.pem"
        self.said = ""  # by the last command
        self.check("init")

    def run(self, *args):
        argv = [self.karezd, "ca", *args, "--dir", self.folder]
        done = subprocess.run([str(a) for a in argv], env=self.world.env(), capture_output=True,
                              text=True, check=False)
        self.said = done.stdout
        return done

    def check(self, *args):
        done = self.run(*args)
        assert done.returncode == 0, done.stderr
        return done

    def issue(self, *args):
        """The files are in the folder of the test, unless --out says another."""
        out = [] if "--out" in args else ["--out", self.world.path]
        said = self.check("issue", *args, *out).stdout
        cert, _, rest = said.partition(" and its key ")
        return Cert(Path(cert), Path(rest.partition(" are made")[0]))

    def client_context(self):
        return ssl.create_default_context(cafile=str(self.ca))


def _openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def _self_signed(folder, name, subject, *more):
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", 30, "-subj", subject, "-keyout", folder / f"{name}.key",
             "-out", folder / f"{name}.pem", *more)


def make(folder):
    # a wildcard right below a top-level name is not accepted, so tests have *.tunnels.localhost
    names = "subjectAltName=DNS:localhost,DNS:*.tunnels.localhost,IP:127.0.0.1"
    _self_signed(folder, "ca", "/CN=karez test CA")
    _self_signed(folder, "other", "/CN=another CA")
    _self_signed(folder, "self", "/CN=localhost", "-addext", names)
    (folder / "ext").write_text(names)
    _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
             "/CN=localhost", "-keyout", folder / "localhost.key", "-out", folder / "csr")
    _openssl("x509", "-req", "-in", folder / "csr", "-CA", folder / "ca.pem", "-CAkey",
             folder / "ca.key", "-CAcreateserial", "-days", 30, "-extfile", folder / "ext",
             "-out", folder / "localhost.pem")
    return Authority(folder)
