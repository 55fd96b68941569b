"""The moment that an answer has to be as new as."""

from __future__ import annotations

from collections.abc import Callable

from headwater.errors import Unavailable


class Moment:
    """Some moment after questions have come: how many changes the instances had seen then; asked when it is needed.

    Not for several threads at once.
    """

    def __init__(self, ask: Callable[[], int]) -> None:
        self._ask = ask
        self._failed: Unavailable | None = None
        self._revision: int | None = None

    def revision(self) -> int:
        """Return the revision of the registry.

        Raises:
            Unavailable: The catalogue did not answer the first time.
        """
        if self._failed is not None:
            raise self._failed
        if self._revision is None:
            try:
                self._revision = self._ask()
            except Unavailable as error:
                self._failed = error
                raise
        return self._revision
