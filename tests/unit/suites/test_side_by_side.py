"""Files of tests run side by side, what measures comes last, and the summary is that of one run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from needs import CHECKOUT, PREFIX
from side_by_side import ALONE, FIRST, GROUPS, IN_PARTS, WAITS, next_of, rewrite_asserts

WAITING = next(place for place, group in GROUPS.items() if group == WAITS and "::" not in place)
LONGEST = next(place for place in FIRST if place.endswith(".py") and place not in GROUPS)
LONG_EACH = next(place for place in FIRST if GROUPS.get(place) == IN_PARTS)
ALONE_PLACE = next(place for place, group in GROUPS.items() if group == ALONE and "::" in place)
ALONE_FILE, _, ALONE_TEST = ALONE_PLACE.partition("::")

_TESTS = """
import os, time
import pytest

LOG = os.environ["LOG"]

@pytest.mark.parametrize("number", range(3))
def test_it(number, request):
    with open(LOG, "a") as log:
        print(request.path.parent.name, request.path.stem, os.environ.get("PYTEST_XDIST_WORKER"), "begins", file=log)
    time.sleep(0.05)
    with open(LOG, "a") as log:
        print(request.path.parent.name, request.path.stem, os.environ.get("PYTEST_XDIST_WORKER"), "ends", file=log)
