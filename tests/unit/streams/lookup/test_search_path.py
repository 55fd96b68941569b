"""Which sources there are, in which order, and what stands in Keystone's catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pysequoia
import pytest

from headwater.streams.lookup.search_path import MetadataDirectoryNotFound, SearchPath, endpoint_of, user_url
from headwater.streams.trees.opening import Access


def service(kind: str, *endpoints: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "type": kind,
        "endpoints": [{"interface": face, "region_id": region, "url": url} for face, region, url in endpoints],
    }


CATALOGUE = [
    service("product-streams", ("internal", "RegionOne", "http://inside"), ("public", "RegionOne", "http://images")),
    service("juju-tools", ("public", "RegionOne", "http://tools")),
]


def test_images_are_looked_for_in_jujus_order(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = SearchPath(
        user_url="https://user.example/images", metadata_source=tmp_path, catalogue=CATALOGUE, region="RegionOne"
    )
    sources, left_out = path.images()
    assert [(each.description, each.url, each.priority, each.requires_signed) for each in sources] == [
        ("image-metadata-url", "https://user.example/images", 20, False),
        ("bootstrap metadata", f"file://{tmp_path}/images", 50, False),
        ("keystone catalog", "http://images", 20, False),
        ("default ubuntu cloud images", "http://cloud-images.ubuntu.com/releases", 10, True),
    ]
    assert left_out == []


def test_agents_are_looked_for_in_jujus_order() -> None:
    path = SearchPath(user_url="/srv/tools", catalogue=CATALOGUE, region="RegionOne")
    sources, _ = path.agents()
    assert [(each.description, each.url, each.priority, each.requires_signed) for each in sources] == [
        ("agent-metadata-url", "file:///srv/tools", 20, False),
        ("keystone catalog", "http://tools", 20, False),
        ("default simplestreams", "https://streams.canonical.com/juju/tools", 10, True),
    ]


def test_a_directory_of_metadata_takes_the_place_of_the_public_agents(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    [source], _ = SearchPath(metadata_source=tmp_path).agents()
    assert (source.description, source.url, source.requires_signed) == (
        "default simplestreams",
        f"file://{tmp_path}/tools",
        False,
    )


@pytest.mark.parametrize(
    ("stream", "url"), [("", "releases"), ("released", "releases"), ("daily", "daily"), ("mine", "mine")]
)
def test_the_public_images_stand_at_their_stream(stream: str, url: str) -> None:
    [source], _ = SearchPath().images(stream)
    assert source.url == f"http://cloud-images.ubuntu.com/{url}"


def test_what_is_left_out_is_told() -> None:
    sources, left_out = SearchPath(defaults=False, catalogue=[], region="R").images()
    assert sources == []
    assert [(step.source, step.why) for step in left_out] == [
        ("image-metadata-url", "not set"),
        ("bootstrap metadata", "not given"),
        ("keystone catalog", "there is no public endpoint of the type product-streams for 'R'"),
        ("default ubuntu cloud images", "image-metadata-defaults-disabled is set"),
    ]


def test_only_the_users_and_the_public_sources_have_keys() -> None:
    user, public = (pysequoia.Tsk.generate("A key <a@example.test>").extract_certificate() for _ in range(2))
    path = SearchPath(user_url="/srv", catalogue=CATALOGUE, region="RegionOne", keys=[user], public_keys=[public])
    assert [list(each.keys) for each in path.images()[0]] == [[user], [], [public]]
    # There is no key of the user for agents: what is signed privately never verifies.
    assert [list(each.keys) for each in path.agents()[0]] == [[public], [], [public]]


@pytest.mark.parametrize(
    ("catalogue", "region", "url"),
    [
        ([service("product-streams", ("public", "RegionOne", "u"))], "RegionOne", "u"),
        ([service("product-streams", ("public", "One", "u"))], "RegionOne", "u"),
        ([service("product-streams", ("public", "RegionOne", "u"))], "One", None),
        ([service("product-streams", ("public", "regionone", "u"))], "RegionOne", None),
        ([service("product-streams", ("internal", "RegionOne", "u"))], "RegionOne", None),
        ([service("product-streams", ("admin", "RegionOne", "u"))], "RegionOne", None),
        ([service("image-stream", ("public", "RegionOne", "u"))], "RegionOne", None),
        ([service("product-streams")], "RegionOne", None),
        ([], "RegionOne", None),
        (
            [
                service("product-streams", ("public", "RegionOne", "first")),
                service("product-streams", ("public", "RegionOne", "last")),
            ],
            "RegionOne",
            "last",
        ),
        (
            [service("product-streams", ("public", "RegionOne", "first")), service("product-streams")],
            "RegionOne",
            None,
        ),
        (
            [service("product-streams", ("public", "RegionTwo", "two"), ("public", "RegionOne", "one"))],
            "RegionOne",
            "one",
        ),
    ],
)
def test_the_endpoint_of_the_catalogue(catalogue: list[dict[str, Any]], region: str, url: str | None) -> None:
    assert endpoint_of(catalogue, "product-streams", region) == url


@pytest.mark.parametrize(
    ("name", "inside", "images", "tools"),
    [
        ("meta", ("images", "tools"), "meta/images", "meta/tools"),
        ("meta", ("images",), "meta/images", None),
        ("meta", (), None, None),
        ("images", ("streams",), "images", None),
        ("tools", ("streams",), None, "tools"),
    ],
)
def test_where_a_directory_of_metadata_has_what(
    tmp_path: Path, name: str, inside: tuple[str, ...], images: str | None, tools: str | None
) -> None:
    for each in inside:
        (tmp_path / name / each).mkdir(parents=True)
    (tmp_path / name).mkdir(exist_ok=True)
    path = SearchPath(metadata_source=tmp_path / name, defaults=False)
    for kind, sources in ((images, path.images()[0]), (tools, path.agents()[0])):
        assert [source.url for source in sources] == ([] if kind is None else [f"file://{tmp_path}/{kind}"])


def test_a_directory_that_is_not_there_is_refused_in_jujus_words(tmp_path: Path) -> None:
    with pytest.raises(MetadataDirectoryNotFound, match=f"simplestreams metadata source: {tmp_path}/no not found"):
        SearchPath(metadata_source=tmp_path / "no").images()


def test_what_would_end_a_url_in_a_path_is_escaped(tmp_path: Path) -> None:
    for name in ("a#b", "a?b", "a%41b"):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "file").write_bytes(b"here")
        [source], _ = SearchPath(user_url=str(directory), defaults=False).images()
        assert source.open_tree(source.url).read("file").body == b"here"


def test_urls_stay_as_they_are() -> None:
    for url in ("http://a/b", "https://a/b/", "file:///a", "s3://bucket/x", "swift://container"):
        assert user_url(url) == url


def test_the_public_source_proves_itself_whatever_the_switch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        "headwater.streams.lookup.search_path.opened", lambda url, access: asked.append((url, access.verify))
    )
    path = SearchPath(user_url="https://user", access=Access(verify=False))
    for source in path.images()[0]:
        source.open_tree(source.url)
    assert asked == [("https://user", False), ("http://cloud-images.ubuntu.com/releases", True)]
