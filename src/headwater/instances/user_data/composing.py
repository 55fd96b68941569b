"""Several pieces of user data in one, as MIME: the same pieces make the same bytes, always.

cloudbase-init takes it for several only when it begins with the header Content-Type, so that stands first.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headwater.instances.user_data.errors import PartUnusable
from headwater.instances.user_data.kinds import (
    BUTANE,
    CERTIFICATE,
    EC2_CONFIG,
    GZIP,
    IGNITION,
    MARK,
    MULTIPART,
    kind_named,
    kind_of,
)

_MIME_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*", re.ASCII)
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_LONGEST_LINE: Final = 998  # characters; RFC 5322, section 2.1.1
_REFUSED: Final = {
    IGNITION.name: "Ignition reads its config as it is, from the first byte, and takes nothing that is wrapped around "
    "it; give it to the instance alone",
    BUTANE.name: "this is Butane, which no machine reads; make a config of Ignition from it first "
    "('butane --strict FILE'), and give that to the instance alone",
    CERTIFICATE.name: "cloudbase-init looks for a certificate in user data that is nothing else",
    GZIP.name: "it is compressed already; give it as it was, and compress the whole with --gzip",
    MULTIPART.name: "it is several pieces already; take it apart first ('headwater instance user-data show --write')",
    EC2_CONFIG.name: "scripts in <script> or <powershell> are user data alone; as a part begin it with 'rem cmd' or "
    "'#ps1' instead",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One piece, with the type by which guests know what to do with it."""

    mime: str
    name: str
    data: bytes


def part(name: str, data: bytes, kind: str | None = None) -> Part:
    """Return a piece of user data as it will be a part of several.

    Args:
        name: Of the file; scripts are written under it in the guest, and run in the order of their names.
        kind: Its kind or MIME type, where its beginning does not say it.

    Raises:
        PartUnusable: No guest would know what to do with it, or it cannot be wrapped.
    """
    found = kind_of(data)
    if found is not None and found.name in _REFUSED:
        raise PartUnusable(name, _REFUSED[found.name])
    if kind is not None:
        return Part(mime=_mime(name, kind), name=name, data=data)
    if data.startswith(MARK):
        raise PartUnusable(name, "it begins with a byte order mark, so guests do not see what it is; save it without")
    if found is None or found.mime is None:
        raise PartUnusable(
            name,
            "its first line does not say what it is, such as #cloud-config or #!/bin/sh; say it with --part TYPE:FILE",
        )
    return Part(mime=found.mime, name=name, data=data)


def _mime(name: str, kind: str) -> str:
    known = kind_named(kind)
    if known is not None and known.mime is not None:
        return known.mime
    if _MIME_TYPE.fullmatch(kind):  # for a part handler of the user's own
        return kind
    raise PartUnusable(name, f"{kind!r} is no type of a part")


def composed(parts: Sequence[Part], *, compress: bool = False) -> bytes:
    """Return the pieces as one.

    Args:
        compress: With gzip, which cloud-init and cloudbase-init undo; Neutron's agent does so on the way.

    Raises:
        PartUnusable: There is none.
    """
    if not parts:
        raise PartUnusable("user data", "there is nothing to compose; name files, or --part TYPE:FILE")
    bodies = [_body(each, name) for each, name in zip(parts, _names(parts), strict=True)]
    boundary = f"===={hashlib.sha256(b''.join(bodies)).hexdigest()[:32]}===="
    lines = [f'Content-Type: multipart/mixed; boundary="{boundary}"\nMIME-Version: 1.0\n\n'.encode()]
    lines += [f"--{boundary}\n".encode() + body + b"\n" for body in bodies]
    lines += [f"--{boundary}--\n".encode()]
    whole = b"".join(lines)
    return gzip.compress(whole, mtime=0) if compress else whole


def _names(parts: Sequence[Part]) -> list[str]:
    """Return names that guests can use; two of one name would be one file there."""
    found: list[str] = []
    for number, each in enumerate(parts, 1):
        name = _NOT_IN_A_NAME.sub("-", each.name).strip("-.")[-100:] or f"part-{number:03}"
        stem, dot, suffix = name.partition(".")
        again = 1
        while name in found:
            again += 1
            name = f"{stem}-{again}{dot}{suffix}"
        found.append(name)
    return found


def _body(each: Part, name: str) -> bytes:
    encoding, data = _encoded(each.data)
    charset = '; charset="utf-8"' if each.mime.startswith("text/") and _is_utf8(each.data) else ""
    head = (
        f"Content-Type: {each.mime}{charset}\nMIME-Version: 1.0\nContent-Transfer-Encoding: {encoding}\n"
        f'Content-Disposition: attachment; filename="{name}"\n\n'
    )
    return head.encode() + data


def _encoded(data: bytes) -> tuple[str, bytes]:
    """Return how it is written, so that it comes out byte for byte: as it is where that is safe."""
    lines = data.split(b"\n")
    if data.isascii() and not {0, 13} & set(data) and max(map(len, lines)) <= _LONGEST_LINE:
        return "7bit", data
    return "base64", base64.encodebytes(data).rstrip(b"\n")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
