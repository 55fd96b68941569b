from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.images import attributes
from headwater.images.attributes import V20, V21, BadPatch, Operation, QuotaExceeded
from headwater.images.model import Image, Status, Visibility

IMAGE = Image(
    id="11111111-1111-4111-8111-111111111111",
    created_at=1,
    updated_at=2,
    name="before",
    tags=("a", "b"),
    properties={"p": "1"},
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def patched(image: Image, *operations: Operation) -> dict[str, Any]:
    document = attributes.writable(image)
    for operation in operations:
        attributes.patched(image, document, operation)
    return document


@pytest.mark.parametrize(
    ("media_type", "body", "expected"),
    [
        (V21, {"op": "add", "path": "/x", "value": "y"}, Operation("add", "x", "y")),
        (V21, {"op": "replace", "path": "/name", "value": None}, Operation("replace", "name", None)),
        (V21, {"op": "remove", "path": "/x", "value": "ignored"}, Operation("remove", "x", "ignored")),
        (V21, {"op": "add", "path": "/a~1b~0c~01", "value": 1}, Operation("add", "a/b~c~1", 1)),
        (V20, {"add": "/x", "value": "y"}, Operation("add", "x", "y", strict=True)),
        (V20, {"replace": "/x", "value": "y"}, Operation("replace", "x", "y", strict=True)),
        (V20, {"remove": "/x"}, Operation("remove", "x", None, strict=True)),
    ],
)
def test_both_media_types_are_read(media_type: str, body: Any, expected: Operation) -> None:
    assert attributes.operations(media_type, [body]) == [expected]


@pytest.mark.parametrize("media_type", [V20, V21])
@pytest.mark.parametrize("body", [None, {}, "x", 5, [None], ["x"], [[]], [{}], [{"op": "add"}], [{"value": 1}]])
def test_what_is_no_patch_is_refused(media_type: str, body: Any) -> None:
    with pytest.raises(BadPatch):
        attributes.operations(media_type, body)


@pytest.mark.parametrize("op", ["move", "copy", "test", "frob", 5, None, ["add"], {}])
def test_an_unknown_operation_is_refused(op: Any) -> None:
    with pytest.raises(BadPatch):
        attributes.operations(V21, [{"op": op, "path": "/x", "value": "y"}])


def test_an_operation_of_the_older_type_that_does_not_exist_is_named() -> None:
    with pytest.raises(BadPatch, match=r"`move`.*add, remove, replace"):
        attributes.operations(V20, [{"move": "/x"}])


@pytest.mark.parametrize(
    "path", ["", "x", "/", "//x", "/x/", "/x//y", "/x~", "/x~2", "/x/y", "/tags/0", "/tags/-", None, 5, [], "/x/~"]
)
def test_a_path_that_names_no_attribute_is_refused(path: Any) -> None:
    with pytest.raises(BadPatch):
        attributes.operations(V21, [{"op": "remove", "path": path}])


@given(name=st.text(min_size=1).filter(lambda name: name != "locations"))
def test_every_name_can_be_written_as_a_path(name: str) -> None:
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    assert attributes.operations(V21, [{"op": "remove", "path": path}]) == [Operation("remove", name)]


@pytest.mark.parametrize("media_type", [V20, V21])
def test_single_locations_are_added_and_removed_and_their_list_is_replaced(media_type: str) -> None:
    def read(op: str, path: str) -> Operation:
        raw = {"op": op, "path": path} if media_type == V21 else {op: path}
        (operation,) = attributes.operations(media_type, [{**raw, "value": []}])
        return operation

    assert [(read(op, f"/locations/{at}").name, read(op, f"/locations/{at}").position) for op, at in _PLACES] == [
        ("locations", at) for _, at in _PLACES
    ]
    assert (read("replace", "/locations").name, read("replace", "/locations").position) == ("locations", None)
    for op, path in (("add", "/locations"), ("remove", "/locations"), ("replace", "/locations/0"), ("add", "/tags/-")):
        with pytest.raises(BadPatch, match="Invalid JSON pointer"):
            read(op, path)


_PLACES = [("add", "-"), ("add", "0"), ("remove", "-"), ("remove", "7")]


@given(media_type=st.sampled_from([V20, V21]), body=JSON)
def test_any_json_is_a_patch_or_refused_as_one(media_type: str, body: Any) -> None:
    try:
        operations = attributes.operations(media_type, body)
    except BadPatch as error:
        assert str(error)
    else:
        assert len(operations) == len(body)


@given(
    steps=st.lists(
        st.builds(
            Operation,
            st.sampled_from(["add", "replace", "remove"]),
            st.sampled_from(["p", "q", "name", "tags", "status", "id", "os_glance_x", "locations", "disk_format"]),
            st.text(max_size=5),
            st.booleans(),
        ),
        max_size=6,
    ),
    status=st.sampled_from(Status),
)
def test_any_operations_are_carried_out_or_refused_and_never_touch_what_is_ours(
    steps: list[Operation], status: Status
) -> None:
    image = replace(IMAGE, status=status)
    try:
        document = patched(image, *steps)
    except HeadwaterError:
        return
    after = attributes.with_writable(image, {**document, "tags": ["t"]})
    assert (after.id, after.status, after.created_at, after.checksum) == (image.id, status, 1, None)
    assert set(after.properties) <= {"p", "q"}


def test_what_is_writable_comes_back_the_same() -> None:
    image = replace(IMAGE, visibility=Visibility.PUBLIC, min_ram=5, os_hidden=True, owner="o", protected=True)
    assert attributes.with_writable(image, attributes.writable(image)) == image
    assert json.dumps(attributes.writable(image))


def test_tags_keep_their_order_and_lose_their_doubles() -> None:
    assert attributes.with_writable(IMAGE, {"tags": ["z", "a", "z"]}).tags == ("z", "a")


def test_operations_follow_each_other() -> None:
    document = patched(IMAGE, Operation("add", "q", "1"), Operation("replace", "q", "2"), Operation("remove", "p"))
    assert (document["q"], "p" in document) == ("2", False)


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (Operation("replace", "nothing", "x"), attributes.PropertyMissing),
        (Operation("remove", "nothing"), attributes.PropertyMissing),
        (Operation("add", "p", "x", strict=True), attributes.PropertyExists),
        (Operation("remove", "name"), attributes.AttributeNotRemovable),
        (Operation("remove", "tags"), attributes.AttributeNotRemovable),
        (Operation("add", "locations", []), attributes.LocationsInvisible),
        (Operation("replace", "id", "x"), attributes.ReadOnlyAttribute),
        *[(Operation("add", name, "x"), attributes.ReadOnlyAttribute) for name in sorted(attributes.READ_ONLY)],
        *[(Operation("add", name, "x"), attributes.ReservedAttribute) for name in sorted(attributes.RESERVED)],
        (Operation("add", "os_glance_anything", "x"), attributes.ReservedAttribute),
    ],
)
def test_what_is_not_the_callers_to_change_is_refused(operation: Operation, error: type[HeadwaterError]) -> None:
    with pytest.raises(error, match=operation.name):
        patched(IMAGE, operation)


