from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from headwater.streams.query.filters import parse_filters
from headwater.streams.syncing.items import DEFAULT_FILTERS, Item, filters_of, offered
from headwater.streams.syncing.properties import creation_of, name_of, properties_of
from headwater.streams.syncing.sources.source import BadSource, SourceSettings
from headwater.streams.syncing.terms import SyncTerms

ROW = {
    "content_id": "com.example:download",
    "datatype": "image-downloads",
    "product_name": "com.example:server:24.04:amd64",
    "version_name": "20250101",
    "item_name": "disk1.img",
    "ftype": "disk1.img",
    "path": "a/b.img",
    "item_url": "https://feeds.example/a/b.img",
    "size": "10",
    "sha256": "0" * 64,
    "md5": "0" * 32,
    "os": "example",
    "version": "24.04",
    "arch": "amd64",
    "pubname": "example-noble-24.04-amd64-server-20250101",
}


def item(**more: str) -> Item:
    return Item.of({**ROW, **more})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"filters": ["nonsense"]}, "write KEY=TEXT"),
        ({"filters": ["a~("]}, "no regular expression"),
        ({"max_versions": 0}, "greater than or equal to 1"),
        ({"max_versions": 3, "keep": 2}, "keep is less than max_versions"),
        ({"content_id": "{arch}"}, "only value that it may hold is"),
        ({"name": "{arch.x}"}, "a value is written as"),
        ({"name": "{arch[0]}"}, "a value is written as"),
        ({"name": "{0}"}, "a value is written as"),
        ({"name": "{}"}, "a value is written as"),
        ({"name": "{arch!r}"}, "a value is written as"),
        ({"name": "{arch:>9999999999}"}, "a value is written as"),
        ({"name": "{"}, "no template"),
        ({"name": "a\nb"}, "printable"),
        ({"properties": {"content_id": "x"}}, "set by the sync itself"),
        ({"properties": {"status": "x"}}, "set by the sync itself"),
        ({"properties": {"os_glance_x": "x"}}, "no name of a property"),
        ({"properties": {"": "x"}}, "no name of a property"),
        ({"disk_format": "tar"}, "is none of"),
        ({"old": "burn"}, "'delete', 'delete-always', 'hide', 'deactivate' or 'keep'"),
        ({"hook": "rm"}, "Extra inputs"),
    ],
)
def test_terms_that_cannot_be_are_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("{", r"\{")):
        SyncTerms.model_validate(said)


def test_the_mark_of_the_images_may_hold_the_region() -> None:
    assert SyncTerms(content_id="auto.sync.{region}", region="North").marked == "auto.sync.North"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ((), DEFAULT_FILTERS),
        (("version=24.04",), ("version=24.04", DEFAULT_FILTERS[0])),
        (("ftype=squashfs",), ("ftype=squashfs",)),
        (("item_name=x",), ("item_name=x",)),
    ],
)
def test_what_no_filter_speaks_of_is_as_the_charm_has_it(given: tuple[str, ...], meant: tuple[str, ...]) -> None:
    assert filters_of(given) == meant
    assert parse_filters(meant)


@pytest.mark.parametrize(
    ("more", "terms", "name"),
    [
        ({}, {}, "auto-sync/example-noble-24.04-amd64-server-20250101-disk1.img"),
        ({"pubname": "x-disk1.img"}, {}, "auto-sync/x-disk1.img"),
        ({"pubname": "", "name": "n"}, {}, "auto-sync/n-disk1.img"),
        ({"pubname": ""}, {}, "auto-sync/com.example:server:24.04:amd64-20250101-disk1.img"),
        ({}, {"name_prefix": ""}, "example-noble-24.04-amd64-server-20250101-disk1.img"),
        ({}, {"name": "{os} {version} ({arch}) {none}{{"}, "example 24.04 (amd64) {"),
        ({"pubname": "p" * 300}, {}, "auto-sync/" + "p" * 245),
    ],
)
def test_names_follow_the_charm_or_a_template(more: dict[str, str], terms: dict[str, Any], name: str) -> None:
    assert name_of(item(**more), SyncTerms.model_validate(terms)) == name


@pytest.mark.parametrize(
    ("arch", "architecture"),
    [
        ("amd64", "x86_64"),
        ("i386", "i686"),
        ("ppc64el", "ppc64le"),
        ("powerpc", "ppc"),
        ("armhf", "armv7l"),
        ("arm64", "aarch64"),
        ("s390x", "s390x"),
    ],
)
def test_architectures_are_called_as_the_charm_calls_them(arch: str, architecture: str) -> None:
    assert properties_of(item(arch=arch), SyncTerms())["architecture"] == architecture


