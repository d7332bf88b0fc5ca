"""Questions of who somebody is and what they may: authentication and authorization, v1beta1.

Webhooks and proxies of old ask so. A question about somebody else's access names their `group`, not `groups`.
"""

from __future__ import annotations

from podium.machinery.derived import Change, Package
from podium.machinery.errors import Object
from podium.resources.authentication.tokenreviews import TOKENREVIEWS
from podium.resources.authorization.localsubjectaccessreviews import LOCALSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectaccessreviews import SELFSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectrulesreviews import SELFSUBJECTRULESREVIEWS
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS
from podium.resources.defaulting import given
from podium.resources.legacy.older import copied, older

AUTHENTICATION = Package(
    name="io.k8s.api.authentication.v1beta1",
    group="authentication.k8s.io",
    version="v1beta1",
    bases=("io.k8s.api.authentication.v1",),
    shared=frozenset(("SelfSubjectReview", "SelfSubjectReviewStatus")),
)
AUTHORIZATION = Package(
    name="io.k8s.api.authorization.v1beta1",
    group="authorization.k8s.io",
    version="v1beta1",
    bases=("io.k8s.api.authorization.v1",),
    changes={"SubjectAccessReviewSpec": Change(renamed={"groups": "group"})},
    shared=frozenset(("FieldSelectorAttributes", "LabelSelectorAttributes")),
)


def to_v1(review: Object) -> Object:
    """Return the question with the groups of whom it is about under v1's name."""
    return _renamed(review, "group", "groups")


def from_v1(review: Object) -> Object:
    """Return the question with the groups of whom it is about under the old name."""
    return _renamed(review, "groups", "group")


def _renamed(review: Object, old: str, new: str) -> Object:
    result = copied(review, "spec")
    spec = given(result, "spec") or {}
    if old in spec:
        spec[new] = spec.pop(old)
    return result


RESOURCES = (
    older(TOKENREVIEWS, AUTHENTICATION, deprecated=(1, 19), removed=(1, 22)),
    *(
        older(
            resource,
            AUTHORIZATION,
            deprecated=(1, 19),
            removed=(1, 22),
            to_storage=to_v1,
            from_storage=from_v1,
            columns=resource.columns,
        )
        for resource in (LOCALSUBJECTACCESSREVIEWS, SUBJECTACCESSREVIEWS)
    ),
    older(SELFSUBJECTACCESSREVIEWS, AUTHORIZATION, deprecated=(1, 19), removed=(1, 22)),
    older(SELFSUBJECTRULESREVIEWS, AUTHORIZATION, deprecated=(1, 19), removed=(1, 22)),
)
PACKAGES = (AUTHENTICATION, AUTHORIZATION)
