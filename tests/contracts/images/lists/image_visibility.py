"""What every database promises about whom a list shows an image, and about an image's members."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from contracts.image_catalogue import NOON, SECOND, add, an_image, anything
from contracts.images.lists.image_lists import DIRECTIONS, all_pages, expected
from contracts.unheard import UnheardImages, UnheardMembers
from headwater.activity.journal import Entry, Journal
from headwater.database.engine import Database
from headwater.images.catalogue.lists.query import SORT_KEYS, Condition, Query, Viewer
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.member import Member, MemberExists, MemberNotFound, MemberStatus, TooManyMembers
from headwater.images.model import Image, Visibility

VISIBILITIES = (None, "all", "public", "private", "shared", "community")
MEMBER_STATUSES = ("pending", "accepted", "rejected", "all")
OWNERS = ("a", "b", None)
VIEWERS = {
    "a project with images": Viewer(project_id="a"),
    "another one": Viewer(project_id="b"),
    "a project that only others share with": Viewer(project_id="c"),
    "a project nobody knows": Viewer(project_id="d"),
    "a project in other letters": Viewer(project_id="A"),
    "nobody's project": Viewer(),
    "an admin": Viewer(sees_all=True),
    "an admin of a project": Viewer(project_id="a", sees_all=True),
}

Shares = dict[tuple[str, str], MemberStatus]


# --- What a viewer should see, said a second time in plain Python -------------------------------------


def shown(images: Iterable[Image], shares: Shares, query: Query) -> list[Image]:
    """Return what the page of ``query`` should be."""
    seen = {image.id for image in images if _listed(image, shares, query)}
    # The marker may be an image that the list does not show: it stays in the line, and is cut off.
    line = expected(images, replace(query, marker=None, limit=1_000_000))
    if query.marker is not None:
        line = expected(images, replace(query, limit=1_000_000))
    return [image for image in line if image.id in seen][: query.limit]


def _listed(image: Image, shares: Shares, query: Query) -> bool:
    project, wanted = query.viewer.project_id, query.visibility
    if wanted not in (None, "all", image.visibility.value):
        return False
    own = image.owner == project
    if query.viewer.sees_all:
        return wanted is not None or own or image.visibility is not Visibility.COMMUNITY
    if own and project is not None:
        return True
    match image.visibility:
        case Visibility.PUBLIC:
            return True
        case Visibility.COMMUNITY:
            return wanted is not None
        case Visibility.SHARED:
            said = None if project is None else shares.get((image.id, project))
            return said is not None and query.member_status in ("all", said.value)
        case Visibility.PRIVATE:
            return False


def share(members: UnheardMembers, image_id: str, project: str, at: int, limit: int) -> Member:
    """Share an image with a project that has not said anything yet."""
    new = Member(image_id=image_id, member=project, status=MemberStatus.PENDING, created_at=at, updated_at=at)
    return members.add(new, limit, anything)


def fill(catalogue: UnheardImages, members: UnheardMembers) -> tuple[list[Image], Shares]:
    """Keep images of every owner and visibility, shared with projects that gave every answer."""
    names = (None, "b", "a", "B", None, "ä", "")
    images = [
        an_image(
            names[n % len(names)],
            owner=OWNERS[n % 3],
            visibility=list(Visibility)[n // 3 % 4],
            size=(None, 5, 0, 5, 1 << 40)[n % 5],
            disk_format=(None, "qcow2", "raw", "raw")[n % 4],
            container_format=("bare", None)[n % 2],
            created_at=NOON + n // 5 * SECOND,
            updated_at=NOON + n // 7 * SECOND,
            os_hidden=n % 13 == 12,
            tags=tuple(tag for at, tag in enumerate(("red", "green")) if n >> at & 1),
            properties={"os": ("ubuntu", "debian")[n % 2], **({"arch": "arm64"} if n % 4 < 2 else {})},
        )
        for n in range(36)
    ]
    catalogue.create_all(*images)
    shares: Shares = {}
    answers = (*MemberStatus, None)
    for at, image in enumerate(images):
        # Each image, private ones too: it may have been shared before. Its owner too, as nobody forbids it.
        for which, project in enumerate(("a", "b", "c")):
            said = answers[(at // 3 + which) % 4]
            if said is not None:
                shares[image.id, project] = said
    members.add_all(
        *(
            Member(image_id=image_id, member=project, status=said, created_at=NOON, updated_at=NOON)
            for (image_id, project), said in shares.items()
        )
    )
    return images, shares


class ImageVisibilityContract:
    """To test one database: subclass, and give a ``database`` fixture with the newest schema."""

    @pytest.fixture
    def catalogue(self, database: Database) -> UnheardImages:
        """Return the catalogue under test."""
        return UnheardImages(database)

    @pytest.fixture
    def members(self, database: Database) -> UnheardMembers:
        """Return the members under test."""
        return UnheardMembers(database)

    # --- Lists -----------------------------------------------------------------------------------

    def test_everybody_is_shown_what_is_theirs_to_see(self, catalogue: UnheardImages, members: UnheardMembers) -> None:
        images, shares = fill(catalogue, members)
        for who, viewer in VIEWERS.items():
            for visibility in VISIBILITIES:
                for status in MEMBER_STATUSES:
                    for hidden in (False, True):
                        query = Query(
                            viewer=viewer, visibility=visibility, member_status=status, os_hidden=hidden, limit=100
                        )
                        wanted = shown(images, shares, query)
                        assert catalogue.page(query) == wanted, (who, visibility, status, hidden)

    def test_an_image_is_found_where_its_last_change_has_put_it(
        self, catalogue: UnheardImages, members: UnheardMembers
    ) -> None:
        """By every filter that has an index of its own for each audience."""
        image = an_image("one", owner="a", visibility=Visibility.PRIVATE, tags=("red",), properties={"os": "ubuntu"})
        add(catalogue, image)
        states = (
            {"visibility": Visibility.PUBLIC},
            {"os_hidden": True},
            {"visibility": Visibility.SHARED, "owner": "b"},
            {"os_hidden": False, "tags": ("red", "green"), "properties": {"os": "ubuntu", "arch": "arm64"}},
            {"visibility": Visibility.COMMUNITY},
            {"owner": None, "visibility": Visibility.PUBLIC},
            {"visibility": Visibility.PRIVATE, "tags": ("red",)},
        )
        lists = (
            Query(),
            Query(tags=("red",)),
            Query(properties=(("os", "ubuntu"),)),
            Query(conditions=(Condition("name", "eq", "one"),), sort=(("size", "asc"),)),
        )
        for state in states:
            image = catalogue.change(image.id, lambda before, state=state: replace(before, **state))  # type: ignore[misc]
            for viewer in (Viewer(project_id="a"), Viewer(project_id="b"), Viewer()):
                for visibility in (None, "shared", "community"):
                    for given in lists:
                        for hidden in (False, True):
                            query = replace(given, viewer=viewer, visibility=visibility, os_hidden=hidden)
                            assert catalogue.page(query) == shown([image], {}, query), (state, query)

    def test_a_list_paged_one_by_one_is_the_whole_list_in_every_order(
        self, catalogue: UnheardImages, members: UnheardMembers
    ) -> None:
        images, shares = fill(catalogue, members)
        for project in ("a", "c", None):
            for key in SORT_KEYS:
                for direction in DIRECTIONS:
                    query = Query(
                        viewer=Viewer(project_id=project),
                        visibility="all",
                        member_status="all",
                        sort=((key, direction),),
                        limit=100,
                    )
                    wanted = shown(images, shares, query)
                    assert catalogue.page(query) == wanted, (project, key, direction)
                    pages = replace(query, limit=1 if project == "c" else 7)
                    assert all_pages(catalogue, pages) == wanted, (project, key, direction)

    def test_two_keys_and_every_visibility_page_as_well(
        self, catalogue: UnheardImages, members: UnheardMembers
    ) -> None:
        images, shares = fill(catalogue, members)
        for visibility in VISIBILITIES:
            for viewer in VIEWERS.values():
                query = Query(viewer=viewer, visibility=visibility, sort=(("name", "asc"), ("size", "desc")), limit=5)
                wanted = shown(images, shares, replace(query, limit=100))
                assert all_pages(catalogue, query) == wanted, (visibility, viewer)

    def test_a_page_may_begin_after_an_image_that_the_list_does_not_show(
        self, catalogue: UnheardImages, members: UnheardMembers
    ) -> None:
        images, shares = fill(catalogue, members)
        for image in images[::5]:
            for sort in ((("created_at", "desc"), ("id", "desc")), (("size", "asc"),)):
                query = Query(viewer=Viewer(project_id="c"), visibility=None, marker=image.id, sort=sort, limit=4)
                assert catalogue.page(query) == shown(images, shares, query), (image, sort)

    @pytest.mark.parametrize(
        "narrowed",
        [
            pytest.param(Query(properties=(("os", "ubuntu"),)), id="a property"),
            pytest.param(Query(properties=(("os", "ubuntu"), ("arch", "arm64"))), id="two properties"),
            pytest.param(Query(tags=("red",)), id="a tag"),
            pytest.param(Query(tags=("red", "green")), id="two tags"),
            pytest.param(Query(properties=(("os", "debian"),), tags=("green",)), id="a property and a tag"),
            pytest.param(Query(conditions=(Condition("owner", "eq", "a"),)), id="another owner"),
            pytest.param(Query(conditions=(Condition("size", "gte", 1),)), id="a size"),
            pytest.param(Query(conditions=(Condition("name", "in", ("a", "b")),)), id="names"),
        ],
    )
    def test_a_filter_shows_nobody_more(
        self, narrowed: Query, catalogue: UnheardImages, members: UnheardMembers
    ) -> None:
        images, shares = fill(catalogue, members)
        for who, viewer in VIEWERS.items():
            for visibility in VISIBILITIES:
                for status in ("accepted", "all"):
                    query = replace(narrowed, viewer=viewer, visibility=visibility, member_status=status, limit=100)
                    wanted = shown(images, shares, query)
                    assert catalogue.page(query) == wanted, (who, visibility, status)
            pages = replace(narrowed, viewer=viewer, visibility=None, limit=5, sort=(("name", "desc"),))
            whole = shown(images, shares, replace(pages, limit=100))
            assert all_pages(catalogue, pages) == whole, who

    # --- One image -------------------------------------------------------------------------------

    def test_one_image_comes_with_whether_it_is_shared_with_the_project(
        self, catalogue: UnheardImages, members: UnheardMembers
    ) -> None:
        image, other = (an_image(owner="a", tags=("t",), properties={"k": "v"}) for _ in range(2))
        add(catalogue, image, other)
        for project in ("b", "c"):
            share(members, image.id, project, NOON, -1)
        assert catalogue.get_for(image.id, "b") == (image, True)
        for caller in ("a", "d", "B", "b ", "", "%", None):
            assert catalogue.get_for(image.id, caller) == (image, False), caller
        assert catalogue.get_for(other.id, "b") == (other, False)
        assert catalogue.get_seen(image.id, "b") == (image, True)
        assert catalogue.get_seen(image.id, "a") == (image, False)
        for caller in ("d", "B", "b ", "", "%", None):
            with pytest.raises(ImageNotFound):
                catalogue.get_seen(image.id, caller)
        for nobody in (an_image().id, "", image.id.upper() + "x", image.id + " "):
            for caller in ("a", None):
                with pytest.raises(ImageNotFound):
                    catalogue.get_for(nobody, caller)
                with pytest.raises(ImageNotFound):
                    catalogue.get_seen(nobody, caller)

    def test_each_visibility_is_seen_one_by_one_as_in_lists(
        self, catalogue: UnheardImages, members: UnheardMembers
    ) -> None:
        for visibility in Visibility:
            for owner in ("a", None):
                image = an_image(owner=owner, visibility=visibility)
                add(catalogue, image)
                if visibility is Visibility.SHARED:
                    share(members, image.id, "b", NOON, -1)
                open_to_all = visibility in (Visibility.PUBLIC, Visibility.COMMUNITY)
                for caller in ("a", "b", "c", None):
                    sees = (
                        open_to_all
                        or (caller == owner and owner is not None)
                        or (visibility is Visibility.SHARED and caller == "b")
                    )
                    try:
                        seen = catalogue.get_seen(image.id, caller)[0] == image
                    except ImageNotFound:
                        seen = False
                    assert seen is sees, (visibility, owner, caller)

    # --- UnheardMembers ---------------------------------------------------------------------------------

    def test_a_member_is_asked_and_answers(self, catalogue: UnheardImages, members: UnheardMembers) -> None:
        image = an_image(owner="a")
        add(catalogue, image)
        added = share(members, image.id, "b", NOON, 2)
        assert (added.status, added.created_at, added.updated_at) == (MemberStatus.PENDING, NOON, NOON)
        assert members.get(image.id, "b") == added
        for status in (MemberStatus.ACCEPTED, MemberStatus.ACCEPTED, MemberStatus.REJECTED, MemberStatus.PENDING):
            # Twice the same at the same time changes no row, and is still no error.
            changed = members.set_status(image.id, "b", status, NOON + SECOND)
            assert changed == replace(added, status=status, updated_at=NOON + SECOND) == members.get(image.id, "b")

    def test_members_are_listed_by_age(self, catalogue: UnheardImages, members: UnheardMembers) -> None:
        image, other = an_image(owner="a"), an_image(owner="a")
        add(catalogue, image, other)
        for project, at in (("z", 1), ("y", 2), ("B", 2), ("b", 2), ("b ", 2), ("ä", 2)):
            share(members, image.id, project, at, -1)
        share(members, other.id, "q", 0, -1)
        assert [each.member for each in members.of(image.id)] == ["z", "B", "b", "b ", "y", "ä"]
        assert members.of(an_image().id) == []

    def test_nobody_is_a_member_twice(self, catalogue: UnheardImages, members: UnheardMembers) -> None:
        image = an_image(owner="a")
        add(catalogue, image)
        share(members, image.id, "b", NOON, 1)
        with pytest.raises(MemberExists):  # though there is no more room either
            share(members, image.id, "b", NOON, 1)

    def test_an_image_has_so_many_members_and_no_more(self, catalogue: UnheardImages, members: UnheardMembers) -> None:
        image, other = an_image(owner="a"), an_image(owner="a")
        add(catalogue, image, other)
        for project in ("b", "c"):
            share(members, image.id, project, NOON, 2)
        with pytest.raises(TooManyMembers):
            share(members, image.id, "d", NOON, 2)
        with pytest.raises(TooManyMembers):
            share(members, other.id, "d", NOON, 0)
        share(members, other.id, "d", NOON, 2)
        members.remove(image.id, "b", anything)
        share(members, image.id, "d", NOON, 2)
        share(members, image.id, "e", NOON, -1)
        assert [each.member for each in members.of(image.id)] == ["c", "d", "e"]

    def test_who_is_no_member_cannot_answer_or_leave(self, catalogue: UnheardImages, members: UnheardMembers) -> None:
        image = an_image(owner="a")
        add(catalogue, image)
        share(members, image.id, "b", NOON, -1)
        for nobody in ("c", "B", "b ", ""):
            assert members.get(image.id, nobody) is None
            with pytest.raises(MemberNotFound):
                members.set_status(image.id, nobody, MemberStatus.ACCEPTED, NOON)
            with pytest.raises(MemberNotFound):
                members.remove(image.id, nobody, anything)
        members.remove(image.id, "b", anything)
        with pytest.raises(MemberNotFound):
            members.remove(image.id, "b", anything)

    def test_members_are_put_all_at_once_and_need_not_answer(
        self, catalogue: UnheardImages, members: UnheardMembers
    ) -> None:
        image = an_image(owner="a")
        add(catalogue, image)
        share(members, image.id, "asked", NOON, 3)
        kept: list[tuple[str | None, str | None]] = []

        class Heard:
            def moved(self, entry: Entry) -> tuple[()]:
                before, after = entry.before, entry.after
                kept.append((before.member if before else None, after.member if after else None))
                return ()

            def ended(self, entry: Entry, error: BaseException | None) -> None:
                """Wait for nothing more."""

        def put(wanted: dict[str, bool | None], *, others_stay: bool) -> dict[str, tuple[str, bool]]:
            kept.clear()
            members.put(image.id, wanted, 3, anything, Journal([Heard()]), at=NOON + 1, others_stay=others_stay)
            return {each.member: (each.status.value, each.can_share) for each in members.of(image.id)}

        both = {"asked": ("pending", False), "new": ("accepted", True)}
        assert put({"new": True}, others_stay=True) == both
        assert kept == [(None, "new")]
        assert put({"new": None}, others_stay=True) == both
        assert kept == []
        assert put({"new": False}, others_stay=True) == {**both, "new": ("accepted", False)}
        assert kept == [("new", "new")]
        assert put({"new": True, "b": None}, others_stay=False) == {
            "b": ("accepted", False),
            "new": ("accepted", True),
        }
        assert kept == [("asked", None), ("new", "new"), (None, "b")]
        with pytest.raises(TooManyMembers):
            put({"c": None, "d": None}, others_stay=True)
        assert put({"c": None, "d": None, "e": None}, others_stay=False).keys() == {"c", "d", "e"}
        with pytest.raises(ImageNotFound):
            members.put("no such image", {"a": None}, 3, anything, at=NOON, others_stay=True)
        assert [(each.image_id, owner, seen) for each, owner, seen in members.with_project("c")] == [
            (image.id, "a", "shared")
        ]
        assert list(members.with_project("b")) == []

    def test_what_is_shared_with_a_project_comes_in_blocks_oldest_image_first(
        self, catalogue: UnheardImages, members: UnheardMembers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("headwater.images.catalogue.members._BLOCK", 2)
        said = [MemberStatus.ACCEPTED, MemberStatus.PENDING, MemberStatus.ACCEPTED, MemberStatus.REJECTED]
        line = []
        for number in range(9):
            image = an_image(owner="a", created_at=NOON + number // 3 * SECOND)  # several of one moment
            add(catalogue, image)
            share(members, image.id, "b", NOON - number, -1)
            members.set_status(image.id, "b", said[number % 4], NOON)
            line.append(((image.created_at, image.id), said[number % 4]))
        found = [(each.image_id, each.status) for each, _, _ in members.with_project("b")]
        assert found == [(image_id, status) for (_, image_id), status in sorted(line)]

    def test_an_image_that_is_not_there_has_no_members(self, members: UnheardMembers) -> None:
        with pytest.raises(ImageNotFound):
            share(members, an_image().id, "b", NOON, -1)

    def test_members_go_with_their_image(self, catalogue: UnheardImages, members: UnheardMembers) -> None:
        image = an_image(owner="a", visibility=Visibility.SHARED)
        add(catalogue, image)
        share(members, image.id, "b", NOON, -1)
        catalogue.delete(image.id, lambda _: None, NOON)
        assert members.of(image.id) == []
        assert catalogue.page(Query(viewer=Viewer(project_id="b"), member_status="all")) == []

    def test_members_stay_while_the_image_is_private(self, catalogue: UnheardImages, members: UnheardMembers) -> None:
        image = an_image(owner="a", visibility=Visibility.SHARED)
        add(catalogue, image)
        share(members, image.id, "b", NOON, -1)
        members.set_status(image.id, "b", MemberStatus.ACCEPTED, NOON)
        query = Query(viewer=Viewer(project_id="b"), visibility=None)
        for visibility, there in ((Visibility.PRIVATE, 0), (Visibility.COMMUNITY, 0), (Visibility.SHARED, 1)):
            catalogue.change(image.id, lambda image, to=visibility: replace(image, visibility=to))  # type: ignore[misc]
            assert len(catalogue.page(query)) == there, visibility
