"""What a caller may read: the snapshot of an instance that is registered, or of one that others know of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Protocol

from headwater.errors import Unavailable
from headwater.instances.callers.asking import Caller
from headwater.instances.callers.signed import MachineUnknown, TokenNeeded
from headwater.instances.errors import CallerUnknown, InstanceNotFound
from headwater.instances.password.posting import Posted
from headwater.instances.snapshots.kept import Snapshots
from headwater.instances.snapshots.moment import Moment
from headwater.instances.snapshots.snapshot import Snapshot


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
        raise MachineUnknown(caller.instance_id)
    if snapshot.needs_token and not caller.shows_tokens:
        raise TokenNeeded
    return snapshot


async def known(
    caller: Caller, registered: Callable[[Caller], Awaitable[Snapshot]], elsewhere: Elsewhere | None
) -> Snapshot:
    """Return what a caller may read, as ``registered`` answers, and elsewhere only for who is not registered.

    Who registers the id of a cloud's machine in another project than it has there takes nothing from it.

    Raises:
        NotFound, TokenNeeded, Unavailable: As of ``snapshot_of``; elsewhere cannot tell.
    """
    try:
        return await registered(caller)
    except Unavailable:  # without the registry, who was not in it until now is taken for not being there
        held = None if elsewhere is None else elsewhere.held(caller)
        if held is None:
            raise
        return held
    except (CallerUnknown, MachineUnknown, InstanceNotFound):
        found = None if elsewhere is None else await elsewhere.snapshot(caller)
        if found is None:
            raise
        return found
