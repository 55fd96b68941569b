"""What each rule of the policy guards, and who may do it unless the operator says otherwise.

Names and meanings are those of Glance 33, so that a ``policy.yaml`` written for it works here. The language
is oslo.policy's: ``role:member``, ``project_id:%(project_id)s`` (the caller's field, then the target's),
``'public':%(visibility)s``, ``rule:NAME``, ``and``, ``or``, ``not``, ``@`` (always) and ``!`` (never).

A target has, as far as the thing has it: ``project_id`` and ``owner`` (both the project that the image,
task or namespace belongs to), ``visibility``, ``id``, ``member_id`` and ``member`` (the project that
an image is shared with), and the other attributes of an image by the API's name for them.
"""

from __future__ import annotations

from headwater.identity.policy.rules import Rule

_ADMIN = "role:admin"
_OWN = "project_id:%(project_id)s"
_SHARED_WITH = "project_id:%(member_id)s"
_OPEN = "'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"

_MEMBER = f"role:admin or (role:member and {_OWN})"
_READER = f"role:admin or (role:reader and {_OWN})"
_NEW = f"role:admin or (role:member and {_OWN} and project_id:%(owner)s)"
_NAMESPACE = f"role:admin or (role:reader and ({_OWN} or 'public':%(visibility)s))"
_SEES_MEMBERS = f"role:admin or (role:reader and ({_OWN} or {_SHARED_WITH}))"

