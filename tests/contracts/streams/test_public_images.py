"""What the feed learns of changes, on every database: the notes tell all that has changed, or nobody knows."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, update

from contracts.image_catalogue import NOON, SECOND, add, an_image, an_upload, anything, moved, renamed
from contracts.images.lists.image_lists import many_images
from contracts.unheard import UnheardImages, UnheardUploads, commit
from headwater.clock import rfc2822
from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue import images
from headwater.images.catalogue import public as public_module
from headwater.images.catalogue.deletions.pending_deletes import Deletion
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.public import PublicImageRows, Revision
from headwater.images.catalogue.transaction import Step
from headwater.images.model import Image, Status, Visibility
from headwater.streams.live.feed import LiveFeed
from headwater.streams.live.index import index_text, naming_tagged
from headwater.streams.live.kept_products import KeptProducts
from headwater.streams.settings import StreamsSettings
from questions import plan, questions
from templates import sqlite_catalogue

SETTINGS = StreamsSettings(virt_types=("kvm", "lxd"))
PRODUCTS = SETTINGS.products_name


def bootable(**fields: object) -> Image:
    """Return an image that the feed lists."""
    properties = {"os_distro": "debian", "os_version": "12", "architecture": "x86_64"}
    given = {"status": Status.ACTIVE, "visibility": Visibility.PUBLIC, "properties": properties, **fields}
    return an_image(**given)  # type: ignore[arg-type]  # fields of an image


def shown(image: Image) -> Image:
    return replace(image, visibility=Visibility.PUBLIC)


def hidden(image: Image) -> Image:
    return replace(image, visibility=Visibility.PRIVATE)


def test_each_change_of_what_is_or_was_public_is_told(catalogue: UnheardImages, public: PublicImageRows) -> None:
    images = [bootable() for _ in range(5)]
    add(catalogue, *images)
    changed, gone, deleted, same, _ = (image.id for image in images)
    before = public.revision()
    catalogue.change(changed, renamed("x"))
    catalogue.change(gone, hidden)
    catalogue.delete(deleted, anything, NOON)
    catalogue.change(same, lambda image: image)
    new, secret = bootable(), an_image(visibility=Visibility.PRIVATE)
    add(catalogue, new, secret)
    told = public.changed(before, public.revision())
    assert told == {changed, gone, deleted, new.id}
    assert {image.id for image in public.get(told)} == {changed, gone, new.id}
    catalogue.change(secret.id, renamed("y"))
    assert public.changed(public.revision(), public.revision()) == set()


def test_a_change_that_fails_leaves_no_note(
    database: Database, catalogue: UnheardImages, public: PublicImageRows
) -> None:
    image = bootable()
    add(catalogue, image)
    before = public.revision()

    def fails(*_: object) -> None:
        raise LookupError

    steps: list[Step[Any]] = [
        images.changed(image.id, renamed("x")),
        images.deleted(image.id, anything, Deletion(at=NOON, scrub_at=NOON)),
        images.created(bootable(), fresh_id=True),
    ]
    for step in steps:
        with pytest.raises(LookupError):
            commit(database, step, fails)
    assert public.revision() == before
    catalogue.change(image.id, renamed("y"))
    assert public.changed(before, public.revision()) == {image.id}


def test_changes_at_once_are_noted_one_after_the_other(catalogue: UnheardImages, public: PublicImageRows) -> None:
    images = [bootable() for _ in range(4)]
    add(catalogue, *images)
    seen = public.revision()
    told: set[str] = set()
    start = threading.Barrier(len(images) + 1)

    def rename(image: Image) -> None:
        start.wait()
        for turn in range(10):
            catalogue.change(image.id, renamed(f"{turn}"))

    threads = [threading.Thread(target=rename, args=(image,)) for image in images]
    for thread in threads:
        thread.start()
    start.wait()
    while any(thread.is_alive() for thread in threads):
        now = public.revision()
        found = public.changed(seen, now)
        assert found is not None  # a note that came later than one with a higher number would be missing here
        told |= set(found)
        seen = now
    told |= set(public.changed(seen, public.revision()) or ())
    assert told == {image.id for image in images}
    assert public.revision().number == 4 + 40


def a_release_without_notes(database: Database) -> None:
    """Change something as the release before this schema does."""
    table = tables.catalogue_revisions
    counted = update(table).where(table.c.scope == "public").values(revision=table.c.revision + 1)
    database.write(lambda connection: connection.execute(counted))


def test_nobody_knows_what_a_release_without_notes_has_changed(
    database: Database, catalogue: UnheardImages, public: PublicImageRows
) -> None:
    image = bootable()
    add(catalogue, image)
    before = public.revision()
    a_release_without_notes(database)
    after = public.revision()
    assert after == Revision(before.number + 1, None)
    assert public.changed(before, after) is None
    catalogue.change(image.id, renamed("x"))
    assert public.changed(before, public.revision()) is None
    assert public.changed(after, public.revision()) == {image.id}


def test_nobody_knows_what_has_changed_in_a_catalogue_that_was_put_back_from_a_copy(
    catalogue: UnheardImages, database: Database, public: PublicImageRows
) -> None:
    one, other = bootable(), bootable()
    add(catalogue, one, other)
    copied = public.revision()
    catalogue.change(one.id, renamed("x"))
    known = public.revision()
    # Put back, and changed otherwise since: once fewer, as often and once more.
    database.write(
        lambda c: c.execute(delete(tables.public_changes).where(tables.public_changes.c.revision > copied.number))
    )
    database.write(lambda c: c.execute(update(tables.catalogue_revisions).values(revision=copied.number)))
    assert public.changed(known, public.revision()) is None
    for _ in range(3):
        catalogue.change(other.id, lambda image: replace(image, tags=(*image.tags, "t" * (1 + len(image.tags)))))
        assert public.revision() != known
        assert public.changed(known, public.revision()) is None


def test_after_too_many_changes_everything_is_read(
    catalogue: UnheardImages, public: PublicImageRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_module, "_NOTES", public_module._NOTES.limit(6))
    image = bootable()
    add(catalogue, image)
    before = public.revision()
    for turn in range(5):
        assert public.changed(before, public.revision()) is not None
        catalogue.change(image.id, renamed(f"{turn}"))
    assert public.changed(before, public.revision()) == {image.id}
    catalogue.change(image.id, renamed("more"))
    assert public.changed(before, public.revision()) is None


def test_notes_that_nobody_can_follow_any_more_are_forgotten(
    catalogue: UnheardImages, public: PublicImageRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_module, "FOLLOWED", 5)
    image = bootable()
    add(catalogue, image)
    first = public.revision()
    assert public.forget() == 0
    for turn in range(9):
        catalogue.change(image.id, renamed(f"{turn}"))
        assert public.forget() == 0
    known = public.revision()
    catalogue.change(image.id, renamed("the last"))
    assert public.forget() == 6
    assert public.changed(first, public.revision()) is None
    assert public.changed(known, public.revision()) == {image.id}
    assert public.forget() == 0


def test_all_public_images_are_read_in_slices_and_those_of_one_instant_too(
    catalogue: UnheardImages, public: PublicImageRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [bootable(created_at=NOON + n // 5 * SECOND) for n in range(23)]
    add(catalogue, *images, bootable(os_hidden=True), bootable(status=Status.DEACTIVATED))
    small = {"_FIRST": public_module._FIRST.limit(4), "_NEXT": public_module._NEXT.limit(4), "SLICE": 4}
    for name, value in small.items():
        monkeypatch.setattr(public_module, name, value)
    assert list(public.everything()) == sorted(images, key=lambda image: (image.created_at, image.id))
    assert len(list(public.get([image.id for image in images]))) == 23


def test_the_feed_of_changes_equals_the_feed_of_the_whole_catalogue(
    database: Database, catalogue: UnheardImages, public: PublicImageRows
) -> None:
    chance = random.Random(8)
    feed = LiveFeed(public, SETTINGS)
    there: list[str] = []

    def of_another(name: str, *values: str) -> Callable[[Image], Image]:
        return lambda image: replace(
            image,
            properties={**image.properties, name: chance.choice(values)},
            updated_at=image.updated_at + chance.randrange(SECOND),
        )

    changes = [
        shown,
        hidden,
        lambda image: replace(image, os_hidden=not image.os_hidden),
        lambda image: replace(image, status=chance.choice([Status.ACTIVE, Status.DEACTIVATED])),
        of_another("os_version", "12", "13", ""),
        of_another("hypervisor_type", "kvm", "lxc"),
    ]
    for turn in range(120):
        for _ in range(chance.randrange(4)):
            what = chance.randrange(10)
            if what == 0 and there:
                catalogue.delete(there.pop(chance.randrange(len(there))), anything, NOON)
            elif what == 1:
                a_release_without_notes(database)
            elif what < 5:
                image = bootable(created_at=NOON + turn // 3, visibility=chance.choice(list(Visibility)))
                add(catalogue, image)
                there.append(image.id)
            elif there:
                catalogue.change(chance.choice(there), chance.choice(changes))
        whole = KeptProducts(SETTINGS, public.everything()).listed()
        assert feed.document(PRODUCTS).body == whole.products_text()
        index = index_text(whole.entries(), rfc2822(whole.updated_at))
        assert feed.document("index.json").body == naming_tagged(index, whole.documents, feed.edition().tag)


def test_a_change_costs_the_feed_four_questions_that_read_what_has_changed(
    database: Database, catalogue: UnheardImages, public: PublicImageRows
) -> None:
    images = [bootable() for _ in range(300)]
    add(catalogue, *images)
    feed = LiveFeed(public, SETTINGS)
    feed.document(PRODUCTS)
    catalogue.change(images[7].id, lambda image: replace(image, updated_at=NOON + SECOND))
    with questions() as asked:
        feed.document(PRODUCTS)
        after_a_change = len(asked)
        feed.document(PRODUCTS)
    # The revision twice, as another thread may have made the documents meanwhile; the notes; the image.
    assert (after_a_change, len(asked)) == (4, 5), asked


def test_the_feed_s_questions_are_ranges_of_indexes(tmp_path_factory: pytest.TempPathFactory) -> None:
    database = Database(sqlite_catalogue(tmp_path_factory.mktemp("plans") / "catalogue.db"))
    public = PublicImageRows(database)
    add(UnheardImages(database), *(bootable() for _ in range(101)))
    with questions() as asked:
        assert len(list(public.everything())) == 101
        told = public.changed(Revision(0, None), public.revision())
        list(public.get(told or ()))
    assert len(asked) == 7
    for question in asked:
        steps = plan(database, question)
        assert all(step.startswith("SEARCH") for step in steps), (question, steps)
    database.close()


def test_the_public_images_are_those_that_everybody_may_boot_oldest_first(
    public: PublicImageRows, catalogue: UnheardImages
) -> None:
    many = many_images()
    add(catalogue, *many)
    listed = [
        image
        for image in many
        if image.visibility is Visibility.PUBLIC and image.status is Status.ACTIVE and not image.os_hidden
    ]
    assert len(listed) > 2
    assert list(public.everything()) == sorted(listed, key=lambda image: (image.created_at, image.id))


def test_the_revision_grows_with_changes_of_public_images_only(
    catalogue: UnheardImages, public: PublicImageRows, records: UnheardUploads
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
    catalogue: UnheardImages, public: PublicImageRows, records: UnheardUploads
) -> None:
    image = an_image(visibility=Visibility.PUBLIC)
    add(catalogue, image)
    upload = an_upload(image)
    before = public.revision().number
    records.begin_upload(upload, moved(Status.SAVING))
    records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
    assert public.revision().number > before
    assert [found.id for found in public.everything()] == [image.id]
