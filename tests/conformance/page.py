"""``docs/compatibility.md``: every test by name with its result.

It is written from a run, and read again as what the next run must say.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from conformance.results import Outcome
from needs import CHECKOUT

FILE = CHECKOUT / "docs" / "compatibility.md"
_WIDTH = 120
_CLASS = re.compile(r"### `([\w.]+)`")
_ROW = re.compile(r"\| `(\w+)` \| ([\w-]+) \| (\w+) \| ?([^|]*?) ?\|")
_SUITES = {"tempest": "Tempest", "glance_tempest_plugin": "Glance's plugin for tempest"}


@dataclass(frozen=True, slots=True)
class Row:
    """What the page says of one test."""

    test: str
    run: str
    outcome: Outcome
    why: str = ""  # in our words; nothing for a test that passes


@dataclass(frozen=True, slots=True)
class Run:
    """How the suites were run once."""

    name: str
    sentence: str  # what is special about it
    settings: str  # of Headwater, as TOML


def rows(text: str) -> dict[str, Row]:
    """Read what the page says, by test.

    Raises:
        ValueError: A test stands on it twice, or a row is broken.
    """
    found: dict[str, Row] = {}
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            heading = _CLASS.fullmatch(line)
            current = heading[1] if heading else ""
        elif current and line.startswith("| `"):
            cells = _ROW.fullmatch(line)
            if cells is None:
                raise ValueError(f"line {number} is no row of a test: {line}")
            row = Row(f"{current}.{cells[1]}", cells[2], Outcome(cells[3]), cells[4])
            if row.test in found:
                raise ValueError(f"line {number}: {row.test} stands on the page twice")
            found[row.test] = row
    return found


def render(given: Mapping[str, Row], runs: Sequence[Run], versions: Mapping[str, str]) -> str:
    """Write the page."""
    return "\n".join(_lines(sorted(given.values(), key=lambda row: row.test), runs, versions)) + "\n"


def _lines(given: Sequence[Row], runs: Sequence[Run], versions: Mapping[str, str]) -> Iterator[str]:
    yield from (
        "# Compatibility",
        "",
        "<!-- Written by make test-conformance ARGS=--write; tests/conformance/reasons.toml holds the reasons. -->",
        "",
        *_paragraph(
            "The suites with which the OpenStack project tests its own Image service, run against Headwater: all tests "
            f"of `tempest.api.image` and `tempest.scenario.test_unified_limits` (tempest {versions['tempest']}) and "
            "all of `glance-tempest-plugin` "
            f"{versions['glance-tempest-plugin']}, as they are published, nothing patched. The other end is "
            "`headwater serve` with its default store and database, two processes of it on one catalogue, in mode "
            f"`keystone`, beside a real Keystone ({versions['keystone']}) in which tempest makes users, projects and "
            "roles of its own for each class. A small server on loopback holds the disk images that tests fetch. There "
            "is no compute, network or volume service."
        ),
        "",
        *_paragraph(
            "`make test-conformance` does all of this again on your machine, in a few minutes. It fails when any test "
            "is not as this page says: also when one passes that is listed as failed, and when a skip has "
            "another cause."
        ),
        "",
        "## The runs",
        "",
        "Some tests ask for a service that is set up otherwise. Each test belongs to one run.",
        "",
    )
    for run in runs:
        yield from _paragraph(f"**{run.name}**: {run.sentence}")
        yield from ("", "```toml", *run.settings.strip().splitlines(), "```", "")
    yield from ("| Suite | Run | Passed | Skipped | Failed |", "|---|---|---|---|---|")
    for suite, title in _SUITES.items():
        for run in runs:
            mine = [row for row in given if row.test.startswith(f"{suite}.") and row.run == run.name]
            if mine:
                yield f"| {title} | {run.name} | {_counts(mine)} |"
    yield f"| Together | | {_counts(given)} |"
    yield from ("", "## What does not pass, and why", "")
    whys = Counter((row.outcome, row.why) for row in given if row.outcome is not Outcome.PASSED)
    if whys:
        yield from ("| Tests | Result | Why |", "|---|---|---|")
        for (outcome, why), number in sorted(whys.items(), key=lambda each: (each[0][0], -each[1], each[0][1])):
            yield f"| {number} | {outcome} | {why} |"
    else:
        yield "Everything passes."
    for suite, title in _SUITES.items():
        yield from ("", f"## {title}")
        mine = [row for row in given if row.test.startswith(f"{suite}.")]
        for name, tests in groupby(mine, key=lambda row: row.test.rpartition(".")[0]):
            yield from ("", f"### `{name}`", "", "| Test | Run | Result | Why |", "|---|---|---|---|")
            for row in tests:
                why = f" {row.why} " if row.why else " "
                yield f"| `{row.test.rpartition('.')[2]}` | {row.run} | {row.outcome} |{why}|"


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _counts(given: Sequence[Row]) -> str:
    count = Counter(row.outcome for row in given)
    return f"{count[Outcome.PASSED]} | {count[Outcome.SKIPPED]} | {count[Outcome.FAILED]}"
