"""What is in a view, what its files are called, and what is used again."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.identity.caller import Caller
from headwater.images.catalogue.deletions.pending_deletes import Deletion, PendingDelete
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.public import Revision
from headwater.images.catalogue.sharing.private_paths import PrivatePath
from headwater.images.model import Image, Visibility
from headwater.streams.format.documents import Index, Products
from headwater.streams.live.document import StreamNotFound
from headwater.streams.live.files.placement import FilePlacement, place_files
from headwater.streams.settings import StreamsSettings
from headwater.streams.views import views as module
from headwater.streams.views.checksums import checksums
from headwater.streams.views.names import family_name, file_name, ids_of
from headwater.streams.views.views import View, ViewNotFound, Views
from unit.streams.catalogue import NOON, image
from unit.streams.keys import OpenKey, open_key

SAFE = re.compile(r"[A-Za-z0-9+_][A-Za-z0-9.+_-]*")
INDEX = "streams/v1/index.json"
SHA512, SHA256 = "ab" * 64, "cd" * 32
PATH = PrivatePath(
    id="11111111-1111-4111-8111-111111111111",
    project_id="p",
    user_id="u",
    name=None,
    with_community=False,
    created_at=0,
    expires_at=None,
)


def hashed(number: int, **changes: Any) -> Image:
    """Return an image of project ``p`` whose data has a hash."""
    mine = {"id": str(UUID(int=number << 96)), "owner": "p"}
    return image(number, **{**mine, "os_hash_algo": "sha512", "os_hash_value": SHA512, **changes})


class Place:
    """Views over a list of images, which stands for all that the catalogue would show."""

    def __init__(self, *images: Image, **settings: Any) -> None:
        self.images, self.now, self.revoked = list(images), 1_800_000_000.0, False
        self.asked: list[Query] = []
        self.found: dict[str, Fingerprint] = {}
        self.wanted: list[str] = []
        self.number: int | None = None
        self.deleted: list[PendingDelete] = []
        signer = settings.pop("signer", None)
        is_open = settings.pop("is_open", True)
        self.views = Views(
            self,
            Everything(self),
            self,
            self,
            StreamsSettings(**settings),
            deleted=self,
            signer=signer,
            revision=lambda: None if self.number is None else Revision(self.number, None),
            is_open=is_open,
            clock=lambda: self.now,
            time_of_day=lambda: int(self.now * 1_000_000),
        )

    def page(self, caller: Caller, query: Query, *, as_project: bool = False) -> Listed[Image]:
        assert as_project == (caller.project_id is not None)
        return self.listed(query)

    def listed(self, query: Query) -> Listed[Image]:
        self.asked.append(query)
        found = [each for each in self.images if all(_holds(each, condition) for condition in query.conditions)]
        start = 0 if query.after is None else found.index(query.after) + 1
        return Listed(found[start : start + query.limit])

    def find(self, secret: str) -> PrivatePath | None:
        return PATH if secret == "right" and not self.revoked else None

    def of(self, image_ids: Collection[str]) -> Mapping[str, Fingerprint]:
        return {each: self.found[each] for each in image_ids if each in self.found}

    def want(self, image: Image) -> None:
        self.wanted.append(image.id)

    def served(self, image_id: str, now: int) -> PendingDelete | None:
        return next(iter(self.served_between(image_id, image_id, now)), None)

    def served_between(self, first: str, last: str, now: int) -> list[PendingDelete]:
        return [each for each in self.deleted if first <= each.image.id <= last and now < each.deletion.served_until]

    def knows(self, image: Image, sha256: str, **more: Any) -> None:
        self.found[image.id] = Fingerprint(
            image_id=image.id, data_hash=image.os_hash_value or "", sha256=sha256, **more
        )

    def secret(self) -> View:
        return self.views.secret("right")


class Everything:
    """The catalogue itself."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def page(self, query: Query) -> Listed[Image]:
        assert query.visibility == "public"
        found = self._place.listed(query)
        return Listed([each for each in found if each.visibility is Visibility.PUBLIC])


