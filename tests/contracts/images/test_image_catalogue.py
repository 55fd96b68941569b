"""What the catalogue of images promises of each image, on every database: kept, changed, deleted."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import Any

import pytest

from contracts.image_catalogue import NOON, add, an_image, anything, renamed
from contracts.unheard import UnheardImages
from headwater.images.catalogue.images import ImageExists, MarkerNotFound
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.public import PublicImageRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.model import Image, ImageProtected, Status, Visibility


def test_an_image_comes_back_as_it_was(catalogue: UnheardImages) -> None:
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


def test_an_image_that_is_not_there_is_not_found(catalogue: UnheardImages) -> None:
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


def test_an_id_that_is_taken_is_refused_and_the_image_keeps_its_place(catalogue: UnheardImages) -> None:
    first = an_image("first", tags=("t",), properties={"p": "1"})
    add(catalogue, first)
    for fresh_id in (True, False):
        with pytest.raises(ImageExists, match=first.id):
            catalogue.create(replace(first, name="second", tags=("u",), properties={}), fresh_id=fresh_id)
    assert catalogue.get(first.id) == first
    assert catalogue.page(Query(tags=("u",))) == []


def test_the_id_of_a_deleted_image_is_never_used_again(catalogue: UnheardImages) -> None:
    image = an_image(tags=("t",), properties={"p": "1"})
    add(catalogue, image)
    catalogue.delete(image.id, anything, NOON)
    with pytest.raises(ImageExists):
        catalogue.create(image, fresh_id=False)
    with pytest.raises(ImageNotFound):
        catalogue.get(image.id)
    assert catalogue.page(Query(tags=("t",))) == catalogue.page(Query(properties=(("p", "1"),))) == []


def test_deleted_images_of_one_moment_are_read_in_blocks(catalogue: UnheardImages) -> None:
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


def test_an_image_that_may_not_be_deleted_stays(catalogue: UnheardImages) -> None:
    image = an_image(protected=True)
    add(catalogue, image)
    with pytest.raises(ImageProtected):
        catalogue.delete(image.id, Image.require_deletable, NOON)
    assert catalogue.get(image.id) == image


def test_a_change_counts_the_revision_and_is_kept(catalogue: UnheardImages) -> None:
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


def test_a_change_to_the_same_is_none(catalogue: UnheardImages, public: PublicImageRows) -> None:
    image = an_image("same", visibility=Visibility.PUBLIC)
    add(catalogue, image)
    before = public.revision().number
    assert catalogue.change(image.id, renamed("same")) == image
    assert public.revision().number == before


def test_a_change_that_fails_changes_nothing(catalogue: UnheardImages) -> None:
    image = an_image("before")
    add(catalogue, image)

    def refuse(_image: Image) -> Image:
        raise ImageProtected(image.id)

    with pytest.raises(ImageProtected):
        catalogue.change(image.id, refuse)
    assert catalogue.get(image.id) == image


def test_changes_at_once_are_all_kept(catalogue: UnheardImages, public: PublicImageRows) -> None:
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


def test_what_a_deleted_image_was_is_kept_until_it_is_purged(catalogue: UnheardImages) -> None:
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


def test_deleted_images_are_read_in_the_order_of_their_creation(catalogue: UnheardImages) -> None:
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
