"""The checker itself, on small trees: each rule is kept once and broken once."""
import subprocess
import sys
from pathlib import Path

import pytest

LAYERS = Path(__file__).with_name("layers.py")

CONF = "base:\nev: base  # the loop\nnet: base ev\nwire: base ev net\ncore: base\napp: *\n"

# A tree that keeps every rule; cases below add to it or write over it.
GOOD = {
    "layers.conf": CONF,
    "src/base/str.h": '#ifndef KAREZ_BASE_STR_H\n#define KAREZ_BASE_STR_H\n#include <stddef.h>\nint str_len(void);\n#endif\n',
    "src/base/str.c": '/* Why. */\n#include "base/str.h"\n\n#include <string.h>\n\nstatic const char *const names[] = {"a"};\n\n'
                      'int str_len(void)\n{\n\treturn names[0] != NULL;\n}\n',
    "src/ev/ev_uv.c": '#include <uv.h>\n\n#include "base/str.h"\n\nint ev_now(void)\n{\n\treturn (int)time(NULL);\n}\n',
    "src/net/net_sock.c": '#include <sys/socket.h>\n\nint net_open(void)\n{\n\treturn socket(1, 2, 3);\n}\n',
    "src/app/karez.c": '#include "base/str.h"\n\nint main(void)\n{\n\treturn str_len();\n}\n',
}


