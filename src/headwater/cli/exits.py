"""Exit codes: 0 done, 1 the work failed or a check found something, 2 wrong usage or settings."""

from __future__ import annotations

import typer

from headwater.errors import HeadwaterError, Invalid, SettingsError, WrongContent

DONE, FAILED, WRONG_USE = 0, 1, 2


def code_of(error: HeadwaterError | typer.TyperException) -> int:
    """Return the exit code that tells of ``error``."""
    if isinstance(error, typer.TyperException):
        return error.exit_code
    if isinstance(error, WrongContent):
        return FAILED
    return WRONG_USE if isinstance(error, SettingsError | Invalid) else FAILED
