"""The metadata tarball of an image for LXD and Incus: made from what is known of the image, or looked into.

What is made depends on its arguments alone, byte for byte: the fingerprint of an image is the hash of this tarball and
its disk, and an image that is added again keeps its fingerprint.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import yaml

from headwater.streams.writing.files import Content, FileUnusable

MEMBER: Final = "metadata.yaml"
_MOST = 1 << 20  # bytes of a metadata.yaml
_FIRST = 16  # members

# How the kernel names what feeds name as Debian does; daemons take both, tools that read the tarball this one.
_KERNEL_NAMES = {
    "amd64": "x86_64",
    "i386": "i686",
    "armhf": "armv7l",
    "armel": "armv6l",
    "arm64": "aarch64",
    "powerpc": "ppc",
    "ppc64el": "ppc64le",
}


def made(arch: str, created_at: int, properties: Mapping[str, str], *, expires_at: int | None = None) -> Content:
    """Return the tarball of an image.

    Args:
        arch: As feeds write it, such as ``amd64``.
        created_at: Seconds since 1970.
        properties: What is shown of the image, such as ``os`` and ``release``.
        expires_at: Seconds since 1970; ``None``: never.
    """
    document: dict[str, Any] = {
        "architecture": _KERNEL_NAMES.get(arch, arch),
        "creation_date": created_at,
        "properties": dict(properties),
        "templates": {},
    }
    if expires_at is not None:
        document["expiry_date"] = expires_at
    text = yaml.safe_dump(document, sort_keys=True, allow_unicode=True, width=1000).encode()
    member = tarfile.TarInfo(MEMBER)
    member.size, member.mtime, member.mode = len(text), created_at, 0o644
    member.uname = member.gname = "root"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(text))
    return Content.of_bytes("metadata.tar.xz", lzma.compress(packed.getvalue(), preset=6))


def require_metadata(content: Content, arch: str) -> None:
    """Look into a tarball that was given.

    Raises:
        FileUnusable: It is no tarball with a good ``metadata.yaml``, or that of another architecture.
    """
    assert content.file is not None
    found = _document(content)
    named = found.get("architecture")
    if named not in (arch, _KERNEL_NAMES.get(arch, arch)):
        raise FileUnusable(content.file, f"its {MEMBER} says architecture {named!r}, and the image is for {arch}")
    if not isinstance(found.get("creation_date"), int):
        raise FileUnusable(content.file, f"its {MEMBER} has no creation_date in seconds since 1970")


def is_of_virtual_machine(content: Content) -> bool:
    """Return whether a tarball that holds metadata and root together is that of a virtual machine.

    Raises:
        FileUnusable: It is no tarball.
    """
    with _tarball(content) as tar:
        return any(_name(member) == "rootfs.img" for member in tar)


def is_metadata(content: Content) -> bool:
    """Return whether a file is a tarball of metadata, by what stands first in it: a root file system is large."""
    try:
        with _tarball(content) as tar:
            return any(_name(member) == MEMBER for member in islice(tar, _FIRST))
    except FileUnusable:
        return False


def _document(content: Content) -> Mapping[str, Any]:
    assert content.file is not None
    try:
        with _tarball(content) as tar:
            member = next((each for each in tar if _name(each) == MEMBER), None)
            file = None if member is None or member.size > _MOST else tar.extractfile(member)
            found = None if file is None else yaml.safe_load(file.read())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileUnusable(content.file, f"its {MEMBER} is no YAML") from error
    if not isinstance(found, dict):
        raise FileUnusable(content.file, f"it holds no {MEMBER}; without --metadata one is made")
    return found


@contextmanager
def _tarball(content: Content) -> Iterator[tarfile.TarFile]:
    """Open a tarball, compressed in any way that Python knows."""
    assert content.file is not None
    try:
        with content.open() as opened, tarfile.open(fileobj=opened, mode="r:*") as tar:
            yield tar
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise FileUnusable(content.file, f"it is no tarball that can be read: {error}") from error


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")
