"""Delay, loss, cuts and a forgetful NAT between an agent and its server, over both transports."""

import asyncio
import shutil
import tempfile
import threading
import time
from pathlib import Path

import pytest
import websockets

from bad_network import SERVER, BadNetwork, why_not
from bulk import download, upload
from karez import PATIENCE, free_port, wait_until
from servers import Target, WebSocketTarget, digest_of
from visitor import Visitor, fetch

MIB = 1 << 20
WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")
# Either side is dead to the other after so many seconds of silence, as doc/session-protocol.md says.
DEAD = 15
# Until a new session is there: the silence, the delay of the next attempt, and a busy machine.
BACK = DEAD + 30


class UnixWebSocketTarget(WebSocketTarget):
    """Where it listens is not a matter of the network."""

    def __init__(self, path):
        self.path = path
        super().__init__()

    async def _start(self):
        self.server = await websockets.unix_serve(self._echo, str(self.path), max_size=1 << 22)


class Scene:
    """A server, visitors beside it, and an agent behind the bad network with its target beside it."""

    def __init__(self, world, transport, target=Target, **how):
        port = free_port()  # out here, where other runs of the tests see that it is taken
        self.net = world.closes(BadNetwork(**how))
        self.dir = Path(tempfile.mkdtemp(prefix="karez-"))  # paths of sockets must be short
        world.closes(self)
        self.server = world.server("--listen", f"{SERVER}:{port}", port=port)
        self.target = world.closes(target(path=self.dir / "target"))
        self.agent = world.agent_unchecked(
            self.server, f"unix:{self.dir}/target", "--transport", transport, "--name", "laptop",
            preexec=self.net.far.enter, url=f"http://{SERVER}:{port}")
        self.agent.wait_online(30)
        wait_until(lambda: self.server.count("event=attach") == 2, 30, "both sessions serve it")
        self.agent.base_files = self.agent.n_files()

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def fetch(self, path="/"):
        return fetch(self.server.port, self.agent.host, path, timeout=60 * PATIENCE)

    def lost_and_found(self, mark, mend=lambda: None):
        """The agent says that it is cut off, and comes back by itself to the name that it had."""
        self.agent.wait_line("lost the connection", BACK, "err", mark)
        mend()
        self.agent.wait_line("back again at .*laptop", BACK, "err", mark)
        assert self.fetch().text() == "hello from target\n"
        assert not self.agent.count("in use|taken|belongs to"), self.agent.text()


@pytest.fixture(params=["upgrade", "websocket"])
def transport(request):
    return request.param


# ---- delay and loss ----


def bad(world, transport, **kw):
    """Half a round trip takes 50 ms, and of fifty packets one gets lost."""
    return Scene(world, transport, delay=0.05, loss=0.02, **kw)


def test_pages_are_right_over_a_bad_network(world, transport):
    scene = bad(world, transport)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(scene.fetch().text()))
               for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * PATIENCE)
    assert answers == ["hello from target\n"] * 40
    assert scene.agent.count("lost the connection") == 0


def test_20_mb_each_way_over_a_bad_network(world, transport):
    scene = bad(world, transport)
    with Visitor(scene.server.port, timeout=60 * PATIENCE) as v:
        assert download(v, scene.agent.host, 20 * MIB) == digest_of(20 * MIB)
        assert upload(v, scene.agent.host, 20 * MIB) == digest_of(20 * MIB)
    assert scene.net.lost > 20, "the network was bad"
    assert scene.agent.count("lost the connection") == 0


def test_a_websocket_over_a_bad_network(world, transport):
    scene = bad(world, transport, target=UnixWebSocketTarget)
    sent = [f"message {i} " + "x" * (i * 997 % 30000) for i in range(100)]

    async def talk():
        async with websockets.connect(f"ws://{scene.agent.host}/chat", host="127.0.0.1",
                                      port=scene.server.port, open_timeout=60) as ws:
            await ws.recv()  # the fields of the upgrade

            async def read():
                return [await ws.recv() for _ in sent]
            reading = asyncio.create_task(read())
            for message in sent:
                await ws.send(message)
            assert await asyncio.wait_for(reading, 60 * PATIENCE) == sent

    asyncio.run(talk())


# ---- cuts ----


def test_a_long_cut_is_told_and_healed(world, transport):
    scene = Scene(world, transport)
    mark = scene.agent.mark()
    scene.net.cut()
    scene.lost_and_found(mark, scene.net.mend)
    assert scene.agent.count("back again") == 1


def test_a_short_cut_costs_no_session(world, transport):
    """What a visitor asks for meanwhile comes when the cable is whole again."""
    scene = Scene(world, transport)
    sessions = scene.server.count("event=session-open")
    scene.net.cut()
    answers = []
    visitor = threading.Thread(target=lambda: answers.append(scene.fetch().status))
    visitor.start()
    lost = scene.net.lost
    wait_until(lambda: scene.net.lost >= lost + 3, DEAD, "it was sent in vain, more than once")
    assert answers == []
    scene.net.mend()
    visitor.join(BACK * PATIENCE)
    assert answers == [200]
    assert scene.agent.count("lost the connection") == 0
    assert scene.server.count("event=session-open") == sessions
    assert scene.server.count("event=session-closed") == 0


def test_a_nat_that_forgets_is_noticed_by_both_sides(world, transport):
    scene = Scene(world, transport)
    mark = scene.agent.mark()
    began = time.monotonic()
    scene.net.forget()
    scene.agent.wait_line("lost the connection|back again", DEAD + 10, "err", mark)
    scene.server.wait_line("event=session-closed", DEAD + 10)
    assert time.monotonic() - began < (DEAD + 10) * PATIENCE
    wait_until(lambda: scene.server.count("event=attach") >= 4, BACK, "both sessions are there again")
    assert scene.fetch().text() == "hello from target\n"
    assert scene.agent.alive() and not scene.agent.count("in use|taken|belongs to")
