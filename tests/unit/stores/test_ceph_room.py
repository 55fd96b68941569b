from __future__ import annotations

from typing import Any

import pytest

from headwater.stores.rbd.cluster import room_in


@pytest.mark.parametrize(
    ("stats", "room"),
    [
        ({"max_avail": 1000, "stored": 5}, 1000),
        ({"max_avail": 1000, "stored": 5, "quota_bytes": 0}, 1000),
        ({"max_avail": 1000, "stored": 5, "quota_bytes": 100}, 95),
        ({"max_avail": 1000, "stored": 500, "quota_bytes": 100}, 0),
        ({"max_avail": 0, "stored": 0}, None),
        ({"max_avail": 0, "stored": 5, "quota_bytes": 100}, 95),
    ],
    ids=["no quota", "quota off", "quota", "beyond its quota", "not counted yet", "not counted yet, with a quota"],
)
def test_a_pool_has_room_as_far_as_the_cluster_has_counted(stats: dict[str, Any], room: int | None) -> None:
    other = {"name": "other", "stats": {"max_avail": 7, "stored": 0}}
    assert room_in({"pools": [other, {"name": "images", "stats": stats}]}, "images") == room


def test_a_pool_that_is_not_there_has_no_room_that_anybody_knows_of() -> None:
    assert room_in({"pools": []}, "images") is None
