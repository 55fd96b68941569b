"""XML that others wrote, read so that no document ends the program, fills its memory, or makes it fetch anything.

A document type is refused where it begins, and with it every entity: libvirt writes none. One file may hold several
documents, one after the other, as a loop over ``virsh dumpxml`` prints them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from headwater.errors import Invalid

MOST_BYTES: Final = 64 << 20
_DEPTH: Final = 64
_ELEMENTS: Final = 2_000_000
_BLANK: Final = re.compile(rb"[ \t\r\n]*")
# Where one document has ended and the next one begins, with a declaration or without one.
_NEXT: Final = frozenset(
    {
        expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT],
        expat.errors.codes[expat.errors.XML_ERROR_MISPLACED_XML_PI],
    }
)


class NotXml(Invalid):
    """A file is no XML, or more than is read of it."""

    def __init__(self, problem: str, source: str, line: int | None = None) -> None:
        super().__init__(f"{source}{'' if line is None else f', line {line}'}: {problem}; nothing was changed")
        self.problem, self.source, self.line = problem, source, line


class _Refused(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Document:
    """One of the documents of a file; names are written ``{namespace}name``."""

    root: Element
    line: int  # where it begins, from 1


def documents(data: bytes, source: str) -> Iterator[Document]:
    """Yield the documents of a file, in order.

    Args:
        source: The file, as messages name it.

    Raises:
        NotXml: As it says.
    """
    if len(data) > MOST_BYTES:
        raise NotXml(f"it has more than {MOST_BYTES >> 20} MiB", source)
    view, at, line, elements = memoryview(data), 0, 1, 0
    while (begins := _end_of_blank(data, at)) < len(data):
        line += data.count(b"\n", at, begins)
        reader = _Reader(_ELEMENTS - elements)
        root, length = reader.read(view[begins:], source, line)
        yield Document(root, line)
        elements += reader.count
        at = begins + length
        line += data.count(b"\n", begins, at)


def _end_of_blank(data: bytes, start: int) -> int:
    matched = _BLANK.match(data, start)
    assert matched is not None
    return matched.end()


class _Reader:
    """Reads one document."""

    def __init__(self, most: int) -> None:
        self._builder = TreeBuilder()
        self._most, self.count, self._depth = most, 0, 0
        self._parser = parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._builder.data
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse

    def read(self, data: memoryview, source: str, line: int) -> tuple[Element, int]:
        """Return the first document, and how many bytes it has."""
        try:
            self._parser.Parse(data, True)
            length = len(data)
        except _Refused as error:
            raise NotXml(str(error), source, line + self._parser.CurrentLineNumber - 1) from error
        except expat.ExpatError as error:
            if error.code not in _NEXT or self._depth or not self.count:
                said = expat.ErrorString(error.code) or "it cannot be read"
                raise NotXml(f"it is no XML ({said})", source, line + error.lineno - 1) from error
            length = self._parser.ErrorByteIndex
        except (ValueError, LookupError) as error:  # a coding that Python does not know
            raise NotXml("it is no XML in a coding that is known here", source, line) from error
        return self._builder.close(), length

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self.count += 1
        if self._depth > _DEPTH:
            raise _Refused(f"it is nested more than {_DEPTH} deep")
        if self.count > self._most:
            raise _Refused(f"it has more than {_ELEMENTS} elements")
        self._builder.start(_spelt(name), {_spelt(key): value for key, value in attributes.items()})

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._builder.end(_spelt(name))

    def _refuse(self, *_: object) -> int:
        raise _Refused("it declares a document type, which libvirt never writes")


def _spelt(name: str) -> str:
    return f"{{{name}" if "}" in name else name
