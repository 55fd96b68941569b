from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.paths import PathInvalid, document_name
from headwater.instances.registry.rows import Record
from headwater.instances.snapshots.snapshot import render
from unit.instances.examples import WEB_1

DOCUMENTS = render(Record(instance=WEB_1, replaced=None), in_grace=False).documents


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("", "ec2"),
        ("/", "ec2"),
        ("//", "ec2"),
        ("/ec2", "ec2"),
        ("/ec2/", "ec2"),
        ("/latest", "ec2/latest"),
        ("/latest/meta-data/", "ec2/latest/meta-data"),
        ("/ec2/latest/meta-data/", "ec2/latest/meta-data"),
        ("//latest//meta-data///hostname//", "ec2/latest/meta-data/hostname"),
        ("/openstack", "openstack"),
        ("//openstack/latest/meta_data.json", "openstack/latest/meta_data.json"),
        ("/2009-04-04/user-data", "ec2/2009-04-04/user-data"),
    ],
)
def test_what_guests_ask_for_leads_to_its_document(path: str, name: str) -> None:
    assert document_name(path) == name
    assert name in DOCUMENTS


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/ami-id/x",
        "/latest/user-data/x",
        "/latest/meta-data/ami-launch-index/0",
        "/latest/meta-data/security-groups/default",
        "/openstack/latest/content",
        "/openstack/content",
        "/openstack/content/0000",
        "/openstack/latest/version",
        "/openstack/2012-08-10/network_data.json",
        "/openstack/2013-10-17/network_data.json",
        "/openstack/2012-08-10/password",
        "/latest/meta-data/public-keys/0/_name",
        "/latest/meta-data/public-keys/0=mykey",
        "/2011-01-01/meta-data",
        "/2021-03-23/meta-data/instance-id",
        "/latest/api/token",
        "/ec2/openstack/latest/meta_data.json",
        "/ec2/ec2",
        "/LATEST",
        "/latest/meta-data/hostname\0",
        "/latest/meta-data\n",
    ],
)
def test_below_a_leaf_and_beside_the_trees_there_is_nothing(path: str) -> None:
    assert document_name(path) not in DOCUMENTS


@pytest.mark.parametrize("path", ["/..", "/../etc/passwd", "/latest/../openstack", "/./latest", "/latest/.", "//..//"])
def test_a_step_sideways_is_refused(path: str) -> None:
    with pytest.raises(PathInvalid):
        document_name(path)


SEGMENT = st.one_of(
    st.sampled_from(["", ".", "..", "ec2", "openstack", "latest", "meta-data", "user-data", "2009-04-04", "password"]),
    st.text(max_size=8),
)


@given(st.lists(SEGMENT, max_size=8).map("/".join))
def test_any_path_is_a_name_in_one_of_the_trees_or_refused(path: str) -> None:
    segments = path.split("/")
    try:
        name = document_name(path)
    except PathInvalid:
        assert "." in segments or ".." in segments
        return
    assert name.split("/")[0] in ("ec2", "openstack")
    assert not {"", ".", ".."} & set(name.split("/"))
    assert document_name(f"//{name}/") == name
