"""Whether the suites ended as the page says. Every difference is one sentence for the person who must act."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance import reasons
from conformance.page import Row
from conformance.reasons import Reason
from conformance.results import Outcome, Result


@dataclass(frozen=True, slots=True)
class Difference:
    """One test that is not as it should be."""

    test: str
    sentence: str
    says: str = ""  # what the suite said


def compare(
    page: Mapping[str, Row], results: Mapping[str, Result], known: Sequence[Reason], *, whole: bool = True
) -> Iterator[Difference]:
    """Yield what is not as the page says.

    Args:
        page: What it says, by test.
        results: What the suites said, by test.
        known: The reasons for what does not pass.
        whole: All tests were run; without it a test that was not run is no difference.
    """
    for test, result in results.items():
        if reasons.excuse(known, result) is not None:
            continue
        row = page.get(test)
        if row is None:
            yield Difference(test, f"{result.outcome}, and is not on the page: it is new to the suite", result.says)
        elif row.outcome is not result.outcome:
            yield Difference(test, f"{_CHANGE[result.outcome]}; the page says {row.outcome}", result.says)
        elif (cause := reasons.why(known, result)) != row.why:
            now = f"now: {cause}" if cause else "the suite says something else now"
            yield Difference(
                test, f"is {row.outcome} for another reason than the page's ({row.why}); {now}", result.says
            )
        elif row.run != result.run:
            yield Difference(test, f"ran in the run {result.run!r}; the page says {row.run!r}")
    if whole:
        for test in page.keys() - results.keys():
            yield Difference(test, "is on the page, and the suites do not have it any more")


def unexplained(results: Mapping[str, Result], known: Sequence[Reason]) -> Iterator[Difference]:
    """Yield what cannot be put on the page, because nobody has said why it does not pass."""
    for test, result in results.items():
        if reasons.why(known, result) is None:
            yield Difference(test, f"{result.outcome}, and no reason in {reasons.FILE.name} holds for it", result.says)


_CHANGE = {
    Outcome.PASSED: "passes now",
    Outcome.SKIPPED: "is skipped now",
    Outcome.FAILED: "fails now",
}
