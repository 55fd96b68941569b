"""The JSON Schemas of image members. Source: Glance 33's live schemas."""

from __future__ import annotations

from typing import Any

from headwater.images.schemas import UUID

MEMBER: dict[str, Any] = {
    "name": "member",
    "properties": {
        "member_id": {"type": "string", "description": "Project that the image is shared with"},
        "image_id": {"type": "string", "description": "Image that is shared", "pattern": UUID},
        "created_at": {"type": "string", "description": "When the image was shared"},
        "updated_at": {"type": "string", "description": "When the member was last changed"},
        "status": {
            "type": "string",
            "description": "What the project said to it",
            "enum": ["pending", "accepted", "rejected"],
        },
        "schema": {"type": "string", "readOnly": True},
    },
}

MEMBERS: dict[str, Any] = {
    "name": "members",
    "properties": {"members": {"type": "array", "items": MEMBER}, "schema": {"type": "string"}},
    "links": [{"rel": "describedby", "href": "{schema}"}],
}
