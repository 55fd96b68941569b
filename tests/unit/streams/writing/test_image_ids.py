"""Ids of images, written into a feed and found again as Juju finds them."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.streams.format.documents import Products
from headwater.streams.format.json_objects import MalformedDocument
from headwater.streams.signing.verifying import verify
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathChanged, Tree, TreeRefused
from headwater.streams.writing import feed as feeds
from headwater.streams.writing import image_ids, pruning
from headwater.streams.writing.feed import FeedSigned, NoProducts, PathTaken
from headwater.streams.writing.image_ids import BadImageId, ImageId
from headwater.streams.writing.merging import Place
from unit.streams.juju_lookup import Found, Source, Wanted, find
from unit.streams.keys import OpenKey, open_key
from unit.streams.writing.trees import Killed, MortalTree, fetch_from

KEYSTONE = "https://keystone.example:5000/v3"
DAY, NEXT_DAY = 1_790_000_000_000_000, 1_790_086_400_000_000  # 21 and 22 September 2026
INDEX, INDEX2 = "streams/v1/index.json", "streams/v1/index2.json"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return DirectoryTree(tmp_path)


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


def image(image_id: str, **more: Any) -> ImageId:
    facts: dict[str, Any] = {"region": "RegionOne", "endpoints": (KEYSTONE,), "version": "24.04"}
    return ImageId(id=image_id, **(facts | more))


def add(tree: Tree, *images: ImageId, at: int = DAY, **more: Any) -> Place | None:
    place = None
    for each in images:
        place = feeds.edit(
            tree,
            lambda feed, each=each: image_ids.add(feed, each, clock=lambda: at),  # type: ignore[misc]
            clock=lambda: at,
            **more,
        )
    return place


def juju(tree: Tree, *, arch: str = "amd64", stream: str = "", version: str = "24.04", **where: Any) -> Found:
    wanted = Wanted(where.get("region", "RegionOne"), where.get("endpoint", KEYSTONE), [version], [arch], stream)
    return find(Source(fetch_from(tree), where.get("verify")), wanted)


def test_juju_finds_what_was_added(tree: Tree) -> None:
    spellings = (KEYSTONE, "https://keystone.example:5000", "http://192.0.2.7:5000/v3")
    add(tree, image("one", endpoints=spellings))
    for endpoint in spellings:
        assert juju(tree, endpoint=endpoint).ids == ["one"]


@pytest.mark.parametrize(
    "more",
    [
        {"arch": "arm64"},
        {"stream": "daily"},
        {"version": "22.04"},
        {"region": "RegionTwo"},
        {"region": "RegionTwo", "endpoints": ("https://two.example/v3",)},
    ],
)
def test_what_differs_stands_beside_it(tree: Tree, more: dict[str, Any]) -> None:
    add(tree, image("one"), image("two", **more))
    asked = {name: value for name, value in more.items() if name != "endpoints"}
    if "endpoints" in more:
        asked["endpoint"] = more["endpoints"][0]
    assert juju(tree).ids == ["one"]
    assert juju(tree, **asked).ids == ["two"]


def test_images_of_two_kinds_of_guests_or_disks_are_told_apart(tree: Tree) -> None:
    add(tree, image("one", virt="kvm"), image("two", virt="lxd"), image("three", root_store="ssd"))
    found = juju(tree)
    assert sorted(found.ids) == ["one", "three", "two"]
    assert found.duplicates() == []


def test_a_newer_image_of_the_same_day_takes_the_place_of_the_older(tree: Tree) -> None:
    add(tree, image("one"), image("two"))
    assert juju(tree).ids == ["two"]
    assert '"one"' not in tree.read(image_ids.PRODUCTS_PATH).body.decode()


def test_an_image_of_another_day_is_a_version_more(tree: Tree) -> None:
    add(tree, image("one"))
    add(tree, image("two"), at=NEXT_DAY)
    assert juju(tree).ids == ["two"]
    removed = feeds.edit(tree, lambda feed: image_ids.remove(feed, "two"))
    assert removed == [Place("com.ubuntu.cloud:server:24.04:amd64", "20260922", "two")]
    assert juju(tree).ids == ["one"]


def test_one_id_in_two_regions_is_two_items(tree: Tree) -> None:
    add(tree, image("same"), image("same", region="RegionTwo"))
    assert juju(tree).ids == juju(tree, region="RegionTwo").ids == ["same"]


def test_architectures_have_the_names_that_juju_asks_for(tree: Tree) -> None:
    add(tree, image("one", arch="aarch64"))
    assert juju(tree, arch="arm64").ids == ["one"]


def test_a_region_whose_last_image_goes_leaves_the_index(tree: Tree) -> None:
    add(tree, image("one"), image("two", region="RegionTwo", endpoints=("https://two.example/v3",)))
    feeds.edit(tree, lambda feed: image_ids.remove(feed, "two"))
    clouds = json.loads(tree.read(INDEX).body)["index"][image_ids.CONTENT_ID]["clouds"]
    assert clouds == [{"region": "RegionOne", "endpoint": KEYSTONE}]
    assert feeds.edit(tree, lambda feed: image_ids.remove(feed, "one", region="RegionTwo")) == []
    assert juju(tree).ids == ["one"]


def test_both_indexes_and_mirrors_are_there_and_agree(tree: Tree) -> None:
    add(tree, image("one"))
    assert tree.read(INDEX).body == tree.read(INDEX2).body
    assert json.loads(tree.read("streams/v1/mirrors.json").body) == {"mirrors": {}}


def test_the_same_again_writes_nothing(tree: Tree) -> None:
    add(tree, image("one"))
    before = [entry.tag for entry in tree.list()]
    add(tree, image("one"))
    assert [entry.tag for entry in tree.list()] == before


def test_what_others_wrote_stays(tree: Tree) -> None:
    foreign = {
        "index": {
            "example.org:agents": {
                "path": "agents.json",
                "datatype": "content-download",
                "note": ["kept", None],
                "products": ["x"],
            },
            "example.org:more": {"format": "index:1.0", "path": "streams/v1/more.json"},
        },
        "format": "index:1.0",
        "publisher": {"name": "somebody"},
    }
    products = {
        "zebra": 1,
        "products": {
            "com.ubuntu.cloud:server:24.04:amd64": {
                "supported": True,
                "versions": {"20200101": {"items": {"x": {"id": "x", "region": "Elsewhere", "count": 3}}}},
            },
            "a:foreign:product": {"versions": {}},
        },
    }
    tree.write(INDEX, json.dumps(foreign).encode())
    add(tree, image("one"))
    entries = json.loads(tree.read(INDEX).body)
    tree.write(image_ids.PRODUCTS_PATH, json.dumps(products).encode())
    add(tree, image("two", version="22.04"))
    left = json.loads(tree.read(image_ids.PRODUCTS_PATH).body)
    assert entries["publisher"] == {"name": "somebody"}
    assert list(entries["index"])[:2] == ["example.org:agents", "example.org:more"]
    assert entries["index"]["example.org:agents"] == foreign["index"]["example.org:agents"]  # type: ignore[index]
    assert list(left)[:2] == ["zebra", "products"]
    assert (
        left["products"]["com.ubuntu.cloud:server:24.04:amd64"]
        == products["products"][  # type: ignore[index]
            "com.ubuntu.cloud:server:24.04:amd64"
        ]
    )
    assert "a:foreign:product" in left["products"]


def test_an_index2_that_juju_s_tools_left_alone_does_not_hide_what_is_new(tree: Tree) -> None:
    entry = {"path": "streams/v1/old.json", "datatype": "image-ids", "format": "products:1.0", "products": ["old"]}
    tree.write(INDEX2, json.dumps({"index": {"old": entry}, "format": "index:1.0"}).encode())
    add(tree, image("one"))
    assert list(json.loads(tree.read(INDEX2).body)["index"]) == ["old", image_ids.CONTENT_ID]
    assert juju(tree).ids == ["one"]


def test_pruning_keeps_the_newest_of_each_product(tree: Tree) -> None:
    for day in range(4):
        add(tree, image(f"noble-{day}"), at=DAY + day * (NEXT_DAY - DAY))
    add(tree, image("jammy", version="22.04"))
    gone = feeds.edit(tree, lambda feed: pruning.prune(feed, 2))
    assert [version for _, version in gone] == ["20260922", "20260921"]
    assert juju(tree).ids == ["noble-3"]
    assert juju(tree, version="22.04").ids == ["jammy"]


def test_a_signed_feed_is_signed_throughout(tree: Tree, key: OpenKey) -> None:
    add(tree, image("one"))
    add(tree, image("two", version="22.04"), signer=key.signer)
    found = juju(tree, verify=lambda signed: verify(signed, [key.certificate], datetime.now(UTC)))
    assert (found.ids, found.signed) == (["one"], True)
    assert juju(tree).ids == ["one"]
    with pytest.raises(FeedSigned, match="name the key"):
        add(tree, image("three"))


def test_documents_of_others_are_signed_with_the_index_that_names_them(tree: Tree, key: OpenKey) -> None:
    entry = {"path": "streams/v1/other.json", "format": "products:1.0", "products": []}
    tree.write(INDEX, json.dumps({"index": {"other": entry}, "format": "index:1.0"}).encode())
    tree.write("streams/v1/other.json", b'{"format": "products:1.0", \r\n "products": {}} \n')
    add(tree, image("one"), signer=key.signer)
    signed = verify(tree.read("streams/v1/other.sjson").body, [key.certificate], datetime.now(UTC))
    assert json.loads(signed) == {"format": "products:1.0", "products": {}}


def test_two_who_change_a_feed_at_once_both_stand_in_it(tree: Tree) -> None:
    """Both read the feed; the second writes while the first is still changing it."""

    def change(feed: feeds.Feed) -> Place:
        if not list(tree.list()) or juju(tree).ids == ["before"]:
            add(tree, image("second", version="22.04"))
        return image_ids.add(feed, image("first", virt="kvm"), clock=lambda: DAY)

    add(tree, image("before"))
    feeds.edit(tree, change)
    assert juju(tree, version="22.04").ids == ["second"]
    assert sorted(juju(tree).ids) == ["before", "first"]


def test_who_is_overtaken_each_time_is_told(tree: Tree) -> None:
    kinds = (f"kind-{number}" for number in range(100))

    def change(feed: feeds.Feed) -> None:
        add(tree, image("other", virt=next(kinds)))
        image_ids.add(feed, image("one", virt=next(kinds)), clock=lambda: DAY)

    add(tree, image("before"))
    with pytest.raises(PathChanged):
        feeds.edit(tree, change)


@pytest.mark.parametrize("signed", [False, True])
def test_a_writer_that_is_killed_at_any_write_leaves_a_feed_that_is_read_and_gone_on_with(
    tmp_path: Path, key: OpenKey, signed: bool
) -> None:
    signer = key.signer if signed else None
    check = (lambda text: verify(text, [key.certificate], datetime.now(UTC))) if signed else None
    dies_at = 0
    while True:
        root = tmp_path / str(dies_at)
        add(DirectoryTree(root), image("one"), image("jammy", version="22.04"), signer=signer)
        mortal = MortalTree(root, dies_at)
        try:
            add(mortal, image("two"), at=NEXT_DAY, signer=signer)
        except Killed:
            found = juju(DirectoryTree(root), verify=check)
            assert found.ids in (["one"], ["two"])
            assert found.signed == signed
            add(DirectoryTree(root), image("two"), at=NEXT_DAY, signer=signer)
        assert juju(DirectoryTree(root), verify=check).ids == ["two"]
        assert juju(DirectoryTree(root), version="22.04", verify=check).ids == ["jammy"]
        if mortal.writes < dies_at:
            assert dies_at > (3 if signed else 2)
            return
        dies_at += 1


class _Container(DirectoryTree):
    """What takes no file before it is made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.made = 0

    def write(self, path: str, body: bytes | BinaryIO, **more: Any) -> str:
        if not self.made:
            raise TreeRefused(self.place, "there is no container", 404)
        return super().write(path, body, **more)

    def prepare(self, *, public: bool = False) -> None:
        super().prepare(public=public)
        self.made += 1


