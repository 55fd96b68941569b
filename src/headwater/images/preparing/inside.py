"""Look into a disk, and change it, with libguestfs: a program of its own for the distribution's Python.

    python3 -I inside.py DIRECTORY

reads ``request.json`` in the directory, writes what it finds to ``seen.json``, and, when the disk may be written, waits
for ``steps.json``, does these, and writes ``done.json``. It knows nothing of Headwater: what to read, and what to do,
it is told. File systems are mounted in libguestfs's own machine, so that this host's kernel parses nothing of the disk.
No hash of a password leaves this program.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TEXT = 256 << 10  # bytes of one file
_TEXTS = 300  # files
_FOUND = 300  # paths that one pattern finds
_INITRAMFS = 256 << 20  # bytes
_SHADOW = 1 << 20  # bytes
_KERNELS = 16
_FILE_SYSTEMS = 16
_TROUBLES, _SENTENCE = 50, 500  # how many are told of, and in how many letters
_MEMORY_MIB = 768
_LOOK_EVERY_S = 0.1
_RPM_KEYS = "/etc/pki/rpm-gpg/*"
# What the binding raises: the second where something on the disk has a name that is no text.
FAILED = (RuntimeError, UnicodeError)


class Guest:
    """The disk in libguestfs's machine."""

    def __init__(self, handle: Any, request: dict[str, Any]) -> None:
        self._handle = handle
        self._request = request
        self._directory = Path(sys.argv[1])
        self._troubles: list[str] = []

    def look(self) -> dict[str, Any]:
        """Return what is on the disk; the system that was found stays mounted."""
        file_systems = self._handle.list_filesystems()
        boot: dict[str, list[str]] = {}
        for device in list(file_systems)[:_FILE_SYSTEMS]:
            found = self._loaders(device)
            if found:
                boot[device] = found
        roots = self._handle.inspect_os()
        systems = [self._system(root) for root in roots]
        if roots:
            self._mount(roots[0])
        return {
            "file_systems": file_systems,
            "loaders": boot,
            "systems": systems,
            **(self.gathered() if roots else {}),
            "troubles": self._troubles,
        }

    def gathered(self) -> dict[str, Any]:
        """Return what the mounted system holds of what was asked for."""
        texts: dict[str, str] = {}
        for pattern in self._request["texts"]:
            for path in self._paths(pattern):
                if len(texts) < _TEXTS and path not in texts:
                    text = self._text(path)
                    if text is not None:
                        texts[path] = text
        present = [path for pattern in self._request["present"] for path in self._paths(pattern)]
        return {"texts": texts, "present": present, "accounts": self._accounts(), "kernels": self._kernels()}

    def do(self, step: list[str]) -> None:
        """Do one thing; what it is stands first."""
        what, *words = step
        if what == "write":
            path, text = words
            self._handle.write(path, text.encode())  # the file is there, and keeps its mode and owner
        elif what == "remove":
            self._handle.rm_rf(words[0])
        elif what == "install":
            self._install(words[0])
        else:
            raise ValueError(what)

    def _trouble(self, sentence: str) -> None:
        if len(self._troubles) < _TROUBLES:
            self._troubles.append(sentence[:_SENTENCE])

    def _install(self, kind: str) -> None:
        handle, place = self._handle, "/var/tmp/headwater-packages"  # noqa: S108 - in the guest
        handle.mkdir_p(place)
        policy = "/usr/sbin/policy-rc.d"  # by which dpkg's scripts learn that no service may start
        mine = kind == "deb" and not handle.exists(policy)
        try:
            names = []
            for package in sorted((self._directory / "packages").iterdir()):
                handle.upload(str(package), f"{place}/{package.name}")
                names.append(f"{place}/{package.name}")
            if mine:
                handle.write(policy, b"#!/bin/sh\nexit 101\n")
                handle.chmod(0o755, policy)
            if kind == "deb":
                self._install_with_dpkg(names)
            else:
                self._install_with_rpm(names)
        finally:
            if mine:
                handle.rm_f(policy)
            handle.rm_rf(place)

    def _install_with_dpkg(self, names: list[str]) -> None:
        """Install packages of which some have to be whole before others are unpacked (``Pre-Depends``)."""
        dpkg = ["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confold"]
        before = ""
        while True:
            errors = []
            for words in (["--skip-same-version", "--install", *names], ["--configure", "--pending"]):
                try:
                    self._handle.command([*dpkg, *words])
                except FAILED as error:
                    errors.append(error)
            if not errors:
                return
            said = "".join(map(str, errors))
            if said == before:
                raise errors[-1]
            before = said

    def _install_with_rpm(self, names: list[str]) -> None:
        """Install packages; where rpm asks for signatures, the keys that lie in the guest for its sources count."""
        command = ["rpm", "--upgrade", "--replacepkgs", *names]
        try:
            self._handle.command(command)
        except FAILED as error:
            keys = self._paths(_RPM_KEYS) if "NOKEY" in str(error) else []
            if not keys:
                raise
            with contextlib.suppress(*FAILED):  # of several keys some; the second attempt tells
                self._handle.command(["rpm", "--import", *keys])
            self._handle.command(command)

    def _loaders(self, device: str) -> list[str]:
        handle = self._handle
        try:
            handle.mount_ro(device, "/")
        except FAILED:
            return []  # swap, or part of something else
        try:
            return [path for pattern in self._request["loaders"] for path in self._paths(pattern)]
        finally:
            handle.umount_all()

    def _system(self, root: str) -> dict[str, Any]:
        handle = self._handle
        numbers = [
            self._told(ask, root) for ask in (handle.inspect_get_major_version, handle.inspect_get_minor_version)
        ]
        return {
            "root": root,
            "type": self._told(handle.inspect_get_type, root),
            "distribution": self._told(handle.inspect_get_distro, root),
            "product": self._told(handle.inspect_get_product_name, root),
            "version": "unknown" if "unknown" in numbers else ".".join(numbers),
            "architecture": self._told(handle.inspect_get_arch, root),
            "packages": self._told(handle.inspect_get_package_format, root),
        }

    def _told(self, ask: Callable[[str], Any], root: str) -> str:
        """Return what libguestfs has found out of a system, as text; ``unknown`` where it cannot say it."""
        try:
            return str(ask(root))
        except FAILED as error:
            self._trouble(f"not all is told of the system on {root}: {error}")
            return "unknown"

    def _mount(self, root: str) -> None:
        handle = self._handle
        mount = handle.mount if self._request["write"] else handle.mount_ro
        mount(root, "/")  # whatever its fstab says
        places = handle.inspect_get_mountpoints(root)
        for place in sorted(set(places) - {"/"}, key=len)[:_FILE_SYSTEMS]:
            try:
                mount(places[place], place)
            except FAILED as error:
                self._trouble(f"{places[place]} could not be mounted at {place}: {error}")

    def _paths(self, pattern: str) -> list[str]:
        try:
            found: list[str] = self._handle.glob_expand(pattern, directoryslash=False)
        except FAILED as error:
            self._trouble(f"{pattern} was not looked for: {error}")
            return []
        return found[:_FOUND]

    def _text(self, path: str) -> str | None:
        handle = self._handle
        try:
            if not handle.is_file(path, True):
                return None
            if handle.filesize(path) > _TEXT:
                self._trouble(f"{path} was not read: it has more than {_TEXT} bytes")
                return None
            data: bytes = handle.pread(path, _TEXT, 0)
        except FAILED as error:
            self._trouble(f"{path} was not read: {error}")
            return None
        return data.decode("utf-8", "replace")

    def _accounts(self) -> dict[str, str]:
        """Return who may log in with a password (``set``), or without one (``empty``)."""
        handle = self._handle
        found: dict[str, str] = {}
        try:
            if not handle.is_file("/etc/shadow", True):
                return {}
            lines = handle.pread("/etc/shadow", _SHADOW, 0).decode("utf-8", "replace").splitlines()
        except FAILED as error:
            self._trouble(f"/etc/shadow was not read: {error}")
            return {}
        for line in lines:
            name, _, rest = line.partition(":")
            secret = rest.partition(":")[0]
            if ":" in line and secret[:1] not in ("!", "*", "x"):
                found[name] = "set" if secret else "empty"
        return found

    def _kernels(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for path in self._paths("/lib/modules/*")[-_KERNELS:]:
            version = path.rstrip("/").rpartition("/")[2]
            files = {"builtin": f"{path.rstrip('/')}/modules.builtin", "modules": f"{path.rstrip('/')}/modules.dep"}
            found[version] = {name: self._virtio(file) for name, file in files.items()}
            for place in (f"/boot/initrd.img-{version}", f"/boot/initramfs-{version}.img", f"/boot/initrd-{version}"):
                if self._is_file(place):
                    found[version]["initramfs"] = place
        return found

    def _is_file(self, path: str) -> bool:
        try:
            return bool(self._handle.is_file(path, True))
        except FAILED as error:
            self._trouble(f"{path} was not read: {error}")
            return False

    def _virtio(self, file: str) -> list[str]:
        try:
            if not self._handle.is_file(file, True):
                return []
            found: list[str] = self._handle.grep("virtio_", file)
        except FAILED as error:
            self._trouble(f"{file} was not read: {error}")
            return []
        return found[:_FOUND]

    def fetch_initramfs(self, path: str) -> None:
        """Write the initial RAM disk of a kernel to the directory, as ``initramfs``."""
        try:
            if self._handle.filesize(path) <= _INITRAMFS:
                self._handle.download(path, str(self._directory / "initramfs"))
        except FAILED as error:
            self._trouble(f"{path} was not read: {error}")


def _opened(request: dict[str, Any]) -> Any:
    import guestfs  # type: ignore[import-not-found] # noqa: PLC0415 - of the distribution's Python only

    handle = guestfs.GuestFS(python_return_dict=True)
    handle.set_backend("direct")
    handle.set_network(False)
    handle.set_memsize(_MEMORY_MIB)
    handle.add_drive_opts(request["disk"], format=request["format"], readonly=not request["write"])
    handle.launch()
    return handle


def _say(directory: Path, name: str, document: object) -> None:
    """Write a file that is there whole or not at all."""
    part = directory / f"{name}.part"
    part.write_text(json.dumps(document))
    part.rename(directory / name)


def _steps(directory: Path) -> list[dict[str, Any]]:
    file = directory / "steps.json"
    while not file.exists():  # who started this ends it when it has waited long enough
        time.sleep(_LOOK_EVERY_S)
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found


def main() -> None:
    """Do what the request says; what libguestfs cannot do ends it with one line on standard error."""
    try:
        _serve(Path(sys.argv[1]))
    except FAILED as error:
        sys.exit(str(error).partition("\n")[0])


def _serve(directory: Path) -> None:
    request = json.loads((directory / "request.json").read_text())
    handle = _opened(request)
    guest = Guest(handle, request)
    seen = guest.look()
    versions = sorted(seen.get("kernels", {}), key=_as_numbers)
    if versions and "initramfs" in seen["kernels"][versions[-1]]:
        guest.fetch_initramfs(seen["kernels"][versions[-1]]["initramfs"])
    seen["newest_kernel"] = versions[-1] if versions else None
    _say(directory, "seen.json", seen)
    if request["write"]:
        failed = done(guest, _steps(directory))
        handle.sync()
        _say(directory, "done.json", {"failed": failed, "after": {**seen, **guest.gathered()}})
    handle.shutdown()
    handle.close()


def done(guest: Guest, steps: list[dict[str, Any]]) -> dict[str, str]:
    """Do steps in their order, and return why those were not done that were not, by name."""
    failed: dict[str, str] = {}
    for step in steps:
        if step["needs"] in failed:
            failed[step["name"]] = f"it needs {step['needs']}, which was not done"
            continue
        try:
            for each in step["does"]:
                guest.do(each)
        except FAILED as error:
            failed[step["name"]] = _in_one_line(str(error))
    return failed


def _in_one_line(said: str) -> str:
    """Return what a program said without its warnings; of much the end, where programs say why they gave up."""
    lines = [line.strip() for line in said.splitlines()]
    told = "; ".join(line for line in lines if line and not line.startswith("warning:")) or said.strip()
    told = told.replace(":; ", ": ")
    return told if len(told) <= _SENTENCE else f"… {told[-_SENTENCE:]}"


def _as_numbers(version: str) -> list[tuple[int, str]]:
    parts, word = [], ""
    for letter in version + "-":
        if word and letter.isdigit() != word[-1].isdigit():
            parts.append((int(word), "") if word.isdigit() else (-1, word))
            word = ""
        word += letter
    return parts


if __name__ == "__main__":
    main()