def _holds(image: Image, condition: Any) -> bool:
    value = getattr(image, condition.column)
    if condition.comparison == "between":
        return bool(condition.value[0] <= value <= condition.value[1])
    return bool(value == condition.value)


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


# --- Names ---------------------------------------------------------------------------------------


@given(st.text(max_size=300), st.sampled_from(["raw", "qcow2", "iso", "root-tar", "squashfs", "my/../fmt", "é"]))
def test_every_name_is_safe_says_its_family_and_leads_back_to_its_image(name: str, disk_format: str) -> None:
    found = image(7, name=name, disk_format=disk_format)
    file = file_name(found)
    assert SAFE.fullmatch(file), file
    assert len(file) < 200
    assert file.startswith(f"{family_name(found)}_")
    ids = ids_of(file)
    assert ids is not None
    assert ids[0] <= found.id <= ids[1]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ubuntu-24.04", "ubuntu-24.04_20260721.1784635200.00000000.qcow2"),
        ("ubuntu-24.04-20260705", "ubuntu-24.04_20260705.1784635200.00000000.qcow2"),
        ("Ubuntu 24.04 (20260705)", "Ubuntu-24.04_20260705.1784635200.00000000.qcow2"),
        (None, "image_20260721.1784635200.00000000.qcow2"),
        ("...", "image_20260721.1784635200.00000000.qcow2"),
        ("../../etc/passwd", "etc-passwd_20260721.1784635200.00000000.qcow2"),
    ],
)
def test_the_file_of_an_image_is_called_after_it(name: str | None, file: str) -> None:
    assert file_name(image(1, name=name)) == file


def test_names_are_in_the_order_of_age() -> None:
    images = [
        image(number, name=f"a-2026070{day}", created=NOON + timedelta(seconds=s))
        for number, (day, s) in enumerate([(1, 9), (2, 1), (2, 5), (3, 0)], start=1)
    ]
    names = [file_name(each) for each in images]
    assert names == sorted(names)


@pytest.mark.parametrize(
    "name", ["", "a.raw", "a_20260101.1.zzzzzzzz.raw", "a_20260101.1.0000000.raw", "a_2026.1.00000000.raw\n"]
)
def test_what_no_file_is_called_leads_nowhere_without_a_question(name: str) -> None:
    place = Place(hashed(1))
    with pytest.raises(ViewNotFound):
        place.views.file(place.secret(), name)
    assert place.asked == []


def test_of_two_images_with_one_file_name_the_older_is_meant_everywhere() -> None:
    older = hashed(1)
    close = older.id[:-1] + "1"
    newer = hashed(2, id=close, created=NOON + timedelta(milliseconds=1), os_hash_value="ef" * 64)
    assert file_name(older) == file_name(newer)
    for images in ((older, newer), (newer, older)):
        place = Place(*images)
        assert place.views.document(place.secret(), "SHA512SUMS").body == f"{SHA512} *{file_name(older)}\n".encode()
        assert place.views.file(place.secret(), file_name(older)) == older
        files = place.views.document(place.secret(), "streams/v1/images.json").body
        assert b"efefef" not in files


# --- Checksums -----------------------------------------------------------------------------------


def test_a_list_has_those_whose_checksum_is_known_as_sha256sum_writes_it() -> None:
    one, two, three = (
        hashed(1, name="b"),
        image(2, name="a"),
        hashed(3, name="c", os_hash_algo="sha256", os_hash_value=SHA256.upper()),
    )
    assert checksums([one, two, three], "sha512", {}) == f"{SHA512} *{file_name(one)}\n".encode()
    assert checksums([one, two, three], "sha256", {}) == f"{SHA256} *{file_name(three)}\n".encode()
    known = {one.id: "ef" * 32, two.id: "not a checksum"}
    assert checksums([one, two, three], "sha256", known).decode().splitlines() == [
        f"{'ef' * 32} *{file_name(one)}",
        f"{SHA256} *{file_name(three)}",
    ]


