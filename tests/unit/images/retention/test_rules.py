from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.image_catalogue import NOON, an_image
from headwater.images.model import Image, Status, Visibility
from headwater.images.retention.rules import DAY, Facts, Family, Step, Verdict, is_under
from headwater.images.retention.settings import RetentionRule

PUBLIC, COMMUNITY, SHARED, PRIVATE = Visibility.PUBLIC, Visibility.COMMUNITY, Visibility.SHARED, Visibility.PRIVATE
START = NOON - 1000 * DAY
LADDER: dict[str, Any] = {
    "names": ("u",),
    "older_name": "{name} ({date})",
    "hide_after_days": 0,
    "community_after_days": 30,
    "delete_unused_days": 90,
    "keep": 2,
}


def image(days_old: int, **fields: Any) -> Image:
    return an_image(
        **{"name": "u", "status": Status.ACTIVE, "visibility": PUBLIC, "created_at": NOON - days_old * DAY, **fields}
    )


def judged(
    *images: Image, facts: dict[str, Facts] | None = None, since: int | None = START, **rule: Any
) -> list[Verdict]:
    """Return what becomes of images, in the order in which they were given."""
    made = Family(name="u", rule_name="r", rule=RetentionRule(**{**LADDER, **rule}), images=images)
    found = {each.image.id: each for each in made.verdicts(facts or {}, noted_since=since, now=NOON)}
    return [found[each.id] for each in images]


def test_the_ladder_goes_from_a_new_name_to_the_end_and_leaves_the_newest() -> None:
    newest, young, hidden, old = image(1), image(20), image(40, os_hidden=True, name="u (20231005)"), image(400)
    oldest = image(500)
    of_newest, of_young, of_hidden, of_old, of_oldest = judged(
        newest, young, hidden, old, oldest, facts={old.id: Facts(last_used=NOON - 5 * DAY)}
    )
    assert (of_newest.steps, of_newest.why_not[0]) == ((), "no newer one of its family is shown")
    assert (of_young.steps, of_young.new_name) == ((Step.RENAME, Step.HIDE), "u (20231025)")
    assert of_young.why == (f"{newest.id} is newer, and there since 2023-11-13",)
    assert of_young.why_not[0] == "community: in 29 days"
    assert of_hidden.steps == ()
    assert of_old.steps == (Step.RENAME, Step.HIDE, Step.COMMUNITY)
    assert of_old.why_not == ("it was used on 2023-11-09",)
    assert of_oldest.steps == (Step.DELETE,)
    assert of_oldest.why == ("nobody has used it for 90 days or more",)


@pytest.mark.parametrize(
    ("fields", "facts", "reason"),
    [
        ({"protected": True}, Facts(), "it is protected"),
        ({}, Facts(has_instances=True), "instances that are registered here start from it"),
        ({}, Facts(has_members=True), "projects that it is shared with have accepted it"),
        ({}, Facts(needed_by="x"), "image x needs it"),
        ({}, Facts(last_used=NOON - 89 * DAY), "it was used on 2023-08-17"),
        ({"properties": {"uuid_validity": "forever"}}, Facts(), "its uuid_validity is forever"),
        ({"properties": {"uuid_validity": "notice"}}, Facts(), "its uuid_validity is notice"),
        ({"properties": {"uuid_validity": "last-2"}}, Facts(), "its uuid_validity is last-2"),
        ({"properties": {"uuid_validity": "2023-11-14"}}, Facts(), "its uuid_validity is 2023-11-14"),
    ],
)
def test_what_is_needed_used_or_promised_is_not_deleted(fields: dict[str, Any], facts: Facts, reason: str) -> None:
    old = image(500, **fields)
    *_, verdict = judged(image(200), image(300), old, facts={old.id: facts})
    assert Step.DELETE not in verdict.steps
    assert reason in verdict.why_not


def test_a_rotation_deletes_what_is_beyond_it_used_or_not_and_needs_no_time_of_noted_uses() -> None:
    images = [image(days) for days in (1, 2, 3, 4)]
    used = {images[3].id: Facts(last_used=NOON)}
    verdicts = judged(*images, facts=used, since=None, rotate=True, delete_unused_days=None, keep=2)
    assert [each.steps[-1:] == (Step.DELETE,) for each in verdicts] == [False, False, True, True]
    assert verdicts[2].why == ("2 newer ones are there",)
    assert "it is one of the newest 2" in verdicts[1].why_not


@pytest.mark.parametrize(
    ("fields", "facts"),
    [
        ({"protected": True}, Facts()),
        ({}, Facts(has_instances=True)),
        ({}, Facts(has_members=True)),
        ({}, Facts(needed_by="x")),
    ],
)
def test_a_rotation_leaves_what_is_protected_or_needed(fields: dict[str, Any], facts: Facts) -> None:
    old = image(500, **fields)
    *_, verdict = judged(image(1), image(2), old, facts={old.id: facts}, rotate=True, keep=1)
    assert Step.DELETE not in verdict.steps


