"""The domains of a libvirt that runs, with the addresses that its DHCP servers have given them.

Its Python module is the distribution's, or ``libvirt-python`` of the environment, and is imported when it is needed.
The connection only reads, and what libvirt keeps secret of a domain (passwords of consoles) is not asked for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import cache
from typing import Any

from headwater import distribution
from headwater.errors import SettingsError, Unavailable
from headwater.instances.sources.libvirt.domains import Source


class NoLibvirtModule(SettingsError):
    """The module is not here, or another Python's."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"--libvirt-uri needs the module 'libvirt': {reason}. Install it (on Debian or Ubuntu: sudo apt-get "
            "install python3-libvirt, with the distribution's Python; elsewhere libvirt-python), or give the output of "
            "'virsh dumpxml' with --libvirt"
        )


class LibvirtSilent(Unavailable):
    """Libvirt cannot be reached, or does not tell."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"libvirt at {uri!r} does not tell its domains: {reason}; nothing was changed")
        self.uri, self.reason = uri, reason


def domains(uri: str) -> Iterator[Source]:
    """Yield every domain of a libvirt, running or not.

    Raises:
        NoLibvirtModule: As it says.
        LibvirtSilent: As it says.
    """
    libvirt = _module()
    try:
        connection = libvirt.openReadOnly(uri)
    except libvirt.libvirtError as error:
        raise LibvirtSilent(uri, error.get_error_message()) from error
    try:
        for domain in connection.listAllDomains():
            try:
                xml = domain.XMLDesc(0)
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:  # it went meanwhile
                    continue
                raise
            yield Source(name=uri, data=xml.encode(), addresses=_addresses(libvirt, domain))
    except libvirt.libvirtError as error:
        raise LibvirtSilent(uri, error.get_error_message()) from error
    finally:
        connection.close()


def _addresses(libvirt: Any, domain: Any) -> list[str]:
    """Return what DHCP gave to each interface, in the order of the interfaces; nothing of a domain that is off."""
    try:
        interfaces = domain.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE)
    except libvirt.libvirtError:  # it does not run, or its hypervisor knows of no leases
        return []
    found = [each["addr"] for interface in interfaces.values() for each in interface["addrs"] or ()]
    return [
        each for each in found if not (parsed := ipaddress.ip_address(each)).is_link_local and not parsed.is_loopback
    ]


@cache
def _module() -> Any:
    try:
        distribution.module("libvirtmod")  # which libvirt imports
        libvirt = distribution.module("libvirt")
    except ImportError as error:
        raise NoLibvirtModule(str(error)) from error
    libvirt.registerErrorHandler(lambda *_: None, None)  # it would print every error as well
    return libvirt
