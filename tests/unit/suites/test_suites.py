"""Each test is in one of the suites that ``.ci/run`` passes, and in no second one."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from needs import CHECKOUT

FILES = sorted(path.relative_to(CHECKOUT) for path in (CHECKOUT / "tests").rglob("test_*.py"))
WITHOUT_FILES = {"check", "test-conformance"}  # tests/conformance runs the tests of others


def called() -> list[str]:
    """Return the targets of make that ``.ci/run`` passes, in its order."""
    (names,) = re.findall(r"^suites=\((.*)\)$", (CHECKOUT / ".ci" / "run").read_text(), re.MULTILINE)
    return str(names).split()


def command(suite: str) -> list[str]:
    """Return the words of the command that the suite ends with."""
    make = ["make", "--dry-run", "--no-print-directory", suite]
    said = subprocess.run(make, cwd=CHECKOUT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    return shlex.split(said.stdout.splitlines()[-1])


def places(words: list[str]) -> Iterator[Path]:
    yield from (Path(word) for word in words if word.startswith("tests/"))


def chosen(words: list[str]) -> set[Path]:
    """Return the files of tests that pytest runs when it is called so."""
    left_out = [Path(word.removeprefix("--ignore=")) for word in words if word.startswith("--ignore=")]
    wanted = list(places(words)) or [Path("tests")]
    return {
        file
        for file in FILES
        if any(file.is_relative_to(place) for place in wanted)
        and not any(file.is_relative_to(place) for place in left_out)
    }


def test_each_file_of_tests_is_in_one_suite_of_those_that_a_change_must_pass() -> None:
    suites = {suite: chosen(command(suite)) for suite in called() if suite not in WITHOUT_FILES}
    assert {str(file): [suite for suite, files in suites.items() if file in files] for file in FILES} == {
        str(file): [next((suite for suite, files in suites.items() if file in files), "in no suite")] for file in FILES
    }
    assert all(suites.values()), suites


@pytest.mark.parametrize("suite", [suite for suite in called() if suite not in WITHOUT_FILES])
def test_a_suite_takes_its_files_whole(suite: str) -> None:
    words = command(suite)
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    assert set(options) <= {"-m", "--ignore", "--numprocesses", "--unset"}, words
    assert words.count("-m") == words.count("pytest"), words  # `python -m pytest`; no marks are picked
    assert all((CHECKOUT / place).exists() for place in places(words)), words


def test_each_suite_stands_in_the_page_for_those_who_work_here() -> None:
    page = (CHECKOUT / "docs" / "how-to" / "develop.md").read_text()
    assert [suite for suite in called() if f"| `make {suite}` |" not in page] == []
