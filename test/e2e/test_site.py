"""A directory as a target: what is in it can be fetched, and nothing else."""

import email
import hashlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from email.utils import formatdate, parsedate_to_datetime

import pytest

from karez import check_growth, wait_until
from visitor import Broken, Visitor, fetch

BIG = 8 << 20


@pytest.fixture(scope="module")
def big_bytes():
    return b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(BIG // 32))


@pytest.fixture
def root(tmp_path, big_bytes):
    """Files to be shown, beside some that are not."""
    top = tmp_path / "site"
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "with").mkdir()
    (top / "with" / "index.html").write_text("<h1>by hand</h1>\n")
    (top / "a.txt").write_text("0123456789")
    (top / "empty").write_text("")
    (top / "big.bin").write_bytes(big_bytes)
    (top / "sub" / "b & <c>.txt").write_text("odd name\n")
    (top / "sub" / "ä ö%20?#.md").write_text("odder name\n")
    (top / "sub" / "deep" / "x.json").write_text("{}")
    (top / ".hidden").write_text("not for you")
    (top / ".git").mkdir()
    (top / ".git" / "config").write_text("not for you")
    (top / ".well-known").mkdir()
    (top / ".well-known" / "security.txt").write_text("Contact: a@example.org\n")
    (tmp_path / "secret.txt").write_text("not for you")
    (tmp_path / "site-secret").mkdir()
    (tmp_path / "site-secret" / "s.txt").write_text("not for you")
    (top / "out").symlink_to("../secret.txt")
    (top / "out-dir").symlink_to("..")
    (top / "absolute").symlink_to(tmp_path / "secret.txt")
    (top / "proc").symlink_to("/proc/self/root")
    (top / "loop").symlink_to("loop")
    (top / "inside").symlink_to("sub/deep/x.json")
    (top / "sub" / "up").symlink_to("../a.txt")
    (top / "dir-link").symlink_to("sub")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(top / "socket"))
    return top


@pytest.fixture
def site(world, root):
    server = world.server()
    return server, world.agent(server, f"file://{root}", "--name", "docs"), root


def get(site, path, method="GET", fields=()):
    server, agent, _ = site
    return fetch(server.port, agent.host, path, method, fields)


def curl(site, path, *options, **kw):
    server, agent, _ = site
    host = agent.host.split(":")[0]
    argv = ["curl", "-sS", "--path-as-is", "--resolve", f"{host}:{server.port}:127.0.0.1",
            "--max-time", "30", *options, f"http://{host}:{server.port}{path}"]
    return subprocess.run(argv, capture_output=True, timeout=60, **kw)


# ---- files ----

TYPES = [("/a.txt", "text/plain; charset=utf-8"), ("/big.bin", "application/octet-stream"),
         ("/empty", "application/octet-stream"), ("/with/", "text/html; charset=utf-8"),
         ("/sub/deep/x.json", "application/json"), ("/inside", "application/octet-stream"),
         ("/.well-known/security.txt", "text/plain; charset=utf-8")]


