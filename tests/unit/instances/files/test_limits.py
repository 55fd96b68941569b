"""A machine has as many and as large files as Nova's quotas take, and each where it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.instances.errors import InstanceInvalid
from headwater.instances.files.limits import taken
from headwater.instances.model import File
from headwater.instances.service import Description, changed, described
from unit.instances.examples import BARE


def files(*paths: str, data: bytes = b"x") -> tuple[File, ...]:
    return tuple(File(path=path, data=data) for path in paths)


def test_what_is_within_the_limits_keeps_its_order() -> None:
    most = (*files("/z", "/a/b", "/a/c", "/ab"), *files("/" + "d" * 254, data=b"\xff" * 10240))
    assert taken(most) == most
    assert taken(()) == ()
    assert described(Description(name="a", files=most)).files == most
    assert changed(BARE, {"files": most}).files == most


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (files(*["/a", "/b", "/c", "/d", "/e", "/f"]), r"^files: 6 are more than the 5 that one machine may have$"),
        (files("/" + "d" * 255), r"^file path '/d+'…: 256 characters are more than the 255 allowed$"),
        (
            files("/a", data=b"x" * 10241),
            r"^file '/a': 10241 bytes are more than the 10240 that one file may have; let",
        ),
        (files("/a//b"), r"^file path: '/a//b' must name a file"),
        (files("/a/./b"), r"^file path: '/a/./b' must name a file"),
        (files("/a/"), r"^file path: '/a/' must name a file"),
        (files("/"), r"^file path: '/' must name a file"),
        (files("/a/b", "/a"), r"^files: '/a/b' cannot lie in '/a', which is a file as well$"),
        (files("/a", "/a"), r"^file: '/a' is given twice$"),
    ],
    ids=["number", "path", "bytes", "slashes", "dot", "directory", "root", "within", "twice"],
)
def test_what_is_beyond_them_is_refused_with_what_there_is_and_may_be(given: tuple[File, ...], says: str) -> None:
    with pytest.raises(InstanceInvalid, match=says):
        described(Description(name="a", files=given))
    with pytest.raises(InstanceInvalid, match=says):
        changed(BARE, {"files": given})


@pytest.mark.parametrize(
    "path",
    ["", "etc/motd", "/etc/../shadow", "/..", "/a\nb", "/a\0", "/\x7f", "/\u2028", "/\ud800", "C:\\a", " /a"],
    ids=ascii,
)
def test_a_path_that_is_not_absolute_or_leads_elsewhere_is_none(path: str) -> None:
    with pytest.raises(InstanceInvalid, match=r"^file path: "):
        File(path=path, data=b"")


def test_what_is_kept_beyond_the_limits_is_changed_in_other_fields() -> None:
    kept = replace(BARE, files=files(*["/a", "/b", "/c", "/d", "/e", "/f"]))
    assert changed(kept, {"meta": {"a": "1"}}).files == kept.files
