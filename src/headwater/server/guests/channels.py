"""The channels: what ``--listen`` names, and standard input and output."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from headwater.errors import SettingsError
from headwater.server.edge.limits import BACKLOG

_PIECE = 64 << 10  # bytes


class ChannelWrong(SettingsError):
    """``--listen`` names nothing that can be listened on."""

    def __init__(self, channel: str, problem: str) -> None:
        super().__init__(f"--listen {channel}: {problem}")
        self.channel, self.problem = channel, problem


@contextlib.contextmanager
def listening(channel: str) -> Iterator[socket.socket]:
    """Give a socket that listens on ``unix:PATH``, ``vsock:PORT`` or ``vsock:CID:PORT``.

    A UNIX socket is made for our own account alone, and gone in the end; one that nobody listens on is replaced.

    Raises:
        ChannelWrong: It is none of these, or cannot be had; the message says why.
    """
    kind, _, place = channel.partition(":")
    with contextlib.ExitStack() as ends:
        try:
            if kind == "unix" and place:
                bound = _on_path(channel, Path(place))
                ends.callback(Path(place).unlink, missing_ok=True)
            elif kind == "vsock" and place:
                bound = _on_vsock(channel, place)
            else:
                raise ChannelWrong(channel, "say unix:PATH, vsock:PORT or vsock:CID:PORT")
        except OSError as error:
            raise ChannelWrong(channel, error.strerror or str(error)) from error
        yield bound


def _on_path(channel: str, path: Path) -> socket.socket:
    if path.exists() or path.is_symlink():
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ChannelWrong(channel, "something that is no socket is there")
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise ChannelWrong(channel, "another process listens there")
        path.unlink()
    bound = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    new = path.with_name(f".{os.getpid()}")  # who sees the name connects at once, so it comes when that works
    try:
        bound.bind(str(new))
        _ready(bound)
        new.rename(path)
    except OSError:
        bound.close()
        new.unlink(missing_ok=True)
        raise
    finally:
        os.umask(before)
    return bound


def _on_vsock(channel: str, place: str) -> socket.socket:
    words = place.split(":")
    if len(words) > 2 or not all(word.isdecimal() and int(word) < 1 << 32 for word in words):
        raise ChannelWrong(channel, "CID and PORT are numbers below 2^32")
    cid = int(words[0]) if len(words) == 2 else socket.VMADDR_CID_ANY
    bound = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        bound.bind((cid, int(words[-1])))
    except OSError:
        bound.close()
        raise
    return _ready(bound)


def _ready(bound: socket.socket) -> socket.socket:
    bound.listen(BACKLOG)
    bound.setblocking(False)
    return bound


def standard_streams() -> socket.socket:
    """Return the one connection whose bytes come by standard input, and whose answers go to standard output.

    QEMU and inetd give one socket for both, and for errors too: what is logged would stand among the answers, so it is
    dropped. For two pipes, threads carry the bytes, and the process ends with its
    output.
    """
    if stat.S_ISSOCK(os.fstat(0).st_mode) and os.path.sameopenfile(0, 1):
        if os.path.sameopenfile(0, 2):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
        return socket.socket(fileno=os.dup(0))
    ours, theirs = socket.socketpair()
    threading.Thread(target=_carry_in, args=(theirs,), daemon=True).start()
    threading.Thread(target=_carry_out, args=(theirs,), name="standard output").start()
    return ours


def _carry_in(to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(0, _PIECE):
            to.sendall(data)
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_WR)


def _carry_out(source: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            left = memoryview(data)
            while left:
                left = left[os.write(1, left) :]
    with contextlib.suppress(OSError):
        source.shutdown(socket.SHUT_RDWR)  # nobody reads the answers any more