def test_sha256_that_somebody_else_knows_is_listed_and_a_new_one_shows_at_once() -> None:
    place = Place(hashed(1))
    assert place.views.document(place.secret(), "SHA256SUMS").body == b""
    place.knows(hashed(1), SHA256)
    assert place.views.document(place.secret(), "SHA256SUMS").body.startswith(SHA256.encode())


def test_what_is_not_known_for_long_is_wanted_again() -> None:
    mine = hashed(1, visibility=Visibility.PRIVATE)
    place = Place(mine)
    asked = []
    for later_s in (0, 800, 200, 10):
        place.now += later_s
        place.views.document(place.secret(), INDEX)
        asked.append(len(place.wanted))
    assert asked == [1, 1, 2, 2]


def test_what_machines_take_of_private_images_is_wanted_once_and_then_listed() -> None:
    mine, raw = hashed(1, visibility=Visibility.PRIVATE), hashed(2, disk_format="raw")
    place = Place(mine, raw)
    for view in (place.views.own(Caller(project_id="p"), with_community=False), place.secret(), place.secret()):
        index = place.views.document(view, INDEX).body
        assert "images:lxd" not in Index.from_bytes(index).index
    assert place.wanted == [mine.id]
    at = place_files(mine, for_everybody=False)
    assert isinstance(at, FilePlacement)
    place.knows(mine, SHA256, product=at.product_id, metadata=b"metadata", combined="ef" * 32)
    entry = Index.from_bytes(place.views.document(place.secret(), INDEX).body).index["images:lxd"]
    assert entry.products == (at.product_id,)
    products = Products.from_bytes(place.views.document(place.secret(), entry.path).body)
    (version,) = products.products[at.product_id].versions.values()
    assert place.wanted == [mine.id]
    for item in version.items.values():
        assert item.path is not None
        found = place.views.root(place.secret(), item.path)
        assert (found.image, found.size, found.sha256) == (mine, item.size, item.sha256)
        assert (found.content == b"metadata") == item.path.endswith("metadata.tar.xz")
        for path in (item.path.replace(mine.id, raw.id), f"{item.path}x", "images/nothing", "nothing"):
            with pytest.raises(ViewNotFound):
                place.views.root(place.secret(), path)
    place.images.remove(mine)
    for item in version.items.values():
        with pytest.raises(ViewNotFound):
            place.views.root(place.secret(), item.path or "")


def test_each_family_has_its_lists_and_its_files_only() -> None:
    old, new, other = hashed(1, name="a-20260101"), hashed(2, name="a-20260201"), hashed(3, name="b")
    place = Place(old, new, other)
    text = place.views.document(place.secret(), "families/a/SHA512SUMS").body.decode()
    assert [line.partition("*")[2] for line in text.splitlines()] == [file_name(old), file_name(new)]
    assert place.views.file(place.secret(), file_name(old), "a") == old
    for family in ("b", "", "nothing"):
        with pytest.raises(ViewNotFound):
            place.views.file(place.secret(), file_name(old), family)
    with pytest.raises(StreamNotFound):
        place.views.document(place.secret(), "families/nothing/SHA512SUMS")


# --- Documents -----------------------------------------------------------------------------------


def test_one_index_names_ids_and_files_and_both_read_back(key: OpenKey) -> None:
    shown = hashed(1, visibility=Visibility.PRIVATE, name="mine")
    place = Place(shown, hashed(2, name="unhashed", os_hash_algo=None, os_hash_value=None), signer=key.signer)
    index = Index.from_bytes(place.views.document(place.secret(), "streams/v1/index.json").body)
    by_type = {entry.datatype: entry for entry in index.index.values()}
    ids = Products.from_bytes(place.views.document(place.secret(), by_type["image-ids"].path).body)
    files = Products.from_bytes(place.views.document(place.secret(), by_type["image-downloads"].path).body)
    assert list(by_type["image-downloads"].products or ()) == list(files.products) == ["mine:amd64"]
    assert shown.id in json.dumps(ids.to_dict())
    ((item,),) = [version.items.values() for version in files.products["mine:amd64"].versions.values()]
    assert (item.path, item.size, item.sha512, item.sha256) == (file_name(shown), shown.size, SHA512, None)
    signed = place.views.document(place.secret(), "streams/v1/index.sjson").body
    for entry in by_type.values():
        path = entry.path.replace(".json", ".sjson")
        assert path.encode() in signed
        assert place.views.document(place.secret(), path).body.startswith(b"-----BEGIN PGP SIGNED MESSAGE")
    assert place.views.document(place.secret(), "SHA512SUMS.gpg").body.startswith(b"-----BEGIN PGP SIGNATURE")


