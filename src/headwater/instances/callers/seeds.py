"""Who is asking, where no address tells: a secret path for each machine, for cloud-init's ``ds=nocloud;s=URL``.

Whoever has the path is the machine. The catalogue keeps its hash only, so nobody reads it there.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from headwater.instances.errors import SeedUnknown

ROOT = "/seed/"
_BYTES = 24
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)


def new_seed() -> str:
    """Return a new secret for the path of a machine."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(seed: str) -> str:
    """Return what the catalogue knows a secret by."""
    return hashlib.sha256(seed.encode()).hexdigest()


def seed_in(path: str) -> tuple[str, str] | None:
    """Return the digest of the secret in a path, and what follows; ``None`` for a path of another kind.

    Raises:
        SeedUnknown: There is no secret where one should be.
    """
    if not path.startswith(ROOT):
        return None
    seed, _, rest = path.removeprefix(ROOT).partition("/")
    if not _TOKEN.fullmatch(seed):
        raise SeedUnknown
    return digest_of(seed), rest