def test_a_container_that_is_not_there_is_made_once(tmp_path: Path) -> None:
    tree = _Container(tmp_path / "tree")
    add(tree, image("one"))
    add(tree, image("two", region="Two"))
    assert tree.made == 1
    assert juju(tree).ids == ["one"]


def test_the_first_writer_of_a_feed_that_is_killed_leaves_one_that_is_gone_on_with(tmp_path: Path) -> None:
    for dies_at in range(5):
        root = tmp_path / str(dies_at)
        with contextlib.suppress(Killed):
            add(MortalTree(root, dies_at), image("one"))
        add(DirectoryTree(root), image("two", version="22.04"))
        assert juju(DirectoryTree(root), version="22.04").ids == ["two"]
        add(DirectoryTree(root), image("one"))
        assert juju(DirectoryTree(root)).ids == ["one"]


def test_a_file_of_somebody_else_is_not_written_over(tree: Tree) -> None:
    tree.write(image_ids.PRODUCTS_PATH, b'{"products": {}, "content_id": "theirs"}')
    with pytest.raises(PathTaken, match="holds theirs"):
        add(tree, image("one"))


_IMAGES = st.lists(
    st.builds(
        image,
        st.sampled_from(["a", "b", "c", "d"]),
        version=st.sampled_from(["22.04", "24.04"]),
        arch=st.sampled_from(["amd64", "x86_64", "arm64"]),
        region=st.sampled_from(["one", "two"]),
        virt=st.sampled_from([None, "kvm"]),
        stream=st.sampled_from(["released", "daily"]),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=25)
@given(_IMAGES)
def test_adding_loses_nothing_and_adding_again_changes_nothing(images: list[ImageId]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tree = DirectoryTree(Path(directory))
        add(tree, *images)
        newest = {(each.product, each.region, each.virt): each.id for each in images}
        feed = feeds.read(tree)
        products = feed.products(image_ids.CONTENT_ID)
        assert products is not None
        found = {(place.product, item.region, item.virt): item.id for place, item in image_ids.items(products)}
        assert found == newest
        before = tree.read(image_ids.PRODUCTS_PATH).body
        add(tree, *(each for each in images if newest[each.product, each.region, each.virt] == each.id))
        assert (
            json.loads(tree.read(image_ids.PRODUCTS_PATH).body)["products"].keys()
            == json.loads(before)["products"].keys()
        )
        again = feeds.read(tree).products(image_ids.CONTENT_ID)
        assert again is not None
        assert {item.id for _, item in image_ids.items(again)} == set(newest.values())


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"region": ""}, "region must be specified"),
        ({"endpoints": ()}, "endpoint URL must be specified"),
        ({"endpoints": ("",)}, "endpoint URL must be specified"),
        ({"version": ""}, "version"),
        ({"version": "24:04"}, "version"),
        ({"arch": "a/b"}, "arch"),
        ({"stream": "../x"}, "stream"),
    ],
)
def test_what_no_reader_could_find_is_refused(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadImageId, match=problem):
        image("one", **more)