def test_without_a_key_nothing_is_signed() -> None:
    place = Place(hashed(1))
    for name in ("SHA512SUMS.gpg", "streams/v1/index.sjson", "families/image/SHA256SUMS.gpg"):
        with pytest.raises(StreamNotFound):
            place.views.document(place.secret(), name)


def test_what_was_made_is_used_again_until_an_image_changes(key: OpenKey) -> None:
    place = Place(hashed(1), signer=key.signer)
    first = place.views.document(place.secret(), "SHA512SUMS.gpg")
    assert place.views.document(place.secret(), "SHA512SUMS.gpg") is first
    place.images = [replace(place.images[0], revision=1, name="renamed")]
    assert place.views.document(place.secret(), "SHA512SUMS.gpg") is not first


def test_the_products_of_an_index_fit_it_for_a_minute_and_are_then_the_newest() -> None:
    place = Place(hashed(1), hashed(2))
    index = Index.from_bytes(place.views.document(place.secret(), "streams/v1/index.json").body)
    path = index.index["images"].path
    before = place.views.document(place.secret(), path).body
    place.images = place.images[:1]
    place.views.document(place.secret(), "streams/v1/index.json")
    assert place.views.document(place.secret(), path).body == before
    place.now += 61
    assert place.views.document(place.secret(), path).body != before


def test_a_view_keeps_nothing_for_another() -> None:
    place = Place(hashed(1), hashed(2, visibility=Visibility.PRIVATE))
    index = Index.from_bytes(place.views.document(place.secret(), "streams/v1/index.json").body)
    public = place.views.public("p")
    shown = place.views.document(public, index.index["images"].path).body
    assert hashed(2).id.encode() not in shown
    assert hashed(1).id.encode() in shown


def test_a_view_of_many_images_is_read_in_pages() -> None:
    place = Place(*(hashed(number) for number in range(1, 2502)))
    assert place.views.document(place.secret(), "SHA512SUMS").body.count(b"\n") == 2501
    assert len(place.asked) == 3


def test_a_public_view_is_not_read_again_while_nothing_public_changes() -> None:
    place = Place(hashed(1))
    place.number = 1
    view = place.views.public("p")
    first = place.views.document(view, "SHA512SUMS")
    asked = len(place.asked)
    assert place.views.document(view, "SHA512SUMS") is first
    assert len(place.asked) == asked
    place.images, place.number = [hashed(1), hashed(2)], 2
    assert place.views.document(view, "SHA512SUMS").body.count(b"\n") == 2
    place.images, place.number = [], 3
    with pytest.raises(ViewNotFound):
        place.views.document(view, "SHA512SUMS")


def test_so_many_views_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(hashed(1))
    callers = [Caller(user_id=f"u{number}", project_id="p", roles=frozenset({"member"})) for number in range(600)]
    own = [place.views.own(each, with_community=False) for each in callers]
    for view in own:
        place.views.document(view, "SHA512SUMS")
    assert len(place.views._kept) == 500
    assert own[-1].key in place.views._kept
    monkeypatch.setattr(module, "_KEPT_BYTES", 1)
    place.views.document(own[0], "SHA512SUMS")
    assert list(place.views._kept) == [own[0].key]


