"""What lists of images promise on every database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from contracts.image_catalogue import EXACT, NOON, add, an_image, anything
from contracts.images.lists.image_lists import FILTERS, SORTS, all_pages, expected, many_images
from contracts.unheard import UnheardImages
from headwater.images.catalogue.lists import listing, pages
from headwater.images.catalogue.lists.query import Condition, Query, Viewer
from headwater.images.model import Image, Visibility


@pytest.fixture
def many(catalogue: UnheardImages) -> list[Image]:
    images = many_images()
    add(catalogue, *images)
    return images


def test_pages_by_every_key_put_together_are_the_whole_list(catalogue: UnheardImages, many: list[Image]) -> None:
    for sort in SORTS:
        whole = [image.id for image in expected(many, Query(sort=sort, limit=1000))]
        assert len(whole) == 37
        for limit in (1, 7, 37):
            found = [image.id for image in all_pages(catalogue, Query(sort=sort, limit=limit))]
            assert found == whole, (sort, limit)


def test_a_list_shows_what_its_filters_say_in_its_order(catalogue: UnheardImages, many: list[Image]) -> None:
    for name, query in FILTERS.items():
        for sort in ((("created_at", "desc"), ("id", "desc")), (("name", "asc"),), (("size", "desc"),)):
            wanted = replace(query, sort=sort, limit=5)
            whole = expected(many, replace(wanted, limit=1000))
            assert all_pages(catalogue, wanted) == whole, (name, sort)


def test_the_filters_of_the_test_above_find_some_images_each() -> None:
    none = {name for name, query in FILTERS.items() if not expected(many_images(), query)}
    assert none == {"no name", "a property nobody has", "a tag nobody has"}


def test_a_deletion_between_two_pages_neither_hides_nor_repeats_an_image(
    catalogue: UnheardImages, many: list[Image]
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
    catalogue: UnheardImages, many: list[Image]
) -> None:
    query = Query(conditions=(Condition("status", "eq", "active"),), sort=(("name", "asc"),), limit=1000)
    for marker in many:
        asked = replace(query, marker=marker.id)
        assert catalogue.page(asked) == expected(many, asked)


def test_names_tags_and_properties_are_found_by_exactly_their_characters(catalogue: UnheardImages) -> None:
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


def test_tags_that_differ_in_a_code_point_only_are_kept_side_by_side(catalogue: UnheardImages) -> None:
    image = an_image(tags=EXACT, properties=dict.fromkeys(EXACT, "x"))
    add(catalogue, image)
    assert catalogue.get(image.id) == image


def test_a_page_ends_early_where_its_images_hold_many_bytes(
    catalogue: UnheardImages, monkeypatch: pytest.MonkeyPatch
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
    catalogue: UnheardImages, many: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SLICE", 4)
    for sort in ((("created_at", "desc"),), (("name", "asc"), ("size", "desc"))):
        for limit in (3, 4, 5, 8, 1000):
            query = Query(sort=sort, limit=limit)
            page = catalogue.page(query)
            assert (page, page.is_cut) == (expected(many, query), False)


def test_a_page_of_none_is_empty(catalogue: UnheardImages, many: list[Image]) -> None:
    assert catalogue.page(Query(limit=0)) == []


def test_a_page_begins_after_an_image_that_is_in_no_list_any_more(catalogue: UnheardImages, many: list[Image]) -> None:
    for sort in ((("created_at", "desc"),), (("name", "asc"),), (("status", "desc"), ("size", "asc"))):
        query = Query(limit=1000, sort=sort)
        for marker in many[::7]:
            wanted = catalogue.page(replace(query, marker=marker.id))
            assert catalogue.page(replace(query, after=marker)) == wanted
