"""What a controller of Juju's knows of images, kept on every database."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from headwater.database.engine import Database
from headwater.streams.format.json_objects import MalformedDocument
from headwater.streams.lookup.images import FoundImage
from headwater.streams.lookup.record_rows import ControllerImageRows
from headwater.streams.lookup.records import FILE, taken_in


def image(image_id: str, **more: Any) -> FoundImage:
    facts: dict[str, Any] = {"region": "R", "version": "22.04", "arch": "amd64", "stream": "released"}
    return FoundImage(id=image_id, source="custom", priority=50, **{**facts, **more})


def ids(database: Database) -> list[str]:
    return [each.id for each in ControllerImageRows(database).all()]


def test_the_same_identity_changes_its_id_only(database: Database) -> None:
    times = iter(range(10))
    rows = ControllerImageRows(database, lambda: next(times))
    assert rows.all() == []
    first, other = image("first", endpoint="https://old"), image("other", virt="kvm", root_store_size=8)
    assert rows.add([first, other]) == (2, 0)
    assert rows.add([first]) == (0, 0)
    assert rows.add([image("second", endpoint="https://new"), image("third", region="r")]) == (1, 1)
    assert [(each.id, each.endpoint) for each in rows.all()] == [
        ("second", "https://old"),
        ("other", ""),
        ("third", ""),
    ]
    assert rows.all()[1] == other


def test_what_is_told_apart_by_a_letter_s_case_or_where_a_word_ends_stands_twice(database: Database) -> None:
    rows = ControllerImageRows(database)
    images = [image("1"), image("2", region="r"), image("3", virt="a", root_store="b"), image("4", virt="ab")]
    assert rows.add([*images, image("5", region="R\u00e9gion \U0001f30d", virt="v" * 3000)]) == (5, 0)
    assert sorted(ids(database)) == ["1", "2", "3", "4", "5"]


def test_every_record_of_an_image_is_deleted(database: Database) -> None:
    rows = ControllerImageRows(database)
    rows.add([image("a"), image("a", region="S"), image("b", region="T")])
    assert rows.delete("a") == 2
    assert rows.delete("a") == 0
    assert ids(database) == ["b"]


def test_a_page_is_not_all(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.streams.lookup.record_rows._PAGE", 3)
    ControllerImageRows(database).add([image(str(number), region=str(number)) for number in range(10)])
    assert sorted(ids(database)) == [str(number) for number in range(10)]


def test_of_those_who_keep_the_same_at_once_all_succeed(database: Database) -> None:
    said: list[tuple[int, int]] = []

    def work(name: str) -> None:
        said.append(ControllerImageRows(database).add([image(name, region=str(number)) for number in range(20)]))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(said), sum(new for new, _ in said), len(ids(database))) == (4, 20, 20)
    assert len(set(ids(database))) == 1


def test_the_file_of_before_is_taken_in_once_and_hides_nothing(database: Database, tmp_path: Path) -> None:
    rows, file = ControllerImageRows(database), tmp_path / FILE
    rows.add([image("newer")])
    assert taken_in(tmp_path, rows) == 0
    file.parent.mkdir()
    facts = {"region": "R", "version": "22.04", "arch": "amd64", "stream": "released"}
    file.write_text(json.dumps([{"id": "older", **facts}, {"id": "other", **facts, "virt": "kvm"}]))
    assert taken_in(tmp_path, rows) == 1
    assert sorted(ids(database)) == ["newer", "other"]
    assert not file.exists()
    assert taken_in(tmp_path, rows) == 0


def test_a_file_of_before_that_somebody_spoiled_is_named_and_stays(database: Database, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.parent.mkdir()
    for body in ("{", "{}", '[{"id": 1}]'):
        file.write_text(body)
        with pytest.raises(MalformedDocument, match="custom-image-metadata"):
            taken_in(tmp_path, ControllerImageRows(database))
    assert file.exists()
    assert ids(database) == []
