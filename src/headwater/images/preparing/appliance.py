"""libguestfs, in a child that can do little besides: ``inside.py``, run by the distribution's Python.

The child has bounded memory, processor time and file sizes, a directory of its own, no network where root starts it,
and ends with the call. Its machine has no network at all.
What it finds is read back as data of a form that is checked. Its machine is emulated where KVM is not wanted.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from headwater.errors import HeadwaterError
from headwater.images.imports.plugins import confined
from headwater.images.imports.plugins.confined import Bounds, ProgramFailed
from headwater.images.preparing import asking
from headwater.images.preparing.asking import Done, Gathered
from headwater.images.preparing.disk import OF_QEMU

_PYTHON: Final = "/usr/bin/python3"
_PROGRAM: Final = Path(__file__).with_name("inside.py")
_MEMORY: Final = 5 << 30  # bytes of address space, of each process: QEMU's own, translated code and the machine's
_APPLIANCE: Final = 8 << 30  # bytes of the largest file that it writes: the disk of its machine, which is sparse
_LARGEST_ANSWER: Final = 64 << 20  # bytes
_OPEN_FILES: Final = 256
_KVM: Final = Path("/dev/kvm")
Form = TypeVar("Form", bound=msgspec.Struct)
_CACHE: Final = "/var/tmp"  # noqa: S108 - libguestfs looks there after who owns what it keeps


class LookFailed(HeadwaterError):
    """libguestfs could not look into the disk, or not change it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"libguestfs did not do its work: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that is mended."""

    name: str
    says: str
    does: tuple[tuple[str, ...], ...]  # write PATH TEXT; remove PATH; install deb|rpm
    needs: str | None = None  # the name of a step before it, without which it is not done


def missing() -> str | None:
    """Return what to install before a disk can be looked into; ``None``: all is there."""
    ready = Path(_PYTHON).exists() and (
        subprocess.run([_PYTHON, "-I", "-c", "import guestfs"], capture_output=True, check=False).returncode == 0  # noqa: S603
    )
    if ready:
        return None
    return (
        "libguestfs is not installed: install python3-guestfs and a kernel for its machine (Debian, Ubuntu: "
        "python3-guestfs, linux-image-amd64 or -generic, readable for you; Fedora, RHEL: python3-libguestfs)"
    )


def look(disk: Path, kind: str, scratch: Path, *, time_s: float, kvm: bool) -> tuple[Gathered, Path | None]:
    """Look into a disk and return what was asked for, and the file of the newest kernel's initial RAM disk.

    Raises:
        LookFailed: libguestfs did not start, or did not come to its end in time.
    """
    _ask(disk, kind, scratch, write=False)
    _run(scratch, disk_size=0, time_s=time_s, kvm=kvm)
    return _seen(scratch)


def mend(
    disk: Path,
    kind: str,
    scratch: Path,
    plan: Callable[[Gathered, Path | None], Sequence[Step]],
    *,
    size: int,
    time_s: float,
    kvm: bool,
) -> Done:
    """Look into a disk, and do what ``plan`` says.

    Args:
        size: Of the disk, in bytes: the file that it is in grows no larger than some more than that.

    Raises:
        LookFailed: As above.
    """
    _ask(disk, kind, scratch, write=True)

    def answer(_: str = "") -> None:
        if (scratch / "seen.json").exists() and not (scratch / "steps.json").exists():
            steps = [msgspec.to_builtins(each) for each in plan(*_seen(scratch))]
            part = scratch / "steps.json.part"
            part.write_text(json.dumps(steps))
            part.rename(scratch / "steps.json")

    _run(scratch, disk_size=size, time_s=time_s, kvm=kvm, look=answer)
    return _read(scratch / "done.json", Done)


def _ask(disk: Path, kind: str, scratch: Path, *, write: bool) -> None:
    request = {
        "disk": str(disk.absolute()),
        "format": OF_QEMU[kind],
        "write": write,
        "texts": asking.TEXTS,
        "present": asking.PRESENT,
        "loaders": list(asking.LOADERS),
    }
    (scratch / "request.json").write_text(json.dumps(request))


def _run(
    scratch: Path, *, disk_size: int, time_s: float, kvm: bool, look: Callable[[str], None] = lambda _: None
) -> None:
    settings = [f"LIBGUESTFS_CACHEDIR={_CACHE}", f"XDG_RUNTIME_DIR={scratch}"]
    settings += [] if kvm else ["LIBGUESTFS_BACKEND_SETTINGS=force_tcg"]
    command = ["env", *settings, _PYTHON, "-I", "-B", str(_PROGRAM)]
    bounds = Bounds(
        memory=_MEMORY,
        processor_s=int(time_s) * 4,  # of a machine with several processors, and what it starts
        file_size=max(_APPLIANCE, disk_size * 9 // 8),
        time_s=time_s,
        open_files=_OPEN_FILES,
    )
    try:
        # libguestfs copies programs of this host into its machine, with who owns them: mount, say, has to be root's.
        confined.run([*command, str(scratch)], scratch, bounds, look, users_of_its_own=False)
    except ProgramFailed as error:
        reason = str(error).removeprefix("env failed (1): ")
        hint = "; try --no-kvm" if kvm and _KVM.exists() else ""
        raise LookFailed(f"{reason.rstrip('.')}{hint}; libguestfs-test-tool shows more") from error


def _seen(scratch: Path) -> tuple[Gathered, Path | None]:
    initramfs = scratch / "initramfs"
    return _read(scratch / "seen.json", Gathered), initramfs if initramfs.exists() else None


def _read(file: Path, form: type[Form]) -> Form:
    try:
        if file.stat().st_size > _LARGEST_ANSWER:
            raise LookFailed(f"what it found is more than {_LARGEST_ANSWER} bytes")
        return msgspec.json.decode(file.read_bytes(), type=form)
    except (OSError, msgspec.DecodeError) as error:
        raise LookFailed(f"its answer cannot be read ({error})") from error
