"""One text, clear-signed: what is done for each, wherever it is signed."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pysequoia

from headwater.errors import Invalid
from headwater.streams import clearsign

_BLANKS: Final = (b" ", b"\t", b"\r")


class TextNotSignable(Invalid):
    """A clear signature would not cover this text as it is."""

    def __init__(self) -> None:
        super().__init__("the text has blanks or carriage returns at the end of a line, which a clear signature omits")


def clear_signed(text: bytes, signer: pysequoia.PySigner) -> bytes:
    """Return ``text`` clear-signed, with exactly one ``Hash:`` line.

    Raises:
        TextNotSignable: A line of ``text`` ends in a blank or carriage return.
        RuntimeError: The library does not sign, for the reason that it gives.
    """
    if any(blank in text and (blank + b"\n" in text or text.endswith(blank)) for blank in _BLANKS):
        raise TextNotSignable
    signed = pysequoia.sign(signer, text, mode=pysequoia.SignatureMode.CLEAR)
    # The frame is looked at without the text, which may have a hundred thousand lines.
    start, end = signed.index(b"\n\n") + 2, signed.rindex(clearsign.BEGIN_SIGNATURE)
    frame = clearsign.parse(signed[:start] + b"text\n" + signed[end:])
    return replace(frame, text=text).to_bytes()