@pytest.mark.parametrize("path,kind", TYPES)
def test_a_file_is_what_it_is(site, path, kind):
    answer = get(site, path)
    assert answer.status == 200
    assert answer.get("Content-Type") == kind
    assert answer.get("X-Content-Type-Options") == "nosniff"
    assert answer.get("Accept-Ranges") == "bytes"
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"', answer.get("ETag"))
    assert parsedate_to_datetime(answer.get("Last-Modified"))
    assert parsedate_to_datetime(answer.get("Date"))
    name = path + "index.html" if path.endswith("/") else path
    assert answer.body == (site[2] / name[1:]).read_bytes()
    head = get(site, path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    for field in ("Content-Length", "ETag", "Last-Modified", "Content-Type"):
        assert head.get(field) == answer.get(field)


def test_a_big_file_arrives_whole_for_many_at_once(site, big_bytes):
    results = []

    def load():
        results.append(get(site, "/big.bin").body == big_bytes)
    threads = [threading.Thread(target=load) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert results == [True] * 8


def test_requests_follow_each_other(site):
    server, agent, _ = site
    with Visitor(server.port) as v:
        for path in ("/a.txt", "/missing", "/sub/", "/big.bin", "/sub", "/a.txt"):
            answer = v.get(agent.host, path)
            assert answer.status == {"/missing": 404, "/sub": 301}.get(path, 200), path


def test_what_is_asked_for_all_at_once_comes_in_order(site):
    server, agent, _ = site
    with Visitor(server.port) as v:
        v.send("".join(f"GET {p} HTTP/1.1\r\nHost: {agent.host}\r\n\r\n"
                       for p in ("/a.txt", "/empty", "/with/", "/nothing") * 10))
        assert [v.answer().status for _ in range(40)] == [200, 200, 200, 404] * 10


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_files_can_only_be_read(site, method):
    body = b"data" if method in ("POST", "PUT", "PATCH") else None
    server, agent, root = site
    answer = fetch(server.port, agent.host, "/a.txt", method, body=body)
    assert answer.status == 405
    assert answer.get("Allow") == "GET, HEAD"
    assert (root / "a.txt").read_text() == "0123456789"


# ---- directories ----

def test_a_list_shows_what_can_be_fetched(site):
    answer = get(site, "/")
    assert answer.status == 200
    assert answer.get("Content-Type") == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.get("Content-Security-Policy")
    links = re.findall(r'<td><a href="\./([^"]*)">', answer.text())
    # folders first, then by name
    assert links == ["dir-link/", "sub/", "with/", "a.txt", "big.bin", "empty", "inside"]
    for link in links:
        assert get(site, "/" + link).status == 200, link
    head = get(site, "/", "HEAD")
    assert head.get("Content-Length") == str(len(answer.body))


def test_odd_names_are_escaped_and_work(site):
    text = get(site, "/sub/").text()
    assert "<c>" not in text
    assert "b &amp; &lt;c&gt;.txt" in text
    links = re.findall(r'<td><a href="\./([^"]*)">', text)
    assert links == ["deep/", "b%20&%20%3Cc%3E.txt", "up", "%C3%A4%20%C3%B6%2520%3F%23.md"]
    assert get(site, "/sub/" + links[1]).text() == "odd name\n"
    assert get(site, "/sub/" + links[3]).text() == "odder name\n"


REDIRECTS = [("/sub", "/sub/"), ("/sub?a=b/../c", "/sub/?a=b/../c"), ("/sub/deep", "/sub/deep/"),
             ("//sub", "/sub/"), ("//evil.example/..//sub", "/sub/"), ("/./sub", "/sub/"),
             ("/with/../sub/%2e", None), ("/dir-link", "/dir-link/"), ("/s%75b", "/sub/")]


@pytest.mark.parametrize("path,to", REDIRECTS)
def test_a_directory_without_its_slash(site, path, to):
    answer = get(site, path)
    if to is None:
        assert answer.status == 200
    else:
        assert (answer.status, answer.get("Location")) == (301, to)


def test_a_directory_with_very_many_files(site):
    many = site[2] / "many"
    many.mkdir()
    for i in range(2500):
        (many / f"{i:04}").touch()
    text = get(site, "/many/").text()
    assert text.count("<td><a href=\"./") == 2000
    assert "There is more here; 2000 entries are shown." in text
    assert len(text) < 600_000
    shutil.rmtree(many)


# ---- no way out ----

NOT_FOUND = [
    "/../secret.txt", "/../../../../../../etc/passwd", "/sub/../../secret.txt",
    "/%2e%2e/secret.txt", "/%2E%2E%2Fsecret.txt", "/..%2fsecret.txt", "/sub/..%2f..%2fsecret.txt",
    "/%252e%252e/secret.txt", "/..%5csecret.txt", "/..\\secret.txt", "/%c0%ae%c0%ae/secret.txt",
    "/%c0%af..%c0%afsecret.txt", "/%e0%80%ae%e0%80%ae/secret.txt", "/....//secret.txt",
    "/..;/secret.txt", "/../site-secret/s.txt", "/-secret/s.txt", "//etc/passwd", "/etc/passwd",
    "/out", "/out-dir/", "/out-dir/secret.txt", "/absolute", "/proc/", "/proc/etc/passwd", "/loop",
    "/.hidden", "/%2ehidden", "/.git/", "/.git/config", "/sub/../.git/config", "/.well-known/.x",
    "/a.txt/", "/a.txt/x", "/a.txt/..%00", "/missing", "/sub/missing/",
    "/" + "x" * 300, "/" + "x/" * 4000, "/sub/" + "../" * 2000 + "secret.txt",
]


def test_nothing_outside_is_there(site):
    for path in NOT_FOUND:
        answer = get(site, path)
        assert answer.status in ((400,) if "%00" in path else (404,)), path
        assert b"not for you" not in answer.body and b"root:" not in answer.body


@pytest.mark.parametrize("path", ["/a.txt%00", "/%00", "/a%00.txt", "/%", "/%2", "/%zz", "/a%%41"])
def test_a_path_that_is_none(site, path):
    assert get(site, path).status == 400


@pytest.mark.parametrize("raw", [b"../secret.txt", b"\\secret.txt", b"/a b", b"/\xc0\xae\xc0\xae/",
                                 b"file:///etc/passwd", b"/a.txt\x00"])
def test_a_target_that_is_none(site, raw):
    server, agent, _ = site
    with Visitor(server.port) as v:
        v.send(b"GET " + raw + b" HTTP/1.1\r\nHost: " + agent.host.encode() + b"\r\n\r\n")
        answer = v.head()
        assert answer.status in (400, 404), answer.status


def test_what_is_no_file(site):
    began = time.monotonic()
    for name in ("fifo", "socket"):
        assert get(site, f"/{name}").status == 403
    (site[2] / "null").symlink_to("/dev/null")
    assert get(site, "/null").status == 404
    assert time.monotonic() - began < 5


def test_links_that_change_under_a_visitor_lead_nowhere_else(site):
    """Somebody swaps a directory and a link out of the tree all the time."""
    server, agent, root = site
    (root / "swap").mkdir()
    (root / "swap" / "secret.txt").write_text("inside")
    (root / "other").symlink_to("..")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(root / "swap", root / "tmp")
            os.rename(root / "other", root / "swap")
            os.rename(root / "swap", root / "other")
            os.rename(root / "tmp", root / "swap")
    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        with Visitor(server.port) as v:
            for _ in range(500):
                answer = v.get(agent.host, "/swap/secret.txt")
                assert b"not for you" not in answer.body
                seen.add(answer.status)
    finally:
        stop.set()
        thread.join()
    assert seen <= {200, 404} and 200 in seen, seen


# ---- ranges and conditions ----

RANGES = [("bytes=0-4", "01234", "bytes 0-4/10"), ("bytes=5-", "56789", "bytes 5-9/10"),
          ("bytes=-3", "789", "bytes 7-9/10"), ("bytes=8-100", "89", "bytes 8-9/10"),
          ("bytes=-100", "0123456789", "bytes 0-9/10"), ("bytes=9-9", "9", "bytes 9-9/10")]


@pytest.mark.parametrize("value,body,content_range", RANGES)
def test_a_range(site, value, body, content_range):
    answer = get(site, "/a.txt", fields=[("Range", value)])
    assert (answer.status, answer.text()) == (206, body)
    assert answer.get("Content-Range") == content_range
    assert answer.get("Content-Length") == str(len(body))
    assert get(site, "/a.txt", "HEAD", [("Range", value)]).status == 200


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_outside(site, value):
    answer = get(site, "/a.txt", fields=[("Range", value)])
    assert (answer.status, answer.get("Content-Range")) == (416, "bytes */10")


@pytest.mark.parametrize("value", ["lines=0-4", "bytes=4-3", "bytes=a-b", "bytes=0-5,5-6", "bytes",
                                   "bytes=" + ",".join(f"{i}-{i}" for i in range(9))])
def test_a_range_that_is_passed_over(site, value):
    answer = get(site, "/a.txt", fields=[("Range", value)])
    assert (answer.status, answer.text()) == (200, "0123456789")


def test_several_ranges(site):
    answer = get(site, "/a.txt", fields=[("Range", "bytes=0-1,4-5,-1")])
    assert answer.status == 206
    assert answer.get("Content-Range") is None
    kind = answer.get("Content-Type")
    assert kind.startswith("multipart/byteranges; boundary=")
    message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + answer.body)
    parts = message.get_payload()
    assert [p["Content-Range"] for p in parts] == ["bytes 0-1/10", "bytes 4-5/10", "bytes 9-9/10"]
    assert [p.get_payload() for p in parts] == ["01", "45", "9"]
    assert all(p["Content-Type"] == "text/plain; charset=utf-8" for p in parts)


def test_several_big_ranges(site, big_bytes):
    answer = get(site, "/big.bin", fields=[("Range", "bytes=0-999999,3000000-4999999")])
    assert answer.status == 206
    assert big_bytes[:1000000] in answer.body
    assert big_bytes[3000000:5000000] in answer.body


def test_curl_takes_up_where_it_stopped(site, tmp_path, big_bytes):
    out = tmp_path / "out.bin"
    out.write_bytes(big_bytes[:3333333])
    assert curl(site, "/big.bin", "-C", "-", "-o", out).returncode == 0
    assert out.read_bytes() == big_bytes
    assert curl(site, "/big.bin", "-r", "1000-1999").stdout == big_bytes[1000:2000]


def test_curl_does_not_fetch_twice(site, tmp_path):
    tag, out = tmp_path / "tag", tmp_path / "out"
    args = ["--etag-save", tag, "--etag-compare", tag, "-o", out, "-w", "%{http_code}"]
    assert curl(site, "/a.txt", *args).stdout == b"200"
    assert out.read_text() == "0123456789"
    assert curl(site, "/a.txt", *args).stdout == b"304"
    (site[2] / "a.txt").write_text("changed")
    assert curl(site, "/a.txt", *args).stdout == b"200"
    assert out.read_text() == "changed"


def test_conditions(site):
    first = get(site, "/a.txt")
    tag, date = first.get("ETag"), first.get("Last-Modified")
    old = formatdate(parsedate_to_datetime(date).timestamp() - 10, usegmt=True)
    cases = [
        ("If-None-Match", tag, 304), ("If-None-Match", f"W/{tag}", 304),
        ("If-None-Match", '"other"', 200), ("If-None-Match", f'"x", {tag}', 304),
        ("If-Modified-Since", date, 304), ("If-Modified-Since", old, 200),
        ("If-Match", tag, 200), ("If-Match", '"other"', 412), ("If-Match", "*", 200),
        ("If-Unmodified-Since", date, 200), ("If-Unmodified-Since", old, 412),
    ]
    for name, value, want in cases:
        answer = get(site, "/a.txt", fields=[(name, value)])
        assert answer.status == want, f"{name}: {value}"
        if want == 304:
            assert (answer.get("ETag"), answer.body) == (tag, b"")
    half = [("Range", "bytes=5-")]
    assert get(site, "/a.txt", fields=[*half, ("If-Range", tag)]).text() == "56789"
    assert get(site, "/a.txt", fields=[*half, ("If-Range", '"other"')]).text() == "0123456789"


# ---- what happens meanwhile ----

def test_a_file_that_shrinks_is_not_taken_for_whole(site):
    server, agent, root = site
    victim = root / "victim.bin"
    with open(victim, "wb") as f:
        f.truncate(64 << 20)
    with Visitor(server.port) as v:
        v.ask(agent.host, "/victim.bin")
        assert v.head().get("Content-Length") == str(64 << 20)
        v.exactly(1000)
        os.truncate(victim, 1 << 20)
        with pytest.raises((Broken, ConnectionResetError)):
            v.exactly(64 << 20)
    assert get(site, "/a.txt").status == 200


def test_a_file_that_is_replaced_arrives_as_it_was(site, big_bytes):
    server, agent, root = site
    with Visitor(server.port) as v:
        v.ask(agent.host, "/big.bin")
        v.head()
        v.exactly(1000)
        (root / "new").write_bytes(b"new")
        os.rename(root / "new", root / "big.bin")
        assert v.exactly(BIG - 1000) == big_bytes[1000:]
        assert v.get(agent.host, "/big.bin").body == b"new"


def test_a_visitor_who_does_not_read_costs_little(site):
    server, agent, root = site
    with open(root / "huge.bin", "wb") as f:
        f.truncate(1 << 30)
    before = (server.rss(), agent.rss())
    lazy = [Visitor(server.port) for _ in range(8)]
    try:
        for v in lazy:
            v.ask(agent.host, "/huge.bin")
            v.exactly(100)
        began = time.monotonic()
        for _ in range(20):
            assert get(site, "/a.txt").status == 200
        assert time.monotonic() - began < 2
        check_growth(before, (server, agent), 48 << 20)
        assert agent.n_files() < agent.base_files + 40
    finally:
        for v in lazy:
            v.reset()
    wait_until(lambda: agent.n_files() <= agent.base_files, 5, "the files are closed")


def test_a_directory_that_goes_and_comes_back(site):
    server, agent, root = site
    os.rename(root, root.with_name("gone"))
    wait_until(lambda: get(site, "/a.txt").status in (502, 503), 5, "it is noticed")
    root.mkdir()
    (root / "a.txt").write_text("anew")
    wait_until(lambda: get(site, "/a.txt").status == 200, 5, "it is back")
    assert get(site, "/a.txt").text() == "anew"


# ---- the program ----

def test_a_directory_that_is_not_there_is_a_mistake(world, tmp_path):
    (tmp_path / "file").write_text("")
    server = world.server()
    for target, why in ((f"file://{tmp_path}/none", "there is no such directory"),
                        (f"file://{tmp_path}/file", "it is not a directory"),
                        ("file:docs", "starts with /"), ("file://host/docs", "no host is named")):
        agent = world.agent_unchecked(server, target)
        assert agent.wait() == 2, target
        assert why in agent.text("err"), agent.text("err")
    for command, target in (("tcp", f"file://{tmp_path}"), ("http", "karez+services:")):
        agent = world.agent_unchecked(server, target, command=(command,))
        assert agent.wait() == 2


def test_requests_are_told(world, root):
    server = world.server()
    agent = world.agent(server, f"file://{root}", "--verbose", "--health", "/a.txt")
    assert agent.shown.endswith(f"file://{root}")
    assert fetch(server.port, agent.host, "/a.txt").status == 200
    agent.wait_line(r"GET /a\.txt.*200")
    assert fetch(server.port, agent.host, "/none").status == 404
    agent.wait_line(r"GET /none.*404")
