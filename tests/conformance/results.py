"""What a run of the suites said, test by test.

A suite reports what ends a whole class (a skip before its first test, an error while it is taken down) under the name
of that step alone; here it becomes the result of each test of the class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

_CLASS_STEP = re.compile(r"(?P<step>setUpClass|tearDownClass) \((?P<name>[\w.]+)\)")


class Outcome(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a suite: about a test, or about a step of a class."""

    name: str
    outcome: Outcome
    says: str = ""  # why it was skipped, or the traceback
    seconds: float = 0


@dataclass(frozen=True, slots=True)
class Result:
    """How one test ended in one run."""

    test: str  # module.Class.method
    run: str
    outcome: Outcome
    says: str = ""


def plain_name(name: str) -> str:
    """Return the name of a test without the attributes that tempest hangs on it (``test_x[id-…,smoke]``)."""
    return name.partition("[")[0]


def by_test(run: str, listed: Iterable[str], reports: Iterable[Report]) -> dict[str, Result]:
    """Return the result of each test that was to run.

    Args:
        run: Name of the run.
        listed: The tests that were to run.
        reports: All that the suites reported; of several about one test the worst counts.
    """
    tests: dict[str, Report] = {}
    steps: dict[str, Report] = {}
    for report in reports:
        step = _CLASS_STEP.fullmatch(report.name)
        place, key = (steps, step["name"]) if step else (tests, plain_name(report.name))
        if key not in place or _WORSE[report.outcome] > _WORSE[place[key].outcome]:
            place[key] = report
    return {name: _result(run, name, tests, steps) for name in map(plain_name, listed)}


_WORSE = {Outcome.PASSED: 0, Outcome.SKIPPED: 1, Outcome.FAILED: 2}


def _result(run: str, name: str, tests: Mapping[str, Report], steps: Mapping[str, Report]) -> Result:
    step = steps.get(name.rpartition(".")[0])
    own = tests.get(name, step)
    if own is None:
        return Result(name, run, Outcome.FAILED, "the suite listed it and never reported how it ended")
    if step is not None and step.outcome is Outcome.FAILED and own.outcome is not Outcome.FAILED:
        own = step
    return Result(name, run, own.outcome, own.says)
