"""The documents of a feed of others as readers get them: as they came, or with signatures of ours."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from headwater.streams.format.documents import Index
from headwater.streams.format.json_objects import as_object, parse_json
from headwater.streams.pulling.documents import Documents, Found, plain_path
from headwater.streams.pulling.records import Record
from headwater.streams.trees.served.file import NotInTree, ServedFile, Source, TreeDown
from headwater.streams.trees.tree import media_type_of

_TWINS: Final = 64  # signed forms of ours that are in memory
_STALE: Final = "Response is Stale"
_FAILED: Final = "Revalidation Failed"
_DOCUMENT: Final = re.compile(r".*\.(?:json|sjson|json\.gpg)")


class Signs(Protocol):
    """What signs: see ``signing.Signer``."""

    def sign(self, text: bytes) -> bytes: ...

    def sign_detached(self, document: bytes) -> bytes: ...

    def close(self) -> None: ...


class ServedDocuments:
    """Those of one tree; used by several threads."""

    def __init__(self, tree: str, documents: Documents, signer: Signs | None) -> None:
        """Take where they are kept.

        Args:
            signer: Signs them anew; ``None``: they keep their signatures.
        """
        self._tree, self._documents, self._signer = tree, documents, signer
        self._lock = threading.Lock()
        self._twins: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def find(self, path: str) -> ServedFile | None:
        """Return a document; ``None`` where the feed has none of this path.

        Raises:
            NotInTree: It had one.
            TreeDown: It is being replaced.
            HeadwaterError: It cannot be fetched, or signed.
        """
        if _DOCUMENT.fullmatch(path) is None:
            return None
        is_signature = path.endswith(".gpg")
        wanted = path.removesuffix(".gpg")
        if plain_path(wanted) not in self._documents.names():
            return None
        makes_twin = self._signer is not None and (is_signature or wanted.endswith(".sjson"))
        found = self._documents.find(plain_path(wanted) if makes_twin else wanted)
        if found.record.is_absent:
            raise NotInTree(self._tree, path)
        if makes_twin:
            return self._given(path, found, self._twin(path, found.record))
        if is_signature:
            if found.record.signature is None:
                raise NotInTree(self._tree, path)
            return self._given(path, found, found.record.signature)
        return self._kept_document(path, found)

    def _kept_document(self, path: str, found: Found) -> ServedFile:
        opened = self._documents.records.open(found.record)
        if opened is None:  # replaced since it was looked up
            found = self._documents.find(path)
            opened = self._documents.records.open(found.record)
            if opened is None:
                raise TreeDown(self._tree, path, "it is being replaced")
        held = _Held(opened)
        return self._served(path, found, found.record.size, found.record.sha256, lambda _: held.path)

    def _given(self, path: str, found: Found, body: bytes) -> ServedFile:
        digest = hashlib.sha256(body).hexdigest()
        return self._served(path, found, len(body), digest, lambda wanted: iter([body[wanted.start : wanted.stop]]))

    def _served(self, path: str, found: Found, size: int, digest: str, begin: Callable[[range], Source]) -> ServedFile:
        headers = {"Age": str(int(found.age_s))}
        if found.is_stale:
            # Source: RFC 7234, section 5.5; RFC 9111 has done away with it, and some still show it.
            headers["Warning"] = f'111 - "{_FAILED}"' if found.failed else f'110 - "{_STALE}"'
        return ServedFile(
            path=path,
            size=size,
            etag=f'"{digest[:32]}"',
            modified=found.record.changed,
            media_type=media_type_of(path),
            begin=begin,
            headers=headers,
        )

    def _twin(self, path: str, record: Record) -> bytes:
        """Return the signed form of a document that we make."""
        assert self._signer is not None
        key = (record.sha256, path)
        with self._lock:
            if key in self._twins:
                return self._twins[key]
        text = self._documents.text(record)
        if path.endswith(".gpg"):
            made = self._signer.sign_detached(text)
        else:
            document = as_object(parse_json(text), path)
            made = self._signer.sign(
                Index.from_dict(document).with_signed_paths().to_bytes() if "index" in document else text
            )
        with self._lock:
            self._twins[key] = made
            while len(self._twins) > _TWINS:
                self._twins.popitem(last=False)
        return made

    def close(self) -> None:
        """Let go of what signs."""
        if self._signer is not None:
            self._signer.close()


class _Held:
    """An open file, as long as anybody has this."""

    def __init__(self, opened: int) -> None:
        weakref.finalize(self, os.close, opened)
        self.path = Path(f"/dev/fd/{opened}")
