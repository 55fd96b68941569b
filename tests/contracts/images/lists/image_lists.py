"""What a list of images should show, said a second time in plain Python; and many images to list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from contracts.image_catalogue import NOON, SECOND, an_image
from contracts.unheard import UnheardImages
from headwater.images.catalogue.lists.query import SORT_KEYS, Condition, Direction, Query, total_order
from headwater.images.model import Image, Status, Visibility


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