def test_a_rotation_does_not_count_what_is_not_active() -> None:
    images = [image(1, status=Status.QUEUED), image(2), image(3)]
    verdicts = judged(*images, rotate=True, keep=2)
    assert [Step.DELETE in each.steps for each in verdicts] == [False, False, False]


@pytest.mark.parametrize("validity", ["none", "last-1", "2023-11-13", "", "last-x", "soon"])
def test_a_promise_that_is_over_or_none_keeps_nothing(validity: str) -> None:
    *_, verdict = judged(image(200), image(300), image(500, properties={"uuid_validity": validity}))
    assert verdict.steps == (Step.DELETE,)


@pytest.mark.parametrize("since", [None, NOON - 89 * DAY])
def test_nothing_is_deleted_before_uses_were_noted_for_long_enough(since: int | None) -> None:
    *_, verdict = judged(image(200), image(300), image(500), since=since)
    assert Step.DELETE not in verdict.steps
    assert any(reason.startswith("uses are noted since") for reason in verdict.why_not)


def test_an_image_counts_as_unused_no_longer_than_a_newer_one_is_there() -> None:
    *_, verdict = judged(image(10), image(20), image(500), keep=1)
    assert verdict.steps == (Step.RENAME, Step.HIDE)
    assert "a newer one is there since 2023-10-25 only" in verdict.why_not


@pytest.mark.parametrize(
    "newer",
    [
        {"visibility": PRIVATE},
        {"visibility": SHARED},
        {"visibility": COMMUNITY},
        {"os_hidden": True},
        {"status": Status.QUEUED},
        {"status": Status.IMPORTING},
        {"status": Status.DEACTIVATED},
    ],
)
def test_what_users_do_not_find_supersedes_nothing(newer: dict[str, Any]) -> None:
    others = [image(age, **newer) for age in (100, 150, 200)]
    *_, verdict = judged(*others, image(500))
    assert (verdict.steps, verdict.why_not[0]) == ((), "no newer one of its family is shown")


def test_the_time_on_the_ladder_goes_on_when_the_next_edition_is_superseded_too() -> None:
    _, _, verdict = judged(image(1), image(8, os_hidden=True), image(40, os_hidden=True), community_after_days=7)
    assert verdict.steps == (Step.RENAME, Step.COMMUNITY)


def test_a_private_image_is_superseded_by_any_and_becomes_no_community_image() -> None:
    *_, verdict = judged(image(1), image(40, visibility=PRIVATE), delete_unused_days=None)
    assert verdict.steps == (Step.RENAME, Step.HIDE)


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.ACTIVE])
def test_what_is_not_active_is_left_as_it_is(status: Status) -> None:
    *_, verdict = judged(image(200), image(300), image(500, status=status))
    assert (verdict.steps, verdict.why_not) == ((), (f"it is {status.value}",))


def test_what_is_being_copied_is_left_as_it_is() -> None:
    *_, verdict = judged(image(200), image(300), image(500, properties={"os_glance_importing_to_stores": "cheap"}))
    assert (verdict.steps, verdict.why_not) == ((), ("it is being copied to further stores",))


def test_where_none_is_kept_the_newest_goes_too_when_nobody_uses_it() -> None:
    old, used = image(100), image(100)
    assert judged(old, keep=0)[0].steps == (Step.DELETE,)
    assert judged(used, keep=0, facts={used.id: Facts(last_used=NOON)})[0].steps == ()


def test_the_newest_gets_its_name_and_the_others_theirs_once() -> None:
    newest, older = image(1, name="u-20231113"), image(2)
    first = judged(older, newest, newest_name="{name}", hide_after_days=None)
    assert [each.new_name for each in first] == ["u (20231112)", "u"]
    second = judged(
        replace(older, name="u (20231112)"), replace(newest, name="u"), newest_name="{name}", hide_after_days=None
    )
    assert [each.steps for each in second] == [(), ()]


@pytest.mark.parametrize("template", ["{name} ({date})", "{name}-{date}"])
def test_older_images_of_one_day_have_names_of_their_own_that_stay(template: str) -> None:
    plain = [image(0), *(image(2, created_at=NOON - 2 * DAY - hour) for hour in range(3))]
    first = judged(*plain, older_name=template)
    names = [each.new_name for each in first[1:]]
    assert names == [template.format(name="u", date=f"20231112{number}") for number in (".3", ".2", "")]
    renamed = [_after(each) for each in first]
    assert [each.new_name for each in judged(*renamed, older_name=template)] == [None] * 4
    late = image(2, created_at=NOON - 2 * DAY - 10, status=Status.ACTIVE)
    *_, of_late = judged(*renamed, late, older_name=template)
    assert of_late.new_name == template.format(name="u", date="20231112.4")


