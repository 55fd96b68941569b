"""Files that a record puts into its machine, by way of a config drive: as many and as large as Nova's quotas take.

The limits hold for what people say; what is kept already stays readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headwater.instances.errors import InstanceInvalid
from headwater.instances.model import File

# Source: Nova's default quotas: injected_files, injected_file_path_length, injected_file_content_bytes.
MOST_FILES: Final = 5
LONGEST_PATH: Final = 255  # characters
MOST_BYTES: Final = 10 * 1024  # of each


def taken(files: Sequence[File]) -> tuple[File, ...]:
    """Return files as a machine may have them, in their order.

    Raises:
        InstanceInvalid: They are too many, one is too large, or a path is none of a file.
    """
    if len(files) > MOST_FILES:
        raise InstanceInvalid("files", f"{len(files)} are more than the {MOST_FILES} that one machine may have")
    for file in files:
        _require_path(file.path)
        if len(file.data) > MOST_BYTES:
            raise InstanceInvalid(
                f"file {file.path!r}",
                f"{len(file.data)} bytes are more than the {MOST_BYTES} that one file may have; "
                "let the user data fetch it from a URL",
            )
    paths = [file.path for file in files]
    for path in paths:
        if (inside := next((other for other in paths if other.startswith(f"{path}/")), None)) is not None:
            raise InstanceInvalid("files", f"{inside!r} cannot lie in {path!r}, which is a file as well")
    return tuple(files)


def _require_path(path: str) -> None:
    if len(path) > LONGEST_PATH:
        raise InstanceInvalid(
            f"file path {path[:32]!r}…", f"{len(path)} characters are more than the {LONGEST_PATH} allowed"
        )
    # Two spellings of one path would be two files here, and one in the guest.
    if any(part in ("", ".") for part in path.split("/")[1:]):
        raise InstanceInvalid("file path", f"{path!r} must name a file, without '//', '/./' and a '/' at its end")
