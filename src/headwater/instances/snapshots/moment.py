"""The moment that an answer has to be as new as."""

from __future__ import annotations

from collections.abc import Collection

from headwater.errors import Unavailable
from headwater.instances.registry.editions import Edition, Editions


class Moment:
    """Some moment after questions have come: how many changes the instances had seen then, and who had which address.

    Both are asked when they are needed first, once. Not for several threads at once.
    """

    def __init__(self, current: Editions, addresses: Collection[str]) -> None:
        """Begin with nothing asked; whoever has one of ``addresses`` is asked for with the first of them."""
        self._current, self._addresses = current, addresses
        self._failed: Unavailable | None = None
        self._revision: int | None = None
        self._editions: dict[str, Edition | None] = {}

    def revision(self) -> int:
        """Return the revision of the registry.

        Raises:
            Unavailable: The catalogue did not answer the first time.
        """
        if self._failed is not None:
            raise self._failed
        if self._revision is None:
            try:
                self._revision = self._current.revision()
            except Unavailable as error:
                self._failed = error
                raise
        return self._revision

    def edition_at(self, address: str) -> Edition | None:
        """Return which instance has an address, in which state.

        Raises:
            Unavailable: The catalogue does not answer.
        """
        if address not in self._editions:
            asked = {*self._addresses, address}
            self._editions = dict.fromkeys(asked) | self._current.at(asked)
        return self._editions[address]
