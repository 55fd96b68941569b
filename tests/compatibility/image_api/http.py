"""URLs, headers, bodies and errors, whatever they are about."""

from __future__ import annotations

from compatibility.image_api.requests import NOBODY, OCTETS, V21, patch, replace
from compatibility.rows import Row

URLS = [
    Row(source="1.2", request="GET /versions", status=200, says='"id":"v2.0"'),
    Row(source="1.2", request="GET /", status=300, says='"id":"v2.0"'),
    Row(source="1.2", request="GET /v1/images", status=300, says='"versions":['),
    Row(source="1.2", request="GET /v3", status=300, says='"versions":['),
    Row(source="1.2", request="GET /v2.19/images", status=300, says='"versions":['),
    Row(source="1.2", request="GET /anything/else", status=300, says='"versions":['),
    *[
        Row(source="1.2", request=f"GET {path}", status=404, says="/simplestreams", differs="Glance answers 300")
        for path in ("/streams", "/streams/v1/index.sjson", "/streams/v1/index2.json")
    ],
    Row(source="1.2", request="GET /streams-of-words", status=300, says='"versions":['),
    Row(source="1.2", request="GET /v2", status=302, sends={"location": "{url}/v2/"}),
    Row(source="1.2", request="GET /v2/", status=404),
    Row(source="1.2", request="GET /v2/images/", status=404),
    Row(source="1.2", request="DELETE /v2/images/", status=404),
    Row(source="1.2", request="GET /v2/nothing/here", status=404),
    Row(source="1.2", request="GET /v2.0/images", status=200, gives={"first": "/v2/images"}),
    Row(source="1.2", request="GET /v2.7/images", status=200, gives={"first": "/v2/images"}),
    Row(
        source="1.2",
        request="GET /images",
        headers={"Accept": "application/vnd.openstack.images-v2"},
        status=200,
        gives={"schema": "/v2/schemas/images"},
    ),
    *[
        Row(
            source="1.2",
            given="active",
            request=f"HEAD {path}",
            status=status,
            data=b"",
            sends={"content-length": "*", "content-type": "application/json"},
            differs="Glance answers 405: where GET is there is no HEAD",
        )
        for path, status in (
            ("/", 300),
            ("/versions", 200),
            ("/openapi.json", 200),
            ("/v2/images", 200),
            ("/v2/images/{id}", 200),
            (f"/v2/images/{NOBODY}", 404),
            ("/v2/images/{id}/members", 200),
            ("/v2/images/{id}/tasks", 200),
            ("/v2/images/{id}/locations", 200),
            ("/v2/tasks", 200),
            ("/v2/schemas/image", 200),
            ("/v2/metadefs/namespaces", 200),
            ("/v2/metadefs/resource_types", 200),
            ("/v2/info/import", 200),
            ("/v2/info/usage", 200),
        )
    ],
    Row(source="1.2", request="HEAD /healthcheck", status=200, data=b""),
    Row(source="1.2", request="HEAD /v2/info/stores", status=404, data=b""),
    Row(source="1.2", given="active", request="HEAD /v2/images/{id}/actions/deactivate", status=405),
    Row(source="1.2", request="DELETE /v2/images", status=405, sends={"allow": "GET, HEAD, POST"}),
    Row(source="1.2", request="PUT /v2/images", status=405, sends={"allow": "GET, HEAD, POST"}),
    Row(source="1.2", given="queued", request="PUT /v2/images/{id}", status=405),
    Row(
        source="1.2", given="queued", request="POST /v2/images/{id}/file", status=405, sends={"allow": "GET, HEAD, PUT"}
    ),
    Row(source="1.2", given="queued", request="GET /v2/images/{id}/actions/deactivate", status=405),
    Row(source="1.2", request="QUERY /v2/images", status=405, sends={"allow": "GET, HEAD, POST"}),
    Row(source="1.2", request="FROBNICATE /v2/images", status=501),
    Row(source="1.2", request="FROBNICATE /elsewhere", status=501),
    Row(source="1.2", request="OPTIONS /v2/images", status=200, data=b"", sends={"allow": "GET, HEAD, POST"}),
    Row(source="1.2", request="OPTIONS /v2/images/x/file", status=200, data=b"", sends={"allow": "GET, HEAD, PUT"}),
    Row(source="1.2", request="POST /versions", status=405, sends={"allow": "GET, HEAD"}),
    Row(
        source="1.3",
        request="GET /versions",
        status=200,
        gives={
            "versions": [
                {
                    "id": version,
                    "status": "CURRENT" if version == "v2.17" else "SUPPORTED",
                    "links": [{"rel": "self", "href": "{url}/v2/"}],
                }
                for version in (
                    "v2.17",
                    "v2.15",
                    "v2.13",
                    "v2.12",
                    "v2.10",
                    "v2.9",
                    "v2.8",
                    "v2.7",
                    "v2.6",
                    "v2.5",
                    "v2.4",
                    "v2.3",
                    "v2.2",
                    "v2.1",
                    "v2.0",
                )
            ]
        },
        differs="Glance lists those of several stores only where there are several, and 2.17 before 2.7",
    ),
    Row(source="0.26", request="GET /v2/info/stores", status=404),
    Row(source="0.25", request="GET /v2/info/import", status=200, says='"import-methods"'),
    Row(source="7.1", request="GET /v2/info/usage", status=200, says='{"usage":{}}'),
]

