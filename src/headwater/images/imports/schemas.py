"""The JSON Schemas of tasks. Source: Glance 33's live schemas."""

from __future__ import annotations

from typing import Any

from headwater.images.schemas import UUID


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


TASK: dict[str, Any] = {
    "name": "task",
    "properties": {
        "id": _text("Id of the task", pattern=UUID),
        "type": _text("What the task does", enum=["import", "api_image_import", "location_import"]),
        "status": _text("How far the task is", enum=["pending", "processing", "success", "failure"]),
        "input": {"type": ["null", "object"], "description": "What the task was asked to do"},
        "result": {"type": ["null", "object"], "description": "What came of it"},
        "owner": _text("Project that the task belongs to"),
        "message": _text("What there is to say about it, mostly why it failed"),
        "image_id": _text("Image that the task works on"),
        "request_id": _text("Request that began the task"),
        "user_id": _text("User who began the task"),
        "expires_at": {"type": ["null", "string"], "description": "When the task may be forgotten"},
        "created_at": _text("When the task began"),
        "updated_at": _text("When the task was last changed"),
        "self": {"type": "string", "readOnly": True},
        "schema": {"type": "string", "readOnly": True},
    },
}

# A list is short: it leaves out what may be long.
_LISTED = {
    "name": "task",
    "properties": {k: v for k, v in TASK["properties"].items() if k not in ("input", "result", "message")},
}

TASKS: dict[str, Any] = {
    "name": "tasks",
    "properties": {"tasks": {"type": "array", "items": _LISTED}, "schema": {"type": "string"}},
    "links": [{"rel": "describedby", "href": "{schema}"}],
}
