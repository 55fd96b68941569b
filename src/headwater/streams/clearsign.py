"""The clear-signed text of OpenPGP, as simplestreams readers need it.

    -----BEGIN PGP SIGNED MESSAGE-----
    Hash: SHA512
                                            one empty line
    the text; a line that begins with "-" is written with "- " before it
    -----BEGIN PGP SIGNATURE-----
    (armor)
    -----END PGP SIGNATURE-----

The simplestreams tools take exactly one header line, which must be ``Hash:``, and nothing before the first line;
Juju's newer library takes known hash names only. What follows the signature is ignored by all of them. We read what
all of them read and refuse the rest. The line end before the signature belongs to the frame, not to the text; spaces
and tabs at the ends of lines are no part of what is signed.

Whether the signature is good is decided in ``signing.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headwater.errors import Invalid

BEGIN_MESSAGE: Final = b"-----BEGIN PGP SIGNED MESSAGE-----"
BEGIN_SIGNATURE: Final = b"-----BEGIN PGP SIGNATURE-----"
END_SIGNATURE: Final = b"-----END PGP SIGNATURE-----"
HASHES: Final = frozenset({"SHA224", "SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-512"})

_BLANK: Final = b" \t\r"
_DASH: Final = re.compile(rb"^-", re.MULTILINE)


class NotClearSigned(Invalid):
    """The bytes are not one clear-signed text that every simplestreams reader takes."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"not a clear-signed document: {problem}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class ClearSigned:
    """A clear-signed text in its parts."""

    text: bytes  # lines end in LF, blanks at their ends are gone; the last line has no end unless it is empty
    signature: bytes  # the armor, from its BEGIN line to its END line, one LF after each
    hashes: tuple[str, ...]  # as the header names them

    def to_bytes(self) -> bytes:
        """Return the whole in its plainest form: LF line ends, one header line, dashes escaped."""
        header = b"Hash: " + ",".join(self.hashes).encode("ascii")
        text = self.text
        if text.startswith(b"-") or b"\n-" in text:
            text = _DASH.sub(b"- -", text)
        return b"\n".join([BEGIN_MESSAGE, header, b"", text, self.signature])


def parse(signed: bytes) -> ClearSigned:
    """Take a clear-signed text apart; nothing is verified.

    Raises:
        NotClearSigned: It breaks a rule of the format; the message says which one and where.
    """
    lines = [line.rstrip(_BLANK) for line in signed.split(b"\n")]
    if lines[0] != BEGIN_MESSAGE:
        first = BEGIN_MESSAGE.decode()
        raise NotClearSigned(f"it does not begin with the line {first!r}")
    end_of_header = _index(lines, b"", 1, "there is no empty line after the header")
    hashes = _hashes(lines[1:end_of_header])
    end_of_text = _index(lines, BEGIN_SIGNATURE, end_of_header, "no signature follows the text")
    end_of_signature = _index(lines, END_SIGNATURE, end_of_text, "the signature has no end")
    if end_of_text == end_of_header + 1:
        raise NotClearSigned("there is no text")
    text = _unescaped(lines[end_of_header + 1 : end_of_text], end_of_header + 2)
    armor = lines[end_of_text : end_of_signature + 1]
    return ClearSigned(b"\n".join(text), b"\n".join(armor) + b"\n", hashes)


def _index(lines: Sequence[bytes], wanted: bytes, start: int, problem: str) -> int:
    for position in range(start, len(lines)):
        if lines[position] == wanted:
            return position
    raise NotClearSigned(problem)


def _hashes(header: Sequence[bytes]) -> tuple[str, ...]:
    if len(header) != 1 or not header[0].startswith(b"Hash:"):
        raise NotClearSigned("the header must be exactly one line, 'Hash: NAME'")
    hashes = tuple(name.strip() for name in header[0].removeprefix(b"Hash:").decode("ascii", "replace").split(","))
    unknown = [name for name in hashes if name not in HASHES]
    if unknown:
        raise NotClearSigned(f"the header names the hash {unknown[0]!r}; taken are {', '.join(sorted(HASHES))}")
    return hashes


def _unescaped(lines: Sequence[bytes], first_number: int) -> list[bytes]:
    text = []
    for number, line in enumerate(lines, first_number):
        if line.startswith(b"- ") or line == b"-":  # "- " before an empty line lost its blank above
            text.append(line[2:])
        elif line.startswith(b"-"):
            raise NotClearSigned(f"line {number} begins with '-' and is not escaped as '- -'")
        else:
            text.append(line)
    return text
