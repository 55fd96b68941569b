"""What all tests share: the servers, the things from outside, and the list of what did not run."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

from needs import CHECKOUT, PREFIX, client, not_run

pytest.register_assert_rewrite("contracts")  # suites, and what makes things for tests: no test modules

pytest_plugins = [
    "side_by_side",
    "servers.postgresql",
    "servers.mariadb",
    "servers.databases",
    "servers.keystone",
    "servers.rabbitmq",
    "servers.barbican",
    "servers.swift",
]

# Two busy cores make any test slow at times; pytest-timeout ends what hangs.
hypothesis.settings.register_profile("headwater", deadline=None)
hypothesis.settings.load_profile("headwater")

UNIT = CHECKOUT / "tests" / "unit"


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


@pytest.fixture(scope="session")
def cloud_init_modules() -> Path:
    """The directory to put on ``PYTHONPATH`` of ``clients_python`` so that ``import cloudinit`` gives the real one."""
    found = CHECKOUT / ".cache" / "cloud-init" / "usr" / "lib" / "python3" / "dist-packages"
    if not (found / "cloudinit").is_dir():
        not_run("cloud-init (.cache/cloud-init)")
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
