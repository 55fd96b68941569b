"""A feed copied from one tree into another, whole or what passes filters, again and again.

The order makes the target whole for readers at every moment, wherever a run is killed:

    1  the target is locked, its documents are read, those of the source are read and verified
    2  what will be fetched is written into the state (``state.py``)
    3  files are fetched, each verified before it is visible under its name
    4  what nobody will name any more is written into the state, with the time
    5  documents are written: products, then indexes
    6  files that nobody has named for the time of grace are removed

A version of which a file did not come is not named, and the last good one of its product stays. Documents that others
signed are copied as they are or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headwater.clock import Clock, now
from headwater.errors import Conflict, Invalid, SettingsError
from headwater.streams.format.json_objects import MalformedDocument, as_object, parse_json
from headwater.streams.format.layout import SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.mirroring.documents.choosing import Chosen, choose, may_name_files
from headwater.streams.mirroring.documents.outputs import Rewriter, Written, copies
from headwater.streams.mirroring.held import Held, held_in, newest_form
from headwater.streams.mirroring.publishing import (
    Output,
    require_no_older_signatures,
    signed_outputs,
    signed_paths,
    stale_signatures,
    write,
)
from headwater.streams.mirroring.report import Report
from headwater.streams.mirroring.source import Kind, SourceFeed, read_source
from headwater.streams.mirroring.state import State, remembered
from headwater.streams.mirroring.transfer import Shown, Transfer
from headwater.streams.mirroring.wanted import Wanted
from headwater.streams.publishing.done import Done
from headwater.streams.signing.reading import is_there
from headwater.streams.signing.replay import Seen
from headwater.streams.trees.tree import Tree

if TYPE_CHECKING:
    from pysequoia import Cert

    from headwater.streams.signing.feeds.signers import SignsDocuments

PURPOSE: Final = "headwater streams mirror"
_FIXED: Final = (
    "the documents stay as they were: they are signed, and name files that did not come. With filters, --max or --key "
    "documents are written that do without"
)


class SameTree(SettingsError):
    """A tree cannot be a mirror of itself."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place}: source and target are the same; name another target")
        self.place = place


