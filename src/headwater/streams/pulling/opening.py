"""From the settings to the trees that are served."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.caching.directory import KeptFiles
from headwater.caching.fills import Fills
from headwater.errors import SettingsError
from headwater.fetching.fetcher import Fetcher
from headwater.streams.pulling.documents import Documents
from headwater.streams.pulling.pulled import PulledTree, Tally
from headwater.streams.pulling.records import Records
from headwater.streams.pulling.remote import RemoteFeed
from headwater.streams.pulling.served_documents import Signs
from headwater.streams.settings import StreamsSettings
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.opening import opened
from headwater.streams.trees.served.file import ServedTree
from headwater.streams.trees.served.settings import TreeSettings
from headwater.streams.trees.served.stored import served
from headwater.threads import Pool

if TYPE_CHECKING:
    from pysequoia import Cert

    from headwater.streams.trees.tree import Tree

AGENTS = "agents"  # the name of the tree at /tools, for metrics and the log


class Silent:
    """Counts nothing: for commands, which have nobody who asks."""

    def pulled(self, tree: str, what: str) -> None:
        """Do nothing."""

    def pulled_bytes(self, tree: str, count: int) -> None:
        """Do nothing."""

    def pulled_size(self, tree: str, size: int) -> None:
        """Do nothing."""


def open_trees(
    settings: StreamsSettings, data_dir: Path, pool: Pool, tally: Tally
) -> tuple[Mapping[str, ServedTree], ServedTree]:
    """Return the trees of the settings by name, and that of Juju's agents.

    Args:
        pool: Threads that fetch files.

    Raises:
        SettingsError: One of them cannot be.
    """

    def tree_of(name: str, tree: TreeSettings) -> ServedTree:
        if tree.url is not None:
            return served(name, _named(name, tree.url, data_dir))
        return open_pulled(name, settings, data_dir, pool=pool, tally=tally)

    agents = settings.agents or str(data_dir / "streams" / "agents")
    return {name: tree_of(name, tree) for name, tree in settings.trees.items()}, served(AGENTS, opened(agents))


def check_tree_files(settings: StreamsSettings, data_dir: Path) -> Iterator[Callable[[], None]]:
    """Yield what opens the files that each tree needs, and makes nothing.

    Each raises ``SettingsError`` where ``check_trees`` would, for all but the directories of trees that are pulled.
    """

    def look(name: str, tree: TreeSettings) -> None:
        if tree.url is not None:
            _named(name, tree.url, data_dir).close()
            return
        Fetcher(tree.fetch)
        _trusted(tree)
        if tree.resign:
            _signer(settings)

    for name, tree in settings.trees.items():
        yield partial(look, name, tree)


def check_trees(settings: StreamsSettings, data_dir: Path) -> None:
    """Return when all trees can be served as the settings say; no server is asked.

    Raises:
        SettingsError: One of them cannot.
    """
    trees, agents = open_trees(settings, data_dir, Pool("check", 1), Silent())
    for tree in (*trees.values(), agents):
        tree.close()


def open_pulled(
    name: str,
    settings: StreamsSettings,
    data_dir: Path,
    *,
    pool: Pool,
    tally: Tally,
    clock: Callable[[], float] = time.time,
) -> PulledTree:
    """Return a tree that is pulled.

    Raises:
        SettingsError: There is none of this name, or its directory, its keys or certificates cannot be used.
    """
    tree = settings.trees.get(name)
    if tree is None or tree.pull_through is None:
        known = ", ".join(each for each, found in settings.trees.items() if found.pull_through) or "there is none"
        raise SettingsError(
            f"the settings have no tree {name!r} with 'pull_through' in [streams.trees.NAME]; those that are: {known}"
        )
    setting = f"section [streams.trees.{name}], key 'directory'"
    directory = tree.directory or data_dir / "streams" / "pulled" / name
    kept = KeptFiles(directory, tree.max_size, setting=setting, resumes=True)
    proof = None if tree.authorization is None else tree.authorization.get_secret_value()
    remote = RemoteFeed(tree.pull_through, Fetcher(tree.fetch), authorization=proof)
    trusted = _trusted(tree)
    believed = [tree.pull_through, *sorted(str(each.fingerprint) for each in trusted or ())]
    # What came from elsewhere, or was verified with other keys, is not known here.
    kind = hashlib.sha256("\n".join(believed).encode()).hexdigest()[:16]
    documents = Documents(
        name,
        remote,
        Records(directory / "documents" / kind, setting),
        trusted=trusted,
        max_age_s=tree.max_age_s,
        clock=clock,
        tally=tally,
    )
    return PulledTree(
        name,
        remote,
        documents,
        kept,
        lambda counts: Fills(kept, pool, counts, queues=True),
        signer=_signer(settings) if tree.resign else None,
        clock=clock,
        tally=tally,
    )


def _named(name: str, url: str, data_dir: Path) -> Tree:
    found = opened(url)
    if isinstance(found, DirectoryTree) and data_dir.resolve().is_relative_to(found.root.resolve()):
        raise SettingsError(
            f"section [streams.trees.{name}], key 'url': {url} holds the directory of data {data_dir}, "
            "which nobody else may read; name a directory of its own"
        )
    return found


def _trusted(tree: TreeSettings) -> list[Cert] | None:
    if tree.keyring is None:
        return None
    from headwater.streams.signing.certificates import certificates  # noqa: PLC0415 - OpenPGP loads for long

    return certificates(tree.keyring)


def _signer(settings: StreamsSettings) -> Signs:
    from headwater.streams.signing.signer import Signer  # noqa: PLC0415 - as above

    assert settings.signing_key is not None  # the settings were checked
    return Signer.load(settings.signing_key, settings.signing_key_password)
