"""Files of a tree held against what the feed says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from headwater.errors import Invalid, NotFound
from headwater.streams.mirroring.files.fetching import Bad
from headwater.streams.mirroring.files.file import Check, File, WrongFile
from headwater.streams.trees.tree import Tree


def wrong_files(
    tree: Tree, files: Iterable[File], parallel: int, told: Callable[[int], None] = lambda _: None
) -> list[Bad]:
    """Read files to their ends, and return those that are not there or not as the feed says.

    Args:
        told: Is told how many bytes were read, of one file after the other.

    Raises:
        TreeRefused, TreeUnavailable: They cannot be read.
    """
    bad = []
    with ThreadPoolExecutor(parallel, thread_name_prefix="hashing") as pool:
        for file, problem in pool.map(lambda each: (each, _problem(tree, each)), list(files)):
            if problem is not None:
                bad.append(Bad(file, problem))
            told(file.size or 0)
    return bad


def _problem(tree: Tree, file: File) -> str | None:
    check = Check(tree.place, file)
    try:
        with tree.open(file.path) as opened:
            check.require_size(opened.size)
            for piece in opened:
                check.update(piece)
        check.finish()
    except (WrongFile, NotFound, Invalid) as error:
        return str(error)
    return None
