"""Domains of libvirt to records, as the import of many machines takes them.

A domain says what libvirt knows, and what its ``<metadata>`` says for us (``ours``). Of a machine that is registered
with the same UUID only that is changed; what a domain does not say stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final
from xml.etree.ElementTree import Element

from headwater.errors import HeadwaterError
from headwater.instances.bulk.records import MOST_RECORDS, FileUnreadable, Place, Record, RecordsWrong, claimed_twice
from headwater.instances.errors import InstanceInvalid
from headwater.instances.service import Description, described
from headwater.instances.sources.libvirt import hardware, ours
from headwater.instances.sources.libvirt.xml import Document, NotXml, documents

# Source: cloud-init's DataSourceNoCloud, which reads these settings from the serial number of the SMBIOS.
_HOSTNAME: Final = re.compile(r"ds=nocloud(?:-net)?(?:;[^;]*)*?;(?:h|local-hostname)=([^;]+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Domain XML, and what else is known of the machine."""

    name: str  # the file, or the URI of libvirt
    data: bytes
    addresses: Sequence[str] = ()  # that the machine was given


def read(sources: Iterable[Source]) -> list[Record]:
    """Return the records of all domains; one source holds any number of them.

    Raises:
        NotXml: A source is no XML.
        FileUnreadable: There are too many domains, or one source holds something else.
        RecordsWrong: Some cannot be taken.
    """
    found: list[Record] = []
    faults: list[tuple[Place, str]] = []
    count = 0
    for source in sources:
        for document in _domains(source):
            count += 1
            if count > MOST_RECORDS:
                raise FileUnreadable(f"there are more than {MOST_RECORDS} domains; give them in parts")
            name = document.root.findtext("name")
            place = Place(number=count, line=document.line, name=name, source=source.name)
            try:
                found.append(_record(place, document.root, source.addresses))
            except HeadwaterError as error:
                faults.append((place, str(error)))
    faults += claimed_twice(found)
    if faults:
        raise RecordsWrong(faults, found, count)
    return found


def _domains(source: Source) -> Iterator[Document]:
    """Yield ``<domain>``s, also of what libvirt keeps of running ones (``<domstatus>``) and of lists of them."""
    is_empty = True
    for document in documents(source.data, source.name):
        is_empty = False
        if document.root.tag == "domain":
            yield document
            continue
        inside = document.root.findall("domain")
        if not inside:
            problem = f"it holds <{document.root.tag[:64]}>, and no <domain> as 'virsh dumpxml' prints it"
            raise NotXml(problem, source.name, document.line)
        yield from (Document(each, document.line) for each in inside)
    if is_empty:
        raise NotXml("it is empty", source.name)


def _record(place: Place, domain: Element, given: Sequence[str]) -> Record:
    said = dict(ours.said(domain))
    image = said.pop("image", None)
    said["name"] = (domain.findtext("name") or "").strip()
    said["id"] = _uuid(domain)
    addresses = dict.fromkeys((*said.get("addresses", ()), *hardware.addresses(domain), *given))
    if addresses:
        said["addresses"] = list(addresses)
    for name, value in (
        ("instance_type", hardware.instance_type(domain)),
        ("network_data", hardware.network_data(domain)),
        ("hostname", _hostname(domain)),
    ):
        if value is not None:
            said.setdefault(name, value)
    instance = described(Description(**said))
    instance = replace(instance, devices=hardware.devices(domain))
    fields = {"keys" if name == "ssh_keys" else name for name in said} - {"id"} | {"devices"}
    if image is not None:
        fields |= {"image_id", "image_name"}
    return Record(place=place, instance=instance, image=image, says_id=True, says=frozenset(fields))


def _uuid(domain: Element) -> str:
    """Return the UUID, which the guest reads in its SMBIOS."""
    found = (domain.findtext("uuid") or "").strip()
    if not found:
        raise InstanceInvalid("uuid", "the domain has none; 'virsh dumpxml' prints the one that libvirt gave it")
    shown = _of_system(domain, "uuid")
    if shown is not None and shown.lower() != found.lower():
        raise InstanceInvalid(
            "uuid", f"the SMBIOS shows the guest another one, {shown[:64]!r}; libvirt wants them equal"
        )
    return found


def _hostname(domain: Element) -> str | None:
    serial = _of_system(domain, "serial")
    matched = None if serial is None else _HOSTNAME.match(serial)
    return None if matched is None else matched[1]


def _of_system(domain: Element, name: str) -> str | None:
    for entry in domain.iterfind("sysinfo[@type='smbios']/system/entry"):
        if entry.get("name") == name:
            return (entry.text or "").strip()
    return None
