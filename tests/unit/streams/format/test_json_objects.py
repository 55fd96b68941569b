from __future__ import annotations

import pytest

from headwater.streams.format.json_objects import JsonObject, MalformedDocument, UnsafePath, parse_json, safe_path


@pytest.mark.parametrize("size", [-1, 1.5, True, "-1", "1e3", "", "9" * 21, [], "\u0661"])
def test_a_size_is_a_number_of_bytes(size: object) -> None:
    with pytest.raises(MalformedDocument, match="number of bytes"):
        JsonObject({"size": size}, "item").size()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "//host/a",
        "..",
        "../a",
        "a/../b",
        "a/..",
        "a/%2e%2e/b",
        "%2Fetc",
        "a\\..\\b",
        "a\nb",
        "a%00b",
        "a/\ud800.img",
        "a/\udcff.img",
        "http://h/a",
        "file:a",
        "javascript:x",
        "h%3a//x",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(UnsafePath) as refused:
        safe_path(path)
    str(refused.value).encode()


@pytest.mark.parametrize(
    "path", ["a", "streams/v1/com.ubuntu.cloud:released:aws.json", "a..b/..c/d..", "a/.b", "a b/%41"]
)
def test_a_path_below_the_root_is_taken(path: str) -> None:
    assert safe_path(path) == path


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff{}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"x": {"b": 1, "c": 2, "b": 1}}',
        b"[" * 200_000,
        b"1" * 10_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_plain_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedDocument):
        parse_json(body)
