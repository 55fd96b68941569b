"""A feed shaped like the largest public one, that of images in a cloud of many regions, in any size."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pysequoia

from headwater.streams.signing.feeds.sign import sign_feed
from headwater.streams.signing.signer import Signer
from headwater.streams.trees.directory import DirectoryTree

_RELEASES = ("14.04", "16.04", "18.04", "20.04", "22.04", "24.04", "26.04")
_REGIONS = tuple(
    f"{place}{number}" for place in ("usea", "uswe", "euce", "euwe", "apno", "apso", "saea") for number in (1, 2, 3)
)
_DISKS = ("ssd", "ebs", "instance")
_BYTES_OF_A_VERSION = 9060  # as it is written here
PRODUCTS_PATH = "streams/v1/com.example.cloud:released:cloud.json"
INDEX_PATH = "streams/v1/index.json"


def write(directory: Path, size: int, domain: str = "com.example.cloud") -> int:
    """Write a feed whose products document has about ``size`` bytes, and return how many items it has.

    It has 14 products, 63 items in each version, and regions by alias, as the public one has.

    Args:
        domain: What its products are called; Juju and its like look at ``com.ubuntu.cloud`` only.
    """
    versions = max(1, round(size / _BYTES_OF_A_VERSION / len(_RELEASES) / 2))
    chance = random.Random(1)
    products = {
        f"{domain}:server:{release}:{arch}": _product(release, arch, versions, chance)
        for release in _RELEASES
        for arch in ("amd64", "arm64")
    }
    regions = {
        f"{region}pe": {"region": f"{region}-long", "endpoint": f"https://compute.{region}.cloud.example"}
        for region in _REGIONS
    }
    document = {
        "_aliases": {"crsn": regions},
        "content_id": "com.example.cloud:released:cloud",
        "datatype": "image-ids",
        "format": "products:1.0",
        "updated": "Thu, 01 Jan 2026 00:00:00 +0000",
        "products": products,
    }
    entry = {"path": PRODUCTS_PATH, "format": "products:1.0", "datatype": "image-ids", "products": [*products]}
    index = {"format": "index:1.0", "index": {document["content_id"]: entry}}
    (directory / "streams" / "v1").mkdir(parents=True)
    (directory / PRODUCTS_PATH).write_text(json.dumps(document, indent=1))
    (directory / INDEX_PATH).write_text(json.dumps(index, indent=1))
    return len(products) * versions * len(_REGIONS) * len(_DISKS)


def signed(directory: Path) -> tuple[Path, Path]:
    """Sign a copy of a feed; return the copy, and the file of the key that proves it."""
    copy, key = directory.with_name(f"{directory.name}-signed"), pysequoia.Tsk.generate("Bench <bench@example.test>")
    shutil.copytree(directory, copy)
    secret, keyring = copy / "secret.asc", copy / "keyring.asc"
    secret.write_text(str(key))
    keyring.write_text(str(key.extract_certificate()))
    with contextlib.closing(Signer.load(secret)) as signer:
        sign_feed(DirectoryTree(copy), signer)
    return copy, keyring


def _product(release: str, arch: str, versions: int, chance: random.Random) -> dict[str, Any]:
    names = [f"{2000 + day // 336}{day // 28 % 12 + 1:02d}{day % 28 + 1:02d}" for day in range(versions)]
    return {
        "aliases": f"{release},r{release}",
        "arch": arch,
        "os": "example",
        "release": f"r{release}",
        "release_title": f"{release} LTS",
        "support_eol": "2036-05-29",
        "supported": True,
        "version": release,
        "versions": {
            name: {
                "label": "release",
                "pubname": f"example-{release}-{arch}-server-{name}",
                "items": {
                    f"{region}{disk[0]}": {
                        "id": f"ami-{chance.getrandbits(68):017x}",
                        "crsn": f"{region}pe",
                        "root_store": disk,
                        "virt": "hvm",
                    }
                    for region in _REGIONS
                    for disk in _DISKS
                },
            }
            for name in names
        },
    }
