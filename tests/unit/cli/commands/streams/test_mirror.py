"""What is said of a mirror that was written, or would be."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from headwater.cli.main import app
from headwater.streams.trees.directory import DirectoryTree
from unit.streams.mirroring.feeds import put, two_releases


@pytest.mark.parametrize("dry_run", [True, False], ids=["only said", "done"])
def test_what_would_be_done_is_not_said_as_done(tmp_path: Path, *, dry_run: bool) -> None:
    command = ["streams", "mirror", str(tmp_path / "source"), str(tmp_path / "target"), "--grace", "0"]
    put(DirectoryTree(tmp_path / "source"), two_releases())
    assert CliRunner().invoke(app, command).exit_code == 0
    contents = two_releases()
    del contents["example:one:amd64"]
    put(DirectoryTree(tmp_path / "source"), contents)
    result = CliRunner().invoke(app, [*command, *(["--dry-run"] if dry_run else [])])
    assert result.exit_code == 0
    first, *_, last = result.stdout.splitlines()[:-1]
    assert first == ("would be " if dry_run else "") + "changed streams/v1/images.json"
    assert last.startswith("would be removed images/" if dry_run else "removed images/")
