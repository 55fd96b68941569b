"""``headwater jobs``: work that no request waits for, as the catalogue has it.

The commands work on the catalogue itself, so they do not need a running service; one that runs, on whatever machine,
does what they ask for within a second or so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from headwater.cli import output
from headwater.cli.catalogue import opened
from headwater.cli.output import AsJson
from headwater.clock import now
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.task import Task, TaskNotFound
from headwater.jobs.overview import Overview, SeenJob, State

app = typer.Typer(help="Work that no request waits for: imports, copies, house-keeping.", no_args_is_help=True)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPERATOR = "an operator"

JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.")]


@app.command("list")
def list_(
    *,
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only jobs of this kind, such as import.")] = None,
    image: Annotated[str | None, typer.Option(metavar="ID", help="Only jobs that work for this image.")] = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, those first that were entered first. Those that are done are not kept."""
    with _opened() as (overview, tasks):
        found = (_facts(job, tasks) for job in overview.jobs(state=state, kind=kind, image_id=image))
        if as_json:
            output.say_json_list(found)
            return
        columns = ("ID", "KIND", "STATE", "IMAGE", "ATTEMPTS", "NEXT RUN", "PROGRESS", "LAST ERROR")
        output.say_table(columns, map(_row, found))


@app.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job: where it is, who runs it, how far it is, and why it failed last."""
    with _opened() as (overview, tasks):
        facts = _facts(overview.get(job_id), tasks)
    if as_json:
        output.say_json(facts)
        return
    shown = {**facts, "progress": _progress(facts["progress"])}
    output.say_table(("FIELD", "VALUE"), [(name, "" if value is None else str(value)) for name, value in shown.items()])


@app.command()
def retry(job_id: JobId, as_json: AsJson = False) -> None:
    """Let a job that waits, or was given up, run at once; an import that has failed is begun again, as another task."""
    with _opened() as (overview, _):
        job = overview.retry(job_id, now())
    if as_json:
        output.say_json({"id": job.id, "was": job.state.value, "retried": True})
    else:
        output.say(f"job {job.id} ({job.kind}) was {job.state}, and runs as soon as a process has time for it")


@app.command()
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Let a job end: it fails, and leaves its image as after any other failure."""
    with _opened() as (overview, _):
        job = overview.cancel(job_id, _OPERATOR, now())
    if as_json:
        output.say_json({"id": job.id, "was": job.state.value, "cancelled": True})
    else:
        output.say(f"job {job.id} ({job.kind}) was {job.state}, and ends as soon as a process looks at it")


@contextmanager
def _opened() -> Iterator[tuple[Overview, TaskRows]]:
    with opened() as database:
        yield Overview(database), TaskRows(database)


def _facts(job: SeenJob, tasks: TaskRows) -> dict[str, Any]:
    """Return what is shown of a job: of its document, in which a URL may hold a signature, only whom it is for."""
    task = _task(job, tasks)
    caller = job.document.get("caller", {})
    progress = None
    if task is not None and task.bytes_done is not None:
        progress = {"bytes": task.bytes_done, "of": task.bytes_total}
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "image": job.document.get("image_id"),
        "task": job.document.get("task_id"),
        "project": caller.get("project_id") if task is None else task.owner,
        "attempts": job.attempts,
        "progress": progress,
        "created_at": _time(job.created_at),
        "next_run": _time(job.run_at),
        "began_at": _time(job.began_at),
        "failed_at": _time(job.failed_at),
        "runner": job.runner,
        "last_error": job.error,
        "cancelled_by": job.cancelled_by,
    }


def _task(job: SeenJob, tasks: TaskRows) -> Task | None:
    task_id = job.document.get("task_id")
    if task_id is None:
        return None
    try:
        return tasks.get(task_id)
    except TaskNotFound:
        return None


def _row(facts: dict[str, Any]) -> tuple[str, ...]:
    state = f"{facts['state']}, cancelled" if facts["cancelled_by"] else facts["state"]
    shown = (facts["image"], facts["attempts"], facts["next_run"], _progress(facts["progress"]), facts["last_error"])
    return facts["id"], facts["kind"], state, *("" if each is None else str(each) for each in shown)


def _progress(progress: dict[str, int | None] | None) -> str:
    if progress is None:
        return ""
    done, total = progress["bytes"], progress["of"]
    return f"{done} bytes" if total is None else f"{done} of {total} bytes"


def _time(at: int | None) -> str | None:
    return None if at is None else (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")
