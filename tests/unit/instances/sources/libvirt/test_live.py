"""A real libvirt is asked, by its driver for tests: domains that stand in a file, and DHCP leases of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headwater import distribution
from headwater.instances.sources.libvirt import live
from headwater.instances.sources.libvirt.domains import read
from needs import not_run

NODE = """<node>
  <domain type='test'>
    <name>web1</name><uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
    <metadata>
      <h:instance xmlns:h='urn:headwater:instance:1'><h:hostname>web1.example</h:hostname></h:instance>
    </metadata>
    <memory unit='MiB'>512</memory><vcpu>1</vcpu><os><type>hvm</type></os>
    <devices><interface type='network'>
      <mac address='52:54:00:00:00:01'/><source network='default'/><target dev='testnet0'/>
    </interface></devices>
  </domain>
  <network><name>default</name><bridge name='virbr0'/>
    <ip address='192.168.122.1' netmask='255.255.255.0'>
      <dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp>
    </ip>
  </network>
</node>
"""


@pytest.fixture
def libvirt() -> None:
    try:
        live._module()
    except live.NoLibvirtModule as error:
        if "another Python" in str(error):
            pytest.skip(str(error))
        not_run("the module libvirt", "install python3-libvirt")


@pytest.mark.usefixtures("libvirt")
def test_domains_of_a_libvirt_are_read_with_the_addresses_of_their_leases(tmp_path: Path) -> None:
    (tmp_path / "node.xml").write_text(NODE)
    (record,) = read(live.domains(f"test://{tmp_path}/node.xml"))
    found = record.instance
    assert (found.name, found.hostname, found.instance_type) == ("web1", "web1.example", "1cpu-512mib")
    assert found.addresses == ("192.168.122.3",)  # the driver gives the same one each time
    assert [(each.tags, getattr(each, "mac", None)) for each in found.devices] == [(("default",), "52:54:00:00:00:01")]


@pytest.mark.usefixtures("libvirt")
def test_a_libvirt_that_does_not_tell_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "node.xml").write_text("<nothing/>")
    with pytest.raises(live.LibvirtSilent, match=r"^libvirt at 'test://\S+/node.xml' does not tell its domains: "):
        list(live.domains(f"test://{tmp_path}/node.xml"))
    assert capfd.readouterr() == ("", "")


def test_without_the_module_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(distribution, "PLACES", (tmp_path,))
    for name in ("libvirt", "libvirtmod"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    live._module.cache_clear()
    with pytest.raises(live.NoLibvirtModule, match="apt-get install python3-libvirt"):
        list(live.domains("test:///default"))
    live._module.cache_clear()
