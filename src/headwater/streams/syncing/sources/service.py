"""What callers do with sources; all of it is for those whom the policy lets manage them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from headwater.activity.journal import Entry, Journal
from headwater.clock import Clock, now
from headwater.fetching.fetcher import Fetcher
from headwater.identity.caller import Caller
from headwater.streams.syncing.sources.rows import SourceRows
from headwater.streams.syncing.sources.source import BadSource, Source, SourceIdle, SourceSettings

RULE: Final = "manage_stream_sources"


class Policy(Protocol):
    """Who may do what; see ``images.access.Access``."""

    def require_rule(self, rule: str, caller: Caller) -> None:
        """Raise ``Forbidden`` when the caller may not do what the rule guards."""


class Sources:
    """The use cases; safe to use from several threads."""

    def __init__(
        self, rows: SourceRows, policy: Policy, fetcher: Fetcher, journal: Journal, clock: Clock = now
    ) -> None:
        self._rows, self._policy, self._fetcher, self._journal, self._clock = rows, policy, fetcher, journal, clock

    def all(self, caller: Caller) -> list[Source]:
        """Return all sources; raise ``Forbidden`` when the caller may not see them."""
        self._policy.require_rule(RULE, caller)
        return self._rows.all()

    def get(self, caller: Caller, name: str) -> Source:
        """Return one source or raise ``SourceNotFound``."""
        self._policy.require_rule(RULE, caller)
        return self._rows.get(name)

    def add(self, caller: Caller, document: object) -> Source:
        """Enter a source; it runs at once, unless it is not to run by itself.

        Raises:
            BadSource, UrlRefused: It cannot be so, or its URL may not be fetched.
            SourceExists: Another one has its name.
        """
        with self._told(caller, "stream_source.create", None) as entry:
            settings = SourceSettings.of(document)
            entry.named["source"] = settings.name
            self._require_usable(settings)
            return self._rows.add(settings, caller.project_id, self._clock())

    def change(self, caller: Caller, name: str, patch: object) -> Source:
        """Change a source by a merge patch, and return it.

        Raises:
            SourceNotFound, SourceExists: There is none, or another has the new name.
            BadSource, UrlRefused: It cannot be so, or its URL may not be fetched.
        """
        with self._told(caller, "stream_source.update", name) as entry:
            wanted = self._rows.get(name).settings.merged(patch)
            self._require_usable(wanted)
            before, after = self._rows.change(name, lambda settings: settings.merged(patch), self._clock())
            entry.named["changed"] = [
                each
                for each in SourceSettings.model_fields
                if getattr(before.settings, each) != getattr(after.settings, each)
            ]
            return after

    def remove(self, caller: Caller, name: str) -> None:
        """Forget a source and end its run; its images stay. Raise ``SourceNotFound`` when there is none."""
        with self._told(caller, "stream_source.delete", name):
            self._rows.remove(name, _who(caller), self._clock())

    def run(self, caller: Caller, name: str) -> Source:
        """Let a source run as soon as a process has time for it; raise ``SourceNotFound`` when there is none."""
        with self._told(caller, "stream_source.run", name):
            return self._rows.run(name, self._clock())

    def cancel(self, caller: Caller, name: str) -> Source:
        """Let the run of a source end.

        Raises:
            SourceNotFound, SourceIdle: There is none, or it has no run.
        """
        with self._told(caller, "stream_source.cancel", name):
            if not self._rows.cancel(name, _who(caller), self._clock()):
                raise SourceIdle(name)
            return self._rows.get(name)

    @contextmanager
    def _told(self, caller: Caller, action: str, name: str | None) -> Iterator[Entry]:
        """Tell the journal of what is done, also of what is refused."""
        with self._journal.entry(caller, action) as entry:
            if name is not None:
                entry.named["source"] = name
            self._policy.require_rule(RULE, caller)
            yield entry

    def _require_usable(self, settings: SourceSettings) -> None:
        self._fetcher.check(settings.url)
        keyring = settings.keyring_bytes()
        if keyring is not None:
            from headwater.streams.signing.certificates import (  # noqa: PLC0415 - OpenPGP is long to load
                CertificatesUnreadable,
                certificates_in,
            )

            try:
                certificates_in(keyring, "of the source")
            except CertificatesUnreadable as error:
                raise BadSource(str(error)) from error


def _who(caller: Caller) -> str:
    return (f"user {caller.user_id}" if caller.user_id is not None else "a caller")[:255]
