#!/usr/bin/env python3
"""Checks that the tree keeps to its own rules: layers.conf, and what doc/ and CONTRIBUTING say a file may do.

    layers.py [ROOT]      ROOT is the top of the tree, by default the one this file stands in

Prints one "file:line: message" for each breach and exits 1; says how much it looked at and exits 0 otherwise.
It reads text, not C: comments and strings are blanked first, the rest goes by the house style (what stands at
column 0 is file scope), which clang-format guarantees.
"""
import fnmatch
import re
import sys
from pathlib import Path

MAX_LINES = 800

# Each foreign library is known to one module: what its headers begin with, its name, the files that may know it.
LIBRARIES = [
    ("uv.h", "libuv", ["src/ev/ev_uv.c"]),
    ("openssl/", "OpenSSL", ["src/wire/tls*", "src/wire/wire_tls*", "src/wire/ws_key.c", "src/core/digest.c", "src/core/ssh_ca*"]),
    ("nghttp2/", "nghttp2", ["src/session/mux*"]),
    ("libssh/", "libssh", ["src/session/secsh*"]),
    ("sqlite3.h", "SQLite", ["src/store/store_sqlite.c"]),
    ("hiredis/", "hiredis", ["src/store/store_redis*", "src/cluster/*redis*"]),
    ("ares.h", "c-ares", ["src/net/net_dns.c"]),
    ("jansson.h", "jansson", ["src/core/json*", "src/proto/json*"]),
    ("yaml.h", "libyaml", ["src/config/*"]),
    ("curl/", "libcurl", ["src/cli/cli_http.c"]),
    ("qrencode.h", "libqrencode", ["src/app/*qr*"]),
]

# Headers that everybody may include: the C library's and the kernel's.
SYSTEM = re.compile(
    r"^((sys|netinet|arpa|linux|net)/\w+|assert|ctype|dirent|errno|fcntl|fnmatch|getopt|glob|grp|inttypes|limits"
    r"|ifaddrs|locale|malloc|math|netdb|poll|pthread|pwd|sched|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio"
    r"|stdlib|string|strings|syslog|termios|threads|time|unistd|wait|wchar)\.h$")

# Calls that belong to one room, and why.
CALLS = [
    (r"socket|connect|bind|listen|accept4?|send|recv|sendto|recvfrom|sendmsg|recvmsg|sendmmsg|recvmmsg"
     r"|setsockopt|getsockopt|getsockname|getpeername|shutdown|getaddrinfo|gethostbyname",
     "net", "sockets live in src/net only"),
    (r"socketpair", "net session", "sockets live in src/net only; libssh is tried on a pair in src/session"),
    (r"clock_gettime|gettimeofday|time|clock|timespec_get|ftime", "ev", "the clock is read in src/ev only"),
    (r"pthread_create|thrd_create|fork|vfork", "ev app", "threads exist in src/ev only, processes in src/app only"),
    (r"usleep|nanosleep|clock_nanosleep|sleep", "", "nobody sleeps: use a timer"),
    (r"gets|strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|strncpy|alloca", "", "not safe with strangers' bytes: see base/str.h, base/num.h"),
]

# Functions whose file does not give them its name, and why that is better.
NAMES = {
    "check_failed": "behind the macro CHECK",
    "must_calloc": "reads as an English sentence where it is used",
    "must_strdup": "the same",
    "siphash": "the name of the algorithm",
    "main": "the language wants it",
}


def blank(text):
    """The text with comments and the insides of strings turned to spaces; lines stay where they are."""
    def spaces(match):
        found = match.group(0)
        if found[0] == '"' or found[0] == "'":
            return found[0] + " " * (len(found) - 2) + found[-1]
        return re.sub(r"[^\n]", " ", found)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', spaces, text, flags=re.S)


