"""What the catalogue of images promises on every database."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from contracts.unheard import UnheardImages, UnheardUploads
from headwater.database.engine import Database
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.images import ImageExists, MarkerNotFound
from headwater.images.catalogue.lists import listing, pages
from headwater.images.catalogue.lists.listing import SORT_KEYS, Condition, Direction, Query, Viewer, total_order
from headwater.images.catalogue.public import PublicImageRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.upload_records import ImageGone, Upload, UploadLost
from headwater.images.model import Image, ImageProtected, Location, Status, Visibility

NOON = 1_700_000_000_000_000
SECOND = 1_000_000

# Text that a language's order, folding of case or padding would mix up.
EXACT = ("a", "A", "a ", " a", "ä", "a\u0308", "Ä", "ß", "ss", "z", "_", "%", "\\", "'", '"', "😀", "\ufb01", "fi")


def an_image(name: str | None = None, **fields: Any) -> Image:
    """Return an image with a new id."""
    given: dict[str, Any] = {"id": str(uuid.uuid4()), "created_at": NOON, "updated_at": NOON, "name": name, **fields}
    return Image(**given)


def add(catalogue: UnheardImages, *images: Image) -> None:
    """Keep new images."""
    for image in images:
        catalogue.create(image, fresh_id=True)


def renamed(name: str) -> Callable[[Image], Image]:
    """Return a change of name."""
    return lambda image: replace(image, name=name)


def moved(status: Status, **fields: Any) -> Callable[[Image], Image]:
    """Return a change of status."""
    return lambda image: replace(image.moved_to(status), **fields)


def anything(_image: Image) -> None:
    """Allow the deletion of any image."""


# --- What a list should show, said a second time in plain Python --------------------------------------


def expected(images: Iterable[Image], query: Query) -> list[Image]:
    """Return what the page of ``query`` should be."""
    everything = list(images)
    found = ordered([image for image in everything if _shown(image, query)], query.sort)
    if query.marker is not None:
        marker = next(image for image in everything if image.id == query.marker)
        # The marker may have dropped out of the list: what comes after it is decided by the order alone.
        line = ordered([*(image for image in found if image.id != marker.id), marker], query.sort)
        found = line[line.index(marker) + 1 :]
    return found[: query.limit]


def ordered(images: Sequence[Image], sort: Sequence[tuple[str, Direction]]) -> list[Image]:
    """Return the images in the order of a list: an absent value is smaller than every other."""
    line = list(images)
    for key, direction in reversed(total_order(sort)):
        line.sort(key=lambda image, key=key: _place(image, key), reverse=direction == "desc")  # type: ignore[misc]
    return line


def _place(image: Image, key: str) -> tuple[bool, Any]:
    value = getattr(image, key)
    return (value is not None, value if value is not None else 0)


def _shown(image: Image, query: Query) -> bool:
    return (
        image.os_hidden == query.os_hidden
        and all(_holds(getattr(image, wanted.column), wanted) for wanted in query.conditions)
        and all(image.properties.get(name) == value for name, value in query.properties)
        and set(query.tags) <= set(image.tags)
    )


def _holds(value: Any, wanted: Condition) -> bool:
    if value is None:
        return False
    other = wanted.value
    tests: dict[str, Callable[[], bool]] = {
        "eq": lambda: value == other,
        "neq": lambda: value != other,
        "gt": lambda: value > other,
        "gte": lambda: value >= other,
        "lt": lambda: value < other,
        "lte": lambda: value <= other,
        "in": lambda: value in other,
        "between": lambda: other[0] <= value <= other[1],
        "outside": lambda: not other[0] <= value <= other[1],
    }
    return tests[wanted.comparison]()


def all_pages(catalogue: UnheardImages, query: Query) -> list[Image]:
    """Return the pages of a list, one after the other, put together."""
    found: list[Image] = []
    for _ in range(1000):
        page = catalogue.page(query)
        assert len(page) <= query.limit
        found += page
        if len(page) < query.limit:
            return found
        query = replace(query, marker=page[-1].id)
    raise AssertionError("the pages have no end")


def many_images() -> list[Image]:
    """Return images with ties, equal times and absent values in every sort key."""
    names = (None, "b", "a", "B", None, "a", "ä", "")
    sizes = (None, 5, 0, 5, 1 << 40)
    formats = (None, "qcow2", "raw", "raw", None, "iso", "vmdk")
    containers = ("bare", None, "ovf")
    statuses = (Status.QUEUED, Status.ACTIVE, Status.ACTIVE, Status.DEACTIVATED, Status.SAVING)
    return [
        an_image(
            names[n % len(names)],
            size=sizes[n % len(sizes)],
            disk_format=formats[n % len(formats)],
            container_format=containers[n % len(containers)],
            status=statuses[n % len(statuses)],
            visibility=list(Visibility)[n % 4],
            created_at=NOON + (n // 4) * SECOND,
            updated_at=NOON + (n // 3) * SECOND,
            os_hidden=n % 11 == 10,
            protected=n % 5 == 0,
            min_ram=n % 3 * 512,
            owner=(None, "p1", "p2")[n % 3],
            tags=tuple(tag for at, tag in enumerate(("red", "green", "blue")) if n >> at & 1),
            properties={"os": ("ubuntu", "debian")[n % 2], **({"arch": "arm64"} if n % 3 == 0 else {})},
        )
        for n in range(40)
    ]


DIRECTIONS: tuple[Direction, Direction] = ("asc", "desc")
SORTS: list[tuple[tuple[str, Direction], ...]] = [
    *[((key, direction),) for key in SORT_KEYS for direction in DIRECTIONS],
    (("name", "asc"), ("size", "asc")),
    (("name", "desc"), ("size", "desc")),
    (("size", "asc"), ("name", "desc")),
    (("disk_format", "desc"), ("container_format", "asc"), ("name", "asc")),
    (("status", "asc"), ("name", "asc"), ("size", "desc"), ("created_at", "asc")),
    (("created_at", "asc"), ("id", "desc")),
    (("updated_at", "desc"), ("id", "asc"), ("name", "asc")),
]
FILTERS: dict[str, Query] = {
    "none": Query(),
    "hidden": Query(os_hidden=True),
    "a name": Query(conditions=(Condition("name", "eq", "a"),)),
    "an empty name": Query(conditions=(Condition("name", "eq", ""),)),
    "several names": Query(conditions=(Condition("name", "in", ("a", "b", "nobody")),)),
    "no name": Query(conditions=(Condition("name", "in", ()),)),
    "another status": Query(conditions=(Condition("status", "neq", "queued"),)),
    "a smallest size": Query(conditions=(Condition("size", "gte", 5),)),
    "a largest size": Query(conditions=(Condition("size", "lte", 5),)),
    "a larger size": Query(conditions=(Condition("size", "gt", 0),)),
    "a smaller size": Query(conditions=(Condition("size", "lt", 5),)),
    "two limits": Query(conditions=(Condition("size", "gte", 1), Condition("min_ram", "lte", 512))),
    "a second": Query(conditions=(Condition("created_at", "between", (NOON + SECOND, NOON + 2 * SECOND - 1)),)),
    "another second": Query(conditions=(Condition("updated_at", "outside", (NOON + SECOND, NOON + 2 * SECOND - 1)),)),
    "a visibility": Query(conditions=(Condition("visibility", "eq", "community"),)),
    "an owner": Query(conditions=(Condition("owner", "eq", "p1"),)),
    "protected": Query(conditions=(Condition("protected", "eq", True),)),
    "a property": Query(properties=(("os", "ubuntu"),)),
    "two properties": Query(properties=(("os", "ubuntu"), ("arch", "arm64"))),
    "a property nobody has": Query(properties=(("os", "beos"),)),
    "a tag": Query(tags=("red",)),
    "two tags": Query(tags=("red", "blue")),
    "three tags": Query(tags=("red", "blue", "green")),
    "a tag nobody has": Query(tags=("red", "black")),
    "all kinds": Query(
        conditions=(Condition("status", "neq", "killed"), Condition("size", "gte", 0)),
        properties=(("os", "debian"),),
        tags=("red", "green"),
    ),
}


class ImageCatalogueContract:
    """To run it on a database: subclass, and give a ``database`` fixture with the newest schema and no image."""

    @pytest.fixture
    def catalogue(self, database: Database) -> UnheardImages:
        return UnheardImages(database)

    @pytest.fixture
    def public(self, database: Database) -> PublicImageRows:
        return PublicImageRows(database)

    @pytest.fixture
    def records(self, database: Database) -> UnheardUploads:
        return UnheardUploads(database)

    @pytest.fixture
    def discarded(self, database: Database) -> DiscardedObjectRows:
        return DiscardedObjectRows(database)

    # --- One image -------------------------------------------------------------------------------

    def test_an_image_comes_back_as_it_was(self, catalogue: UnheardImages) -> None:
        full = an_image(
            "noble 😀",
            status=Status.ACTIVE,
            visibility=Visibility.COMMUNITY,
            os_hidden=True,
            protected=True,
            owner="p1",
            disk_format="qcow2",
            container_format="bare",
            size=1 << 62,
            virtual_size=2**63 - 1,
            checksum="0" * 32,
            os_hash_algo="sha512",
            os_hash_value="f" * 128,
            min_ram=2**31 - 1,
            min_disk=2**31 - 1,
            tags=("second", "first", "ä 😀"),
            properties={"z": "1", "a": "", "ключ": "значение", "long": "x" * 100_000},
        )
        add(catalogue, full, empty := an_image())
        assert catalogue.get(full.id) == full
        assert list(catalogue.get(full.id).properties) == ["z", "a", "ключ", "long"]
        assert catalogue.get(empty.id) == empty

    def test_an_image_that_is_not_there_is_not_found(self, catalogue: UnheardImages) -> None:
        add(catalogue, there := an_image())
        for image_id in ("", "nobody", "x" * 300, str(uuid.UUID(int=0)), "ä😀", "' OR '1'='1", there.id + " "):
            with pytest.raises(ImageNotFound):
                catalogue.get(image_id)
            with pytest.raises(ImageNotFound):
                catalogue.change(image_id, renamed("x"))
            with pytest.raises(ImageNotFound):
                catalogue.delete(image_id, anything, NOON)
            with pytest.raises(MarkerNotFound):
                catalogue.page(Query(marker=image_id))
            assert catalogue.location(image_id) is None
        assert catalogue.page(Query()) == [there]

    def test_an_id_that_is_taken_is_refused_and_the_image_keeps_its_place(self, catalogue: UnheardImages) -> None:
        first = an_image("first", tags=("t",), properties={"p": "1"})
        add(catalogue, first)
        for fresh_id in (True, False):
            with pytest.raises(ImageExists, match=first.id):
                catalogue.create(replace(first, name="second", tags=("u",), properties={}), fresh_id=fresh_id)
        assert catalogue.get(first.id) == first
        assert catalogue.page(Query(tags=("u",))) == []

    def test_the_id_of_a_deleted_image_is_never_used_again(self, catalogue: UnheardImages) -> None:
        image = an_image(tags=("t",), properties={"p": "1"})
        add(catalogue, image)
        catalogue.delete(image.id, anything, NOON)
        with pytest.raises(ImageExists):
            catalogue.create(image, fresh_id=False)
        with pytest.raises(ImageNotFound):
            catalogue.get(image.id)
        assert catalogue.page(Query(tags=("t",))) == catalogue.page(Query(properties=(("p", "1"),))) == []

    def test_deleted_images_of_one_moment_are_read_in_blocks(self, catalogue: UnheardImages) -> None:
        images = sorted((an_image(f"n{number}") for number in range(5)), key=lambda image: image.id)
        add(catalogue, *images)
        for image in images:
            catalogue.delete(image.id, anything, NOON)
        assert catalogue.find_deleted(images[2].id) == (images[2], NOON)
        first = catalogue.deleted(since=0, limit=2)
        rest = catalogue.deleted(since=NOON, limit=9, after=first[-1][0].id)
        assert [image for image, _ in first + rest] == images
        with pytest.raises(ImageNotFound):
            catalogue.find_deleted(an_image().id)

    def test_a_page_begins_after_an_image_that_is_in_no_list_any_more(
        self, catalogue: UnheardImages, many: list[Image]
    ) -> None:
        for sort in ((("created_at", "desc"),), (("name", "asc"),), (("status", "desc"), ("size", "asc"))):
            query = Query(limit=1000, sort=sort)
            for marker in many[::7]:
                wanted = catalogue.page(replace(query, marker=marker.id))
                assert catalogue.page(replace(query, after=marker)) == wanted

    def test_an_image_that_may_not_be_deleted_stays(self, catalogue: UnheardImages) -> None:
        image = an_image(protected=True)
        add(catalogue, image)
        with pytest.raises(ImageProtected):
            catalogue.delete(image.id, Image.require_deletable, NOON)
        assert catalogue.get(image.id) == image

    # --- Changes ---------------------------------------------------------------------------------

    def test_a_change_counts_the_revision_and_is_kept(self, catalogue: UnheardImages) -> None:
        image = an_image("before", tags=("a", "b"), properties={"kept": "1", "changed": "1", "gone": "1"})
        add(catalogue, image)
        after = catalogue.change(
            image.id,
            lambda now: replace(
                now,
                name=None,
                tags=("b", "c"),
                properties={"new": "1", "changed": "2", "kept": "1"},
                updated_at=NOON + 1,
            ),
        )
        assert after == catalogue.get(image.id)
        assert (after.revision, after.name, after.tags) == (1, None, ("b", "c"))
        assert after.properties == {"new": "1", "changed": "2", "kept": "1"}

        def found(**query: Any) -> bool:
            return catalogue.page(Query(**query)) == [after]

        assert [found(tags=(tag,)) for tag in "abc"] == [False, True, True]
        pairs = [("kept", "1"), ("changed", "1"), ("changed", "2"), ("gone", "1"), ("new", "1")]
        assert [found(properties=(pair,)) for pair in pairs] == [True, False, True, False, True]

    def test_a_change_to_the_same_is_none(self, catalogue: UnheardImages, public: PublicImageRows) -> None:
        image = an_image("same", visibility=Visibility.PUBLIC)
        add(catalogue, image)
        before = public.revision().number
        assert catalogue.change(image.id, renamed("same")) == image
        assert public.revision().number == before

    def test_a_change_that_fails_changes_nothing(self, catalogue: UnheardImages) -> None:
        image = an_image("before")
        add(catalogue, image)

        def refuse(_image: Image) -> Image:
            raise ImageProtected(image.id)

        with pytest.raises(ImageProtected):
            catalogue.change(image.id, refuse)
        assert catalogue.get(image.id) == image

    def test_changes_at_once_are_all_kept(self, catalogue: UnheardImages, public: PublicImageRows) -> None:
        image = an_image(visibility=Visibility.PUBLIC)
        add(catalogue, image)
        before = public.revision().number
        start = threading.Barrier(6)
        failures: list[BaseException] = []

        def label(number: int) -> None:
            start.wait()
            try:
                for turn in range(3):
                    catalogue.change(
                        image.id,
                        lambda now, turn=turn: replace(  # type: ignore[misc]
                            now,
                            tags=(*now.tags, f"{number}.{turn}"),
                            properties={**now.properties, f"{number}.{turn}": "x"},
                        ),
                    )
            except BaseException as error:  # noqa: BLE001 - given to the test, whatever it is
                failures.append(error)

        threads = [threading.Thread(target=label, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        after = catalogue.get(image.id)
        labels = {f"{number}.{turn}" for number in range(6) for turn in range(3)}
        assert set(after.tags) == set(after.properties) == labels
        assert after.revision == 18
        assert public.revision().number == before + 18
        assert all(catalogue.page(Query(tags=(label,))) == [after] for label in labels)

    # --- Lists -----------------------------------------------------------------------------------

    @pytest.fixture
    def many(self, catalogue: UnheardImages) -> list[Image]:
        images = many_images()
        add(catalogue, *images)
        return images

    def test_pages_by_every_key_put_together_are_the_whole_list(
        self, catalogue: UnheardImages, many: list[Image]
    ) -> None:
        for sort in SORTS:
            whole = [image.id for image in expected(many, Query(sort=sort, limit=1000))]
            assert len(whole) == 37
            for limit in (1, 7, 37):
                found = [image.id for image in all_pages(catalogue, Query(sort=sort, limit=limit))]
                assert found == whole, (sort, limit)

    def test_a_list_shows_what_its_filters_say_in_its_order(self, catalogue: UnheardImages, many: list[Image]) -> None:
        for name, query in FILTERS.items():
            for sort in ((("created_at", "desc"), ("id", "desc")), (("name", "asc"),), (("size", "desc"),)):
                wanted = replace(query, sort=sort, limit=5)
                whole = expected(many, replace(wanted, limit=1000))
                assert all_pages(catalogue, wanted) == whole, (name, sort)

    def test_the_filters_of_the_test_above_find_some_images_each(self) -> None:
        none = {name for name, query in FILTERS.items() if not expected(many_images(), query)}
        assert none == {"no name", "a property nobody has", "a tag nobody has"}

    def test_a_deletion_between_two_pages_neither_hides_nor_repeats_an_image(
        self, catalogue: UnheardImages, many: list[Image]
    ) -> None:
        whole = expected(many, Query(limit=1000))
        seen: list[Image] = []
        query = Query(limit=5)
        while page := catalogue.page(query):
            seen += page
            for image in page[:-1]:  # all but the marker, and the next one
                catalogue.delete(image.id, anything, NOON)
            query = replace(query, marker=page[-1].id)
        assert seen == whole

    def test_a_marker_that_dropped_out_of_the_list_still_marks_its_place(
        self, catalogue: UnheardImages, many: list[Image]
    ) -> None:
        query = Query(conditions=(Condition("status", "eq", "active"),), sort=(("name", "asc"),), limit=1000)
        for marker in many:
            asked = replace(query, marker=marker.id)
            assert catalogue.page(asked) == expected(many, asked)

    def test_names_tags_and_properties_are_found_by_exactly_their_characters(self, catalogue: UnheardImages) -> None:
        images = {each: an_image(each, owner=each, tags=(each,), properties={each: "1", "p": each}) for each in EXACT}
        add(catalogue, *images.values())
        for text, image in images.items():
            for query in (
                Query(conditions=(Condition("name", "eq", text),)),
                Query(conditions=(Condition("name", "in", (text,)),)),
                Query(conditions=(Condition("owner", "eq", text),)),
                Query(tags=(text,)),
                Query(properties=((text, "1"),)),
                Query(properties=(("p", text),)),
            ):
                assert catalogue.page(query) == [image], query

    def test_tags_that_differ_in_a_code_point_only_are_kept_side_by_side(self, catalogue: UnheardImages) -> None:
        image = an_image(tags=EXACT, properties=dict.fromkeys(EXACT, "x"))
        add(catalogue, image)
        assert catalogue.get(image.id) == image

    def test_a_page_ends_early_where_its_images_hold_many_bytes(
        self, catalogue: UnheardImages, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pages, "SLICE", 3)
        monkeypatch.setattr(pages, "BYTES", 4500)
        every = [
            an_image(created_at=NOON + number // 2, owner="a", visibility=visibility, properties={"p": "x" * 1000})
            for number, visibility in enumerate([Visibility.PUBLIC, Visibility.PRIVATE] * 6)
        ]
        add(catalogue, *every)
        read: list[int] = []
        cut = listing.Page._cut

        def counted(page: listing.Page, rows: Sequence[Any]) -> list[Any]:
            kept = cut(page, rows)
            read.append(len(kept))
            return kept

        monkeypatch.setattr(listing.Page, "_cut", counted)
        for viewer in (Viewer(sees_all=True), Viewer(project_id="a")):
            query = whole = Query(viewer=viewer, limit=100)
            shown = [catalogue.page(query)]
            while pages.goes_on(shown[-1], query.limit):
                query = replace(query, marker=shown[-1][-1].id)
                shown.append(catalogue.page(query))
            assert [len(page) for page in shown] == [5, 5, 2], viewer
            assert [image for page in shown for image in page] == expected(every, whole), viewer
        assert max(read) == 3

    def test_many_small_images_are_one_page_without_a_cut(
        self, catalogue: UnheardImages, many: list[Image], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pages, "SLICE", 4)
        for sort in ((("created_at", "desc"),), (("name", "asc"), ("size", "desc"))):
            for limit in (3, 4, 5, 8, 1000):
                query = Query(sort=sort, limit=limit)
                page = catalogue.page(query)
                assert (page, page.is_cut) == (expected(many, query), False)

    def test_a_page_of_none_is_empty(self, catalogue: UnheardImages, many: list[Image]) -> None:
        assert catalogue.page(Query(limit=0)) == []

    def test_the_public_images_are_those_that_everybody_may_boot_oldest_first(
        self, public: PublicImageRows, many: list[Image]
    ) -> None:
        bootable = [
            image
            for image in many
            if image.visibility is Visibility.PUBLIC and image.status is Status.ACTIVE and not image.os_hidden
        ]
        assert len(bootable) > 2
        assert list(public.everything()) == sorted(bootable, key=lambda image: (image.created_at, image.id))

    # --- The number of the public images ---------------------------------------------------------

    def test_the_revision_grows_with_changes_of_public_images_only(
        self, catalogue: UnheardImages, public: PublicImageRows, records: UnheardUploads
    ) -> None:
        def grows(work: Callable[[], object]) -> bool:
            before = public.revision().number
            work()
            after = public.revision().number
            assert after >= before
            return after > before

        shown, private = an_image(visibility=Visibility.PUBLIC), an_image(visibility=Visibility.PRIVATE)
        as_public: Callable[[Image], Image] = lambda image: replace(image, visibility=Visibility.PUBLIC)  # noqa: E731
        as_shared: Callable[[Image], Image] = lambda image: replace(image, visibility=Visibility.SHARED)  # noqa: E731
        assert grows(lambda: add(catalogue, shown))
        assert not grows(lambda: add(catalogue, private))
        assert grows(lambda: catalogue.change(shown.id, renamed("x")))
        assert not grows(lambda: catalogue.change(shown.id, renamed("x")))
        assert not grows(lambda: catalogue.change(private.id, renamed("x")))
        assert grows(lambda: catalogue.change(private.id, as_public))
        assert grows(lambda: catalogue.change(private.id, lambda image: replace(image, tags=("t",))))
        assert grows(lambda: catalogue.change(private.id, as_shared))
        assert not grows(lambda: catalogue.change(private.id, renamed("y")))
        assert not grows(lambda: catalogue.delete(private.id, anything, NOON))
        assert grows(lambda: catalogue.delete(shown.id, anything, NOON))
        assert not grows(lambda: (catalogue.page(Query()), list(public.everything()), records.uploads()))

    def test_the_revision_grows_when_a_public_image_becomes_active(
        self, catalogue: UnheardImages, public: PublicImageRows, records: UnheardUploads
    ) -> None:
        image = an_image(visibility=Visibility.PUBLIC)
        add(catalogue, image)
        upload = an_upload(image)
        before = public.revision().number
        records.begin_upload(upload, moved(Status.SAVING))
        records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
        assert public.revision().number > before
        assert [found.id for found in public.everything()] == [image.id]

    # --- The records of bytes ----------------------------------------------------------------------

    def test_an_upload_is_in_the_books_until_the_image_has_its_bytes(
        self, catalogue: UnheardImages, records: UnheardUploads
    ) -> None:
        image = an_image()
        add(catalogue, image)
        upload = an_upload(image)
        saving = records.begin_upload(upload, moved(Status.SAVING))
        assert saving.status is Status.SAVING
        assert records.uploads() == [upload]
        assert catalogue.location(image.id) is None
        active = records.finish_upload(image.id, upload.location, moved(Status.ACTIVE, size=7))
        assert (active.status, active.size) == (Status.ACTIVE, 7)
        assert catalogue.get(image.id) == active
        assert records.uploads() == []
        assert catalogue.location(image.id) == upload.location

    def test_an_upload_that_may_not_begin_is_not_recorded(
        self, catalogue: UnheardImages, records: UnheardUploads
    ) -> None:
        image = an_image(status=Status.ACTIVE)
        add(catalogue, image)

        def refuse(_image: Image) -> Image:
            raise ImageProtected(image.id)

        with pytest.raises(ImageProtected):
            records.begin_upload(an_upload(image), refuse)
        with pytest.raises(ImageNotFound):
            records.begin_upload(an_upload(an_image()), moved(Status.SAVING))
        assert records.uploads() == []

    def test_an_abandoned_upload_leaves_the_image_waiting(
        self, catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
    ) -> None:
        image = an_image()
        add(catalogue, image)
        upload = an_upload(image)
        records.begin_upload(upload, moved(Status.SAVING))
        assert records.abandon_upload(image.id, upload.location, moved(Status.QUEUED), discarded_at=None)
        assert catalogue.get(image.id).status is Status.QUEUED
        assert records.uploads() == []
        assert discarded.oldest(10) == []
        assert not records.abandon_upload(image.id, upload.location, moved(Status.QUEUED), discarded_at=None)
        records.begin_upload(an_upload(image), moved(Status.SAVING))

    def test_the_bytes_of_an_abandoned_upload_are_noted_until_they_are_removed(
        self, catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
    ) -> None:
        image = an_image()
        add(catalogue, image)
        upload = an_upload(image)
        records.begin_upload(upload, moved(Status.SAVING))
        assert records.abandon_upload(image.id, upload.location, moved(Status.QUEUED), discarded_at=NOON)
        assert discarded.oldest(10) == [upload.location]
        discarded.forget(upload.location)
        assert discarded.oldest(10) == []

    def test_an_upload_that_was_given_up_is_lost_and_changes_nothing(
        self, catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
    ) -> None:
        image = an_image()
        add(catalogue, image)
        upload = an_upload(image)
        records.begin_upload(upload, moved(Status.SAVING))
        assert records.take_over(upload, moved(Status.QUEUED), NOON)
        assert discarded.oldest(10) == [upload.location]
        queued = catalogue.get(image.id)
        assert queued.status is Status.QUEUED
        with pytest.raises(UploadLost, match=image.id):
            records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
        assert catalogue.get(image.id) == queued
        assert catalogue.location(image.id) is None
        assert not records.take_over(upload, moved(Status.QUEUED), NOON)

    def test_an_upload_that_shows_a_sign_of_life_is_not_taken_over(
        self, catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
    ) -> None:
        image = an_image()
        add(catalogue, image)
        upload = an_upload(image)
        records.begin_upload(upload, moved(Status.SAVING))
        records.renew_uploads(upload.writer, upload.expires_at + SECOND)
        assert not records.take_over(upload, moved(Status.QUEUED), NOON)
        assert catalogue.get(image.id).status is Status.SAVING
        assert records.uploads() == [replace(upload, expires_at=upload.expires_at + SECOND)]
        assert discarded.oldest(10) == []

    def test_a_finished_upload_is_not_taken_over(
        self, catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
    ) -> None:
        image = an_image()
        add(catalogue, image)
        upload = an_upload(image)
        records.begin_upload(upload, moved(Status.SAVING))
        records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
        assert not records.take_over(upload, moved(Status.QUEUED), NOON)
        assert catalogue.get(image.id).status is Status.ACTIVE
        assert discarded.oldest(10) == []

    def test_an_image_deleted_during_its_upload_is_gone(
        self, catalogue: UnheardImages, records: UnheardUploads
    ) -> None:
        image = an_image()
        add(catalogue, image)
        upload = an_upload(image)
        records.begin_upload(upload, moved(Status.SAVING))
        assert catalogue.delete(image.id, anything, NOON) == []
        assert records.uploads() == [upload]
        with pytest.raises(ImageGone, match=image.id):
            records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
        # The note stays until somebody has removed the bytes.
        assert records.uploads() == [upload]
        assert records.abandon_upload(image.id, upload.location, moved(Status.QUEUED), discarded_at=None)
        assert records.uploads() == []

    def test_a_change_during_an_upload_is_kept(self, catalogue: UnheardImages, records: UnheardUploads) -> None:
        image = an_image("before")
        add(catalogue, image)
        upload = an_upload(image)
        records.begin_upload(upload, moved(Status.SAVING))
        catalogue.change(image.id, lambda now: replace(now, name="during", tags=("t",), properties={"p": "1"}))
        active = records.finish_upload(image.id, upload.location, moved(Status.ACTIVE, size=1))
        assert (active.name, active.tags, active.properties, active.size) == ("during", ("t",), {"p": "1"}, 1)

    def test_of_many_uploads_at_once_one_begins(self, catalogue: UnheardImages, records: UnheardUploads) -> None:
        image = an_image()
        add(catalogue, image)
        outcomes: list[str] = []
        start = threading.Barrier(6)

        def upload() -> None:
            start.wait()
            try:
                records.begin_upload(an_upload(image), moved(Status.SAVING))
            except Exception as error:  # noqa: BLE001 - compared below
                outcomes.append(type(error).__name__)
            else:
                outcomes.append("began")

        threads = [threading.Thread(target=upload) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [*["StatusConflict"] * 5, "began"]
        assert len(records.uploads()) == 1

    def test_of_an_uploader_and_one_who_takes_over_one_wins(
        self, catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
    ) -> None:
        for _ in range(5):
            image = an_image()
            add(catalogue, image)
            upload = an_upload(image)
            records.begin_upload(upload, moved(Status.SAVING))
            winners = _race_to_end(records, upload)
            assert len(winners) == 1
            finished = winners == ["uploader"]
            assert catalogue.get(image.id).status is (Status.ACTIVE if finished else Status.QUEUED)
            # The heart of it: bytes that an image has are never given up.
            assert (upload.location in discarded.oldest(100)) != finished
            assert (catalogue.location(image.id) == upload.location) == finished

    def test_what_a_deleted_image_was_is_kept_until_it_is_purged(self, catalogue: UnheardImages) -> None:
        images = [an_image(f"n{n}", owner="ab"[n % 2], tags=("t",), properties={"p": "😀"}) for n in range(4)]
        add(catalogue, *images)
        for at, image in enumerate(images):
            catalogue.delete(image.id, anything, NOON + at)
        assert catalogue.deleted(since=0, limit=9) == [(image, NOON + at) for at, image in enumerate(images)]
        assert [image.name for image, _ in catalogue.deleted(since=NOON + 1, limit=2)] == ["n1", "n2"]
        assert [image.name for image, _ in catalogue.deleted(since=0, limit=9, owner="b")] == ["n1", "n3"]
        assert catalogue.purge(NOON + 2, limit=1) == 1
        assert catalogue.purge(NOON + 2, limit=9) == 1
        assert [image.name for image, _ in catalogue.deleted(since=0, limit=9)] == ["n2", "n3"]
        for image in images:
            with pytest.raises(ImageExists):
                catalogue.create(image, fresh_id=False)

    def test_deleted_images_are_read_in_the_order_of_their_creation(self, catalogue: UnheardImages) -> None:
        images = [an_image(f"n{n}", owner="ab"[n % 2], created_at=NOON + n // 3) for n in range(9)]
        add(catalogue, *images)
        for at, image in enumerate(images[::-1]):
            catalogue.delete(image.id, anything, NOON + at)
        line = sorted(images, key=lambda image: (image.created_at, image.id))
        for newest_first, expected in ((False, line), (True, line[::-1])):
            found: list[Image] = []
            after: tuple[int, str] | None = None
            while block := catalogue.deleted_by_age(since=0, limit=2, newest_first=newest_first, after=after):
                found += [image for image, _ in block]
                after = found[-1].created_at, found[-1].id
            assert found == expected
        some = catalogue.deleted_by_age(since=NOON + 4, limit=9, newest_first=False, owner="b")
        assert [image for image, _ in some] == [each for each in line if each in images[:5] and each.owner == "b"]
        assert catalogue.deleted_of_no_age(since=0, limit=9) == []
        assert catalogue.count_deleted(since=0, most=20) == 9
        assert catalogue.count_deleted(since=0, most=5) == 5
        assert catalogue.count_deleted(since=NOON + 4, most=20, owner="b") == 2

    def test_a_writer_renews_all_its_uploads_and_no_others(
        self, catalogue: UnheardImages, records: UnheardUploads
    ) -> None:
        images = [an_image() for _ in range(3)]
        add(catalogue, *images)
        for image, writer in zip(images, ("here", "here", "there"), strict=True):
            records.begin_upload(replace(an_upload(image), writer=writer), moved(Status.SAVING))
        records.renew_uploads("here", NOON + 1000)
        assert {(upload.writer, upload.expires_at) for upload in records.uploads()} == {
            ("here", NOON + 1000),
            ("there", NOON),
        }

    def test_deleting_an_image_notes_its_bytes_until_they_are_removed(
        self, catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
    ) -> None:
        places = []
        for number in range(3):
            image = an_image()
            add(catalogue, image)
            upload = an_upload(image)
            records.begin_upload(upload, moved(Status.SAVING))
            records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
            assert catalogue.delete(image.id, anything, NOON + number) == [upload.location]
            assert catalogue.location(image.id) is None
            places.append(upload.location)
        assert discarded.oldest(10) == places
        assert discarded.oldest(2) == places[:2]
        store = places[0].store
        assert discarded.count() == {store: len(places)}
        by_key = sorted(places, key=lambda place: place.object_key)
        assert discarded.of_store(store, "", 10) == by_key
        assert discarded.of_store(store, by_key[0].object_key, 1) == by_key[1:2]
        assert discarded.of_store("another", "", 10) == []
        discarded.forget(places[0])
        discarded.forget(places[0])
        assert discarded.oldest(10) == places[1:]


def an_upload(image: Image) -> Upload:
    """Return an upload to ``image`` at a place of its own."""
    return Upload(image.id, Location("file", f"{image.id}.{uuid.uuid4().hex[:8]}"), "somebody", NOON)


def _race_to_end(records: UnheardUploads, upload: Upload) -> list[str]:
    """Let the uploader finish while another takes the upload over; return who did it."""
    start = threading.Barrier(2)
    winners: list[str] = []

    def finish() -> None:
        start.wait()
        with contextlib.suppress(UploadLost):
            records.finish_upload(upload.image_id, upload.location, moved(Status.ACTIVE))
            winners.append("uploader")

    def take() -> None:
        start.wait()
        if records.take_over(upload, moved(Status.QUEUED), NOON):
            winners.append("another")

    threads = [threading.Thread(target=work) for work in (finish, take)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return winners
