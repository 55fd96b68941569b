"""The sample settings file, made of the settings themselves."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

from headwater.config import ENTRIES, KeyPath, fields, secret_free, section_of
from headwater.server.settings import Settings

# A name for the table whose name the operator chooses; that of a store that is there by default.
_ENTRY: dict[KeyPath, str] = {("stores",): "file"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleKey:
    """One key of the settings."""

    path: KeyPath
    meaning: str
    default: Any


def sample_entries() -> list[dict[str, Any]]:
    """Return every key of the settings as plain data, with its meaning and its default; secrets have none."""
    return [
        {
            "key": ".".join("NAME" if part == ENTRIES else part for part in key.path),
            "meaning": key.meaning,
            "default": to_jsonable_python(secret_free(key.default), fallback=str),
        }
        for keys in _sections()[0].values()
        for key in keys
    ]


def sample_text() -> str:
    """Return the sample settings file; with the comment signs taken off it is a valid one."""
    lines = [
        "# Settings of Headwater. Every key is optional; what stands here is its default.",
        "# A variable HEADWATER_SECTION__KEY wins over this file, an option of the command line over both.",
    ]
    sections, repeated = _sections()
    for path, keys in sections.items():
        if path:
            if not keys:
                continue
            name = ".".join(_ENTRY.get(path[:1], "NAME") if part == ENTRIES else part for part in path)
            lines += ["", f"#[[{name}]]" if path in repeated else f"#[{name}]"]
        for key in keys:
            shown = _toml(key.default)
            lines += [f"# {key.meaning}", f"#{key.path[-1]} = {shown}" if shown is not None else f"#{key.path[-1]} ="]
    return "\n".join(lines)


def _sections() -> tuple[dict[KeyPath, list[SampleKey]], Collection[KeyPath]]:
    """Return the keys of each section in the order of the file, and which sections are lists of tables."""
    sections: dict[KeyPath, list[SampleKey]] = {(): []}
    repeated: dict[KeyPath, BaseModel] = {}  # each with its first entry
    for path, field in fields(Settings):
        default = field.get_default(call_default_factory=True)
        if section_of(field.annotation) is not None:
            sections.setdefault(path, [])
            if isinstance(default, tuple):
                repeated[path] = default[0]
            continue
        if path[:-1] in repeated:
            default = getattr(repeated[path[:-1]], path[-1])
        sections.setdefault(path[:-1], []).append(SampleKey(path=path, meaning=field.description, default=default))
    return sections, repeated.keys()


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
