"""Who is asking, and for what: by an address, a path, an agent's signature, or the channel that it comes by.

A path holds a secret, or what hardware says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.instances.callers.by_address import source_address
from headwater.instances.callers.identifiers import identifier_in
from headwater.instances.callers.seeds import seed_in
from headwater.instances.callers.signed import Signed, Values, is_passed_on
from headwater.instances.registry.hardware import Identifier
from headwater.instances.trees import nocloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What tells a caller; one of the first four."""

    address: str | None = None  # in its canonical form, with its network
    seed: str | None = None  # the digest of a secret path
    identifier: Identifier | None = None  # what its hardware says of itself
    instance_id: str | None = None
    project_id: str | None = None  # beside an id that an agent has signed
    shows_tokens: bool = True  # what the machine itself says arrives


def asked(
    path: str,
    client: tuple[str, int] | None,
    headers: Values,
    *,
    only: str | None,
    signed: Signed | None,
    network: str = "",
    trusted: bool = False,
) -> tuple[Caller, str]:
    """Return who asks, and the path of the document that is asked for.

    Args:
        client: The connection's other end, as ASGI names it.
        headers: Gives all values of a header.
        only: The id of the one instance that can ask.
        signed: Knows who asks by what an agent says; ``None``: the address tells.
        network: The one that is asked on, as the settings name it; empty for the metadata port.
        trusted: Whether its machines may say who they are.

    Raises:
        NotFound, Invalid, Forbidden: It cannot be anybody.
    """
    if only is not None:
        return Caller(instance_id=only), path
    if trusted and (known := identifier_in(path)):
        identifier, below = known
        return Caller(identifier=identifier), f"{nocloud.ROOT}/{below}"
    if seeded := seed_in(path):
        digest, below = seeded
        return Caller(seed=digest), f"{nocloud.ROOT}/{below}"
    if signed is not None:
        if (address := signed.address(client, headers)) is not None:
            return Caller(address=address), path
        instance_id, project_id = signed.instance(client, headers)
        shows_tokens = not is_passed_on(headers)
        return Caller(instance_id=instance_id, project_id=project_id, shows_tokens=shows_tokens), path
    return Caller(address=source_address(client, network)), path
