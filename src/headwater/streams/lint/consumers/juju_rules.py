"""What Juju requires of feeds of images and of agents."""

from __future__ import annotations

from typing import Final

from headwater.findings import Level
from headwater.streams.lint.rules import Reach, Rule

SEARCH: Final = "Juju: environs/simplestreams/simplestreams.go"
DECODED: Final = "Juju decodes every item of the file, also unwanted ones"

INDEX_FAILS: Final = Rule(
    id="juju-index-fails",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="it cannot be read ({reason}), which is not the same as absent: Juju does not go on to {other}",
    fix="answer 404 for what is not there, or publish the same index under both names",
    source=(
        "Juju takes 404 and 401 as absent; 403, 5xx and a broken connection fail the source, from "
        "2.9.46 on the bootstrap"
    ),
)
FORMAT: Final = Rule(
    id="juju-format",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="its format is {found!r}, not {expected!r}: Juju does not read it",
    fix='set "format": "{expected}" at the top',
    source=f'{SEARCH}: unexpected index file format "x", expected "index:1.0"; the same for products:1.0',
)
WRONG_TYPE: Final = Rule(
    id="juju-type",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="it is {found}, and Juju takes {expected} only: for this one value it reads nothing of the whole file",
    fix="write it as {expected}",
    source=f"{DECODED}: a number for version or a string for an agent's size makes the whole file unreadable",
)
MIRRORS: Final = Rule(
    id="juju-mirrors",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="Juju asks for it always, also for images, and it cannot be read: {reason}",
    fix='publish {{"mirrors": {{}}}} there, or answer 404',
    source=f"{SEARCH}: cannot load mirror metadata at URL; only 404 and 401 are passed over",
)
HIDDEN: Final = Rule(
    id="juju-index2-hides",
    level=Level.ERROR,
    reach=Reach.FEED,
    says=(
        "index.json lists {what}, which index2.json does not: Juju never asks for index.json while "
        "there is an index2.json"
    ),
    fix="publish the same index under both names, or remove index2.json",
    source=f"{SEARCH}: index is asked for only if index2 answers 404 or 401",
)
SIGNED_ONLY: Final = Rule(
    id="juju-signed-only",
    level=Level.WARNING,
    reach=Reach.FEED,
    says=(
        "there is a signed index only: Juju has no key for the feed of the Keystone catalogue, nor "
        "one of yours for agents"
    ),
    fix="publish the unsigned documents beside the signed ones",
    source="the source keystone catalog has no public key; a user's key serves image-metadata-url only",
)
SIGNED_LEADS_ASTRAY: Final = Rule(
    id="juju-signed-index",
    level=Level.WARNING,
    reach=Reach.FEED,
    says=(
        "the signed index names {path}, which is not signed: Juju drops all that is signed and "
        "falls back to the unsigned index"
    ),
    fix="name the .sjson document in the signed index",
    source="juju metadata sign does not rewrite paths; Juju verifies each document as its index was",
)
FRAME: Final = Rule(
    id="juju-signature-frame",
    level=Level.WARNING,
    reach=Reach.FEED,
    says="Juju falls back to the unsigned documents: {problem}",
    fix="sign it again with `headwater streams sign`, which writes what every reader takes",
    source=(
        "golang.org/x/crypto openpgp, and ProtonMail/go-crypto from 3.6 on, which takes Hash: "
        "lines with known names only"
    ),
)
NO_PRODUCTS: Final = Rule(
    id="juju-entry-without-products",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="the entry lists no products: Juju never opens its document",
    fix='list the ids of all products of the document under "products"',
    source=f"{SEARCH}: entries are kept whose products has at least one wanted id",
)
DATATYPE: Final = Rule(
    id="juju-datatype",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="its datatype is {found!r}, and Juju looks for {expected} only",
    fix='set "datatype": "{expected}" in the entry of the index',
    source=f'{SEARCH}: "image-ids" data not found',
)
NOT_LISTED: Final = Rule(
    id="juju-product-not-listed",
    level=Level.WARNING,
    says=(
        "the entry of the index does not list this product: Juju finds it only if it wants another one of the entry too"
    ),
    fix="list all products of the document in its entry",
    source=f"{SEARCH}: an entry is chosen by its list of products",
)
TWO_ENTRIES: Final = Rule(
    id="juju-two-entries",
    level=Level.WARNING,
    reach=Reach.PRODUCTS,
    says=(
        "{other} has images of the stream {stream} for the same cloud: Juju opens one of the two, "
        "and no rule says which"
    ),
    fix="keep the images of one cloud and stream in one document, or give the entries different clouds",
    source=f"{SEARCH}: several entries left: an arbitrary one is used",
)
CLOUD: Final = Rule(
    id="juju-cloud",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="a cloud without {missing} matches no cloud",
    fix='give each cloud "region" and "endpoint", the URL that clouds.yaml has',
    source=f"{SEARCH}: index file has no data for cloud; both are compared",
)
PRODUCT_NAME: Final = Rule(
    id="juju-product-name",
    level=Level.ERROR,
    says="Juju does not ask for a product of this name: {problem}",
    fix="name it com.ubuntu.cloud[.STREAM]:server:VERSION:ARCH, such as com.ubuntu.cloud:server:24.04:amd64",
    source=(
        "Juju: environs/imagemetadata; every release times every arch of "
        "com.ubuntu.cloud[.<stream>]:server:<release>:<arch>"
    ),
)
NO_ID: Final = Rule(
    id="juju-no-id",
    level=Level.ERROR,
    says="the item has no id: there is no image to start",
    fix='set "id" on the item, the id of the image in the Image service',
    source="the id of the item is what Juju starts",
)
NO_REGION: Final = Rule(
    id="juju-no-region",
    level=Level.ERROR,
    says="the item has no region, neither itself nor from above: it is in no region that Juju asks for",
    fix='set "region" on the item, as in clouds.yaml, letter by letter',
    source="Juju: the item's region must equal the wanted one exactly (LP #1329805: write it on the item)",
)
NO_ENDPOINT: Final = Rule(
    id="juju-no-endpoint",
    level=Level.NOTE,
    says="the item has no endpoint: Juju compares that of the index only, other readers look here",
    fix='set "endpoint" on the item, the Identity URL',
    source="LP #1329805; Juju 3.6: endpoint is not used for matching items",
)
NOT_IN_CLOUDS: Final = Rule(
    id="juju-region-not-in-index",
    level=Level.ERROR,
    says="its region {region!r} is in no cloud of the index entry: Juju stops there before it sees the item",
    fix='add {{"region": "{region}", "endpoint": …}} to "clouds" in the entry, or leave "clouds" out',
    source=f"{SEARCH}: index file has no data for cloud",
)
REGION_SPELLED: Final = Rule(
    id="juju-region-spelling",
    level=Level.WARNING,
    says=(
        "its region {region!r} stands as {other!r} in the index: there case and blanks do not "
        "matter, on the item they do"
    ),
    fix="write the region everywhere as clouds.yaml has it",
    source="Juju compares regions twice: in the index without case and blanks, on the item exactly",
)
ITEM_ARCH: Final = Rule(
    id="juju-item-arch",
    level=Level.ERROR,
    says="its arch is {found}, and the product is for {wanted}: Juju takes it for no machine of that kind",
    fix='set "arch": "{wanted}" on the product',
    source="Juju: environs/instances/image.go: an image matches if the arches are equal",
)
ITEM_VERSION: Final = Rule(
    id="juju-item-version",
    level=Level.WARNING,
    says="its version is {found}, and the product is for {wanted}",
    fix='set "version": "{wanted}" on the product',
    source="the version is kept with the image in the controller, and asked for there",
)
TWINS: Final = Rule(
    id="juju-twins",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="it cannot be told from {other}: both are {what} of {version}. {effect}",
    fix=(
        "keep one of them in this version, or tell them apart by virt or root_store; an older one "
        "belongs in an older version"
    ),
    source=(
        "Juju: equal (stream, region, version, arch, virt, root_store) in the newest version; 2.9 "
        "to 3.6 refuse the batch"
    ),
)
AGENTS_KEY: Final = Rule(
    id="juju-agents-key",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="Juju looks for agents under com.ubuntu.juju:STREAM:agents only, not under {name}",
    fix="name the entry com.ubuntu.juju:released:agents, or that of another stream",
    source=f"{SEARCH}: for agents only the key com.ubuntu.juju:<stream>:agents (:tools before 2.0)",
)
AGENT_VERSION: Final = Rule(
    id="juju-agent-version",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="{found!r} is no version of Juju: Juju ends with a panic when it reads this",
    fix="write the version of the agent, such as 3.6.8 or 4.0-beta1",
    source="Juju: environs/tools/simplestreams.go: a version that does not parse makes Juju panic",
)
AGENT_LACKS: Final = Rule(
    id="juju-agent-lacks",
    level=Level.ERROR,
    says="the agent has no {key}, neither itself nor from above: Juju cannot use it",
    fix='set "{key}" on the item',
    source="Juju asks for release, version and arch, fetches path, and compares size and sha256",
)
AGENT_PRODUCT: Final = Rule(
    id="juju-agent-product",
    level=Level.ERROR,
    says="Juju does not ask for a product of this name",
    fix="name it com.ubuntu.juju:OS:ARCH, such as com.ubuntu.juju:ubuntu:amd64",
    source="Juju 2.9 and later ask by os, not by series",
)
AGENT_TYPE: Final = Rule(
    id="juju-agent-media-type",
    level=Level.NOTE,
    reach=Reach.PRODUCTS,
    says="a server has to send the agents as application/gzip: a controller of Juju 4 takes nothing else",
    fix="let the web server send .tgz as application/gzip (many send application/x-tar)",
    source="Juju 4 takes application/gzip and application/x-gzip, exactly",
)
MIRROR_UNUSED: Final = Rule(
    id="juju-mirror-unused",
    level=Level.WARNING,
    says="the mirror is never used: {problem}",
    fix=(
        "name a document of format mirrors:1.0 that lists mirror, path and clouds for this content "
        "id, or remove the entry"
    ),
    source=f"{SEARCH}: mirrors serve agents; a failure on the way is passed over and the source itself used",
)
RULES: Final = (
    *(INDEX_FAILS, FORMAT, WRONG_TYPE, MIRRORS, HIDDEN, SIGNED_ONLY, SIGNED_LEADS_ASTRAY, FRAME, NO_PRODUCTS, DATATYPE),
    *(NOT_LISTED, TWO_ENTRIES, CLOUD, PRODUCT_NAME, NO_ID, NO_REGION, NO_ENDPOINT, NOT_IN_CLOUDS, REGION_SPELLED),
    *(ITEM_ARCH, ITEM_VERSION, TWINS, AGENTS_KEY, AGENT_VERSION, AGENT_LACKS, AGENT_PRODUCT, AGENT_TYPE, MIRROR_UNUSED),
)
