from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from headwater.instances.password.opening import KeyUnusable, NothingToOpen, opened


@pytest.mark.parametrize("posted", ["secret!", "c2VjcmV", "-----"])
def test_what_no_key_has_encrypted_is_said_to_be_so_and_not_that_the_key_is_wrong(posted: str, tmp_path: Path) -> None:
    with pytest.raises(NothingToOpen, match=r"is no base64, .* without --key$") as refused:
        opened(posted, tmp_path / "key")
    assert posted not in str(refused.value)


def test_lines_of_base64_are_opened_as_one(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    forms = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key").write_bytes(key.private_bytes(*forms))
    posted = base64.encodebytes(key.public_key().encrypt(b"pass word", PKCS1v15())).decode()
    assert "\n" in posted.strip()
    assert opened(posted.replace("\n", "\r\n"), tmp_path / "key") == "pass word"
    with pytest.raises(KeyUnusable, match="does not open"):
        opened("AAAA", tmp_path / "key")
