"""What a cloud-config holds, against the forms that cloud-init's documentation has (``documented.toml``).

They are asked where no cloud-init is installed, whose schema sees more. A key below another one that is nearly one of
those that are documented there is misspelt; any other may be of a release to come.
"""

from __future__ import annotations

import datetime
import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from headwater.instances.user_data.cloud_config import rules
from headwater.instances.user_data.faults import Fault, broken

FILE: Final = Path(__file__).with_suffix(".toml")
_MOST: Final = 50  # faults that are told
_STEP: Final = re.compile(r"\[\]|[^.\[\]]+")
_TYPES: Final[dict[str, tuple[str, tuple[type, ...]]]] = {
    "bool": ("true or false", (bool,)),
    "number": ("a number", (int, float)),
    "text": ("a text", (str, bytes, datetime.date)),  # PyYAML makes dates of 2026-11-27
    "list": ("a list", (list,)),
    "texts": ("a list of texts", (list,)),
    "map": ("keys with values", (dict,)),
}


@dataclass(slots=True)
class _Place:
    """The forms in one place, and the places below it."""

    forms: tuple[str, ...] = ()
    below: dict[str, _Place] = field(default_factory=dict)  # by key, or "*", or "[]"

    def takes(self, value: object) -> bool:
        if not self.forms:
            return True
        if isinstance(value, str) and f"={value}" in self.forms:
            return True
        return any(_is(form, value) for form in self.forms)

    @property
    def wanted(self) -> str:
        names = [_TYPES[form][0] for form in self.forms if form in _TYPES]
        words = [form[1:] for form in self.forms if form not in _TYPES]
        if words:
            names.append(words[0] if len(words) == 1 else f"one of {', '.join(words)}")
        return " or ".join(names)


def faults_of(document: Any) -> list[Fault]:
    """Return what is another form than the documented ones in the document of a cloud-config, ``_MOST`` at most."""
    return list(islice(_held(document, documented(), "", set()), _MOST))


@cache
def documented() -> _Place:
    """Return the top of a cloud-config, with all that is documented below it."""
    top = _Place()
    for path, forms in tomllib.loads(FILE.read_text(encoding="utf-8")).items():
        place = top
        for step in _STEP.findall(path):
            place = place.below.setdefault(step, _Place())
        place.forms = tuple(forms.split())
    return top


def _held(value: Any, place: _Place, path: str, seen: set[tuple[int, int]]) -> Iterator[Fault]:
    """Yield what is wrong at a place and below it. What aliases repeat is looked at once."""
    if value is None or (isinstance(value, dict | list) and (id(value), id(place)) in seen):
        return
    seen.add((id(value), id(place)))
    if not place.takes(value):
        yield broken(rules.UNDOCUMENTED, path=path, found=_found(value, place), wanted=place.wanted)
    elif isinstance(value, dict):
        for key, each in value.items():
            here = f"{path}.{key}" if path else str(key)
            below = place.below.get(key) if isinstance(key, str) else None
            if below is None and path and "*" not in place.below:
                yield from _misspelt(key, place, here)
            below = below or place.below.get("*")
            if below is not None:
                yield from _held(each, below, here, seen)
    elif isinstance(value, list) and "[]" in place.below:
        for number, each in enumerate(value):
            yield from _held(each, place.below["[]"], f"{path}[{number}]", seen)


def _misspelt(key: object, place: _Place, path: str) -> Iterator[Fault]:
    if isinstance(key, str) and (near := difflib.get_close_matches(key, place.below, 1, 0.8)):
        yield broken(rules.MISSPELT, path=path, key=key, near=near[0])


def _is(form: str, value: object) -> bool:
    if form not in _TYPES or (isinstance(value, bool) and form != "bool"):
        return False
    if not isinstance(value, _TYPES[form][1]):
        return False
    return form != "texts" or all(isinstance(each, str | None) for each in value)  # type: ignore[attr-defined]


def _found(value: object, place: _Place) -> str:
    """Return what a value is, without the value."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str) and any(form.startswith("=") for form in place.forms):
        return "another text"
    if isinstance(value, list) and "texts" in place.forms:
        return "a list that holds something else"
    return next((name for name, types in _TYPES.values() if isinstance(value, types)), "a value")
