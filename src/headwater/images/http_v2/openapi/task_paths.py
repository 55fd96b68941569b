"""The paths of work that goes on after its answer: tasks, and locations, whose data is looked at by one."""

from __future__ import annotations

from collections.abc import Iterator

from headwater.http.openapi.operations import (
    AFTER,
    Json,
    Operation,
    Path,
    in_header,
    in_path,
    in_query,
    json_answer,
    json_body,
    no_content,
    reference,
)
from headwater.http.values import LARGEST
from headwater.images.catalogue.tasks import SORT_KEYS
from headwater.images.http_v2.openapi.upload_paths import DIGESTS
from headwater.images.task import TaskStatus

_IMAGE_ID = in_path("image_id", "Id of the image.", format="uuid")
_TASK_ID = in_path("task_id", "Id of the task.", format="uuid")
_IN_TASK: Json = {"description": "Where the task is.", "schema": {"type": "string", "format": "uri"}}


def of_locations() -> Iterator[Path]:
    """Yield the path of where an image's data lies."""
    yield Path(
        "/v2/images/{image_id}/locations",
        {
            "GET": Operation(
                id="listLocations",
                tag="images",
                summary="List where the data of an image lies",
                description="For services.",
                answers={200: json_answer({"type": "array", "items": reference("Location")}, "The locations.")},
                fails=(404,),
            ),
            "POST": Operation(
                id="addLocation",
                tag="images",
                summary="Take the data of a queued image from a web server, where it stays",
                description="The image turns active later: its newest task tells how far that is.",
                body=json_body("NewLocation"),
                answers={202: no_content("A task has begun.")},
                fails=(404, 409, 413),
            ),
        },
        (_IMAGE_ID,),
    )


def of_imports() -> Iterator[Path]:
    """Yield the paths by which data comes in that is no upload."""
    yield Path(
        "/v2/images/{image_id}/stage",
        {
            "PUT": Operation(
                id="stageImageData",
                tag="data",
                summary="Bring the data of a queued image, for an import by `glance-direct`",
                description="Chunked, or with Content-Length. What the data is, is judged by the import.",
                parameters=(
                    in_header("X-OpenStack-Image-Size", "How many bytes will come.", type="integer", minimum=0),
                    *DIGESTS,
                ),
                body={"required": True, "content": {"application/octet-stream": {}}},
                answers={204: no_content("The data is kept, and waits for the import.")},
                fails=(404, 409, 410, 413, 415),
            )
        },
        (_IMAGE_ID,),
    )
    yield Path(
        "/v2/images/{image_id}/import",
        {
            "POST": Operation(
                id="importImage",
                tag="data",
                summary="Import the data of an image to one store or to several",
                description="The image turns active later: its newest task tells how far that is.",
                parameters=(in_header("X-Image-Meta-Store", "One store, in place of `stores`."),),
                body=json_body("NewImport"),
                answers={202: no_content("A task has begun, or there is nothing to do.")},
                fails=(404, 409, 413),
            )
        },
        (_IMAGE_ID,),
    )


def of_tasks() -> Iterator[Path]:
    """Yield the paths of tasks."""
    yield Path(
        "/v2/images/{image_id}/tasks",
        {
            "GET": Operation(
                id="listImageTasks",
                tag="tasks",
                summary="List the tasks that worked on an image, oldest first",
                answers={200: json_answer(reference("ImageTasks"), "The tasks.")},
                fails=(404,),
            )
        },
        (_IMAGE_ID,),
    )
    yield Path(
        "/v2/images/{image_id}/tasks/{task_id}",
        {
            "DELETE": Operation(
                id="cancelImageTask",
                tag="tasks",
                summary="Cancel a task that works on an image",
                description="An extension of Headwater. The task fails a moment later, and leaves the image as after "
                "any other failure.",
                answers={202: no_content("The task is told to end.")},
                fails=(404, 409),
            )
        },
        (_IMAGE_ID, _TASK_ID),
    )
    yield Path(
        "/v2/tasks",
        {
            "GET": Operation(
                id="listTasks",
                tag="tasks",
                summary="List tasks",
                description="Shows one page of the project's tasks, to an administrator everybody's. Follow `next`.",
                parameters=(
                    in_query(
                        "limit",
                        "How many at most; the service has a limit of its own.",
                        type="integer",
                        minimum=0,
                        maximum=LARGEST,
                    ),
                    in_query("marker", "Id of the task that the page begins after.", format="uuid"),
                    AFTER,
                    in_query("type", "Only these.", enum=["import"]),
                    in_query("status", "Only these.", enum=[each.value for each in TaskStatus]),
                    in_query("sort_key", "What to sort by; `created_at` without it.", enum=list(SORT_KEYS)),
                    in_query("sort_dir", "In which direction; `desc` without it.", enum=["asc", "desc"]),
                ),
                answers={200: json_answer(reference("Tasks"), "A page of tasks.")},
            ),
            "POST": Operation(
                id="createTask",
                tag="tasks",
                summary="Begin a task: make an image and copy its data from a URL",
                body=json_body("NewTask"),
                answers={201: json_answer(reference("Task"), "The task.", {"Location": _IN_TASK})},
                fails=(409, 413),
            ),
        },
    )
    yield Path(
        "/v2/tasks/{task_id}",
        {
            "GET": Operation(
                id="showTask",
                tag="tasks",
                summary="Show a task",
                answers={200: json_answer(reference("Task"), "The task.")},
                fails=(404,),
            )
        },
        (_TASK_ID,),
    )
