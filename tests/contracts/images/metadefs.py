"""What the catalogue of metadata definitions promises on every database."""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.unheard import UnheardNamespaces
from headwater.database.engine import Database
from headwater.errors import HeadwaterError
from headwater.images.metadefs import loading, reading
from headwater.images.metadefs.catalogue import (
    DOCUMENT_LIMIT,
    SORT_KEYS,
    NamespaceTooLarge,
    Query,
    Sight,
)
from headwater.images.metadefs.model import (
    DefinitionExists,
    Namespace,
    NamespaceExists,
    NamespaceNotFound,
    NamespaceVisibility,
    Tag,
)

NOON = 1_700_000_000_000_000
ALL = Sight(everything=True)


def a_namespace(name: str, at: int = NOON, **more: Any) -> Namespace:
    """Return a namespace with a new id, from the keys of the API."""
    document = {"namespace": name, "visibility": "public", **more}
    return reading.namespace(document, str(uuid.uuid4()), at, owner=None)


def a_full_namespace(name: str) -> Namespace:
    """Return a namespace with something of everything."""
    return a_namespace(
        name,
        display_name="Ünïcode ☃",
        description="A line\nand 😀",
        owner="p1",
        resource_type_associations=[{"name": "OS::Glance::Image", "prefix": "hw_"}, {"name": "OS::Nova::Flavor"}],
        properties={
            "size": {"title": "Size", "type": "integer", "default": 10**25, "minimum": 0.5},
            "kind": {"title": "Kind", "type": "string", "enum": ["a", "b\0"], "operators": ["<or>"]},
        },
        objects=[{"name": "Group", "required": ["x"], "properties": {"x": {"title": "X", "type": "boolean"}}}],
        tags=[{"name": "Red"}, {"name": "blue"}],
    )


