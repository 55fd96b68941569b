"""What Juju asks a site for, and what it makes of the answers: files, statuses, signatures, clouds of the index."""

from __future__ import annotations

import json

from unit.streams.lookup.feeds import (
    IMAGES,
    INDEX,
    INDEX2,
    KEYSTONE,
    MIRRORS,
    NOBLE,
    SIGNED,
    SIGNED2,
    SIGNED_MIRRORS,
    clouds,
    entry,
    images,
    index,
    product,
)
from unit.streams.lookup.rows.image_row import GOOD, SIGNED_SITE, Row

ROWS = [
    # --- Which file is asked for, and when ------------------------------------------------------
    Row(
        name="only index.json: the signed names come first",
        source="3.2 request sequence",
        files={INDEX: index(), IMAGES: images()},
        index=INDEX,
        requests=(SIGNED2, SIGNED, INDEX2, INDEX, MIRRORS, IMAGES),
    ),
    Row(
        name="only index.sjson",
        source="3.2 request sequence",
        files={SIGNED: SIGNED_SITE[SIGNED2], "streams/v1/images.sjson": SIGNED_SITE["streams/v1/images.sjson"]},
        ids=("signed-id",),
        signed=True,
        index=SIGNED,
        requests=(SIGNED2, SIGNED, SIGNED_MIRRORS, "streams/v1/images.sjson"),
    ),
    Row(name="index2 before index", source="3.2 step 1", files={**GOOD, INDEX: index(entry(path="x"))}, index=INDEX2),
    Row(
        name="signed before unsigned",
        source="3.2 step 1",
        files={**SIGNED_SITE, **GOOD},
        ids=("signed-id",),
        signed=True,
        index=SIGNED2,
    ),
    Row(
        name="an index2 without images hides a good index",
        source="3.2 consequences",
        files={INDEX2: index(entry(datatype="image-downloads")), INDEX: index(), IMAGES: images()},
        fails='"image-ids" data not found',
        absent=True,
    ),
    Row(
        name="a signed index2 without images leads to the unsigned one, not to the signed index",
        source="3.2 step 9",
        files={SIGNED2: index(entry(datatype="x")), SIGNED: SIGNED_SITE[SIGNED2], **GOOD},
        index=INDEX2,
    ),
    Row(
        name="a signed index that names an unsigned file falls back",
        source="3.2 consequences",
        files={SIGNED2: index(), **GOOD},
        index=INDEX2,
        told="no PGP signature embedded in plain text data",
    ),
    Row(
        name="and fails where signatures are required",
        source="3.2 step 9",
        files={SIGNED2: index(), **GOOD},
        requires_signed=True,
        fails="no PGP signature embedded in plain text data",
    ),
    Row(
        name="no unsigned name is asked for where signatures are required",
        source="3.2 step 9",
        files=GOOD,
        requires_signed=True,
        fails="streams/v1/index.sjson",
        absent=True,
        requests=(SIGNED2, SIGNED),
    ),
    Row(
        name="a signed file that has nothing for us leads to the unsigned one",
        source="3.2 step 9",
        files={**SIGNED_SITE, "streams/v1/images.sjson": images({}), **GOOD},
        index=INDEX2,
    ),
    Row(
        name="nothing anywhere is an empty success",
        source="3.2 step 10",
        files={INDEX2: index(entry(NOBLE)), IMAGES: images(product(NOBLE))},
        ids=(),
    ),
    Row(name="no feed at all", source="3.2 step 1", files={}, ids=(), fails=f'{INDEX}" not found', absent=True),
    # --- Statuses -----------------------------------------------------------------------------------
    *(
        Row(
            name=f"{status} for {name} is absent",
            source="3.7",
            files={SIGNED2: status, SIGNED: status, INDEX2: status, INDEX: index(), IMAGES: images()},
            index=INDEX,
        )
        for status in (404, 401)
        for name in ("index2",)
    ),
    *(
        Row(
            name=f"{status} for the unsigned index2 is an error, and index is not asked for",
            source="3.7",
            files={INDEX2: status, INDEX: index(), IMAGES: images()},
            fails="cannot access URL",
            requests=(SIGNED2, SIGNED, INDEX2),
        )
        for status in (400, 403, 410, 418, 429, 500, 502, 503)
    ),
    *(
        Row(
            name=f"{status} for the signed index2 leads to the unsigned one",
            source="3.2 step 9",
            files={SIGNED2: status, SIGNED: SIGNED_SITE[SIGNED2], **GOOD},
            index=INDEX2,
            requests=(SIGNED2, INDEX2, MIRRORS, IMAGES),
        )
        for status in (403, 500)
    ),
    *(
        Row(name=f"{status} for mirrors.json is none", source="3.2 step 3", files={**GOOD, MIRRORS: status})
        for status in (404, 401)
    ),
    *(
        Row(
            name=f"{status} for mirrors.json fails the attempt, for images too",
            source="3.2 step 3",
            files={**GOOD, MIRRORS: status},
            fails="cannot load mirror metadata at URL",
        )
        for status in (403, 500)
    ),
    Row(
        name="mirrors.json that is no JSON",
        source="3.2 step 3",
        files={**GOOD, MIRRORS: b"<html>"},
        fails="cannot load mirror metadata at URL",
    ),
    Row(name="mirrors.json has no format", source="3.2 step 3", files={**GOOD, MIRRORS: {"mirrors": {}}}),
    Row(
        name="mirrors are not for images",
        source="3.2 step 4",
        files={**GOOD, MIRRORS: {"mirrors": {"entry-0": [{"datatype": "image-ids", "path": "no"}]}}},
    ),
    *(
        Row(
            name=f"{status} for the products file",
            source="3.7",
            files={INDEX2: index(), IMAGES: status},
            fails="images.json",
            absent=status in (401, 404),
        )
        for status in (401, 403, 404, 500)
    ),
    Row(
        name="200 with a login page",
        source="3.7",
        files={INDEX2: b"<html>log in</html>"},
        fails="cannot unmarshal JSON index metadata at URL",
    ),
    Row(
        name="products that are no JSON",
        source="2.2 causes",
        files={INDEX2: index(), IMAGES: b"{"},
        fails="cannot unmarshal JSON metadata at URL",
    ),
    Row(
        name="an index with a byte order mark",
        source="3.7",
        files={INDEX2: b"\xef\xbb\xbf" + json.dumps(index()).encode()},
        fails="cannot unmarshal JSON index metadata at URL",
    ),
    Row(
        name="another format of the index",
        source="2.2 causes",
        files={INDEX2: index(format="index:2.0")},
        fails='unexpected index file format "index:2.0", expected "index:1.0" at URL',
    ),
    Row(
        name="no format of the index",
        source="3.2 step 2",
        files={INDEX2: {"index": {}}},
        fails='unexpected index file format "", expected "index:1.0"',
    ),
    Row(
        name="another format of the products",
        source="2.2 causes",
        files={INDEX2: index(), IMAGES: images(format="index:1.0")},
        fails='expected "products:1.0" at URL',
    ),
    # --- Signatures ----------------------------------------------------------------------------------
    Row(name="a source without a key takes unsigned data", source="1.8", files={**SIGNED_SITE, **GOOD}, key=False),
    Row(
        name="a source without a key has nothing of a signed site",
        source="1.8",
        files=SIGNED_SITE,
        key=False,
        fails=f'{INDEX}" not found',
        absent=True,
        told="failed to parse public key",
    ),
    Row(
        name="a signed name that is not signed",
        source="3.5",
        files={SIGNED2: json.dumps(index()).encode(), **GOOD},
        told="no PGP signature embedded in plain text data",
    ),
    Row(
        name="what is not signed is no absence",
        source="3.5",
        files={SIGNED2: json.dumps(index()).encode()},
        requires_signed=True,
        fails='cannot read index data, cannot read data for source "a site" at URL',
    ),
    # --- Clouds of the index -----------------------------------------------------------------------------
    *(
        Row(
            name=f"the index lists {region!r} {endpoint!r}",
            source="3.3 cloud comparison",
            files={INDEX2: clouds((region, endpoint)), IMAGES: images()},
        )
        for region, endpoint in (
            ("RegionOne", f"{KEYSTONE}/"),
            ("regionone", KEYSTONE),
            ("REGIONONE", f"{KEYSTONE}/"),
            ("Region One", KEYSTONE),
            (" Re gion One ", KEYSTONE),
        )
    ),
    *(
        Row(
            name=f"the index lists {region!r} {endpoint!r}, which is another cloud",
            source="3.3 cloud comparison",
            files={INDEX2: clouds((region, endpoint)), IMAGES: images()},
            fails=f"index file has no data for cloud {{RegionOne {KEYSTONE}}} not found",
            absent=True,
        )
        for region, endpoint in (
            ("RegionOne", f"{KEYSTONE}//"),
            ("RegionOne", KEYSTONE.removesuffix("/v3")),
            ("RegionOne", KEYSTONE.replace("https", "http")),
            ("RegionOne", KEYSTONE.replace("k.example", "K.example")),
            ("RegionOne", KEYSTONE.replace(":5000", "")),
            ("RegionTwo", KEYSTONE),
            ("Region_One", KEYSTONE),
            ("RegionOne", ""),
        )
    ),
    Row(
        name="we ask with a slash",
        source="3.3 cloud comparison",
        files=GOOD,
        endpoint=f"{KEYSTONE}/",
    ),
    Row(
        name="one of several clouds is enough",
        source="3.2 step 5",
        files={INDEX2: clouds(("RegionTwo", KEYSTONE), ("RegionOne", KEYSTONE)), IMAGES: images()},
    ),
    Row(name="no clouds are all clouds", source="3.2 step 5", files={INDEX2: clouds(), IMAGES: images()}),
    Row(
        name="clouds that are null are all clouds",
        source="3.4",
        files={INDEX2: index(entry(clouds=None)), IMAGES: images()},
    ),
    Row(name="no cloud is asked for", source="3.2 step 5", files=GOOD, region="", endpoint=""),
    Row(
        name="a missing /v3 is told",
        source="8 row 3",
        files=GOOD,
        endpoint="https://k.example:5000",
        fails="no data for cloud",
        absent=True,
        told=f"the region is listed with {KEYSTONE}, not with https://k.example:5000",
    ),
]
