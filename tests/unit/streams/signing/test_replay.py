from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.streams.signing.replay import OlderThanSeen, Seen, SeenUnreadable, moment, require_not_older

OLD, NEW = "Thu, 26 Nov 2026 09:00:00 +0000", "Thu, 26 Nov 2026 09:00:01 +0000"


@pytest.mark.parametrize(
    ("updated", "seen"),
    [(NEW, OLD), (OLD, OLD), (NEW, None), (None, None), (None, "yesterday"), ("2026-11-26T10:00:00+01:00", OLD)],
)
def test_what_is_newer_or_of_the_same_time_is_fine(updated: str | None, seen: str | None) -> None:
    require_not_older("tree", "index.json", updated, seen)


@pytest.mark.parametrize("updated", [OLD, None, "soon", "2026-11-26T08:00:00Z", "Thu, 26 Nov 2026 10:59:00 +0200"])
def test_what_is_older_or_does_not_say_is_refused(updated: str | None) -> None:
    with pytest.raises(OlderThanSeen, match=r"tree: index\.json .*an old state"):
        require_not_older("tree", "index.json", updated, NEW)


@given(st.text())
def test_every_text_is_a_time_or_none(text: str) -> None:
    found = moment(text)
    assert found is None or found.tzinfo is not None


def test_what_was_seen_is_kept_by_tree_and_path(tmp_path: Path) -> None:
    file = tmp_path / "seen.json"
    seen = Seen.load(file)
    seen.see("https://a", "index.json", NEW)
    seen.see("https://b", "index.json", OLD)
    seen.see("https://a", "undated.json", None)
    seen.save(file)
    again = Seen.load(file)
    again.see("https://b", "index.json", OLD)
    with pytest.raises(OlderThanSeen):
        again.see("https://a", "index.json", OLD)
    assert [each.name for each in tmp_path.iterdir()] == ["seen.json"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"seen": 1}', b'{"seen": {"a": {"b": 1}}}', b"\xff"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "seen.json"
    file.write_bytes(body)
    with pytest.raises(SeenUnreadable, match=r"seen\.json: "):
        Seen.load(file)


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SeenUnreadable, match="can not be written"):
        Seen().save(tmp_path / "absent" / "seen.json")
    with pytest.raises(SeenUnreadable, match="can not be read"):
        Seen.load(tmp_path)
