"""What each file of tests takes of the processors, with all that it starts: ``make test ARGS=--processor-seconds``.

A clock says little on a machine that others use too, or where tests run side by side; these seconds change less. What
outlives those who started it is not counted.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

OPTION = "--processor-seconds"
_TICKS = os.sysconf("SC_CLK_TCK")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="show the seconds of processors that each file takes")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption(OPTION):
        config.pluginmanager.register(ProcessorSeconds(), "seconds of processors")


class ProcessorSeconds:
    """Counts user and system time from the setup of a test to the end of its teardown."""

    def __init__(self) -> None:
        self._before = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        self._before = spent()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "teardown":
            report.user_properties.append((OPTION, spent() - self._before))
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        files: defaultdict[str, float] = defaultdict(float)
        for reports in terminalreporter.stats.values():
            for report in reports:
                for name, seconds in getattr(report, "user_properties", ()):
                    if name == OPTION:
                        files[report.nodeid.partition("::")[0]] += seconds
        terminalreporter.section("seconds of processors")
        terminalreporter.write_line(f"{sum(files.values()):8.1f} all")
        for file, seconds in sorted(files.items(), key=lambda each: -each[1]):
            terminalreporter.write_line(f"{seconds:8.1f} {file}")


def spent() -> float:
    """Return what this process and its descendants, those that have ended too, have had so far."""
    own = os.times()
    return sum(own[:4]) + sum(map(_of, _descendants(os.getpid())))


def _descendants(pid: int) -> Iterator[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:  # it has just ended
        return
    for task in tasks:
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from _descendants(child)


def _of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS
