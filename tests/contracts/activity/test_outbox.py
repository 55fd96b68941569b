"""The events that wait, on every database."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection

from headwater.activity.notifications.outbox import Outbox
from headwater.database.engine import Database
from unit.activity.notifications.events import NOON, an_event

MINUTE = 60_000_000


def test_events_come_back_as_they_were_in_their_order(database: Database) -> None:
    outbox = Outbox(database)
    events = [an_event(number, payload={"name": "\u0000 \U0001f40b'\"", "size": 2**62}) for number in (3, 1, 2)]
    outbox.tell(["webhook", "rabbitmq"], events, NOON)
    assert [each.event for each in outbox.waiting("webhook", NOON, 10)] == events
    assert [each.event for each in outbox.waiting("rabbitmq", NOON, 2)] == events[:2]
    outbox.remove([each.sequence for each in outbox.waiting("webhook", NOON, 2)])
    assert [each.event for each in outbox.waiting("webhook", NOON, 10)] == events[2:]
    assert outbox.count("rabbitmq") == 3


def test_an_event_goes_with_the_transaction_that_it_was_entered_in(database: Database) -> None:
    outbox = Outbox(database)

    def work(connection: Connection) -> None:
        outbox.keep(connection, ["webhook"], [an_event()], NOON)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        database.write(work)
    assert outbox.count("webhook") == 0


def test_a_number_is_not_used_again(database: Database) -> None:
    outbox = Outbox(database)
    outbox.tell(["webhook"], [an_event()], NOON)
    (first,) = outbox.waiting("webhook", NOON, 1)
    outbox.remove([first.sequence])
    outbox.tell(["webhook"], [an_event()], NOON)
    (second,) = outbox.waiting("webhook", NOON, 1)
    assert second.sequence > first.sequence


def test_of_many_at_once_one_leads(database: Database) -> None:
    outbox = Outbox(database)
    for at in (NOON, NOON + 2 * MINUTE):  # the first time there is no row yet
        led: list[str] = []
        ready = threading.Barrier(6)

        def lead(name: str, at: int = at, led: list[str] = led, ready: threading.Barrier = ready) -> None:
            ready.wait()
            if outbox.lead("webhook", name, at):
                led.append(name)

        threads = [threading.Thread(target=lead, args=(f"elsewhere/{at}/{number}",)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(led) == 1
        assert outbox.lead("webhook", led[0], at)
        assert not outbox.lead("webhook", "elsewhere/another/1", at)


def test_a_receiver_that_rests_is_led_by_nobody(database: Database) -> None:
    outbox = Outbox(database)
    assert outbox.lead("webhook", "elsewhere/1/1", NOON)
    outbox.rest("webhook", "elsewhere/1/1", NOON + MINUTE, 3)
    outbox.release("webhook", "elsewhere/1/1")
    assert outbox.failures("webhook") == 3
    assert not outbox.lead("webhook", "elsewhere/2/1", NOON)
    assert outbox.lead("webhook", "elsewhere/2/1", NOON + MINUTE)
    outbox.rest("webhook", "elsewhere/1/1", NOON + 9 * MINUTE, 9)  # it does not lead any more
    assert outbox.failures("webhook") == 3


def test_a_clock_that_goes_back_holds_nothing_up(database: Database) -> None:
    outbox = Outbox(database, longest_pause_s=60)
    ahead = NOON + 5 * 1440 * MINUTE
    outbox.tell(["webhook"], [an_event(1), an_event(2)], ahead)
    assert outbox.lead("webhook", "elsewhere/1/1", ahead)
    first, second = outbox.waiting("webhook", ahead, 10)
    outbox.postpone(first, ahead + MINUTE)
    outbox.rest("webhook", "elsewhere/1/1", ahead + MINUTE, 3)
    assert [each.sequence for each in outbox.waiting("webhook", NOON, 10)] == [first.sequence, second.sequence]
    assert outbox.lead("webhook", "elsewhere/2/1", NOON)


def test_an_event_that_steps_aside_is_not_waiting_until_then(database: Database) -> None:
    outbox = Outbox(database)
    outbox.tell(["webhook"], [an_event(1), an_event(2)], NOON)
    first, second = outbox.waiting("webhook", NOON, 10)
    outbox.postpone(first, NOON + MINUTE)
    assert outbox.waiting("webhook", NOON, 10) == [second]
    (again, _) = outbox.waiting("webhook", NOON + MINUTE, 10)
    assert (again.event, again.attempts) == (first.event, 1)
    assert [each.sequence for _, each in outbox.overdue(NOON + 1, 10, target="webhook")] == [1, 2]
    assert outbox.overdue(NOON, 10) == []
