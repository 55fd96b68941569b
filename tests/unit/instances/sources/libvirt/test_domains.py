"""A domain's XML becomes what a guest is told, and hostile XML becomes a refusal."""

from __future__ import annotations

import base64

import pytest

from headwater.errors import HeadwaterError
from headwater.instances.bulk.records import Record, RecordsWrong
from headwater.instances.devices import Disk, Nic
from headwater.instances.sources.libvirt.domains import Source, read
from headwater.instances.sources.libvirt.xml import NotXml
from unit.instances.examples import KEY

ID = "6695eb01-f6a4-8304-79aa-97f2502e193f"

# What libvirt 9.0 prints, shortened.
DOMAIN = f"""\
<domain type='kvm' id='1'>
  <name>web1</name>
  <uuid>{ID}</uuid>
  <title>The first one</title>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
    <headwater:instance xmlns:headwater="urn:headwater:instance:1">
      <headwater:hostname>web1.example.org</headwater:hostname>
      <headwater:ssh-key>{KEY}</headwater:ssh-key>
      <headwater:user-data encoding="base64">
        {base64.b64encode(bytes(range(256))).decode()}
      </headwater:user-data>
      <headwater:meta key="role">db</headwater:meta>
      <headwater:project-id>blue</headwater:project-id>
    </headwater:instance>
  </metadata>
  <memory unit='KiB'>8388608</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static' current='1'>2</vcpu>
  <sysinfo type='smbios'><system><entry name='uuid'>{ID}</entry><entry name='serial'>x</entry></system></sysinfo>
  <devices>
    <disk type='file' device='disk'>
      <source file='/guest/diskimage1'/>
      <target dev='vda' bus='virtio'/>
      <serial>vol-7</serial>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x0a' function='0x0'/>
    </disk>
    <disk type='block' device='lun'>
      <target dev='sda' bus='scsi'/>
      <address type='drive' controller='0' bus='0' target='1' unit='2'/>
    </disk>
    <disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>
    <interface type='network'>
      <mac address='52:54:00:AA:BB:01'/>
      <source network='default' bridge='virbr0'/>
      <model type='virtio'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/>
    </interface>
    <interface type='bridge'>
      <mac address='52:54:00:aa:bb:02'/>
      <source bridge='br0'/>
      <vlan><tag id='42'/></vlan>
      <mtu size='9000'/>
    </interface>
  </devices>
</domain>
"""


def records(*texts: str) -> list[Record]:
    return read(Source(name=f"{number}.xml", data=text.encode()) for number, text in enumerate(texts, 1))


def bare(name: str = "a", number: int = 0, inside: str = "") -> str:
    return f"<domain><name>{name}</name><uuid>{ID[:-2]}{number:02}</uuid>{inside}</domain>"


def ours(inside: str) -> str:
    return bare(inside=f'<metadata><instance xmlns="urn:headwater:instance:1">{inside}</instance></metadata>')


def test_a_domain_says_all_that_it_knows() -> None:
    (record,) = records(DOMAIN)
    found = record.instance
    assert (found.id, found.name, found.hostname, found.project_id) == (ID, "web1", "web1.example.org", "blue")
    assert ([key.data for key in found.keys], found.user_data) == ([KEY], bytes(range(256)))
    assert (dict(found.meta), found.instance_type) == ({"role": "db"}, "2cpu-8192mib")
    assert found.devices == (
        Nic(mac="52:54:00:aa:bb:01", bus="pci", address="0000:00:03.0", tags=("default",)),
        Nic(mac="52:54:00:aa:bb:02", vlan=42, tags=("br0",)),
        Disk(serial="vol-7", path="/dev/vda", bus="pci", address="0000:01:0a.0"),
        Disk(path="/dev/sda", bus="scsi", address="0:0:1:2"),
    )
    assert (found.network_data, found.addresses) == (None, ())


def test_a_record_speaks_of_nothing_that_the_domain_does_not_say() -> None:
    (whole,), (little,) = records(DOMAIN), records(bare())
    assert little.says == {"name", "devices"}
    assert whole.says == {*("name", "devices", "hostname", "keys", "user_data", "meta", "project_id", "instance_type")}


def test_an_address_of_one_interface_describes_all_of_them() -> None:
    interfaces = """<devices>
      <interface><mac address='52:54:00:00:00:01'/><mtu size='1400'/>
        <ip address='10.0.0.5' family='ipv4' prefix='16'/><ip address='2001:db8::5' family='ipv6' prefix='64'/>
        <route family='ipv4' address='0.0.0.0' prefix='0' gateway='10.0.0.1'/>
        <route family='ipv6' gateway='2001:db8::1'/></interface>
      <interface><mac address='52:54:00:00:00:02'/></interface></devices>"""
    (record,) = records(bare(inside=interfaces))
    assert record.instance.addresses == ("10.0.0.5", "2001:db8::5")
    network = record.instance.network_data
    assert network is not None
    assert [(link["ethernet_mac_address"], link.get("mtu")) for link in network["links"]] == [
        ("52:54:00:00:00:01", 1400),
        ("52:54:00:00:00:02", None),
    ]
    assert [(each["link"], each["type"]) for each in network["networks"]] == [
        ("interface0", "ipv4"),
        ("interface0", "ipv6"),
        ("interface1", "ipv4_dhcp"),
    ]
    first, second, _ = network["networks"]
    assert (first["netmask"], first["routes"]) == (
        "255.255.0.0",
        [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}],
    )
    assert second["routes"] == [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]