def test_the_properties_are_those_of_the_charm() -> None:
    found = properties_of(item(), SyncTerms())
    assert found.pop("simplestreams_metadata") == (
        '{"arch": "amd64", "content_id": "com.example:download", "datatype": "image-downloads", "ftype": "disk1.img", '
        f'"md5": "{"0" * 32}", "os": "example", "pubname": "example-noble-24.04-amd64-server-20250101", '
        f'"sha256": "{"0" * 64}", "size": "10", "version": "24.04"}}'
    )
    assert found == {
        "content_id": "auto.sync",
        "source_content_id": "com.example:download",
        "product_name": "com.example:server:24.04:amd64",
        "version_name": "20250101",
        "item_name": "disk1.img",
        "os_distro": "example",
        "os_version": "24.04",
        "architecture": "x86_64",
    }


@pytest.mark.parametrize(
    ("ftype", "disk_format", "hypervisor"),
    [
        ("disk1.img", "qcow2", "qemu"),
        ("disk.img", "qcow2", "qemu"),
        ("disk-kvm.img", "qcow2", None),
        ("root.tar.gz", "root-tar", "lxc"),
        ("root.tar.xz", "root-tar", "lxc"),
        ("squashfs", "squashfs", "lxc"),
        ("uefi1.img", "qcow2", None),
        ("vmdk", "vmdk", None),
        ("iso", "iso", None),
    ],
)
def test_what_a_file_is_follows_from_its_ftype(ftype: str, disk_format: str, hypervisor: str | None) -> None:
    found = creation_of(item(ftype=ftype), SyncTerms(hypervisor_mapping=True))
    assert (found["disk_format"], found.get("hypervisor_type")) == (disk_format, hypervisor)
    assert (found["visibility"], found["os_hidden"], found["container_format"]) == ("private", True, "bare")


def test_a_squashfs_is_left_out_where_there_is_a_root_tarball_of_the_same_version() -> None:
    rows = [
        {**ROW, "item_name": "a", "ftype": "squashfs"},
        {**ROW, "item_name": "b", "ftype": "root.tar.xz"},
        {**ROW, "item_name": "c", "ftype": "squashfs", "version_name": "2"},
    ]
    assert [each.key.item for each in offered(rows).items] == ["b", "c"]


def test_only_files_of_images_are_taken_and_each_once() -> None:
    rows = [ROW, dict(ROW), {**ROW, "datatype": "image-ids"}, {**ROW, "datatype": "content-download"}]
    found = offered(rows)
    assert (len(found.items), found.problems) == (1, ())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([], "is an object"),
        ({"name": "a"}, "url"),
        ({"name": "", "url": "https://x/"}, "a name is"),
        ({"name": "a", "url": "file:///x"}, "http"),
        ({"name": "a", "url": "https://u:p@x/"}, "no user and no password"),
        ({"name": "a", "url": "https://x/?a=b"}, "nothing more"),
        ({"name": "a", "url": "https://x:y/"}, "no URL"),
        ({"name": "a", "url": "https://x/", "interval_s": 1}, "interval_s"),
        ({"name": "a", "url": "https://x/", "terms": {"keep": "x"}}, "terms.keep"),
    ],
)
def test_a_source_that_cannot_be_is_refused_with_the_place_in_it(said: object, words: str) -> None:
    with pytest.raises(BadSource, match=words) as caught:
        SourceSettings.of(said)
    assert "u:p" not in str(caught.value)


def test_a_merge_patch_changes_what_it_names_and_null_takes_it_back() -> None:
    before = SourceSettings.of({"name": "a", "url": "https://x/", "terms": {"keep": 3, "properties": {"a": "1"}}})
    after = before.merged({"interval_s": 60, "terms": {"keep": None, "properties": {"b": "2"}}})
    assert (after.interval_s, after.terms.keep, after.terms.properties) == (60, None, {"a": "1", "b": "2"})
    with pytest.raises(BadSource):
        before.merged([])
    with pytest.raises(BadSource):
        before.merged({"name": None})


def test_a_keyring_is_armored_or_base64() -> None:
    assert SourceSettings.of({"name": "a", "url": "https://x/", "keyring": "YWJj\n"}).keyring_bytes() == b"abc"
    armored = SourceSettings.of({"name": "a", "url": "https://x/", "keyring": "-----BEGIN PGP x"})
    assert armored.keyring_bytes() == b"-----BEGIN PGP x"
    with pytest.raises(BadSource, match="neither armored nor base64"):
        SourceSettings.of({"name": "a", "url": "https://x/", "keyring": "!!"}).keyring_bytes()
