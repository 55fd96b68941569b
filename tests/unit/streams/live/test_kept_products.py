"""What is kept of the feed equals what is made anew, whatever has come, gone and changed."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from headwater.clock import rfc2822
from headwater.images.model import Image, Status, Visibility
from headwater.streams.live import image_ids, kept_products
from headwater.streams.live.index import index_text
from headwater.streams.live.kept_products import KeptProducts
from headwater.streams.settings import CloudEndpoint, StreamsSettings
from unit.streams.catalogue import NOON, image
from unit.streams.live import told_anew

SETTINGS = StreamsSettings(
    clouds=(
        CloudEndpoint(region='One "ä"', endpoint=("https://one.example/v3", "https://one.example")),
        CloudEndpoint(region="Two", endpoint=("https://two.example/v3",)),
    ),
    virt_types=("kvm", "lxd"),
)

# Some end in the same digits, so that versions of the same instant have the same name.
_ids = st.sampled_from([str(uuid.UUID(int=digits + more * 10**12)) for digits in (1, 2) for more in (0, 1, 2)])
_properties = st.fixed_dictionaries(
    {
        "os_distro": st.sampled_from(["ubuntu", "debian", "no distro"]),
        "os_version": st.sampled_from(["24.04", "12"]),
        "architecture": st.sampled_from(["x86_64", "amd64", "aarch64"]),
        "hypervisor_type": st.sampled_from(["qemu", "kvm", "lxc"]),
        "simplestreams_stream": st.sampled_from(["", "daily", "a"]),
    }
)
_fields = st.fixed_dictionaries(
    {
        "created": st.integers(0, 1).map(lambda n: NOON + timedelta(microseconds=n)),
        "updated": st.integers(0, 3).map(lambda n: NOON + timedelta(seconds=n)),
        "os_hidden": st.sampled_from([False, False, False, True]),
        "status": st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.ACTIVE, Status.DEACTIVATED]),
        "visibility": st.sampled_from([Visibility.PUBLIC, Visibility.PUBLIC, Visibility.PUBLIC, Visibility.SHARED]),
    }
)


class Changes(RuleBasedStateMachine):
    """Images come, change and go."""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[str, Image] = {}
        self.kept = KeptProducts(SETTINGS)

    @rule(image_id=_ids, fields=_fields, properties=_properties)
    def put(self, image_id: str, fields: dict[str, Any], properties: dict[str, Any]) -> None:
        self.images[image_id] = image(id=image_id, **fields, **properties)
        self.kept.put(self.images[image_id])

    @rule(image_id=_ids)
    def drop(self, image_id: str) -> None:
        self.images.pop(image_id, None)
        self.kept.drop(image_id)

    @invariant()
    def says_the_same(self) -> None:
        listed = self.kept.listed()
        images = self.images.values()
        products = [
            told_anew.products_of(images, SETTINGS, stream) for stream in told_anew.streams_of(images, SETTINGS)
        ]
        index = told_anew.index_of(products, SETTINGS)
        assert [text() for text in listed.documents.values()] == [each.to_bytes() for each in products]
        updated = rfc2822(listed.updated_at)
        assert index_text(listed.entries(), updated) == index.to_bytes()
        assert index_text(listed.entries(signed=True), updated) == index.with_signed_paths().to_bytes()
        newest = {(name, virt): each for name, one in listed.products.items() for virt, each in one.newest.items()}
        assert newest == told_anew.newest_of(products)


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


def test_a_change_makes_the_text_of_its_image_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    true_text = image_ids.version_text

    def noted(name: str, *args: Any, **more: Any) -> bytes:
        made.append(name)
        return true_text(name, *args, **more)

    kept = KeptProducts(SETTINGS, (image(n, created=NOON + timedelta(seconds=n)) for n in range(1, 200)))
    kept.listed()
    monkeypatch.setattr(kept_products, "version_text", noted)
    kept.put(image(500, architecture="aarch64"))
    kept.put(image(7, created=NOON + timedelta(seconds=7), updated=NOON + timedelta(days=1)))
    kept.drop(str(uuid.UUID(int=8)))
    kept.listed().products_text()
    assert len(set(made)) == 2


def test_what_was_listed_stays_as_it_was() -> None:
    kept = KeptProducts(SETTINGS, [image(1)])
    before = kept.listed()
    text = before.products_text()
    kept.put(image(2, architecture="aarch64"))
    kept.drop(image(1).id)
    assert kept.listed().products_text() != text
    assert before.products_text() == text
