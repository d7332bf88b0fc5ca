"""patch: PATCH in its four media types."""

from __future__ import annotations

from collections.abc import Sequence

from podium.apiserver.http.body import media_type
from podium.apiserver.http.negotiation import CBOR, negotiate
from podium.apiserver.http.options import write_options
from podium.apiserver.http.writing import answer
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.patch import (
    APPLY,
    APPLY_CBOR,
    STRATEGIC_MERGE_PATCH,
    TYPES,
    patch,
)
from podium.apiserver.registry.registry import Registry
from podium.base.http.message import Request, Response
from podium.machinery.errors import FieldError, UnsupportedMediaType


async def patch_object(registry: Registry, call: Call, request: Request) -> Response:
    wanted = negotiate(registry, call.served, request)
    type = media_type(request)
    check_patch_type(registry, call, request, type)
    force = patch_options(request, call, type)
    raw = await request.read_body()
    if request.audit is not None:
        request.audit.patched(raw, type)
    result = await patch(registry, call, type, raw, force=force)
    return answer(registry, result, request, wanted)


def check_patch_type(registry: Registry, call: Call, request: Request, type: str) -> None:
    """Raise `UnsupportedMediaType` for patches that the resource does not take."""
    types = patch_types(registry)
    if call.served.custom and (type not in types or type == STRATEGIC_MERGE_PATCH):
        taken = ", ".join(one for one in types if one != STRATEGIC_MERGE_PATCH)
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {taken}"
        )
    if type not in types:
        raise unknown_patch_type(request, types)


def unknown_patch_type(request: Request, types: Sequence[str]) -> UnsupportedMediaType:
    """Return the error for a patch of another media type; upstream looks twice at a list of types."""
    parts = [part.partition(";")[0].strip() for part in request.headers.get("content-type").split(",")]
    if not any(part in types for part in parts):
        return UnsupportedMediaType("415: Unsupported Media Type", details={})
    return UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(types)}"
    )


def patch_types(registry: Registry) -> tuple[str, ...]:
    """Return the media types of patches that the server takes."""
    return (*TYPES, APPLY_CBOR) if CBOR in registry.media_types else TYPES


def patch_options(request: Request, call: Call, type: str) -> bool:
    """Read PatchOptions into `call`; return whether an apply is forced. Raises `Invalid`."""
    manager, force = request.parameter("fieldManager"), request.parameter("force")

    def refused() -> list[FieldError]:
        if type in (APPLY, APPLY_CBOR):
            required = FieldError.required("fieldManager", "is required for apply patch")
            return [] if manager else [required]
        return [FieldError.forbidden("force", "may not be specified for non-apply patch")] if force else []

    write_options(request, call, "PatchOptions", refused)
    if force:
        call.options["force"] = force.lower() not in ("false", "0")
    return bool(call.options.get("force"))
