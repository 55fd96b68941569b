"""What a change of a machine changes, for people who are asked before it is done."""

from __future__ import annotations

from typing import Any

from headwater.instances.model import Instance

_OURS = frozenset({"revision", "updated_at", "created_at", "id"})


def differences(before: Instance, after: Instance) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ, each as plain JSON data before and after it.

    What may be long or secret is told by its size or name: user data in bytes, files too, keys by their names.
    """
    old, new = before.to_dict(), after.to_dict()
    return {
        name: (_told(before, name, old[name]), _told(after, name, new[name]))
        for name in new
        if name not in _OURS and old[name] != new[name]
    }


def _told(instance: Instance, name: str, value: Any) -> Any:
    if name == "user_data":
        return None if instance.user_data is None else f"{len(instance.user_data)} bytes"
    if name == "keys":
        return [key.name for key in instance.keys]
    if name == "files":
        return [f"{file.path} ({len(file.data)} bytes)" for file in instance.files]
    return value
