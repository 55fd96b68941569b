"""What schemathesis cannot know: how a patch is written, images that are there, and a URL that is taken."""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis

from headwater.images.attributes import V20, V21

# Ids of images in each state that an image can have, and one that does not stay a moment.
KNOWN = os.environ.get("HEADWATER_FUZZ_IMAGES", "").split()
# A URL that the service under test would fetch: nothing else, and nothing is there.
URL = os.environ.get("HEADWATER_FUZZ_URL", "")


@schemathesis.serializer(V21, V20)
def as_json(_context: Any, value: Any) -> bytes:
    """Write a patch."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.serializer("application/partial-upload", "application/offset+octet-stream")
def as_bytes(_context: Any, value: Any) -> bytes:
    """Write a part of an upload."""
    return value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Let three of four made-up ids of images be those of images that are there."""
    if path_parameters and KNOWN and "image_id" in path_parameters:
        given = str(path_parameters["image_id"])
        place = sum(given.encode("utf-8", "surrogatepass")) % (len(KNOWN) * 4 // 3)
        if place < len(KNOWN):
            return {**path_parameters, "image_id": KNOWN[place]}
    return path_parameters


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """Let two of three made-up URLs be one that the service takes, and every eighth patch one of locations."""
    if isinstance(body, list) and _choice(body, 8) == 0:
        value = {"url": URL, "metadata": {"made": body[:1]}}
        at = ("/locations/-", "/locations/0", "/locations")[_choice([body], 3)]
        op = ("add", "replace", "remove")[_choice([body, body], 3)]
        return [*body[:1], {"op": op, "path": at, "value": [] if at == "/locations" else value}]
    if not isinstance(body, dict):
        return body
    if "url" in body and _choice(body, 3):
        return {**body, "url": URL}
    asked = body.get("input")
    if isinstance(asked, dict) and "import_from" in asked and _choice(body, 3):
        formats = {"import_from_format": "raw"} if _choice(body, 2) else {}
        return {**body, "input": {**asked, "import_from": URL, **formats}}
    return body


def _choice(made: Any, of: int) -> int:
    """Return a number below ``of`` that depends on nothing but what was made up, so that a run can be repeated."""
    return sum(repr(made).encode("utf-8", "surrogatepass")) % of


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Ask for no interim answer: the client takes 104 for the last one, and from then on each answer for another's."""
    if case.headers:
        case.headers.pop("Upload-Draft-Interop-Version", None)
