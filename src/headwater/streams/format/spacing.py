"""How a JSON text is laid out, so that a document that others wrote is written back in the same bytes.

A feed under version control would otherwise differ in every line after one image was added to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_BEGINNING: Final = re.compile(rb'\s*\{(?:\n(?P<indent>[ \t]*))?"(?:[^"\\]|\\.)*"(?P<after>:[ ]?)')
_BETWEEN: Final = re.compile(rb'"(?P<between>, ?)\n?[ \t]*"')
_ESCAPED_BY_GO: Final = re.compile(rb"\\u00(?:3c|3e|26)")
_GO: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_LOOKED_AT: Final = 64 << 10  # bytes from the beginning
_LAID_OUT_BY_HAND: Final = 1 << 20  # bytes at most; programs lay out what is larger, each in one way


@dataclass(frozen=True, slots=True)
class Spacing:
    """What ``json.dumps`` is told; the defaults are ours."""

    indent: str | None = " "  # of one level; None: all in one line
    between: str = ","
    after_name: str = ": "
    end: str = "\n"
    is_ascii: bool = True
    is_go: bool = False  # < > & are escaped, as Go's encoder and so Juju does
    text: bytes | None = field(default=None, repr=False, compare=False)  # as it came, unless it is large

    @classmethod
    def of(cls, body: bytes) -> Spacing:
        """Return that of a document; of one that mixes several, what its beginning has."""
        head = body[:_LOOKED_AT]
        text = body if len(body) <= _LAID_OUT_BY_HAND else None
        beginning = _BEGINNING.match(head)
        if beginning is None:
            return cls(text=text)
        indent = beginning["indent"]
        between = _BETWEEN.search(head)
        end = body[len(body.rstrip(b"\n")) :]
        return cls(
            indent=None if indent is None else indent.decode("ascii"),
            between=between["between"].decode("ascii") if between else ",",
            after_name=beginning["after"].decode("ascii"),
            end=end[:2].decode("ascii"),
            is_ascii=body.isascii(),
            is_go=_ESCAPED_BY_GO.search(body) is not None,
            text=text,
        )

    def to_bytes(self, document: Mapping[str, Any]) -> bytes:
        """Return a document as text in this form, or as it came when it is the same."""
        if self.text is not None and _says(self.text, document):
            return self.text
        try:
            return self._text(document, is_ascii=self.is_ascii).encode()
        except UnicodeEncodeError:  # half of a pair of UTF-16, which only an escape can say
            return self._text(document, is_ascii=True).encode()

    def _text(self, document: Mapping[str, Any], *, is_ascii: bool) -> str:
        separators = (self.between, self.after_name)
        text = json.dumps(document, ensure_ascii=is_ascii, allow_nan=False, indent=self.indent, separators=separators)
        return (text.translate(_GO) if self.is_go else text) + self.end


def _says(text: bytes, document: Mapping[str, Any]) -> bool:
    """Return whether a text is this document, in the same order."""
    try:
        return json.dumps(json.loads(text)) == json.dumps(document)
    except ValueError:
        return False
