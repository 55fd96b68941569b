from __future__ import annotations

import json
import time
from typing import Any

import pytest
from jsonschema import Draft4Validator

from headwater.clock import timestamp
from headwater.images.http_v2.documents import image_document
from headwater.images.model import Image, Status
from headwater.images.schemas import ImageSchemas, SchemaViolation
from headwater.images.settings import ImagesSettings

SCHEMAS = ImageSchemas(ImagesSettings())

# Source: the compatibility specification, section 13.1.
BASE = {
    "id",
    "name",
    "status",
    "visibility",
    "protected",
    "os_hidden",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "owner",
    "size",
    "virtual_size",
    "container_format",
    "disk_format",
    "created_at",
    "updated_at",
    "tags",
    "direct_url",
    "min_ram",
    "min_disk",
    "self",
    "file",
    "schema",
    "locations",
    "stores",
}


def is_base(name: str) -> bool:
    """As python-glanceclient decides it (``SchemaProperty``, ``is_base_property``), and Nova by that."""
    properties: dict[str, dict[str, Any]] = SCHEMAS.image["properties"]
    return name in properties and bool(properties[name].get("is_base", True))


def test_the_schema_lists_the_base_attributes_of_glance() -> None:
    assert set(SCHEMAS.image["properties"]) == BASE


@pytest.mark.parametrize("name", ["architecture", "os_distro", "os_version", "kernel_id", "hw_disk_bus", "description"])
def test_what_nova_looks_for_among_the_properties_is_none_of_the_base(name: str) -> None:
    assert not is_base(name)
    assert is_base("disk_format")


def test_the_schema_is_one_and_names_the_formats_in_the_order_of_the_settings() -> None:
    schemas = ImageSchemas(ImagesSettings(disk_formats=("qcow2", "raw"), container_formats=("bare",)))
    for schema in (schemas.image, schemas.images):
        Draft4Validator.check_schema(schema)
        json.dumps(schema)
    assert schemas.image["properties"]["disk_format"]["enum"] == [None, "qcow2", "raw"]
    assert schemas.image["properties"]["container_format"]["enum"] == [None, "bare"]
    with pytest.raises(SchemaViolation, match="'iso'"):
        schemas.require_image({"disk_format": "iso"})


def test_statuses_are_all_that_glance_lists_in_its_order() -> None:
    assert SCHEMAS.image["properties"]["status"]["enum"] == [
        "queued",
        "saving",
        "active",
        "killed",
        "deleted",
        "uploading",
        "importing",
        "pending_delete",
        "deactivated",
    ]


@pytest.mark.parametrize(
    "image",
    [
        Image(id="11111111-1111-4111-8111-111111111111", created_at=0, updated_at=0),
        Image(
            id="11111111-1111-4111-8111-111111111111",
            created_at=0,
            updated_at=1_700_000_000_999_999,
            name="x",
            status=Status.ACTIVE,
            disk_format="raw",
            container_format="bare",
            size=5,
            tags=("a", "b"),
            properties={"os_distro": "ubuntu"},
        ),
    ],
)
def test_what_we_answer_is_what_the_schema_promises(image: Image) -> None:
    document = json.loads(json.dumps(image_document(image)))
    Draft4Validator(SCHEMAS.image).validate(document)
    page = {"images": [document], "first": "/v2/images", "schema": "/v2/schemas/images"}
    Draft4Validator(SCHEMAS.images).validate(page)
    assert list(document)[: len(image.properties)] == list(image.properties)


def test_times_are_whole_seconds_of_utc() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00Z"
    assert timestamp(1_700_000_000_999_999) == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"name": 5}, ("'name'", "5 is not of type")),
        ({"tags": ["a", 5]}, ("'tags/1'",)),
        ({"x": None}, ("'x'",)),
        ({"x" * 256: "y"}, ("255 characters",)),
        ({"": "y"}, ("not empty",)),
        ({"a\x00b": "y"}, ("NUL",)),
        ({"x": "a\x00b"}, ("'x'",)),
        ({"x": "a\nb\x00"}, ("'x'",)),
        ({"name": "\x00"}, ("'name'",)),
        ({"tags": ["\x00"]}, ("'tags/0'",)),
        ({"id": "11111111-1111-4111-8111-111111111111\n"}, ("'id'",)),
        ({"id": "x11111111-1111-4111-8111-111111111111"}, ("'id'",)),
        ({"x": "y" * 1000, "name": ["z" * 10_000]}, ("'name'", "…")),
    ],
)
def test_what_the_schema_does_not_allow_is_named(document: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(SchemaViolation) as caught:
        SCHEMAS.require_image(document)
    for word in ("Provided object does not match schema 'image'", *words):
        assert word in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"name": None, "disk_format": None, "container_format": None, "owner": None},
        {"id": "AAAAAAAA-1111-4111-8111-111111111111"},
        {"name": "x" * 255, "min_ram": 2**31 - 1, "x": "line\nline\n"},
        {"x" * 255: "y" * 100_000},
    ],
)
def test_what_the_schema_allows_is_taken(document: dict[str, Any]) -> None:
    SCHEMAS.require_image(document)


MANY = 200_000


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"tags": ["t"] * MANY}, None),
        ({f"p{number}": "x" for number in range(MANY)}, None),
        ({"tags": ["t"] * MANY + [1]}, f"tags/{MANY}"),
        ({"tags": ["t"] * MANY + ["t" * 256]}, f"tags/{MANY}"),
        ({"tags": ["t"] * MANY + ["a\x00b"]}, f"tags/{MANY}"),
        ({**{f"p{number}": "x" for number in range(MANY)}, "q": 1}, "q"),
        ({**{f"p{number}": "x" for number in range(MANY)}, "q": "a\x00b"}, "q"),
    ],
    ids=["tags", "properties", "a wrong tag", "a long tag", "NUL in a tag", "a wrong property", "NUL in a property"],
)
def test_to_judge_very_many_texts_costs_little_and_finds_the_wrong_one(
    document: dict[str, Any], place: str | None
) -> None:
    """By jsonschema alone each of these takes a second."""
    began = time.process_time()
    if place is None:
        SCHEMAS.require_image(document)
    else:
        with pytest.raises(SchemaViolation) as violation:
            SCHEMAS.require_image(document)
        assert violation.value.place == place
    assert time.process_time() - began < 0.3
