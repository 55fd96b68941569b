"""What LXD and Incus require of feeds of image files."""

from __future__ import annotations

from typing import Final

from headwater.findings import Level
from headwater.streams.lint.consumers.consumer import NOTHING
from headwater.streams.lint.documents import rules_for
from headwater.streams.lint.rules import Reach, Rule

RAN: Final = "run with lxc 5.0.2, incus 6.0.4 and incus 7.0.2"
READ: Final = "Incus: shared/simplestreams/products.go; LXD's has the same origin"

WRONG_TYPE: Final = Rule(
    id="images-type",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="it is {found}, and {consumer} takes {expected} only: the whole remote fails for this one value",
    fix="write it as {expected}",
    source=f"{RAN}: a size or supported as text, aliases as a list: a JSON decode error for every image",
)
DATATYPE: Final = Rule(
    id="images-datatype",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="its datatype is {datatype!r}: {consumer} passes over entries that are not image-downloads, without a word",
    fix='set "datatype": "image-downloads" in the entry of the index',
    source=f"{RAN}: an empty list, exit code 0",
)
NO_PRODUCTS: Final = Rule(
    id="images-entry-without-products",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="the entry lists no products: {consumer} passes over it without a word",
    fix='list the names of all products of the document under "products" in the entry of the index',
    source=f"{RAN}: an empty list, exit code 0",
)
SAME_NAME: Final = Rule(
    id="images-same-base-name",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="its file name is that of {other} too, and {consumer} keeps documents by file name: one hides the other",
    fix="give each document of the index a file name of its own, not only another directory",
    source="Incus and LXD: the cache of documents is by the base name of the path",
)
NO_ARCH: Final = Rule(
    id="images-no-arch",
    level=Level.ERROR,
    says="the product has no arch of its own{elsewhere}: {consumer} passes over it without a word",
    fix='set "arch" on the product itself, such as "amd64"; this reader does not inherit keys',
    source=f"{RAN}: arch on another level gives an empty list, exit code 0",
)
ARCH: Final = Rule(
    id="images-arch",
    level=Level.ERROR,
    says="{consumer} does not know the arch {arch!r} and passes over the product without a word",
    fix="use a name that it knows, such as amd64, arm64, ppc64el, s390x, riscv64, armhf, i386",
    source=f"{RAN}: an unknown arch gives an empty list, exit code 0",
)
VERSION_NAME: Final = Rule(
    id="images-version-name",
    level=Level.ERROR,
    says="the version name {name!r} does not begin with a date: {consumer} passes over it without a word",
    fix="name versions by their date, YYYYMMDD, also with more after it: 20260101, 20260101_0730",
    source=f"{RAN}: a version v1 gives an empty list; 20250101_12:30 and 202501011230 are taken",
)
HOISTED_FTYPE: Final = Rule(
    id="images-hoisted-ftype",
    level=Level.ERROR,
    says="the items have no ftype, which stands on the {where}: {consumer} passes over them without a word",
    fix='write "ftype" on each item; json2streams and tab2streams move it up, and this reader does not inherit keys',
    source=f"{RAN}: ftype on another level gives an empty list, exit code 0",
)
NO_METADATA: Final = Rule(
    id="images-no-metadata",
    level=Level.ERROR,
    says="no item has the ftype {wanted}{other}: {consumer} passes over the version without a word",
    fix="add an item with ftype {wanted}; it may name the same file with the same hashes as one for the other program",
    source=f"{RAN}: only lxd.tar.xz is visible to LXD alone, only incus.tar.xz to Incus alone",
)
NO_ROOT: Final = Rule(
    id="images-no-root",
    level=Level.ERROR,
    says="beside the metadata no item is a root file system or a disk: {consumer} has nothing to make an image of",
    fix="add an item with one of the ftypes squashfs, root.tar.xz, disk-kvm.img, uefi1.img, disk1.img",
    source=READ,
)
NO_COMBINED: Final = Rule(
    id="images-no-combined-hash",
    level=Level.ERROR,
    says="it has no {key}, so the image of {ftype} has no fingerprint: {consumer} passes over it without a word",
    fix=(
        "set {key} on this metadata item: the SHA-256 of the metadata file's bytes followed by "
        "those of the {ftype} file"
    ),
    source=f"{RAN}: missing combined hashes give an empty list, exit code 0",
)
BAD_HASH: Final = Rule(
    id="images-bad-hash",
    level=Level.ERROR,
    says="{value!r} is no SHA-256 in 64 lower-case hexadecimal digits: the image is listed, and its download fails",
    fix="write the hash in lower-case hexadecimal digits; hashes are compared as text",
    source=f"{RAN}: upper case: Image fingerprint doesn't match",
)
NO_HASH: Final = Rule(
    id="images-no-sha256",
    level=Level.ERROR,
    says="it has no sha256: the image is listed, and its download fails with a hash mismatch",
    fix='set "sha256" on the item, not on another level',
    source=f"{RAN}: Hash mismatch",
)
NO_PATH: Final = Rule(
    id="images-no-path",
    level=Level.ERROR,
    says="it has no path: the image is listed, and there is nothing to fetch",
    fix='set "path" on the item, relative to the root of the tree',
    source=READ,
)
FAR_PATH: Final = Rule(
    id="images-item-path",
    level=Level.ERROR,
    says="the path {path!r} is joined to the address of the remote: the image is listed, and its download gets 404",
    fix="write it relative to the root of the tree, without a slash before it; files elsewhere need a redirect",
    source=f"{RAN}; 7.0.2 still joins absolute paths",
)
SPACES: Final = Rule(
    id="images-alias-space",
    level=Level.ERROR,
    says="the alias {alias!r} has a blank at its end: nobody finds {bare!r}",
    fix="separate aliases with a comma and nothing else",
    source=f'{RAN}: of "a, b", b is not found',
)
NO_ALIASES: Final = Rule(
    id="images-no-aliases",
    level=Level.WARNING,
    says="the product has no aliases: its images are found by fingerprint only",
    fix='set "aliases" on the product, such as "ubuntu/noble,ubuntu/24.04"',
    source="both make the names of images of the product's aliases, alias and alias/arch",
)
ALIAS_TWICE: Final = Rule(
    id="images-alias-twice",
    level=Level.WARNING,
    says="the alias {alias!r} for {arch} is that of {other} too: which of them it names is not certain",
    fix="give each alias to one product of an architecture",
    source="both keep one image for each alias, type and architecture",
)
DELTA: Final = Rule(
    id="images-delta-base",
    level=Level.WARNING,
    says="the delta {problem}: it is never used",
    fix="name under delta_base a version of the same product, or remove the delta together with its base",
    source="delta_base is the name of a version in the same product",
)
REQUIREMENT: Final = Rule(
    id="images-requirement",
    level=Level.WARNING,
    says="{consumer} knows no requirement {name!r}: it has no effect",
    fix="use one of {known}",
    source="LXD: secureboot, cgroup, nesting; Incus also privileged, cdrom_agent, cdrom_cloud_init",
)
NO_SIZE: Final = Rule(
    id="images-no-size",
    level=Level.WARNING,
    says=(
        "it has no size: nobody sees how large the image is, and LXD since July 2026 cuts the "
        "download off at the size told"
    ),
    fix='set "size" on the item, the number of bytes of the file',
    source="LXD f33f2291: the download is cut off at the index's size; older versions and Incus take it",
)
RULES: Final = (
    *(WRONG_TYPE, DATATYPE, NO_PRODUCTS, SAME_NAME, NO_ARCH, ARCH, VERSION_NAME, HOISTED_FTYPE, NO_METADATA, NO_ROOT),
    *(NO_COMBINED, BAD_HASH, NO_HASH, NO_PATH, FAR_PATH, SPACES, NO_ALIASES, ALIAS_TWICE, DELTA, REQUIREMENT, NO_SIZE),
    *(NOTHING, *rules_for()),
)
