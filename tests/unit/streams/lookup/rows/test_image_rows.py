"""What Juju finds of images in one source, row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from headwater.streams.lookup.search import images_of
from headwater.streams.lookup.source import Resolved
from headwater.streams.lookup.trace import DataNotFound, LookupFailed, Trace
from headwater.streams.lookup.wanted import CloudSpec, ImagesWanted
from unit.streams.keys import OpenKey, open_key
from unit.streams.lookup.rows import image_document_rows, image_site_rows
from unit.streams.lookup.rows.image_row import Row
from unit.streams.lookup.sites import URL, Answer, Site, source_of

ROWS = image_site_rows.ROWS + image_document_rows.ROWS


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


def signed(files: Mapping[str, Answer], key: OpenKey) -> dict[str, Answer]:
    """Sign the documents that are named so."""
    return {
        path: key.signer.sign(json.dumps(body).encode())
        if path.endswith(".sjson") and isinstance(body, Mapping)
        else body
        for path, body in files.items()
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_juju_finds(row: Row, key: OpenKey) -> None:
    site = Site(signed(row.files, key))
    keys = [key.certificate] if row.key else []
    source = source_of(site, keys=keys, requires_signed=row.requires_signed)
    wanted = ImagesWanted(
        cloud=CloudSpec(region=row.region, endpoint=row.endpoint),
        releases=row.releases,
        arches=row.arches,
        stream=row.stream,
    )
    trace, resolved = Trace("a site"), Resolved("a site")
    if row.fails:
        with pytest.raises(LookupFailed) as failure:
            images_of(source, wanted, trace, resolved)
        assert row.fails in str(failure.value)
        assert isinstance(failure.value, DataNotFound) == row.absent
    else:
        found = images_of(source, wanted, trace, resolved)
        assert tuple(image.id for image in found) == row.ids
        assert not found or resolved.signed == row.signed
        for name, value in row.facts.items():
            assert getattr(found[0], name) == value
    assert row.told in "\n".join(map(str, trace.steps))
    assert row.index is None or resolved.index_url == f"{URL}/{row.index}"
    assert row.requests is None or tuple(site.requests) == row.requests


def test_the_rows_are_many_and_each_says_where_it_is_from() -> None:
    assert len(ROWS) >= 150
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.source for row in ROWS)
