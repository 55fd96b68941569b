"""From the path of a request to the name of a document, by the rules that guests rely on.

Repeated slashes count as one, also at the front; a slash at the end does not count; ``.`` and ``..``
are refused however they were encoded; what does not begin with ``ec2`` or ``openstack`` belongs to
the EC2 tree.
"""

from __future__ import annotations

from headwater.errors import Invalid
from headwater.instances.trees import ec2, nocloud, openstack


class PathInvalid(Invalid):
    """The path steps sideways, which no guest needs and an attacker might."""

    def __init__(self) -> None:
        super().__init__("The path holds a '.' or '..' segment; ask for the document by its full path.")


def document_name(path: str) -> str:
    """Return the name of the document at ``path``, which is already percent-decoded.

    Raises:
        PathInvalid: A segment is ``.`` or ``..``.
    """
    segments = [segment for segment in path.split("/") if segment]
    if "." in segments or ".." in segments:
        raise PathInvalid
    if not segments or segments[0] not in (ec2.ROOT, nocloud.ROOT, openstack.ROOT):
        segments.insert(0, ec2.ROOT)
    return "/".join(segments)
