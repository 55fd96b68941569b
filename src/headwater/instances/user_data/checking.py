"""What is wrong with user data before a guest has it: the whole, and each of its pieces."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from headwater.findings import Level, Rule
from headwater.instances.user_data.cloud_config import documented, rules
from headwater.instances.user_data.cloud_config.judging import CloudConfig
from headwater.instances.user_data.cloud_config.schema import Schema
from headwater.instances.user_data.errors import UserDataUnreadable
from headwater.instances.user_data.faults import Fault, broken
from headwater.instances.user_data.kinds import BUTANE, MARK, kind_of
from headwater.instances.user_data.taking_apart import Piece, pieces

EMPTY: Final = Rule(
    id="user-data-empty",
    level=Level.NOTE,
    says="it is empty, which is something else than none: guests are answered with 200 and nothing",
    fix="leave it out",
    source="404 is what all consumers take for none; 200 with nothing is fine for them as well",
)
UNREADABLE: Final = Rule(
    id="user-data-broken",
    level=Level.ERROR,
    says="{problem}",
    fix="make it again ('headwater instance user-data compose')",
    source="cloud-init and cloudbase-init decompress it and read MIME by Python's own modules, as this does",
)
UNKNOWN: Final = Rule(
    id="user-data-unknown",
    level=Level.ERROR,
    says="nothing at its beginning says what it is: guests pass over it",
    fix="begin it with #cloud-config, #!/bin/sh or another line that tells",
    source="cloud-init warns 'Unhandled non-multipart user data', cloudbase-init 'Unsupported user_data format'",
)
MARKED: Final = Rule(
    id="user-data-byte-order-mark",
    level=Level.ERROR,
    says="it begins with a byte order mark, so no guest sees what it is",
    fix="save it as UTF-8 without the mark (the bytes EF BB BF)",
    source="cloud-init and cloudbase-init compare the first characters, and the kernel the first two bytes (#!)",
)
UTF_16: Final = Rule(
    id="user-data-utf-16",
    level=Level.ERROR,
    says="it is UTF-16, which no guest reads",
    fix="save it as UTF-8 without a byte order mark",
    source="what PowerShell 5 writes with > and Out-File",
)
ENCODED: Final = Rule(
    id="user-data-base64",
    level=Level.ERROR,
    says="it is base64 of {what}: guests get what is registered, byte for byte",
    fix="register it decoded",
    source="cloud-init decodes base64 for its data source Ec2 only, and since 23 only",
)
SCRIPT_CRLF: Final = Rule(
    id="user-data-script-crlf",
    level=Level.NOTE,
    says="the first line of the script ends with CR LF: cloud-init mends that, whoever else runs it does not",
    fix="save it with the line ends of Unix",
    source="cloud-init: dos2unix in its handlers of scripts; execve(2) looks for an interpreter with a CR in its name",
)
NEEDS_BUTANE: Final = Rule(
    id="user-data-butane",
    level=Level.ERROR,
    says="it is Butane, which no machine reads",
    fix="make a config of Ignition from it: butane --strict FILE",
    source="Ignition reads JSON only",
)
RULES: Final = (EMPTY, UNREADABLE, UNKNOWN, MARKED, UTF_16, ENCODED, SCRIPT_CRLF, NEEDS_BUTANE)

_MEANT: Final = re.compile(rb"\A\s*#[ \t]*cloud[-_ ]?config\b", re.IGNORECASE)
_BASE64: Final = re.compile(rb"\A[A-Za-z0-9+/\r\n]{16,}={0,2}\s*\Z")


def faults_of(data: bytes, schema: Schema | None = None) -> list[Fault]:
    """Return what is wrong with user data.

    Args:
        schema: cloud-init's own, which is asked beside our rules; ``None``: what its documentation says is.
    """
    if not data:
        return [broken(EMPTY)]
    try:
        found = pieces(data)
    except UserDataUnreadable as error:
        return [replace(broken(UNREADABLE, problem=error.problem), part=error.part)]
    several = len(found) > 1
    configs = {
        piece.number: CloudConfig(piece.data) for piece in found if piece.kind and piece.kind.name == "cloud-config"
    }
    faults = [
        replace(fault, part=piece.number if several else "")
        for piece in found
        for fault in _of_piece(piece, configs.get(piece.number), schema)
    ]
    return faults + list(_replaced(configs))


def _replaced(configs: Mapping[str, CloudConfig]) -> Iterator[Fault]:
    """Yield the keys by which a cloud-config takes away what one before it says.

    Args:
        configs: By the number of the piece, in their order.
    """
    said: dict[str, str] = {}
    for number, config in configs.items():
        document = config.document
        keys = [key for key in document if isinstance(key, str)] if isinstance(document, dict) else []
        if not {"merge_how", "merge_type"} & set(keys):
            for key in keys:
                if key in said:
                    fault = broken(rules.REPLACED, path=key, key=key, other=said[key])
                    yield replace(config.placed(fault), part=number)
        said |= dict.fromkeys(keys, number)


def _of_piece(piece: Piece, config: CloudConfig | None, schema: Schema | None) -> list[Fault]:
    data = piece.data
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [broken(UTF_16)]
    if data.startswith(MARK) and kind_of(data.removeprefix(MARK)) is not None:
        return [broken(MARKED, line=1)]
    if config is not None:
        return _of_cloud_config(config, schema, has_type=piece.mime == "text/cloud-config")
    if piece.kind is BUTANE:
        return [broken(NEEDS_BUTANE)]
    if data.startswith(b"#!") and data.split(b"\n", 1)[0].endswith(b"\r"):
        return [broken(SCRIPT_CRLF, line=1)]
    if piece.kind is None and piece.mime in (None, "text/plain", "text/x-not-multipart"):
        return [_of_unknown(data)]
    return []


def _of_unknown(data: bytes) -> Fault:
    if _MEANT.match(data):
        return broken(rules.FIRST_LINE, line=1)
    if _BASE64.match(data):
        try:
            inner = kind_of(base64.b64decode(data))
        except binascii.Error:
            inner = None
        if inner is not None:
            return broken(ENCODED, what=inner.name)
    return broken(UNKNOWN)


def _of_cloud_config(config: CloudConfig, schema: Schema | None, *, has_type: bool) -> list[Fault]:
    found = config.faults(has_type=has_type)
    if any(fault.rule in _ENDS for fault in found):
        return found
    told = {fault.path for fault in found}
    others = (documented if schema is None else schema).faults_of(config.document)
    return found + [config.placed(fault) for fault in others if fault.path not in told]


# After these there is no document to hold against a schema.
_ENDS: Final = frozenset(
    {
        rules.NOT_UTF_8,
        rules.TABS,
        rules.NOT_YAML,
        rules.NOT_A_MAPPING,
        rules.EMPTY,
    }
)
