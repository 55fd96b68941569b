"""The search finds what Juju's rules find that were written a second time, in every feed that can be thought of."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.streams.lookup.search import images_of
from headwater.streams.lookup.source import Resolved
from headwater.streams.lookup.trace import DataNotFound, LookupFailed, Trace
from headwater.streams.lookup.wanted import CloudSpec, ImagesWanted
from headwater.streams.signing.verifying import verify
from unit.streams import juju_lookup as oracle
from unit.streams.keys import OpenKey, open_key
from unit.streams.lookup.sites import Answer, Site, source_of

KEYSTONE = "https://k.example:5000/v3"
PATH = "streams/v1/images"
RELEASES, ARCHES = ("22.04", "24.04"), ("amd64", "arm64")

# What is right comes more often than what is not, so that enough of the feeds have something to find.
regions = st.sampled_from(["RegionOne"] * 6 + ["regionone", "Region One", "RegionTwo"])
endpoints = st.sampled_from([KEYSTONE] * 5 + [f"{KEYSTONE}/", f"{KEYSTONE}//", "https://k.example:5000", ""])
texts = st.sampled_from(["", "kvm", "lxd", "ssd"])
products = st.builds(
    "com.ubuntu.cloud{}:server:{}:{}".format,
    st.sampled_from(["", ".daily"]),
    st.sampled_from(["22.04", "24.04"]),
    st.sampled_from(["amd64", "arm64"]),
)
broken: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}] * 9 + [{"virt": 1}, {"region": None}, {"version": ["22.04"]}]
)


ALL = [
    f"com.ubuntu.cloud{stream}:server:{release}:{arch}"
    for stream in ("", ".daily")
    for release in RELEASES
    for arch in ARCHES
]


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": draw(st.uuids().map(str))}
    for name, values in (("region", regions), ("virt", texts), ("root_store", texts)):
        if draw(st.booleans()):
            facts[name] = draw(values)
    return facts


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Return a products file."""
    names = st.sampled_from(["20260101", "20260101.1", "20260102", "9", "10"])
    versions = st.dictionaries(
        names,
        st.builds(
            lambda above, inside: {**above, "items": inside},
            st.sampled_from([{}, {"region": "RegionOne"}, {"virt": "kvm"}]),
            st.dictionaries(st.sampled_from("abc"), items(), min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=3,
    )
    inside = draw(
        st.dictionaries(products, st.builds(lambda versions: {"versions": versions}, versions), min_size=1, max_size=4)
    )
    for name, product in inside.items():
        *_, product["version"], product["arch"] = name.split(":")
    top: dict[str, Any] = draw(st.sampled_from([{}, {"region": "RegionOne"}, {"virt": "lxd"}]))
    more: dict[str, Any] = draw(broken)
    return {"format": draw(st.sampled_from(["products:1.0"] * 15 + ["index:1.0"])), **top, **more, "products": inside}


@st.composite
def indexes(draw: st.DrawFn, suffix: str) -> dict[str, Any]:
    clouds = st.lists(st.fixed_dictionaries({"region": regions, "endpoint": endpoints}), max_size=2)
    entry = {
        "path": f"{PATH}{suffix}",
        "datatype": draw(st.sampled_from(["image-ids"] * 9 + ["image-downloads"])),
        "clouds": draw(clouds),
        "products": draw(st.just(ALL) | st.lists(products, max_size=4)),
    }
    other = {"path": "streams/v1/other.json", "datatype": "image-downloads"}
    return {
        "format": draw(st.sampled_from(["index:1.0"] * 15 + ["products:1.0"])),
        "index": {"one": entry, **draw(st.sampled_from([{}, {"other": other}]))},
    }


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """Return documents and statuses by path; what is signed is a pair of a document and whether the key is ours."""
    odd = st.sampled_from([404] * 8 + [401, 403, 500, b"<html>log in</html>", b"\xef\xbb\xbf{}"])
    found: dict[str, Any] = {}
    for suffix in (".sjson", ".json"):
        for name in ("index2", "index"):
            found[f"streams/v1/{name}{suffix}"] = draw(indexes(suffix) | indexes(suffix) | odd)
        found[f"streams/v1/mirrors{suffix}"] = draw(st.sampled_from([404] * 6 + [403, {"mirrors": {}}]))
        found[f"{PATH}{suffix}"] = draw(documents() | documents() | documents() | odd)
    return found


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


@given(
    files=sites(),
    region=regions,
    endpoint=endpoints,
    stream=st.sampled_from(["", "released", "daily"]),
    requires_signed=st.booleans(),
)
def test_the_search_finds_what_jujus_rules_find(
    key: OpenKey, files: dict[str, Any], region: str, endpoint: str, stream: str, requires_signed: bool
) -> None:
    site, other = Site(_signed(files, key)), Site(_signed(files, key))
    judge = oracle.Source(
        other.get, lambda body: verify(body, [key.certificate], datetime.now(UTC)), requires_signed=requires_signed
    )
    source = source_of(site, keys=[key.certificate], requires_signed=requires_signed)
    resolved = Resolved("")
    cloud = CloudSpec(region=region, endpoint=endpoint)
    wanted = ImagesWanted(cloud=cloud, releases=RELEASES, arches=ARCHES, stream=stream)
    try:
        expected = oracle.find(judge, oracle.Wanted(region, endpoint, RELEASES, ARCHES, stream))
    except oracle.Absent:
        with pytest.raises(DataNotFound):
            images_of(source, wanted, Trace(""), resolved)
    except oracle.SourceError:
        with pytest.raises(LookupFailed) as failure:
            images_of(source, wanted, Trace(""), resolved)
        assert not isinstance(failure.value, DataNotFound)
    else:
        found = images_of(source, wanted, Trace(""), resolved)
        assert sorted(image.id for image in found) == sorted(expected.ids)
        assert not found or resolved.signed == expected.signed
        for image in expected.images:
            ours = next(each for each in found if each.id == image["id"])
            names = ("region", "version", "arch", "virt", "root_store", "endpoint")
            assert [getattr(ours, name) for name in names] == [image.get(name, "") for name in names]
    assert site.requests == other.requests


def _signed(files: dict[str, Any], key: OpenKey) -> dict[str, Answer]:
    """Sign what is named so, where it is a document."""
    return {
        path: key.signer.sign(json.dumps(body).encode()) if path.endswith(".sjson") and isinstance(body, dict) else body
        for path, body in files.items()
    }
