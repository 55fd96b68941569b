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

Whether the signature is good is decided in ``verifying.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headwater.errors import WrongContent

BEGIN_MESSAGE: Final = b"-----BEGIN PGP SIGNED MESSAGE-----"
BEGIN_SIGNATURE: Final = b"-----BEGIN PGP SIGNATURE-----"
END_SIGNATURE: Final = b"-----END PGP SIGNATURE-----"
HASHES: Final = frozenset({"SHA224", "SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-512"})

_BLANK: Final = b" \t\r"
_BLANKS: Final = (b" ", b"\t", b"\r")
_BLANKS_AT_END: Final = (b" \n", b"\t\n", b"\r\n")
_DASH: Final = re.compile(rb"^-", re.MULTILINE)


class NotClearSigned(WrongContent):
    """The bytes are not one clear-signed text that every simplestreams reader takes."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"not a clear-signed document: {problem}; its publisher has to sign it again, whole")
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
    signed = _without_blanks(signed)
    if not _is_line(signed, BEGIN_MESSAGE, 0):
        first = BEGIN_MESSAGE.decode()
        raise NotClearSigned(f"it does not begin with the line {first!r}")
    header = len(BEGIN_MESSAGE) + 1
    end_of_header = _line(signed, b"", header, "there is no empty line after the header")
    hashes = _hashes(signed[header:end_of_header].split(b"\n")[:-1])
    start = end_of_header + 1
    end = _line(signed, BEGIN_SIGNATURE, start, "no signature follows the text")
    end_of_signature = _line(signed, END_SIGNATURE, end, "the signature has no end") + len(END_SIGNATURE)
    if end == start:
        raise NotClearSigned("there is no text")
    text = signed[start : end - 1]
    if text.startswith(b"-") or b"\n-" in text:
        text = _unescaped(text, signed.count(b"\n", 0, start) + 1)
    if _is_line(text, BEGIN_MESSAGE, 0):
        raise NotClearSigned("it was signed twice, one signature around the other; sign the text itself")
    return ClearSigned(text, signed[end:end_of_signature] + b"\n", hashes)


def _without_blanks(signed: bytes) -> bytes:
    """Return the text without blanks at the ends of its lines; most have none, and are not taken apart for that.

    As a list of lines a document of 42 MB would take three times its size.
    """
    if not any(blank in signed for blank in _BLANKS_AT_END) and not signed.endswith(_BLANKS):
        return signed
    return b"\n".join(line.rstrip(_BLANK) for line in signed.split(b"\n"))


def _line(signed: bytes, wanted: bytes, start: int, problem: str) -> int:
    """Return where the first line that is ``wanted`` begins, at or after the line that begins at ``start``."""
    at = start - 1  # where the end of the line before is
    while (at := signed.find(b"\n" + wanted, at)) >= 0:
        at += 1
        if _is_line(signed, wanted, at):
            return at
    raise NotClearSigned(problem)


def _is_line(text: bytes, wanted: bytes, at: int) -> bool:
    """Return whether the line that begins at ``at`` is ``wanted``."""
    end = at + len(wanted)
    return text.startswith(wanted, at) and text[end : end + 1] in (b"", b"\n")


def _hashes(header: Sequence[bytes]) -> tuple[str, ...]:
    if len(header) != 1 or not header[0].startswith(b"Hash:"):
        raise NotClearSigned("the header must be exactly one line, 'Hash: NAME'")
    hashes = tuple(name.strip() for name in header[0].removeprefix(b"Hash:").decode("ascii", "replace").split(","))
    unknown = [name for name in hashes if name not in HASHES]
    if unknown:
        raise NotClearSigned(f"the header names the hash {unknown[0]!r}; taken are {', '.join(sorted(HASHES))}")
    return hashes


def _unescaped(text: bytes, first_number: int) -> bytes:
    lines = []
    for number, line in enumerate(text.split(b"\n"), first_number):
        if line.startswith(b"- ") or line == b"-":  # "- " before an empty line lost its blank above
            lines.append(line[2:])
        elif line.startswith(b"-"):
            raise NotClearSigned(f"line {number} begins with '-' and is not escaped as '- -'")
        else:
            lines.append(line)
    return b"\n".join(lines)
