"""Big bodies both ways, with checksums, as fast as Python goes."""

import hashlib

from servers import BLOCK


def download(v, host, size):
    """The checksum of /down/size."""
    v.ask(host, f"/down/{size}")
    answer = v.head()
    assert answer.status == 200 and answer.get("Content-Length") == str(size), answer.status
    sha = hashlib.sha256(v.rest)
    left = size - len(v.rest)
    v.rest = b""
    room = memoryview(bytearray(1 << 20))
    while left > 0:
        n = v.sock.recv_into(room, min(left, len(room)))
        assert n > 0, f"cut short, {left} bytes are missing"
        sha.update(room[:n])
        left -= n
    return sha.hexdigest()


def upload(v, host, size):
    """The checksum that the target has of `size` bytes."""
    v.send(f"POST /up HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n")
    left = size
    while left > 0:
        v.sock.sendall(memoryview(BLOCK)[:left])
        left -= min(left, len(BLOCK))
    answer = v.answer()
    assert answer.status == 200
    return answer.text()
