"""Keys that stand twice in an object of JSON: readers disagree on which of the two counts, and say nothing."""

from __future__ import annotations

import json

_SHOWN = 64  # characters of a key


class _Twice(Exception):
    def __init__(self, key: str) -> None:
        self.key = key


def twice(text: str | bytes | bytearray) -> str | None:
    """Return what is wrong with a JSON text in which an object has a key twice, and ``None`` when none has.

    What is no JSON, or too deep, has to be refused by who decodes it.
    """
    if text.count(":") < 2 if isinstance(text, str) else text.count(b":") < 2:
        return None
    try:
        json.loads(text, object_pairs_hook=_once, parse_int=len, parse_float=len)
    except _Twice as found:
        return f"an object has the key {found.key[:_SHOWN]!r} twice; give it once"
    except (ValueError, RecursionError):
        pass
    return None


def _once(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) == len(pairs):
        return
    seen = set[str]()
    for name, _ in pairs:
        if name in seen:
            raise _Twice(name)
        seen.add(name)
