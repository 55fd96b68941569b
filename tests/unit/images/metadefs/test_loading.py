from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.images.metadefs import loading
from headwater.images.metadefs.catalogue import Query, Sight
from headwater.images.metadefs.loading import DefinitionFileWrong, Known
from headwater.images.metadefs.model import Namespace
from unit.images.metadefs.api import Api

THEN, NOW = 1_000_000, 2_000_000
TEXT = {"title": "P", "type": "string"}


def write(directory: Path, **files: Any) -> Path:
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        (directory / f"{name}.json").write_bytes(
            content if isinstance(content, bytes) else json.dumps(content).encode()
        )
    return directory


def everything(api: Api) -> list[Namespace]:
    return api.catalogue.page(Query(limit=1000, sort_key="namespace", sort_dir="asc"), Sight(everything=True))


def test_a_file_may_begin_with_a_byte_order_mark(api: Api, tmp_path: Path) -> None:
    directory = write(tmp_path / "windows", a=b"\xef\xbb\xbf" + json.dumps({"namespace": "a"}).encode())
    assert loading.load_directory(api.catalogue, directory, Known.KEPT, THEN) == ["a"]


def test_a_known_namespace_is_kept_merged_or_overwritten(api: Api, tmp_path: Path) -> None:
    old = {
        "namespace": "a",
        "display_name": "Old",
        "properties": {"p": {**TEXT, "title": "Old"}},
        "tags": [{"name": "Red"}],
    }
    new = {
        "namespace": "a",
        "display_name": "New",
        "properties": {"p": {**TEXT, "title": "New"}, "q": TEXT},
        "tags": [{"name": "red"}, {"name": "blue"}],
        "resource_type_associations": [{"name": "T"}],
    }
    assert loading.load_directory(api.catalogue, write(tmp_path / "old", a=old), Known.KEPT, THEN) == ["a"]
    kept = api.catalogue.get("a")
    directory = write(tmp_path / "new", a=new)
    assert loading.load_directory(api.catalogue, directory, Known.KEPT, NOW) == []
    assert api.catalogue.get("a") == kept

    assert loading.load_directory(api.catalogue, directory, Known.MERGED, NOW) == ["a"]
    merged = api.catalogue.get("a")
    assert merged.display_name == "Old"
    assert [(each.name, each.definition["title"]) for each in merged.properties] == [("p", "Old"), ("q", "P")]
    assert [each.name for each in merged.tags] == ["Red", "blue"]
    assert [each.name for each in merged.associations] == ["T"]
    assert (merged.created_at, merged.updated_at) == (THEN, NOW)
    assert loading.load_directory(api.catalogue, directory, Known.MERGED, NOW + 1) == []

    assert loading.load_directory(api.catalogue, directory, Known.OVERWRITTEN, NOW) == ["a"]
    overwritten = api.catalogue.get("a")
    assert overwritten.display_name == "New"
    assert [each.name for each in overwritten.tags] == ["red", "blue"]
    assert (overwritten.id, overwritten.created_at) == (kept.id, THEN)


def test_what_is_exported_loads_as_what_it_was(api: Api, tmp_path: Path) -> None:
    loading.load_base(api.catalogue, lambda: THEN)
    loading.load_directory(api.catalogue, loading.BASE, Known.KEPT, THEN)
    odd = {"namespace": "A-b: ☃ *?", "description": "x", "objects": [{"name": "o"}], "tags": [{"name": "t"}]}
    loading.load_directory(api.catalogue, write(tmp_path / "odd", odd=odd), Known.KEPT, THEN)
    before = everything(api)
    files = loading.export(iter(before), tmp_path / "deep" / "export")
    assert len(files) == len(set(files)) == len(before) == 34
    assert {file.parent for file in files} == {tmp_path / "deep" / "export"}
    for namespace in before:
        api.catalogue.delete(namespace.namespace, lambda _found: None)
    loading.load_directory(api.catalogue, tmp_path / "deep" / "export", Known.KEPT, THEN)
    after = everything(api)
    assert [_without_id(each) for each in after] == [_without_id(each) for each in before]


def _without_id(namespace: Namespace) -> dict[str, Any]:
    return {name: getattr(namespace, name) for name in Namespace.__slots__ if name != "id"}


def test_no_two_namespaces_are_exported_into_one_file(tmp_path: Path) -> None:
    names = ["a:b", "a-b", "a%2db", "a--b", "a::b", "..", ".", "ä", "a b"]
    spaces = [Namespace(id=name, namespace=name, created_at=0, updated_at=0) for name in names]
    files = loading.export(spaces, tmp_path)
    assert len({file.resolve() for file in files}) == len(names)
    assert {file.parent.resolve() for file in files} == {tmp_path.resolve()}


def test_a_file_may_describe_itself_at_length(api: Api, tmp_path: Path) -> None:
    long = {"namespace": "a", "description": "x" * 2000}
    loading.load_directory(api.catalogue, write(tmp_path / "d", a=long), Known.KEPT, THEN)
    assert len(api.catalogue.get("a").description or "") == 2000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"namespace": ' + b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "'namespace'"),
        (b'{"namespace": "a", "namespace": "c"}', "'namespace' twice"),
        (b'{"namespace": "a", "properties": {"p": {}, "p": {}}}', "'p' twice"),
        ({"namespace": "a", "properties": {"p": {"type": "string"}}}, "'title'"),
        ({"namespace": "a", "tags": [{"name": "x"}, {"name": "X"}]}, "already exists"),
        ({"namespace": "b"}, "another file"),
        (b" " * (loading.FILE_LIMIT + 1), "larger"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_wrong_file_is_named_and_nothing_is_loaded(api: Api, tmp_path: Path, content: Any, said: str) -> None:
    directory = write(tmp_path / "d", b={"namespace": "b"}, c=content)
    with pytest.raises(DefinitionFileWrong, match=r"c\.json: ") as caught:
        loading.load_directory(api.catalogue, directory, Known.OVERWRITTEN, THEN)
    assert said in str(caught.value)
    assert everything(api) == []


def test_a_directory_without_definitions_is_refused(api: Api, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.txt").write_text("{}")
    for directory in (tmp_path / "empty", tmp_path / "none", tmp_path / "empty" / "readme.txt"):
        with pytest.raises(DefinitionFileWrong, match=str(directory)):
            loading.load_directory(api.catalogue, directory, Known.KEPT, THEN)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DefinitionFileWrong, match="cannot be written"):
        loading.export([], tmp_path / "file")
