"""The documents of a feed that is pulled through, when their directory is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

from headwater.streams.pulling.records import Records


def test_a_directory_that_is_lost_is_made_anew_when_it_is_missed(tmp_path: Path) -> None:
    records = Records(tmp_path / "documents" / "kind", "directory")
    shutil.rmtree(tmp_path / "documents")
    assert records.forget() == 0
    shutil.rmtree(tmp_path / "documents")
    assert records.get("index.json") is None
    with records.asking("index.json", waits=True) as asks:
        assert asks
    assert list(records.known()) == []
