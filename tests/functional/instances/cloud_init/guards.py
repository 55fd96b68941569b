"""Ends the process at the first thing that reading metadata has no reason to do.

A connection that leaves loopback, a look-up of a name, another program, or a change outside one
directory ends it with status 3 and says on standard error what it was. Python's audit events see all
of these, whichever library asks.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Any

_STARTS_A_PROGRAM = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
_CHANGES_FILES = {"os.mkdir": 1, "os.remove": 1, "os.rename": 2, "os.rmdir": 1, "os.chmod": 1, "os.symlink": 2}


class Guards:
    """Watch over this process from now on; it may change files in ``playground`` only."""

    def __init__(self, playground: Path) -> None:
        self.playground = playground.resolve()
        sys.addaudithook(self.see)

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            address = arguments[1]
            if not isinstance(address, tuple) or not ipaddress.ip_address(address[0]).is_loopback:
                self.end(f"connects to {address}")
        elif event == "socket.getaddrinfo":
            if not _is_address(arguments[0]):
                self.end(f"asks for the address of {arguments[0]}")
        elif event in _STARTS_A_PROGRAM:
            self.end(f"starts a program: {arguments}")
        elif event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or flags & (os.O_WRONLY | os.O_RDWR)
            if writes and not self.may_write(path):
                self.end(f"writes {path}")
        elif event in _CHANGES_FILES:
            paths, directory = arguments[: _CHANGES_FILES[event]], arguments[-1]
            if not all(self.may_write(path, directory) for path in paths):
                self.end(f"changes {arguments}")

    def may_write(self, path: object, directory: int = -1) -> bool:
        """Whether a path is in the playground; it may be relative to an open directory."""
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a descriptor that was opened under these eyes
        text = os.fsdecode(path)
        if directory >= 0:
            text = str(Path(f"/proc/self/fd/{directory}").readlink() / text)
        return text == os.devnull or "__pycache__" in text or Path(text).resolve().is_relative_to(self.playground)

    @staticmethod
    def end(deed: str) -> None:
        sys.stderr.write(f"cloud-init {deed}\n")
        sys.stderr.flush()
        os._exit(3)


def _is_address(host: object) -> bool:
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True
