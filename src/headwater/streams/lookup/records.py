"""Images that the controller knows: what ``juju bootstrap --metadata-source`` would give it, read from a directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from headwater.errors import HeadwaterError
from headwater.streams.format.json_objects import JsonObject, MalformedDocument, as_list, parse_json
from headwater.streams.lookup.images import FoundImage, duplicate_of, duplicates
from headwater.streams.lookup.record_rows import ControllerImageRows
from headwater.streams.lookup.search import CUSTOM, images_of
from headwater.streams.lookup.search_path import CUSTOM_CLOUD, METADATA_SOURCE, SearchPath
from headwater.streams.lookup.source import Resolved
from headwater.streams.lookup.trace import DataNotFound, LookupFailed, Trace
from headwater.streams.lookup.wanted import RELEASED, CloudSpec, ImagesWanted, Juju, releases_known
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathNotFound

FILE: Final = "juju/custom-image-metadata.json"  # of earlier releases, below the directory of data
_KEYS: Final = ("id", "region", "version", "arch", "endpoint", "virt", "root_store", "stream")


class MetadataNotImported(HeadwaterError):
    """A directory of metadata cannot be taken as it is; Juju's bootstrap would stop."""


def taken_in(data_dir: Path, rows: ControllerImageRows) -> int:
    """Take in the file in which earlier releases kept records, once; return how many were new.

    Raises:
        MalformedDocument: The file was changed by somebody else, and not well.
    """
    tree = DirectoryTree(data_dir)
    try:
        body = tree.read(FILE).body
    except PathNotFound:
        return 0
    try:
        records = as_list(parse_json(body), "records", _record)
    except MalformedDocument as error:
        raise MalformedDocument(f"{data_dir / FILE}: {error.where}", error.problem) from error
    new = rows.add_unknown(records)
    tree.delete(FILE)
    return new


def read_directory(
    directory: Path, *, path: SearchPath, juju: Juju = Juju.V3_6, stream: str = RELEASED
) -> tuple[list[FoundImage], Trace]:
    """Return the images that Juju takes from a directory of metadata.

    Source: it reads what is released, for every version and architecture that it knows, whatever the cloud; the stream
    that the images then have is that of the model.

    Raises:
        MetadataDirectoryNotFound: It is not there.
        MetadataNotImported: It cannot be read, or two images cannot be told apart.
    """
    trace = Trace(METADATA_SOURCE)
    sources, left_out = replace(path, metadata_source=directory).images()
    source = next((each for each in sources if each.description == trace.source), None)
    if source is None:
        trace.steps += [step for step in left_out if step.source == trace.source]
        return [], trace
    wanted = ImagesWanted(cloud=CloudSpec(), releases=releases_known(juju), arches=juju.arches)
    try:
        found = images_of(source, wanted, trace, Resolved(source.description))
    except DataNotFound:
        return [], trace
    except LookupFailed as error:
        raise MetadataNotImported(f"cannot read image metadata in bootstrap metadata: {error.cause}") from error
    records = [replace(image, stream=stream, source=CUSTOM, priority=CUSTOM_CLOUD) for image in found]
    for record in records:
        lacks = next((name for name in ("version", "arch", "region") if not getattr(record, name)), None)
        if lacks:
            raise MetadataNotImported(f"missing {lacks}: metadata for image {record.id} not valid")
    for group in duplicates(records):
        raise MetadataNotImported(
            f"{duplicate_of(group)}: {group[0].id} is the same to Juju; give one of them another virt or root_store, "
            "or remove it"
        )
    return records, trace


def _record(data: object, where: str) -> FoundImage:
    found = JsonObject(data, where)
    facts: dict[str, Any] = {name: found.text(name) or "" for name in _KEYS}
    return FoundImage(**facts, source=CUSTOM, priority=CUSTOM_CLOUD)
