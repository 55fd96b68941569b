"""Let real cloud-init take user data apart and merge its cloud-configs, and print as JSON what came of it.

Run as ``harness.py`` is. Standard input is a JSON list of user data in base64, standard output a list of objects: the
parts that handlers would get, the cloud-config of all of them together, and what it warned of.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

from cloudinit import handlers, helpers, user_data, util
from cloudinit.handlers.cloud_config import CloudConfigPartHandler

from functional.instances.cloud_init.guards import Guards


class Warnings(logging.Handler):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def taken(data: bytes, paths: helpers.Paths, warnings: Warnings) -> dict[str, Any]:
    """Return what cloud-init makes of user data."""
    warnings.told = []
    parts: list[dict[str, str]] = []
    merging = CloudConfigPartHandler(paths)
    merging.handle_part(None, handlers.CONTENT_START, None, None, None, None)
    try:
        message = user_data.UserDataProcessor(paths).process(data)
    except Exception as error:  # noqa: BLE001 - cloud-init raises what it likes, and a boot ends with it
        return {"parts": [], "config": None, "warnings": [f"{type(error).__name__}: {error}"]}

    for each in message.walk():
        if each.is_multipart():
            continue
        body = util.fully_decoded_payload(each)
        mime, name = each.get_content_type(), each.get_filename() or "?"
        if mime in user_data.TYPE_NEEDED:
            mime = handlers.type_from_starts_with(body) or mime
        raw = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
        parts.append({"type": mime, "name": name, "data": base64.b64encode(raw).decode()})
        if mime == "text/cloud-config":
            merging.handle_part(None, mime, name, util.decode_binary(body), None, each)
    return {"parts": parts, "config": merging.cloud_buf, "warnings": warnings.told}


def main() -> None:
    given = [base64.b64decode(each) for each in json.load(sys.stdin)]
    with tempfile.TemporaryDirectory() as directory:
        playground = Path(directory)
        Guards(playground)
        paths = helpers.Paths({"cloud_dir": str(playground / "cloud"), "run_dir": str(playground / "run")})
        warnings = Warnings()
        logging.getLogger().addHandler(warnings)
        told = [taken(each, paths, warnings) for each in given]
    json.dump(told, sys.stdout, default=str)


main()