def test_adding_overwrites_a_property_in_the_newer_media_type() -> None:
    assert patched(IMAGE, Operation("add", "p", "2"))["p"] == "2"
    assert patched(IMAGE, Operation("add", "name", "x", strict=True))["name"] == "x"


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("name", ["disk_format", "container_format"])
def test_formats_change_before_the_data_only(status: Status, name: str) -> None:
    image = replace(IMAGE, status=status)
    if status in (Status.QUEUED, Status.IMPORTING):
        assert patched(image, Operation("replace", name, "raw"))[name] == "raw"
    else:
        with pytest.raises(attributes.FormatFixed, match=name):
            patched(image, Operation("replace", name, "raw"))


@pytest.mark.parametrize(("limit", "count", "fits"), [(3, 3, True), (3, 4, False), (-1, 500, True), (0, 1, False)])
def test_a_new_image_has_no_more_than_the_quotas(limit: int, count: int, fits: bool) -> None:
    many = replace(
        IMAGE, properties={f"p{n}": "x" for n in range(count)}, tags=tuple(f"t{number}" for number in range(count))
    )
    for properties, tags in ((limit, -1), (-1, limit)):
        if fits:
            attributes.require_quotas(None, many, properties=properties, tags=tags)
        else:
            with pytest.raises(QuotaExceeded, match=f"Attempted: {count}, Maximum: {limit}"):
                attributes.require_quotas(None, many, properties=properties, tags=tags)


