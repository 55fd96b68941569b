from __future__ import annotations

import pytest

from headwater.images.compute_proxy import words
from headwater.images.model import Image, Status


def image(status: Status = Status.ACTIVE, **properties: str) -> Image:
    return Image(id="", created_at=0, updated_at=0, status=status, properties=properties)


@pytest.mark.parametrize(
    ("status", "word", "progress"),
    [
        (Status.QUEUED, "SAVING", 25),
        (Status.SAVING, "SAVING", 50),
        (Status.UPLOADING, "UNKNOWN", 0),
        (Status.IMPORTING, "UNKNOWN", 0),
        (Status.ACTIVE, "ACTIVE", 100),
        (Status.DEACTIVATED, "UNKNOWN", 0),
        (Status.KILLED, "ERROR", 0),
        (Status.PENDING_DELETE, "DELETED", 0),
        (Status.DELETED, "DELETED", 0),
    ],
)
def test_each_state_has_a_word_and_the_word_finds_it(status: Status, word: str, progress: int) -> None:
    assert (words.status(image(status)), words.progress(image(status))) == (word, progress)
    assert status.value in words.statuses(word)
    assert words.statuses(status.value.upper())  # as Nova passed on what it did not know


def test_a_word_means_all_states_that_have_it_and_no_others() -> None:
    assert words.statuses("saving") == ("queued", "saving")
    assert words.statuses("Unknown") == ("uploading", "importing", "deactivated")
    assert words.statuses("queued") == ("queued",)
    assert words.statuses("nonsense") == ()


@pytest.mark.parametrize(("said", "word"), [("True", "AUTO"), ("1", "AUTO"), ("False", "MANUAL"), ("", "MANUAL")])
def test_the_disk_config_is_told_where_the_image_tells_it(said: str, word: str) -> None:
    assert words.disk_config(image(auto_disk_config=said)) == word
    assert words.disk_config(image()) is None
