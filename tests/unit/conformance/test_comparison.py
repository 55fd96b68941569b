"""What makes ``make test-conformance`` fail, and that the page can be read again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance import page, reasons
from conformance.command import RUNS
from conformance.comparison import compare, unexplained
from conformance.page import Row
from conformance.reasons import Reason
from conformance.results import Outcome, Result

NAME = "tempest.api.image.m.A.test_x"
PASSED = Result(NAME, "standard", Outcome.PASSED)
SKIPPED = Result(NAME, "standard", Outcome.SKIPPED, "Nova is not available")
FAILED = Result(NAME, "standard", Outcome.FAILED, "Traceback …\nKeyError: 'locations'")
KNOWN = [
    Reason(outcome=Outcome.SKIPPED, tests=("tempest.*",), says="Nova is not", why="needs compute"),
    Reason(outcome=Outcome.FAILED, tests=("*.A.test_x",), says="KeyError: 'locations'", why="needs locations"),
]
ROWS = {
    "passed": Row(NAME, "standard", Outcome.PASSED),
    "skipped": Row(NAME, "standard", Outcome.SKIPPED, "needs compute"),
    "failed": Row(NAME, "standard", Outcome.FAILED, "needs locations"),
}
RESULTS = {"passed": PASSED, "skipped": SKIPPED, "failed": FAILED}
VERSIONS = {"tempest": "47", "glance-tempest-plugin": "0.17", "keystone": "30"}


def sentences(row: Row | None, result: Result | None, *, whole: bool = True) -> list[str]:
    on_page = {} if row is None else {row.test: row}
    results = {} if result is None else {result.test: result}
    return [difference.sentence for difference in compare(on_page, results, KNOWN, whole=whole)]


@pytest.mark.parametrize("outcome", list(RESULTS))
def test_what_the_page_says_is_no_difference(outcome: str) -> None:
    assert sentences(ROWS[outcome], RESULTS[outcome]) == []


@pytest.mark.parametrize(
    ("row", "result", "sentence"),
    [
        ("passed", FAILED, "fails now; the page says passed"),
        ("passed", SKIPPED, "is skipped now; the page says passed"),
        ("failed", PASSED, "passes now; the page says failed"),
        ("skipped", PASSED, "passes now; the page says skipped"),
        ("skipped", FAILED, "fails now; the page says skipped"),
        (None, PASSED, "is not on the page"),
        (None, FAILED, "is not on the page"),
        ("passed", None, "the suites do not have it any more"),
        (
            "failed",
            replace(FAILED, says="503 Service Unavailable"),
            "for another reason than the page's (needs locations)",
        ),
        ("skipped", replace(SKIPPED, says="no users left"), "for another reason than the page's (needs compute)"),
        ("passed", replace(PASSED, run="lenient"), "ran in the run 'lenient'"),
    ],
)
def test_what_is_not_as_the_page_says_is_told(row: str | None, result: Result | None, sentence: str) -> None:
    [said] = sentences(ROWS[row] if row else None, result)
    assert sentence in said


def test_what_only_this_machine_cannot_do_is_no_difference_and_never_goes_on_the_page() -> None:
    machine = Reason(outcome=Outcome.SKIPPED, tests=(NAME,), says="no address", why="no network", some_machines=True)
    skipped = replace(SKIPPED, says="no address besides loopback")
    for row in ROWS.values():
        assert list(compare({NAME: row}, {NAME: skipped}, [machine])) == []
        assert len(list(compare({NAME: row}, {NAME: FAILED}, [machine]))) == 1
    assert len(list(unexplained({NAME: skipped}, [machine]))) == 1
    assert reasons.unused([machine], [PASSED]) == []


def test_a_run_of_some_tests_does_not_miss_the_others() -> None:
    assert sentences(ROWS["passed"], None, whole=False) == []


def test_what_does_not_pass_needs_a_reason_before_it_is_put_on_the_page() -> None:
    assert list(unexplained(RESULTS, KNOWN)) == []
    [missing] = unexplained({NAME: replace(FAILED, says="AssertionError")}, KNOWN)
    assert (missing.test, missing.says) == (NAME, "AssertionError")


def test_a_reason_that_no_test_needs_is_found() -> None:
    assert reasons.unused(KNOWN, [SKIPPED, PASSED]) == [KNOWN[1]]
    assert reasons.unused(KNOWN, [SKIPPED, FAILED]) == []


@pytest.mark.parametrize(
    "entry",
    [
        'tests = ["*"]\nsays = "x"\nwhy = "y"',
        'outcome = "skipped"\ntests = ["*"]\nsays = ""\nwhy = "y"',
        'outcome = "skipped"\ntests = []\nsays = "x"\nwhy = "y"',
        'outcome = "skipped"\ntests = ["*"]\nsays = "x"\nwhy = "a | b"',
        'outcome = "late"\ntests = ["*"]\nsays = "x"\nwhy = "y"',
    ],
)
def test_a_reason_that_would_explain_anything_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"reason 1|late"):
        reasons.read(f"[[reason]]\n{entry}\n")


def test_the_page_says_again_what_was_written() -> None:
    given = {
        row.test: row
        for row in (
            ROWS["failed"],
            Row("tempest.api.image.m.A.test_y", "standard", Outcome.PASSED),
            Row("tempest.api.image.m.B.test_x", "lenient", Outcome.SKIPPED, "needs compute"),
            Row("glance_tempest_plugin.tests.m.C.test_x", "standard", Outcome.PASSED),
        )
    }
    assert page.rows(page.render(given, RUNS, VERSIONS)) == given


def test_a_test_that_stands_on_the_page_twice_is_an_error() -> None:
    text = page.render({NAME: ROWS["passed"]}, RUNS, VERSIONS)
    with pytest.raises(ValueError, match="twice"):
        page.rows(text + "\n### `tempest.api.image.m.A`\n| `test_x` | standard | failed | |\n")


def test_the_page_of_the_repository_gives_a_reason_for_all_that_does_not_pass() -> None:
    rows = page.rows(page.FILE.read_text())
    assert rows
    assert [row.test for row in rows.values() if bool(row.why) == (row.outcome is Outcome.PASSED)] == []
    whys = {reason.why for reason in reasons.read(reasons.FILE.read_text())}
    assert {row.why for row in rows.values()} - {""} <= whys
