"""In a rolling upgrade two releases read each other's rows."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from contracts.image_catalogue import an_image
from headwater.activity.notifications.event import Event
from headwater.images.catalogue.rows import deleted_of, row_of
from headwater.images.model import Status, Visibility
from unit.activity.notifications.events import an_event


def test_an_event_of_a_newer_release_is_sent_by_this_one() -> None:
    event = an_event()
    assert Event.from_dict({**event.to_dict(), "of_the_next": {"a": 1}}) == event


def test_a_deleted_image_is_read_whichever_release_deleted_it() -> None:
    image = an_image("x", status=Status.ACTIVE, visibility=Visibility.PUBLIC, tags=("a",), properties={"p": "1"})
    row = row_of(image)
    assert deleted_of(msgspec.json.encode({**row, "of_the_next": 1}).decode()) == image
    of_an_older_one = {name: value for name, value in row.items() if name not in ("audience", "os_hidden", "min_ram")}
    assert deleted_of(msgspec.json.encode(of_an_older_one).decode()) == replace(image, os_hidden=False, min_ram=0)
