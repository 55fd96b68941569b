"""The requests about images that most tests begin with.

Each asks a service, by a client that all of them share, or is sent by the client that a test has set up for itself: one
whose base is the image listener.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import httpx2 as httpx

from functional.headwater_process import HeadwaterProcess

OCTETS = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
RAW = {"disk_format": "raw", "container_format": "bare"}

Asked = HeadwaterProcess | httpx.Client


@functools.cache
def client() -> httpx.Client:
    """Return one client for all services; to make one takes longer than most requests."""
    return httpx.Client(timeout=60, trust_env=False)


def url(service: HeadwaterProcess, image_id: str) -> str:
    return f"{service.images_url}/v2/images/{image_id}"


def an_image(
    asked: Asked,
    properties: Mapping[str, str] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> str:
    """Create an image that waits for its data, raw unless ``fields`` say something else, and return its id."""
    http, base = _sender(asked)
    document = {**RAW, **(properties or {}), **fields}
    answer = http.post(f"{base}/v2/images", json=document, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def upload(asked: Asked, image_id: str, data: bytes, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
    http, base = _sender(asked)
    return http.put(f"{base}/v2/images/{image_id}/file", content=data, headers={**OCTETS, **(headers or {})})


def show(asked: Asked, image_id: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    http, base = _sender(asked)
    found: dict[str, Any] = http.get(f"{base}/v2/images/{image_id}", headers=headers).raise_for_status().json()
    return found


def status(asked: Asked, image_id: str) -> str:
    return str(show(asked, image_id)["status"])


def _sender(asked: Asked) -> tuple[httpx.Client, str]:
    """Return who sends requests, and what stands before their paths."""
    return (asked, "") if isinstance(asked, httpx.Client) else (client(), asked.images_url)