def run(tmp_path, files):
    for name, text in {**GOOD, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([sys.executable, LAYERS, tmp_path], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_a_good_tree(tmp_path):
    code, lines = run(tmp_path, {})
    assert code == 0
    assert lines == ["layers: 5 files keep to layers.conf"]


FINE = {
    "a folder includes itself": ("src/core/a.c", '#include "core/route.h"\n'),
    "app includes everything": ("src/app/node.c", '#include "base/str.h"\n#include "core/route.h"\n'),
    "a call in a comment": ("src/base/a.c", "/* socket(1) and time(0) are\n * connect(2) */\n// sleep(1)\n"),
    "a call in a string": ("src/base/a.c", 'static const char *const a = "socket(1) \\" time(0)";\n'),
    "a member with a call's name": ("src/base/a.c", "int a_b(void)\n{\n\treturn p->connect(1) + s.send(2);\n}\n"),
    "a longer name": ("src/base/a.c", "int a_b(void)\n{\n\treturn a_connect(1) + my_time(2);\n}\n"),
    "a constant table": ("src/base/a.c", "static const struct {\n\tint n;\n} rows[] = {\n\t{1},\n};\n"),
    "a static function": ("src/base/a.c", "static int a_b(int c)\n{\n\treturn c;\n}\n"),
    "a prototype": ("src/base/a.c", "static void a_b(void);\nstruct c;\nenum { A = 1 };\n"),
    "a constant in a function": ("src/base/a.c", "int a_b(void)\n{\n\tstatic const int n = 3;\n\treturn n;\n}\n"),
    "a type": ("src/base/a.c", "struct a {\n\tint n;\n};\n\ntypedef int a_fn(int n);\na_fn a_do;\n"),
    "the private header first": ("src/core/dial.c", '#include "core/dial_internal.h"\n'),
    "800 lines": ("src/base/a.c", "\n" * 800),
    "OpenSSL where it belongs": ("src/wire/tls_context.c", "#include <openssl/ssl.h>\n"),
}
HEADERS = {
    "src/core/route.h": "#ifndef KAREZ_CORE_ROUTE_H\n#define KAREZ_CORE_ROUTE_H\n#endif\n",
    "src/core/dial.h": "#ifndef KAREZ_CORE_DIAL_H\n#define KAREZ_CORE_DIAL_H\n#endif\n",
    "src/core/dial_internal.h": "#ifndef KAREZ_CORE_DIAL_INTERNAL_H\n#define KAREZ_CORE_DIAL_INTERNAL_H\n#endif\n",
}


@pytest.mark.parametrize("why", FINE)
def test_what_is_fine(tmp_path, why):
    name, text = FINE[why]
    code, lines = run(tmp_path, {**HEADERS, name: text})
    assert (code, lines[0].split(":")[0]) == (0, "layers")


BREACHES = {
    "a folder above": ("src/base/a.c", '\n#include "core/route.h"\n', "src/base/a.c:2: base may not include core"),
    "a folder beside": ("src/core/a.c", '#include "net/x.h"\n', "src/core/a.c:1: core may not include net"),
    "a folder nobody knows": ("src/odd/a.c", "", "src/odd/a.c:1: the folder odd does not stand in layers.conf"),
    "no folder": ("src/core/a.c", '#include "route.h"\n', 'src/core/a.c:1: "route.h" is not a file of src/'),
    "a file that is not there": ("src/core/a.c", '#include "core/gone.h"\n', 'src/core/a.c:1: "core/gone.h" is not a file'),
    "a spaced include": ("src/base/a.c", '  # include  "core/route.h"\n', "src/base/a.c:1: base may not include core"),
    "another's header first": ("src/core/dial.c", '#include "base/str.h"\n#include "core/dial.h"\n',
                               "src/core/dial.c:1: the own header comes first"),
    "a library elsewhere": ("src/core/a.c", "#include <uv.h>\n", "src/core/a.c:1: libuv is known to src/ev/ev_uv.c only"),
    "a library by folder": ("src/core/a.c", "#include <openssl/ssl.h>\n", "src/core/a.c:1: OpenSSL is known to"),
    "a library in its folder's other file": ("src/ev/a.c", "#include <uv.h>\n", "src/ev/a.c:1: libuv is known to"),
    "an unknown library": ("src/core/a.c", "#include <zlib.h>\n", "src/core/a.c:1: <zlib.h> is neither"),
    "a name twice": ("src/core/str.c", "", "src/core/str.c:1: the name str is taken by src/base/str.c"),
    "801 lines": ("src/core/a.c", "\n" * 801, "src/core/a.c:801: 801 lines"),
    "801 lines of test": ("test/unit/a.c", "\n" * 801, "test/unit/a.c:801: 801 lines"),
    "a foreign name": ("src/core/a.c", "int a_b(void)\n{\n}\n\nint helper(int n,\n\t   int m)\n{\n}\n", "src/core/a.c:5: helper()"),
    "a foreign name of a pointer": ("src/core/a.c", "struct b *helper(void)\n{\n}\n", "src/core/a.c:1: helper()"),
    "a static counter": ("src/core/a.c", "static int n;\n", "src/core/a.c:1: mutable"),
    "a static counter with a value": ("src/core/a.c", "static int n = 3;\n", "src/core/a.c:1: mutable"),
    "a static array": ("src/core/a.c", "static char room[100];\n", "src/core/a.c:1: mutable"),
    "a pointer that moves": ("src/core/a.c", "static const char *name;\n", "src/core/a.c:1: mutable"),
    "pointers that move": ("src/core/a.c", 'static const char *names[] = {\n"a"};\n', "src/core/a.c:1: mutable"),
    "a global": ("src/core/a.c", "\nstruct b thing;\n", "src/core/a.c:2: mutable"),
    "a static struct": ("src/core/a.c", "static struct b thing = {\n\t1,\n};\n", "src/core/a.c:1: mutable"),
    "a static in a function": ("src/core/a.c", "int a_b(void)\n{\n\tstatic int n;\n}\n", "src/core/a.c:3: mutable"),
    "a socket": ("src/core/a.c", "int a_b(void)\n{\n\treturn socket(1, 2, 3);\n}\n", "src/core/a.c:3: socket(): sockets live"),
    "accept4": ("src/ev/a.c", "int a_b(void)\n{\n\treturn accept4 (1);\n}\n", "src/ev/a.c:3: accept4(): sockets live"),
    "a clock": ("src/net/a.c", "int a_b(void)\n{\n\treturn time(0);\n}\n", "src/net/a.c:3: time(): the clock is read"),
    "another clock": ("src/app/a.c", "int a_b(void)\n{\n\tclock_gettime(0, 0);\n}\n", "src/app/a.c:3: clock_gettime()"),
    "a thread": ("src/store/a.c", "", "src/store/a.c:1: the folder store does not stand"),
    "a thread in core": ("src/core/a.c", "int a_b(void)\n{\n\tpthread_create(0);\n}\n", "src/core/a.c:3: pthread_create()"),
    "sleeping": ("src/ev/a.c", "int a_b(void)\n{\n\tusleep(1);\n}\n", "src/ev/a.c:3: usleep()"),
    "sprintf": ("src/ev/a.c", "int a_b(void)\n{\n\tsprintf(a, b);\n}\n", "src/ev/a.c:3: sprintf()"),
    "no include guard": ("src/core/a.h", "struct a;\n", "src/core/a.h:1: the include guard is not KAREZ_CORE_A_H"),
    "another's include guard": ("src/core/a.h", "#ifndef KAREZ_BASE_A_H\n#define KAREZ_BASE_A_H\n#endif\n",
                                "src/core/a.h:1: the include guard"),
    "a folder that stands below": ("layers.conf", "a: b\n" + CONF, "layers.conf:1: a may include b, which does not"),
    "a folder twice": ("layers.conf", CONF + "base: ev\n", "layers.conf:7:"),
}


@pytest.mark.parametrize("why", BREACHES)
def test_what_is_told(tmp_path, why):
    name, text, want = BREACHES[why]
    code, lines = run(tmp_path, {**HEADERS, "src/net/x.h": "#ifndef KAREZ_NET_X_H\n#define KAREZ_NET_X_H\n#endif\n", name: text})
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith(want)
