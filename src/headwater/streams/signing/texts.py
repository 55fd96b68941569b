"""One text, clear-signed: what is done for each, wherever it is signed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Final

import pysequoia

from headwater.errors import Invalid
from headwater.streams.format.json_objects import MalformedDocument, parse_json, to_bytes
from headwater.streams.signing import clearsign

LONGEST_LINE: Final = 19_000  # bytes; gpg and gpgv cut a clear-signed line after 19 995, and then call it bad
_BLANKS: Final = (b" ", b"\t", b"\r")
_NOT_ASCII: Final = re.compile("[^\\x00-\\x7f]")


class TextNotSignable(Invalid):
    """A clear signature would not cover this text as it is."""

    def __init__(self) -> None:
        super().__init__("the text has blanks or carriage returns at the end of a line, which a clear signature omits")


def signable(document: bytes) -> bytes:
    """Return a JSON document as a text that says the same and that every reader takes once it is clear-signed.

    Blanks at the ends of lines are outside of its strings and go. What is not ASCII is written with ``\\u``, as the
    simplestreams tools take U+2028 and its like for ends of lines. A document in lines that gpg would cut is laid out
    anew.

    Raises:
        MalformedDocument: It is not JSON, or one of its strings is longer than a line may be.
    """
    text = b"\n".join(line.rstrip(b" \t\r") for line in document.split(b"\n"))
    if not text.isascii():
        parse_json(text)  # so that what is not ASCII stands in strings
        text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text.decode()).encode("ascii")
    if _longest_line(text) > LONGEST_LINE:
        text = to_bytes(parse_json(text))
        if _longest_line(text) > LONGEST_LINE:
            raise MalformedDocument("top", f"one of its strings is longer than {LONGEST_LINE} bytes, which gpg cuts")
    return text


def _longest_line(text: bytes) -> int:
    return max(map(len, text.split(b"\n")))


def require_signable(text: bytes) -> None:
    """Refuse a text that a clear signature would not cover as it is.

    Raises:
        TextNotSignable: A line of ``text`` ends in a blank or carriage return.
    """
    if any(blank in text and (blank + b"\n" in text or text.endswith(blank)) for blank in _BLANKS):
        raise TextNotSignable


def clear_signed(text: bytes, signer: pysequoia.PySigner) -> bytes:
    """Return ``text`` clear-signed, with exactly one ``Hash:`` line.

    Raises:
        TextNotSignable: A line of ``text`` ends in a blank or carriage return.
        RuntimeError: The library does not sign, for the reason that it gives.
    """
    require_signable(text)
    signed = pysequoia.sign(signer, text, mode=pysequoia.SignatureMode.CLEAR)
    # The frame is looked at without the text, which may have a hundred thousand lines.
    start, end = signed.index(b"\n\n") + 2, signed.rindex(clearsign.BEGIN_SIGNATURE)
    frame = clearsign.parse(signed[:start] + b"text\n" + signed[end:])
    return replace(frame, text=text).to_bytes()
