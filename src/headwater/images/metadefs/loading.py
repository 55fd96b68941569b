"""Definitions from files and into files, and the base set that every catalogue begins with.

A file is one namespace, in the form in which the API shows it; Glance's own files have this form too.
"""

from __future__ import annotations

import uuid
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from headwater.errors import HeadwaterError, SettingsError
from headwater.images.metadefs import reading
from headwater.images.metadefs.catalogue import MetadefRows
from headwater.images.metadefs.documents import as_file
from headwater.images.metadefs.model import Namespace, merged
from headwater.json_keys import twice

BASE = Path(__file__).parent / "base"
SCS = Path(__file__).parent / "scs"  # for clouds of the Sovereign Cloud Stack, on request
# Grows when the base set does: then every catalogue gets the namespaces that are new in it, and none that were deleted.
BASE_EDITION = 2
NEW_IN = {"OS::Compute::ImageProperties": 2}  # all others are in the first
# Source: Glance gives to namespaces whose file names no owner this one.
OWNER = "admin"
FILE_LIMIT = 4 << 20  # bytes


class DefinitionFileWrong(SettingsError):
    """A file, or a directory of files, does not hold metadata definitions."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}; nothing was changed")
        self.file, self.problem = file, problem


class Known(StrEnum):
    """What becomes of a namespace that the catalogue has already."""

    KEPT = "kept"  # as it is
    MERGED = "merged"  # it gets what only the file has
    OVERWRITTEN = "overwritten"  # it becomes what the file says


def load_base(catalogue: MetadefRows, clock: Callable[[], int]) -> list[str]:
    """Keep the base set in a catalogue that does not have this edition of it; return the names of what is new."""

    def newer_than(edition: int) -> list[Namespace]:
        return [each for each in read_directory(BASE, clock()) if NEW_IN.get(each.namespace, 1) > edition]

    return catalogue.load_once(BASE_EDITION, newer_than)


def load_directory(catalogue: MetadefRows, directory: Path, known: Known, at: int) -> list[str]:
    """Keep what all files of ``directory`` say, or nothing; return the names of the namespaces that changed.

    Raises:
        DefinitionFileWrong: One of the files cannot be read, or is not a definition.
    """
    return catalogue.load(read_directory(directory, at), partial(_settled, known))


def read_directory(directory: Path, at: int) -> list[Namespace]:
    """Return the namespaces of all ``*.json`` files of ``directory``, made at ``at``, by file name.

    Raises:
        DefinitionFileWrong: There is no such directory or file, one of them cannot be read or is not a
            definition, or two of them are the same namespace.
    """
    try:
        files = sorted(file for file in directory.iterdir() if file.suffix == ".json" and file.is_file())
    except OSError as error:
        raise DefinitionFileWrong(directory, f"cannot be read: {error.strerror}") from error
    if not files:
        raise DefinitionFileWrong(directory, "there is no file *.json")
    found: dict[str, Namespace] = {}
    for file in files:
        namespace = _read(file, at)
        if namespace.namespace in found:
            raise DefinitionFileWrong(file, f"another file is the namespace {namespace.namespace!r} too")
        found[namespace.namespace] = namespace
    return list(found.values())


def export(namespaces: Iterable[Namespace], directory: Path) -> list[Path]:
    """Write each namespace into a file of its own in ``directory``, which is made; return the files.

    Raises:
        DefinitionFileWrong: The directory cannot be written to.
    """
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for namespace in namespaces:
            file = directory / f"{_file_name(namespace.namespace)}.json"
            file.write_bytes(msgspec.json.format(msgspec.json.encode(as_file(namespace)), indent=4) + b"\n")
            written.append(file)
    except OSError as error:
        raise DefinitionFileWrong(directory, f"cannot be written: {error.strerror}") from error
    return written


def _read(file: Path, at: int) -> Namespace:
    try:
        if file.stat().st_size > FILE_LIMIT:
            raise DefinitionFileWrong(file, f"is larger than {FILE_LIMIT} bytes")
        text = file.read_bytes().removeprefix(BOM_UTF8)
        document: Any = msgspec.json.decode(text)
    except OSError as error:
        raise DefinitionFileWrong(file, f"cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DefinitionFileWrong(file, f"is not JSON: {error}") from error
    if (problem := twice(text)) is not None:
        raise DefinitionFileWrong(file, f"is ambiguous: {problem}")
    if not isinstance(document, dict):
        raise DefinitionFileWrong(file, "is not a JSON object")
    try:
        return reading.namespace(document, str(uuid.uuid4()), at, owner=OWNER, schema="definitions")
    except HeadwaterError as error:
        raise DefinitionFileWrong(file, f"is not a metadata definition: {error}") from error


def _settled(known: Known, mine: Namespace, theirs: Namespace) -> Namespace:
    match known:
        case Known.KEPT:
            return mine
        case Known.MERGED:
            after = merged(mine, theirs)
            return mine if after == mine else replace(after, updated_at=theirs.updated_at)
        case Known.OVERWRITTEN:
            return replace(theirs, id=mine.id, created_at=mine.created_at)


def _file_name(namespace: str) -> str:
    """Return a name that every file system takes and that no two namespaces share."""
    # "OS::Compute::Quota" becomes "OS--Compute--Quota"; a dash of its own and all else is spelled out.
    return quote(namespace, safe=":").replace("-", "%2D").replace(".", "%2E").replace(":", "-")
