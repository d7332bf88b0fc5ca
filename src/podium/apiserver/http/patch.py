"""patch: PATCH in its four media types."""

from __future__ import annotations

from podium.apiserver.http.body import media_type
from podium.apiserver.http.negotiation import negotiate
from podium.apiserver.http.options import write_options
from podium.apiserver.http.writing import answer
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.patch import (
    APPLY,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    TYPES,
    patch,
)
from podium.apiserver.registry.registry import Registry
from podium.base.http.message import Request, Response
from podium.machinery.errors import FieldError, Invalid, UnsupportedMediaType


async def patch_object(registry: Registry, call: Call, request: Request) -> Response:
    wanted = negotiate(registry, call.served, request)
    type = media_type(request)
    if call.served.custom and (type not in TYPES or type == STRATEGIC_MERGE_PATCH):
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            f"{JSON_PATCH}, {MERGE_PATCH}, {APPLY}"
        )
    if type not in TYPES:
        raise UnsupportedMediaType("415: Unsupported Media Type", details={})
    write_options(request, call, "PatchOptions")
    force = check_patch_options(call, request, type)
    raw = await request.read_body()
    result = await patch(registry, call, type, raw, force=force)
    return answer(registry, result, request, wanted)


def check_patch_options(call: Call, request: Request, type: str) -> bool:
    """Return whether an apply is forced. Raises `Invalid`."""
    manager, force = request.parameter("fieldManager"), request.parameter("force")
    errors: list[FieldError] = []
    if type == APPLY:
        if not manager:
            errors.append(FieldError.required("fieldManager", "is required for apply patch"))
    elif force:
        errors.append(FieldError.forbidden("force", "may not be specified for non-apply patch"))
    if errors:
        raise Invalid.of("PatchOptions", "meta.k8s.io", "", errors)
    if force:
        call.options["force"] = force.lower() not in ("false", "0")
    return bool(call.options.get("force"))
