"""Documents of a feed of others: verified, kept, never older than before, and given when there are no newer ones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headwater.caching.directory import CacheUnavailable
from headwater.streams.format.documents import Index
from headwater.streams.pulling import documents
from headwater.streams.pulling.opening import Silent, open_pulled
from headwater.streams.settings import StreamsSettings
from headwater.streams.signing import clearsign
from headwater.streams.signing.verifying import verified_detached, verify
from headwater.streams.trees.served.file import NotInTree, TreeDown
from headwater.streams.trees.tree import Document, TreeRefused
from headwater.threads import Pool
from unit.streams.keys import OpenKey, open_key
from unit.streams.pulling.far import FIRST, INDEX, LATER, MAX_AGE_S, PRODUCTS, Far, House, index, products

SIGNED_INDEX = "streams/v1/index.sjson"
SIGNED_PRODUCTS = "streams/v1/images.sjson"
Make = Callable[..., House]


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


@pytest.fixture(scope="module")
def other_key() -> OpenKey:
    return open_key()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[House] = []

    def house(**arguments: object) -> House:
        made.append(House(tmp_path / "pulled", **arguments))  # type: ignore[arg-type]
        return made[-1]

    yield house
    for each in made:
        each.close()


def plain(far: Far, updated: str = FIRST) -> Far:
    far.files |= {INDEX: index(updated=updated), PRODUCTS: products(updated, a=b"data")}
    return far


def test_a_document_is_asked_for_once_while_it_is_young(make: Make) -> None:
    house = make(far=plain(Far()))
    assert [house.get(PRODUCTS) for _ in range(3)] == [house.far.files[PRODUCTS]] * 3
    house.now += MAX_AGE_S - 1
    assert house.get(PRODUCTS) == house.far.files[PRODUCTS]
    assert house.far.asked[PRODUCTS] == house.far.asked[INDEX] == 1


def test_an_old_document_is_asked_for_again_and_kept_where_it_is_the_same(make: Make) -> None:
    house = make(far=plain(Far()))
    before = house.tree.find(PRODUCTS)
    house.now += MAX_AGE_S
    after = house.tree.find(PRODUCTS)
    assert (before.etag, before.modified) == (after.etag, after.modified)
    assert after.headers["Age"] == "0"
    assert house.far.asked[PRODUCTS] == 2


def test_what_an_index_names_is_asked_for_again_when_the_index_has_changed(make: Make) -> None:
    house = make(far=plain(Far()))
    house.get(PRODUCTS)
    house.now += MAX_AGE_S - 1
    house.documents.expire(INDEX)
    plain(house.far, LATER)
    house.get(INDEX)
    assert house.get(PRODUCTS) == house.far.files[PRODUCTS]


def test_what_is_kept_outlives_the_process_and_the_server(make: Make) -> None:
    first = make(far=plain(Far()))
    first.get(INDEX), first.get(PRODUCTS)
    dead = Far()
    dead.die()
    second = make(far=dead)
    second.now += 10 * 86400
    assert second.get(PRODUCTS) == first.far.files[PRODUCTS]
    assert second.headers(PRODUCTS) == {"Age": str(10 * 86400), "Warning": '111 - "Revalidation Failed"'}
    assert second.tally.counts["stale"] > 0


def test_a_dead_server_is_not_asked_for_each_request(make: Make) -> None:
    house = make(far=plain(Far()))
    house.get(INDEX)
    house.far.die()
    house.now += MAX_AGE_S
    for _ in range(5):
        house.get(INDEX)
    assert house.far.asked[INDEX] == 2
    house.now += 10
    house.far.error = None
    assert "Warning" not in house.headers(INDEX)


def test_one_of_many_asks_and_the_others_are_given_what_there_is(make: Make) -> None:
    house = make(far=plain(Far()))
    house.get(INDEX)
    house.now += MAX_AGE_S
    with house.documents.records.asking(INDEX, waits=True):
        found: list[dict[str, str]] = []
        reader = threading.Thread(target=lambda: found.append(house.headers(INDEX)))
        reader.start()
        reader.join(10)
        assert found == [{"Age": str(MAX_AGE_S), "Warning": '110 - "Response is Stale"'}]
    assert house.far.asked[INDEX] == 1


def test_a_reader_does_not_wait_for_a_server_that_takes_its_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PATIENCE_S", 0.05)
    goes_on = threading.Event()

    class Slow(Far):
        def document(self, path: str, tag: str = "", limit: int = 1 << 30) -> Document | None:
            if tag:
                goes_on.wait(30)
            return super().document(path, tag, limit)

    house = make(far=plain(Slow()))
    good = house.get(INDEX)
    house.now += MAX_AGE_S
    plain(house.far, LATER)
    for _ in range(3):
        assert house.get(INDEX) == good
    assert house.headers(INDEX)["Warning"].startswith("110")
    goes_on.set()
    for _ in range(1000):
        if house.get(INDEX) != good:
            break
        time.sleep(0.005)
    assert house.get(INDEX) == house.far.files[INDEX]
    assert house.far.asked[INDEX] == 2


def test_what_is_not_there_is_asked_for_once_as_well(make: Make) -> None:
    house = make(far=plain(Far()))
    for _ in range(3):
        with pytest.raises(NotInTree):
            house.get("streams/v1/index2.json")
    assert house.far.asked["streams/v1/index2.json"] == 1
    assert house.get(INDEX) == house.far.files[INDEX]


def test_some_object_stores_refuse_what_is_not_there(make: Make) -> None:
    class Closed(Far):
        def document(self, path: str, tag: str = "", limit: int = 1 << 30) -> object:  # type: ignore[override]
            if path not in self.files:
                raise TreeRefused(self.place, "403", 403)
            return super().document(path, tag, limit)

    house = make(far=plain(Closed()))
    assert house.get(PRODUCTS) == house.far.files[PRODUCTS]
    with pytest.raises(NotInTree):
        house.get("streams/v1/index2.json")


def test_a_disk_that_fails_gives_what_it_has(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    house = make(far=plain(Far()))
    good = house.get(INDEX)
    plain(house.far, LATER)
    house.now += MAX_AGE_S

    def fails(*_: object) -> None:
        raise CacheUnavailable(Path("disk"), OSError(28, "No space left on device"))

    monkeypatch.setattr(house.documents.records, "put", fails)
    monkeypatch.setattr(house.documents.records, "failed", fails)
    assert house.get(INDEX) == good


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"path": 5}', b"\xff"])
def test_a_record_that_is_damaged_is_asked_for_again(make: Make, damage: bytes) -> None:
    house = make(far=plain(Far()))
    good = house.get(INDEX)
    for file in house.documents.records.directory.glob("*.json"):
        file.write_bytes(damage)
    assert house.get(INDEX) == good
    assert list(house.documents.records.known())


def test_what_is_not_in_the_feed_is_never_asked_for(make: Make) -> None:
    house = make(far=plain(Far()))
    house.far.files["streams/v1/secret.json"] = b"{}"
    for path in ("streams/v1/secret.json", "streams/v1/mirrors.json", "secret.json.gpg", "streams/v1/secret.sjson"):
        with pytest.raises(NotInTree):
            house.get(path)
        assert not house.far.asked[path]


def test_indexes_below_an_index_are_followed_and_a_loop_ends(make: Make) -> None:
    far = Far()
    below = {"format": "index:1.0", "path": "streams/v1/below.json"}
    loop = {"format": "index:1.0", "path": INDEX}
    far.files = {
        INDEX: json.dumps({"format": "index:1.0", "index": {"below": below, "loop": loop}}).encode(),
        "streams/v1/below.json": index(),
        PRODUCTS: products(a=b"data"),
    }
    house = make(far=far)
    assert house.get("streams/v1/below.json") == index()
    assert house.get(PRODUCTS) == far.files[PRODUCTS]


# --- Signatures ----------------------------------------------------------------------------------


def detached(far: Far, key: OpenKey, updated: str = FIRST) -> Far:
    far.sign(INDEX, key, index(updated=updated))
    far.sign(PRODUCTS, key, products(updated, a=b"data"))
    return far


def inline(far: Far, key: OpenKey, updated: str = FIRST) -> Far:
    far.sign(INDEX, key, index(SIGNED_PRODUCTS, updated), inline=True)
    far.sign(PRODUCTS, key, products(updated, a=b"data"), inline=True)
    return far


def test_signatures_beside_documents_are_given_as_they_came(make: Make, key: OpenKey) -> None:
    for trusted in ([key], None):
        house = make(far=detached(Far(), key), trusted=trusted)
        for path in (INDEX, f"{INDEX}.gpg", PRODUCTS, f"{PRODUCTS}.gpg"):
            assert house.get(path) == house.far.files[path]
        house.documents.records.forget()


def test_clear_signed_documents_are_given_as_they_came_and_plain_ones_made_of_them(make: Make, key: OpenKey) -> None:
    house = make(far=inline(Far(), key), trusted=[key])
    for path in (SIGNED_INDEX, SIGNED_PRODUCTS):
        assert house.get(path) == house.far.files[path]
    # Most readers know nothing of signatures: what the plain index names is plain.
    (entry,) = Index.from_bytes(house.get(INDEX)).index.values()
    assert entry.path == PRODUCTS
    assert json.loads(house.get(PRODUCTS)) == json.loads(products(a=b"data"))
    assert house.tree.named("a") is not None
    with pytest.raises(NotInTree):
        house.get(f"{INDEX}.gpg")


def test_plain_documents_are_made_where_there_are_none_and_nothing_is_verified(make: Make, key: OpenKey) -> None:
    house = make(far=inline(Far(), key))
    (entry,) = Index.from_bytes(house.get(INDEX)).index.values()
    assert entry.path == PRODUCTS
    assert house.tree.named("a") is not None


def test_what_other_keys_verified_is_not_known(make: Make, key: OpenKey, tmp_path: Path) -> None:
    keyring = tmp_path / "keys.gpg"
    keyring.write_bytes(bytes(key.certificate))
    places = []
    for more in ({}, {"keyring": str(keyring)}, {"pull_through": "https://other.example"}):
        tree = {"pull_through": "https://far.example", "directory": str(tmp_path / "kept"), **more}
        settings = StreamsSettings.model_validate({"trees": {"far": tree}})
        opened = open_pulled("far", settings, tmp_path, pool=Pool("x", 1), tally=Silent())
        places.append(opened.documents.records.directory)
        opened.close()
    assert len(set(places)) == 3


@pytest.mark.parametrize("form", [detached, inline])
def test_what_another_signed_is_refused(
    make: Make, key: OpenKey, other_key: OpenKey, form: Callable[[Far, OpenKey], Far]
) -> None:
    house = make(far=form(Far(), other_key), trusted=[key])
    for path in (INDEX, PRODUCTS, SIGNED_INDEX, SIGNED_PRODUCTS):
        with pytest.raises((TreeDown, NotInTree)):
            house.get(path)
    assert house.tally.counts["refused"] > 0


def test_what_is_not_signed_is_refused_where_there_are_keys(make: Make, key: OpenKey) -> None:
    house = make(far=plain(Far()), trusted=[key])
    with pytest.raises(TreeDown, match="is not signed"):
        house.get(INDEX)
    with pytest.raises(TreeDown):
        house.get(PRODUCTS)


@pytest.mark.parametrize("form", [detached, inline])
def test_a_signature_that_does_not_fit_any_more_changes_nothing(
    make: Make, key: OpenKey, form: Callable[[Far, OpenKey], Far]
) -> None:
    house = make(far=form(Far(), key), trusted=[key])
    good = {path: house.get(path) for path in (INDEX, PRODUCTS)}
    for path in (INDEX, PRODUCTS, SIGNED_INDEX, SIGNED_PRODUCTS):
        if path in house.far.files:
            house.far.files[path] = house.far.files[path].replace(b"2026", b"2027")
    house.now += MAX_AGE_S
    assert {path: house.get(path) for path in good} == good
    assert house.headers(INDEX)["Warning"].startswith("111")


def test_signatures_that_vanish_do_not_open_the_feed(make: Make, key: OpenKey) -> None:
    house = make(far=detached(Far(), key), trusted=[key])
    good = house.get(INDEX)
    house.far.files = {INDEX: index(updated=LATER), PRODUCTS: products(LATER)}
    house.now += MAX_AGE_S
    assert house.get(INDEX) == good


@pytest.mark.parametrize("form", [detached, inline])
def test_an_older_state_that_was_signed_once_is_refused(
    make: Make, key: OpenKey, form: Callable[..., Far], tmp_path: Path
) -> None:
    house = make(far=form(Far(), key, LATER), trusted=[key])
    good = house.get(INDEX)
    form(house.far, key, FIRST)
    house.now += MAX_AGE_S
    assert house.get(INDEX) == good
    assert house.tally.counts["refused"] == 1
    # Also after a start, and until somebody allows it.
    again = make(far=house.far, trusted=[key])
    again.now = house.now + 2 * MAX_AGE_S
    assert again.get(INDEX) == good
    again.documents.find(INDEX, allow_older=True, at_once=True)
    assert again.get(INDEX) != good


def test_a_document_that_goes_is_gone_and_comes_back_no_older(make: Make, key: OpenKey) -> None:
    house = make(far=detached(Far(), key, LATER), trusted=[key])
    house.get(INDEX)
    house.far.files.clear()
    house.now += MAX_AGE_S
    with pytest.raises(NotInTree):
        house.get(INDEX)
    detached(house.far, key, FIRST)
    house.now += MAX_AGE_S
    with pytest.raises(NotInTree):
        house.get(INDEX)
    assert house.tally.counts["refused"] == 1
    detached(house.far, key, LATER)
    house.now += MAX_AGE_S
    assert house.get(INDEX) == house.far.files[INDEX]


def test_a_signature_that_is_made_anew_is_followed(make: Make, key: OpenKey, other_key: OpenKey) -> None:
    house = make(far=detached(Far(), key), trusted=[key, other_key])
    house.get(f"{INDEX}.gpg")
    detached(house.far, other_key)
    house.now += MAX_AGE_S
    assert house.get(f"{INDEX}.gpg") == house.far.files[f"{INDEX}.gpg"]


def test_documents_are_signed_anew_with_our_key(make: Make, key: OpenKey, other_key: OpenKey) -> None:
    for far in (detached(Far(), key), inline(Far(), key), plain(Far())):
        trusted = None if SIGNED_INDEX not in far.files and f"{INDEX}.gpg" not in far.files else [key]
        house = make(far=far, trusted=trusted, signer=other_key.signer)
        moment, ours = datetime.now(UTC), [other_key.certificate]
        text = verify(house.get(SIGNED_INDEX), ours, moment)
        (entry,) = Index.from_bytes(text).index.values()
        assert entry.path == SIGNED_PRODUCTS
        assert json.loads(verify(house.get(SIGNED_PRODUCTS), ours, moment)) == json.loads(products(a=b"data"))
        for path in (INDEX, PRODUCTS):
            verified_detached(house.get(path), house.get(f"{path}.gpg"), ours, moment)
        (plain_entry,) = Index.from_bytes(house.get(INDEX)).index.values()
        assert plain_entry.path == PRODUCTS
        assert clearsign.parse(house.get(SIGNED_INDEX)).text
        house.documents.records.forget()
