"""A request as the spec of a SubjectAccessReview: what webhooks and match conditions are told of it."""

from __future__ import annotations

from podium.apiserver.authz.selectors import for_review
from podium.apiserver.chain import RequestInfo, User
from podium.machinery.errors import Object


def review_spec(user: User, info: RequestInfo) -> Object:
    """Return the spec in v1, without what is empty."""
    spec: Object = {}
    if info.is_resource:
        attributes = {
            "namespace": info.namespace,
            "verb": info.verb,
            "group": info.api_group,
            "version": info.api_version,
            "resource": info.resource,
            "subresource": info.subresource,
            "name": info.name,
        }
        spec["resourceAttributes"] = {k: v for k, v in attributes.items() if v} | for_review(info)
    else:
        about = {"path": info.path, "verb": info.verb}
        spec["nonResourceAttributes"] = {k: v for k, v in about.items() if v}
    if user.name:
        spec["user"] = user.name
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in sorted(user.extra.items())}
    if user.uid:
        spec["uid"] = user.uid
    return spec