def _without_products(tree: Tree) -> None:
    tree.delete(image_ids.PRODUCTS_PATH)


def _broken_products(tree: Tree) -> None:
    tree.write(image_ids.PRODUCTS_PATH, b'{"products": []}')


def _broken_index(tree: Tree) -> None:
    tree.write(INDEX, b"<html>")


def _index_of_indexes(tree: Tree) -> None:
    index = json.loads(tree.read(INDEX).body)
    index["index"][image_ids.CONTENT_ID]["format"] = "index:1.0"
    for path in (INDEX, INDEX2):
        tree.write(path, json.dumps(index).encode())


@pytest.mark.parametrize(
    ("broken", "error", "problem"),
    [
        (_without_products, NoProducts, "not there"),
        (_broken_products, MalformedDocument, r"imagemetadata\.json"),
        (_broken_index, MalformedDocument, r"streams/v1/index\.json: top"),
        (_index_of_indexes, NoProducts, "index:1.0"),
    ],
)
def test_a_feed_that_cannot_be_read_is_not_written_over(
    tree: Tree, broken: Callable[[Tree], None], error: type[HeadwaterError], problem: str
) -> None:
    add(tree, image("one"))
    broken(tree)
    before = [(entry.path, entry.tag) for entry in tree.list()]
    with pytest.raises(error, match=problem):
        add(tree, image("two"))
    assert [(entry.path, entry.tag) for entry in tree.list()] == before


