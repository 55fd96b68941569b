"""Where the documents of a feed lie, and what they are called."""

from __future__ import annotations

from typing import Final

from headwater.streams.format.documents import signed_name

DIRECTORY: Final = "streams/v1"
INDEX: Final = f"{DIRECTORY}/index.json"
INDEX2: Final = f"{DIRECTORY}/index2.json"
MIRRORS: Final = f"{DIRECTORY}/mirrors.json"
RELEASED: Final = "released"  # the stream that is meant where none is named
FILES_CONTENT_ID: Final = "images"  # of image files for LXD and Incus
# In the order in which Juju asks for them.
UNSIGNED_INDEXES: Final = (INDEX2, INDEX)
SIGNED_INDEXES: Final = (signed_name(INDEX2), signed_name(INDEX))


def path_of(content_id: str) -> str:
    """Return where the products of a content id lie, if nobody says otherwise."""
    return f"{DIRECTORY}/{content_id.replace(':', '-')}.json"
