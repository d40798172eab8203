"""The PROXY protocol, read and written by the test's own hand, from the specification
(haproxy.org, proxy-protocol.txt)."""

import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL = 1, 2, 3, 4, 5, 0x20
SSL_VERSION = 0x21


class Header:
    """What a header said: family "TCP4", "TCP6" or "LOCAL"; ends as (ip, port)."""

    def __init__(self, family, src=None, dst=None, tlvs=()):
        self.family, self.src, self.dst = family, src, dst
        self.tlvs = dict(tlvs)
        assert len(self.tlvs) == len(tlvs), "a TLV came twice"


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def v1(src, dst, sport, dport):
    family = "TCP6" if ":" in src else "TCP4"
    return f"PROXY {family} {src} {dst} {sport} {dport}\r\n".encode()


def v2(src, dst, sport, dport, tlvs=(), command=0x21):
    kind = socket.AF_INET6 if ":" in src else socket.AF_INET
    body = socket.inet_pton(kind, src) + socket.inet_pton(kind, dst)
    body += struct.pack(">HH", sport, dport) + b"".join(tlv(t, v) for t, v in tlvs)
    family = 0x21 if kind == socket.AF_INET6 else 0x11
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body)) + body


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def read_v1(peer):
    line = peer.until(b"\r\n").decode("ascii")
    assert len(line) + 2 <= 107, line
    words = line.split(" ")
    assert words[0] == "PROXY", line
    if words[1] == "UNKNOWN":
        return Header("LOCAL")
    word, family, src, dst, sport, dport = words
    kind = {"TCP4": socket.AF_INET, "TCP6": socket.AF_INET6}[family]
    for ip in (src, dst):
        socket.inet_pton(kind, ip)
    for port in (sport, dport):
        assert port == str(int(port)) and 0 < int(port) < 65536, line
    return Header(family, (src, int(sport)), (dst, int(dport)))


def read_v2(peer):
    head = peer.exactly(16)
    assert head[:12] == SIGNATURE, head
    command, family, length = head[12], head[13], struct.unpack(">H", head[14:])[0]
    body = peer.exactly(length)
    if command == 0x20:
        return Header("LOCAL")
    assert command == 0x21, hex(command)
    size, kind, name = {0x11: (4, socket.AF_INET, "TCP4"),
                        0x21: (16, socket.AF_INET6, "TCP6")}[family]
    src, dst = (socket.inet_ntop(kind, body[i * size:(i + 1) * size]) for i in range(2))
    sport, dport = struct.unpack(">HH", body[2 * size:2 * size + 4])
    tlvs = list(_tlvs(body[2 * size + 4:]))
    header = Header(name, (src, sport), (dst, dport), tlvs)
    if CRC32C in header.tlvs:
        whole = head + body
        sum_ = header.tlvs[CRC32C]
        at = whole.index(tlv(CRC32C, sum_)) + 3
        assert crc32c(whole[:at] + bytes(4) + whole[at + 4:]) == int.from_bytes(sum_, "big")
    return header


def _tlvs(data):
    while data:
        kind, length = struct.unpack(">BH", data[:3])
        assert len(data) >= 3 + length, "a TLV past the end"
        yield kind, data[3:3 + length]
        data = data[3 + length:]


def tls_of(header):
    """(client flags, verify, {sub type: value}) of PP2_TYPE_SSL, or None."""
    value = header.tlvs.get(SSL)
    if value is None:
        return None
    flags, verify = struct.unpack(">BI", value[:5])
    return flags, verify, dict(_tlvs(value[5:]))
