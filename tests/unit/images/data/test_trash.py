"""How the trash is looked into."""

from __future__ import annotations

from contracts.image_catalogue import NOON
from contracts.images.data.trash_service import ANN, ROOT, TrashService
from headwater.database.engine import Database
from headwater.images.catalogue.objects.named_objects import NamedObjects
from questions import plan, questions


def test_every_look_into_the_trash_is_by_an_index(database: Database) -> None:
    service = TrashService(database)
    image = service.image()
    service.images.delete(ANN, image.id)
    with questions() as asked:
        service.pending.page(10, (NOON, "x"))
        service.pending.due(NOON, 10, (NOON, "x"))
        service.pending.total()
        service.usage.of("p")
        service.catalogue.purge(NOON, 10)
        NamedObjects(database).named("one", [service.pending.get(image.id).held[0].at.object_key])
        service.trash.restore(ROOT, image.id)
    about = [each for each in asked if "pending_deletes" in each.statement and "INSERT" not in each.statement]
    assert len(about) >= 8
    for each in about:
        steps = [step for step in plan(database, each) if "pending_deletes" in step]
        assert steps
        assert all("INDEX" in step for step in steps), (each.statement, steps)
