"""Glance's file of property protections: who may create, read, update and delete which properties.

A section's name is a regular expression, searched for in a property's name; the sections are tried in the
order of the file and the first that matches decides. What none matches nobody may do. ::

    [^x_billing_.*]
    create = admin
    read = admin,billing
    update = admin
    delete = !

A value names roles, or ``@`` for everybody, or ``!`` for nobody; in the format ``policies`` it names one rule of
the policy. Properties that begin with ``os_glance`` are the service's own and stand outside.
Source: Glance 33. An operation without a value nobody may do; one that is absent refuses the file.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from headwater.errors import SettingsError
from headwater.images.attributes import RESERVED_PREFIX

Action = Literal["create", "read", "update", "delete"]
Format = Literal["roles", "policies"]

ACTIONS: tuple[Action, ...] = ("create", "read", "update", "delete")
_EVERYBODY, _NOBODY = "@", "!"


class BadPropertyProtection(SettingsError):
    """A file of property protections that cannot be used."""

    def __init__(self, file: str, line: int, section: str | None, problem: str) -> None:
        place = f"property protection file {file}, line {line}" + (f", section [{section}]" if section else "")
        super().__init__(f"{place}: {problem}")
        self.file, self.line, self.section = file, line, section


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may do one thing to the properties of a section."""

    everybody: bool = False
    roles: frozenset[str] = frozenset()  # lower case
    rule: str | None = None  # of the policy


@dataclass(frozen=True, slots=True)
class Protection:
    """One section."""

    pattern: re.Pattern[str]
    permissions: Mapping[Action, Permission]


@dataclass(frozen=True, slots=True)
class Protections:
    """A whole file."""

    sections: tuple[Protection, ...]
    rules: frozenset[str] = frozenset()  # of the policy, named in the file
    _matches: dict[str, Protection | None] = field(default_factory=dict, compare=False)

    def permission(self, name: str, action: Action) -> Permission:
        """Return who may do this to the property ``name``."""
        if name.startswith(RESERVED_PREFIX):
            return Permission(everybody=True)
        # Names repeat, patterns need some microseconds each.
        try:
            section = self._matches[name]
        except KeyError:
            section = next((each for each in self.sections if each.pattern.search(name)), None)
            if len(self._matches) >= _KEPT:
                self._matches.clear()
            self._matches[name] = section
        return section.permissions[action] if section is not None else Permission()


_KEPT = 20_000  # names


def read_protections(file: str, text: str, format_: Format, known_rules: Collection[str]) -> Protections:
    """Return what the text of a file says.

    Args:
        file: Its name, for messages.
        format_: Whether values name roles or rules of the policy.
        known_rules: The rules that the policy has.

    Raises:
        BadPropertyProtection: It cannot be used; the message has line, section and reason.
    """
    # Glance reads it with the same parser, whose "%" begins an interpolation; one in a pattern does not.
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text, file)
    except configparser.MissingSectionHeaderError as error:
        raise BadPropertyProtection(file, error.lineno, None, "a section such as [^x_.*] has to come first") from error
    except configparser.DuplicateSectionError as error:
        raise BadPropertyProtection(
            file, error.lineno or 1, str(error.section), "it stands above already; keep one of them"
        ) from error
    except configparser.DuplicateOptionError as error:
        problem = f"{error.option!r} stands above already; keep one of them"
        raise BadPropertyProtection(file, error.lineno or 1, error.section, problem) from error
    except configparser.ParsingError as error:
        line = error.errors[0][0] if error.errors else 1
        raise BadPropertyProtection(file, line, None, "it is not of the form NAME = VALUE") from error
    reader = _Reader(file, parser, _Lines(text), format_, frozenset(known_rules))
    sections = tuple(reader.section(name) for name in parser.sections())
    if not sections:
        raise BadPropertyProtection(file, 1, None, "it has no section, so that nobody could set any property")
    permissions = [permission for section in sections for permission in section.permissions.values()]
    return Protections(sections, frozenset(each.rule for each in permissions if each.rule is not None))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes protections of what the parser has found."""

    file: str
    parser: configparser.ConfigParser
    lines: _Lines
    format: Format
    known_rules: frozenset[str]

    def section(self, name: str) -> Protection:
        try:
            pattern = re.compile(name)
        except (re.error, RecursionError, OverflowError) as error:
            raise self._bad(name, None, f"its name is not a regular expression: {error}") from error
        return Protection(pattern, {action: self._permission(name, action) for action in ACTIONS})

    def _permission(self, name: str, action: Action) -> Permission:
        try:
            value = self.parser.get(name, action)
        except configparser.NoOptionError as error:
            problem = f"{action!r} is missing; write '{action} = !' if nobody may do it"
            raise self._bad(name, None, problem) from error
        except configparser.InterpolationError as error:
            raise self._bad(name, action, f"{action!r} holds a '%' that is not doubled") from error
        try:
            return _by_role(value) if self.format == "roles" else _by_rule(value, self.known_rules)
        except ValueError as error:
            raise self._bad(name, action, f"{action!r} {error}") from error

    def _bad(self, section: str, option: str | None, problem: str) -> BadPropertyProtection:
        return BadPropertyProtection(self.file, self.lines.of(section, option), section, problem)


def _by_role(value: str) -> Permission:
    names = [each.strip() for each in value.split(",") if each.strip()]
    if _EVERYBODY in names and _NOBODY in names:
        raise ValueError("has both '@' (everybody) and '!' (nobody); keep one of them")
    if _NOBODY in names:
        return Permission()
    return Permission(_EVERYBODY in names, frozenset(name.lower() for name in names if name != _EVERYBODY))


def _by_rule(value: str, known: Collection[str]) -> Permission:
    value = value.strip()
    if value in ("", _NOBODY):
        return Permission()
    if value == _EVERYBODY:
        return Permission(everybody=True)
    if "," in value:
        raise ValueError("names several rules; name one, and let the policy put them together")
    if value not in known:
        raise ValueError(f"names the rule {value!r}, which the policy does not have")
    return Permission(rule=value)


class _Lines:
    """Where sections and their options stand, which the parser does not tell."""

    def __init__(self, text: str) -> None:
        self._found = dict(reversed(list(_places(text))))

    def of(self, section: str, option: str | None = None) -> int:
        return self._found.get((section, option)) or self._found.get((section, None), 1)


def _places(text: str) -> Iterator[tuple[tuple[str, str | None], int]]:
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = configparser.ConfigParser.SECTCRE.match(line.strip())
        if header is not None:
            section = header.group("header")
            yield (section, None), number
        elif (option := re.match(r"\s*([^=:#;\s]+)\s*[=:]", line)) is not None:
            yield (section, option[1].lower()), number
