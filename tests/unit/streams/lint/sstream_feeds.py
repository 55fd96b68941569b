"""Feeds that the simplestreams tools stop at, and feeds that they read: for the linter and for the tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from headwater.streams.signing.signer import Signer
from unit.streams.lint.feeds import INDEX, PRODUCTS, Change, Documents

SIGNED_INDEX, SIGNED_PRODUCTS = "streams/v1/index.sjson", "streams/v1/products.sjson"


def entry(feed: Documents) -> Any:
    return feed[INDEX]["index"]["images"]


def product(feed: Documents) -> Any:
    return next(iter(feed[PRODUCTS]["products"].values()))


def version(feed: Documents) -> Any:
    return next(iter(product(feed)["versions"].values()))


def item(feed: Documents) -> Any:
    return version(feed)["items"]["root.squashfs"]


def itself(feed: Documents) -> None:
    feed[INDEX]["index"] = {"self": {"path": INDEX, "format": "index:1.0"}}


def one_by_the_other(feed: Documents) -> None:
    further = "streams/v1/further.json"
    feed[further] = {"format": "index:1.0", "index": {"back": {"path": INDEX, "format": "index:1.0"}}}
    feed[INDEX]["index"] = {"further": {"path": further, "format": "index:1.0"}}


def with_mark(feed: Documents) -> None:
    feed[INDEX] = b"\xef\xbb\xbf" + json.dumps(feed[INDEX]).encode()


# What is done to the right feed, and the rule by which it is told.
FAILS: list[tuple[str, Change, str]] = [
    ("no format of the index", lambda feed: feed[INDEX].pop("format"), "sstream-format"),
    ("no format of the products", lambda feed: feed[PRODUCTS].pop("format"), "sstream-format"),
    ("mirrors for products", lambda feed: feed[PRODUCTS].update(format="mirrors:1.0"), "sstream-format"),
    ("no content_id", lambda feed: feed[PRODUCTS].pop("content_id"), "sstream-content-id"),
    ("no products", lambda feed: feed[PRODUCTS].pop("products"), "sstream-type"),
    ("versions of null", lambda feed: product(feed).update(versions=None), "sstream-type"),
    ("items as a list", lambda feed: version(feed).update(items=[]), "sstream-type"),
    ("an item as text", lambda feed: version(feed)["items"].update(a="b"), "sstream-type"),
    ("a version as text", lambda feed: product(feed)["versions"].update(a="b"), "sstream-type"),
    ("an entry as text", lambda feed: feed[INDEX]["index"].update(a="b"), "sstream-type"),
    ("no index in the index", lambda feed: feed[INDEX].pop("index"), "sstream-type"),
    ("a byte order mark", with_mark, "document-bom"),
    ("a login page", lambda feed: feed.update({INDEX: b"<html>Log in</html>"}), "document-page"),
    ("half a document", lambda feed: feed.update({PRODUCTS: b'{"products":'}), "document-not-json"),
    ("no products document", lambda feed: feed.pop(PRODUCTS), "document-missing"),
    ("an entry that leads out", lambda feed: entry(feed).update(path="a/../b"), "sstream-path"),
    ("an entry with a slash before it", lambda feed: entry(feed).update(path=f"/{PRODUCTS}"), "sstream-path"),
    ("an item that leads out", lambda feed: item(feed).update(path="../a"), "sstream-path"),
    ("an item with a slash before it", lambda feed: item(feed).update(path="/a"), "sstream-path"),
    ("a path that is a number", lambda feed: item(feed).update(path=3), "sstream-path"),
    ("an empty path", lambda feed: item(feed).update(path=""), "sstream-path"),
    ("no size", lambda feed: item(feed).pop("size"), "sstream-unverifiable"),
    ("a size that is no number", lambda feed: item(feed).update(size="large"), "sstream-unverifiable"),
    ("a size that is a fraction", lambda feed: item(feed).update(size=1.5), "sstream-unverifiable"),
    ("no hash", lambda feed: item(feed).pop("sha256"), "sstream-unverifiable"),
    ("an index of itself", itself, "sstream-loop"),
    ("two indexes of each other", one_by_the_other, "sstream-loop"),
]


def indexed(feed: Documents) -> None:
    feed["streams/v1/further.json"] = {"format": "index:1.0", "index": feed[INDEX]["index"]}
    feed[INDEX]["index"] = {"further": {"path": "streams/v1/further.json", "format": "index:1.0"}}


def hoisted(feed: Documents) -> None:
    for each in version(feed)["items"].values():
        each.pop("size")
    product(feed)["size"] = 10


TAKEN: list[tuple[str, Change]] = [
    ("as it is", lambda feed: None),
    ("a size of digits", lambda feed: item(feed).update(size="10")),
    ("a size from above", hoisted),
    ("a path that ends in dots", lambda feed: item(feed).update(path="a/..")),
    ("an index of indexes", indexed),
    ("an item without path", lambda feed: version(feed)["items"].update(a={"id": "b"})),
    ("another number for a version", lambda feed: product(feed).update(version=24.04)),
    ("no number", lambda feed: feed[PRODUCTS].update(colour=float("nan"))),
    ("an entry without path", lambda feed: feed[INDEX]["index"].update(a={"format": "products:1.0"})),
    ("an unknown datatype", lambda feed: entry(feed).update(datatype="colours")),
]


def signed(feed: Documents, signer: Signer, spoil: Callable[[bytes], bytes] = lambda text: text) -> None:
    """Sign a feed, with one thing amiss in what is signed."""
    entry(feed)["path"] = SIGNED_PRODUCTS
    for path, name in ((PRODUCTS, SIGNED_PRODUCTS), (INDEX, SIGNED_INDEX)):
        feed[name] = signer.sign(json.dumps(feed.pop(path), indent=1).encode())
    feed[SIGNED_INDEX] = spoil(feed[SIGNED_INDEX])


def _spoilt(before: bytes, after: bytes) -> Callable[[bytes], bytes]:
    return lambda text: text.replace(before, after, 1)


SPOILT: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("no Hash line", lambda text: b"\n".join(line for line in text.split(b"\n") if not line.startswith(b"Hash:"))),
    ("two Hash lines", _spoilt(b"Hash: ", b"Hash: SHA256\nHash: ")),
    ("a comment", _spoilt(b"Hash: ", b"Comment: ours\nHash: ")),
    ("text before it", lambda text: b"Here it is\n" + text),
    ("no signature", lambda text: text.split(b"-----BEGIN PGP SIGNATURE")[0]),
    ("nothing that is signed", lambda text: text.split(b"\n\n", 1)[1].split(b"\n-----BEGIN")[0]),
]


def unsigned_below(feed: Documents, signer: Signer) -> None:
    feed[SIGNED_INDEX] = signer.sign(json.dumps(feed.pop(INDEX), indent=1).encode())


def signed_below(feed: Documents, signer: Signer) -> None:
    feed[SIGNED_PRODUCTS] = signer.sign(json.dumps(feed.pop(PRODUCTS), indent=1).encode())
    entry(feed)["path"] = SIGNED_PRODUCTS
