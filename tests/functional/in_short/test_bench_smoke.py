"""``make bench`` still measures everything: all of it once, in sizes too small to say anything of speed."""

from __future__ import annotations

import importlib
import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from needs import CHECKOUT

BENCHES = (
    "start",
    "upload",
    "download",
    "stores",
    "imports",
    "cache",
    "slow",
    "list",
    "feed",
    "metadata",
    "config-drives",
    "guests-beside",
    "boot-storm",
    "registry",
    "decompression",
    "query",
    "mirror",
    "lint",
    "validate",
    "feed-requests",
)
TINY = (
    *("--rounds", "1"),
    *("--upload-size", "5000001"),  # neither whole pieces nor whole blocks
    *("--upload-size-of-four", "3M"),
    *("--download-size", "8M"),
    *("--store-size", "17M"),
    *("--import-size", "9M"),
    *("--cache-size", "9M"),
    *("--cache-readers", "8"),
    *("--readers", "12"),
    *("--catalogues", "100,200"),
    *("--registries", "60,120"),
    *("--databases", "sqlite"),
    *("--seconds", "0.1"),
    *("--pages", "20"),
    *("--starts", "1"),
    *("--feed-sizes", "20k"),
    *("--mirrored-files", "80"),
    *("--guests", "20"),
    *("--load-generator", "own"),
)
PATIENCE_S = 300

Main = Callable[[Sequence[str]], int]


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, CHECKOUT / "tools" / "bench.py", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            said, complained = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.terminate()  # not killed, so that it stops its servers
            said, complained = process.communicate()
            pytest.fail(f"the benches took longer than {PATIENCE_S} s:\n{said}\n{complained}")
    return subprocess.CompletedProcess(command, process.returncode, said, complained)


def only_document(directory: Path) -> dict[str, Any]:
    (file,) = directory.glob("bench-*.json")
    document: dict[str, Any] = json.loads(file.read_bytes())
    return document


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """What the run printed, its JSON, and the directory that it worked in."""
    data, output = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("output")
    done = bench(*TINY, "--data-dir", data, "--output", output)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, only_document(output), data


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Iterator[Main]:
    """Give what the program does with its arguments, in this process: to import it takes a second."""
    monkeypatch.syspath_prepend(CHECKOUT)
    handler = signal.getsignal(signal.SIGTERM)
    yield importlib.import_module("tools.benches.command").main
    signal.signal(signal.SIGTERM, handler)


def test_every_bench_gives_figures_that_can_be(run: tuple[str, dict[str, Any], Path]) -> None:
    figures = run[1]["figures"]
    assert {figure["bench"] for figure in figures} == set(BENCHES)
    for figure in figures:
        # Processor time is counted in hundredths of a second, memory may not grow at all, and a file system in memory
        # writes nothing.
        is_coarse = figure["unit"] in ("s/GiB", "MiB", "bytes") or "the process that signs" in figure["name"]
        least = 0 if is_coarse else 1e-6
        assert all(math.isfinite(each) and each >= least for each in figure["runs"]), figure
        assert figure["min"] <= figure["median"] <= figure["max"], figure


def test_a_figure_and_its_peer_are_measured_equally_often(run: tuple[str, dict[str, Any], Path]) -> None:
    figures = {(figure["bench"], figure["name"]): figure for figure in run[1]["figures"]}
    assert len(figures) == len(run[1]["figures"])
    compared = [figure for figure in run[1]["figures"] if figure["beside"]]
    assert compared
    for figure in compared:
        peer = figures[figure["bench"], figure["beside"]]["runs"]
        assert figure["ratios"] == [a / b for a, b in zip(figure["runs"], peer, strict=True)], figure


def test_every_target_is_printed_with_its_outcome(run: tuple[str, dict[str, Any], Path]) -> None:
    printed, document, _ = run
    lines = [line.split() for line in printed.splitlines()]
    assert {target["bench"] for target in document["targets"]} == {
        "start",
        "upload",
        "config-drives",
        "decompression",
        "download",
        "stores",
        "imports",
        "cache",
        "slow",
        "list",
        "feed",
        "guests-beside",
        "boot-storm",
        "registry",
        "query",
        "mirror",
        "lint",
        "validate",
        "feed-requests",
    }
    for target in document["targets"]:
        within = target["measured"] >= target["limit"]
        assert target["reached"] is (within if target["bound"] == "at least" else not within), target
        outcome = "yes" if target["reached"] else "NO"
        words = target["target"].split()
        assert any(line[: len(words)] == words and line[-1] == outcome for line in lines), (target, printed)


def test_what_is_asked_for_and_what_is_changed_is_measured_at_every_size(run: tuple[str, dict[str, Any], Path]) -> None:
    names = [figure["name"] for figure in run[1]["figures"] if figure["bench"] == "list"]
    for what in ("show", "list of 25", "list of 25, by tag", "create", "patch", "page, deep page"):
        for count in (100, 200):
            end = f"sqlite, at {count} images"
            assert any(name.startswith(f"{what}, ") and name.endswith(end) for name in names), (what, count)


def test_the_run_leaves_nothing_behind(run: tuple[str, dict[str, Any], Path]) -> None:
    assert list(run[2].iterdir()) == []


def test_the_run_says_of_what_it_was_made(run: tuple[str, dict[str, Any], Path]) -> None:
    document = run[1]
    assert document["plan"]["upload_size"] == 5000001
    assert document["machine"]["cores"] >= 1
    assert document["machine"]["versions"]["headwater"]


def test_only_what_is_asked_for_is_measured(tmp_path: Path) -> None:
    done = bench(*TINY, "--only", "feed", "--data-dir", tmp_path, "--output", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {figure["bench"] for figure in only_document(tmp_path)["figures"]} == {"feed"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "upload,lunch"), "there is no bench 'lunch'"),
        (("--upload-size", "2X"), "'2X' is not a size"),
        (("--catalogues", "10"), "has 100 images or more"),
        (("--databases", "oracle"), "no catalogue on 'oracle'"),
        (("--readers", "0"), "is not a number above 0"),
        (("--data-dir", "absent"), "cannot write to absent"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: tuple[str, ...], words: str, main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(arguments)
    except SystemExit as error:  # as argparse ends
        code = error.code
    assert code == 2
    assert words in capsys.readouterr().err


def test_a_wrong_argument_ends_the_program() -> None:
    done = bench("--only", "lunch")
    assert done.returncode == 2
    assert "there is no bench 'lunch'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_without_room_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    done = bench("--only", "upload", "--upload-size", "99999999G", "--data-dir", tmp_path, "--output", tmp_path)
    assert done.returncode == 1
    assert "smaller --upload-size" in done.stderr
    assert list(tmp_path.iterdir()) == []
