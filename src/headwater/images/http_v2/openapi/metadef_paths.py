"""The paths of metadata definitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headwater.http.openapi.operations import (
    AFTER,
    Json,
    Operation,
    Path,
    in_header,
    in_path,
    in_query,
    json_answer,
    json_body,
    no_content,
    reference,
)
from headwater.http.values import LARGEST
from headwater.images.metadefs.catalogue import SORT_KEYS
from headwater.images.metadefs.model import NAME_LIMIT, NamespaceVisibility

_ALL = "/v2/metadefs/namespaces"
_ONE = f"{_ALL}/{{namespace}}"
_NAMESPACE = in_path("namespace", "Name of the namespace.", maxLength=NAME_LIMIT)
_LIMIT = in_query("limit", "How many at most.", type="integer", minimum=0, maximum=LARGEST)
_DIRECTION = in_query("sort_dir", "In which direction.", enum=["asc", "desc"])
_RESOURCE_TYPE = in_query("resource_type", "Names are those on this kind of resource, with its prefix.")
_LOCATION: Json = {"description": "Where the namespace is.", "schema": {"type": "string", "format": "uri"}}


def of_metadefs() -> Iterator[Path]:
    """Yield the paths, which are alike for all that a namespace holds."""
    yield Path(
        "/v2/metadefs/resource_types",
        {"GET": _operation("listResourceTypes", "List resource types", _answer(200, "MetadefResourceTypes"))},
    )
    yield Path(
        _ALL,
        {
            "GET": _operation(
                "listNamespaces",
                "List namespaces",
                _answer(200, "MetadefNamespaces"),
                404,
                parameters=(
                    _LIMIT,
                    in_query("marker", "Name of the namespace that the page begins after."),
                    AFTER,
                    in_query("sort_key", "What to sort by.", enum=list(SORT_KEYS)),
                    _DIRECTION,
                    in_query("visibility", "Only these.", enum=[each.value for each in NamespaceVisibility]),
                    in_query("owner", "Only those of this project."),
                    in_query("resource_types", "Comma list: only those that are for any of them."),
                ),
            ),
            "POST": _operation(
                "createNamespace",
                "Create a namespace with all that it holds",
                {201: json_answer(reference("MetadefNamespace"), "The namespace.", {"Location": _LOCATION})},
                409,
                413,
                body=json_body("NewMetadefNamespace"),
            ),
        },
    )
    yield Path(
        _ONE,
        {
            "GET": _operation(
                "showNamespace",
                "Show a namespace with all that it holds",
                _answer(200, "MetadefNamespace"),
                404,
                parameters=(_RESOURCE_TYPE,),
            ),
            "PUT": _operation(
                "replaceNamespace",
                "Set what a namespace is; what it holds stays",
                _answer(200, "MetadefNamespace"),
                404,
                409,
                413,
                body=json_body("NewMetadefNamespace"),
            ),
            "DELETE": _operation("deleteNamespace", "Delete a namespace with all that it holds", _gone(), 404),
        },
        (_NAMESPACE,),
    )
    yield Path(
        f"{_ONE}/resource_types",
        {
            "GET": _operation("listAssociations", "List associations", _answer(200, "MetadefAssociations"), 404),
            "POST": _operation(
                "associate",
                "Say that a namespace is for a kind of resource",
                _answer(201, "MetadefResourceType"),
                404,
                409,
                413,
                body=json_body("NewMetadefResourceType"),
            ),
        },
        (_NAMESPACE,),
    )
    yield Path(
        f"{_ONE}/resource_types/{{name}}",
        {"DELETE": _operation("dissociate", "End an association", _gone(), 404)},
        (_NAMESPACE, _name("resource type")),
    )
    yield from _parts("property", "properties", listed=())
    paged = (_LIMIT, in_query("marker", "Name that the page begins after."), _PART_KEY, _DIRECTION)
    yield from _parts("object", "objects", listed=paged)
    yield from _tags(paged)


_PART_KEY = in_query("sort_key", "What to sort by.", enum=["name", "created_at", "updated_at"])


def _parts(one: str, several: str, listed: tuple[Json, ...]) -> Iterator[Path]:
    title, plural = one.title(), several.title()
    by_type: tuple[Json, ...] = (_RESOURCE_TYPE,) if one == "property" else ()
    yield Path(
        f"{_ONE}/{several}",
        {
            "GET": _operation(
                f"listMetadef{plural}", f"List {several}", _answer(200, f"Metadef{plural}"), 404, parameters=listed
            ),
            "POST": _operation(
                f"addMetadef{title}",
                f"Add one of the {several}",
                _answer(201, f"Metadef{title}"),
                404,
                409,
                413,
                body=json_body(f"NewMetadef{title}"),
            ),
            "DELETE": _operation(f"deleteMetadef{plural}", f"Delete all {several}", _gone(), 404),
        },
        (_NAMESPACE,),
    )
    yield Path(
        f"{_ONE}/{several}/{{name}}",
        {
            "GET": _operation(
                f"showMetadef{title}",
                f"Show one of the {several}",
                _answer(200, f"Metadef{title}"),
                404,
                parameters=by_type,
            ),
            "PUT": _operation(
                f"replaceMetadef{title}",
                f"Replace one of the {several}",
                _answer(200, f"Metadef{title}"),
                404,
                409,
                413,
                body=json_body(f"NewMetadef{title}"),
            ),
            "DELETE": _operation(f"deleteMetadef{title}", f"Delete one of the {several}", _gone(), 404),
        },
        (_NAMESPACE, _name(one)),
    )


def _tags(paged: tuple[Json, ...]) -> Iterator[Path]:
    append = in_header("X-OpenStack-Append", "`True` adds to the tags that are there.", enum=["True", "False"])
    yield Path(
        f"{_ONE}/tags",
        {
            "GET": _operation("listMetadefTags", "List tags", _answer(200, "MetadefTags"), 404, parameters=paged),
            "POST": _operation(
                "setMetadefTags",
                "Set all tags",
                _answer(201, "MetadefTags"),
                404,
                409,
                413,
                parameters=(append,),
                body=json_body("NewMetadefTags"),
            ),
            "DELETE": _operation("deleteMetadefTags", "Delete all tags", _gone(), 404),
        },
        (_NAMESPACE,),
    )
    yield Path(
        f"{_ONE}/tags/{{name}}",
        {
            "GET": _operation("showMetadefTag", "Show a tag", _answer(200, "MetadefTag"), 404),
            "POST": _operation("addMetadefTag", "Add a tag", _answer(201, "MetadefTag"), 404, 409, 413),
            "PUT": _operation(
                "renameMetadefTag",
                "Rename a tag",
                _answer(200, "MetadefTag"),
                404,
                409,
                413,
                body=json_body("NewMetadefTag"),
            ),
            "DELETE": _operation("deleteMetadefTag", "Delete a tag", _gone(), 404),
        },
        (_NAMESPACE, _name("tag")),
    )


def _name(what: str) -> Json:
    return in_path("name", f"Name of the {what}.", maxLength=NAME_LIMIT)


def _operation(name: str, summary: str, answers: dict[int, Json], *fails: int, **more: Any) -> Operation:
    return Operation(id=name, tag="metadata definitions", summary=summary, answers=answers, fails=fails, **more)


def _answer(status: int, schema: str) -> dict[int, Json]:
    return {status: json_answer(reference(schema), "As it is now.")}


def _gone() -> dict[int, Json]:
    return {204: no_content("It is gone.")}
