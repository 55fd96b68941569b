"""Whether an import that failed is tried again, and when: one answer for every way in."""

from __future__ import annotations

from headwater.errors import HeadwaterError, Unavailable
from headwater.fetching.fetcher import RemoteFailed
from headwater.images.catalogue.upload_records import UploadLost
from headwater.jobs.runner import ATTEMPTS, TryAgain
from headwater.stores.store import StoreUnavailable

_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


class Tries:
    """How often the data of others is asked for."""

    def __init__(self, retries: int) -> None:
        """Take how often a server that fails is asked again."""
        self._retries = retries

    def again(self, attempt: int, error: Exception) -> None:
        """Raise what lets the job run again; return when it is to be given up.

        Args:
            attempt: Which one failed, from 1 on.

        Raises:
            TryAgain: The server of others may give it later.
            Exception: ``error`` itself, which is ours: the job runs again as any other that failed.
        """
        if isinstance(error, RemoteFailed):
            self._if_it_may_pass(attempt, error)
        elif attempt < ATTEMPTS and (
            isinstance(error, Unavailable | UploadLost) or not isinstance(error, HeadwaterError)
        ):
            raise error

    def of_store(self, attempt: int, error: StoreUnavailable) -> None:
        """Do as ``again`` for a store that fails, which is waited for no longer than for a server of others."""
        self._if_it_may_pass(attempt, error)

    def _if_it_may_pass(self, attempt: int, error: RemoteFailed | StoreUnavailable) -> None:
        if attempt <= self._retries and error.may_pass:
            pause_s = min(_PAUSE_S * 2.0 ** (attempt - 1), _LONGEST_PAUSE_S)
            raise TryAgain(pause_s, str(error)) from error