def test_an_image_without_a_name_keeps_none_where_others_of_its_family_are_renamed() -> None:
    *_, verdict = judged(image(1), image(2), image(2, name=None))
    assert verdict.new_name is None


def test_a_name_that_would_be_too_long_loses_of_its_middle() -> None:
    *_, verdict = judged(image(1), image(2, name="x" * 255))
    assert verdict.new_name is not None
    assert (len(verdict.new_name), verdict.new_name[-11:]) == (255, " (20231112)")


def test_what_is_done_is_not_done_again_and_more_runs_come_to_an_end() -> None:
    """Of many families made at random: after what is to be done was done nothing is left to do, and one is shown."""
    lots = random.Random(9)
    for _ in range(300):
        images = [
            image(
                lots.randrange(600),
                visibility=lots.choice(list(Visibility)),
                os_hidden=lots.random() < 0.3,
                status=lots.choice([Status.ACTIVE, Status.ACTIVE, Status.ACTIVE, Status.QUEUED]),
                protected=lots.random() < 0.2,
            )
            for _ in range(lots.randrange(1, 8))
        ]
        seen = {each.visibility for each in images if each.status is Status.ACTIVE and not each.os_hidden}
        for _ in range(3):
            images = [_after(each) for each in judged(*images, keep=1) if Step.DELETE not in each.steps]
        assert not any(each.steps for each in judged(*images, keep=1))
        shown = {each.visibility for each in images if each.status is Status.ACTIVE and not each.os_hidden}
        assert not seen or max(map(_WIDTHS.index, seen)) == max(map(_WIDTHS.index, shown))


_WIDTHS = [PRIVATE, SHARED, COMMUNITY, PUBLIC]


def _after(verdict: Verdict) -> Image:
    after = verdict.image
    if verdict.new_name is not None:
        after = replace(after, name=verdict.new_name)
    if Step.HIDE in verdict.steps:
        after = replace(after, os_hidden=True)
    if Step.COMMUNITY in verdict.steps:
        after = replace(after, visibility=COMMUNITY)
    return after


@pytest.mark.parametrize(
    ("rule", "is_for"),
    [
        ({"names": ("ubuntu*",)}, True),
        ({"names": ("Ubuntu*",)}, False),
        ({"names": ("debian*", "ubuntu-24.04")}, True),
        ({"projects": ("p",)}, True),
        ({"projects": ("q",), "names": ("*",)}, False),
        ({"properties": {"os_distro": "ubu*"}}, True),
        ({"properties": {"os_distro": "*", "absent": "*"}}, False),
        ({"names": ("*",), "visibility": ("private",)}, False),
        ({}, False),
    ],
)
def test_a_rule_is_for_images_that_are_as_it_says_in_all(rule: dict[str, Any], is_for: bool) -> None:
    one = an_image("ubuntu-24.04-20260705", owner="p", visibility=PUBLIC, properties={"os_distro": "ubuntu"})
    assert is_under(one, RetentionRule(**rule)) is is_for


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"hide_after_days": 3}, "give projects, names or properties"),
        ({"names": ["*"], "older_name": "{name} {day}"}, "there is no {day} in names; there is {name}, {date}"),
        ({"names": ["*"], "older_name": "{name"}, "is no text with"),
        ({"names": ["*"], "older_name": "{}"}, "in names"),
        ({"names": ["*"], "older_name": "{name.__class__}"}, "there is no {name.__class__}"),
        ({"names": ["*"], "older_name": "{name:>99999999}"}, "has a form"),
        ({"names": ["*"], "older_name": "{name!r}"}, "has a form"),
        ({"names": ["*"], "older_name": "{name} old"}, "is not known as one of its family"),
        ({"names": ["*"], "older_name": "{name}"}, "is not known as one of its family"),
        ({"names": ["*"], "older_name": "{date} {name}"}, "is not known as one of its family"),
        ({"names": ["*"], "older_name": "{name} old {date}"}, "is not known as one of its family"),
        ({"names": ["*"], "older_name": "{name} {date} 12:00"}, "is not known as one of its family"),
        ({"names": ["*"], "newest_name": "{name} latest"}, "is not known as one of its family"),
        ({"names": ["*"], "visibility": ["public"], "community_after_days": 3}, "add community to visibility"),
        ({"names": ["*"], "delete_unused_days": 0}, "greater than or equal to 1"),
        ({"names": ["*"], "keep": -1}, "greater than or equal to 0"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("{", r"\{")):
        RetentionRule.model_validate(rule)
