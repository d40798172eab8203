"""Clients that keep to nothing, at the door for stock clients: the session ends, or they get no for
an answer, and everybody else is served as before."""

import random
import socket
import struct
import threading
import types

import pytest

from karez import wait_until
from ssh_raw import (EOF, Ended, OPEN_CONFIRMATION, OPEN_FAILURE, DATA, REQUEST_FAILURE,
                     REQUEST_SUCCESS, RawSsh, adjust, cancel, close, confirm, data, eof, forward,
                     global_request, open_channel, refuse, text, take)
from ssh_scene import SshScene
from visitor import Visitor


@pytest.fixture
def scene(world):
    return SshScene(world)


def guest(scene, thing):
    """It ends before the server is looked at for the last time."""
    scene.world.guests.append(types.SimpleNamespace(kill=thing.close))
    return thing


def enter(scene, key=None):
    return guest(scene, RawSsh(scene.ssh_port)).login(key or scene.key)


def visited(scene):
    """(client, visitor, the number of their channel), which nobody has answered."""
    client = enter(scene)
    visitor = guest(scene, Visitor(client.forward()))
    return client, visitor, client.visit()


def answers(scene):
    """The server has time for others."""
    sock = socket.create_connection(("127.0.0.1", scene.server.port), 5)
    with sock:
        sock.sendall(b"GET /v1/ssh HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return sock.recv(100).startswith(b"HTTP/1.1 200")


# ---- packets without room for anything ----

def test_packets_become_too_small_later(scene):
    """libssh takes the size from a second confirmation, and would write empty packets for ever."""
    client, visitor, channel = visited(scene)
    client.send(confirm(channel, 7))
    visitor.send(b"x" * 4000)
    assert len(take(client.receive(DATA), 5)[0]) == 4000
    client.send(confirm(channel, 7, packet=10), adjust(channel, 1))
    client.send(global_request("keepalive@openssh.com", True))
    client.receive(REQUEST_SUCCESS)  # all before it has been read
    visitor.send(b"y" * 4000)
    assert "packets of a channel are too small" in client.end()
    assert answers(scene)


@pytest.mark.parametrize("size", [10, 11, 100])
def test_packets_prove_nothing_by_a_small_write(scene, size):
    client, visitor, channel = visited(scene)
    client.send(confirm(channel, 7, window=1 << 30, packet=size))
    if size > 10:
        visitor.send(b"x")
        assert take(client.receive(DATA), 5)[0] == b"x"
    threading.Thread(target=_pour, args=(visitor,), daemon=True).start()
    assert "packets of a channel are too small" in client.end()
    assert answers(scene)


def _pour(visitor):
    try:
        visitor.send(bytes(1 << 20))
    except OSError:
        pass  # it is reset


# ---- requests ----

def test_more_forwards_at_once_than_there_can_be(scene):
    client = enter(scene)
    client.send(*[forward("", 0)] * 100)
    got = [client.receive(REQUEST_SUCCESS, REQUEST_FAILURE)[0] for _ in range(100)]
    assert got == [REQUEST_SUCCESS] * 64 + [REQUEST_FAILURE] * 36


def test_forwards_and_cancels_by_the_thousand(scene):
    client = enter(scene)
    for _ in range(50):
        client.send(*[p for port in range(20) for p in (forward("", 41000 + port),
                                                         cancel("", 41000 + port))])
        for _ in range(40):
            client.receive(REQUEST_SUCCESS, REQUEST_FAILURE)
    client.send(*[cancel("", 41000)] * 500)
    assert all(client.receive(REQUEST_SUCCESS, REQUEST_FAILURE)[0] == REQUEST_FAILURE
               for _ in range(500))
    assert client.forward("", 0) is not None


def test_a_flood_of_forwards_is_the_end(scene):
    client = enter(scene)
    with pytest.raises((Ended, OSError)):
        for _ in range(50):
            client.send(*[forward("", 80, reply=False)] * 500)
        client.receive(-1)
    assert answers(scene)


def test_texts_of_refusals_are_one_field_in_the_log(scene):
    bob, key = scene.person("Bob")
    enter(scene, key).forward("bob", 80)
    client = enter(scene)
    assert client.forward("bob", 80) is None
    line = scene.audit("forward-refused", 'address="bob"')
    assert line.count('"') == 4, line
    assert client.forward('a" event=x \x1b[2J\n', 80) is None
    line = scene.audit("forward-refused", "event=x")
    assert line.count('"') == 4 and line.isprintable(), line
    assert bob is not None


# ---- channels ----

WORDS = {
    "nothing": lambda c: [],
    "a refusal": lambda c: [refuse(c)],
    "a refusal of what is open": lambda c: [confirm(c, 3), refuse(c)],
    "closed before it is open": lambda c: [close(c)],
    "closed, then confirmed": lambda c: [close(c), confirm(c, 3)],
    "end before it is open": lambda c: [eof(c), confirm(c, 3), close(c)],
    "all at once": lambda c: [confirm(c, 3), data(c, b"x"), eof(c), close(c)],
    "no end": lambda c: [confirm(c, 3), data(c, b"x"), close(c)],
    "two ends": lambda c: [confirm(c, 3), eof(c), eof(c), close(c)],
    "closed twice": lambda c: [confirm(c, 3), close(c), close(c), adjust(c, 5)],
    "an end behind the close": lambda c: [confirm(c, 3), close(c), eof(c)],
    "windows that run over": lambda c: [confirm(c, 3, window=0), adjust(c, 2**32 - 1),
                                        adjust(c, 2**32 - 1), close(c)],
    "another's": lambda c: [data(c + 1000, b"x"), close(c + 1000), adjust(c + 1000, 1),
                            refuse(c + 1000), confirm(c + 1000, 1), confirm(c, 3), close(c)],
}


@pytest.mark.parametrize("reset", [False, True], ids=["stays", "resets"])
@pytest.mark.parametrize("why", WORDS)
def test_words_about_a_channel_in_any_order(scene, why, reset):
    """The visitor may be there or not; whatever is said, the session goes on."""
    client, visitor, channel = visited(scene)
    if reset:
        visitor.reset()
    client.send(*WORDS[why](channel))
    with Visitor(client.forward("", 0)) as other:
        ours = client.visit()
        client.send(confirm(ours, 9), data(ours, b"well"))
        assert other.exactly(4) == b"well"


@pytest.mark.parametrize("words", [
    lambda c: [data(c, b"x")],
    lambda c: [confirm(c, 3), eof(c), data(c, b"x")],
    lambda c: [confirm(c, 3), *[data(c, bytes(32000))] * 200],
], ids=["before it is open", "behind the end", "beyond the window"])
def test_bytes_that_must_not_be(scene, words):
    client, _, channel = visited(scene)
    with pytest.raises((Ended, OSError)) as ended:
        client.send(*words(channel))
        client.receive(-1)
    assert ended.type is not socket.timeout
    assert answers(scene)


@pytest.mark.parametrize("seed", range(6))
def test_words_by_chance(scene, seed):
    """Sessions end when they break the rules; the server has forgotten them afterwards."""
    chance = random.Random(seed)
    for _ in range(5):
        client = enter(scene)
        port = client.forward()
        try:
            _talk(client, port, chance)
        except (Ended, OSError):
            pass
        client.close()
    scene.wait_sessions(0)
    assert answers(scene)


def _talk(client, port, chance):
    visitors = []
    for _ in range(40):
        visitor = Visitor(port)
        visitors.append(visitor)
        visitor.send(bytes(chance.choice([1, 3000, 60000])))
        channel = client.visit()
        words = [refuse(channel), eof(channel), close(channel), adjust(channel, 1 << 31),
                 data(channel, b"y" * chance.choice([1, 9000])), confirm(channel, 3, 9),
                 global_request("x" * 99, True), open_channel("session", 5)]
        client.send(confirm(channel, channel, chance.choice([0, 1, 1 << 20])),
                    *chance.choices(words, k=chance.randrange(5)))
        if chance.random() < 0.5:
            visitors.pop(chance.randrange(len(visitors))).close()
    for visitor in visitors:
        visitor.close()


# ---- before the login ----

@pytest.mark.parametrize("service", [False, True], ids=["at once", "with the service"])
@pytest.mark.parametrize("packet", [
    forward("", 0), open_channel("session"), data(0, b"x"), confirm(0, 0), close(0),
    global_request("keepalive@openssh.com", True), b"\x05" + text("ssh-connection"),
    b"\x34", b"\x3d\0\0\0\1" + text("token")],
    ids=["forward", "session", "data", "confirmation", "close", "keepalive", "service",
         "success", "token"])
def test_what_does_not_belong_before_the_login(scene, packet, service):
    client = guest(scene, RawSsh(scene.ssh_port))
    if service:
        client.service()
    client.send(packet)
    client.end()


def test_a_second_screen_is_refused(scene):
    client = enter(scene)
    client.send(open_channel("session", 1), open_channel("session", 2))
    assert client.receive(OPEN_CONFIRMATION, OPEN_FAILURE)[0] == OPEN_CONFIRMATION
    assert client.receive(OPEN_CONFIRMATION, OPEN_FAILURE)[0] == OPEN_FAILURE
    client.send(eof(0))
    assert client.forward("", 0) is not None
    assert EOF not in [p[0] for p in client.kept]


def test_a_screen_right_behind_the_end_of_another(scene):
    client = enter(scene)
    client.send(open_channel("session", 1))
    theirs, = struct.unpack_from(">I", client.receive(OPEN_CONFIRMATION), 5)
    client.send(close(theirs), open_channel("session", 2))
    assert client.receive(OPEN_CONFIRMATION, OPEN_FAILURE)[0] == OPEN_CONFIRMATION
    assert client.forward("", 0) is not None


# ---- work that costs a server more than its client ----

class _Again(threading.Thread):
    """Does something again and again, until the test is over."""

    def __init__(self, scene, what):
        super().__init__(daemon=True)
        self.what, self.over, self.n = what, False, 0
        scene.world.guests.append(self)
        self.start()

    def run(self):
        while not self.over:
            self.what(self)
            self.n += 1

    def kill(self):
        self.over = True
        self.join(20)


def _visits(client, port, n):
    for i in range(n):
        with Visitor(port) as visitor:
            channel = client.visit()
            client.send(confirm(channel, i), data(channel, b"well"))
            assert visitor.exactly(4) == b"well"


def test_keys_are_exchanged_without_end(scene):
    client, hostile = enter(scene), enter(scene)
    port = client.forward()
    again = _Again(scene, lambda _: hostile.exchange_keys())
    _visits(client, port, 40)
    enter(scene)
    wait_until(lambda: again.n > 50, 20, "exchanges of keys")
    again.kill()
    _visits(hostile, hostile.forward(), 1)  # it has only been slowed


def test_strangers_exchange_keys_without_end(scene):
    def stranger(again):
        try:
            peer = RawSsh(scene.ssh_port)
            while not again.over:
                peer.exchange_keys()
            peer.close()
        except (Ended, OSError):
            pass  # it is ended before long

    client = enter(scene)
    port = client.forward()
    strangers = [_Again(scene, stranger) for _ in range(4)]
    _visits(client, port, 20)
    for _ in range(3):
        late = enter(scene)
        _visits(late, late.forward(), 1)
    wait_until(lambda: any(s.n > 0 for s in strangers), 20, "a stranger was ended")
