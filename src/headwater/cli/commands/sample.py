"""The sample settings file, made of the settings themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, SecretStr

from headwater.config import ENTRIES, KeyPath, fields, section_of
from headwater.server.settings import Settings
from headwater.stores.registry import StoreTypeUnusable, store_type, type_names
from headwater.stores.store_type import StoreSettings, own_keys


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
        if path[:2] == ("stores", ENTRIES):
            continue  # what a store may have, its type says
        if section_of(field.annotation) is not None:
            sections.setdefault(path, [])
            if isinstance(default, tuple):
                repeated[path] = default[0]
            if path == ("stores",):
                sections |= {(*path, name): _keys(store) for name, store in default.items()}
            continue
        if path[:-1] in repeated:
            default = getattr(repeated[path[:-1]], path[-1])
        sections.setdefault(path[:-1], []).extend(_key(path[-1], field, default))
    for path, keys in sections.items():
        if path:
            if not keys:
                continue
            name = ".".join("NAME" if part == ENTRIES else part for part in path)
            lines += ["", f"#[[{name}]]" if path in repeated else f"#[{name}]"]
        lines += keys
        if path[:1] == ("stores",):
            lines += _other_types([path[1]])
    return "\n".join(lines) + "\n"


def _other_types(shown: Sequence[str]) -> list[str]:
    """Return what stores of the other types may have; indented, as it stands in the place of what is above."""
    lines: list[str] = []
    for name in type_names():
        if name in shown:
            continue
        try:
            settings = store_type(name).settings
        except StoreTypeUnusable as error:
            lines += ["", f"# {error}"]
            continue
        lines += ["", "# [stores.NAME]", f'#   type = "{name}"']
        for key in own_keys(settings):
            field = settings.model_fields[key]
            shown_default = _toml(field.get_default(call_default_factory=True)) if not field.is_required() else None
            lines += [
                f"#   # {' '.join((field.description or '').split())}",
                f"#   {key} = {shown_default or ''}".rstrip(),
            ]
    return lines


def _keys(store: StoreSettings) -> list[str]:
    """Return the lines of a store's section."""
    known = {**type(store).model_fields, **StoreSettings.model_fields}
    names = ["type", *own_keys(type(store)), *(name for name in StoreSettings.model_fields if name != "type")]
    return [line for name in names for line in _key(name, known[name], getattr(store, name))]


def _key(name: str, field: Any, value: Any) -> list[str]:
    shown = _toml(value)
    return [f"# {field.description}", f"#{name} = {shown}" if shown is not None else f"#{name} ="]


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
