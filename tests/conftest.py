"""What all tests share: the servers, the things from outside, and the list of what did not run."""

from __future__ import annotations

import gc
import os
import socket
from collections import Counter
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import NoReturn

import httpcore2
import hypothesis
import pytest
from botocore.loaders import JSONFileLoader

import memory
import statements
from needs import AUTHORITIES, CHECKOUT, PREFIX, client, not_run

# Suites, and what makes things for tests: no test modules.
pytest.register_assert_rewrite("contracts", "faults", "fuzzing", "torture")

pytest_plugins = [
    "side_by_side",
    "processor_seconds",
    "servers.database.postgresql",
    "servers.database.mariadb",
    "servers.database.databases",
    "servers.openstack.keystone",
    "servers.rabbitmq",
    "servers.openstack.barbican",
    "servers.openstack.glance",
    "servers.ceph",
    "servers.openstack.swift",
]

# Two busy cores make any test slow at times; pytest-timeout ends what hangs.
hypothesis.settings.register_profile("headwater", deadline=None)
hypothesis.settings.load_profile("headwater")

os.environ.update(AUTHORITIES)
# Each client of httpx2 reads the certificates of the machine, whatever the environment says.
httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)

# Each session of boto3 reads what S3 is anew, from JSON that is a megabyte long.
_read_json = cache(JSONFileLoader().load_file)
JSONFileLoader.load_file = lambda _self, path: _read_json(path)

statements.share()
memory.take_temporary_files()

UNIT = CHECKOUT / "tests" / "unit"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the collector of garbage pass over all tests and modules, which stay: it would visit them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _unit_tests_open_no_socket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.path.is_relative_to(UNIT):
        return

    def refuse(*_arguments: object) -> NoReturn:
        pytest.fail("a test in tests/unit opened a socket; it belongs in tests/functional or tests/contracts")

    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)


@pytest.fixture(scope="session")
def clients_python() -> Path:
    """The Python of the environment with the clients that others wrote (and what cloud-init imports)."""
    return client("python")


@pytest.fixture(scope="session")
def openstack_client() -> Path:
    """The program ``openstack``."""
    return client("openstack")


@pytest.fixture(scope="session")
def glance_client() -> Path:
    """The program ``glance``."""
    return client("glance")


@pytest.fixture(scope="module", params=["distribution", "newest"])
def cloud_init_modules(request: pytest.FixtureRequest) -> Path:
    """The directory to put on ``PYTHONPATH`` of ``clients_python`` so that ``import cloudinit`` gives a real one.

    A test that asks for it runs with the distribution's, and with the newest that could be fetched.
    """
    place = ".cache/cloud-init" if request.param == "distribution" else f".cache/cloud-init-{request.param}"
    found = CHECKOUT / place / "usr" / "lib" / "python3" / "dist-packages"
    if not (found / "cloudinit").is_dir():
        if request.param == "newest":
            pytest.skip(f"a newer release's cloud-init could not be fetched ({place})")
        not_run(f"cloud-init ({place})")
    return found


@pytest.fixture(scope="session")
def distribution_iso() -> Path:
    """A bootable ISO image, exactly as a package of the distribution ships it."""
    found = sorted((CHECKOUT / ".cache" / "iso").glob("*.iso"))
    if not found:
        not_run("an ISO image of the distribution (.cache/iso)")
    return found[0]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Close the run with what could not run, by file, for want of something outside the repository."""
    yield
    suites: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.getreports("skipped"):
        if isinstance(report, pytest.TestReport) and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if reason.startswith(PREFIX):
                suites[report.location[0], reason.removeprefix(PREFIX)] += 1
    if not suites:
        return
    terminalreporter.section("NOT RUN", sep="!", red=True, bold=True)
    for (file, reason), number in sorted(suites.items()):
        terminalreporter.write_line(f"{file}: {number} test{'s' * (number > 1)} did not run: {reason}", red=True)
