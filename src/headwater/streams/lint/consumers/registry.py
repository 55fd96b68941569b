"""All consumers, in the order in which verdicts are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headwater.errors import SettingsError
from headwater.streams.lint.consumers import incus, juju, lxd, maas, multipass, sstream
from headwater.streams.lint.consumers.consumer import Consumer

CONSUMERS: Final[tuple[Consumer, ...]] = (
    *juju.CONSUMERS,
    *lxd.CONSUMERS,
    *incus.CONSUMERS,
    *maas.CONSUMERS,
    *sstream.CONSUMERS,
    *multipass.CONSUMERS,
)


class UnknownConsumer(SettingsError):
    """No consumer of this name is known."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is no consumer; known are {', '.join(each.name for each in CONSUMERS)}")
        self.name = name


def named(names: Sequence[str]) -> tuple[Consumer, ...]:
    """Return the consumers of these names; ``juju`` and ``incus`` stand for all their releases; none names all.

    Raises:
        UnknownConsumer: There is none of a name.
    """
    chosen = []
    for name in names:
        found = [each for each in CONSUMERS if name in (each.name, each.name.partition("-")[0])]
        if not found:
            raise UnknownConsumer(name)
        chosen += found
    return tuple(each for each in CONSUMERS if not names or each in chosen)
