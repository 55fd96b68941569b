"""The word that says whose lists show an image."""

from __future__ import annotations

import itertools

from contracts.image_catalogue import an_image
from headwater.database import tables
from headwater.images.catalogue.lists import audience
from headwater.images.model import Visibility

ODD_PROJECTS = ("", "everybody", "hidden everybody", "project:", "hidden project:a", "a", "A", "hidden a")


def test_no_id_of_a_project_is_taken_for_another_audience() -> None:
    words = [audience.NOBODY, *(audience.everybody(hidden=hidden) for hidden in (False, True))]
    words += [audience.project(each, hidden=hidden) for each in ODD_PROJECTS for hidden in (False, True)]
    assert len(set(words)) == len(words)


def test_only_public_images_are_everybodys() -> None:
    for visibility, owner, hidden in itertools.product(Visibility, ("a", None), (False, True)):
        word = audience.of(an_image(visibility=visibility, owner=owner, os_hidden=hidden))
        assert (word == audience.everybody(hidden=hidden)) == (visibility is Visibility.PUBLIC)
        assert (word == audience.project("a", hidden=hidden)) == (visibility is not Visibility.PUBLIC and owner == "a")


def test_the_longest_id_of_a_project_fits() -> None:
    longest = tables.images.c.owner.type.length  # type: ignore[attr-defined]  # it is text
    room = tables.images.c.audience.type.length  # type: ignore[attr-defined]  # as above
    assert len(audience.project("x" * longest, hidden=True)) <= room
