from __future__ import annotations

import logging

import pytest

from headwater.activity.notifications.outbox import Outbox
from headwater.activity.notifications.sender import BATCH, Sender, drop_forgotten
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.activity.notifications.target import EventRefused, TargetUnavailable
from headwater.database.engine import Database
from headwater.jobs import leases
from unit.activity.notifications.events import NOON, Receiver, an_event
from unit.clock import Clock

SECOND = 1_000_000
DAY = 86400 * SECOND
HERE, THERE = "elsewhere/1/1", "elsewhere/2/2"  # processes of another machine: nobody can tell whether they live
SETTINGS = NotificationsSettings(longest_pause_s=60, give_up_after_days=3)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def a_sender(receiver: Receiver, outbox: Outbox, clock: Clock, name: str = HERE) -> Sender:
    return Sender(receiver, outbox, SETTINGS, clock=clock, name=name)


@pytest.fixture
def sender(receiver: Receiver, outbox: Outbox, clock: Clock) -> Sender:
    return a_sender(receiver, outbox, clock)


def told(outbox: Outbox, *numbers: int, at: int = NOON) -> list[str]:
    """Enter events and return their ids."""
    events = [an_event(number) for number in numbers]
    outbox.tell(["webhook"], events, at)
    return [event.id for event in events]


def away(after_s: float | None = None) -> TargetUnavailable:
    return TargetUnavailable("webhook", "it answers 503", after_s)


def test_events_are_delivered_once_in_their_order(sender: Sender, outbox: Outbox, receiver: Receiver) -> None:
    expected = told(outbox, *range(1, BATCH + 11))
    assert [sender.look(), sender.look(), sender.look()] == [BATCH, 10, 0]
    assert receiver.got == expected
    assert outbox.count("webhook") == 0


def test_what_another_receiver_should_have_stays(sender: Sender, outbox: Outbox, receiver: Receiver) -> None:
    outbox.tell(["rabbitmq", "webhook"], [an_event(1)], NOON)
    sender.look()
    assert (outbox.count("webhook"), outbox.count("rabbitmq")) == (0, 1)


