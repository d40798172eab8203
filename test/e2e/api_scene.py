"""What the tests of the API have in common: a server with people and things in it, and how an
operation of the document is asked for by its name."""

import datetime
import itertools
import re
import types

from api_client import OpenApi
from dns_server import DnsServer
from servers import Target


# File name -> bytes. To make them takes a while, and no test needs keys of its own.
_host_keys = {}


def _with_host_keys(world, *options):
    """A server that SSH reaches."""
    place = world.path / "state" / "ssh"
    for name, key in _host_keys.items():
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        (place / name).touch(0o600)
        (place / name).write_bytes(key)
    server = world.server("--ssh-listen", "127.0.0.1:0", *options)
    _host_keys.update({file.name: file.read_bytes() for file in place.iterdir()})
    return server


def scene_of(world):
    """A server with its administrator, Anna, who has the tunnel demo, and Bert, who has another."""
    s = types.SimpleNamespace(world=world)
    s.dns = world.closes(DnsServer())
    s.server = _with_host_keys(world, "--resolver", s.dns.address)
    s.admin, s.anna, s.bert = s.server.admin(), s.server.account("Anna"), s.server.account("Bert")
    s.nobody = s.server.api()
    s.doc = OpenApi(s.nobody)
    s.anna.tunnel("demo")
    s.bert.tunnel("berts")
    return s


def agent_of(s, api, name, path="agent"):
    target = s.world.closes(Target())
    return s.world.agent(s.server, target.port, "--name", name, config=path,
                         env={"KAREZ_TOKEN": api.credential}), target


# Whole lists of tunnels: the only bodies that may be longer than 64 KiB.
LISTS = ("putTunnels", "adminPutTunnels")


def path_of(s, op, **more):
    """The operation's path with things of Anna's in it; whole lists are not meant."""
    if op.id in LISTS:
        return op.path + "?dry_run=true"
    account = s.anna.made["id"]
    values = {"name": "demo", "id": account, "session": "1", "credential": "number", **more}
    if op.path.startswith("/v1/credentials/"):
        values["id"] = "self"
    if op.path.startswith("/v1/admin/invitations/"):
        values["id"] = more.get("invitation", "nothere00000")
    return re.sub(r"{(\w+)}", lambda m: values[m[1]], op.path)


BODIES = {"NewCredential": {"type": "token"}, "Disable": {"disable": False},
          "TunnelList": {"tunnels": []}, "OwnedTunnelList": {"tunnels": []}}


def body_of(op):
    """A body that is right, as arguments for call()."""
    if op.body is None:
        return {}
    return {"body": BODIES.get(op.body["$ref"].rsplit("/", 1)[-1], {})}


def state_of(s):
    """Everything that there is, as the administrator sees it, without times of use."""
    accounts = s.admin.pages("/v1/admin/accounts", 100)
    for a in accounts:
        a.pop("used_at", None)
    ids = [a["id"] for a in accounts]
    credentials = [s.admin.pages(f"/v1/admin/accounts/{i}/credentials", 100) for i in ids]
    for c in itertools.chain(*credentials):
        c.pop("used_at", None)
    return (accounts, credentials, s.admin.pages("/v1/admin/tunnels", 100),
            s.admin.pages("/v1/admin/invitations", 100))


def invite(s):
    return s.admin.post("/v1/admin/invitations", {"uses": 2, "name": "for two",
                                                  "expires_at": "2099-01-01T00:00:00Z"})


def account(s):
    """Somebody else, to be looked at."""
    return s.admin.post("/v1/admin/accounts", {}).want(201).json()["id"]


def operations_with_body(s):
    return [op for op in s.doc.operations.values() if op.body is not None]


def asker(s, op):
    return s.admin if op.admin else s.anna


def ask(s, op, **args):
    return asker(s, op).call(op.method, path_of(s, op), **args)


# ---- agents with a credential ----

def agent(world, server, api, target, name, *options, config="agent", **kw):
    """Online, with the account's credential."""
    return world.agent(server, target.port, "--name", name, *options, config=config,
                       env={"KAREZ_TOKEN": api.credential}, **kw)


def agent_refused(world, server, credential, target, *options, config="refused"):
    """One that is not let in; returns what it said."""
    a = world.agent_unchecked(server, target.port, *options, config=config,
                              env={"KAREZ_TOKEN": credential})
    assert a.wait() == 1
    assert not a.said("out")
    return a.text("err")


def ended(agent, *words):
    """It has ended by itself, and said why."""
    assert agent.wait() == 1
    for word in words:
        assert word in agent.text("err")


def later(ms):
    """A moment that is to come."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(milliseconds=ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
