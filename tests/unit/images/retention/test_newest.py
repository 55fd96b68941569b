from __future__ import annotations

from typing import Any

import pytest

from contracts.image_catalogue import NOON, add, an_image
from contracts.unheard import UnheardImages
from headwater.database.engine import Database
from headwater.http.paging import BadQuery
from headwater.identity.caller import OPERATOR, Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import PolicySettings
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.data.scrubber import Scrubber
from headwater.images.http_v2.list_query import newest_query
from headwater.images.model import Image, Status, Visibility
from headwater.images.policies import BY_NAME
from headwater.images.retention import newest as module
from headwater.images.retention.newest import Newest, NoNewest
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings

MEMBER = Caller(user_id="u", project_id="p", roles=frozenset({"member", "reader"}))


class House:
    def __init__(self, database: Database) -> None:
        self.catalogue = UnheardImages(database)
        access = Access(self.catalogue, Policy(PolicySettings(), BY_NAME))
        scrubber = Scrubber(DiscardedObjectRows(database), {})
        self.newest = Newest(Images(access, Changes(database, access), scrubber, ImagesSettings()))

    def image(self, name: str | None, **fields: Any) -> Image:
        image = an_image(
            name, **{"status": Status.ACTIVE, "visibility": Visibility.PUBLIC, "created_at": NOON, **fields}
        )
        add(self.catalogue, image)
        return image

    def found(self, caller: Caller = OPERATOR, **filters: str) -> str:
        return self.newest.find(caller, newest_query(list(filters.items()), ImagesSettings())).id


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


@pytest.mark.parametrize("form", ["{} ({})", "{}-{}", "{}_{}", "{}.{}", "{} {}", "{}-v{}", "{}-{}-1811"])
def test_the_newest_of_a_name_is_found_however_the_date_is_written(house: House, form: str) -> None:
    for day in ("20260101", "20260801", "20260705"):
        house.image(form.format("Ubuntu 24.04", day))
    wanted = house.image(form.format("Ubuntu 24.04", "20260802"))
    house.image(form.format("Ubuntu 24.04 minimal", "20260901"))
    house.image(form.format("Ubuntu 24.041", "20260901"))
    house.image("Ubuntu 24.04 next")
    assert house.found(name="Ubuntu 24.04") == wanted.id


def test_what_nobody_can_use_or_is_hidden_is_not_the_newest(house: House) -> None:
    wanted = house.image("u", created_at=NOON - 5)
    for status in Status:
        if status is not Status.ACTIVE:
            house.image("u", status=status)
    house.image("u", os_hidden=True)
    assert house.found(name="u") == wanted.id


def test_the_newest_is_of_those_that_the_caller_sees(house: House) -> None:
    public = house.image("u", created_at=NOON - 5)
    theirs = house.image("u", visibility=Visibility.PRIVATE, owner="q")
    house.image("only", visibility=Visibility.PRIVATE, owner="q")
    assert house.found(name="u") == theirs.id
    assert house.found(MEMBER, name="u") == public.id
    with pytest.raises(NoNewest):
        house.found(MEMBER, name="only")
    with pytest.raises(NoNewest):
        house.found(MEMBER, name="nobody")


def test_properties_tags_and_owners_find_the_newest_too(house: House) -> None:
    noble = {"os_distro": "ubuntu", "os_version": "24.04"}
    house.image("July", properties={**noble, "image_build_date": "2026-07-05"}, owner="p", tags=("t",))
    june = house.image("June", properties={**noble, "image_build_date": "2026-06-05"}, owner="q")
    wanted = house.image("August", properties={**noble, "image_build_date": "2026-08-05"}, created_at=NOON - 5)
    house.image("x", properties={"os_distro": "ubuntu", "os_version": "22.04"})
    assert house.found(os_distro="ubuntu", os_version="24.04") == wanted.id
    assert house.found(os_distro="ubuntu", owner="q") == june.id
    assert house.found(tag="t", name="July")


def test_of_more_than_one_page_the_newest_is_found(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    images = [house.image(f"u ({day})", created_at=NOON - day) for day in range(20260101, 20260112)]
    assert house.found(name="u") == images[-1].id
    plain = [house.image("v", created_at=NOON + number) for number in range(10)]
    assert house.found(name="v") == plain[-1].id


@pytest.mark.parametrize("name", ["limit", "marker", "sort", "sort_key", "sort_dir", "status", "os_hidden"])
def test_what_is_for_lists_only_is_refused(name: str) -> None:
    with pytest.raises(BadQuery, match=name):
        newest_query([("name", "u"), (name, "1")], ImagesSettings())


def test_the_newest_of_all_is_nothing_that_anybody_wants() -> None:
    with pytest.raises(BadQuery, match="filters such as name"):
        newest_query([], ImagesSettings())
