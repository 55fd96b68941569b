"""An operator's policy file, read so that a mistake stops the start and is named with its line.

oslo.policy itself logs a rule that it cannot parse and denies what the rule guards; a reference to a rule
that is not there it takes for ``default``, which allows everything. Both would be found out much too
late, so each rule is parsed, looked through and tried here before it counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from oslo_policy import _checks, _parser

from headwater.errors import SettingsError
from headwater.identity.policy.rules import Rule

_LIMIT = 4 << 20  # bytes
REMOTE = frozenset({"http", "https"})

# The fields of a caller that a rule can ask for, with an example of each. Source: oslo.policy's credentials.
CREDENTIALS: Mapping[str, Any] = {
    "user_id": "u",
    "user": "u",
    "project_id": "p",
    "tenant": "p",
    "roles": ["r"],
    "service_roles": ["r"],
    "system_scope": "all",
    "domain_id": "d",
    "is_admin": True,
}


class BadPolicy(SettingsError):
    """A policy file that cannot be used."""

    def __init__(self, file: Path, line: int, rule: str | None, problem: str) -> None:
        place = f"policy file {file}, line {line}" + (f", rule {rule!r}" if rule is not None else "")
        super().__init__(f"{place}: {problem}")
        self.file, self.line, self.rule = file, line, rule


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule of the file."""

    text: str | list[Any]
    line: int
    check: _checks.BaseCheck


def defaults(builtin: Mapping[str, Rule]) -> dict[str, _checks.BaseCheck]:
    """Return what the built-in rules check."""
    return {name: _parser.parse_rule(rule.check) for name, rule in builtin.items()}


def read_policy(file: Path, builtin: Mapping[str, Rule], *, remote_checks: bool) -> dict[str, Entry]:
    """Return the rules of the file by name.

    Args:
        builtin: The rules that there are without a file, by name.
        remote_checks: Whether ``http:`` and ``https:`` checks may be in it.

    Raises:
        BadPolicy: A rule cannot be parsed, names another that is not there, or cannot be evaluated.
        OSError: The file cannot be read.
    """
    entries = {name: _entry(file, line, name, text) for name, line, text in _pairs(file)}
    known = builtin.keys() | entries.keys()
    for name, entry in entries.items():
        for check in leaves(entry.check):
            problem = _problem(check, known, remote_checks=remote_checks)
            if problem is not None:
                raise BadPolicy(file, entry.line, name, problem)
    _require_no_cycle(file, entries, builtin)
    return entries


def warnings(
    entries: Mapping[str, Entry], builtin: Collection[str], asked: Collection[str] = frozenset()
) -> Iterator[tuple[int, str, str]]:
    """Yield what is allowed and probably not meant: line, rule, sentence.

    Args:
        builtin: The names of the rules that there are without a file.
        asked: Rules that something asks besides those.
    """
    named = {check.match for entry in entries.values() for check in leaves(entry.check) if _is(check, "rule")}
    for name, entry in entries.items():
        if name not in builtin and name not in named and name not in asked:
            yield entry.line, name, "no part of Headwater asks this rule, and no other rule names it"
        for check in leaves(entry.check):
            if isinstance(check, _checks.GenericCheck):
                first = check.kind.split(".")[0]
                if first not in CREDENTIALS and not _is_literal(check.kind):
                    yield entry.line, name, f"{check}: a caller has no {first!r} here, so this never holds"


def leaves(check: _checks.BaseCheck) -> Iterator[Any]:
    """Yield the checks that are not made of others."""
    if isinstance(check, _checks.AndCheck | _checks.OrCheck):
        for inner in check.rules:
            yield from leaves(inner)
    elif isinstance(check, _checks.NotCheck):
        yield from leaves(check.rule)
    else:
        yield check


