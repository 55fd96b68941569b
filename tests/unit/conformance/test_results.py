"""From what a suite reports to how each test ended."""

from __future__ import annotations

import pytest

from conformance.results import Outcome, Report, by_test

PASSED, SKIPPED, FAILED = Outcome
TESTS = ["m.A.test_one[id-1,smoke]", "m.A.test_two[id-2]", "m.B.test_one[id-3]"]


def outcomes(*reports: Report) -> dict[str, str]:
    """Return the outcome of each of ``TESTS``; those of A pass in a run of their own."""
    found = by_test("standard", TESTS, [Report("m.B.test_one[id-3]", PASSED), *reports])
    assert {result.run for result in found.values()} == {"standard"}
    return {name.removeprefix("m."): result.outcome.value for name, result in found.items()}


def test_a_class_that_is_skipped_skips_each_of_its_tests() -> None:
    assert outcomes(Report("setUpClass (m.A)", SKIPPED, "no compute")) == {
        "A.test_one": "skipped",
        "A.test_two": "skipped",
        "B.test_one": "passed",
    }


def test_a_class_that_cannot_be_set_up_fails_each_of_its_tests() -> None:
    found = by_test("standard", TESTS, [Report("setUpClass (m.A)", FAILED, "Keystone is away")])
    assert [(result.outcome, result.says) for result in found.values()][:2] == [(FAILED, "Keystone is away")] * 2


def test_a_class_that_cannot_be_taken_down_fails_its_tests_although_they_passed() -> None:
    passed = [Report(name, PASSED) for name in TESTS[:2]]
    assert set(outcomes(*passed, Report("tearDownClass (m.A)", FAILED, "an image stayed")).values()) == {
        "failed",
        "passed",
    }
    assert outcomes(*passed, Report("tearDownClass (m.A)", FAILED))["A.test_two"] == "failed"


def test_a_test_that_was_never_reported_failed() -> None:
    assert outcomes(Report(TESTS[0], PASSED)) == {
        "A.test_one": "passed",
        "A.test_two": "failed",
        "B.test_one": "passed",
    }


@pytest.mark.parametrize("order", [[PASSED, FAILED], [FAILED, PASSED], [FAILED, SKIPPED]])
def test_of_several_reports_the_worst_counts(order: list[Outcome]) -> None:
    reports = [Report(TESTS[0], outcome) for outcome in order]
    assert outcomes(*reports, Report(TESTS[1], PASSED))["A.test_one"] == "failed"
