"""A token that work after the request needs is read again by Headwater alone."""

import pytest
from pydantic import SecretStr

from headwater.identity.keystone.kept_tokens import TokenCipher, TokenUnreadable
from headwater.identity.settings import KeystoneSettings

TOKEN = "gAAAAABl-a-token"


def cipher(password: str | None = "secret") -> TokenCipher:
    return TokenCipher(KeystoneSettings(password=SecretStr(password) if password is not None else None))


def test_what_is_encrypted_is_read_by_every_process_with_the_secret() -> None:
    encrypted = cipher().encrypt(TOKEN, "task")
    assert TOKEN not in encrypted
    assert cipher().decrypt(encrypted, "task") == TOKEN


def test_the_same_token_is_encrypted_differently_each_time() -> None:
    assert cipher().encrypt(TOKEN, "task") != cipher().encrypt(TOKEN, "task")


@pytest.mark.parametrize(
    ("password", "purpose", "cut"),
    [("other", "task", None), ("secret", "another task", None), ("secret", "task", 10), (None, "task", None)],
)
def test_another_secret_another_purpose_or_a_part_reads_nothing(
    password: str | None, purpose: str, cut: int | None
) -> None:
    encrypted = cipher().encrypt(TOKEN, "task")[:cut]
    with pytest.raises(TokenUnreadable):
        cipher(password).decrypt(encrypted, purpose)
