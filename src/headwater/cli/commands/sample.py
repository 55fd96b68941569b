"""The sample settings file, made of the settings themselves."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, SecretStr

from headwater.config import ENTRIES, KeyPath, fields, section_of
from headwater.server.settings import Settings

# A name for the table whose name the operator chooses; that of a store that is there by default.
_ENTRY: dict[KeyPath, str] = {("stores",): "file"}


def sample_text() -> str:
    """Return the sample settings file; with the comment signs taken off it is a valid one."""
    lines = [
        "# Settings of Headwater. Every key is optional; what stands here is its default.",
        "# A variable HEADWATER_SECTION__KEY wins over this file, an option of the command line over both.",
    ]
    sections: dict[KeyPath, list[str]] = {(): []}
    repeated: dict[KeyPath, BaseModel] = {}  # lists of tables, each with its first entry
    for path, field in fields(Settings):
        default = field.get_default(call_default_factory=True)
        if section_of(field.annotation) is not None:
            sections.setdefault(path, [])
            if isinstance(default, tuple):
                repeated[path] = default[0]
            continue
        if path[:-1] in repeated:
            default = getattr(repeated[path[:-1]], path[-1])
        shown = _toml(default)
        sections.setdefault(path[:-1], []).extend(
            [f"# {field.description}", f"#{path[-1]} = {shown}" if shown is not None else f"#{path[-1]} ="]
        )
    for path, keys in sections.items():
        if path:
            if not keys:
                continue
            name = ".".join(_ENTRY.get(path[:1], "NAME") if part == ENTRIES else part for part in path)
            lines += ["", f"#[[{name}]]" if path in repeated else f"#[{name}]"]
        lines += keys
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str | None:
    if value is None or isinstance(value, SecretStr):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(str(_toml(each)) for each in value) + "]"
    return json.dumps(str(value))
