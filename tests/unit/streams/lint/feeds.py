"""Feeds that are right for their readers, for the tests to break in one place each."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headwater.findings import Level
from headwater.streams.lint.check import Report, lint
from headwater.streams.lint.consumers.registry import named
from headwater.streams.lint.verdict import Verdict
from headwater.streams.trees.directory import DirectoryTree

UPDATED = "Thu, 01 Jan 2026 00:00:00 +0000"
HASH = "0123456789abcdef" * 4
INDEX, INDEX2 = "streams/v1/index.json", "streams/v1/index2.json"
PRODUCTS = "streams/v1/products.json"
REGION = {"region": "RegionOne", "endpoint": "https://keystone.example/v3"}

Documents = dict[str, Any]
Change = Callable[[Documents], object]


def file(ftype: str, **more: Any) -> dict[str, Any]:
    return {"ftype": ftype, "path": f"images/{ftype}", "sha256": HASH, "size": 10, **more}


def of(products: Mapping[str, Any], datatype: str, content_id: str = "images", **entry: Any) -> Documents:
    """Return a feed of one products document."""
    top = {"format": "products:1.0", "content_id": content_id, "datatype": datatype, "updated": UPDATED}
    listed = {"format": "products:1.0", "datatype": datatype, "updated": UPDATED, "path": PRODUCTS}
    index = {content_id: {**listed, "products": list(products), **entry}}
    return copy.deepcopy(
        {
            INDEX: {"format": "index:1.0", "updated": UPDATED, "index": index},
            PRODUCTS: {**top, "products": dict(products)},
        }
    )


def image_files() -> Documents:
    """One container and one virtual machine, for LXD and Incus."""
    combined = {"combined_squashfs_sha256": HASH, "combined_disk-kvm-img_sha256": HASH}
    items = {
        "lxd.tar.xz": file("lxd.tar.xz", **combined),
        "incus.tar.xz": file("incus.tar.xz", **combined),
        "root.squashfs": file("squashfs"),
        "disk.qcow2": file("disk-kvm.img"),
    }
    product = {
        **{"aliases": "testos/noble,testos/24.04", "arch": "amd64", "os": "testos", "release": "noble"},
        **{"release_title": "24.04", "variant": "default", "requirements": {"secureboot": "false"}, "supported": True},
    }
    return of(
        {"testos:noble:amd64:default": {**product, "versions": {"20260101_0000": {"items": items}}}}, "image-downloads"
    )


PRODUCT = "com.ubuntu.cloud:server:24.04:amd64"


def image_ids() -> Documents:
    item = {"id": "image-1", "virt": "kvm", **REGION}
    product = {
        "arch": "amd64",
        "version": "24.04",
        "release": "noble",
        "versions": {"20260101": {"items": {"a": item}}},
    }
    return of({PRODUCT: product}, "image-ids", "com.ubuntu.cloud:custom", clouds=[REGION])


AGENTS = "com.ubuntu.juju:released:agents"


def agents() -> Documents:
    item = {"version": "3.6.8", "release": "ubuntu", "arch": "amd64", **file("tar.gz", path="agent/juju.tgz")}
    product = {"versions": {"20260101": {"items": {"3.6.8-ubuntu-amd64": item}}}}
    return of({"com.ubuntu.juju:ubuntu:amd64": product}, "content-download", AGENTS)


BOOT = "com.example.maas:v3:boot:24.04:amd64:ga-24.04"


def boot_images() -> Documents:
    items = {name: file(name) for name in ("boot-kernel", "boot-initrd", "manifest", "squashfs")}
    product = {
        **{"arch": "amd64", "label": "stable", "os": "ubuntu", "release": "noble", "release_title": "24.04 LTS"},
        **{
            "subarch": "ga-24.04",
            "subarches": "generic",
            "version": "24.04",
            "versions": {"20260101": {"items": items}},
        },
    }
    return of({BOOT: product}, "image-ids", "com.example.maas:v3:download")


def for_multipass() -> Documents:
    product = {
        **{"aliases": "noble,lts", "arch": "amd64", "os": "ubuntu", "release": "noble", "supported": True},
        **{"versions": {"20260101": {"items": {"disk1.img": file("disk1.img")}}}},
    }
    return of({"com.ubuntu.cloud:server:24.04:amd64": product}, "image-downloads")


def written(root: Path, documents: Documents) -> DirectoryTree:
    """Write a feed; what is bytes is written as it is."""
    for path, document in documents.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(document if isinstance(document, bytes) else json.dumps(document, indent=1).encode())
        target.chmod(0o644)
    return DirectoryTree(root)


def report_of(root: Path, documents: Documents, *consumers: str, **options: Any) -> Report:
    return lint(written(root, documents), named(consumers) if consumers else (), **options)


def verdict_of(report: Report, consumer: str) -> Verdict:
    return next(each for each in report.verdicts if each.consumer == consumer)


def rules_of(report: Report, consumer: str | None = None, least: Level = Level.WARNING) -> set[str]:
    """Return the rules that are broken, for one consumer or for anybody."""
    return {
        each.finding.rule.id
        for each in report.findings
        if each.finding.level >= least and (consumer is None or consumer in each.consumers)
    }
