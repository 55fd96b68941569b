"""What can be wrong with an instance, or with a question about one."""

from __future__ import annotations

from headwater.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge, Unavailable


class InstanceInvalid(Invalid):
    """A field of an instance holds what no guest could use."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field, self.problem = field, problem


class UserDataTooLarge(TooLarge):
    """User data is longer than the setting allows."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"user data: {size} bytes are more than the {limit} allowed; compress it, "
            "or let it fetch the larger part from a URL"
        )
        self.size, self.limit = size, limit


class InstanceTooLarge(TooLarge):
    """The whole record is larger than the catalogue keeps."""

    def __init__(self, name: str, size: int, limit: int) -> None:
        super().__init__(
            f"instance {name}: its record has {size} bytes and at most {limit} are kept; "
            "make its vendor data, meta or files smaller"
        )
        self.name, self.size, self.limit = name, size, limit


class InstanceNotFound(NotFound):
    """No instance has this id or name."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"there is no instance {wanted!r}; 'headwater instance list' shows those there are")
        self.wanted = wanted


class NeverAsked(NotFound):
    """A machine that is not registered here, and as an instance of the cloud has not asked for anything."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(
            f"the machine {instance_id} is not registered here, and has asked this service for nothing: an instance of "
            "the cloud is known here once it has; look at its route to 169.254.169.254, and at the agent before it"
        )
        self.instance_id = instance_id


class NowhereKnown(NotFound):
    """Neither the registry nor the cloud has such an instance."""

    def __init__(self, wanted: str) -> None:
        super().__init__(
            f"there is no instance {wanted!r}: none is registered ('headwater instance list'), and the cloud has none. "
            "An instance of the cloud is known by its name once it has asked for metadata, before that by its id"
        )
        self.wanted = wanted


class CloudSilent(Unavailable):
    """The cloud does not say what an instance is, and nothing is kept of it."""

    def __init__(self, wanted: str, reason: str) -> None:
        super().__init__(
            f"no instance {wanted[:255]!r} is registered, and the cloud that may know it does not answer "
            f"({reason.rstrip('.')}); try again when it does"
        )
        self.wanted, self.reason = wanted, reason

    @property
    def told(self) -> str:
        """It, without the reason, which may name what callers are not to know."""
        return f"no instance {self.wanted[:255]!r} is registered, and the cloud does not answer; try again"


class MachineOfCloud(Forbidden):
    """The cloud says what an instance is told, and nobody changes that here."""

    def __init__(self, instance_id: str, name: str) -> None:
        super().__init__(
            f"the instance {name!r} ({instance_id}) is one of the OpenStack cloud and is not changed here: change it "
            "there, as with 'openstack server set', or register an instance of the same id here, which then comes first"
        )
        self.instance_id, self.name = instance_id, name


class NoPathOfCloud(Forbidden):
    """Secret paths are kept of registered instances only."""

    def __init__(self, instance_id: str, name: str) -> None:
        super().__init__(
            f"the instance {name!r} ({instance_id}) is one of the OpenStack cloud, of which no secret path is kept: "
            "it reads /nocloud/ on the metadata port by its address or through its agent, or a config drive "
            "('headwater config-drive build'); one that is registered with the same id can have a path"
        )
        self.instance_id, self.name = instance_id, name


class CallerUnknown(NotFound):
    """No instance is registered with the address that asks."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"No instance is registered with the address {address}; "
            "its operator registers one with 'headwater instance add --address'."
        )
        self.address = address


class SeedUnknown(NotFound):
    """A secret path that leads to no machine: it never did, or does no more."""

    def __init__(self) -> None:
        super().__init__("This path leads to no machine (any more); 'headwater instance seed' makes a new one.")


class IdentifierUnknown(NotFound):
    """No instance, or more than one, has what a machine's hardware says of itself."""

    def __init__(self, kind: str, value: str) -> None:
        super().__init__(
            f"No instance is known by the {kind} {value[:64]!r}, or more than one is; 'headwater instance show' says "
            "the id, the serial and the MAC addresses of one."
        )
        self.kind, self.value = kind, value


class InstanceExists(Conflict):
    """Another instance has the id, the name, the serial or an address already."""

    def __init__(self, what: str, value: str, owner_id: str, owner_name: str) -> None:
        super().__init__(
            f"the {what} {value} belongs to the instance {owner_name!r} ({owner_id}) already; "
            f"give another {what}, or remove that instance"
        )
        self.what, self.value, self.owner_id, self.owner_name = what, value, owner_id, owner_name


class InstanceChanged(Conflict):
    """Somebody changed the instance after it was read."""

    def __init__(self, instance_id: str, expected: int, found: int) -> None:
        super().__init__(
            f"instance {instance_id} was changed meanwhile (revision {found}, expected {expected}); "
            "read it again and repeat the change"
        )
        self.instance_id, self.expected, self.found = instance_id, expected, found
