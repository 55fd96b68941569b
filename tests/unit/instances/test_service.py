from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.database.engine import Database
from headwater.errors import NotFound
from headwater.instances.errors import InstanceExists, InstanceInvalid, InstanceNotFound
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.service import Description, Instances, described
from templates import sqlite_catalogue
from unit.instances.examples import KEY

AT = 1_800_000_000_000_000
ID = "b65cee2f-8c69-4aeb-be2f-f79742548fc2"
NOBLE = ("70a599e0-31e7-49b7-b260-868f441e862b", "noble")


class OneImage:
    def __init__(self) -> None:
        self.uses: list[str] = []

    def find(self, id_or_name: str) -> tuple[str, str]:
        if id_or_name not in NOBLE:
            raise NotFound(f"no image {id_or_name}")
        return NOBLE

    def used(self, image_id: str) -> None:
        self.uses.append(image_id)


@pytest.fixture
def images() -> OneImage:
    return OneImage()


@pytest.fixture
def instances(tmp_path: Path, images: OneImage) -> Iterator[Instances]:
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    yield Instances(InstanceRows(database), InstanceLists(database), images)
    database.close()


def test_what_is_not_said_is_decided() -> None:
    made = described(Description(name="Web 1.Example"), lambda: AT)
    assert made.hostname == "web-1.example"
    assert made.availability_zone == "nova"
    assert (made.created_at, made.updated_at, made.revision) == (AT, AT, 0)
    assert made.id != described(Description(name="Web 1.Example")).id


def test_what_is_said_stands_in_its_one_spelling() -> None:
    made = described(
        Description(name="☃", id=ID.upper(), addresses=["::FFFF:10.0.0.5"], ssh_keys=[f"{KEY}\n{KEY}", KEY])
    )
    assert (made.id, made.hostname) == (ID, f"host-{ID[:8]}")
    assert made.addresses == ("10.0.0.5",)
    assert [key.name for key in made.keys] == ["user@host", "user@host-2", "user@host-3"]


@pytest.mark.parametrize(
    "said",
    [
        Description(name=""),
        Description(name="a", addresses=["web1"]),
        Description(name="a", ssh_keys=["hello"]),
        Description(name="a", network_data=[]),
        Description(name="a", id="7"),
    ],
    ids=str,
)
def test_what_no_guest_could_use_is_refused(said: Description) -> None:
    with pytest.raises(InstanceInvalid):
        described(said)


def test_an_instance_keeps_id_and_name_of_its_image(instances: Instances) -> None:
    registered = instances.register(described(Description(name="web1")), image="noble")
    assert (registered.image_id, registered.image_name) == NOBLE
    assert instances.get("web1") == registered
    with pytest.raises(NotFound):
        instances.register(described(Description(name="web2")), image="jammy")
    assert list(instances.all()) == [registered]


def test_a_taken_address_is_refused_and_free_once_its_owner_is_removed(instances: Instances) -> None:
    first = instances.register(described(Description(name="web1", addresses=["10.0.0.5"])))
    second = described(Description(name="web2", addresses=["10.0.0.5"]))
    with pytest.raises(InstanceExists):
        instances.register(second)
    assert instances.remove("web1") == first
    assert instances.register(second) == second
    with pytest.raises(InstanceNotFound):
        instances.get("web1")


def test_all_goes_over_every_page(instances: Instances, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InstanceLists.page, "__kwdefaults__", {"after": None, "limit": 2})
    for number in range(5):
        instances.register(described(Description(name=f"web{number}")))
    assert [each.name for each in instances.all()] == [f"web{number}" for number in range(5)]


def test_an_image_is_used_when_an_instance_comes_and_when_it_goes(instances: Instances, images: OneImage) -> None:
    instances.register(described(Description(name="without")))
    instances.register(described(Description(name="web")), image="noble")
    assert images.uses == [NOBLE[0]]
    instances.remove("web")
    instances.remove("without")
    assert images.uses == [NOBLE[0]] * 2
