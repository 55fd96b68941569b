"""The file that all instances are told: what it may hold, and when a record's own vendor data stands in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import SettingsError
from headwater.instances.vendor_data.static import NOTHING, Static, read
from unit.instances.examples import BARE


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1]}', {"a": [1]}),
        (b'"#cloud-config\\n"', "#cloud-config\n"),
        (b'["#!/bin/sh\\n"]', ["#!/bin/sh\n"]),
        (b'\xef\xbb\xbf{"a": "gr\xc3\xbcn"}', {"a": "grün"}),
    ],
    ids=["object", "text", "list", "byte-order-mark"],
)
def test_a_file_of_json_is_told(tmp_path: Path, data: bytes, value: Any) -> None:
    file = tmp_path / "vendor.json"
    file.write_bytes(data)
    assert read(file).value == value


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "line 1, column 1"),
        (b'{"a":\n1,}', "line 2, column 3"),
        (b"\xff{}", "not UTF-8 text (byte 0)"),
        (b'{"a": Infinity}', "Infinity is no number of JSON"),
        (b"null", "object, list or text"),
        (b"7", "object, list or text"),
        (b'""', "object, list or text"),
        (b'{"cloud-init": null}', "'cloud-init' must hold"),
        (b'{"a": "\\ud800"}', "cannot be written as JSON"),
        (b'{"a": 1, "a": 2}', "has the key 'a' twice"),
        (b"[" * 100_000, "what guests cannot read"),
        (b'"' + b"x" * (1 << 20) + b'"', "more than 1048576 bytes"),
    ],
    ids=[
        "absent",
        "empty",
        "comma",
        "latin",
        "infinite",
        "null",
        "number",
        "no-text",
        "no-config",
        "half",
        "twice",
        "deep",
        "long",
    ],
)
def test_a_file_that_guests_cannot_use_is_refused_and_named(tmp_path: Path, data: bytes | None, says: str) -> None:
    file = tmp_path / "vendor.json"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(SettingsError) as refused:
        read(file)
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"section [metadata.vendor_data], key 'file': the file {file} ")


def test_a_record_with_vendor_data_of_its_own_is_told_that_alone() -> None:
    everybody = Static({"a": 1}, "digest")
    assert everybody.told(BARE).vendor_data == {"a": 1}
    for own in ({}, {"b": 2}, "#cloud-config\n"):
        mine = replace(BARE, vendor_data=own)
        assert everybody.told(mine) is mine
    assert NOTHING.told(BARE) is BARE