# --- Who -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["wrong", "", "Right", "right/"])
def test_a_secret_that_leads_nowhere_is_as_a_file_that_is_not_there(secret: str) -> None:
    place = Place(hashed(1))
    with pytest.raises(ViewNotFound) as unknown:
        place.views.secret(secret)
    with pytest.raises(ViewNotFound) as absent:
        place.views.file(place.secret(), "a_20260101.1.ffffffff.raw")
    assert str(unknown.value) == str(absent.value)
    place.revoked = True
    with pytest.raises(ViewNotFound):
        place.secret()


def test_everybody_sees_of_a_project_what_is_public_and_no_project_without() -> None:
    place = Place(hashed(1, name="shown"), hashed(2, visibility=Visibility.COMMUNITY), hashed(3, owner="other"))
    text = place.views.document(place.views.public("p"), "SHA512SUMS").body.decode()
    assert [line.partition("*")[2] for line in text.splitlines()] == [file_name(place.images[0])]
    for project in ("nobody", "P", ""):
        with pytest.raises(ViewNotFound):
            place.views.document(place.views.public(project), "SHA512SUMS")
    closed = Place(hashed(1), is_open=False)
    with pytest.raises(ViewNotFound):
        closed.views.public("p")
    assert closed.views.document(closed.secret(), "SHA512SUMS").body


def deleted(number: int, at: float, **changes: Any) -> PendingDelete:
    """Return an image that was public until now, and of which files are given for a minute."""
    how = Deletion(at=int(at * 1_000_000), scrub_at=0, is_counted=False, served_until=int((at + 60) * 1_000_000))
    return PendingDelete(image=hashed(number, **changes), held=(), deletion=how, stored_size=0)


def test_the_file_of_a_deleted_image_stays_in_each_view_that_had_it_until_its_time_is_over() -> None:
    place = Place(hashed(1, name="left"))
    gone = deleted(2, place.now, name="gone")
    place.deleted = [gone, deleted(2, place.now - 60, name="over")]
    name = file_name(gone.image)
    for view in (
        place.views.public("p"),
        place.secret(),
        place.views.own(Caller(project_id="q"), with_community=False),
    ):
        assert place.views.file(view, name) == place.views.file(view, name, "gone") == gone
        assert name.encode() not in place.views.document(view, "SHA512SUMS").body
        for other, family in ((name, "left"), (file_name(place.deleted[1].image), None)):
            with pytest.raises(ViewNotFound):
                place.views.file(view, other, family)
    with pytest.raises(ViewNotFound):
        place.views.file(place.views.public("q"), name)
    place.now += 60
    with pytest.raises(ViewNotFound):
        place.views.file(place.secret(), name)


def test_what_lxd_reads_of_a_deleted_image_stays_at_its_path_below_the_view() -> None:
    noble = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64"}
    place = Place(hashed(1, properties=noble))
    place.knows(place.images[0], SHA256, product="ubuntu:noble:amd64:default", metadata=b"m", combined="ef" * 32)
    path = f"images/{place.images[0].id}/{SHA256}/disk.qcow2"
    before = place.views.root(place.secret(), path)
    gone = replace(deleted(1, place.now, properties=noble), fingerprint=place.found.pop(place.images[0].id))
    place.images, place.deleted = [], [gone]
    assert place.views.root(place.secret(), path) == replace(before, kept=gone)
    assert place.views.root(place.views.public("p"), path).kept == gone
    for view, wrong in (
        (place.views.public("q"), path),
        (place.secret(), path.replace(SHA256, "00" * 32)),
        (place.secret(), path.replace(gone.image.id, str(UUID(int=9 << 96)))),
    ):
        with pytest.raises(ViewNotFound):
            place.views.root(view, wrong)


@pytest.mark.parametrize("changes", [{"visibility": Visibility.PRIVATE}, {"os_hidden": True}, {"owner": "other"}])
def test_what_is_opened_is_looked_at_once_more(changes: dict[str, Any]) -> None:
    place = Place(hashed(1))
    view = place.views.public("p")
    place.views.require_shown(view, hashed(1))
    with pytest.raises(ViewNotFound):
        place.views.require_shown(view, replace(hashed(1), **changes))