def test_several_domains_stand_in_one_file_however_they_were_put_together() -> None:
    declared = '<?xml version="1.0" encoding="UTF-8"?>\n'
    loop = "\n".join(bare(f"m{number}", number) for number in range(3))
    several = records(loop, declared + bare("m3", 3) + "\n" + declared + bare("m4", 4))
    several += records(f"<list>{bare('m5', 5)}{bare('m6', 6)}</list>")
    assert [record.instance.name for record in several] == [f"m{number}" for number in range(7)]
    assert [(record.place.source, record.place.line) for record in several[:5]] == [
        ("1.xml", 1),
        ("1.xml", 2),
        ("1.xml", 3),
        ("2.xml", 1),
        ("2.xml", 3),
    ]


def test_a_serial_number_for_nocloud_tells_the_host_name() -> None:
    system = "<sysinfo type='smbios'><system><entry name='serial'>ds=nocloud;i=7;h=db1</entry></system></sysinfo>"
    (record,) = records(bare(inside=system))
    assert (record.instance.hostname, "hostname" in record.says) == ("db1", True)


def test_what_dhcp_gave_is_an_address_of_the_machine() -> None:
    source = Source(name="test:///default", data=bare().encode(), addresses=["10.0.0.7"])
    (record,) = read([source])
    assert (record.instance.addresses, "addresses" in record.says) == (("10.0.0.7",), True)


BOMB = """<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY l2 "&lol;&lol;&lol;&lol;">]><domain><name>&l2;</name></domain>"""
OUTSIDE = """<!DOCTYPE d SYSTEM "file:///etc/passwd"><domain/>"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "1.xml, line 1: it declares a document type"),
        (OUTSIDE, "1.xml, line 1: it declares a document type"),
        (bare() + "\n" + BOMB, "1.xml, line 2: it declares a document type"),
        ("<a>" * 65 + "</a>" * 65, "nested more than 64 deep"),
        ("<domain>\n<name>x</domain>", "line 2: it is no XML"),
        ("- {name: yaml}", "line 1: it is no XML"),
        ("<domain/>\nand more", "line 2: it is no XML"),
        ("", "1.xml: it is empty"),
        ("<network><name>default</name></network>", "it holds <network>, and no <domain>"),
        ('<?xml version="1.0" encoding="nonsense"?><domain/>', "it is no XML"),
    ],
    ids=["bomb", "outside", "second", "deep", "broken", "yaml", "rest", "empty", "network", "coding"],
)
def test_what_is_no_domain_is_refused_whole(text: str, told: str) -> None:
    with pytest.raises(NotXml) as caught:
        records(text)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<domain><name>a</name></domain>", "uuid: the domain has none"),
        (bare(inside="<devices><interface/></devices>"), "it has no MAC address"),
        (bare(inside="<devices><interface><mac address='no'/></interface></devices>"), "'no' is no MAC address"),
        (ours("<hostnmae>x</hostnmae>"), "<hostnmae> is unknown"),
        (ours("<hostname>x</hostname><hostname>y</hostname>"), "<hostname>  stands there twice"),
        (ours("<user-data encoding='base64'>!</user-data>"), "<user-data> is no base64"),
        (ours("<user-data encoding='rot13'>!</user-data>"), "is 'text' or 'base64', and not 'rot13'"),
        (ours("<ssh-key>secret words</ssh-key>"), "is no OpenSSH public key"),
        (ours("<address>10.0.0.256</address>"), "'10.0.0.256' is no IPv4 or IPv6 address"),
        (ours("<meta>x</meta>"), "meta key"),
        (ours("<hostname><b/></hostname>"), "<hostname> holds an element"),
        (
            bare(inside="<sysinfo type='smbios'><system><entry name='uuid'>1</entry></system></sysinfo>"),
            "the SMBIOS shows the guest another one, '1'",
        ),
    ],
    ids=[
        *("no-uuid", "no-mac", "bad-mac", "unknown", "twice", "base64", "coding", "key", "address", "meta", "nested"),
        "smbios",
    ],
)
def test_what_a_domain_cannot_mean_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(RecordsWrong) as caught:
        records(bare("fine", 9), text)
    assert "1 of 2 records cannot be taken" in str(caught.value)
    assert "record 2 (2.xml, line 1, 'a'): " in str(caught.value)
    assert told in str(caught.value)


def test_two_domains_do_not_claim_one_address() -> None:
    inside = '<metadata><instance xmlns="urn:headwater:instance:1"><address>10.0.0.1</address></instance></metadata>'
    with pytest.raises(HeadwaterError, match=r"the address 10\.0\.0\.1 is that of record 1"):
        records(bare("a", 1, inside), bare("b", 2, inside))
