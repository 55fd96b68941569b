"""What names a tree, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.errors import SettingsError
from headwater.streams.trees.opening import Access, opened

KEYSTONE = {"OS_AUTH_URL": "http://127.0.0.1:1", "OS_USERNAME": "u", "OS_PASSWORD": "secret", "OS_PROJECT_NAME": "p"}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("/srv/feeds/", "/srv/feeds"),
        ("file:///srv/my%20feeds", "/srv/my feeds"),
        ("file://localhost/srv", "/srv"),
        ("https://user:secret@example.org/feeds/", "https://example.org/feeds"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("swift://simplestreams/data", "swift://simplestreams/data"),
    ],
)
def test_a_name_opens_its_tree(name: str, place: str) -> None:
    tree = opened(name, environment=KEYSTONE)
    assert tree.place == place
    tree.close()


def test_a_relative_directory_is_below_the_present_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [opened(name).place for name in ("feeds", "", ".")] == [
        str(tmp_path / "feeds"),
        str(tmp_path),
        str(tmp_path),
    ]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ftp://example.org/", "a tree is a directory"),
        ("file://example.org/feeds", "three slashes"),
        ("s3:///prefix", "name a bucket"),
        ("swift://", "name a container"),
        ("https://", "give http"),
        ("https://example.org/?token=secret", "nothing more"),
        ("swift://container", "OS_AUTH_URL is not set"),
    ],
)
def test_what_names_no_tree_is_refused_with_what_to_write(name: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as refused:
        opened(name, environment={})
    assert "secret" not in str(refused.value)


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.pem"):
        opened("https://example.org", Access(cafile=tmp_path / "none.pem"))
