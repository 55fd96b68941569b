"""The unit of work: what is judged when, what runs again, and who is told what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from contracts.image_catalogue import NOON, add, an_image, anything, renamed
from contracts.unheard import UnheardImages
from headwater.activity.journal import Entry, Journal
from headwater.activity.notifications.event import Event
from headwater.asking import ask
from headwater.database.engine import Database
from headwater.errors import Forbidden
from headwater.identity.caller import Caller
from headwater.images.catalogue import members
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.images import ImageRows, changed
from headwater.images.catalogue.rows import ImageNotFound, if_there
from headwater.images.catalogue.transaction import CatalogueBusy, Transaction
from headwater.images.model import Image
from templates import sqlite_catalogue

ANN = Caller(user_id="ann", project_id="a")


class Rules:
    """Judges by the image's name, which another server knows the meaning of."""

    def __init__(self, catalogue: ImageRows) -> None:
        self._catalogue = catalogue
        self.asked: list[str | None] = []
        self.refused: set[str] = set()

    def visible(self, _caller: Caller, image_id: str) -> Image:
        return self._catalogue.get(image_id)

    def require(self, rule: str, _caller: Caller, image: Image, *, member_id: str | None = None) -> None:
        if not ask((rule, image.name, member_id), lambda: self._may(image.name)):
            raise Forbidden(rule)

    def _may(self, name: str | None) -> bool:
        self.asked.append(name)
        return name not in self.refused


class Told:
    """A listener, and the outbox for its events."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self.kept: list[str] = []

    def moved(self, entry: Entry) -> list[Event]:
        return [Event(id="1", type=entry.action, payload={}, at=NOON)]

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        self.entries.append((entry.action, "done" if error is None else type(error).__name__))

    def keep(self, _connection: Connection, events: Sequence[Event]) -> None:
        self.kept += [event.type for event in events]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    yield database
    database.close()


@pytest.fixture
def catalogue(database: Database) -> UnheardImages:
    return UnheardImages(database)


@pytest.fixture
def rules(catalogue: UnheardImages) -> Rules:
    return Rules(catalogue)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def changes(database: Database, rules: Rules, told: Told) -> Changes:
    return Changes(database, rules, journal=Journal([told]), outbox=told)


@pytest.fixture
def image(catalogue: UnheardImages) -> Image:
    image = an_image("first", owner="a")
    add(catalogue, image)
    return image


def hiding(image: Image) -> Image:
    return replace(image, os_hidden=True)


def test_a_rule_is_asked_once_before_the_transaction_and_judges_again_in_it(
    changes: Changes, rules: Rules, told: Told, image: Image, catalogue: UnheardImages
) -> None:
    with changes.of(ANN, "image.update", image.id, rule="modify_image") as change:
        assert (change.image, rules.asked) == (image, ["first"])
        after = change.commit(changed(image.id, hiding))
    assert rules.asked == ["first"]
    assert after == catalogue.get(image.id) == replace(image, os_hidden=True, revision=1)
    assert (told.entries, told.kept) == ([("image.update", "done")], ["image.update"])


def test_an_image_that_is_another_when_it_is_locked_is_judged_as_that(
    changes: Changes, rules: Rules, told: Told, image: Image, catalogue: UnheardImages
) -> None:
    rules.refused = {"second"}
    with (
        pytest.raises(Forbidden, match="modify_image"),
        changes.of(ANN, "image.update", image.id, rule="modify_image") as change,
    ):
        catalogue.change(image.id, renamed("second"))
        change.commit(changed(image.id, hiding))
    assert rules.asked == ["first", "second"]
    assert catalogue.get(image.id).os_hidden is False
    assert (told.entries, told.kept) == ([("image.update", "Forbidden")], [])


def test_who_may_not_change_an_image_takes_no_lock(changes: Changes, rules: Rules, told: Told, image: Image) -> None:
    rules.refused = {"first"}

    def never() -> None:
        pytest.fail("it was begun")

    with pytest.raises(Forbidden), changes.of(ANN, "image.update", image.id, rule="modify_image"):
        never()
    assert told.entries == [("image.update", "Forbidden")]


def test_an_answer_is_forgotten_with_its_change(changes: Changes, rules: Rules, image: Image) -> None:
    for _ in range(2):
        with changes.of(ANN, "image.update", image.id, rule="modify_image"):
            pass
    assert rules.asked == ["first", "first"]


def test_what_fails_leaves_nothing_of_all_its_steps(
    changes: Changes, told: Told, image: Image, catalogue: UnheardImages
) -> None:
    with pytest.raises(ImageNotFound), changes.told(None, "image.update", image.id) as change:
        change.commit(changed(image.id, hiding), changed("no such image", hiding))
    assert catalogue.get(image.id) == image
    assert (told.entries, told.kept) == ([("image.update", "ImageNotFound")], [])


def test_a_change_that_met_another_runs_again_and_is_told_once(
    changes: Changes, told: Told, image: Image, catalogue: UnheardImages
) -> None:
    with changes.told(ANN, "image.update", image.id) as change:
        change.commit(changed(image.id, hiding), failing(2))
    assert catalogue.get(image.id).os_hidden
    assert told.entries == [("image.update", "done")]


def test_a_change_that_meets_others_each_time_ends(changes: Changes, image: Image, catalogue: UnheardImages) -> None:
    with pytest.raises(CatalogueBusy), changes.told(ANN, "image.update", image.id) as change:
        change.commit(changed(image.id, hiding), failing(99))
    assert catalogue.get(image.id) == image


def failing(times: int) -> Callable[[Transaction], None]:
    """Return a step that another change was faster than, so often."""
    left = iter(range(times))

    def step(_transaction: Transaction) -> None:
        if next(left, None) is not None:
            raise IntegrityError("INSERT", {}, ValueError("it is there already"))

    return step


def putting(image: Image, *projects: str) -> Any:
    wanted = dict.fromkeys(projects)
    return members.put(image.id, wanted, 9, anything, at=NOON, others_stay=False)


def test_each_of_several_moves_is_an_entry_of_its_own(changes: Changes, told: Told, image: Image) -> None:
    with changes.told(ANN, "image.member.create", image.id, if_moved=True) as change:
        change.commit(putting(image, "p"))
    with changes.told(ANN, "image.member.create", image.id, if_moved=True) as change:
        change.commit(putting(image, "q", "r"))
    assert told.kept == [
        "image.member.create",
        "image.member.delete",
        "image.member.create",
        "image.member.create",
    ]
    assert told.entries == [(action, "done") for action in told.kept]


def test_nothing_is_told_of_what_moved_nothing_where_that_is_no_news(
    changes: Changes, told: Told, image: Image
) -> None:
    with changes.told(ANN, "image.update", image.id, if_moved=True) as change:
        assert change.commit(if_there(changed("no such image", hiding))) is None
    assert told.entries == []
    with changes.told(ANN, "image.update", image.id) as change:
        change.commit(changed(image.id, lambda image: image))
    assert (told.entries, told.kept) == ([("image.update", "done")], [])
