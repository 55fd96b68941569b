"""What a caller may see and change of an image's properties, where the operator protects some.

A property that the caller may not read is not there for it: in no answer, in no filter, and not for a patch
that replaces or removes it. What it may not create, update or delete is reserved. What is not
there for a caller stays on the image whatever the caller changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headwater.errors import SettingsError
from headwater.identity.caller import Caller
from headwater.identity.policy.rules import NamedRules, Rules
from headwater.identity.watched_file import WatchedFile
from headwater.images.attributes import Operation, ReservedAttribute, is_property, patched
from headwater.images.model import Image
from headwater.images.properties.protection import Action, Format, Protections, read_protections
from headwater.images.settings import ImagesSettings

_LIMIT = 4 << 20  # bytes


class PropertyGuard:
    """The protections in force; safe to use from several threads."""

    def __init__(self, current: Callable[[], Protections], rules: Rules) -> None:
        """Take the protections, asked for at each use, and what judges rules of the policy."""
        self._current = current
        self._rules = rules

    def shown(self, caller: Caller, image: Image) -> Image:
        """Return the image as the caller may see it."""
        hidden = self._hidden(caller, image.properties)
        if not hidden:
            return image
        return replace(image, properties={n: v for n, v in image.properties.items() if n not in hidden})

    def may_read(self, caller: Caller, names: Iterable[str]) -> bool:
        """Return whether the caller may read all these properties."""
        return not self._hidden(caller, names)

    def require_creatable(self, caller: Caller, names: Iterable[str]) -> None:
        """Raise ``ReservedAttribute`` for a property that the caller may not give to a new image."""
        for name in names:
            self._require(caller, name, "create")

    def replaced(self, caller: Caller, before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
        """Return the properties ``after`` a change, with those that were there and the caller does not see.

        Raises:
            ReservedAttribute: The caller may not create, update or delete one of those that differ.
        """
        unseen = self._hidden(caller, before)
        hidden = {name: before[name] for name in unseen if name not in after}
        for name in before.keys() | after.keys():
            if name not in before:
                self._require(caller, name, "create")
            elif name not in after:
                if name not in hidden:
                    self._require(caller, name, "delete")
            elif before[name] != after[name] or name in unseen:  # else a guess that is right would tell
                self._require(caller, name, "update")
        return {**hidden, **after}

    def patched(
        self, caller: Caller, image: Image, document: dict[str, Any], operations: Iterable[Operation]
    ) -> dict[str, Any]:
        """Carry out operations on the flat object of ``image``, and return what it is then.

        Raises:
            ReservedAttribute: The caller may not do this to the property.
            HeadwaterError: As ``attributes.patched`` says.
        """
        hidden = {name: document.pop(name) for name in self._hidden(caller, image.properties)}
        for operation in operations:
            name = operation.name
            # A property that the caller does not see is there all the same: to overwrite it is to update it.
            exists = name in document or name in hidden
            patched(image, document, operation)
            if is_property(name):
                action: Action = "delete" if operation.op == "remove" else "update" if exists else "create"
                self._require(caller, name, action)
                if operation.op != "remove":
                    hidden.pop(name, None)
        return {**hidden, **document}

    def _hidden(self, caller: Caller, names: Iterable[str]) -> list[str]:
        protections = self._current()
        return [name for name in names if not self._may(protections, caller, name, "read")]

    def _require(self, caller: Caller, name: str, action: Action) -> None:
        if not self._may(self._current(), caller, name, action):
            raise ReservedAttribute(name)

    def _may(self, protections: Protections, caller: Caller, name: str, action: Action) -> bool:
        permission = protections.permission(name, action)
        if permission.everybody:
            return True
        if permission.rule is not None:
            try:
                return self._rules.allows(permission.rule, caller, {})
            except KeyError:  # it was there when the file was read, and the operator took it out since
                return False
        # Source: Glance counts the roles of a service that calls for a user too.
        return not permission.roles.isdisjoint(caller.roles) or not permission.roles.isdisjoint(caller.service_roles)


def open_guard(settings: ImagesSettings, rules: NamedRules) -> PropertyGuard | None:
    """Return the guard that the settings ask for; ``None`` where no property is protected.

    Raises:
        SettingsError: The file of protections cannot be used.
    """
    if settings.property_protection_file is None:
        return None

    def parse(file: Path) -> Protections:
        return read_file(file, settings.property_protection_rule_format, rules.names())

    return PropertyGuard(WatchedFile(settings.property_protection_file, parse).value, rules)


def read_file(path: Path, format_: Format, known_rules: Collection[str]) -> Protections:
    """Return what a file of protections says.

    Args:
        known_rules: The rules that the policy has.

    Raises:
        SettingsError: It cannot be used.
        OSError: It cannot be read.
    """
    return read_protections(str(path), _text(path), format_, known_rules)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise SettingsError(f"property protection file {path} is larger than {_LIMIT} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"property protection file {path} is not UTF-8 text") from error
