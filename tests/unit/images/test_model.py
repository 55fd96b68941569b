from __future__ import annotations

import dataclasses
from itertools import product

import pytest

from headwater.images.model import MOVES, Image, ImageProtected, Status, StatusConflict

# Source: the compatibility specification, section 16.1.
ALLOWED = {
    "queued": {"saving", "uploading", "importing", "active", "deleted"},
    "saving": {"active", "killed", "deleted", "queued"},
    "uploading": {"importing", "queued", "deleted"},
    "importing": {"active", "deleted", "queued"},
    "active": {"pending_delete", "deleted", "deactivated"},
    "deactivated": {"active", "deleted"},
    "killed": {"deleted"},
    "pending_delete": {"deleted", "active"},
    "deleted": set(),
}


def an_image(status: Status = Status.QUEUED, *, protected: bool = False) -> Image:
    return Image(id="x", created_at=1, updated_at=2, status=status, size=5, virtual_size=6, protected=protected)


def test_every_status_has_its_moves() -> None:
    assert set(MOVES) == set(Status)
    assert set(ALLOWED) == {status.value for status in Status}


@pytest.mark.parametrize(("now", "wanted"), list(product(Status, Status)))
def test_an_image_moves_where_the_api_allows_it_and_nowhere_else(now: Status, wanted: Status) -> None:
    image = an_image(now)
    if wanted.value in ALLOWED[now.value]:
        assert image.moved_to(wanted).status is wanted
    else:
        with pytest.raises(StatusConflict, match=f"from {now} to {wanted} is not allowed") as caught:
            image.moved_to(wanted)
        assert (caught.value.image_id, caught.value.now, caught.value.wanted) == ("x", now, wanted)
    assert image.status is now


def test_an_image_that_waits_again_has_no_size() -> None:
    again = an_image(Status.SAVING).moved_to(Status.QUEUED)
    assert (again.size, again.virtual_size) == (None, None)
    assert an_image(Status.ACTIVE).moved_to(Status.DEACTIVATED).size == 5


def test_a_protected_image_is_not_deletable() -> None:
    an_image().require_deletable()
    with pytest.raises(ImageProtected, match=r"Image x is protected and cannot be deleted\."):
        an_image(protected=True).require_deletable()


def test_an_image_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        an_image().name = "other"  # type: ignore[misc]
