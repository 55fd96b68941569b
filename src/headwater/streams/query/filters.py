"""Filters: which rows are wanted.

    KEY=TEXT  KEY!=TEXT     the value is the text, or is not; a missing value is the empty text
    KEY~REGEX KEY!~REGEX    the expression is found in the value, or is not
    KEY<TEXT  KEY<=TEXT  KEY>TEXT  KEY>=TEXT    the value is before or after the text; a missing one is neither

The first four are those of ``sstream-query``. Order is that of versions: digits count as numbers, whatever stands
between them as text, so ``9.10`` is before ``10.04``, ``20240101`` before ``20240101.1``, and sizes are in order.

An expression is matched in time linear in the value, by an engine that never goes back: neither a careless
expression nor a feed made for it holds us up. So it has no back-references and no look-around.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from headwater.errors import SettingsError

_FILTER: Final = re.compile(r"\s*([\w|.-]+)\s*(!=|!~|<=|>=|=|~|<|>)\s*(.*?)\s*", re.DOTALL)
_PARTS: Final = re.compile(r"[0-9]+|[^0-9]+")
_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MOST_REMEMBERED: Final = 10_000  # values of one key; feeds have few, or a new one in each row


class FilterUnusable(SettingsError):
    """What was given as a filter is none."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"filter {text!r}: {problem}")
        self.text, self.problem = text, problem


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on the value of one key."""

    key: str
    test: Callable[[str], bool]
    takes_missing: bool  # whether a row without the key passes
    _known: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Filter:
        """Read ``KEY OPERATOR TEXT``; blanks around each are no part of it.

        Raises:
            FilterUnusable: It is no filter, or its expression is none.
        """
        found = _FILTER.fullmatch(text)
        if found is None:
            raise FilterUnusable(text, "write KEY=TEXT, or one of != ~ !~ < <= > >= between them")
        key, sign, wanted = found.groups()
        if sign in _COMPARE:
            compare, bound = _COMPARE[sign], version_order(wanted)
            return cls(key, lambda value: bool(compare(version_order(value), bound)), takes_missing=False)
        test = (lambda value: value == wanted) if sign.endswith("=") else _search(text, wanted)
        if sign.startswith("!"):
            return cls(key, lambda value: not test(value), takes_missing=not test(""))
        return cls(key, test, takes_missing=test(""))

    def passes(self, value: str | None) -> bool:
        """Return whether a row with this value of the key is wanted; ``None``: it has no such key."""
        if value is None:
            return self.takes_missing
        known = self._known.get(value)
        if known is None:
            known = self.test(value)
            if len(self._known) < _MOST_REMEMBERED:
                self._known[value] = known
        return known


def parse_filters(texts: Iterable[str]) -> tuple[Filter, ...]:
    """Read filters, all of which a row has to pass."""
    return tuple(Filter.parse(text) for text in texts)


def version_order(text: str) -> list[tuple[int, int, str]]:
    """Return what sorts texts as versions: numbers before texts where the one stands against the other."""
    return [
        (0, int(part), "") if part[0] in "0123456789" and len(part) <= _LONGEST_NUMBER else (1, 0, part)
        for part in _PARTS.findall(text)
    ]


_LONGEST_NUMBER: Final = 4000  # digits; Python reads no longer ones


def _search(text: str, expression: str) -> Callable[[str], bool]:
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # noqa: PLC0415 - most questions do without

    try:
        # The engine of Rust's regex crate, which is linear, is in no other library that Headwater needs anyway.
        validator = SchemaValidator(core_schema.str_schema(pattern=expression, regex_engine="rust-regex"))
    except SchemaError as error:
        problem = str(error).strip().rpartition("\n")[2].removeprefix("error: ").removeprefix("SchemaError: ")
        raise FilterUnusable(text, f"{expression!r} is no regular expression that is taken here: {problem}") from error
    return validator.isinstance_python