def test_a_receiver_that_fails_is_left_alone_for_pauses_that_grow(
    sender: Sender, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    expected = told(outbox, 1, 2)
    for pause_s in (1, 2, 4, 8, 16, 32, 60, 60):
        receiver.answers = [away()]
        assert sender.look() == 0
        assert receiver.answers == []  # it was tried
        clock.now += pause_s * SECOND - 1
        assert sender.look() == 0
        assert receiver.got == []
        clock.now += 1
    assert sender.look() == 2
    assert receiver.got == expected
    told(outbox, 3)
    receiver.answers = [away()]
    sender.look()
    clock.now += SECOND  # the first pause is short again
    assert sender.look() == 1


def test_what_was_delivered_before_a_failure_is_not_sent_again(
    sender: Sender, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    expected = told(outbox, 1, 2, 3)
    receiver.answers = [None, away()]
    assert sender.look() == 1
    clock.now += SECOND
    assert sender.look() == 2
    assert receiver.got == expected


def test_one_answer_in_fifty_that_is_a_503_holds_up_the_others_for_no_second(
    sender: Sender, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    expected = told(outbox, *range(500))
    receiver.answers = [away() if number % 50 == 49 else None for number in range(510)]
    began = clock.now
    while outbox.count("webhook"):
        if sender.look() < BATCH:
            clock.now += int(sender._look_again_s * SECOND)
    assert receiver.got == expected
    assert clock.now - began < 2 * SECOND  # ten of them


def test_a_receiver_that_works_no_more_is_left_alone_as_any(
    sender: Sender, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    told(outbox, 1, 2)
    receiver.answers = [None, away(), away()]
    assert sender.look() == 1
    clock.now += SECOND // 20
    assert sender.look() == 0
    assert receiver.answers == []
    clock.now += SECOND - 1
    assert sender.look() == 0
    clock.now += 1
    assert sender.look() == 1


@pytest.mark.parametrize(("asked_s", "pause_s"), [(30.0, 30), (86400.0, 60), (0.0, 1)])
def test_a_receiver_may_ask_for_a_longer_pause_up_to_our_longest(
    sender: Sender, outbox: Outbox, receiver: Receiver, clock: Clock, asked_s: float, pause_s: int
) -> None:
    told(outbox, 1)
    receiver.answers = [away(asked_s)]
    sender.look()
    clock.now += pause_s * SECOND - 1
    assert sender.look() == 0
    clock.now += 1
    assert sender.look() == 1


def test_all_processes_leave_a_receiver_alone_together(
    sender: Sender, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    told(outbox, 1)
    receiver.answers = [away()]
    sender.look()
    outbox.release("webhook", HERE)
    assert a_sender(receiver, outbox, clock, THERE).look() == 0
    clock.now += SECOND
    assert a_sender(receiver, outbox, clock, THERE).look() == 1


def test_one_process_at_a_time_delivers(sender: Sender, outbox: Outbox, receiver: Receiver, clock: Clock) -> None:
    other = a_sender(receiver, outbox, clock, THERE)
    told(outbox, 1)
    assert sender.look() == 1
    told(outbox, 2)
    assert other.look() == 0
    clock.now += leases.LEASE_S * SECOND + 1  # nothing is heard of the first one
    assert other.look() == 1
    told(outbox, 3)
    assert sender.look() == 0


def test_a_process_that_is_certainly_gone_is_not_waited_for(outbox: Outbox, receiver: Receiver, clock: Clock) -> None:
    own = leases.writer_name()
    gone = f"{own.rpartition('/')[0]}/1"  # this process number, started at another time
    told(outbox, 1)
    assert outbox.lead("webhook", gone, clock.now)
    assert a_sender(receiver, outbox, clock, own).look() == 1


def test_an_event_that_is_refused_steps_aside_and_comes_again(
    sender: Sender, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    first, second, third = told(outbox, 1, 2, 3)
    receiver.answers = [EventRefused("webhook", "it answers 422")]
    assert sender.look() == 2
    assert receiver.got == [second, third]
    clock.now += SECOND
    receiver.answers = [EventRefused("webhook", "it answers 422")]
    assert sender.look() == 0
    clock.now += SECOND
    assert sender.look() == 0  # the second pause is longer
    clock.now += SECOND
    assert sender.look() == 1
    assert receiver.got == [second, third, first]


def test_what_cannot_be_delivered_for_long_is_dropped_and_named(
    sender: Sender,
    outbox: Outbox,
    receiver: Receiver,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Libraries that configure logging (import-linter does, in another test) switch off every logger that is there.
    monkeypatch.setattr(logging.getLogger("headwater.activity.notifications.sender"), "disabled", False)
    old, _ = told(outbox, 1)[0], told(outbox, 2, at=NOON + DAY)
    clock.now = NOON + 3 * DAY + 1
    receiver.answers = [away()]
    with caplog.at_level(logging.INFO, "headwater"):
        sender.look()
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    facts = vars(record)
    assert (facts["event_id"], facts["event_type"], facts["receiver"]) == (old, "image.update", "webhook")
    assert outbox.count("webhook") == 1


def test_an_event_that_is_refused_for_long_is_dropped(
    sender: Sender, outbox: Outbox, receiver: Receiver, clock: Clock
) -> None:
    told(outbox, 1)
    clock.now = NOON + 3 * DAY + 1
    receiver.answers = [EventRefused("webhook", "it answers 422")]
    sender.look()
    assert outbox.count("webhook") == 0


def test_events_of_a_receiver_that_is_not_configured_any_more_go_when_they_are_old(outbox: Outbox) -> None:
    told(outbox, 1, at=NOON - 3 * DAY - 1)
    told(outbox, 2, at=NOON)
    outbox.tell(["rabbitmq"], [an_event(3)], NOON - 3 * DAY - 1)
    drop_forgotten(outbox, ["rabbitmq"], SETTINGS, NOON)
    assert (outbox.count("webhook"), outbox.count("rabbitmq")) == (1, 1)


def test_old_events_of_a_receiver_that_rests_do_not_hide_those_of_one_that_is_gone(outbox: Outbox) -> None:
    for _ in range(10):
        outbox.tell(["webhook"], [an_event(1)] * 100, NOON - 3 * DAY - 1)
    outbox.tell(["rabbitmq"], [an_event(2)], NOON - 3 * DAY - 1)
    drop_forgotten(outbox, ["webhook"], SETTINGS, NOON)
    assert (outbox.count("webhook"), outbox.count("rabbitmq")) == (1000, 0)
