"""Properties of images, held against metadata definitions: names that nobody knows, values that are none of theirs.

A hypervisor passes over a property that it does not know, without a word: ``hw_disk_buss`` gives a machine the disk of
its default. A name that is close to a defined one is an error, and so is a value that its definition does not have.
Another name that begins as Nova's own is advice: a newer Nova may know it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import Any

from headwater.client.linting import nova
from headwater.client.linting.lint import Document, Level, Profile

RESOURCE = "OS::Glance::Image"
_OF_NOVA = ("hw_", "img_")  # what else begins so is Nova's or nobody's
_MISSPELT = ("hw_", "img_", "os_", "vmware_", "trait", "hypervisor_", "hv_")  # where a near name is meant
_NEAR = 0.85  # of difflib; "hw_vif_modle" has 0.92, "os_version" and "os_verbose" 0.8
_BOOLEANS = frozenset({"true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0"})
_TRAIT = "trait:"

_NEWER_VALUES: Mapping[str, frozenset[str]] = {"hw_disk_bus": frozenset({"nvme"})}

_Found = tuple[str, Level, str, str]


@dataclass(slots=True)
class _Known:
    """What the definitions of one name allow, all of them together."""

    kinds: set[str] = field(default_factory=set)
    values: set[str] | None = field(default_factory=set)  # None: one of them takes any
    least: float | None = None
    most: float | None = None
    operators: bool = False

    def add(self, definition: Mapping[str, Any]) -> None:
        kind, listed = str(definition.get("type", "string")), _listed(definition)
        self.values = None if listed is None or self.values is None else self.values | listed
        least, most = _limit(definition, "minimum"), _limit(definition, "maximum")
        is_first = not self.kinds
        self.least = least if is_first else _wider(self.least, least, min)
        self.most = most if is_first else _wider(self.most, most, max)
        self.kinds.add(kind)
        self.operators = self.operators or bool(definition.get("operators"))

    def problem(self, name: str, value: str) -> str | None:
        """Return what would be right, if the value is not; ``name`` is the one that Nova has for the property."""
        if self.kinds <= {"integer", "number"}:
            return self._number(value)
        if self.values is None or "array" in self.kinds:
            return None
        allowed = self.values | _NEWER_VALUES.get(name, frozenset())
        if allowed <= _BOOLEANS and value.lower() in _BOOLEANS:
            return None  # Nova reads every word for yes and no
        given = [each.strip() for each in value.split("<or>") if each.strip()] if self.operators else [value]
        if given and all(each in allowed or nova.as_read(name, each) in allowed for each in given):
            return None
        near = get_close_matches(nova.as_read(name, value[:255]), sorted(allowed), n=1)
        return near[0] if near else ", ".join(sorted(allowed)[:12]) + (", …" if len(allowed) > 12 else "")

    def _number(self, value: str) -> str | None:
        words = f"a {'number' if 'number' in self.kinds else 'whole number'}"
        if self.least is not None:
            words += f" from {self.least:g} on"
        if self.most is not None:
            words += f", {self.most:g} at most"
        form = r"-?[0-9]{1,18}(\.[0-9]{1,18})?" if "number" in self.kinds else "-?[0-9]{1,18}"
        if not re.fullmatch(form, value):
            return words
        number = float(value)
        is_within = (self.least is None or number >= self.least) and (self.most is None or number <= self.most)
        return None if is_within else words


def profile(namespaces: Iterable[Document], beside: Iterable[Document] = ()) -> Profile:
    """Return the profile of these definitions.

    Args:
        namespaces: As files hold them, and the API shows them: with ``resource_type_associations``, ``properties``
            and ``objects``. Those that are not for images say nothing.
        beside: Definitions that count as well. What values they list for a property hold where the former list none.
    """
    known: dict[str, _Known] = {}
    for namespace in beside:
        for name, definition in _on_images(namespace):
            known.setdefault(name, _Known()).add(definition)
    theirs = {name for name, found in known.items() if found.values is not None}
    for namespace in namespaces:
        for name, definition in _on_images(namespace):
            if name not in theirs:
                known.setdefault(name, _Known()).add(definition)
            elif _listed(definition) is not None:
                known[name].add({**definition, "operators": None})
    names = sorted({*known, *nova.READ, *nova.FORMER})

    def check(image: Document, _today: date) -> Iterator[_Found]:
        for name, value in image.items():
            if isinstance(value, str):
                yield from _judged(name, value, known, names)

    return Profile(wants=(), checks=(check,))


def _judged(name: str, value: str, known: Mapping[str, _Known], names: Sequence[str]) -> Iterator[_Found]:
    if name.startswith(_TRAIT):
        if value != "required":
            yield name, Level.ERROR, f"is {value[:80]!r}", "required"
        return
    right = _right(name, value, known)
    if right is not None:
        yield name, Level.ERROR, f"is {value[:80]!r}", right
    if name in known or nova.reads(name) or not name.lower().startswith(_MISSPELT):
        return
    near = get_close_matches(name.lower().replace("-", "_")[:255], names, n=1, cutoff=_NEAR)
    if near:
        yield name, Level.ERROR, "is no property that is defined", near[0]
    elif name.startswith(_OF_NOVA):
        yield name, Level.ADVICE, "is no property that is defined", "what the metadata definitions name"


def _right(name: str, value: str, known: Mapping[str, _Known]) -> str | None:
    """Return what would be right, if the value is not what the definition of one of its names has."""
    meant = nova.present(name)
    form = nova.FORMS.get(meant)
    if form is not None:
        return None if form.pattern.fullmatch(value) else form.says
    problems = [known[each].problem(each, value) for each in dict.fromkeys((name, meant)) if each in known]
    return None if None in problems or not problems else problems[0]


def _on_images(namespace: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the definitions of a namespace under the names that they have on images."""
    for association in namespace.get("resource_type_associations") or ():
        if association.get("name") != RESOURCE:
            continue
        prefix = association.get("prefix") or ""
        groups = [namespace, *(namespace.get("objects") or ())]
        for group in groups:
            for name, definition in (group.get("properties") or {}).items():
                yield prefix + name, definition


def _limit(definition: Mapping[str, Any], name: str) -> float | None:
    found = definition.get(name)
    return float(found) if isinstance(found, int | float) else None


def _listed(definition: Mapping[str, Any]) -> set[str] | None:
    """Return the values that a definition allows; ``None``: it lists none."""
    if definition.get("type") == "boolean":
        return {"true", "false"}
    listed = definition.get("enum")
    return set(map(str, listed)) if isinstance(listed, list) else None


def _wider(one: float | None, other: float | None, choose: Callable[[float, float], float]) -> float | None:
    return None if one is None or other is None else choose(one, other)
