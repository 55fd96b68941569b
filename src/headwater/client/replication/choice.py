"""Which images of the source are meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from headwater.client.service import Document, ImageService
from headwater.errors import SettingsError


class BadTime(SettingsError):
    """A time is in no form that is read here."""

    def __init__(self, given: str) -> None:
        super().__init__(f"{given[:40]!r} is no time: say it as 2026-05-31 or 2026-05-31T12:00:00Z")
        self.given = given


def time_from(given: str) -> datetime:
    """Return the time that a text tells; without a zone it is UTC."""
    try:
        read = datetime.fromisoformat(given)
    except ValueError as error:
        raise BadTime(given) from error
    return read if read.tzinfo else read.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """All that is said has to be true of an image; of ids and names one of those that are given."""

    ids: Sequence[str] = ()
    names: Sequence[str] = ()  # patterns as of a shell
    visibility: str | None = None
    owner: str | None = None
    tags: Sequence[str] = ()  # all of them
    properties: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None  # changed at that time or later

    def matches(self, image: Document) -> bool:
        """Return whether this image is meant."""
        return (
            (not self.ids or image["id"] in self.ids)
            and (not self.names or any(fnmatchcase(image.get("name") or "", each) for each in self.names))
            and self.visibility in (None, "all", image.get("visibility"))
            and self.owner in (None, image.get("owner"))
            and set(self.tags) <= set(image.get("tags") or ())
            and all(image.get(name) == value for name, value in self.properties.items())
            and (self.since is None or time_from(image["updated_at"]) >= self.since)
        )

    def of(self, service: ImageService, **more: str) -> Iterator[Document]:
        """Yield the images of a service that are meant, also hidden ones, each once."""
        if self.ids:
            found = (service.get(each) for each in dict.fromkeys(self.ids))
            yield from (each for each in found if each is not None and self.matches(each))
            return
        asked = {"visibility": self.visibility, "owner": self.owner, **more}
        filters = {name: value for name, value in asked.items() if value is not None}
        seen = set[str]()  # a list that changes meanwhile may show an image twice
        for hidden in ("false", "true"):
            for image in service.images(**filters, os_hidden=hidden):
                if image["id"] not in seen and self.matches(image):
                    seen.add(image["id"])
                    yield image
