"""A forked program ends as one does that Python started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from functional import program
from functional.forking import endings
from functional.headwater_process import bare_environment


@pytest.mark.parametrize("way", ["nothing", "number", "sentence", "large number", "exception"])
def test_a_fork_ends_as_a_process_of_its_own_does(way: str, tmp_path: Path) -> None:
    file = str(Path(endings.__file__))
    environment = bare_environment(tmp_path)
    own = subprocess.run([sys.executable, file, way], env=environment, capture_output=True, text=True, check=False)
    forks = program.Forks(Path(sys.executable), ("forking.endings",))

    def start(out: IO[bytes], err: IO[bytes]) -> program.Process:
        return forks.start([file, way], tmp_path, environment, out, err)

    try:
        forked = program.finished([way], start, 30)
    finally:
        forks.close()
    assert (forked.returncode, forked.stdout) == (own.returncode, own.stdout)
    assert forked.stderr.splitlines()[-1:] == own.stderr.splitlines()[-1:]


def test_a_fork_whose_output_was_not_written_says_so(tmp_path: Path) -> None:
    forks = program.Forks(Path(sys.executable), ("forking.endings",))
    try:
        with Path("/dev/full").open("wb") as out, (tmp_path / "err").open("wb") as err:
            assert forks.start(["endings", "nothing"], tmp_path, bare_environment(tmp_path), out, err).wait(30) == 120
    finally:
        forks.close()