def read_conf(path, complain):
    """folder -> set of folders that it may include; None for all of them."""
    may = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        folder, colon, rest = line.partition(":")
        if not colon or folder in may:
            complain(path, number, f'"{line}" is not "folder: folders", or the folder stands there twice')
            continue
        may[folder] = None if rest.strip() == "*" else set(rest.split())
        for other in sorted((may[folder] or set()) - set(may)):
            complain(path, number, f'{folder} may include {other}, which does not stand above it')
    return may


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        self.found = []
        self.may = read_conf(self.root / "layers.conf", self.complain)

    def complain(self, path, line, message):
        self.found.append(f"{path.relative_to(self.root)}:{line}: {message}")

    def check(self):
        sources = sorted(p for p in (self.root / "src").rglob("*") if p.suffix in (".c", ".h"))
        tests = sorted((self.root / "test").rglob("*.[ch]")) if (self.root / "test").is_dir() else []
        self.check_unique(sources)
        for path in sources:
            text = path.read_text()
            code = blank(text)
            self.check_length(path, text)
            self.check_includes(path, text)
            self.check_calls(path, code)
            self.check_file_scope(path, code)
            if path.suffix == ".c":
                self.check_names(path, code)
            else:
                self.check_guard(path, text)
        for path in tests:
            self.check_length(path, path.read_text())
        return len(sources) + len(tests)

    def check_unique(self, sources):
        first = {}
        for path in sources:
            other = first.setdefault(path.stem, path)
            if other.parent != path.parent:
                self.complain(path, 1, f"the name {path.stem} is taken by {other.relative_to(self.root)}: "
                                       "base names are unique, they are the prefix of what a file exports")

    def check_length(self, path, text):
        lines = text.count("\n")
        if lines > MAX_LINES:
            self.complain(path, lines, f"{lines} lines: past {MAX_LINES} it is two files")

    def check_includes(self, path, text):
        room = path.relative_to(self.root / "src").parts[0]
        own = [f"{room}/{path.stem}.h", f"{room}/{path.stem}_internal.h"]
        includes = [(text.count("\n", 0, m.start()) + 1, m.group(1), m.group(2))
                    for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', text, re.M)]
        if room not in self.may:
            self.complain(path, 1, f"the folder {room} does not stand in layers.conf")
            return
        for line, kind, name in includes:
            if kind == "<":
                self.check_foreign(path, line, name)
                continue
            folder, slash, _ = name.partition("/")
            allowed = self.may[room]
            if not slash or not (self.root / "src" / name).is_file():
                self.complain(path, line, f'"{name}" is not a file of src/ written as "folder/file.h"')
            elif folder != room and allowed is not None and folder not in allowed:
                self.complain(path, line, f"{room} may not include {folder} (layers.conf): {name}")
        own = [name for name in own if (self.root / "src" / name).is_file()]
        if path.suffix == ".c" and own and includes and includes[0][2] not in own:
            self.complain(path, includes[0][0], f'the own header comes first: "{own[0]}"')

    def check_foreign(self, path, line, header):
        name = str(path.relative_to(self.root))
        for prefix, library, files in LIBRARIES:
            if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
                if not any(fnmatch.fnmatch(name, pattern) for pattern in files):
                    self.complain(path, line, f"{library} is known to {', '.join(files)} only")
                return
        if not SYSTEM.match(header):
            self.complain(path, line, f"<{header}> is neither the system's nor in the table of libraries "
                                      "(test/lint/layers.py)")

    def check_calls(self, path, code):
        room = path.relative_to(self.root / "src").parts[0]
        for names, rooms, why in CALLS:
            if room in rooms.split():
                continue
            for m in re.finditer(rf"(?<![\w.>])({names})\s*\(", code):
                self.complain(path, code.count("\n", 0, m.start()) + 1, f"{m.group(1)}(): {why}")

    def check_file_scope(self, path, code):
        for number, line in enumerate(code.splitlines(), 1):
            if re.match(r"\s+static\b", line):
                declared = line.strip()
            elif re.match(r"[A-Za-z_]", line):
                declared = line
            else:
                continue
            before = re.split(r"[=;{]", declared)[0]
            if not re.search(r"[=;]|\[", declared) or "(" in before:
                continue  # a function, or the head of a type
            if re.match(r"(typedef|extern)\b|(static\s+)?(struct|union|enum)(\s+\w+)?\s*$", before) or \
                    re.match(r"\w+:", declared) or re.fullmatch(r"\w+_fn \w+;", declared):
                continue  # a type, a label, or a function declared by its type
            if self.is_mutable(before):
                self.complain(path, number, "mutable at file scope (or static in a function): " + declared.strip())

    @staticmethod
    def is_mutable(before):
        if "*" in before:  # the pointer itself must be const, not only what it points to
            return not re.match(r"\s*const\b", before.rsplit("*", 1)[1])
        return not re.search(r"\bconst\b", before)

    def check_names(self, path, code):
        room = path.relative_to(self.root / "src").parts[0]
        prefixes = (path.stem + "_", path.stem + "s_", path.stem.split("_")[0] + "_", room + "_")
        for m in re.finditer(r"^(?!static\b|typedef\b|extern\b)[A-Za-z_][\w \t*]*?[ \t*](\w+)\(([^;{}]*?)\)\s*\n\{", code, re.M):
            name = m.group(1)
            if name not in NAMES and name != path.stem and not name.startswith(prefixes):
                self.complain(path, code.count("\n", 0, m.start()) + 1,
                              f"{name}() does not begin with {prefixes[0]}: name it after its file, or make it static")

    def check_guard(self, path, text):
        parts = path.relative_to(self.root / "src").with_suffix("").parts
        guard = "_".join(["KAREZ", *parts, "H"]).upper()
        m = re.search(r"^#ifndef (\w+)\n#define (\w+)\n", text, re.M)
        if m is None or m.group(1) != guard or m.group(2) != guard:
            self.complain(path, 1, f"the include guard is not {guard}")


def main(argv):
    root = Path(argv[1]) if len(argv) > 1 else Path(__file__).resolve().parents[2]
    tree = Tree(root)
    n_files = tree.check()
    for message in tree.found:
        print(message)
    if not tree.found:
        print(f"layers: {n_files} files keep to layers.conf")
    return 1 if tree.found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
