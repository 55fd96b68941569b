"""A token that says which machine shows it: a JSON Web Token (RFC 7519), for one audience and a short while."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import jwt

from headwater.errors import Invalid
from headwater.instances.identity.keys import LONGEST_S, Keys
from headwater.instances.snapshots.snapshot import Snapshot

PATH = "ec2/latest/dynamic/instance-identity/token"
ALGORITHM = "RS256"
_AUDIENCE_LIMIT = 255  # characters
_SHORTEST_S, _USUAL_S = 60, 300
_ALWAYS = ("iss", "sub", "aud", "iat", "nbf", "exp", "jti", "instance_id")


class TokenRequestInvalid(Invalid):
    """A token cannot be made as it is asked for."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field, self.problem = field, problem


class IdentityTokens:
    """Makes tokens; safe to use from several threads."""

    def __init__(self, keys: Keys, issuer: str, clock_s: Callable[[], int]) -> None:
        self.keys, self.issuer, self._clock_s = keys, issuer, clock_s

    def issue(self, snapshot: Snapshot, audience: str | None, lifetime_s: str | None) -> str:
        """Return a token for an instance.

        Args:
            audience: Who is to take it.
            lifetime_s: For how long it is good, as it was asked for; ``None``: five minutes.

        Raises:
            TokenRequestInvalid: They are missing, or beyond a limit.
            Unavailable: The catalogue does not answer.
        """
        if not audience or len(audience) > _AUDIENCE_LIMIT or not audience.isprintable():
            raise TokenRequestInvalid("audience", f"say who is to take the token, in 1 to {_AUDIENCE_LIMIT} characters")
        at = self._clock_s()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": f"instance:{snapshot.instance_id}",
            "aud": audience,
            "iat": at,
            "nbf": at,
            "exp": at + _lifetime(lifetime_s),
            "jti": str(uuid.uuid4()),
            "instance_id": snapshot.instance_id,
            **{name: value for name, value in snapshot.facts.items() if value is not None},
        }
        key = self.keys.signing()
        return jwt.encode(claims, key.private, ALGORITHM, headers={"kid": key.id})

    def configuration(self) -> dict[str, Any]:
        """Return where the keys are, as OpenID Connect's discovery has it, which Vault and others read."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/.well-known/jwks.json",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "claims_supported": [*_ALWAYS, "project_id", "name", "hostname", "image_id"],
        }


def _lifetime(text: str | None) -> int:
    if text is None:
        return _USUAL_S
    if not text.isascii() or not text.isdecimal() or not _SHORTEST_S <= int(text[:9]) <= LONGEST_S:
        raise TokenRequestInvalid("lifetime", f"a whole number of seconds from {_SHORTEST_S} to {LONGEST_S}")
    return int(text[:9])
