"""Under which URL clients reach this service."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The URL to name in answers."""

    public: str | None = None  # as configured; None: what each request asked for

    def of(self, request: Request) -> str:
        """Return the URL, without a slash at its end, for who sent ``request``."""
        return (self.public or str(request.base_url)).rstrip("/")
