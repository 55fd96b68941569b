"""What rules of several consumers look for."""

from __future__ import annotations

from collections.abc import Iterator

from headwater.instances.lint.rules import Place
from headwater.instances.lint.subject import Subject


def files(subject: Subject) -> Iterator[Place]:
    """Find files that the guest is given."""
    if subject.instance.files:
        yield "files", {"paths": subject.paths}


def tokens(subject: Subject) -> Iterator[Place]:
    """Find a record whose guest has to use session tokens."""
    if subject.instance.tokens == "required":
        yield "tokens", {}
