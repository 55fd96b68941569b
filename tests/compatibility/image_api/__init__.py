"""The Image API v2 as clients of Glance know it: one row a fact.

Every caller is an administrator here (no authentication is configured), as with Glance's default flavor.
"""

from __future__ import annotations

from compatibility.image_api.changes import ACTIONS, TAGS, UPDATE
from compatibility.image_api.data import DOWNLOAD, LOCATIONS, UPLOAD
from compatibility.image_api.definitions import METADEFS, SCHEMAS
from compatibility.image_api.http import BODIES, ERRORS, HEADERS, URLS
from compatibility.image_api.images import CREATE, DELETE, IDS, NUMBERS, SHOW
from compatibility.image_api.lists import LIST

ROWS = {
    "urls": URLS,
    "headers": HEADERS,
    "bodies": BODIES,
    "errors": ERRORS,
    "create": CREATE,
    "show": SHOW,
    "update": UPDATE,
    "delete": DELETE,
    "list": LIST,
    "actions": ACTIONS,
    "tags": TAGS,
    "upload": UPLOAD,
    "download": DOWNLOAD,
    "ids": IDS,
    "numbers": NUMBERS,
    "locations": LOCATIONS,
    "schemas": SCHEMAS,
    "metadefs": METADEFS,
}
