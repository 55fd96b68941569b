"""What v1 headers say, and what of it an image takes."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from contracts.image_catalogue import an_image
from headwater.errors import Forbidden, Invalid
from headwater.images.attributes import ReservedAttribute
from headwater.images.model import Status, Visibility
from headwater.images.v1 import attributes as attributes_v1
from headwater.images.v1.attributes import Description, FixedAttribute, FormatMix, SeveralSources
from headwater.images.v1.deleted import Shown
from headwater.images.v1.http import headers
from headwater.images.v1.http.documents import image_document


def request(*lines: tuple[str, str | bytes]) -> Request:
    raw = [(name.lower().encode(), value if isinstance(value, bytes) else value.encode()) for name, value in lines]
    return Request({"type": "http", "method": "POST", "path": "/v1/images", "headers": raw})


def said(**fields: Any) -> Description:
    return headers.description(request(*[(f"x-image-meta-{name}", value) for name, value in fields.items()]))


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("plain", "plain"),
        ("a%20b", "a b"),  # as python-glanceclient encodes
        ("a%2520b", "a%20b"),
        ("%C3%A9", "é"),
        ("100% sure", "100% sure"),  # a client that encodes leaves no space
        ("é%20", "é%20"),
        ("%zz", "%zz"),
        ("%ff", "%ff"),  # no text
        ("", None),
    ],
)
def test_a_value_is_decoded_when_only_an_encoder_would_write_it(sent: str, meant: str | None) -> None:
    assert said(name=sent).fields["name"] == meant


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("http://h/a%2520b%3Fc%3Dd", "http://h/a%20b?c=d"),  # encoded once more
        ("http://h/a%20b", "http://h/a%20b"),  # what would come out of it is no URL
        ("http://h/a?b=%20", "http://h/a?b=%20"),
    ],
)
def test_the_encoding_of_a_url_stays_its_own(sent: str, meant: str) -> None:
    assert headers.description(request(("x-glance-api-copy-from", sent))).copy_from == meant
    assert said(location=sent).location == meant


def test_names_are_folded() -> None:
    found = headers.description(
        request(
            ("X-Image-Meta-Is-Public", "TRUE"),
            ("x-image-meta-min_ram", "5"),
            ("X-Image-Meta-Property-OS-Distro", "u"),
            ("x-image-meta-property-%c3%a9", "x"),
        )
    )
    assert found.fields == {"is_public": True, "min_ram": 5}
    assert found.properties == {"os_distro": "u", "é": "x"}


def test_what_no_header_can_hold_is_encoded_and_ends_no_header() -> None:
    image = an_image("a\r\nx-evil: 1", properties={"o d:d\n": "x\x00y", "é": "ü"}, owner=None)
    lines = dict(headers.shown(image_document(Shown(image))))
    assert lines[b"x-image-meta-name"] == b"a%0D%0Ax-evil: 1"
    assert lines[b"x-image-meta-property-o%20d%3Ad%0A"] == b"x%00y"
    assert lines[b"x-image-meta-property-%C3%A9"] == "ü".encode()
    assert lines[b"x-image-meta-owner"] == b""
    assert not [name for name in lines if not name.isascii() or b"\n" in name + lines[name]]


@pytest.mark.parametrize(
    "value", [("true", True), ("1", True), ("Yes", True), ("None", False), ("", False), ("f", False)]
)
def test_switches_are_read_as_python_writes_them(value: tuple[str, bool]) -> None:
    assert said(is_public=value[0]).fields == {"is_public": value[1]}


@pytest.mark.parametrize("value", [None, "", "false", "no", "x"])
def test_properties_are_purged_unless_the_request_says_otherwise(value: str | None) -> None:
    lines = [] if value is None else [("x-glance-registry-purge-props", value)]
    assert headers.purges(request(*lines)) is (value is None)
    assert headers.purges(request(("X-Glance-Registry-Purge-Props", "True")))


def test_one_of_amazons_formats_brings_the_other() -> None:
    assert said(disk_format="ami").fields == {"disk_format": "ami", "container_format": "ami"}
    assert said(container_format="ari").fields == {"disk_format": "ari", "container_format": "ari"}
    with pytest.raises(FormatMix):
        said(disk_format="ami", container_format="bare")


def test_data_comes_from_one_place() -> None:
    both = Description(fields={"location": "http://x/"}, copy_from="http://x/")
    for has_data, description in ((True, said(location="http://x/")), (False, both)):
        with pytest.raises(SeveralSources):
            description.require_one_source(has_data=has_data)
    said(name="x").require_one_source(has_data=True)


def test_a_change_purges_only_what_users_set() -> None:
    image = an_image(properties={"Hw-Disk": "a", "old": "b", "os_glance_failed_import": ""})
    description = Description(properties={"hw_disk": "c"})
    purged = attributes_v1.changed(image, description, purge=True, is_admin=False)
    assert purged.properties == {"Hw-Disk": "c", "os_glance_failed_import": ""}
    kept = attributes_v1.changed(image, description, purge=False, is_admin=False)
    assert kept.properties == {"Hw-Disk": "c", "old": "b", "os_glance_failed_import": ""}


@pytest.mark.parametrize("name", ["os_glance_failed_import", "visibility", "owner", "id", "size", "location"])
def test_a_property_does_not_take_a_name_that_means_something(name: str) -> None:
    image = an_image(properties={"os_glance_failed_import": ""})
    with pytest.raises(ReservedAttribute):
        attributes_v1.changed(image, Description(properties={name: "x"}), purge=False, is_admin=True)


def test_only_an_admin_names_the_owner_and_nobody_else_is_refused_for_it() -> None:
    image = an_image(owner="p1")
    assert attributes_v1.changed(image, said(owner="p2"), purge=False, is_admin=False).owner == "p1"
    assert attributes_v1.changed(image, said(owner="p2"), purge=False, is_admin=True).owner == "p2"


@pytest.mark.parametrize("is_admin", [True, False])
@pytest.mark.parametrize("status", [Status.ACTIVE, Status.DEACTIVATED, Status.SAVING, Status.KILLED])
def test_status_id_and_what_describes_the_data_stay(status: Status, is_admin: bool) -> None:
    """Source: OSSA-2015-019: a status that could be set made an image's data replaceable."""
    image = an_image(status=status, size=5, checksum="0" * 32, disk_format="raw", container_format="bare")
    for wanted in (
        {"status": "queued"},
        {"id": "11111111-1111-4111-8111-111111111111"},
        {"size": "6"},
        {"checksum": "1" * 32},
        {"disk_format": "qcow2"},
        {"container_format": "ovf"},
    ):
        with pytest.raises(FixedAttribute) as caught:
            attributes_v1.changed(image, said(**wanted), purge=False, is_admin=is_admin)
        assert isinstance(caught.value, Forbidden)
    same = said(status=status.value, id=image.id.upper(), size="5", checksum="0" * 32, disk_format="raw")
    assert attributes_v1.changed(image, same, purge=False, is_admin=is_admin) == image


@pytest.mark.parametrize("before", list(Visibility))
def test_what_is_not_public_stays_what_it_was(before: Visibility) -> None:
    image = an_image(visibility=before)
    hidden = attributes_v1.changed(image, said(is_public="False"), purge=False, is_admin=False).visibility
    assert hidden is (Visibility.SHARED if before is Visibility.PUBLIC else before)
    shown = attributes_v1.changed(image, said(is_public="True"), purge=False, is_admin=False).visibility
    assert shown is Visibility.PUBLIC


@pytest.mark.parametrize(
    "lines", [[("x-image-meta-is_public", "x")], [("x-image-meta-name", b"\xff")], [("x-image-meta-tags", "x")]]
)
def test_a_header_that_says_nothing_is_refused(lines: list[tuple[str, str | bytes]]) -> None:
    with pytest.raises(Invalid):
        headers.description(request(*lines))
