"""The sample settings file, made of the settings themselves."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

from headwater.config import ENTRIES, KeyPath, fields, secret_free, section_of
from headwater.server.settings import Settings
from headwater.stores.registry import StoreTypeUnusable, store_type, type_names
from headwater.stores.store_type import StoreSettings, own_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleKey:
    """One key of the settings."""

    path: KeyPath
    meaning: str
    default: Any
    store_type: str | None = None  # where it is a key of stores of this type


def sample_entries() -> list[dict[str, Any]]:
    """Return every key of the settings as plain data, with its meaning and its default; secrets have none."""
    sections, _ = _sections()
    others = [keys for keys in _of_other_types(sections).values() if not isinstance(keys, StoreTypeUnusable)]
    return [
        {
            "key": ".".join("NAME" if part == ENTRIES else part for part in key.path),
            "meaning": key.meaning,
            "default": to_jsonable_python(secret_free(key.default), fallback=str),
            **({} if key.store_type is None else {"store_type": key.store_type}),
        }
        for keys in [*sections.values(), *others]
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
            name = ".".join("NAME" if part == ENTRIES else part for part in path)
            if ENTRIES in path:  # a section that somebody has to name, and to give what it needs
                lines += ["", f"# [{name}]", *_indented(keys)]
                continue
            lines += ["", f"#[[{name}]]" if path in repeated else f"#[{name}]"]
        for key in keys:
            shown = _toml(key.default)
            lines += [f"# {key.meaning}", f"#{key.path[-1]} = {shown}" if shown is not None else f"#{key.path[-1]} ="]
        if path[:1] == ("stores",):
            lines += _in_its_place(_of_other_types(sections))
    return "\n".join(lines)


def _sections() -> tuple[dict[KeyPath, list[SampleKey]], Collection[KeyPath]]:
    """Return the keys of each section in the order of the file, and which sections are lists of tables."""
    sections: dict[KeyPath, list[SampleKey]] = {(): []}
    repeated: dict[KeyPath, BaseModel] = {}  # each with its first entry
    for path, field in fields(Settings):
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        if path[:2] == ("stores", ENTRIES):
            continue  # what a store may have, its type says
        if section_of(field.annotation) is not None:
            sections.setdefault(path, [])
            if isinstance(default, tuple):
                repeated[path] = default[0]
            if path == ("stores",):
                sections |= {(*path, name): _keys_of((*path, name), store) for name, store in (default or {}).items()}
            continue
        if path[:-1] in repeated:
            default = getattr(repeated[path[:-1]], path[-1])
        sections.setdefault(path[:-1], []).append(SampleKey(path=path, meaning=field.description, default=default))
    return sections, repeated.keys()


def _keys_of(path: KeyPath, store: StoreSettings) -> list[SampleKey]:
    """Return the keys of the section of a store."""
    known = {**type(store).model_fields, **StoreSettings.model_fields}
    names = ["type", *own_keys(type(store)), *(name for name in StoreSettings.model_fields if name != "type")]
    return [
        SampleKey(
            path=(*path, name),
            meaning=known[name].description or "",
            default=getattr(store, name),
            store_type=store.type,
        )
        for name in names
    ]


def _of_other_types(sections: Mapping[KeyPath, Sequence[SampleKey]]) -> dict[str, list[SampleKey] | StoreTypeUnusable]:
    """Return by type what stores may have of which ``sections`` show none, or what is wrong with the type."""
    shown = {key.store_type for keys in sections.values() for key in keys}
    found: dict[str, list[SampleKey] | StoreTypeUnusable] = {}
    for name in type_names():
        if name in shown:
            continue
        try:
            settings = store_type(name).settings
        except StoreTypeUnusable as error:
            found[name] = error
            continue
        keys: list[SampleKey] = []
        found[name] = keys
        for key in own_keys(settings):
            field = settings.model_fields[key]
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            meaning = " ".join((field.description or "").split())
            sample = SampleKey(path=("stores", ENTRIES, key), meaning=meaning, default=default, store_type=name)
            keys.append(sample)
    return found


def _in_its_place(others: Mapping[str, list[SampleKey] | StoreTypeUnusable]) -> list[str]:
    """Return what stores of other types may have; indented, as it stands in the place of what is above."""
    lines: list[str] = []
    for name, keys in others.items():
        if isinstance(keys, StoreTypeUnusable):
            lines += ["", f"# {keys}"]
            continue
        lines += ["", "# [stores.NAME]", f'#   type = "{name}"']
        lines += _indented(keys)
    return lines


def _indented(keys: Sequence[SampleKey]) -> list[str]:
    lines: list[str] = []
    for key in keys:
        lines += [f"#   # {key.meaning}", f"#   {key.path[-1]} = {_toml(key.default) or ''}".rstrip()]
    return lines


def _toml(value: Any) -> str | None:
    if value is None or isinstance(value, SecretStr):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(str(_toml(each)) for each in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(str(value))
