"""Who is asking: an instance is known by the address that its connection comes from.

Nothing that the guest says counts, ``X-Forwarded-For`` included, unless a proxy that the operator trusts has
written it; the network in front must not let a guest send from another's address.
"""

from __future__ import annotations

from headwater.instances.addresses import canonical_source, on_network
from headwater.instances.errors import CallerUnknown, InstanceInvalid


def source_address(client: tuple[str, int] | None, network: str = "") -> str:
    """Return the canonical address of a connection's other end, as ASGI's ``client`` names it.

    The interface that a link-local address has come by is no part of it: which network that is, the listener tells.

    Args:
        network: The one whose listener has taken the connection; empty for the metadata port.

    Raises:
        CallerUnknown: The other end has no IP address.
    """
    if client is None:
        raise CallerUnknown("(none)")
    try:
        return on_network(network, canonical_source(client[0]))
    except InstanceInvalid as error:
        raise CallerUnknown("(none)") from error
