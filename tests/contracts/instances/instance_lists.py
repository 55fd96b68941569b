"""What lists of instances promise on every database."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from sqlalchemy import update

from contracts.instances.registry import NOON, an_instance
from headwater.database.engine import Database
from headwater.database.tables import instances
from headwater.instances.lists.needed_images import NeededImages
from headwater.instances.lists.rows import Head, InstanceLists
from headwater.instances.lists.wanted import Wanted
from headwater.instances.model import Instance
from headwater.instances.registry.rows import InstanceRows

DISK = "70a599e0-31e7-49b7-b260-868f441e862b"


def _nested(depth: int) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


def head_of(instance: Instance) -> Head:
    return Head(**{name: getattr(instance, name) for name in Head.__slots__})


class InstanceListsContract:
    """To run it on a database: subclass, and give a ``database`` fixture with the newest schema and no instance."""

    @pytest.fixture
    def registry(self, database: Database) -> InstanceRows:
        return InstanceRows(database)

    @pytest.fixture
    def lists(self, database: Database) -> InstanceLists:
        return InstanceLists(database)

    def test_a_list_has_what_it_shows_of_every_instance_in_the_order_of_names(
        self, registry: InstanceRows, lists: InstanceLists
    ) -> None:
        kept = [
            an_instance("Web ☃ 1", "10.0.0.5", "2001:db8::5", image_name='with "quotes" \\u0000 and ☃', project_id="☃"),
            an_instance("a", image_id=str(uuid.uuid4()), image_name="b", user_data="AAAA"),
            an_instance("nul", "10.0.0.6", vendor_data={"snow": "☃\0"}, project_id="p"),
            an_instance("deep", "10.0.0.8", "10.0.0.7", vendor_data=_nested(40)),  # deeper than MariaDB looks
            an_instance("deepest", vendor_data=_nested(900)),
        ]
        for instance in kept:
            registry.add(instance)
        kept[1] = registry.replace(replace(kept[1], hostname="changed"), at=NOON + 1)
        in_order = sorted(kept, key=lambda instance: instance.name)
        expected = [head_of(instance) for instance in in_order]
        assert lists.heads().found == expected
        assert lists.page().found == in_order
        first = lists.heads(limit=2)
        assert (first.found, first.after) == (expected[:2], expected[1].name)
        assert lists.heads(after=expected[1].name, limit=2).found == expected[2:4]
        last = lists.heads(after=expected[1].name, limit=3)
        assert (last.found, last.after) == (expected[2:], None)
        assert lists.heads(after=expected[-1].name).found == []

    def test_pages_go_through_all_instances_in_the_order_of_names(
        self, registry: InstanceRows, lists: InstanceLists
    ) -> None:
        names = sorted(f"web{number}" for number in range(7))
        for name in reversed(names):
            registry.add(an_instance(name))
        found: list[str] = []
        after = None
        while True:
            page = lists.page(after=after, limit=3)
            assert len(page.found) <= 3
            found += [instance.name for instance in page.found]
            if (after := page.after) is None:
                break
        assert found == names
        assert [head.name for head in lists.all_heads(after="web3")] == names[4:]

    def test_what_is_wanted_holds_of_all_that_is_shown(self, registry: InstanceRows, lists: InstanceLists) -> None:
        registry.add(an_instance("a", "10.0.0.1", project_id="p1", image_id=DISK))
        registry.add(an_instance("b", "10.0.0.2", "2001:db8::2", project_id="p1"))
        registry.add(an_instance("c", project_id="p2", image_id=DISK))
        registry.add(an_instance("d"))

        def names(**said: str) -> list[str]:
            wanted = Wanted(**said)
            shown = [head.name for head in lists.heads(wanted).found]
            assert [instance.name for instance in lists.page(wanted).found] == shown
            return shown

        assert names(project_id="p1") == ["a", "b"]
        assert names(image_id=DISK) == ["a", "c"]
        assert names(project_id="p1", image_id=DISK) == ["a"]
        assert names(address="2001:db8::2") == names(address="10.0.0.2", project_id="p1") == names(name="b") == ["b"]
        assert names(address="10.0.0.2", project_id="p2") == names(project_id="P1") == names(name="a ") == []
        assert names(name="\0") == names(project_id="\udcff") == []
        assert [head.name for head in lists.heads(Wanted(project_id="p1"), after="a").found] == ["b"]

    def test_a_list_follows_what_is_changed(self, registry: InstanceRows, lists: InstanceLists) -> None:
        first = an_instance("a", project_id="p1", image_id=DISK)
        registry.add(first)
        registry.replace(replace(first, project_id="p2", image_id=None), at=NOON + 1)
        assert lists.heads(Wanted(project_id="p1")).found == lists.heads(Wanted(image_id=DISK)).found == []
        assert [head.revision for head in lists.heads(Wanted(project_id="p2")).found] == [1]

    def test_what_a_release_without_these_columns_has_changed_is_shown_to_nobody_else(
        self, database: Database, registry: InstanceRows, lists: InstanceLists
    ) -> None:
        one, other = an_instance("a", project_id="p1"), an_instance("b", project_id="p1")
        registry.add(one)
        registry.add(other)
        stale = update(instances).where(instances.c.id == one.id).values(project_id="p2")
        database.write(lambda connection: connection.execute(stale))
        assert not lists.heads(Wanted(project_id="p2")).found
        assert not lists.page(Wanted(project_id="p2")).found
        assert [head.name for head in lists.heads(Wanted(project_id="p1")).found] == ["b"]

    def test_the_images_that_instances_need_are_known_also_of_documents_that_the_database_cannot_read(
        self, database: Database, registry: InstanceRows
    ) -> None:
        ids = [str(uuid.uuid4()) for _ in range(4)]
        registry.add(an_instance("none"))
        registry.add(an_instance("disk", image_id=ids[0]))
        registry.add(an_instance("again", image_id=ids[0], kernel_id=ids[1], ramdisk_id=ids[2]))
        registry.add(an_instance("strange", image_id=ids[3], vendor_data={"nested": "\0", "deep": _nested(100)}))
        assert NeededImages(database).image_ids() == set(ids)
