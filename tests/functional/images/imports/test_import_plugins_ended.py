"""An import that is ended while its disk is converted: by a kill, a stop, or the end of its image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.images.imports.test_import_plugins import converted, lying, require_disk
from functional.import_requests import ended, make, stage

TOML = """\
[import_plugins]
use = ["image_conversion"]
[stores.fast]
type = "file"
"""
# A conversion that takes as long as the file "hold" is there.
SLOW = """\
#!/bin/sh
echo $$ >{directory}/pid
while [ -e {directory}/hold ]; do sleep 0.1; done
exec /usr/bin/qemu-img "$@"
"""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    program = tmp_path / "qemu-img"
    program.write_text(SLOW.format(directory=tmp_path))
    program.chmod(0o755)
    (tmp_path / "hold").touch()
    return tmp_path


@pytest.fixture
def service(slow: Path) -> Iterator[HeadwaterProcess]:
    directory = slow / "service"
    directory.mkdir()
    process = HeadwaterProcess(directory, toml=TOML, env={"PATH": f"{slow}:/usr/bin:/bin:/usr/sbin:/sbin"})
    process.start()
    yield process
    (slow / "hold").unlink(missing_ok=True)
    process.stop()


def begun(service: HeadwaterProcess, slow: Path) -> str:
    """Begin an import, and return its image when the disk is being converted."""
    (slow / "pid").unlink(missing_ok=True)
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        image_id = make(http, disk_format="qcow2")
        stage(http, image_id, converted(slow, "qcow2"))
        body = {"method": {"name": "glance-direct"}}
        assert http.post(f"/v2/images/{image_id}/import", json=body).status_code == 202
    wait_until(lambda: (slow / "pid").exists() and (slow / "pid").read_text() != "", "it is converted", 60)
    return image_id


def require_ended(slow: Path) -> None:
    """Check that the conversion's process ends, though nothing lets it go on."""
    process = Path(f"/proc/{(slow / 'pid').read_text().strip()}")
    wait_until(lambda: not process.exists(), "the conversion is over", 30)


def test_a_conversion_dies_with_its_process_and_is_made_by_the_next(service: HeadwaterProcess, slow: Path) -> None:
    image_id = begun(service, slow)
    service.kill()
    require_ended(slow)
    assert len(list((service.data_dir / "scratch").iterdir())) == 1
    (slow / "hold").unlink()
    service.start()
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        wait_until(lambda: http.get(f"/v2/images/{image_id}").json()["status"] == "active", "it is imported", 90)
        require_disk(http, service, image_id)


def test_a_conversion_makes_way_for_the_end_of_its_process(service: HeadwaterProcess, slow: Path) -> None:
    image_id = begun(service, slow)
    service.stop()
    require_ended(slow)
    assert list((service.data_dir / "scratch").iterdir()) == []
    (slow / "hold").unlink()
    service.start()
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        wait_until(lambda: http.get(f"/v2/images/{image_id}").json()["status"] == "active", "it is imported", 90)
        require_disk(http, service, image_id)


def test_a_conversion_ends_with_its_image(service: HeadwaterProcess, slow: Path) -> None:
    image_id = begun(service, slow)
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        assert http.delete(f"/v2/images/{image_id}").status_code == 204
    require_ended(slow)
    wait_until(lambda: list((service.data_dir / "scratch").iterdir()) == [], "nothing of it is left")
    wait_until(lambda: not lying(service, image_id), "no byte of it is left")


def test_a_conversion_that_is_cancelled_ends_and_its_image_takes_data_again(
    service: HeadwaterProcess, slow: Path
) -> None:
    image_id = begun(service, slow)
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        (task,) = http.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
        assert http.delete(f"/v2/images/{image_id}/tasks/{task['id']}").status_code == 202
        require_ended(slow)
        over = ended(http, image_id)
        assert (over["status"], "cancelled by" in over["message"]) == ("failure", True)
        wait_until(lambda: list((service.data_dir / "scratch").iterdir()) == [], "nothing of it is left")
        wait_until(lambda: not lying(service, image_id), "no byte of it is left")
        image = http.get(f"/v2/images/{image_id}").json()
        assert (image["status"], image["disk_format"], image["size"], image["checksum"]) == (
            "queued",
            "qcow2",
            None,
            None,
        )
        assert "os_glance_import_task" not in image
        (slow / "hold").unlink()
        stage(http, image_id, converted(slow, "qcow2"))
        assert http.post(f"/v2/images/{image_id}/import", json={"method": {"name": "glance-direct"}}).status_code == 202
        wait_until(lambda: http.get(f"/v2/images/{image_id}").json()["status"] == "active", "it is imported", 90)
        require_disk(http, service, image_id)
