#!/usr/bin/env python3
"""Builds karez and runs every test; `make check` is this. The last line is "N passed, N failed".

    scripts/check.py [STAGE...]       units asan e2e fuzz; all of them by default

    units  the ordinary build: unit, suite and simulation tests, layers, the seeds of the fuzzers
    asan   the same tests built by clang with the address and undefined-behaviour sanitizers
    e2e    test/e2e by pytest, with the binaries of the ordinary build
    fuzz   each fuzzer for FUZZ_SECONDS (5)

A stage that cannot be built counts as one failure and does not keep the others from running. Counted are test
cases where a program says how many it has (cmocka, pytest), else programs.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MESON = "meson"
PYTHON = "/usr/bin/python3"

SANITIZE = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


def run(*command, env=None, quiet=False):
    """Run a command from the top of the tree. Returns its exit code and, when quiet, what it printed."""
    done = subprocess.run([str(c) for c in command], cwd=ROOT, check=False, env={**os.environ, **(env or {})},
                          stdin=subprocess.DEVNULL, text=True, errors="replace",
                          stdout=subprocess.PIPE if quiet else None, stderr=subprocess.STDOUT if quiet else None)
    return done.returncode, done.stdout or ""


def has_tests(folder):
    """Whether a build folder builds the tests: `make` alone leaves them out."""
    code, said = run(MESON, "introspect", folder, "--buildoptions", quiet=True)
    return code == 0 and any(o["name"] == "tests" and o["value"] for o in json.loads(said))


def build(folder, options, env=None, targets=()):
    """Set up a build folder where there is none, and build. Returns whether that worked."""
    if not (ROOT / folder / "build.ninja").exists():
        if run(MESON, "setup", folder, "-Dtests=true", *options, env=env)[0] != 0:
            return False
    elif not has_tests(folder) and run(MESON, "configure", folder, "-Dtests=true")[0] != 0:
        return False
    wanted = targets(folder) if callable(targets) else targets
    return run("ninja", "-C", folder, *wanted)[0] == 0


def cases_of(result):
    """(passed, failed) of one line of meson's test log: the cases that the program counted, or 1 for itself."""
    said = result.get("stdout", "") + result.get("stderr", "")
    ok = result["result"] in ("OK", "EXPECTEDFAIL")
    passed = sum(int(n) for n in re.findall(r"(?:\[  PASSED  \] |^)(\d+) (?:test\(s\)|passed)", said, re.M))
    failed = sum(map(int, re.findall(r"\[  FAILED  \] (\d+) test", said)))
    if ok:
        return max(passed, 1), 0
    return passed, max(failed, 1)


def meson_test(folder, *options, env=None):
    """Run the tests of a build folder. Returns (passed, failed)."""
    log = ROOT / folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    code, _ = run(MESON, "test", "-C", folder, "--no-rebuild", "--print-errorlogs", *options, env=env)
    passed = failed = 0
    for line in log.read_text().splitlines() if log.exists() else []:
        result = json.loads(line)
        if result["result"] != "SKIP":
            one = cases_of(result)
            passed, failed = passed + one[0], failed + one[1]
    return passed, failed or int(code != 0)


def stage_units():
    if not build("build", []):
        return 0, 1
    return meson_test("build")


def stage_asan():
    options = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debug", "-Doptimization=1",
               "-Dc_args=-fno-omit-frame-pointer"]
    if not build("build-asan", options, env={"CC": "clang"}):
        return 0, 1
    return meson_test("build-asan", "--no-suite", "lint", "--timeout-multiplier", "4", env=SANITIZE)


def stage_e2e():
    if not list((ROOT / "test" / "e2e").glob("test_*.py")):
        return 0, 0
    if not build("build", []):
        return 0, 1
    report = ROOT / "build" / "e2e.xml"
    report.unlink(missing_ok=True)
    code, _ = run(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test/e2e", f"--junitxml={report}")
    passed = failed = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite") if report.exists() else []:
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        failed += bad
        passed += int(suite.get("tests", 0)) - int(suite.get("skipped", 0)) - bad
    return passed, failed or int(code != 0)


def fuzzers(folder):
    """The fuzzers that meson knows in a build folder, as paths inside it."""
    code, said = run(MESON, "introspect", folder, "--targets", quiet=True)
    found = json.loads(said) if code == 0 else []
    return [str(Path(t["filename"][0]).relative_to(ROOT / folder)) for t in found
            if t["type"] == "executable" and t["name"].startswith("fuzz_")]


def fuzz_one(folder, target, seconds):
    """Run one fuzzer. Returns whether it found nothing."""
    name = Path(target).name.removeprefix("fuzz_")
    found = ROOT / folder / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    corpus = ROOT / "test" / "fuzz" / "corpus" / name
    code, said = run(ROOT / folder / target, f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=1024",
                     "-print_final_stats=1", f"-artifact_prefix={ROOT}/{folder}/found/{name}-",
                     found, *([corpus] if corpus.is_dir() else []), env=SANITIZE, quiet=True)
    runs = re.search(r"number_of_executed_units: (\d+)", said)
    print(f"fuzz {name}: {'ok' if code == 0 else 'FAILED'}, {runs.group(1) if runs else 'unknown'} runs", flush=True)
    if code != 0:
        print(said[-6000:], flush=True)
    return code == 0


def stage_fuzz():
    seconds = int(os.environ.get("FUZZ_SECONDS", "5"))
    if not build("build-fuzz", ["-Dfuzz=true", "-Dbuildtype=debug"], env={"CC": "clang"}, targets=fuzzers):
        return 0, 1
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        good = list(pool.map(lambda target: fuzz_one("build-fuzz", target, seconds), fuzzers("build-fuzz")))
    return good.count(True), good.count(False)


STAGES = {"units": stage_units, "asan": stage_asan, "e2e": stage_e2e, "fuzz": stage_fuzz}


def main(argv):
    wanted = argv[1:] or list(STAGES)
    if not set(wanted) <= set(STAGES):
        print(f"usage: scripts/check.py [{'|'.join(STAGES)}]...", file=sys.stderr)
        return 2
    rows = []
    for name in wanted:
        print(f"==== {name}", flush=True)
        start = time.monotonic()
        rows.append((name, *STAGES[name](), time.monotonic() - start))
    print()
    for name, passed, failed, seconds in rows:
        print(f"{name:6} {passed:6} passed {failed:4} failed {seconds:7.0f} s")
    passed, failed = sum(r[1] for r in rows), sum(r[2] for r in rows)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
