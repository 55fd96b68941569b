"""What Juju finds in documents of images: regions, products, versions, inheritance, aliases, types."""

from __future__ import annotations

from unit.streams.lookup.feeds import IMAGES, INDEX2, JAMMY, NOBLE, entry, images, index, item, product, version
from unit.streams.lookup.rows.image_row import GOOD, Row, newest, of, of_product, of_top, of_version, one

ROWS = [
    # --- Regions of items --------------------------------------------------------------------------
    *(
        Row(
            name=f"an item of {region!r} is not of RegionOne",
            source="1.5",
            files=one(region=region),
            ids=(),
            told=told,
        )
        for region, told in (
            ("regionone", "is compared exactly"),
            ("Region One", "is compared exactly"),
            ("RegionTwo", "other regions: RegionTwo"),
            ("", "(none)"),
        )
    ),
    Row(
        name="the index takes regionone, the item does not",
        source="1.5",
        files=GOOD,
        region="regionone",
        ids=(),
        told="'RegionOne' is not 'regionone'",
    ),
    Row(name="the endpoint of an item is not compared", source="1.5", files=one(endpoint="https://other")),
    Row(
        name="without a region every item is taken",
        source="3.3",
        files=newest(v1=version(item("b"), item("a", region="RegionTwo"))),
        region="",
        endpoint="",
        ids=("a", "b"),
    ),
    # --- Products ------------------------------------------------------------------------------------
    *(
        Row(
            name=f"stream {stream!r} asks for {name}",
            source="3.3",
            files=of(product(name)),
            stream=stream,
        )
        for stream, name in (
            ("", JAMMY),
            ("released", JAMMY),
            ("daily", "com.ubuntu.cloud.daily:server:22.04:amd64"),
            ("custom", "com.ubuntu.cloud.custom:server:22.04:amd64"),
        )
    ),
    *(
        Row(name=f"{name} is not asked for", source="3.3", files=of(product(name)), ids=(), told=f"but {name}")
        for name in (
            "com.ubuntu.cloud:server:22.04:x86_64",
            "com.ubuntu.cloud:server:jammy:amd64",
            "com.ubuntu.cloud.daily:server:22.04:amd64",
            "com.ubuntu.cloud:minimal:22.04:amd64",
            "com.ubuntu.cloud.released:server:22.04:amd64",
        )
    ),
    Row(
        name="a product that only the index lacks",
        source="3.2 step 5",
        files={INDEX2: index(entry(NOBLE)), IMAGES: images()},
        ids=(),
    ),
    Row(
        name="an index without a list of products",
        source="3.2 step 5",
        files={INDEX2: index(entry(products=None)), IMAGES: images()},
        ids=(),
        told="it lists no products",
    ),
    Row(
        name="several releases and architectures",
        source="3.3",
        files=of(
            product()
            | product(NOBLE, {"1": version(item("noble"))})
            | product("com.ubuntu.cloud:server:22.04:arm64", {"1": version(item("arm"))})
        ),
        releases=("22.04", "24.04"),
        arches=("amd64", "arm64"),
        ids=("an-id", "arm", "noble"),
    ),
    Row(
        name="a foreign entry of another kind is passed over",
        source="3.2 step 5",
        files={INDEX2: index(entry(datatype="image-downloads", path="no"), entry()), IMAGES: images()},
        told="its datatype is 'image-downloads'",
    ),
    Row(
        name="an entry without our product is passed over",
        source="3.2 step 5",
        files={INDEX2: index(entry(NOBLE, path="no"), entry()), IMAGES: images()},
    ),
    Row(
        name="an empty index", source="3.2 step 5", files={INDEX2: index(index={})}, fails="data not found", absent=True
    ),
    # --- Versions ---------------------------------------------------------------------------------
    Row(
        name="the newest version counts",
        source="3.3",
        files=newest(v20260101=version(item("old")), v20260102=version(item("new"))),
        ids=("new",),
        told="version 20260102 is newer than 20260101",
    ),
    Row(
        name="20260101.1 is newer than 20260101",
        source="6.4",
        files=newest(v20260101=version(item("old")), v20260101_1=version(item("new"))),
        ids=("new",),
    ),
    Row(
        name="9 is newer than 10: names sort as text",
        source="6.4",
        files=newest(v9=version(item("nine")), v10=version(item("ten"))),
        ids=("nine",),
    ),
    Row(
        name="an old version still gives what the newest lacks",
        source="3.3",
        files=newest(v1=version(item("old", virt="lxd")), v2=version(item("new", virt="kvm"))),
        ids=("new", "old"),
    ),
    Row(
        name="root stores tell images apart",
        source="3.3",
        files=newest(v1=version(item("old", root_store="ssd")), v2=version(item("new"))),
        ids=("new", "old"),
    ),
    Row(
        name="an old version in another region does not hide",
        source="3.3",
        files=newest(v1=version(item("old")), v2=version(item("new", region="RegionTwo"))),
        ids=("old",),
    ),
    Row(
        name="the same kind twice in one version stays twice",
        source="3.3",
        files=newest(v1=version(item("b"), item("a"))),
        ids=("a", "b"),
    ),
    Row(
        name="ids are in order",
        source="3.3",
        files=newest(v1=version(item("b", virt="x"), item("C", virt="y"), item("a", virt="z"))),
        ids=("C", "a", "b"),
    ),
    Row(name="a version without items", source="3.4", files=newest(v1=version()), ids=()),
    Row(name="a product without versions", source="3.4", files=of(product(versions={})), ids=()),
    # --- Inheritance ------------------------------------------------------------------------------
    *(
        Row(
            name=f"{key} comes from the {level}",
            source="3.4 inheritance",
            files=files,
            facts={key: "RegionOne" if key == "region" else "x"},
        )
        for level, make in (("version", of_version), ("product", of_product), ("top", of_top))
        for key in ("region", "endpoint", "root_store", "virt")
        if not (level == "version" and key in ("root_store", "virt"))
        for files in [make({"region": "RegionOne", **({} if key == "region" else {key: "x"})})]
    ),
    *(
        Row(
            name=f"{key} of a version is not read",
            source="3.4",
            files=newest(v1=version(item(), **{key: "x"})),
            facts={key: ""},
        )
        for key in ("root_store", "virt")
    ),
    *(
        Row(
            name=f"{key} of an item is not overwritten",
            source="3.4 inheritance",
            files=of(product(versions={"1": version(item(**{key: "mine"}))}, **{key: "other"})),
            facts={key: "mine"},
        )
        for key in ("endpoint", "root_store", "virt")
    ),
    Row(
        name="an empty fact of an item is filled",
        source="3.4 inheritance",
        files=of(product(versions={"1": version(item(virt=""))}, virt="kvm")),
        facts={"virt": "kvm"},
    ),
    Row(
        name="the version wins over the product",
        source="3.4 inheritance",
        files=of(product(versions={"1": version({"id": "an-id"}, region="RegionOne")}, region="RegionTwo")),
    ),
    # --- Aliases -------------------------------------------------------------------------------------
    Row(
        name="crsn gives region and endpoint",
        source="3.4 aliases",
        files=of(
            product(versions={"1": version({"id": "an-id", "crsn": "r1"})}),
            _aliases={"crsn": {"r1": {"region": "RegionOne", "endpoint": "e"}}},
        ),
        facts={"endpoint": "e"},
    ),
    Row(
        name="an alias overwrites what the item says",
        source="3.4 aliases",
        files=of(
            product(versions={"1": version(item(region="RegionTwo", crsn="r1"))}),
            _aliases={"crsn": {"r1": {"region": "RegionOne"}}},
        ),
    ),
    Row(
        name="crsn is not inherited",
        source="3.4 inheritance",
        files=of(
            product(versions={"1": version({"id": "an-id"}, crsn="r1")}),
            _aliases={"crsn": {"r1": {"region": "RegionOne"}}},
        ),
        ids=(),
    ),
    Row(
        name="an alias of another value does nothing",
        source="3.4 aliases",
        files=of(product(versions={"1": version(item(crsn="r2"))}), _aliases={"crsn": {"r1": {"region": "RegionTwo"}}}),
    ),
    Row(
        name="aliases come before inheritance",
        source="3.4 inheritance",
        files=of(
            product(versions={"1": version(item())}, virt="kvm"), _aliases={"virt": {"kvm": {"region": "RegionTwo"}}}
        ),
    ),
    Row(
        name="aliases that are no table",
        source="3.4 aliases",
        files=of(product(), _aliases={"crsn": "x"}),
        fails="cannot unmarshal JSON metadata at URL",
    ),
    # --- Types -------------------------------------------------------------------------------------
    *(
        Row(
            name=f"a number for {key} of an item spoils the file",
            source="3.4",
            files=one(**{key: 1}),
            fails="cannot unmarshal JSON metadata at URL",
        )
        for key in ("root_store", "virt", "arch", "version", "crsn", "endpoint")
    ),
    *(
        Row(
            name=f"a number for {key} of a {level} spoils the file",
            source="3.4",
            files=files,
            fails="cannot unmarshal JSON metadata at URL",
        )
        for level, key, files in (
            ("product", "version", of(product(version=22.04))),
            ("product", "arch", of(product(arch=1))),
            ("product", "release", of(product(release=1))),
            ("version", "region", newest(v1=version(item(), region=1))),
            ("version", "release", newest(v1=version(item(), release=True))),
            ("top", "updated", of(product(), updated=1)),
            ("top", "content_id", of(product(), content_id=["x"])),
        )
    ),
    *(
        Row(name=f"{key} that is null is absent", source="3.4", files=one(**{key: None}), facts={key: ""})
        for key in ("virt", "root_store")
    ),
    Row(
        name="an item of a product that nobody wants spoils the file too",
        source="3.4",
        files=of(product() | product(NOBLE, {"1": version({"id": 1})})),
        fails="cannot unmarshal JSON metadata at URL",
    ),
    *(
        Row(name=f"{key} is not read, whatever it is", source="3.4", files=one(**{key: value}))
        for key, value in (("size", "12"), ("pubname", 1), ("path", 7), ("sha256", None), ("requirements", {"a": 1}))
    ),
    Row(
        name="content_id and datatype are not checked", source="3.4", files=of(product(), content_id="x", datatype="y")
    ),
    *(
        Row(
            name=f"{key} of an entry that is {value!r} spoils the index",
            source="3.4",
            files={INDEX2: index(entry(), entry(**{key: value})), IMAGES: images()},
            fails="cannot unmarshal JSON index metadata at URL",
        )
        for key, value in (
            ("datatype", 1),
            ("path", []),
            ("cloudname", {}),
            ("updated", 20260101),
            ("products", "x"),
            ("products", [1]),
            ("clouds", {}),
            ("clouds", [{"region": 1}]),
        )
    ),
    Row(
        name="versions that are a list",
        source="3.4",
        files=of(product(versions=[])),  # type: ignore[arg-type]
        fails="cannot unmarshal JSON metadata at URL",
    ),
]
