from __future__ import annotations

from pathlib import Path

import pytest

from headwater.client.service import Patience, Unreachable
from headwater.client.uploading import Notebook, State, cache_directory


def test_a_state_is_found_again_by_the_same_file_for_the_same_service(tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"data")
    book = Notebook(tmp_path / "states", "http://x", file, {"name": "a"})
    assert book.read().image_id is None
    book.write(State("k", "i", "/v2/u"))
    assert Notebook(tmp_path / "states", "http://x", file, {"name": "a"}).read() == State("k", "i", "/v2/u")
    assert [oct(each.stat().st_mode & 0o777) for each in (tmp_path / "states").iterdir()] == ["0o600"]
    for service, wanted in (("http://y", {"name": "a"}), ("http://x", {"name": "b"})):
        assert Notebook(tmp_path / "states", service, file, wanted).read().image_id is None
    file.write_bytes(b"other data")
    assert Notebook(tmp_path / "states", "http://x", file, {"name": "a"}).read().image_id is None
    book.forget()
    book.forget()
    assert book.read().image_id is None


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"key": 1}', b"\xff"])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, damaged: bytes) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"data")
    book = Notebook(tmp_path / "states", "http://x", file, None)
    book.write(State("k"))
    (kept,) = (tmp_path / "states").iterdir()
    kept.write_bytes(damaged)
    assert book.read().key != "k"


def test_states_lie_in_the_cache_of_the_user() -> None:
    assert cache_directory({"XDG_CACHE_HOME": "/c"}) == Path("/c/headwater/uploads")
    assert cache_directory({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache/headwater/uploads"


def test_patience_grows_and_ends_when_nothing_has_moved_for_long() -> None:
    now, pauses = 0.0, list[float]()

    def sleep(pause: float) -> None:
        nonlocal now
        now += pause
        pauses.append(pause)

    told = list[str]()
    patience = Patience(100, told=told.append, sleep=sleep, clock=lambda: now)
    now = 1000.0  # of work that went well
    error = Unreachable("http://x", "it is away")
    with pytest.raises(Unreachable):
        while True:
            patience.wait(error)
    assert pauses[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert 1100 <= now < 1130
    waited_for = "the service at http://x does not answer: it is away; trying again for 100 s"
    assert told == [waited_for]  # once, and not at every pause
    patience.moved()
    patience.wait(error)
    assert pauses[-1] == 0.5
    assert told == [waited_for]  # what is lost for a moment is not told
    patience.wait(error)
    assert told == [waited_for] * 2  # it is away again
