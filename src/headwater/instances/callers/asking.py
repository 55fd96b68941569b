"""Who is asking, and for what: by an address, a path, an agent's signature, or the channel that it comes by.

A path holds a secret, or what hardware says of itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from headwater.errors import Unavailable
from headwater.instances.callers.by_address import source_address
from headwater.instances.callers.identifiers import Identifier, identifier_in
from headwater.instances.callers.seeds import seed_in
from headwater.instances.callers.signed import MachineUnknown, OtherProject, Signed, TokenNeeded, Values, is_passed_on
from headwater.instances.errors import CallerUnknown, InstanceNotFound
from headwater.instances.password.posting import Posted
from headwater.instances.snapshots.kept import Snapshots
from headwater.instances.snapshots.moment import Moment
from headwater.instances.snapshots.snapshot import Snapshot
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


class Elsewhere(Protocol):
    """Who knows of instances that nobody registered."""

    passwords: Posted  # of these instances

    async def snapshot(self, caller: Caller) -> Snapshot | None:
        """Return what a caller may read; ``None``: it is not known there either.

        Raises:
            Unavailable: That cannot be told at the moment.
        """
        ...

    def held(self, caller: Caller) -> Snapshot | None:
        """Return what a caller read before, from memory; ``None``: nothing that may still be given."""
        ...

    async def change(self, snapshot: Snapshot) -> None:
        """Return when another state is known of the instance than that of a snapshot."""
        ...


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


def moment_of(snapshots: Snapshots, callers: Iterable[Caller]) -> Moment:
    """Return a moment after all of these have asked."""
    return snapshots.moment([caller.address for caller in callers if caller.address is not None])


def snapshot_of(snapshots: Snapshots, caller: Caller, moment: Moment | None = None) -> Snapshot:
    """Return what a caller may read.

    Args:
        moment: As of ``Snapshots.at``.

    Raises:
        NotFound: There is no such instance, or it is of another project.
        TokenNeeded: It can show no token where it is, and has to.
        Unavailable: The catalogue does not answer.
    """
    if caller.address is not None:
        return snapshots.at(caller.address, moment)
    if caller.seed is not None:
        # A server in the guest that is talked into reading does not know the path: it is the token.
        return replace(snapshots.of_seed(caller.seed, moment), needs_token=False)
    if caller.identifier is not None:
        return snapshots.known_by(caller.identifier, moment)
    assert caller.instance_id is not None
    if caller.project_id is None:
        return snapshots.of(caller.instance_id, moment)
    try:
        snapshot = snapshots.of(caller.instance_id.lower(), moment)
    except InstanceNotFound as error:
        raise MachineUnknown(caller.instance_id) from error
    if snapshot.project_id != caller.project_id:
        raise OtherProject(caller.instance_id)
    if snapshot.needs_token and not caller.shows_tokens:
        raise TokenNeeded
    return snapshot


async def known(
    caller: Caller, registered: Callable[[Caller], Awaitable[Snapshot]], elsewhere: Elsewhere | None
) -> Snapshot:
    """Return what a caller may read, as ``registered`` answers, and elsewhere only for who is not registered.

    Raises:
        NotFound, TokenNeeded, Unavailable: As of ``snapshot_of``; elsewhere cannot tell.
    """
    try:
        return await registered(caller)
    except OtherProject:
        raise
    except Unavailable:  # without the registry, who was not in it until now is taken for not being there
        held = None if elsewhere is None else elsewhere.held(caller)
        if held is None:
            raise
        return held
    except (CallerUnknown, MachineUnknown):
        found = None if elsewhere is None else await elsewhere.snapshot(caller)
        if found is None:
            raise
        return found
