"""Why a test does not pass, in our words: ``reasons.toml``.

A reason holds for tests by name, for one outcome, and only while the suite itself says what the reason expects: a test
that is skipped or fails for another cause than before has no reason. A reason of ``some_machines`` excuses a test
there, whatever the page says of it, and is never put on the page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from conformance.results import Outcome, Result

FILE = Path(__file__).with_name("reasons.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One entry of the file."""

    outcome: Outcome
    tests: tuple[str, ...]  # names, in which * stands for anything
    says: str  # part of what the suite says
    why: str
    some_machines: bool = False  # the cause is the machine that the suites run on

    def holds_for(self, result: Result) -> bool:
        """Whether it explains this result."""
        return (
            result.outcome is self.outcome
            and self.says in result.says
            and any(fnmatchcase(result.test, pattern) for pattern in self.tests)
        )


def read(text: str) -> list[Reason]:
    """Read the file.

    Raises:
        ValueError: It is not what it should be; the message says which entry.
    """
    found = []
    for number, entry in enumerate(tomllib.loads(text).get("reason", []), 1):
        some_machines = entry.pop("some_machines", False)
        if entry.keys() != {"outcome", "tests", "says", "why"}:
            raise ValueError(f"reason {number} has {sorted(entry)}; it needs outcome, says, tests and why")
        if not (entry["tests"] and entry["says"] and entry["why"]) or "|" in entry["why"]:
            raise ValueError(f"reason {number}: nothing in it is empty, and why has no '|'")
        outcome = Outcome(entry["outcome"])
        reason = Reason(outcome=outcome, tests=tuple(entry["tests"]), says=entry["says"], why=entry["why"])
        found.append(replace(reason, some_machines=some_machines))
    return found


def why(reasons: Sequence[Reason], result: Result) -> str | None:
    """Return why the test did not pass: the first reason that holds, ``None`` without one, nothing when it passed."""
    if result.outcome is Outcome.PASSED:
        return ""
    return next((reason.why for reason in reasons if reason.holds_for(result) and not reason.some_machines), None)


def excuse(reasons: Sequence[Reason], result: Result) -> str | None:
    """Return why this machine could not run the test; ``None`` when that is no matter of the machine."""
    return next((reason.why for reason in reasons if reason.some_machines and reason.holds_for(result)), None)


def unused(reasons: Sequence[Reason], results: Iterable[Result]) -> list[Reason]:
    """Return the reasons that explain nothing any more."""
    given = list(results)
    lasting = [reason for reason in reasons if not reason.some_machines]
    return [reason for reason in lasting if not any(reason.holds_for(result) for result in given)]
