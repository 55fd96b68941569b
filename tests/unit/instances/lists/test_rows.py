from __future__ import annotations

import tracemalloc

import pytest

from contracts.instances.instance_lists import DISK, InstanceListsContract
from contracts.instances.registry import an_instance
from headwater.database.engine import Database
from headwater.instances.lists import rows
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.lists.wanted import EVERY, Wanted
from headwater.instances.registry.rows import InstanceRows
from questions import plan, questions


class TestListsOnSqlite(InstanceListsContract):
    """In the quick run too."""

    def test_a_list_reads_no_document_and_comes_from_an_index(
        self, registry: InstanceRows, lists: InstanceLists, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n in range(30):
            registry.add(an_instance(f"web{n:02}", f"10.0.0.{n + 1}", user_data="QUFB" * 10_000))
        monkeypatch.setattr(rows, "record_of", None)
        tracemalloc.start()
        try:
            shown = [head.name for head in lists.heads(after="web09", limit=10).found]
            assert tracemalloc.get_traced_memory()[1] < 40_000 * 4
        finally:
            tracemalloc.stop()
        assert shown == [f"web{n}" for n in range(10, 20)]

    @pytest.mark.parametrize(
        ("wanted", "index"),
        [
            (EVERY, "sqlite_autoindex_instances_2 (name>?)"),
            (Wanted(name="a"), "sqlite_autoindex_instances_2 (name=?)"),
            (Wanted(project_id="p"), "ix_instances_project_id (project_id=? AND name>?)"),
            (Wanted(image_id=DISK), "ix_instances_image_id (image_id=? AND name>?)"),
        ],
        ids=["all", "by name", "by project", "by image"],
    )
    def test_a_page_is_a_range_of_an_index(
        self, database: Database, lists: InstanceLists, wanted: Wanted, index: str
    ) -> None:
        with questions() as asked:
            lists.heads(wanted, after="" if wanted.name else "a")
        [question] = asked
        assert plan(database, question) == [f"SEARCH instances USING INDEX {index}"]

    def test_an_address_is_looked_up(self, database: Database, lists: InstanceLists) -> None:
        with questions() as asked:
            lists.heads(Wanted(project_id="p", address="10.0.0.1"))
        [question] = asked
        assert sorted(step.partition(" USING")[0] for step in plan(database, question)) == [
            "SEARCH instance_addresses",
            "SEARCH instances",
        ]