def _pairs(file: Path) -> Iterator[tuple[str, int, str | list[Any]]]:
    with file.open("rb") as opened:
        data = opened.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise BadPolicy(file, 1, None, f"it is larger than {_LIMIT} bytes")
    try:
        root = yaml.compose(data, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadPolicy(file, mark.line + 1 if mark else 1, None, f"it is not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BadPolicy(file, 1, None, "it is not YAML") from error
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        raise BadPolicy(file, 1, None, 'it has to hold "rule": "check" pairs')
    seen: set[str] = set()
    for key, value in root.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise BadPolicy(file, line, None, "the name of a rule is text")
        if key.value in seen:
            raise BadPolicy(file, line, key.value, "it stands above already; keep one of them")
        seen.add(key.value)
        yield key.value, line, _text(file, line, key.value, value)


def _text(file: Path, line: int, name: str, node: yaml.Node) -> str | list[Any]:
    """Return the rule: text, or lists of texts in the oldest form (an "or" of "and"s)."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
        return str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null" and not node.value:
        # Nothing after the colon; taken for "" it would allow everybody.
        raise BadPolicy(file, line, name, 'it is empty; write "@" to allow it to everybody, "!" to nobody')
    if isinstance(node, yaml.SequenceNode):
        return [_text(file, line, name, inner) for inner in node.value]
    raise BadPolicy(file, line, name, 'a rule is text such as "role:admin"; put it in quotes')


def _entry(file: Path, line: int, name: str, text: str | list[Any]) -> Entry:
    for word in _words(text):
        if ":" not in word and word not in ("!", "@"):
            raise BadPolicy(file, line, name, f'{word!r} is no check; one is "role:NAME", "FIELD:VALUE", "@" or "!"')
    try:
        return Entry(text, line, _parsed(text))
    except ValueError as error:
        problem = f"{text!r} cannot be parsed: see to its and, or, not and parentheses"
        raise BadPolicy(file, line, name, problem) from error


def _parsed(text: str | list[Any]) -> _checks.BaseCheck:
    """Do as ``oslo_policy._parser.parse_rule``, which turns what it cannot parse into a denial and a line in the log.

    Raises:
        ValueError: It cannot be parsed.
    """
    if not text or isinstance(text, list):
        return _parser.parse_rule(text)
    state = _parser.ParseState()
    for token in _parser._parse_tokenize(text):
        state.shift(token)
    return state.result


def _words(text: str | list[Any]) -> list[str]:
    """Return the checks of a rule, without the words and signs between them."""
    if isinstance(text, list):
        return [word for inner in text for word in ([inner] if isinstance(inner, str) else _words(inner))]
    words = (word.lstrip("(").rstrip(")") for word in text.split())
    return [word for word in words if word and word.lower() not in ("and", "or", "not")]


def _problem(check: Any, known: Any, *, remote_checks: bool) -> str | None:
    if _is(check, "rule"):
        return None if check.match in known else f"it names the rule {check.match!r}, which is not there"
    if not isinstance(check, _checks.Check):
        return None
    if check.kind in REMOTE:
        if remote_checks:
            return None
        return f"{check.kind}: checks are off; section [policy], key 'remote_checks' switches them on"
    if not isinstance(check, _checks.GenericCheck | _checks.RoleCheck):
        return f"checks of the kind {check.kind!r} are not made here"
    try:
        check(defaultdict(lambda: "x"), dict(CREDENTIALS), None)  # type: ignore[arg-type]  # they need no enforcer
    except Exception as error:  # noqa: BLE001 - whatever it is, it would come again with each request
        return f"{check} cannot be evaluated: {error}"
    return None


def _require_no_cycle(file: Path, entries: Mapping[str, Entry], builtin: Mapping[str, Rule]) -> None:
    checks = {**defaults(builtin), **{name: entry.check for name, entry in entries.items()}}
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            rule = next(each for each in (name, *above) if each in entries)
            circle = " -> ".join((*above[above.index(name) :], name))
            raise BadPolicy(file, entries[rule].line, rule, f"it leads back to itself: {circle}")
        if name not in done:
            for check in leaves(checks[name]):
                if _is(check, "rule"):
                    walk(check.match, (*above, name))
            done.add(name)

    for name in checks:
        walk(name, ())


def _is(check: Any, kind: str) -> bool:
    return isinstance(check, _checks.Check) and check.kind == kind


def _is_literal(kind: str) -> bool:
    return kind[:1] in "'\"" or kind in ("True", "False", "None") or kind.isdigit()
