"""Who is asking, behind Neutron: its agents name the machine, and sign that with a secret that they share with us.

The signature covers the id of the instance alone, so it is a token for all that the machine may read, for ever. The
agent passes on nine statuses, and makes 502 of any other; and no header of the guest, so session tokens cannot be had.
Where the compute node's own proxy asks (``metadata_path`` of Open vSwitch) no agent stands between: it signs likewise,
passes on all statuses and headers, and sends no ``X-Forwarded-For``, which is added wherever there is an agent.

A load balancer (NSX) names and signs no machine but its metadata provider, and tells the address of who asks: the
settings say on which network that is.
Source: neutron/agent/metadata (2026.1), Nova's handler; OVN's agent sends the same headers.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from pydantic import SecretStr

from headwater.errors import Forbidden, Invalid, NotFound
from headwater.instances.addresses import canonical_source, on_network
from headwater.instances.errors import InstanceInvalid

Values = Callable[[str], Sequence[str]]  # of a header, by its name

INSTANCE, SIGNATURE, PROJECT = "X-Instance-ID", "X-Instance-ID-Signature", "X-Tenant-ID"
PROVIDER, PROVIDER_SIGNATURE = "X-Metadata-Provider", "X-Metadata-Provider-Signature"
FORWARDED = "X-Forwarded-For"

# What the agent passes on of refusals, and what it does in place of others: 400, unless another comes nearer.
_PASSED_ON = frozenset(map(HTTPStatus, (400, 403, 404, 409, 500, 502, 503, 504)))
_INSTEAD = {
    HTTPStatus.UNAUTHORIZED: HTTPStatus.FORBIDDEN,
    HTTPStatus.GONE: HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS: HTTPStatus.SERVICE_UNAVAILABLE,
}


class HeaderMissing(Invalid):
    """An agent always sends these, each once."""

    def __init__(self, name: str, times: int) -> None:
        how = f"is sent {times} times" if times != 1 else "is empty"
        super().__init__(f"The header {name} {how}, and an agent of Neutron sends it once, with a value.")
        self.name, self.times = name, times


class NotOneAddress(Invalid):
    """A load balancer says of whom it passes something on, and of nobody else."""

    def __init__(self) -> None:
        super().__init__(
            f"The header {FORWARDED} of a metadata provider is not one address; others the guest may have written."
        )


class SignatureWrong(Forbidden):
    """None of our secrets has made the signature, or it comes from where no agent is."""

    def __init__(self) -> None:
        super().__init__("Invalid proxy request signature.")


class MachineUnknown(NotFound):
    """No instance has the id, or it is of another project."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(
            f"No instance {instance_id[:64]} of this project is registered; its operator registers one with "
            "'headwater instance add --id --project-id'."
        )


class TokenNeeded(Forbidden):
    """The instance reads with a session token only, and none comes through an agent."""

    def __init__(self) -> None:
        super().__init__("This instance has to show session tokens, which do not come through Neutron's agents.")


class Signed:
    """Reads and judges what agents say of a request; safe to use from several threads."""

    def __init__(
        self,
        secrets: Sequence[SecretStr],
        is_agent: Callable[[str], bool],
        providers: Mapping[str, str] | None = None,
    ) -> None:
        """Take the secrets that agents may sign with; more than one while they are changed.

        Args:
            is_agent: Whether an agent may ask from an address.
            providers: The networks that load balancers ask for, by the ids that they name.
        """
        self._providers = dict(providers or {})
        self._secrets = [secret.get_secret_value().encode() for secret in secrets]
        self._is_agent = is_agent

    def address(self, client: tuple[str, int] | None, headers: Values) -> str | None:
        """Return the address, with its network, for which a load balancer asks; ``None`` where an agent has to say who.

        Raises:
            HeaderMissing: Something of what a load balancer sends is not there, or is there twice.
            NotOneAddress: As its name says.
            SignatureWrong: So does this; and no network is of this provider.
        """
        if not self._providers or headers(INSTANCE) or not headers(PROVIDER):
            return None
        provider, signature = _once(headers, PROVIDER), _once(headers, PROVIDER_SIGNATURE)
        self._require_signed(client, provider, signature)
        network = self._providers.get(provider)
        if network is None:
            raise SignatureWrong
        try:
            return on_network(network, canonical_source(_once(headers, FORWARDED).strip()))
        except InstanceInvalid as error:
            raise NotOneAddress from error

    def instance(self, client: tuple[str, int] | None, headers: Values) -> tuple[str, str]:
        """Return the ids of the instance that asks and of its project, as an agent has signed them.

        Raises:
            HeaderMissing: One of the three is not there, or is there twice.
            SignatureWrong: As its name says.
        """
        instance_id, signature, project_id = (_once(headers, name) for name in (INSTANCE, SIGNATURE, PROJECT))
        self._require_signed(client, instance_id, signature)
        return instance_id, project_id

    def _require_signed(self, client: tuple[str, int] | None, text: str, signature: str) -> None:
        if client is not None and not self._is_agent(client[0]):
            raise SignatureWrong
        signed = text.encode("latin-1")
        right = [hmac.new(secret, signed, hashlib.sha256).hexdigest() for secret in self._secrets]
        given = signature.encode("latin-1")
        if not any([hmac.compare_digest(each.encode(), given) for each in right]):  # noqa: C419 - all, in equal time
            raise SignatureWrong


def is_passed_on(headers: Values) -> bool:
    """Whether an agent stands between; a guest that says so itself has none of the other path's advantages."""
    return bool(headers(FORWARDED))


def passed_on(status: HTTPStatus, headers: Values) -> HTTPStatus:
    """Return the status that tells an agent of a refusal, where there is an agent."""
    if status in _PASSED_ON or not is_passed_on(headers):
        return status
    return _INSTEAD.get(status, HTTPStatus.BAD_REQUEST)


def _once(headers: Values, name: str) -> str:
    values = headers(name)
    if len(values) != 1 or not values[0]:
        raise HeaderMissing(name, len(values))
    return values[0]
