"""Schemas and metadata definitions."""

from __future__ import annotations

from compatibility.image_api.requests import BEYOND
from compatibility.rows import Row

SCHEMAS = [
    Row(source="13.1", request="GET /v2/schemas/image", status=200, gives={"name": "image"}),
    Row(
        source="13.1",
        request="GET /v2/schemas/image",
        status=200,
        gives={"additionalProperties": {"type": "string"}},
        lacks=("type", "$schema", "required"),
        says='"enum":[null,"ami","ari","aki","vhd","vhdx","vmdk","raw","qcow2","vdi","iso","ploop"]',
    ),
    Row(source="13.1", request="GET /v2/schemas/images", status=200, gives={"name": "images"}),
    Row(source="13.1", request="GET /v2/schemas/nothing", status=404),
]

METADEFS = [
    *[
        Row(
            source="25 (7)",
            request="POST /v2/metadefs/namespaces",
            body=b'{"namespace": "never", "properties": {"p": {"title": "P", "type": "integer", "maximum": %b}}}'
            % text,
            status=400,
            says="Malformed JSON",
        )
        for text in (b"1e400", b"-1e400", b"NaN", b"1" * 5000)
    ],
    Row(source="25 (7)", request=f"GET /v2/metadefs/namespaces?limit={BEYOND}", status=200, differs="Glance: 500"),
    *[
        Row(source="25 (7)", request=f"GET /v2/metadefs/{path}", status=400, says=says, differs="Glance answers 500")
        for path, says in (
            ("namespaces?limit=x", "limit param must be an integer"),
            ("namespaces?sort_key=colour", "Invalid sort key: colour"),
            ("namespaces/OS::OperatingSystem/tags?limit=x", "limit param must be an integer"),
            ("namespaces/OS::OperatingSystem/objects?sort_key=colour", "Invalid sort key: colour"),
        )
    ],
    *[
        Row(
            source="11",
            request=f"{method} /v2/metadefs/namespaces/{path}",
            json={},
            status=404,
            differs="Glance leaves it to the database, and PostgreSQL refuses",
        )
        for method, path in (
            ("GET", "a%00b"),
            ("PUT", "a%00b"),
            ("DELETE", "a%00b"),
            ("GET", "OS::OperatingSystem/properties/a%00b"),
            ("PUT", "OS::OperatingSystem/objects/a%00b"),
            ("POST", "OS::OperatingSystem/tags/a%00b"),
            ("DELETE", "OS::OperatingSystem/resource_types/a%00b"),
        )
    ],
    *[
        Row(
            source="13.1",
            request="POST /v2/metadefs/namespaces/OS::OperatingSystem/properties",
            json={"name": "p", "title": "p", "type": "string", "pattern": pattern},
            status=400,
            says="'pattern'",
        )
        for pattern in ("(", "(" * 10_000, "(?:" * 5000 + ")" * 5000, "a{99999999999999}")
    ],
]
