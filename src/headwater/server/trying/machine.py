"""QEMU with an image and a medium, confined: what the guest writes is in a file without a name, gone with QEMU.

It gets the files as descriptors, so that what was inspected is what it opens, and never a path that somebody chose.
"""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from headwater.errors import HeadwaterError, SettingsError
from headwater.images.inspection.inspect import Inspection, Rules

_KVM = Path("/dev/kvm")
_PIECE = 1 << 20
_KEPT = 16 << 20  # characters of the console
_WRITTEN = 16 << 30  # bytes that a guest may write before its disk fails, or half of what is free, if that is less
_OVERHEAD_MIB = 3072  # of QEMU's address space beside the guest's memory: threads, libraries, translated code
# What QEMU calls the formats that images have by other names.
_NAMES = {"gpt": "raw", "iso": "raw", "vhd": "vpc", "raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi"}
_NAMES |= {"vhdx": "vhdx"}


class ProgramMissing(SettingsError):
    """A program that boots the machine is not installed."""

    def __init__(self, program: str) -> None:
        super().__init__(f"the program {program} is not installed: install QEMU for x86 and util-linux")
        self.program = program


class NotBootable(HeadwaterError):
    """The data is of a format that no machine boots from."""

    def __init__(self, detected: str) -> None:
        super().__init__(f"the image is {detected}, which QEMU cannot boot from safely; convert it to qcow2 first")
        self.detected = detected


class TooSlow(HeadwaterError):
    """The image is so large that it was not even read in the time that its machine has."""

    def __init__(self, time_s: float) -> None:
        super().__init__(f"to read the image took longer than {time_s:g} s; --time gives it more")
        self.time_s = time_s


class MachineFailed(HeadwaterError):
    """QEMU ended with an error of its own."""

    def __init__(self, code: int, said: str, console: str) -> None:
        super().__init__(f"QEMU ended with {code}: {said.strip() or 'it did not say why'}")
        self.code, self.said, self.console = code, said, console


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the machine may have."""

    memory_mib: int = 1024
    time_s: float = 600
    network: bool = False  # beyond the host's, which it has never
    kvm: bool = True  # where there is one


def disk_format(image: BinaryIO, time_s: float) -> str:
    """Return QEMU's name for the format of an image, which is read whole.

    Raises:
        UnsupportedMedia: It refers to other files, or may be read as several formats.
        NotBootable: Its format is none for a machine.
        TooSlow: To read it took longer than ``time_s``.
    """
    until = time.monotonic() + time_s
    looking = Inspection("raw", Rules(require_match=False))
    while piece := image.read(_PIECE):
        looking.feed(memoryview(piece))
        if time.monotonic() > until:
            raise TooSlow(time_s)
    detected = looking.finish().format
    if detected not in _NAMES:
        raise NotBootable(detected)
    return _NAMES[detected]


def command(disk: int, kind: str, medium: int, bounds: Bounds, *, kvm: bool) -> Sequence[str]:
    """Return the command that starts the machine with two open files."""
    address_space = (bounds.memory_mib + _OVERHEAD_MIB) << 20
    drives = (
        f"file=/proc/self/fd/{disk},format={kind},snapshot=on",
        f"file=/proc/self/fd/{medium},format=raw,readonly=on",
    )
    return (
        *(_found("setpriv"), "--pdeathsig", "KILL", "--"),
        *(_found("prlimit"), f"--as={address_space}", f"--fsize={_room()}", "--core=0", "--"),
        *(_found("qemu-system-x86_64"), "-accel", "kvm" if kvm else "tcg,thread=multi,tb-size=256"),
        *("-cpu", "host" if kvm else "max", "-m", str(bounds.memory_mib)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-device", "virtio-rng-pci"),
        *(word for drive in drives for word in ("-drive", f"{drive},if=virtio")),
        *("-nic", f"user,model=virtio-net-pci,restrict={'off' if bounds.network else 'on'}"),
    )


def boot(disk: BinaryIO, kind: str, medium: bytes, bounds: Bounds, show: Callable[[str], None]) -> tuple[str, str]:
    """Boot, show the console while it grows, and return it, and what ended the machine.

    It ends when it powers itself off or restarts, when its time is over, or with Ctrl-C. Where KVM is there and QEMU
    fails with it before the guest says a word, as within some virtual machines, it begins anew in software.

    Raises:
        ProgramMissing, MachineFailed: QEMU is not there, or cannot run it.
    """
    if bounds.kvm and os.access(_KVM, os.R_OK | os.W_OK):
        try:
            return _booted(disk, kind, medium, bounds, show, kvm=True)
        except MachineFailed as error:
            if error.console:
                raise
            show(f"KVM does not work here ({error.said.strip().partition(chr(10))[0]}): emulated in software\n")
    return _booted(disk, kind, medium, bounds, show, kvm=False)


def _booted(
    disk: BinaryIO, kind: str, medium: bytes, bounds: Bounds, show: Callable[[str], None], *, kvm: bool
) -> tuple[str, str]:
    handle = os.memfd_create("medium")
    with os.fdopen(handle, "wb") as seed:
        seed.write(medium)
        seed.flush()
        fds = (disk.fileno(), handle)
        process = subprocess.Popen(  # noqa: S603 - our own words, and numbers
            command(*(fds[0], kind, fds[1]), bounds, kvm=kvm),
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us
        )
        try:
            return _followed(process, time.monotonic() + bounds.time_s, show)
        finally:
            process.kill()
            process.communicate()


def _followed(process: subprocess.Popen[bytes], until: float, show: Callable[[str], None]) -> tuple[str, str]:
    console, errors = "", ""
    with selectors.DefaultSelector() as ready:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                ready.register(stream, selectors.EVENT_READ)
        try:
            while ready.get_map():
                left = until - time.monotonic()
                if left <= 0:
                    return console, "its time was over"
                for key, _ in ready.select(left):
                    data = os.read(key.fd, 65536)
                    if not data:
                        ready.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        errors = (errors + data.decode(errors="replace"))[-4096:]
                    else:
                        text = data.decode(errors="replace")
                        show(text)
                        console = (console + text)[-_KEPT:]
        except KeyboardInterrupt:
            return console, "it was interrupted"
    if code := process.wait():
        raise MachineFailed(code, errors, console)
    return console, "it powered itself off"


def _room() -> int:
    """Return how large the file may become that has what the guest writes; QEMU makes it in TMPDIR, or here."""
    return min(_WRITTEN, shutil.disk_usage(os.environ.get("TMPDIR", "/var/tmp")).free // 2)  # noqa: S108 - as above


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise ProgramMissing(program)
    return found
