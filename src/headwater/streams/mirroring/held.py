"""What the target names before it is changed: its documents, and the files in them.

It is read as it is, whoever wrote it: what cannot be read names nothing, and is replaced.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from headwater.errors import Invalid, NotFound
from headwater.streams.format.documents import INDEX_FORMAT, Index, signed_name
from headwater.streams.format.json_objects import as_object, parse_json
from headwater.streams.format.layout import MIRRORS, SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.mirroring.documents.choosing import files_of, may_name_files
from headwater.streams.mirroring.files.file import File
from headwater.streams.signing import clearsign
from headwater.streams.trees.tree import PathNotFound, Tree

_MOST_DOCUMENTS = 10_000


@dataclass(slots=True)
class Held:
    """What a tree names."""

    tags: dict[str, str] = field(default_factory=dict)  # of its documents, by path, in all their forms
    files: dict[str, File] = field(default_factory=dict)  # by ``File.key``
    broken: dict[str, str] = field(default_factory=dict)  # documents that are named and cannot be read, and why


def held_in(tree: Tree, *, reads_all: bool = False) -> Held:
    """Return what the documents of a tree name.

    Args:
        reads_all: Also look whether documents can be read that name no file.

    Raises:
        TreeRefused, TreeUnavailable: As they say.
    """
    held = Held()
    waiting = [path for path in (*UNSIGNED_INDEXES, *SIGNED_INDEXES, MIRRORS, signed_name(MIRRORS)) if _tag(tree, path)]
    known, seen = set(waiting), set[bytes]()
    while waiting and len(held.tags) < _MOST_DOCUMENTS:
        path = waiting.pop()
        try:
            text = _text(tree, path, held)
            digest = hashlib.sha256(text.rstrip()).digest()
            if digest in seen or not (reads_all or may_name_files(text)):  # a signed twin, or nothing but image ids
                continue
            seen.add(digest)
            document = as_object(parse_json(text), "top")
            del text
            if "mirrors" in document:
                continue
            if document.get("format") == INDEX_FORMAT or "index" in document:
                index = Index.from_dict(document)
                named = {entry.path for entry in index.index.values()}
                # A document lies beside its signed twin, also where no index names that.
                named |= {signed_name(each) for each in named if _tag(tree, signed_name(each))}
                waiting += sorted(named - known)
                known |= named
            elif "products" in document:
                held.files |= files_of(document)
        except (Invalid, NotFound) as error:
            held.broken[path] = str(error)
    for path in [path for path in held.tags if not path.endswith(".sjson")]:
        if tag := _tag(tree, f"{path}.gpg"):
            held.tags[f"{path}.gpg"] = tag
    return held


def newest_form(tree: Tree, path: str) -> dict[str, Any] | None:
    """Return what the tree says in a document, by its unsigned path; ``None``: nothing that can be read."""
    for each in (path, signed_name(path)):
        try:
            return as_object(parse_json(_text(tree, each)), "top")
        except (Invalid, NotFound):
            continue
    return None


def _text(tree: Tree, path: str, held: Held | None = None) -> bytes:
    found = tree.read(path)
    if held is not None:
        held.tags[path] = found.tag
    if path.endswith(".sjson") and not found.body.lstrip().startswith(b"{"):
        return clearsign.parse(found.body).text
    return found.body


def _tag(tree: Tree, path: str) -> str | None:
    try:
        return tree.stat(path).tag or "there"
    except PathNotFound:
        return None
