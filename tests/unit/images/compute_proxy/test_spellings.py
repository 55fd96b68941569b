"""What is left of a path as old clients write it."""

from __future__ import annotations

import pytest

from headwater.images.compute_proxy.http.spellings import plain


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/images", "/images"),
        ("/a//images/1/metadata", "/a/images/1/metadata"),
        ("//images///1", "/images/1"),
        ("/images/1//metadata//k", "/images/1/metadata/k"),
        ("/images.json", "/images"),
        ("/a/images/1/metadata.json", "/a/images/1/metadata"),
        ("/images/1/metadata/a//b.json", "/images/1/metadata/a//b.json"),
        ("/images/1/metadata/", "/images/1/metadata/"),
        ("/images/1/metadata/k/metadata//b", "/images/1/metadata/k/metadata//b"),
        ("", ""),
    ],
)
def test_slashes_are_single_and_a_format_is_left_out_but_keys_stay(written: str, meant: str) -> None:
    assert plain(written) == meant
