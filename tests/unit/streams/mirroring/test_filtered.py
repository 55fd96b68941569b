"""What a filtered mirror holds is what a question with the same filters finds in its source, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from headwater.streams.mirroring.mirror import mirror
from headwater.streams.mirroring.wanted import Wanted
from headwater.streams.query.filters import parse_filters
from headwater.streams.query.flattening import Row
from headwater.streams.query.query import query
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import Tree
from unit.streams.query import feeds


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> DirectoryTree:
    directory = tmp_path_factory.mktemp("source")
    feeds.write(directory, ids=feeds.image_ids(), containers=feeds.containers(), boot=feeds.boot_files())
    return DirectoryTree(directory)


def rows(tree: Tree, filters: Sequence[str] = (), most_versions: int | None = None) -> list[Row]:
    found = list(query(tree, filters, most_versions=most_versions))
    for row in found:
        row.pop("item_url", None)
    return found


@pytest.mark.parametrize("most_versions", [None, 1, 2])
@pytest.mark.parametrize(
    "filters",
    [
        [],
        ["arch=amd64"],
        ["region=usee1-long", "root_store=ssd"],
        ["version>=10.04", "version<24.04"],
        ["ftype~(disk|root)", "release=one"],
        ["product_name~:empty$|:amd64"],
        ["item_name=boot-kernel"],
        ["version_name<20250102"],
        ["content_id=images"],
        ["label=candidate"],
        ["size>1000", "size<200000"],
        ["absent=", "arch!=arm64"],
    ],
)
def test_a_filtered_mirror_holds_the_rows_of_the_same_question(
    source: DirectoryTree, tmp_path: Path, filters: list[str], most_versions: int | None
) -> None:
    target = DirectoryTree(tmp_path)
    wanted = Wanted(filters=parse_filters(filters), most_versions=most_versions, metadata_only=True)
    assert mirror(source, target, wanted).is_good
    assert rows(target) == rows(source, filters, most_versions)
