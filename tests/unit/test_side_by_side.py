"""Files of tests run side by side, those that must not come last, and the summary is that of one run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from needs import CHECKOUT, PREFIX
from side_by_side import ALONE, GROUPS

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
    alone = ("faults/test_service_and_database", "torture/test_y")
    for name in (*alone, "unit/test_a", "unit/test_b", "unit/test_c", "unit/test_d"):
        file = tmp_path / "tests" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_TESTS)
    return tmp_path


def test_a_file_has_one_process_and_those_that_want_quiet_run_alone(directory: Path) -> None:
    said, log = run(directory)
    assert "18 passed" in said, said
    workers: dict[str, set[str]] = {}
    for _, file, worker, _ in log:
        workers.setdefault(file, set()).add(worker)
    assert all(len(of_file) == 1 for of_file in workers.values()), workers
    assert len(set().union(*workers.values())) > 1
    quiet = [place in ("faults", "torture") for place, *_ in log]
    assert quiet == sorted(quiet), log
    assert [word for place, *_, word in log if place in ("faults", "torture")] == ["begins", "ends"] * 6


def test_a_test_that_wants_quiet_leaves_the_others_of_its_file_where_they_are(directory: Path) -> None:
    place = next(each for each in GROUPS if each.startswith("tests/functional/") and "::" in each)
    file, _, name = place.partition("::")
    path = directory / file
    path.parent.mkdir()
    path.write_text(_TESTS + _TESTS.replace("test_it", name))
    said, log = run(directory)
    assert "24 passed" in said, said
    quiet = [index for index, (place, *_) in enumerate(log) if place in ("faults", "torture")]
    begun = [index for index, (_, stem, *_) in enumerate(log) if stem == path.stem]
    assert len([index for index in begun if index < quiet[0]]) >= 6  # some of those that want none
    assert len({worker for place, _, worker, _ in log[quiet[0] :]}) == 1


def test_those_that_want_quiet_run_when_there_is_nothing_else(directory: Path) -> None:
    said, log = run(directory, "tests/torture", "tests/faults")
    assert "6 passed" in said, said
    assert [word for *_, word in log] == ["begins", "ends"] * 6


def test_a_process_that_dies_is_replaced_and_its_test_fails(directory: Path) -> None:
    file = directory / "tests" / "faults" / "test_service_and_database.py"
    file.write_text("import os\ndef test_it(): os._exit(3)\n")
    said, log = run(directory)
    assert "1 failed, 15 passed" in said, said
    assert [word for place, *_, word in log if place == "torture"] == ["begins", "ends"] * 3


def test_what_did_not_run_is_listed_and_a_warning_fails(directory: Path) -> None:
    file = directory / "tests" / "unit" / "test_a.py"
    file.write_text(
        "import warnings\nfrom needs import not_run\n"
        "def test_absent(): not_run('the teapot')\ndef test_warns(): warnings.warn('hot')\n"
    )
    said, _ = run(directory, str(file), plugin="conftest")
    assert f"tests/unit/test_a.py: 1 test did not run: {PREFIX}the teapot is missing".replace(PREFIX, "") in said, said
    assert "1 failed, 1 skipped" in said, said


def test_one_file_needs_no_process_of_its_own(directory: Path) -> None:
    file = "tests/unit/test_a.py"
    assert "bringing up nodes" not in run(directory, "-n", "auto", file)[0]
    assert "workers" in run(directory, "-n", "auto", file, "tests/unit/test_b.py")[0]


def test_everything_that_is_placed_is_there() -> None:
    for place in GROUPS:
        file, _, name = place.partition("::")
        assert (CHECKOUT / file).exists(), place
        assert not name or f"\ndef {name}(" in (CHECKOUT / file).read_text(), place
    assert ALONE in GROUPS.values()
