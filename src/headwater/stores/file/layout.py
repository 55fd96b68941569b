"""What lies where in the directory of a store; all of it relative to a descriptor of the directory.

Layout: ``objects/AB/NAME`` holds the whole objects (``AB``: first two characters of the key's SHA-256,
so that no directory grows without bound), ``incoming/NAME`` what is being written, ``store-id`` the mark. ``NAME`` is
the key with ``~``, which no key has, for each ``/``: so ``a`` is never in the way of ``a/b``, and no directory is made
for a key or left over. A write goes to ``incoming``, is flushed to the disk, and is then renamed into ``objects``; the
directory is flushed too. A reader therefore sees the whole object or none of it, also after a power cut, and a crash
leaves at most a file in ``incoming``, which ``delete`` of that key removes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator

from headwater.stores.store import IDENTITY

MARK = "store-id"

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BLOCK = bytes(4096)  # an empty file can be made on a full disk


def file_of(key: str) -> str:
    """Return where the whole object lies."""
    return f"objects/{hashlib.sha256(key.encode()).hexdigest()[:2]}/{key.replace('/', '~')}"


def part_of(key: str) -> str:
    """Return where the object lies while it is written."""
    return f"incoming/{key.replace('/', '~')}"


def places_in(root: int) -> Iterator[tuple[str, str]]:
    """Yield key and place of all that lies among the objects, also of what is in the wrong directory or no object."""
    for directory in _names_in(root, "objects"):
        with contextlib.suppress(NotADirectoryError):  # a file that somebody left beside the directories
            for name in _names_in(root, f"objects/{directory}"):
                yield name.replace("~", "/"), f"objects/{directory}/{name}"


def _names_in(root: int, directory: str) -> list[str]:
    """Return what lies in a directory below."""
    descriptor = os.open(directory, DIRECTORY, dir_fd=root)
    try:
        return os.listdir(descriptor)  # noqa: PTH208 - of a descriptor
    finally:
        os.close(descriptor)


def mark_of(root: int) -> str | None:
    """Return the mark of the directory; ``None`` when it has none, or none that we wrote."""
    try:
        descriptor = os.open(MARK, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
    except FileNotFoundError:
        return None
    try:
        found = os.read(descriptor, 64).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    return found if IDENTITY.fullmatch(found) else None


def marked(root: int, identity: str) -> str:
    """Mark a directory that has no mark, durably, and return its mark: of several at once the first one's."""
    probe(root)
    part = f"{MARK}.{identity}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=root)
    try:
        try:
            os.write(descriptor, f"{identity}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with contextlib.suppress(OSError):  # somebody was first; or the file system has no links
            os.link(part, MARK, src_dir_fd=root, dst_dir_fd=root)
        if mark_of(root) is None:
            os.rename(part, MARK, src_dir_fd=root, dst_dir_fd=root)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=root)
    os.fsync(root)
    return mark_of(root) or identity


def probe(root: int) -> None:
    """Raise ``OSError`` unless a block of bytes can be written in ``root``, and an object put among the others."""
    # Looked at only: whoever lists the objects would come across what is made there for a moment.
    if not os.access("objects", os.W_OK | os.X_OK, dir_fd=root, effective_ids=True):
        objects = os.open("objects", DIRECTORY, dir_fd=root)
        try:
            error = errno.EROFS if os.fstatvfs(objects).f_flag & os.ST_RDONLY else errno.EACCES
        finally:
            os.close(objects)
        raise OSError(error, os.strerror(error))
    # Machines that share the directory have processes of the same number.
    probe = f"incoming/.probe-{os.getpid()}-{secrets.token_hex(4)}"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=root)
    try:
        os.write(descriptor, _BLOCK)
    finally:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(probe, dir_fd=root)
