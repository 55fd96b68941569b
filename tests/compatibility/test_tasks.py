"""The Tasks API as clients of Glance know it; functional/images/imports/test_copying.py has the tasks that run."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess

NOBODY = "00000000-0000-4000-8000-000000000000"
INPUT = {"import_from": "http://169.254.169.254/x", "import_from_format": "raw", "image_properties": {}}


@pytest.fixture
def http(headwater: HeadwaterProcess) -> Any:
    with httpx.Client(base_url=headwater.images_url, timeout=30, headers={"Accept": "application/json"}) as client:
        yield client


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "Task 'type' is required"),
        ({"type": "import"}, "Task 'input' is required"),
        ({"type": "scan", "input": {}}, "Invalid task type"),
        ([], "Expected a JSON object"),
        ({"type": "import", "input": {}}, "import_from"),
        (
            {"type": "import", "input": {**INPUT, "import_from": "file:///etc/passwd"}},
            "File based imports are not allowed",
        ),
        # Source: OSSN-0105: this way went around the filter once.
        ({"type": "import", "input": INPUT}, "URI for legacy import task does not pass filtering"),
    ],
)
def test_what_is_no_task_is_400(http: httpx.Client, document: Any, says: str) -> None:
    """Source: 8."""
    answer = http.post("/v2/tasks", json=document)
    assert (answer.status_code, says in answer.json()["message"]) == (400, True), answer.text


def test_a_task_has_the_keys_of_its_schema(http: httpx.Client) -> None:
    """Source: 8. Glance takes a task of another type, and then it fails."""
    answer = http.post("/v2/tasks", json={"type": "api_image_import", "input": {"a": 1}})
    assert answer.status_code == 201, answer.text
    entered = answer.json()
    path = f"/v2/tasks/{entered['id']}"
    request_id = answer.headers["x-openstack-request-id"]
    assert answer.headers["location"].endswith(path)
    assert {name: entered[name] for name in entered if name not in ("id", "created_at", "updated_at")} == {
        "type": "api_image_import",
        "input": {"a": 1},
        "status": "pending",
        "owner": None,
        "user_id": None,
        "message": "",
        "result": None,
        "request_id": request_id,
        "self": path,
        "schema": "/v2/schemas/task",
    }
    shown = http.get(path).json()
    assert (shown["status"], shown["result"]) == ("failure", None)
    assert "api_image_import" in shown["message"]
    assert shown["expires_at"].endswith("Z")
    listed = http.get("/v2/tasks?limit=1&status=failure").json()
    (stub,) = listed["tasks"]
    assert stub["id"] == entered["id"]
    assert not {"input", "result", "message"} & set(stub)
    assert listed["schema"] == "/v2/schemas/tasks"
    assert listed["first"] == "/v2/tasks?limit=1&status=failure"
    following, after = f"/v2/tasks?marker={entered['id']}&after=", "&limit=1&status=failure"
    assert listed["next"].startswith(following)
    assert listed["next"].endswith(after)
    assert http.get(listed["next"].replace(entered["id"], entered["id"].upper())).status_code == 200
    assert http.get(listed["next"].replace(entered["id"], NOBODY)).status_code == 200
    assert http.get(path.upper().replace("/V2/TASKS", "/v2/tasks")).json()["id"] == entered["id"]
    assert http.get("/v2/tasks?type=import").json()["tasks"] == []
    refused = http.delete(path)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("status=success", 200),
        ("sort_key=expires_at", 200),
        ("sort_key=owner&sort_dir=asc", 200),
        (f"limit=1{'0' * 30}", 200),
        (f"marker={NOBODY}", 400),
        (f"marker={NOBODY}&after=x", 400),
        ("status=done", 400),
        ("type=export", 400),
        ("limit=x", 400),
        ("limit=-1", 400),
        ("limit=0", 200),
        ("sort_key=colour", 400),
        ("sort_dir=up", 400),
        ("sort_key=updated_at&sort_dir=asc", 200),
        (f"marker={NOBODY}", 400),
        ("marker=%00", 400),
    ],
)
def test_lists_are_asked_in_words_that_exist(http: httpx.Client, query: str, status: int) -> None:
    """Source: 8, 4.6."""
    assert http.get(f"/v2/tasks?{query}").status_code == status


@pytest.mark.parametrize("task_id", [NOBODY, "nonsense", "%00"])
def test_a_task_that_is_not_there_is_404(http: httpx.Client, task_id: str) -> None:
    assert http.get(f"/v2/tasks/{task_id}").status_code == 404
