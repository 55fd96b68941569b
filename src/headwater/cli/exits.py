"""Exit codes: 0 done, 1 the work failed or a check found something, 2 wrong usage or settings."""

from __future__ import annotations

from headwater.errors import HeadwaterError, Invalid, SettingsError

DONE, FAILED, WRONG_USE = 0, 1, 2


def code_of(error: HeadwaterError) -> int:
    """Return the exit code that tells of ``error``."""
    return WRONG_USE if isinstance(error, SettingsError | Invalid) else FAILED
