"""What is said of a feed that is published, or would be."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from headwater.cli.main import app
from unit.cli.commands.streams.test_find import feed


@pytest.mark.parametrize("dry_run", [True, False], ids=["only said", "done"])
def test_what_would_be_done_is_not_said_as_done(tmp_path: Path, *, dry_run: bool) -> None:
    command = ["streams", "publish", str(feed(tmp_path / "feed")), str(tmp_path / "there")]
    result = CliRunner().invoke(app, [*command, *(["--dry-run"] if dry_run else [])])
    assert result.exit_code == 0
    first = result.stdout.splitlines()[0]
    assert first.startswith("would be added streams/" if dry_run else "added streams/")
    assert (tmp_path / "there").exists() is not dry_run
