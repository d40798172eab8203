"""Fixtures: a world of its own for every test, and what every test checks at its end.

    /usr/bin/python3 -m pytest test/e2e

    KAREZ_BUILD          where karezd and karez are; build/ by default
    KAREZ_E2E_SANITIZED  1: they are built with sanitizers, so they are slower and larger
    KAREZ_E2E_BULK       bytes of the big bodies; 1 GiB by default
    KAREZ_E2E_SSH_BULK   bytes through SSH while keys change; 128 MiB, 2 GiB is the long run
"""

import pytest

import certs
from karez import BUILD, World


def pytest_collection_modifyitems(config, items):
    missing = [n for n in ("karezd", "karez") if not (BUILD / n).exists()]
    if missing:
        raise pytest.UsageError(f"not built: {', '.join(missing)} in {BUILD} (run make, or set "
                                "KAREZ_BUILD)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    world = item.funcargs.get("world")
    if call.when == "call" and report.failed:
        item.stash[_failed] = True
    if report.failed and world is not None:
        report.sections += list(world.logs())


_failed = pytest.StashKey()


@pytest.fixture
def world(tmp_path, request):
    """Programs started through it are ended by it, and must have behaved until then."""
    w = World(tmp_path)
    try:
        yield w
        if not request.node.stash.get(_failed, False):
            w.check()
    finally:
        w.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A private certificate authority with a certificate for localhost, and one that nobody
    trusts."""
    return certs.make(tmp_path_factory.mktemp("certs"))