def test_two_content_ids_do_not_share_a_file(tree: Tree) -> None:
    add(tree, image("one"))
    for content_id, path in (("a:b", image_ids.PRODUCTS_PATH), ("index", None)):
        with pytest.raises(PathTaken):
            feeds.edit(
                tree,
                lambda feed, name=content_id, path=path: feed.put(  # type: ignore[misc]
                    name, Products(products={}), path=path
                ),
            )


def shaped(tree: Tree, shape: str) -> None:
    """Write a feed of two regions that says where its images are in the way of others."""
    regions = {"a": "RegionOne", "b": "RegionTwo"}
    facts = {name: {"region": region, "endpoint": KEYSTONE} for name, region in regions.items()}
    products: dict[str, Any] = {"format": "products:1.0", "content_id": image_ids.CONTENT_ID, "products": {}}
    product: dict[str, Any] = {"version": "24.04", "arch": "amd64", "versions": {}}
    products["products"]["com.ubuntu.cloud:server:24.04:amd64"] = product
    if shape == "aliases":
        products["_aliases"] = {"crsn": facts}
        items: dict[str, Any] = {name: {"id": f"old-{name}", "crsn": name} for name in regions}
        product["virt"] = "hvm"
    else:
        items = {"a": {"id": "old-a"}}
        product |= facts["a"] | {"root_store": "ssd"}
    product["versions"]["20260921"] = {"items": items}
    entry = {
        "path": image_ids.PRODUCTS_PATH,
        "format": "products:1.0",
        "datatype": "image-ids",
        "clouds": [facts[name] for name in items],
        "products": list(products["products"]),
    }
    index = {"format": "index:1.0", "index": {image_ids.CONTENT_ID: entry}}
    for path, document in ((image_ids.PRODUCTS_PATH, products), (INDEX, index)):
        tree.write(path, json.dumps(document).encode())


@pytest.mark.parametrize(("shape", "more"), [("aliases", {"virt": "hvm"}), ("product", {"root_store": "ssd"})])
def test_an_image_takes_the_place_of_one_whose_region_and_kind_are_told_elsewhere(
    tree: Tree, shape: str, more: dict[str, str]
) -> None:
    shaped(tree, shape)
    add(tree, image("new", **more))
    assert juju(tree).ids == ["new"]
    assert '"old-a"' not in tree.read(image_ids.PRODUCTS_PATH).body.decode()


def test_regions_that_aliases_tell_stay_in_the_index(tree: Tree) -> None:
    def clouds() -> list[str]:
        return [each["region"] for each in json.loads(tree.read(INDEX).body)["index"][image_ids.CONTENT_ID]["clouds"]]

    shaped(tree, "aliases")
    add(tree, image("new", virt="kvm"))
    assert clouds() == ["RegionOne", "RegionTwo"]
    assert feeds.edit(tree, lambda feed: image_ids.remove(feed, "old-b", region="RegionTwo"))
    assert clouds() == ["RegionOne"]
    feeds.edit(tree, lambda feed: image_ids.remove(feed, "new"))
    assert clouds() == ["RegionOne"]