HEADERS = [
    Row(source="1.4", request="GET /v2/images", status=200, sends={"x-openstack-request-id": "req-*"}),
    Row(source="1.4", request="GET /v2/nothing", status=404, sends={"x-openstack-request-id": "req-*"}),
    Row(
        source="1.4",
        request="GET /v2/images",
        headers={"X-Openstack-Request-Id": "req-1-2-3"},
        status=200,
        sends={"x-openstack-request-id": "req-1-2-3"},
    ),
    Row(
        source="1.4",
        request="GET /v2/images",
        headers={"X-Openstack-Request-Id": "mine"},
        status=200,
        sends={"x-openstack-request-id": "req-mine"},
    ),
    Row(
        source="25 (6)",
        request="GET /v2/images",
        headers={"X-Openstack-Request-Id": "x" * 65},
        status=400,
        says="X-Openstack-Request-Id",
        differs="Glance answers 500",
    ),
    Row(
        source="1.4",
        request="POST /v2/images",
        json={},
        status=201,
        sends={"location": "{url}/v2/images/*", "content-type": "application/json"},
    ),
    patch(
        replace("name", "x"),
        source="1.4",
        given="queued",
        headers={"Content-Type": "application/json"},
        status=415,
        sends={
            "accept-patch": "application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch"
        },
    ),
    Row(source="1.4", given="queued", request="DELETE /v2/images/{id}", status=204, data=b""),
]

BODIES = [
    Row(source="1.5", request="POST /v2/images", status=400, says="Body expected in request."),
    Row(source="1.5", request="POST /v2/images", body=b"{", status=400, says="Malformed JSON in request body"),
    Row(source="1.5", request="POST /v2/images", body=b'{"name": }', status=400, says="Malformed JSON"),
    Row(source="1.5", request="POST /v2/images", body=b'"text"', status=400, says="Unexpected body type. Expected"),
    Row(source="1.5", request="POST /v2/images", body=b"5", status=400, says="Unexpected body type. Expected"),
    Row(
        source="25 (7)",
        request="POST /v2/images",
        json=[{"name": "x"}],
        status=400,
        says="Unexpected body type",
        differs="Glance answers 500",
    ),
    Row(source="1.5", request="POST /v2/images", body=b'{"name": "\xff"}', status=400, says="Malformed JSON"),
    Row(source="1.5", request="POST /v2/images", body=b'{"name": "\\ud800"}', status=400, says="Malformed JSON"),
    Row(source="1.5", request="POST /v2/images", body=b'{"a":' * 65 + b"1" + b"}" * 65, status=400, says="64 levels"),
    Row(source="1.5", request="POST /v2/images", body=b"[" * 100_000, status=400, says="Malformed JSON"),
    Row(source="1.5", request="POST /v2/images", headers={"Content-Type": "text/plain"}, json={}, status=201),
    Row(
        source="1.5, 25 (18)",
        given="queued",
        request="GET /v2/images/{id}",
        body=b"{}",
        status=200,
        differs="Glance answers 400 where a body is not expected, on some routes",
    ),
    Row(source="1.5", request="GET /v2/images", headers=OCTETS, status=200),
    Row(source="1.5", given="active", request="POST /v2/images/{id}/actions/deactivate", headers=OCTETS, status=204),
]

_NOT_FOUND = f"No image found with ID {NOBODY}"
ERRORS = [
    Row(
        source="2.1",
        request=f"GET /v2/images/{NOBODY}",
        headers={"Accept": "application/json"},
        status=404,
        gives={"message": _NOT_FOUND, "code": "404 Not Found", "title": "Not Found"},
        sends={"content-type": "application/json"},
        differs="Glance adds <br /><br /> and line ends to the message",
    ),
    Row(
        source="2.1",
        request=f"GET /v2/images/{NOBODY}",
        headers={"Accept": "*/*"},
        status=404,
        says=f"<h1>404 Not Found</h1>\n  {_NOT_FOUND}<br /><br />",
        sends={"content-type": "text/html; charset=utf-8"},
    ),
    Row(
        source="2.1",
        request=f"GET /v2/images/{NOBODY}",
        headers={"Accept": "text/html,application/xhtml+xml"},
        status=404,
        says="<title>404 Not Found</title>",
        sends={"content-type": "text/html; charset=utf-8"},
    ),
    *[
        Row(
            source="2.1",
            request=f"GET /v2/images/{NOBODY}",
            headers={"Accept": accept},
            status=404,
            says=f"404 Not Found\n\n{_NOT_FOUND}\n\n",
            sends={"content-type": "text/plain; charset=utf-8"},
        )
        for accept in ("", "text/plain", "application/xml")
    ],
    Row(
        source="2.1",
        request="GET /v2/images?limit=%3Cscript%3E",
        headers={"Accept": "text/html"},
        status=400,
        says="limit param must be an integer, not &#x27;&lt;script&gt;&#x27;",
    ),
    Row(source="2.3", request=f"DELETE /v2/images/{NOBODY}", status=404, says=NOBODY),
    Row(source="2.3", request=f"PATCH /v2/images/{NOBODY}", headers=V21, json=[], status=404, says=NOBODY),
    Row(
        source="2.3",
        request=f"PUT /v2/images/{NOBODY}/file",
        headers=OCTETS,
        body=b"x",
        status=404,
        says=_NOT_FOUND,
    ),
    Row(source="2.3", request=f"GET /v2/images/{NOBODY}/file", status=404, says=_NOT_FOUND),
    Row(source="2.3", request="GET /v2/images/not-a-uuid", status=404, says="No image found with ID not-a-uuid"),
]
