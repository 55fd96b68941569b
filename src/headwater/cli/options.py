"""The settings that a command works with: from the global options, the environment and the file."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headwater.config import KeyPath, Loaded
    from headwater.server.settings import Settings

DEFAULT_FILE = Path("headwater.toml")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where settings come from besides the environment."""

    file: Path | None
    data_dir: Path | None

    def load(self, options: dict[KeyPath, Any] | None = None) -> Loaded[Settings]:
        """Read and check all settings.

        Raises:
            SettingsError: One of them is wrong.
        """
        from headwater.config import load, process_environment  # noqa: PLC0415 - many commands have no settings
        from headwater.server.settings import Settings  # noqa: PLC0415 - as above

        file = self.file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
        merged: dict[KeyPath, Any] = {("data_dir",): str(self.data_dir) if self.data_dir else None, **(options or {})}
        return load(Settings, file=file, environment=process_environment(), options=merged)


_current: ContextVar[Sources] = ContextVar("sources")


def remember(sources: Sources) -> None:
    """Keep what the global options said, for the command that follows."""
    _current.set(sources)


def sources() -> Sources:
    """Return what the global options said."""
    return _current.get(Sources(None, None))
