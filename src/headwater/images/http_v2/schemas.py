"""Routes of the schemas below the version. They depend on the settings only, so each is encoded once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.routing import BaseRoute

from headwater.http.routes import constant
from headwater.images.http.paths import IMAGE_API
from headwater.images.imports import schemas as task_schemas
from headwater.images.metadefs.schemas import schemas as metadef_schemas
from headwater.images.schemas import ImageSchemas
from headwater.images.sharing import schemas as member_schemas


def routes(images: ImageSchemas) -> list[BaseRoute]:
    """Return a route for each schema."""
    return [
        IMAGE_API.route(f"/schemas/{name}", GET=constant(msgspec.json.encode(schema)))
        for name, schema in by_path(images).items()
    ]


def by_path(images: ImageSchemas) -> Mapping[str, dict[str, Any]]:
    """Return every schema by its path below ``/v2/schemas/``."""
    return {
        "image": images.image,
        "images": images.images,
        "member": member_schemas.MEMBER,
        "members": member_schemas.MEMBERS,
        "task": task_schemas.TASK,
        "tasks": task_schemas.TASKS,
        **{f"metadefs/{name}": schema for name, schema in metadef_schemas().items()},
    }
