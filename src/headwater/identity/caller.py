"""Who is calling: what every use case is told, whatever proved it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One caller for the length of one request."""

    user_id: str | None = None
    project_id: str | None = None
    roles: frozenset[str] = frozenset()  # lower case
    # Of the service that passes the user's call on (Nova, Cinder), proved by a token of its own.
    service_roles: frozenset[str] = frozenset()
    system_scope: str | None = None  # "all" for a token that is scoped to the system
    domain_id: str | None = None
    token: str | None = field(default=None, repr=False)  # for calls in the caller's name; never logged
    request_id: str | None = field(default=None, compare=False)  # of the request that this is the caller of
    address: str | None = field(default=None, compare=False)  # that the request came from

    @property
    def credentials(self) -> dict[str, object]:
        """What policy rules see, under the names that OpenStack's policies use."""
        return {
            "user_id": self.user_id,
            "project_id": self.project_id,
            "tenant": self.project_id,
            "user": self.user_id,
            "roles": sorted(self.roles),
            "service_roles": sorted(self.service_roles),
            "system_scope": self.system_scope,
            "domain_id": self.domain_id,
            "is_admin": "admin" in self.roles,
        }


# Who calls where nobody has to prove anything: the operator on their own machine.
OPERATOR = Caller(user_id=None, project_id=None, roles=frozenset({"admin", "manager", "member", "reader"}))
