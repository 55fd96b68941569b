"""openstacksdk, in this process, as programs use it."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import openstack
import pytest
from openstack.image.v2._proxy import Proxy

from functional.conftest import NewImage
from functional.headwater_process import HeadwaterProcess
from functional.inputs import DiskImage

# What the SDK says of its own code.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::openstack.warnings.{name}")
    for name in ("RemovedInSDK50Warning", "RemovedInSDK60Warning")
]


@pytest.fixture
def cloud(headwater: HeadwaterProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("HOME", str(tmp_path))
    connection = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type="none",
        endpoint=headwater.images_url,
        app_name="headwater-tests",
    )
    images = connection.image
    assert isinstance(images, Proxy)
    yield images
    connection.close()


# It leaves the file open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_create_image_uploads_a_file_and_download_image_gives_it_back(
    cloud: Proxy, disks: Mapping[str, DiskImage], tmp_path: Path
) -> None:
    disk = disks["qcow2"]
    image = cloud.create_image(
        f"noble-{uuid.uuid4().hex[:8]}",
        filename=str(disk.path),
        disk_format="qcow2",
        container_format="bare",
        visibility="public",
        validate_checksum=True,
        os_distro="ubuntu",
        tags=["lts"],
    )
    try:
        stored = cloud.get_image(image.id)
        assert (stored.status, stored.visibility, stored.size) == ("active", "public", disk.size)
        assert (stored.checksum, stored.hash_value) == (disk.md5, disk.sha512)
        assert (stored.os_distro, stored.tags) == ("ubuntu", ["lts"])

        response = cloud.download_image(stored, stream=True)
        streamed = hashlib.sha512()
        for piece in response.iter_content(1 << 20):
            streamed.update(piece)
        assert streamed.hexdigest() == stored.hash_value
        assert response.headers["Content-MD5"] == stored.checksum

        whole = io.BytesIO()
        cloud.download_image(stored, output=whole)
        assert whole.getvalue() == disk.data
    finally:
        cloud.delete_image(image)
    assert cloud.find_image(image.id) is None


def test_data_is_uploaded_to_an_image_that_waits_for_it(cloud: Proxy, disks: Mapping[str, DiskImage]) -> None:
    image = cloud.create_image("waits", disk_format="raw", container_format="bare", allow_duplicates=True)
    try:
        assert image.status == "queued"
        with disks["raw"].path.open("rb") as data:
            image.data = data
            image.upload(cloud)
        assert cloud.get_image(image.id).hash_value == disks["raw"].sha512
    finally:
        cloud.delete_image(image)


def test_find_image_takes_id_and_name_and_finds_hidden_ones(cloud: Proxy, new_image: NewImage) -> None:
    seen, hidden = new_image(), new_image(os_hidden=True)
    for image in (seen, hidden):
        by_name, by_id = cloud.find_image(image["name"]), cloud.find_image(image["id"])
        assert by_name and by_id
        assert (by_name.id, by_id.name) == (image["id"], image["name"])
    assert cloud.find_image("nobody called an image this") is None


def test_images_pages_through_all_of_them(cloud: Proxy, new_image: NewImage) -> None:
    group = uuid.uuid4().hex
    ids = [new_image(name=f"{group}-{number}", tags=[group])["id"] for number in range(7)]
    listed = [image.id for image in cloud.images(limit=3, tag=group, sort="name:asc")]
    assert listed == ids
    assert [image.id for image in cloud.images(name=f"{group}-4")] == [ids[4]]


def test_update_image_sets_and_removes_properties(cloud: Proxy, new_image: NewImage) -> None:
    image = new_image(old="1")
    cloud.update_image(image["id"], name="changed", min_ram=512, hw_disk_bus="virtio", is_protected=True)
    after = cloud.get_image(image["id"])
    assert (after.name, after.min_ram, after.hw_disk_bus, after.is_protected) == ("changed", 512, "virtio", True)
    assert after.properties["old"] == "1"
    cloud.update_image_properties(after, meta={"old": "2"})
    assert cloud.get_image(image["id"]).properties["old"] == "2"
    with pytest.raises(openstack.exceptions.ForbiddenException, match="is protected and cannot be deleted"):
        cloud.delete_image(image["id"])


def test_tags_and_the_two_actions(cloud: Proxy, new_image: NewImage) -> None:
    image = new_image(b"some bytes")
    cloud.add_tag(image["id"], "lts")
    assert cloud.get_image(image["id"]).tags == ["lts"]
    cloud.remove_tag(image["id"], "lts")
    cloud.deactivate_image(image["id"])
    after = cloud.get_image(image["id"])
    assert (after.tags, after.status) == ([], "deactivated")
    cloud.reactivate_image(image["id"])
    assert cloud.download_image(cloud.get_image(image["id"])).content == b"some bytes"


def test_a_program_reads_in_our_words_what_is_wrong(
    cloud: Proxy, new_image: NewImage, disks: Mapping[str, DiskImage]
) -> None:
    with pytest.raises(openstack.exceptions.BadRequestException, match="floppy"):
        cloud.create_image("x", disk_format="floppy", container_format="bare", allow_duplicates=True)

    # It sends an empty Accept with data and with changes, and shows nothing of an answer in plain text.
    image = cloud.get_image(new_image(disk_format="qcow2")["id"])
    with disks["vmdk"].path.open("rb") as data:
        image.data = data
        response = image.upload(cloud)
    with pytest.raises(openstack.exceptions.HttpException, match="disk_format qcow2 does not match"):
        openstack.exceptions.raise_from_response(response)
    with pytest.raises(openstack.exceptions.BadRequestException, match="min_ram"):
        cloud.update_image(image.id, min_ram="much")
