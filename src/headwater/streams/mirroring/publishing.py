"""The documents of a mirror written so that it is whole for readers at every moment.

Products come first and indexes last, each signed form right after its document, and each index under the condition that
it is still the one that was there at the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headwater.streams.format.documents import Index, signed_name
from headwater.streams.format.layout import SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.mirroring.names import unsigned_name
from headwater.streams.mirroring.source import Kind
from headwater.streams.publishing.done import Done
from headwater.streams.signing.texts import signable
from headwater.streams.trees.tree import ABSENT, PathNotFound, Tree
from headwater.streams.writing.feed import FeedSigned

if TYPE_CHECKING:
    from headwater.streams.signing.feeds.signers import SignsDocuments

_INDEXES = frozenset({*UNSIGNED_INDEXES, *SIGNED_INDEXES})


@dataclass(frozen=True, slots=True)
class Output:
    """One document as it is to be written, with its path."""

    path: str
    body: bytes
    is_right: bool = False  # whether what is there says the same, and is signed by whom it should


def require_no_older_signatures(target: Tree, held: Mapping[str, str], paths: set[str]) -> None:
    """Refuse to write beside a signed index that readers prefer, and that would stay as it is.

    Args:
        paths: What is about to be written.

    Raises:
        FeedSigned: There is one.
    """
    for path in (*SIGNED_INDEXES, *(f"{path}.gpg" for path in UNSIGNED_INDEXES)):
        if path in held and path not in paths:
            raise FeedSigned(target.place, path)


def signed_paths(path: str) -> tuple[str, str]:
    """Return where the signed forms of a document lie: the detached signature, and the clear-signed text."""
    return f"{path}.gpg", signed_name(path)


def signed_outputs(target: Tree, path: str, body: bytes, kind: Kind, signer: SignsDocuments) -> Iterator[Output]:
    """Yield the forms of one document; what the key signed already, and says the same, stays.

    Raises:
        NoSignedName: A signed index could not name it.
    """
    if signed_name(path) == path:
        from headwater.streams.signing.feeds.sign import NoSignedName  # noqa: PLC0415 - OpenPGP is long to load

        raise NoSignedName(target.place, path)
    yield Output(path, body)
    text = signable(Index.from_bytes(body).with_signed_paths().to_bytes() if kind is Kind.INDEX else body)
    beside, inline = signed_paths(path)
    detached = _found(target, beside)
    is_right = detached is not None and _signed(signer, detached, body) == body
    yield Output(beside, b"" if is_right else signer.sign_detached(body), is_right)
    there = _found(target, inline)
    is_right = there is not None and _signed(signer, there) == text.rstrip(b"\n")
    yield Output(inline, b"" if is_right else signer.sign(text), is_right)


def write(target: Tree, outputs: Sequence[Output], held: Mapping[str, str], *, dry_run: bool) -> dict[str, Done]:
    """Write what is not there yet, in this order, and return what was done with each.

    Raises:
        PathChanged: Somebody else wrote an index meanwhile.
        TreeRefused, TreeUnavailable: As they say.
    """
    done: dict[str, Done] = {}
    for each in outputs:
        there = None if each.is_right else _found(target, each.path)
        if each.is_right or there == each.body:
            done[each.path] = Done.SAME
            continue
        done[each.path] = Done.ADDED if there is None else Done.CHANGED
        if not dry_run:
            expect = held.get(each.path, ABSENT) if each.path in _INDEXES else None
            target.write(each.path, each.body, expect=expect)
    return done


def stale_signatures(held: Mapping[str, str], outputs: Sequence[Output]) -> list[str]:
    """Return the signatures that lie beside documents that are written, and are none of theirs."""
    paths = {each.path for each in outputs}
    beside = (path for path in held if path not in paths and path.endswith((".gpg", ".sjson")))
    return sorted(path for path in beside if unsigned_name(path.removesuffix(".gpg")) in paths)


def _signed(signer: SignsDocuments, signed: bytes, document: bytes | None = None) -> bytes | None:
    """Return what a key has signed; ``None``: it did not."""
    from headwater.streams.signing.clearsign import NotClearSigned  # noqa: PLC0415 - OpenPGP is long to load
    from headwater.streams.signing.verifying import BadSignature, verified, verified_detached  # noqa: PLC0415 - as above

    keys, now = [signer.certificate], datetime.now(UTC)
    try:
        found = verified(signed, keys, now) if document is None else verified_detached(document, signed, keys, now)
    except (BadSignature, NotClearSigned):
        return None
    if found.signatures != 1:
        return None
    return found.text.rstrip(b"\n") if document is None else found.text


def _found(tree: Tree, path: str) -> bytes | None:
    try:
        return tree.read(path).body
    except PathNotFound:
        return None
