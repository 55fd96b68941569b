"""What tests of staging and importing ask of a service."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx

from functional.headwater_process import wait_until
from functional.image_requests import OCTETS, an_image


def make(http: httpx.Client, **said: Any) -> str:
    """Create an image that is private, and raw, unless something else is said, and return its id."""
    return an_image(http, **{"visibility": "private", **said})


def stage(http: httpx.Client, image_id: str, data: bytes) -> None:
    """Stage the data of an image."""
    answer = http.put(f"/v2/images/{image_id}/stage", content=data, headers=OCTETS)
    assert answer.status_code == 204, answer.text


def ended(http: httpx.Client, image_id: str) -> dict[str, Any]:
    """Return the newest task of an image, when it is over."""

    def newest() -> dict[str, Any]:
        tasks: list[dict[str, Any]] = http.get(f"/v2/images/{image_id}/tasks").raise_for_status().json()["tasks"]
        return tasks[-1]

    wait_until(lambda: newest()["status"] in ("success", "failure"), "the import is over", 60)
    return newest()
