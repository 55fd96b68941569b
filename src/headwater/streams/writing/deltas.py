"""Deltas between two disks or file systems, made by xdelta3, whose output readers apply with it again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from headwater.errors import HeadwaterError, SettingsError
from headwater.streams.format.documents import Item
from headwater.streams.trees.tree import Tree
from headwater.streams.writing.files import Content, pieces_of

PROGRAM = "xdelta3"


class DeltaFailed(HeadwaterError):
    """xdelta3 could not make a delta."""

    def __init__(self, said: str) -> None:
        super().__init__(f"{PROGRAM} made no delta: {said}")
        self.said = said


def made(tree: Tree, base: Item, content: Content, scratch: Path) -> Content:
    """Return what makes ``content`` of the file of an item.

    Raises:
        SettingsError: xdelta3 is not installed.
        DeltaFailed: As it says.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise SettingsError(f"{PROGRAM} is not installed, so no delta can be made; give one that exists with --delta")
    assert base.path is not None
    assert content.file is not None
    old = scratch / "old"
    with old.open("wb") as file:
        for piece in pieces_of(tree, base.path):
            file.write(piece)
    delta = scratch / f"{base.sha256}.vcdiff"
    command = [program, "-e", "-9", "-f", "-s", str(old), str(content.file), str(delta)]
    done = subprocess.run(  # noqa: S603 - a list, no shell; every file is named by us
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    old.unlink()
    if done.returncode:
        raise DeltaFailed(done.stderr.strip()[-500:] or f"it ended with {done.returncode}")
    return Content.of_file(delta)
