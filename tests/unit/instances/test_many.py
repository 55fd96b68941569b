"""How many addresses and keys one machine may have: what is asked of all of them at once has an end."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.instances.errors import InstanceInvalid
from headwater.instances.service import Description, changed, described

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG user@host"


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"addresses": [f"10.0.{n >> 8}.{n & 255}" for n in range(1001)]}, "addresses: 1001 are more than the 1000"),
        ({"ssh_keys": [KEY] * 1001}, "ssh keys: there are more than the 1000"),
        ({"ssh_keys": [f"{KEY}\n" * 1001]}, "ssh keys: there are more than the 1000"),
    ],
    ids=["addresses", "keys", "lines"],
)
def test_more_than_a_thousand_are_refused(said: dict[str, Any], says: str) -> None:
    with pytest.raises(InstanceInvalid, match=says):
        described(Description(name="web", **said))
    with pytest.raises(InstanceInvalid, match=says):
        changed(described(Description(name="web")), said)


def test_a_thousand_are_taken() -> None:
    instance = described(
        Description(name="web", addresses=[f"10.0.{n >> 8}.{n & 255}" for n in range(1000)], ssh_keys=[KEY] * 1000)
    )
    assert (len(instance.addresses), len({key.name for key in instance.keys})) == (1000, 1000)
