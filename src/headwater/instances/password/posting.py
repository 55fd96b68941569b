"""The password of a guest: it makes one itself, and posts it so that only the owner's key opens it.

Nobody here can read it. It is kept once: a guest that boots again, or one that is broken into, cannot put another in
its place; the owner takes it away first. Source: specification section 6.
"""

from __future__ import annotations

from typing import Protocol

from headwater.errors import Conflict, Invalid

LIMIT = 1020  # bytes, which are characters: Nova keeps it in four columns of 255

_ENDS = str.maketrans("", "", "\t\n\r")  # what may stand between printable characters


class PasswordInvalid(Invalid):
    """What came cannot be kept."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The password {problem}: send what the machine's first public key has encrypted, as base64.")
        self.problem = problem


class PasswordSet(Conflict):
    """There is another one."""

    def __init__(self) -> None:
        super().__init__("The machine has a password; its owner removes it before the machine can set another.")


class Posted(Protocol):
    """Where passwords are kept."""

    def get(self, instance_id: str) -> str | None: ...

    def put(self, instance_id: str, value: str) -> None: ...


def readable(body: bytes) -> str:
    """Return what a guest has posted.

    Raises:
        PasswordInvalid: It is empty (a proxy has lost it), too long, or no text of ASCII. It need not be base64.
    """
    if not body:
        raise PasswordInvalid("is empty")
    if len(body) > LIMIT:
        raise PasswordInvalid(f"has more than {LIMIT} bytes")
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        raise PasswordInvalid("has bytes that are not ASCII") from None
    if not text.translate(_ENDS).isprintable():
        raise PasswordInvalid("has control characters")
    return text
