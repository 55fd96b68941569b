"""cloud-init, by its release. Run: 22.4.2 (Debian 12) and 26.2; sources read for the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from headwater.findings import Level
from headwater.instances.lint.consumers import judges
from headwater.instances.lint.rules import Place, Rule, Versions
from headwater.instances.lint.subject import Subject
from headwater.instances.user_data.kinds import GZIP, OF_CLOUD_INIT, kind_of

_MODES: Final = ("disabled", "local", "net", "pass")
_LONGEST_INTERFACE: Final = 15  # characters of a name: IFNAMSIZ with its NUL


def _other_kind(subject: Subject) -> Iterator[Place]:
    kind = subject.kind
    if kind is not None and kind.name not in OF_CLOUD_INIT:
        yield "user_data", {"kind": kind.name, "about": kind.about}


def _tokens_without_aws(subject: Subject) -> Iterator[Place]:
    if subject.instance.tokens == "required" and not _is_aws(subject.instance.id):
        yield "tokens", {}


def _tokens(subject: Subject) -> Iterator[Place]:
    if subject.instance.tokens == "required" and _is_aws(subject.instance.id):
        yield "tokens", {}


def _is_aws(uuid: str) -> bool:
    """Whether cloud-init takes the machine for one of AWS by its UUID, in either order of bytes."""
    return uuid.startswith("ec2") or (uuid[6:8], uuid[4]) == ("ec", "2")


def _mode(subject: Subject) -> Iterator[Place]:
    if subject.instance.meta.get("dsmode") == "disabled":
        yield "meta.dsmode", {}


def _unknown_mode(subject: Subject) -> Iterator[Place]:
    mode = subject.instance.meta.get("dsmode")
    if mode is not None and mode not in _MODES:
        yield "meta.dsmode", {"modes": ", ".join(_MODES)}


def _dns_of_networks(subject: Subject) -> Iterator[Place]:
    servers = subject.name_servers
    if servers["networks"] and not set(servers["networks"]) <= set(servers["services"]):
        yield "network_data.networks", {}


def _dns_of_routes(subject: Subject) -> Iterator[Place]:
    servers = subject.name_servers
    if servers["routes"] and not set(servers["routes"]) <= {*servers["services"], *servers["networks"]}:
        yield "network_data.networks", {}


def _interface_name(subject: Subject) -> Iterator[Place]:
    for place, link in subject.links:
        key = "name" if link.get("name") else "id"
        name = str(link.get(key) or "")
        makes = key == "name" or link.get("type") in ("bond", "vlan")
        if makes and len(name) > _LONGEST_INTERFACE:
            yield f"network_data.{place}.{key}", {"name": name, "length": len(name)}


def _stateless(subject: Subject) -> Iterator[Place]:
    for place, network in subject.networks:
        if network.get("type") in ("ipv6_dhcpv6-stateless", "ipv6_dhcpv6-stateful"):
            yield f"network_data.{place}.type", {"type": network["type"]}


def _vendor_data_unread(subject: Subject) -> Iterator[Place]:
    vendor_data = subject.instance.vendor_data
    if isinstance(vendor_data, Mapping) and vendor_data and "cloud-init" not in vendor_data:
        yield "vendor_data", {"keys": ", ".join(sorted(map(str, vendor_data)))[:200]}


def _vendor_data_kind(subject: Subject) -> Iterator[Place]:
    for place, text in _vendor_texts(subject.instance.vendor_data):
        kind = kind_of(text.encode())
        if kind is None or kind.name not in OF_CLOUD_INIT:
            yield place, {"what": "of no kind that it knows" if kind is None else kind.about}


def _vendor_texts(vendor_data: Any) -> Iterator[tuple[str, str]]:
    place = "vendor_data"
    if isinstance(vendor_data, Mapping):
        place, vendor_data = "vendor_data.cloud-init", vendor_data.get("cloud-init")
    if isinstance(vendor_data, str):
        yield place, vendor_data


def _vendor_data_items(subject: Subject) -> Iterator[Place]:
    vendor_data, place = subject.instance.vendor_data, "vendor_data"
    if isinstance(vendor_data, Mapping):
        vendor_data, place = vendor_data.get("cloud-init"), "vendor_data.cloud-init"
    for number, each in enumerate(vendor_data if isinstance(vendor_data, list | tuple) else ()):
        if not isinstance(each, str):
            yield f"{place}[{number}]", {}


def _gzip(subject: Subject) -> Iterator[Place]:
    if subject.kind is GZIP:
        yield "user_data", {}


def _rendered_in_guest(subject: Subject) -> Iterator[Place]:
    if "jinja2" in subject.kinds:
        yield "user_data", {}


def _includes(subject: Subject) -> Iterator[Place]:
    if subject.kinds & {"include", "include-once"}:
        yield "user_data", {}


RULES: Final = (
    Rule(
        id="cloud-init-user-data-kind",
        level=Level.ERROR,
        says="the user data is of the kind {kind}: {about}",
        fix="give it what it takes, such as #cloud-config or #!, or boot an image with the program that it is for",
        why="it warns 'Unhandled non-multipart (text/x-not-multipart) userdata' and boots without",
        source="cloud-init 22.4.2 and 26.2 (run): handlers/__init__.py",
        judge=_other_kind,
    ),
    Rule(
        id="cloud-init-tokens-elsewhere",
        level=Level.ERROR,
        says="tokens are required, and it asks for none: the id of the machine does not begin with ec2",
        fix="set --tokens optional; or give it an id that begins with ec2, also in its SMBIOS, and the data source Ec2",
        why="its data source OpenStack knows no tokens, and Ec2 asks for them on AWS alone: every answer is 401",
        source="cloud-init 22.4.2 and 26.2 (run): DataSourceEc2.py, DataSourceOpenStack.py",
        judge=_tokens_without_aws,
    ),
    Rule(
        id="cloud-init-tokens-too-old",
        level=Level.ERROR,
        says="tokens are required, and releases before 19.4 know of none",
        fix="set --tokens optional, or use an image with a newer one",
        why="its data source Ec2 reads without a token, and every answer is 401",
        source="cloud-init 19.4, change log: 'Add support for AWS IMDS v2 (session-oriented)'",
        versions=Versions(before="19.4"),
        judge=_tokens,
    ),
    Rule(
        id="cloud-init-disabled",
        level=Level.ERROR,
        says="meta.dsmode is disabled: it takes nothing of this record",
        fix="leave dsmode out",
        why="data sources of the mode disabled are passed over",
        source="cloud-init 22.4.2 and 26.2 (run): sources/helpers/openstack.py",
        judge=_mode,
    ),
    Rule(
        id="cloud-init-mode-unknown",
        level=Level.WARNING,
        says="meta.dsmode is none of {modes}",
        fix="leave dsmode out",
        why="it takes the first mode that it knows, and the user's is none",
        source="cloud-init: sources/__init__.py, VALID_DSMODES",
        judge=_unknown_mode,
    ),
    Rule(
        id="cloud-init-dns-of-networks",
        level=Level.WARNING,
        says="DNS servers stand with networks only, which releases before 23.2 do not read",
        fix="name them in services at the top of the network data as well",
        why="the machine has no DNS, or another one",
        source="cloud-init 22.4.2 (run) reads the global list only; 23.2 reads those of networks",
        versions=Versions(before="23.2"),
        judge=_dns_of_networks,
    ),
    Rule(
        id="cloud-init-dns-of-routes",
        level=Level.WARNING,
        says="DNS servers stand with routes only, which releases before 24.3 do not read",
        fix="name them in services at the top of the network data as well",
        why="the machine has no DNS, or another one",
        source="cloud-init 24.3 reads routes[].services, none before it",
        versions=Versions(before="24.3"),
        judge=_dns_of_routes,
    ),
    Rule(
        id="cloud-init-interface-name",
        level=Level.ERROR,
        says="the interface would be called {name!r}: {length} characters are more than the kernel's 15",
        fix="give it a shorter id or name",
        why="the link is made or renamed under that name, which fails; NoCloud calls bonds and VLANs by their id",
        source="Linux, IFNAMSIZ; netplan refuses the file, and the guest has no network",
        judge=_interface_name,
    ),
    Rule(
        id="cloud-init-dhcpv6",
        level=Level.NOTE,
        says="releases before 19.3 do not know the type {type}",
        fix="use ipv6_dhcp or ipv6_slaac for them",
        why="they fail to convert the network and fall back to DHCP on the first interface",
        source="cloud-init 19.3, change log: 'handle openstack dhcpv6-stateless configuration'",
        versions=Versions(before="19.3"),
        judge=_stateless,
    ),
    Rule(
        id="cloud-init-vendor-data-unread",
        level=Level.NOTE,
        says="the vendor data has no key cloud-init, so it runs nothing of it; its keys are {keys}",
        fix="put what it is to do under cloud-init, as a text or a list",
        why="it looks at that key alone",
        source="cloud-init 22.4.2 and 26.2 (run): convert_vendordata",
        judge=_vendor_data_unread,
    ),
    Rule(
        id="cloud-init-vendor-data-kind",
        level=Level.ERROR,
        says="the vendor data is {what}",
        fix="begin it with #cloud-config or another line that tells",
        why="it is processed as user data is, and passed over",
        source="cloud-init: stages.py, _consume_vendordata",
        judge=_vendor_data_kind,
    ),
    Rule(
        id="cloud-init-vendor-data-items",
        level=Level.WARNING,
        says="an item of the vendor data is no text",
        fix="write each piece as a text, such as '#cloud-config\\n…'",
        why="the pieces are processed as user data is; what is no text is none",
        source="cloud-init: user_data.py, convert_string",
        judge=_vendor_data_items,
    ),
    Rule(
        id="cloud-init-gzip-behind-neutron",
        level=Level.NOTE,
        says="the user data is compressed: Neutron's agent 28 decompresses it on the way, those of 26 and 27 break it",
        fix="nothing, unless Neutron's agent 26 or 27 stands between; then register it uncompressed",
        why="the agent answers 502 where a body is no text",
        source="neutron bugs 2120723 and 2156587; agents 28 and 29 (run)",
        judge=_gzip,
    ),
    Rule(
        id="cloud-init-renders",
        level=Level.NOTE,
        says="the guest renders the template: a variable that is not there becomes CI_MISSING_JINJA_VAR/… in silence",
        fix="use names of 'cloud-init query --list-keys', or let it be rendered at registration (--user-data-template)",
        why="it goes on with the text that it has",
        source="cloud-init: templater.py, MISSING_JINJA_PREFIX",
        judge=_rendered_in_guest,
    ),
    Rule(
        id="cloud-init-include",
        level=Level.NOTE,
        says="it fetches more user data from URLs: if one fails, releases since 20.3 boot without any user data",
        fix="make sure that the URLs answer while the machine boots, and proxies let it through",
        why="ERROR_ON_USER_DATA_FAILURE is set upstream",
        source="cloud-init: features.py, user_data.py",
        versions=Versions(since="20.3"),
        judge=_includes,
    ),
    Rule(
        id="cloud-init-files",
        level=Level.WARNING,
        says="it has files ({paths}), which cloud-init takes from a config drive of OpenStack alone",
        fix="give it that drive ('headwater config-drive build'), or write them with write_files of a cloud-config",
        why="by HTTP no document names them and their content is 404, and NoCloud has none",
        source="cloud-init: DataSourceConfigDrive.write_injected_files, on the first boot, with the mode 0660",
        judge=judges.files,
    ),
)