"""


def run(directory: Path, *options: str, plugin: str = "side_by_side") -> tuple[str, list[list[str]]]:
    """Run the tests below ``directory`` in three processes; return what is printed, and the words of each log line."""
    log = directory / "log"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-p", plugin, "-p", "no:cacheprovider", "-n", "3", *options],
        cwd=directory,
        env={
            "PATH": "",
            "PYTHONPATH": str(CHECKOUT / "tests"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # each of the four processes would import all that is installed
            "LOG": str(log),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr, [line.split() for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\nfilterwarnings = error\n")
    for name in (WAITING, LONGEST, *(f"tests/unit/test_{letter}.py" for letter in "abcd")):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_TESTS)
    file = tmp_path / ALONE_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_TESTS + _TESTS.replace("test_it", ALONE_TEST))
    return tmp_path


def stem(file: str) -> str:
    return Path(file).stem


def test_a_file_has_one_process_and_what_measures_runs_when_the_others_have_ended(directory: Path) -> None:
    said, log = run(directory)
    assert "24 passed" in said, said
    workers: dict[str, set[str]] = {}
    for _, file, worker, _ in log[:-6]:
        workers.setdefault(file, set()).add(worker)
    assert all(len(workers[file]) == 1 for file in workers.keys() - {stem(WAITING)}), workers
    assert len(set().union(*workers.values())) > 1
    assert {file for _, file, *_ in log[-6:]} == {stem(ALONE_FILE)}
    assert [word for *_, word in log[-6:]] == ["begins", "ends"] * 3
    assert len({worker for _, _, worker, _ in log[-6:]}) == 1
    # Its other tests hold whatever else runs.
    assert [file for _, file, *_ in log[:-6]].count(stem(ALONE_FILE)) == 6


def test_the_longest_begins_first_and_what_waits_comes_when_the_rest_is_given_away(directory: Path) -> None:
    said, log = run(directory)
    assert "24 passed" in said, said
    orders: dict[str, list[str]] = {}
    for _, file, worker, _ in log[:-6]:
        orders.setdefault(worker, []).append(file)
    (of_the_longest,) = (order for order in orders.values() if stem(LONGEST) in order)
    assert of_the_longest[0] == stem(LONGEST)
    for order in orders.values():
        waits = [file == stem(WAITING) for file in order]
        assert waits == sorted(waits), orders
    assert len([order for order in orders.values() if stem(WAITING) in order]) > 1  # side by side


def test_while_some_wait_others_have_something_to_do() -> None:
    unit, short, waits = "tests/unit/test_a.py", "tests/functional/test_short.py", f"{WAITS}: x"
    scopes = [ALONE, waits, unit, short, LONGEST]
    assert [next_of(scopes, may_wait=may) for may in (True, False)] == [LONGEST, unit]
    assert [next_of([ALONE, waits, short, unit], may_wait=may) for may in (True, False)] == [short, unit]
    for may in (True, False):  # none of those that are wanted is left
        assert [next_of([ALONE, waits, each], may_wait=may) for each in (short, unit)] == [short, unit]
        assert [next_of([ALONE, *rest], may_wait=may) for rest in ([waits], [])] == [waits, ALONE]


def test_a_file_whose_tests_are_long_each_is_given_away_in_parts(directory: Path) -> None:
    file = directory / LONG_EACH
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_TESTS)
    said, log = run(directory, LONG_EACH, "tests/unit/test_a.py")
    assert "6 passed" in said, said
    assert len({worker for _, file, worker, _ in log if file == stem(LONG_EACH)}) > 1
    assert len({worker for _, file, worker, _ in log if file == "test_a"}) == 1


def test_what_waits_or_measures_runs_when_there_is_nothing_else(directory: Path) -> None:
    said, log = run(directory, WAITING, ALONE_PLACE)
    assert "6 passed" in said, said
    assert {file for _, file, *_ in log[:6]} == {stem(WAITING)}
    assert [word for *_, word in log[6:]] == ["begins", "ends"] * 3


def test_a_process_that_dies_is_replaced_and_its_test_fails(directory: Path) -> None:
    (directory / "tests" / "unit" / "test_d.py").write_text("import os\ndef test_it(): os._exit(3)\n")
    for _ in range(4):
        said, log = run(directory)
        if "cannot send" not in said:  # xdist gives up by itself when it writes to a process in the moment of its death
            break
        (directory / "log").unlink()
    assert "1 failed, 21 passed" in said, said
    assert {file for _, file, *_ in log[-6:]} == {stem(ALONE_FILE)}


def test_what_did_not_run_is_listed_and_a_warning_fails(directory: Path) -> None:
    file = directory / "tests" / "unit" / "test_a.py"
    file.write_text(
        "import warnings\nfrom needs import not_run\n"
        "def test_absent(): not_run('the teapot')\ndef test_warns(): warnings.warn('hot')\n"
    )
    said, _ = run(directory, "-n", "1", str(file), plugin="conftest")
    assert f"tests/unit/test_a.py: 1 test did not run: {PREFIX}the teapot is missing".replace(PREFIX, "") in said, said
    assert "1 failed, 1 skipped" in said, said


def test_files_are_compiled_once_for_all_processes(directory: Path, request: pytest.FixtureRequest) -> None:
    first, second, broken = (directory / f"tests/unit/test_{letter}.py" for letter in "abc")
    first.write_text("def test_it():\n    text = 'rewritten'\n    assert text == 'another'\n")
    broken.write_text("def test_it(:\n")
    rewrite_asserts([first, broken], request.config)
    assert [file.name.partition(".")[0] for file in (first.parent / "__pycache__").iterdir()] == ["test_a"]
    rewrite_asserts([first, second], request.config)
    written = {file: file.stat().st_mtime_ns for file in (first.parent / "__pycache__").iterdir()}
    assert len(written) == 2
    said, _ = run(directory, str(first), str(second))
    assert "1 failed, 3 passed" in said, said
    assert "assert 'rewritten' == 'another'" in said, said
    assert {file: file.stat().st_mtime_ns for file in written} == written  # pytest has found them, and used them


def test_one_file_needs_no_process_of_its_own(directory: Path) -> None:
    file = "tests/unit/test_a.py"
    assert "bringing up nodes" not in run(directory, "-n", "auto", file)[0]
    assert "workers" in run(directory, "-n", "auto", file, "tests/unit/test_b.py")[0]


def test_everything_that_is_placed_is_there() -> None:
    for place in {*GROUPS, *FIRST} - set(GROUPS.values()):
        file, _, name = place.partition("::")
        assert (CHECKOUT / file).exists(), place
        assert not name or f"\ndef {name}(" in (CHECKOUT / file).read_text(), place
    assert {ALONE, WAITS} <= set(GROUPS.values())