class MetadefsContract:
    """To run it on a database: subclass, and give a ``database`` fixture with the newest schema and no namespace."""

    @pytest.fixture
    def catalogue(self, database: Database) -> UnheardNamespaces:
        return UnheardNamespaces(database)

    def test_a_namespace_comes_back_as_it_was(self, catalogue: UnheardNamespaces) -> None:
        namespace = a_full_namespace("Mine ☃")
        catalogue.create(namespace)
        assert catalogue.get("Mine ☃") == namespace
        assert catalogue.page(Query(limit=10), ALL) == [namespace]
        head = replace(namespace, properties=(), objects=(), tags=())
        assert catalogue.page(Query(limit=10), ALL, as_heads=True) == [head] != [namespace]

    def test_what_is_not_there_is_not_found(self, catalogue: UnheardNamespaces) -> None:
        catalogue.create(a_namespace("a"))
        for wanted in ("b", "A", "a ", "", "a\0", "' OR 1=1 --", "x" * 5000):
            with pytest.raises(NamespaceNotFound):
                catalogue.get(wanted)
            with pytest.raises(NamespaceNotFound):
                catalogue.change(wanted, lambda namespace: namespace)
            with pytest.raises(NamespaceNotFound):
                catalogue.delete(wanted, lambda namespace: None)

    def test_a_taken_name_is_refused(self, catalogue: UnheardNamespaces) -> None:
        first = a_namespace("a")
        catalogue.create(first)
        catalogue.create(a_namespace("b"))
        with pytest.raises(NamespaceExists):
            catalogue.create(a_namespace("a", description="another"))
        with pytest.raises(NamespaceExists):
            catalogue.change("b", lambda namespace: replace(namespace, namespace="a"))
        assert catalogue.get("a") == first

    def test_a_renamed_namespace_keeps_all_that_it_holds(self, catalogue: UnheardNamespaces) -> None:
        before = a_full_namespace("old")
        catalogue.create(before)
        after = catalogue.change("old", lambda namespace: replace(namespace, namespace="new"))
        assert after == catalogue.get("new") == replace(before, namespace="new")
        with pytest.raises(NamespaceNotFound):
            catalogue.get("old")
        assert catalogue.page(Query(limit=5, resource_types=("OS::Nova::Flavor",)), ALL) == [after]

    def test_a_change_that_fails_changes_nothing(self, catalogue: UnheardNamespaces) -> None:
        before = a_full_namespace("a")
        catalogue.create(before)

        def fail(namespace: Namespace) -> Namespace:
            return replace(namespace, tags=namespace.added(namespace.tags, (replace(namespace.tags[0], name="RED"),)))

        with pytest.raises(DefinitionExists):
            catalogue.change("a", fail)
        assert catalogue.get("a") == before

    def test_a_deleted_namespace_leaves_its_resource_types(self, catalogue: UnheardNamespaces) -> None:
        catalogue.create(a_full_namespace("a"))
        catalogue.delete("a", lambda namespace: None)
        assert catalogue.page(Query(limit=5), ALL) == []
        assert [each.name for each in catalogue.resource_types()] == ["OS::Glance::Image", "OS::Nova::Flavor"]
        catalogue.create(a_full_namespace("a"))

    def test_what_may_not_be_deleted_stays(self, catalogue: UnheardNamespaces) -> None:
        namespace = a_namespace("a", protected=True)
        catalogue.create(namespace)
        with pytest.raises(HeadwaterError):
            catalogue.delete("a", lambda found: found.require_deletable("it"))
        assert catalogue.get("a") == namespace

    def test_pages_show_each_namespace_once_in_order(self, catalogue: UnheardNamespaces) -> None:
        # Names, owners and titles that a locale would mix up, some without, and moments that are shared.
        names = ["a", "A", "z", "Z", "ä", "10", "9", "_", "😀", "\ufb01"]
        for place, name in enumerate(names):
            more = {} if place % 3 == 0 else {"display_name": names[-place], "owner": names[place // 2]}
            visibility = "public" if place % 2 else "private"
            catalogue.create(a_namespace(name, NOON + place // 3, visibility=visibility, **more))
        for key in SORT_KEYS:
            in_order = sorted(
                catalogue.page(Query(limit=100), ALL),
                key=lambda each: ("" if getattr(each, key) is None else getattr(each, key), each.namespace),
            )
            for direction, wanted in (("asc", in_order), ("desc", in_order[::-1])):
                shown = list(self._paged(catalogue, key, direction))
                assert [each.namespace for each in shown] == [each.namespace for each in wanted], (key, direction)

    def _paged(self, catalogue: UnheardNamespaces, key: str, direction: str) -> Iterator[Namespace]:
        marker: str | None = None
        while True:
            query = Query(limit=3, marker=marker, sort_key=key, sort_dir="asc" if direction == "asc" else "desc")
            page = catalogue.page(query, ALL)
            yield from page
            if len(page) < 3:
                return
            marker = page[-1].namespace

    def test_lists_show_what_the_caller_sees(self, catalogue: UnheardNamespaces) -> None:
        catalogue.create(a_namespace("public"))
        catalogue.create(a_namespace("mine", visibility="private", owner="p1"))
        catalogue.create(a_namespace("theirs", visibility="private", owner="p2"))
        catalogue.create(a_namespace("nobodys", visibility="private"))

        def names(sight: Sight, **query: Any) -> set[str]:
            return {each.namespace for each in catalogue.page(Query(limit=9, **query), sight)}

        assert names(ALL) == {"public", "mine", "theirs", "nobodys"}
        assert names(Sight(project_id="p1")) == {"public", "mine"}
        assert names(Sight()) == {"public"}
        assert names(Sight(project_id="p1"), visibility=NamespaceVisibility.PRIVATE) == {"mine"}
        assert names(ALL, owner="p2") == {"theirs"}
        with pytest.raises(NamespaceNotFound):
            names(Sight(project_id="p1"), marker="theirs")

    def test_lists_of_resource_types_show_those_for_any_of_them(self, catalogue: UnheardNamespaces) -> None:
        for name, types in {"a": ["X"], "b": ["Y"], "c": ["X", "Y"], "d": ["Z"], "e": []}.items():
            catalogue.create(a_namespace(name, resource_type_associations=[{"name": each} for each in types]))

        def names(*types: str) -> str:
            query = Query(limit=9, sort_key="namespace", sort_dir="asc", resource_types=types)
            return "".join(each.namespace for each in catalogue.page(query, ALL))

        assert [names("X"), names("X", "Y"), names("Q"), names()] == ["ac", "abc", "", "abcde"]
        catalogue.change("c", lambda namespace: replace(namespace, associations=namespace.associations[1:]))
        assert [names("X"), names("Y")] == ["a", "bc"]

    def test_a_namespace_that_is_too_large_is_refused(self, catalogue: UnheardNamespaces) -> None:
        catalogue.create(a_namespace("a"))
        huge = {"p": {"title": "x" * DOCUMENT_LIMIT, "type": "string"}}
        with pytest.raises(NamespaceTooLarge):
            catalogue.create(a_namespace("b", properties=huge))
        with pytest.raises(NamespaceTooLarge):
            catalogue.change(
                "a", lambda before: replace(before, properties=a_namespace("c", properties=huge).properties)
            )
        assert [each.namespace for each in catalogue.page(Query(limit=5), ALL)] == ["a"]

    def test_changes_at_once_are_all_kept(self, catalogue: UnheardNamespaces) -> None:
        catalogue.create(a_namespace("a"))
        failures: list[Exception] = []

        def add(name: str) -> None:
            tag = Tag(name=name, created_at=NOON, updated_at=NOON)
            try:
                catalogue.change("a", lambda before: replace(before, tags=before.added(before.tags, (tag,))))
            except HeadwaterError as error:
                failures.append(error)

        _at_once([lambda name=f"t{number}": add(name) for number in range(8)])
        assert failures == []
        assert {tag.name for tag in catalogue.get("a").tags} == {f"t{number}" for number in range(8)}

    def test_one_of_several_that_create_the_same_namespace_wins(self, catalogue: UnheardNamespaces) -> None:
        outcomes: list[str] = []

        def create() -> None:
            try:
                catalogue.create(a_full_namespace("a"))
                outcomes.append("made")
            except NamespaceExists:
                outcomes.append("exists")

        _at_once([create] * 6)
        assert sorted(outcomes) == ["exists"] * 5 + ["made"]

    def test_several_that_name_a_new_resource_type_all_succeed(self, catalogue: UnheardNamespaces) -> None:
        failures: list[Exception] = []

        def create(number: int) -> None:
            types = [{"name": f"T{place}"} for place in range(5)]
            try:
                catalogue.create(a_namespace(f"n{number}", resource_type_associations=types))
            except HeadwaterError as error:
                failures.append(error)

        _at_once([lambda number=number: create(number) for number in range(6)])
        assert failures == []
        assert [each.name for each in catalogue.resource_types()] == [f"T{place}" for place in range(5)]

    def test_the_base_set_is_loaded_once_and_never_again(self, catalogue: UnheardNamespaces) -> None:
        changed: list[list[str]] = []
        _at_once([lambda: changed.append(loading.load_base(catalogue, lambda: NOON))] * 3)
        assert sorted(len(each) for each in changed) == [0, 0, 33]
        catalogue.delete("OS::Compute::XenAPI", lambda namespace: None)
        mine = catalogue.change("OS::Compute::Quota", lambda namespace: replace(namespace, description="mine"))
        assert loading.load_base(catalogue, lambda: NOON + 1) == []
        assert catalogue.get("OS::Compute::Quota") == mine
        with pytest.raises(NamespaceNotFound):
            catalogue.get("OS::Compute::XenAPI")

    def test_a_newer_edition_of_the_base_set_brings_what_is_new_in_it_only(
        self, catalogue: UnheardNamespaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        newest = loading.BASE_EDITION
        new = {name for name, edition in loading.NEW_IN.items() if edition == newest}
        for file in loading.BASE.glob("*.json"):
            if json.loads(file.read_bytes())["namespace"] not in new:
                shutil.copy(file, tmp_path)
        monkeypatch.setattr(loading, "BASE_EDITION", newest - 1)
        monkeypatch.setattr(loading, "BASE", tmp_path)
        loading.load_base(catalogue, lambda: NOON)
        catalogue.delete("OS::Compute::XenAPI", lambda namespace: None)
        mine = catalogue.change("OS::Compute::Quota", lambda namespace: replace(namespace, objects=()))
        monkeypatch.undo()
        assert set(loading.load_base(catalogue, lambda: NOON)) == new
        assert catalogue.get("OS::Compute::Quota") == mine
        with pytest.raises(NamespaceNotFound):
            catalogue.get("OS::Compute::XenAPI")

    def test_files_are_loaded_all_or_none(self, catalogue: UnheardNamespaces, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text('{"namespace": "a"}')
        (tmp_path / "b.json").write_text('{"namespace": "b", "tags": [{"name": "x"}, {"name": "X"}]}')
        with pytest.raises(loading.DefinitionFileWrong, match=r"b\.json"):
            loading.load_directory(catalogue, tmp_path, loading.Known.KEPT, NOON)
        assert catalogue.page(Query(limit=5), ALL) == []


def _at_once(works: list[Any]) -> None:
    start = threading.Barrier(len(works))

    def run(work: Any) -> None:
        start.wait(30)
        work()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
