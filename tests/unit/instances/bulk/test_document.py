"""What is printed of a machine is its record, and is read back whole."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from headwater.instances.bulk.document import instance_document, instance_in, printed
from headwater.instances.bulk.found import Found
from headwater.instances.bulk.records import said_of
from headwater.instances.devices import Nic
from headwater.instances.errors import InstanceInvalid
from headwater.instances.keys import Key
from headwater.instances.model import File, Instance
from unit.instances.examples import BARE, WEB_1

OTHERS = replace(
    WEB_1,
    devices=(Nic(mac="52:54:00:00:00:01", tags=("a",)),),
    security_groups=("web",),
    keys=(*WEB_1.keys, Key(name="win", data="-----BEGIN CERTIFICATE-----", type="x509")),
)


WITH_FILES = replace(BARE, files=(File(path="/z", data=b"\xff"), File(path="/a", data=b"text\n")))


def as_it_was(instance: Instance, read: Instance) -> Instance:
    """Return what was read with what no document is to say: names of keys are made of them, and times are now."""
    same = {name: getattr(instance, name) for name in ("created_at", "updated_at", "revision", "image_name", "keys")}
    return replace(read, **same)


@pytest.mark.parametrize(
    "instance", [WEB_1, BARE, OTHERS, WITH_FILES], ids=["whole", "bare", "known-to-others", "files"]
)
def test_what_is_printed_is_read_back(instance: Instance) -> None:
    document = json.loads(json.dumps(printed(Found(instance=instance))))
    read = instance_in(document)
    assert as_it_was(instance, read) == instance
    assert [(key.type, key.data) for key in read.keys] == [(key.type, key.data) for key in instance.keys]


def test_records_and_what_earlier_releases_printed_are_read_too() -> None:
    assert said_of(instance_in(said_of(WEB_1))) == said_of(WEB_1)
    assert instance_in(json.loads(json.dumps(WEB_1.to_dict()))) == WEB_1


def test_files_are_told_as_base64_and_read_as_earlier_releases_printed_them() -> None:
    printed_now = printed(Found(instance=WITH_FILES))
    assert printed_now["files"] == [
        {"path": "/z", "content_base64": "/w=="},
        {"path": "/a", "content_base64": "dGV4dAo="},
    ]
    before = {**printed_now, "files": json.loads(json.dumps(WITH_FILES.to_dict()))["files"]}
    assert before["files"][0] == {"path": "/z", "data": "/w=="}
    assert instance_in(before).files == WITH_FILES.files


def test_the_api_tells_what_its_callers_set_and_commands_the_rest_where_there_is_any() -> None:
    bare, others = Found(instance=BARE), Found(instance=OTHERS)
    assert printed(bare) == instance_document(bare)
    more = printed(others).keys() - instance_document(others).keys()
    assert {"devices", "security_groups", "certificates"} <= more


def test_what_a_cloud_says_is_told_with_its_source_and_its_time_and_read_as_a_record() -> None:
    ours, its = printed(Found(instance=BARE)), printed(Found(instance=BARE, source="openstack", told_at=1_000_000))
    assert (ours["source"], ours["told_at"]) == ("registry", None)
    assert its == {**ours, "source": "openstack", "told_at": "1970-01-01T00:00:01Z"}
    assert as_it_was(BARE, instance_in(its)) == BARE


@pytest.mark.parametrize(
    "document",
    [
        7,
        {"nam": "x"},
        {"name": "x", "devices": 3},
        {"name": "x", "certificates": [1]},
        {"name": "x", "certificates": 1},
        {"name": "x", "files": 1},
        {"name": "x", "files": [{"path": "/a", "data": "%"}]},
        {"name": "x", "files": [{"path": "/a", "data": 1}]},
    ],
    ids=["number", "unknown", "devices", "certificate", "certificates", "files", "base64-of-files", "data-of-files"],
)
def test_what_is_none_is_refused(document: Any) -> None:
    with pytest.raises(InstanceInvalid):
        instance_in(document)
