"""What schemathesis cannot know from the document: how a patch is written, and images that are there."""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis

from headwater.images.attributes import V20, V21

# Ids of images in each state that an image can have, and one that does not stay a moment.
KNOWN = os.environ.get("HEADWATER_FUZZ_IMAGES", "").split()


@schemathesis.serializer(V21, V20)
def as_json(_context: Any, value: Any) -> bytes:
    """Write a patch."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Let three of four made-up ids of images be those of images that are there."""
    if path_parameters and KNOWN and "image_id" in path_parameters:
        given = str(path_parameters["image_id"])
        place = sum(given.encode("utf-8", "surrogatepass")) % (len(KNOWN) * 4 // 3)
        if place < len(KNOWN):
            return {**path_parameters, "image_id": KNOWN[place]}
    return path_parameters