def test_an_image_over_a_quota_that_was_lowered_may_still_change_and_shrink() -> None:
    over = replace(IMAGE, properties={f"p{n}": "x" for n in range(5)}, tags=tuple("abcde"))
    for after in (
        replace(over, name="x"),
        replace(over, properties={f"p{n}": "y" for n in range(5)}),
        replace(over, properties={"p1": "x", "p2": "x", "p3": "x"}, tags=tuple("abc")),
    ):
        attributes.require_quotas(over, after, properties=2, tags=2)
    with pytest.raises(QuotaExceeded):
        attributes.require_quotas(over, replace(over, properties={**over.properties, "q": "x"}), properties=2, tags=2)


def test_a_property_holds_64_kib_in_utf_8() -> None:
    for value, fits in (("x" * 65536, True), ("x" * 65537, False), ("é" * 32768, True), ("é" * 32769, False)):
        after = replace(IMAGE, properties={"p": "1", "big": value})
        for before in (None, IMAGE):
            if fits:
                attributes.require_quotas(before, after, properties=-1, tags=-1)
            else:
                with pytest.raises(attributes.PropertyTooLarge, match=r"'big' would hold 6553[78] bytes; 65536"):
                    attributes.require_quotas(before, after, properties=-1, tags=-1)


def test_all_properties_of_an_image_hold_1_mib_with_their_names() -> None:
    full = {f"name-{number:03}": "x" * (65536 - 8) for number in range(16)}
    attributes.require_quotas(IMAGE, replace(IMAGE, properties=full), properties=-1, tags=-1)
    for before in (None, IMAGE, replace(IMAGE, properties=full)):
        with pytest.raises(attributes.PropertiesTooLarge, match="1048577 bytes; 1048576"):
            attributes.require_quotas(before, replace(IMAGE, properties=full | {"n": ""}), properties=-1, tags=-1)


def test_an_image_with_larger_properties_than_may_be_set_can_still_change_and_shrink() -> None:
    huge = replace(IMAGE, properties={f"p{number}": "x" * 100_000 for number in range(20)})
    fewer = {name: value for name, value in huge.properties.items() if name != "p1"}
    for after in (
        replace(huge, tags=("new",)),
        replace(huge, properties=fewer),
        replace(huge, properties={**huge.properties, "p1": "x" * 65536}),
    ):
        attributes.require_quotas(huge, after, properties=-1, tags=-1)
    with pytest.raises(attributes.PropertiesTooLarge):
        attributes.require_quotas(huge, replace(huge, properties={**huge.properties, "q": "x"}), properties=-1, tags=-1)
    with pytest.raises(attributes.PropertyTooLarge, match="'p1'"):
        attributes.require_quotas(huge, replace(huge, properties={"p1": "y" * 65537}), properties=-1, tags=-1)


def test_a_patch_has_1000_operations_at_most() -> None:
    step = {"op": "add", "path": "/p", "value": "x"}
    assert len(attributes.operations(V21, [step] * 1000)) == 1000
    with pytest.raises(attributes.TooManyOperations, match="1000 operations at most, not 1001"):
        attributes.operations(V21, [step] * 1001)
