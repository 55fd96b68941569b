"""Answers of services in what guests read, and the question that they were."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from headwater.instances.media.config_drive import drive_files
from headwater.instances.trees import nocloud, openstack
from headwater.instances.vendor_data.documents import completed, is_asked_for
from headwater.instances.vendor_data.question import question
from headwater.instances.vendor_data.settings import VendorDataSettings
from unit.instances.examples import BARE, WEB_1

PARTS = {"join": b'{"otp": "abc123"}', "empty": b"{}"}
CONFIG = "#cloud-config\nfrom: service\n"


def test_answers_stand_beside_the_static_part_in_their_order() -> None:
    name = "openstack/2016-10-06/vendor_data2.json"
    found = completed(name, openstack.tree(WEB_1)[name], WEB_1.vendor_data, PARTS)
    assert found.content_type == "application/json"
    assert list(json.loads(found.body).items()) == [
        ("static", WEB_1.vendor_data or {}),
        ("join", {"otp": "abc123"}),
        ("empty", {}),
    ]
    assert found.etag != openstack.tree(WEB_1)[name].etag


def test_only_what_has_a_place_for_answers_is_asked_for() -> None:
    names = [name for name in openstack.tree(WEB_1) | nocloud.tree(WEB_1) if is_asked_for(name)]
    places = [f"openstack/{date}/vendor_data2.json" for date in openstack.VERSIONS[5:]]
    assert names == [*places, "openstack/latest/vendor_data2.json", "nocloud/vendor-data", "nocloud/v1/vendor-data"]


@pytest.mark.parametrize(
    ("own", "said", "file"),
    [
        (None, CONFIG, CONFIG),
        (None, {}, ""),
        (None, {"a": 1}, ""),
        ("#!/bin/sh\n", {}, "#!/bin/sh\n"),
        ({"a": 1}, CONFIG, CONFIG),
        ({"cloud-init": "#!/bin/sh\n"}, CONFIG, ["#!/bin/sh\n", CONFIG]),
        ("#!/bin/sh\n", [CONFIG], ["#!/bin/sh\n", CONFIG]),
        (["#!/bin/sh\n"], CONFIG, ["#!/bin/sh\n", CONFIG]),
    ],
    ids=["service", "nothing", "object", "own", "unread", "both", "list-said", "list-own"],
)
def test_nocloud_has_what_cloud_init_would_read_of_both(own: Any, said: Any, file: str | list[str]) -> None:
    machine = replace(BARE, vendor_data=own)
    parts = {"cloud-init": json.dumps(said).encode()}
    body = drive_files(machine, layout="nocloud", parts=parts).get("vendor-data", b"").decode()
    if isinstance(file, str):
        assert body == file
        return
    head, _, rest = body.partition("\n")
    assert (head, json.loads(rest)) == ("#cloud-config-archive", file)


def test_a_drive_has_answers_in_every_version_that_has_a_place_for_them() -> None:
    with_them, without = drive_files(BARE, parts=PARTS), drive_files(BARE)
    changed = {name for name in with_them if with_them[name] != without[name] and "meta_data" not in name}
    assert changed == {name for name in without if name.endswith("vendor_data2.json")}


def test_a_service_is_asked_with_the_keys_of_nova() -> None:
    assert list(json.loads(question(BARE))) == [
        "project-id",
        "instance-id",
        "image-id",
        "user-data",
        "hostname",
        "metadata",
        "boot-roles",
    ]
    assert json.loads(question(replace(BARE, user_data=b"\xff\x00")))["user-data"] == "/wA="
    assert json.loads(question(replace(BARE, user_data=b"")))["user-data"] == ""


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ({"static": "http://a/"}, "the name 'static'"),
        ({"a b": "http://a/"}, "letters, digits"),
        ({"a": "ftp://a/"}, "'ftp' is not allowed"),
        ({"a": "http://user:pass@a/"}, "a user name or a password"),
        ({"a": "http://127.1/"}, "four decimal numbers"),
        ({f"a{number}": "http://a/" for number in range(17)}, "17 services"),
    ],
    ids=["static", "name", "scheme", "user", "address", "many"],
)
def test_services_that_cannot_be_asked_are_refused(targets: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match="targets") as refused:
        VendorDataSettings(targets=targets)
    assert says in str(refused.value)


def test_services_of_the_operator_may_be_private() -> None:
    targets = {"a": "http://127.0.0.1:8090/", "b": "https://10.0.0.1/x?key=y", "c": "http://[::1]:8080/"}
    assert VendorDataSettings(targets=targets).targets == targets
