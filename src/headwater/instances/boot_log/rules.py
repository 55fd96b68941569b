"""What each consumer reads when it boots, and what it makes of an answer that it does not get: rules as data.

Source: cloud-init 22.4.2 and 26.2 (DataSourceOpenStack.py, DataSourceEc2.py, DataSourceNoCloud.py) and cloudbase-init
1.1.8, driven against faulty servers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One document of a crawl."""

    name: str  # as people call it
    pattern: re.Pattern[str]  # of the document's name
    needed: bool  # the whole data source fails without it
    # What a guest does when it gets the status once, and does not ask again.
    on_failure: str = ""
    on_absence: str = ""  # on 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One data source."""

    name: str
    probe: re.Pattern[str]  # what is asked first, and by no other
    parts: tuple[Part, ...]


def _part(name: str, pattern: str, *, needed: bool = False, on_failure: str = "", on_absence: str = "") -> Part:
    return Part(
        name=name,
        pattern=re.compile(pattern),
        needed=needed,
        on_failure=on_failure,
        on_absence=on_absence,
    )


_BEFORE_25_1 = "cloud-init before 25.1 does not ask again"
_GIVES_UP = f"{_BEFORE_25_1} and gives up the data source"

SOURCES = (
    Source(
        name="OpenStack",
        probe=re.compile(r"openstack(/|$)"),
        parts=(
            _part(
                "the list of versions", r"openstack", needed=True, on_failure="cloud-init passes the data source over"
            ),
            _part(
                "meta_data.json",
                r"openstack/[^/]+/meta_data\.json",
                needed=True,
                on_failure=_GIVES_UP,
                on_absence="every cloud-init gives up the data source",
            ),
            _part(
                "user_data",
                r"openstack/[^/]+/user_data",
                on_failure=f"{_BEFORE_25_1} and boots without user data, silently",
            ),
            _part("vendor_data.json", r"openstack/[^/]+/vendor_data\.json", on_failure=_GIVES_UP),
            _part("network_data.json", r"openstack/[^/]+/network_data\.json", on_failure=_GIVES_UP),
        ),
    ),
    Source(
        name="Ec2",
        probe=re.compile(r"ec2(/|$)"),
        parts=(
            _part("instance-id", r"ec2/[^/]+/meta-data/instance-id", needed=True),
            _part(
                "the list of metadata",
                r"ec2/[^/]+/meta-data",
                needed=True,
                on_failure="cloud-init asks five times more and then drops all metadata",
            ),
            _part(
                "a leaf of metadata",
                r"ec2/[^/]+/meta-data/(?!instance-id$).+",  # that one is asked of versions that may not be there
                on_failure="cloud-init asks five times more and then drops all metadata",
                on_absence="cloud-init drops all metadata when one that is listed is absent",
            ),
            _part("user-data", r"ec2/[^/]+/user-data", on_failure="cloud-init asks five times more"),
        ),
    ),
    Source(
        name="NoCloud",
        probe=re.compile(r"nocloud/"),
        parts=(
            _part("meta-data", r"nocloud/meta-data", needed=True, on_absence="cloud-init gives up the data source"),
            _part("user-data", r"nocloud/user-data", needed=True, on_absence="cloud-init gives up the data source"),
            _part("vendor-data", r"nocloud/vendor-data"),
            _part("network-config", r"nocloud/network-config"),
        ),
    ),
)

ANYTHING = _part("a document", ".*")
USER_DATA = re.compile(r"(openstack/[^/]+/user_data|ec2/[^/]+/user-data|nocloud/user-data)")

# How programs name themselves in ``User-Agent``; the first that fits counts.
AGENTS = (
    (re.compile(r"Cloud-Init/(\d[\w.+~-]*)", re.IGNORECASE), "cloud-init"),
    (re.compile(r"OpenStack-cloudbase-init|cloudbase-init", re.IGNORECASE), "cloudbase-init"),
    (re.compile(r"Ignition/v?(\d[\w.+~-]*)", re.IGNORECASE), "Ignition"),
    (re.compile(r"afterburn/?v?(\d[\w.+~-]*)?", re.IGNORECASE), "Afterburn"),
    (re.compile(r"systemd-imdsd?/?(\d[\w.+~-]*)?", re.IGNORECASE), "systemd-imdsd"),
    (re.compile(r"(?:aws-sdk|botocore|boto3)[^/]*/(\d[\w.+~-]*)", re.IGNORECASE), "an AWS SDK"),
)
# Of these, who reads single documents: a data source has nothing that they need, and what is absent is so to them.
READ_SINGLE_DOCUMENTS = frozenset({"Ignition", "Afterburn", "systemd-imdsd", "an AWS SDK"})
