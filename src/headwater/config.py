"""Settings: command line over environment over file over default, as one frozen object.

A section is a frozen pydantic model that stands beside the code it configures; the server puts the
sections together (``server/settings.py``). This module knows no section. It merges the sources,
remembers where each value came from, and turns every mistake into one sentence that names the
file or variable, the section, the key and what would do.

Environment: ``HEADWATER_SECTION__KEY``; two underscores go one level down
(``HEADWATER_SERVER__BIND``, ``HEADWATER_STORES__FAST__ROOT``). A value that is a list or a table
is written as JSON.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, SecretStr, ValidationError
from pydantic_core import CoreSchema, core_schema

from headwater.errors import SettingsError
from headwater.json_keys import twice

ENVIRONMENT_PREFIX = "HEADWATER_"
DEFAULT = "default"
ENTRIES = "entries"  # in a path: any name the operator chooses, as in [stores.NAME]

KeyPath = tuple[str, ...]


class Section(BaseModel):
    """The parent of every section: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False, hide_input_in_errors=True)


S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class ChosenBy:
    """In the metadata of an annotation: what is in a section says which one it is, such as its ``type``."""

    choose: Callable[[Mapping[str, Any]], type[BaseModel]]  # raises ValueError when it says none

    def __get_pydantic_core_schema__(self, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read the section as the one that was chosen."""

        def read(value: Any) -> BaseModel:
            if isinstance(value, source):
                return value
            if not isinstance(value, Mapping):
                raise ValueError("it is a section with keys of its own, not a value")  # noqa: TRY004 - for pydantic
            return self.choose(value).model_validate(value)

        return core_schema.no_info_plain_validator_function(read)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """Settings, and for each key that somebody set, the words for where it was set."""

    settings: S
    origins: Mapping[KeyPath, str]

    def origin(self, path: KeyPath) -> str:
        """Return where the value at ``path`` came from: a file, a variable, an option or ``default``."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return DEFAULT


def load(
    model: type[S],
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[KeyPath, Any] | None = None,
) -> Loaded[S]:
    """Merge all sources and check them against ``model``.

    Args:
        file: A TOML file; it must exist when given.
        environment: Variables to read; other prefixes are ignored. ``None`` reads none.
        options: Values from the command line by path. Those that are ``None`` count as not given.

    Raises:
        SettingsError: A source cannot be read, a key is unknown, or a value is wrong.
    """
    merged: dict[str, Any] = {}
    origins: dict[KeyPath, str] = {}
    if file is not None:
        _merge(merged, origins, _leaves(_read(file)), f"file {file}")
    for name, path, value in _from_environment(environment or {}):
        _merge(merged, origins, [(path, value)], f"environment {name}")
    for path, value in (options or {}).items():
        if value is not None:
            _merge(merged, origins, [(path, value)], "command line")
    try:
        settings = model.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(_sentence(error, model, merged, origins)) from None
    return Loaded(settings, origins)


def fields(model: type[BaseModel], prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, typing.Any]]:
    """Yield each key below ``model`` with its pydantic field, sections before what is in them."""
    for name, field in model.model_fields.items():
        yield (*prefix, name), field
        inner = section_of(field.annotation)
        if inner is not None:
            nested = (*prefix, name, ENTRIES) if _is_table_of(field.annotation) else (*prefix, name)
            yield from fields(inner, nested)


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section class in ``annotation``: itself, of its table's entries, or of a list's items."""
    candidates = [annotation, *typing.get_args(annotation)]
    for candidate in candidates:
        if isinstance(candidate, type):
            if issubclass(candidate, BaseModel):
                return candidate
        elif candidate is not annotation and (inner := section_of(candidate)):
            return inner
    return None


def secret_free(value: Any) -> Any:
    """Return ``value`` as plain data to print; every secret becomes ``***``."""
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, BaseModel):
        return {name: secret_free(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(name): secret_free(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [secret_free(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))  # as Windows writes it
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"the settings file {file} is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {file} is not TOML: {error}") from error


def _is_table_of(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (dict, Mapping) or (
        isinstance(typing.get_origin(annotation), type) and issubclass(typing.get_origin(annotation), Mapping)
    )


def _leaves(data: Mapping[str, Any], prefix: KeyPath = ()) -> list[tuple[KeyPath, Any]]:
    found: list[tuple[KeyPath, Any]] = []
    for name, value in data.items():
        if isinstance(value, dict) and value:
            found += _leaves(value, (*prefix, name))
        else:
            found.append(((*prefix, name), value))
    return found


def _merge(into: dict[str, Any], origins: dict[KeyPath, str], leaves: list[tuple[KeyPath, Any]], origin: str) -> None:
    for path, value in leaves:
        place = into
        for name in path[:-1]:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                raise _not_a_section(path[: path.index(name) + 1], origins)
            place = inner
        place[path[-1]] = value
        origins[path] = origin


def _not_a_section(path: KeyPath, origins: Mapping[KeyPath, str]) -> SettingsError:
    name = ".".join(path)
    return SettingsError(
        f"{origins[path]}: {name!r} is a section of settings, not a value; write [{name}] and keys below"
    )


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, KeyPath, Any]]:
    for name in sorted(environment):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in OWN_VARIABLES or name.startswith(HOOK_PREFIX):
            continue
        path = tuple(part.lower() for part in name.removeprefix(ENVIRONMENT_PREFIX).split("__"))
        text = environment[name]
        yield name, path, _value(name, text)


def _value(name: str, text: str) -> Any:
    """Lists and tables come as JSON; all else stays text, and the model turns it into its type."""
    if text[:1] in ("[", "{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if (problem := twice(text)) is not None:
            raise SettingsError(f"{name}: {problem}")
        return found
    return text


# Variables of the same prefix that are no settings: where these are, and secrets that stand on no command line.
OWN_VARIABLES = frozenset(
    {"HEADWATER_CONFIG", "HEADWATER_KEY_PASSPHRASE", "HEADWATER_SIGNING_KEY_PASSWORD", "HEADWATER_TREE_AUTHORIZATION"}
)
# Of what a hook is told; it may well call a command of ours.
HOOK_PREFIX = "HEADWATER_SYNC_"


def _sentence(
    error: ValidationError, model: type[BaseModel], merged: Mapping[str, Any], origins: Mapping[KeyPath, str]
) -> str:
    sentences = []
    for problem in error.errors(include_url=False, include_input=False):
        path = _path(problem["loc"], merged)
        origin = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), None)
        if origin is None:  # nobody set it itself: name a source that set something below it, or else beside it
            near = (o for n in range(len(path), 0, -1) for p, o in origins.items() if p[:n] == path[:n])
            origin = next(near, "settings")
        section, key = ".".join(path[:-1]), path[-1] if path else ""
        place = f"section [{section}], key {key!r}" if section else f"{key!r}"
        if problem["type"] == "extra_forbidden":
            sentences.append(f"{origin}: {place} is unknown{_suggestion(model, path, merged)}")
        elif problem["type"] == "missing":
            sentences.append(f"{origin}: {place} is missing and has no default")
        else:
            text = problem["msg"].removeprefix("Value error, ")
            text = text[:1].lower() + text[1:]
            sentences.append(f"{origin}: {place}: {text}" if path else text)
    return "; ".join(dict.fromkeys(sentences))


def _path(place: tuple[int | str, ...], merged: Mapping[str, Any]) -> KeyPath:
    """Return where a problem is. Pydantic also names the kind of a section that has several; nobody wrote that."""
    path: list[str] = []
    inner: Any = merged
    for number, part in enumerate(place):
        known = isinstance(inner, list) or (isinstance(inner, dict) and part in inner)
        if known or number == len(place) - 1:
            path.append(str(part))
            inner = inner[part] if known else None
    return tuple(path)


def _suggestion(model: type[BaseModel], path: KeyPath, merged: Mapping[str, Any]) -> str:
    known = sorted(_section_at(model, path[:-1], merged).model_fields)
    close = difflib.get_close_matches(path[-1], known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(known)}"


def _section_at(model: type[BaseModel], path: KeyPath, merged: Mapping[str, Any]) -> type[BaseModel]:
    """Return the section at ``path``; of several that may stand there, the one that does."""
    section, inner = model, typing.cast(Any, merged)
    parts = list(path)
    while parts:
        name = parts.pop(0)
        annotation, inner = section.model_fields[name].annotation, inner[name]
        if typing.get_origin(annotation) in (dict, Mapping, list, tuple):
            entry = parts.pop(0)
            inner = inner[int(entry)] if isinstance(inner, list) else inner[entry]
        chosen_by = _chosen_by(annotation)
        section = chosen_by.choose(inner) if chosen_by is not None else section_of(annotation) or section
    return section


def _chosen_by(annotation: Any) -> ChosenBy | None:
    for part in typing.get_args(annotation):
        found = part if isinstance(part, ChosenBy) else _chosen_by(part)
        if found is not None:
            return found
    return None


def environment_variable(path: KeyPath) -> str:
    """Return the name of the variable that sets ``path``."""
    return ENVIRONMENT_PREFIX + "__".join(part.upper() for part in path)


def process_environment() -> Mapping[str, str]:
    """Return this process's environment."""
    return os.environ
