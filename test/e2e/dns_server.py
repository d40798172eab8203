"""A DNS server of the test's own: on loopback, answers from a dict, or none at all."""

import socket
import struct
import threading

from karez import free_port

TYPES = {"CNAME": 5, "TXT": 16}
# Bytes of a datagram; what is longer is asked for again by TCP.
DATAGRAM = 512
NXDOMAIN, SERVFAIL = 3, 2


def _name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.rstrip(".").split(".")) + b"\0"


def _data(kind, value):
    if kind == "CNAME":
        return _name(value)
    return b"".join(bytes([len(p)]) + p for p in
                    (value.encode()[i:i + 255] for i in range(0, max(len(value), 1), 255)))


def _question(data):
    at = 12
    while data[at]:
        at += 1 + data[at]
    return data[12:at + 5]


def _labels(question):
    labels, at = [], 0
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1").lower())
        at += 1 + question[at]
    return ".".join(labels)


class DnsServer:
    """records: {(name, type): [values]}; names in lower case. A name with nothing is NXDOMAIN."""

    def __init__(self):
        self.records = {}
        self.asked = []       # (name, type), in the order of arrival
        self.mode = "answer"  # "silent": says nothing; "broken": SERVFAIL; "garbage"
        self.broken = set()   # questions (name, type) that fail, whatever the mode
        self.by_tcp = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = free_port()
        self.sock.bind(("127.0.0.1", self.port))
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.ended = False
        for run in (self._run, self._run_tcp):
            threading.Thread(target=run, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        self.ended = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ("127.0.0.1", self.port))

    def set(self, name, kind, *values):
        self.records[(name, kind)] = list(values)

    def clear(self, *names):
        for key in [k for k in self.records if k[0] in names]:
            del self.records[key]

    def _run(self):
        while True:
            data, peer = self.sock.recvfrom(4096)
            if self.ended:
                self.sock.close()
                return
            answer = self._answer(data)
            if answer is not None and len(answer) > DATAGRAM:
                answer = answer[:2] + b"\x83\x80" + data[4:6] + b"\0" * 6 + _question(data)
            if answer is not None:
                self.sock.sendto(answer, peer)

    def _run_tcp(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock, sock.makefile("rb") as file:
                while len(size := file.read(2)) == 2:
                    answer = self._answer(file.read(int.from_bytes(size, "big")))
                    self.by_tcp += 1
                    if answer is not None:
                        sock.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, data):
        question = _question(data)
        name = _labels(question)
        number = struct.unpack(">H", question[-4:-2])[0]
        kind = next((k for k, n in TYPES.items() if n == number), str(number))
        self.asked.append((name, kind))
        if self.mode == "silent":
            return None
        if self.mode == "garbage":
            return data[:2] + b"\x81\x80" + b"\xff" * 20
        rcode, answers = SERVFAIL, []
        if self.mode == "answer" and (name, kind) not in self.broken:
            known = any(key[0] == name for key in self.records)
            answers = self._find(name, kind)
            rcode = 0 if known else NXDOMAIN
        head = data[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, len(answers), 0, 0)
        return head + question + b"".join(answers)

    def _find(self, name, kind):
        """Aliases lead on, as a real server would tell in one answer."""
        found, seen = [], set()
        while name not in seen:
            seen.add(name)
            for value in self.records.get((name, kind), []):
                found.append(self._record(name, kind, value))
            alias = self.records.get((name, "CNAME"), [])
            if kind != "CNAME" and alias:
                found.append(self._record(name, "CNAME", alias[0]))
            if not alias:
                break
            name = alias[0].rstrip(".").lower()
        return found

    @staticmethod
    def _record(name, kind, value):
        data = _data(kind, value)
        return _name(name) + struct.pack(">HHIH", TYPES[kind], 1, 60, len(data)) + data