class NothingChosen(Invalid):
    """No item passes the filters: they may be mistaken, so the target stays as it is."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place}: no item of the feed passes the filters; the target is left as it is")
        self.place = place


class OtherFeed(Conflict):
    """What is in the target is no mirror of this source, and would be lost."""

    def __init__(self, place: str, source: str, of: str | None) -> None:
        what = f"a mirror of {of}" if of else "a feed that no mirror wrote"
        super().__init__(f"{place} holds {what}; name another target, or replace it by that of {source} (--replace)")
        self.place, self.source, self.of = place, source, of


@contextmanager
def _silent(_what: str, _total: int) -> Iterator[Callable[[int], None]]:
    yield lambda _done: None


def mirror(
    source: Tree,
    target: Tree,
    wanted: Wanted | None = None,
    *,
    trusted: Sequence[Cert] | None = None,
    verifies: bool = True,
    signer: SignsDocuments | None = None,
    shown: Shown = _silent,
    clock: Clock = now,
    sleep: Callable[[float], object] = time.sleep,
) -> Report:
    """Make ``target`` a mirror of the feed in ``source``.

    Args:
        trusted: Keys of which one has to have signed each document of the source.
        verifies: Whether a source that is signed is refused without keys.
        signer: Signs the documents of the target.
        shown: Shows how many bytes of how many are there.

    Raises:
        SameTree, NothingChosen, OtherFeed, OlderThanSeen, FeedSigned: As they say.
        TreeInUse: Another mirror writes the target.
        PathChanged: Somebody else wrote its index meanwhile.
        TreeCannot, TreeRefused, TreeUnavailable: The target takes nothing, or the source gives no documents.
        Others: As ``source.read_source``.
    """
    if source.place == target.place:
        raise SameTree(source.place)
    wanted = wanted or Wanted()
    report = Report(source.place, target.place, dry_run=wanted.dry_run)
    files = Transfer(source, target, wanted, report, shown=shown, clock=clock, sleep=sleep)
    run = _Run(source=source, target=target, wanted=wanted, signer=signer, report=report, files=files, clock=clock)
    with nullcontext() if wanted.dry_run else _writing(target, public=wanted.public):
        return run.done(trusted, verifies=verifies)


@contextmanager
def _writing(target: Tree, *, public: bool) -> Iterator[None]:
    target.prepare(public=public)
    with target.exclusive(PURPOSE):
        yield


@dataclass(kw_only=True)
class _Run:
    source: Tree
    target: Tree
    wanted: Wanted
    signer: SignsDocuments | None
    report: Report
    files: Transfer
    clock: Clock

    @property
    def rewrites(self) -> bool:
        """Whether documents are written that are no copies."""
        wanted = self.wanted
        return wanted.chooses or wanted.keep is not None or self.signer is not None

    def done(self, trusted: Sequence[Cert] | None, *, verifies: bool) -> Report:
        state = self._state()
        held = held_in(self.target)  # before the source is in memory: each may have a document of 42 MB
        feed = read_source(
            self.source,
            trusted,
            verifies=verifies,
            start=self.wanted.start,
            unsigned_only=self.rewrites,
        )
        self.report.warnings += feed.warnings
        chosen = self._chosen(state, feed)
        require_no_older_signatures(self.target, held.tags, self._paths(feed))
        if self.wanted.chooses and all(each.is_empty for each in chosen.values()):
            raise NothingChosen(self.source.place)
        is_fixed = not self.rewrites and feed.is_signed
        documents = {path for each in feed.documents.values() for path in (each.path, *each.copies)}
        self.files.bring(state, held, chosen.values(), documents, all_or_nothing=is_fixed)
        if is_fixed and self.report.bad:
            self.report.published = False
            self.report.warnings.append(_FIXED)
        else:
            self._publish(state, held, feed, chosen)
        self.report.bad.sort(key=lambda each: each.file.path)
        return self.report

    def _state(self) -> State:
        state = State.load(self.target)
        place = remembered(self.source.place)
        is_ours = state is not None and state.source in (None, place, self.source.place)  # as it was written before
        if not is_ours and not self.wanted.replace:
            starts = (*UNSIGNED_INDEXES, *SIGNED_INDEXES)
            if state is not None or any(is_there(self.target, path) for path in starts):
                raise OtherFeed(self.target.place, self.source.place, state.source if state else None)
        state = state or State()
        state.source = place
        return state

    def _paths(self, feed: SourceFeed) -> set[str]:
        """Return the documents that are about to be written, of those where readers begin."""
        if not self.rewrites:
            return {path for each in feed.documents.values() for path in each.copies}
        signed = (each for path in feed.starts for each in signed_paths(path)) if self.signer else ()
        return {*feed.starts, *signed}

    def _chosen(self, state: State, feed: SourceFeed) -> dict[str, Chosen]:
        """Return what is wanted of each products document; refuse one that is older than it was before."""
        place, wanted = feed.place, self.wanted
        seen = Seen({} if wanted.allow_older else {(place, path): at for path, at in state.seen.items()})
        chosen = {}
        for path, document in feed.documents.items():
            if document.kind not in (Kind.PRODUCTS, Kind.INDEX):
                continue
            try:
                said = as_object(parse_json(document.text), "top")
                updated = said.get("updated")
                if document.kind is Kind.PRODUCTS:
                    names_files = may_name_files(document.text)
                    chosen[path] = choose(said, place, wanted.filters, wanted.most_versions, names_files=names_files)
            except MalformedDocument as error:
                raise document.named(error) from error
            if not isinstance(updated, str):
                updated = None
            seen.see(place, path, updated)
            if updated is not None:
                state.seen[path] = updated
        return chosen

    def _publish(self, state: State, held: Held, feed: SourceFeed, chosen: Mapping[str, Chosen]) -> None:
        target, report, dry_run = self.target, self.report, self.wanted.dry_run
        written = self._written(feed, chosen)
        report.left_out = written.left_out
        if not written.documents:
            report.published = False
            return
        outputs = list(self._outputs(written))
        paths = {each.path for each in outputs}
        named, stale = written.named | paths, stale_signatures(held.tags, outputs)
        leaving = [path for path in (*held.files, *held.tags) if path not in named and path not in stale]
        for path in leaving:
            state.unnamed.pop(path, None)  # it is named until now
        state.note(leaving, self.clock)
        if not dry_run:
            state.save(target)
        report.documents = write(target, outputs, held.tags, dry_run=dry_run)
        for path in stale:
            report.documents[path] = Done.REMOVED
            if not dry_run:
                target.delete(path)
        state.unnamed = {path: at for path, at in state.unnamed.items() if path not in named and path not in stale}
        self._remove_due(state)

    def _written(self, feed: SourceFeed, chosen: Mapping[str, Chosen]) -> Written:
        bad = {each.file.key for each in self.report.bad}
        if not self.rewrites and not bad:
            return copies(feed, chosen)
        is_there = (lambda _key: True) if self.wanted.metadata_only else self.files.present.__contains__
        rewriter = Rewriter(self.wanted, chosen, bad, lambda path: newest_form(self.target, path), is_there)
        return rewriter.written(feed, as_they_are=not self.rewrites)

    def _outputs(self, written: Written) -> Iterator[Output]:
        for path, (kind, forms) in written.documents.items():
            if self.signer is None:
                yield from (Output(each, body) for each, body in forms.items())
            else:
                yield from signed_outputs(self.target, path, forms[path], kind, self.signer)

    def _remove_due(self, state: State) -> None:
        report, dry_run = self.report, self.wanted.dry_run
        for path in state.due(self.wanted.grace_s, self.clock):
            if is_there(self.target, path):  # what never came is noted too
                report.removed.append(path)
            if not dry_run:
                self.target.delete(path)
            del state.unnamed[path]
        report.waiting = len(state.unnamed)
        if not dry_run:
            state.save(self.target)
