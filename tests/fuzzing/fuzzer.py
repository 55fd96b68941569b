"""Requests made up from the OpenAPI document of a service, which schemathesis sends to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2 as httpx

from functional.headwater_process import HeadwaterProcess, bare_environment
from needs import CHECKOUT

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
    "unsupported_method",
)
# Everything that has a route. URLs that are made up lead nowhere: none is taken but this one, and nobody serves it.
URL = "http://127.0.0.1:1/image.qcow2"
SWITCHED_ON = """
[stores.file]
type = "file"
[stores.web]
type = "http"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = [1]
[images]
show_multiple_locations = true
show_image_direct_url = true
"""


def require_answers(url: str, directory: Path, amount: Sequence[str], limit_s: int) -> int:
    """Fuzz a service on an empty database, demand that it does not fail, and return the number of requests.

    Args:
        amount: How much is sent, as schemathesis is told.
    """
    service = HeadwaterProcess(directory, toml=f'{SWITCHED_ON}\n[database]\nurl = "{url}"\n')
    service.start()
    try:
        done = _fuzz(service, directory, _images(service), amount, limit_s)
    finally:
        service.stop()
    assert done.returncode == 0, done.stdout[-20_000:]
    assert [event for event in service.logs() if event["event"] == "failed"] == []
    return _tested(done.stdout)


def _fuzz(
    service: HeadwaterProcess, directory: Path, images: list[str], amount: Sequence[str], limit_s: int
) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("schemathesis")
    document = f"{service.images_url}/openapi.json"
    return subprocess.run(
        [str(program), "run", document, "--checks", ",".join(CHECKS), "--warnings", "off", "--no-color", *amount],
        cwd=directory,
        env={
            **bare_environment(directory),
            "SCHEMATHESIS_HOOKS": "fuzzing.hooks",
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "tests"), str(CHECKOUT / "src")]),
            "HEADWATER_FUZZ_IMAGES": " ".join(images),
            "HEADWATER_FUZZ_URL": URL,
            "NO_PROXY": "127.0.0.1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
        check=False,
    )


def _images(service: HeadwaterProcess) -> list[str]:
    """Make an image in each state that one can be left in."""
    made = []
    with httpx.Client(base_url=f"{service.images_url}/v2", timeout=30, trust_env=False) as http:
        for state in ("queued", "active", "deactivated", "bare"):
            formats = {} if state == "bare" else {"disk_format": "raw", "container_format": "bare"}
            document: dict[str, Any] = {"name": state, "tags": ["t"], "os_distro": "x", "protected": True, **formats}
            image_id = http.post("/images", json=document).raise_for_status().json()["id"]
            if state in ("active", "deactivated"):
                octets = {"Content-Type": "application/octet-stream"}
                http.put(f"/images/{image_id}/file", content=b"data" * 100, headers=octets).raise_for_status()
            if state == "deactivated":
                http.post(f"/images/{image_id}/actions/deactivate").raise_for_status()
            made.append(image_id)
    return made


def _tested(said: str) -> int:
    found = re.search(r"([0-9]+) generated", said)
    assert found is not None, said[-4000:]
    return int(found[1])
