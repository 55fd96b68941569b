"""A YAML file of machines, as people write it: a list of records, or a mapping whose ``instances`` is one.

The keys of a record are those of ``Description``; ``user_data`` is a text, ``user_data_base64`` any bytes, and so
are ``content`` and ``content_base64`` of its files.
A wrong record does not hide the next one: all that is wrong in a file is told at once.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

from headwater.errors import HeadwaterError, Invalid
from headwater.instances.bulk.said import Said, SaidFile, said_in
from headwater.instances.model import File, Instance
from headwater.instances.service import Description, described
from headwater.instances.user_data.yaml_documents import Document, NotYaml

MOST_BYTES = 64 << 20
MOST_RECORDS = 100_000
_SHOWN = 100  # of what is wrong
_NO_TEXT = re.compile(r"Expected `str( \| null)?`, got `(int|float|bool|date|datetime)`")
# What a record of a file says, whatever is in it; the rest of a machine that is there already stays as it is.
SAYS = frozenset(
    {
        "name",
        "hostname",
        "project_id",
        "addresses",
        "keys",
        "user_data",
        "vendor_data",
        "network_data",
        "meta",
        "image_id",
        "image_name",
        "instance_type",
        "availability_zone",
        "serial",
        "public_ipv4",
        "tokens",
        "hop_limit",
        "files",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a record stands, as people find it again."""

    number: int  # from 1
    line: int
    name: str | None
    source: str | None = None  # where there are several

    def __str__(self) -> str:
        source = "" if self.source is None else f"{self.source}, "
        named = "" if self.name is None else f", {self.name!r}"
        return f"record {self.number} ({source}line {self.line}{named})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One machine of a file."""

    place: Place
    instance: Instance
    image: str | None  # id or name of the image that it starts from
    says_id: bool
    says: frozenset[str] = SAYS  # which fields of the instance, its id apart


class FileUnreadable(Invalid):
    """A file is no list of records at all."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(f"{problem}{'' if line is None else f' (line {line})'}; nothing was changed")
        self.problem, self.line = problem, line


class RecordsWrong(Invalid):
    """Some records are wrong, so none was taken.

    ``faults`` has what is wrong, each with its place; ``good`` those of all ``count`` records in which nothing is.
    """

    def __init__(self, faults: Iterable[tuple[Place, str]], found: Iterable[Record], count: int) -> None:
        faults = sorted(faults, key=lambda fault: fault[0].number)
        lines = [f"{place}: {problem}" for place, problem in faults[:_SHOWN]]
        if len(faults) > _SHOWN:
            lines.append(f"and {len(faults) - _SHOWN} more")
        wrong = len({place.number for place, _ in faults})
        said = f"{wrong} of {count} records cannot be taken, so nothing was changed:"
        super().__init__("\n  ".join([said, *lines]))
        self.faults, self.count = tuple(faults), count
        places = {place for place, _ in faults}
        self.good = [each for each in found if each.place not in places]


def read(data: bytes) -> list[Record]:
    """Return the records of a file.

    Raises:
        FileUnreadable: It is none, or too large.
        RecordsWrong: Some records are wrong.
    """
    if len(data) > MOST_BYTES:
        raise FileUnreadable(f"the file has more than {MOST_BYTES >> 20} MiB")
    try:
        document = Document(data, is_written=True)
        nodes = _records(document.root)
        lines = [node.start_mark.line + 1 for node in nodes]
        _require_keys_once(document.root)
        values = document.values()
    except NotYaml as error:
        raise FileUnreadable(f"the file is no YAML: {error.problem}", error.line) from error
    values = values["instances"] if isinstance(values, dict) else values
    found: list[Record] = []
    faults: list[tuple[Place, str]] = []
    for number, (line, value) in enumerate(zip(lines, values, strict=True), 1):
        name = value.get("name") if isinstance(value, dict) else None
        place = Place(number=number, line=line, name=name if isinstance(name, str) else None)
        try:
            found.append(_record(place, value))
        except (HeadwaterError, msgspec.ValidationError) as error:
            faults.append((place, _problem(str(error))))
    faults += claimed_twice(found)
    if faults:
        raise RecordsWrong(faults, found, len(lines))
    return found


def _records(root: yaml.Node | None) -> list[yaml.Node]:
    if isinstance(root, yaml.MappingNode):
        named = {key.value: value for key, value in root.value if isinstance(key, yaml.ScalarNode)}
        if set(named) != {"instances"}:
            raise FileUnreadable("the file is neither a list of records nor a mapping with 'instances' alone")
        root = named["instances"]
    if not isinstance(root, yaml.SequenceNode):
        raise FileUnreadable("the file is neither a list of records nor a mapping with 'instances' alone")
    if len(root.value) > MOST_RECORDS:
        raise FileUnreadable(f"the file has more than {MOST_RECORDS} records; give it in parts")
    nodes: list[yaml.Node] = root.value
    return nodes


def _require_keys_once(root: yaml.Node | None) -> None:
    """YAML's readers let the last of two equal keys win, and say nothing."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if key.value in keys:
                        raise FileUnreadable(f"the key {key.value[:64]!r} stands twice", key.start_mark.line + 1)
                    keys.add(key.value)
                waiting.append(value)


def _record(place: Place, value: object) -> Record:
    said = said_in(value)
    for name in ("vendor_data", "network_data"):
        _require_finite(name, getattr(said, name))
    return Record(place=place, instance=described(description(said)), image=said.image, says_id=said.id is not None)


