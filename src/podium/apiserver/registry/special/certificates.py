"""What the server itself says of a certificate request: who asked."""

from __future__ import annotations

from podium.apiserver.chain import User
from podium.machinery.errors import Object
from podium.machinery.resource import Resource


def is_certificate_request(resource: Resource) -> bool:
    return resource.kind == "CertificateSigningRequest"


def stamp_requester(stored: Object, user: User) -> None:
    """Set the requester's identity, whatever the client wrote there."""
    spec = stored.setdefault("spec", {})
    for name in ("username", "uid", "groups", "extra"):
        spec.pop(name, None)
    spec["username"] = user.name
    if user.uid:
        spec["uid"] = user.uid
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}