RULES: tuple[Rule, ...] = (
    # Building stones, which other rules name.
    Rule("default", "", "what rules mean that ask nothing", scoped=False),
    Rule("context_is_admin", _ADMIN, "who counts as administrator in is_admin:True", scoped=False),
    Rule("service_api", "role:service or role:admin", "who counts as another service of the cloud", scoped=False),
    Rule("metadef_default", "", "what older rules of metadata definitions name", scoped=False),
    Rule("metadef_admin", _ADMIN, "who changes metadata definitions", scoped=False),
    # Images.
    Rule("add_image", _NEW, "create an image: POST /v2/images"),
    Rule("get_images", _READER, "list images: GET /v2/images"),
    Rule(
        "get_image",
        f"role:admin or (role:reader and ({_OWN} or {_SHARED_WITH} or {_OPEN}))",
        "see an image that the catalogue shows to the caller: GET /v2/images/{image_id}",
    ),
    Rule("modify_image", _MEMBER, "change an image and its tags: PATCH /v2/images/{image_id}"),
    Rule("delete_image", _MEMBER, "delete an image: DELETE /v2/images/{image_id}"),
    Rule("publicize_image", _ADMIN, "make an image public"),
    Rule("communitize_image", _MEMBER, "make an image a community image"),
    Rule("deactivate", _MEMBER, "keep an image from being used: POST /v2/images/{image_id}/actions/deactivate"),
    Rule("reactivate", _MEMBER, "let it be used again: POST /v2/images/{image_id}/actions/reactivate"),
    # Image data.
    Rule("upload_image", _MEMBER, "store data: PUT /v2/images/{image_id}/file, /stage, POST …/import"),
    Rule(
        "download_image",
        f"role:admin or (role:member and ({_OWN} or {_SHARED_WITH} or {_OPEN}))",
        "read data: GET /v2/images/{image_id}/file",
    ),
    Rule(
        "download_from_store",
        f"role:admin or (role:member and ({_OWN} or {_SHARED_WITH} or {_OPEN}))",
        "read data of one named store",
    ),
    Rule("copy_from", "rule:default", "let Headwater fetch data from a URL: x-glance-api-copy-from of the API v1"),
    Rule("copy_image", _ADMIN, "copy data to further stores: POST /v2/images/{image_id}/import, method copy-image"),
    Rule(
        "cancel_image_task", _MEMBER, "end a task that works on an image: DELETE /v2/images/{image_id}/tasks/{task_id}"
    ),
    # Locations.
    Rule("get_image_location", _READER, "see where the data of an image lies"),
    Rule("set_image_location", _MEMBER, "add or replace locations: PATCH /v2/images/{image_id}"),
    Rule("delete_image_location", _ADMIN, "remove a location: PATCH /v2/images/{image_id}"),
    Rule(
        "add_image_location",
        f"rule:service_api or (role:member and {_OWN} and project_id:%(owner)s)",
        "register data in a store: POST /v2/images/{image_id}/locations",
    ),
    Rule("fetch_image_location", "rule:service_api", "read locations: GET /v2/images/{image_id}/locations"),
    # Sharing.
    Rule("add_member", _MEMBER, "share an image with a project: POST /v2/images/{image_id}/members"),
    Rule("get_members", _SEES_MEMBERS, "list whom it is shared with: GET /v2/images/{image_id}/members"),
    Rule("get_member", _SEES_MEMBERS, "see one of them: GET /v2/images/{image_id}/members/{member_id}"),
    Rule(
        "modify_member",
        f"role:admin or (role:member and {_SHARED_WITH})",
        "accept or reject: PUT /v2/images/{image_id}/members/{member_id}",
    ),
    Rule("delete_member", _MEMBER, "end the sharing: DELETE /v2/images/{image_id}/members/{member_id}"),
    # Secret paths to what a project sees.
    Rule(
        "add_private_path",
        f"role:admin or (role:member and {_OWN})",
        "make a secret path to the feeds and files of all images that a project sees: POST /v2/streams/paths",
    ),
    Rule("get_private_paths", _READER, "list these paths, without their secrets: GET /v2/streams/paths"),
    Rule("delete_private_path", _MEMBER, "revoke one: DELETE /v2/streams/paths/{path_id}"),
    # Stores and the cache.
    Rule("stores_info_detail", "rule:service_api", "see how stores are set up: GET /v2/info/stores/detail"),
    Rule("manage_image_cache", _ADMIN, "manage the cache"),
    Rule("cache_image", _ADMIN, "queue an image for the cache: PUT /v2/cache/{image_id}"),
    Rule("cache_list", _ADMIN, "see what is in the cache: GET /v2/cache"),
    Rule("cache_delete", _ADMIN, "take images out of the cache: DELETE /v2/cache, /v2/cache/{image_id}"),
    Rule("cache_clean", _ADMIN, "remove broken pieces from the cache"),
    Rule("cache_prune", _ADMIN, "bring the cache under its size"),
    Rule("list_cached_nodes", _ADMIN, "see which nodes have cached an image"),
    # Tasks.
    Rule("tasks_api_access", _ADMIN, "use /v2/tasks at all"),
    Rule("get_task", "rule:default", "see a task: GET /v2/tasks/{task_id}"),
    Rule("get_tasks", "rule:default", "list tasks: GET /v2/tasks"),
    Rule("add_task", "rule:default", "start a task: POST /v2/tasks"),
    Rule("modify_task", "rule:default", "let a task go on"),
    # Sources of images: /v2/streams/sources.
    Rule("manage_stream_sources", _ADMIN, "see and change the feeds that images are brought from"),
    # Metadata definitions: /v2/metadefs.
    Rule("get_metadef_namespace", _NAMESPACE, "see a namespace"),
    Rule("get_metadef_namespaces", _NAMESPACE, "list namespaces"),
    Rule("add_metadef_namespace", "rule:metadef_admin", "create a namespace"),
    Rule("modify_metadef_namespace", "rule:metadef_admin", "change a namespace"),
    Rule("delete_metadef_namespace", "rule:metadef_admin", "delete a namespace"),
    Rule("get_metadef_object", _NAMESPACE, "see an object of a namespace"),
    Rule("get_metadef_objects", _NAMESPACE, "list the objects of a namespace"),
    Rule("add_metadef_object", "rule:metadef_admin", "create an object"),
    Rule("modify_metadef_object", "rule:metadef_admin", "change an object"),
    Rule("delete_metadef_object", "rule:metadef_admin", "delete an object"),
    Rule("get_metadef_property", _NAMESPACE, "see a property of a namespace"),
    Rule("get_metadef_properties", _NAMESPACE, "list the properties of a namespace"),
    Rule("add_metadef_property", "rule:metadef_admin", "create a property"),
    Rule("modify_metadef_property", "rule:metadef_admin", "change a property"),
    Rule("remove_metadef_property", "rule:metadef_admin", "delete a property"),
    Rule("get_metadef_tag", _NAMESPACE, "see a tag of a namespace"),
    Rule("get_metadef_tags", _NAMESPACE, "list the tags of a namespace"),
    Rule("add_metadef_tag", "rule:metadef_admin", "create a tag"),
    Rule("add_metadef_tags", "rule:metadef_admin", "create several tags"),
    Rule("modify_metadef_tag", "rule:metadef_admin", "change a tag"),
    Rule("delete_metadef_tag", "rule:metadef_admin", "delete a tag"),
    Rule("delete_metadef_tags", "rule:metadef_admin", "delete all tags of a namespace"),
    Rule("list_metadef_resource_types", _NAMESPACE, "list the types of resources"),
    Rule("get_metadef_resource_type", _NAMESPACE, "see which types a namespace belongs to"),
    Rule("add_metadef_resource_type_association", "rule:metadef_admin", "let a namespace belong to a type"),
    Rule("remove_metadef_resource_type_association", "rule:metadef_admin", "end that"),
)

BY_NAME = {rule.name: rule for rule in RULES}