def _problem(said: str) -> str:
    """Return what is wrong, with the usual cure where YAML has read a text as something else."""
    unquoted = bool(_NO_TEXT.search(said))
    return f"{said}; YAML reads 123, yes and 2026-11-27 so: write texts in quotes" if unquoted else said


def _require_finite(name: str, value: object) -> None:
    """YAML has numbers that JSON lacks, and whoever writes those as JSON writes null."""
    waiting, seen = [value], set[int]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            if id(each) in seen:
                continue
            seen.add(id(each))
        if isinstance(each, float) and not math.isfinite(each):
            raise msgspec.ValidationError(f"{name} holds {each}, which is no number of JSON; write a number or a text")
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def description(said: Said) -> Description:
    """Return what a record says of its machine; its image is for who asks to find.

    Raises:
        msgspec.ValidationError: Its user data, or a file, is said twice, or no base64.
        InstanceInvalid: The path of a file is none.
    """
    if said.user_data is not None and said.user_data_base64 is not None:
        raise msgspec.ValidationError("user_data_base64 stands in place of user_data; give one of them")
    return Description(
        name=said.name,
        id=said.id,
        hostname=said.hostname,
        project_id=said.project_id,
        addresses=said.addresses,
        ssh_keys=said.ssh_keys,
        user_data=_user_data(said),
        vendor_data=said.vendor_data,
        network_data=said.network_data,
        meta=said.meta,
        instance_type=said.instance_type,
        availability_zone=said.availability_zone,
        serial=said.serial,
        public_ipv4=said.public_ipv4,
        tokens=said.tokens,
        hop_limit=said.hop_limit,
        files=[_file(number, each) for number, each in enumerate(said.files)],
    )


def _user_data(said: Said) -> bytes | None:
    if said.user_data is not None:
        return _encoded("user_data", said.user_data)
    if said.user_data_base64 is None:
        return None
    return _decoded("user_data_base64", said.user_data_base64)


def _file(number: int, said: SaidFile) -> File:
    place = f"files[{number}]"
    if (said.content is None) is (said.content_base64 is None):
        raise msgspec.ValidationError(f"{place}: give either content, a text, or content_base64")
    if said.content is not None:
        return File(path=said.path, data=_encoded(f"{place}.content", said.content))
    return File(path=said.path, data=_decoded(f"{place}.content_base64", said.content_base64 or ""))


def _encoded(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # YAML writes halves of surrogate pairs as escapes
        raise msgspec.ValidationError(f"{name} holds what is no Unicode; give {name}_base64 in its place") from error


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise msgspec.ValidationError(f"{name} is no base64") from error


def claimed_twice(records: Sequence[Record]) -> Iterator[tuple[Place, str]]:
    """Yield each record that claims an id, a name or an address that an earlier one has claimed."""
    owners: dict[tuple[str, str], Place] = {}
    for record in records:
        instance = record.instance
        claims = [("id", instance.id), ("name", instance.name), *(("address", each) for each in instance.addresses)]
        if instance.serial is not None:
            claims.append(("serial", instance.serial))
        for claim in claims:
            owner = owners.setdefault(claim, record.place)
            if owner is not record.place:
                yield record.place, f"the {claim[0]} {claim[1]} is that of {owner}"


def written(instances: Iterator[Instance]) -> Iterator[str]:
    """Yield a file of instances, piece by piece, which ``read`` reads: the same ids, and all that a record can say.

    A record says neither what only another service knows (security groups, devices, kernel, reservation) nor
    certificates; an import into the same registry leaves those as they are.
    """
    yield "instances:\n"
    for instance in instances:
        yield yaml.dump([said_of(instance)], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096)


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, and texts of several lines as people would."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    if not _is_plain(value):
        style = '"'  # with escapes: YAML knows more ends of lines than one
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_plain(text: str) -> bool:
    return all(char.isprintable() or char in "\n\t" for char in text)


_Dumper.add_representer(str, _text)


def said_of(instance: Instance) -> dict[str, Any]:
    """Return the record of an instance, without what is not said."""
    said: dict[str, Any] = {"name": instance.name, "id": instance.id, "hostname": instance.hostname}
    if instance.project_id is not None:
        said["project_id"] = instance.project_id
    if instance.addresses:
        said["addresses"] = list(instance.addresses)
    if keys := [key.data for key in instance.keys if key.type == "ssh"]:
        said["ssh_keys"] = keys
    if instance.user_data is not None:
        said |= _said_bytes("user_data", instance.user_data)
    said["availability_zone"] = instance.availability_zone
    for name in ("vendor_data", "network_data", "instance_type", "serial", "public_ipv4", "hop_limit"):
        if (value := getattr(instance, name)) is not None:
            said[name] = value
    if instance.image_id is not None:
        said["image"] = instance.image_id
    if instance.meta:
        said["meta"] = dict(instance.meta)
    if instance.tokens != "optional":
        said["tokens"] = instance.tokens
    if instance.files:
        said["files"] = [{"path": file.path, **_said_bytes("content", file.data)} for file in instance.files]
    return said


def _said_bytes(name: str, data: bytes) -> dict[str, str]:
    """Return bytes under the name of a text, where they are one that people read, or else as base64."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or not _is_plain(text):
        return {f"{name}_base64": base64.b64encode(data).decode()}
    return {name: text}
