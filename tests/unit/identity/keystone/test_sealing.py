"""A token that work after the request needs is read again by Headwater alone."""

import pytest
from pydantic import SecretStr

from headwater.identity.keystone.sealing import NotUnsealed, TokenSeal
from headwater.identity.settings import KeystoneSettings

TOKEN = "gAAAAABl-a-token"


def seal(password: str | None = "secret") -> TokenSeal:
    return TokenSeal(KeystoneSettings(password=SecretStr(password) if password is not None else None))


def test_what_is_sealed_is_read_by_every_process_with_the_secret() -> None:
    sealed = seal().seal(TOKEN, "task")
    assert TOKEN not in sealed
    assert seal().unseal(sealed, "task") == TOKEN


def test_the_same_token_is_sealed_differently_each_time() -> None:
    assert seal().seal(TOKEN, "task") != seal().seal(TOKEN, "task")


@pytest.mark.parametrize(
    ("password", "purpose", "cut"),
    [("other", "task", None), ("secret", "another task", None), ("secret", "task", 10), (None, "task", None)],
)
def test_another_secret_another_purpose_or_a_part_reads_nothing(
    password: str | None, purpose: str, cut: int | None
) -> None:
    sealed = seal().seal(TOKEN, "task")[:cut]
    with pytest.raises(NotUnsealed):
        seal(password).unseal(sealed, purpose)
