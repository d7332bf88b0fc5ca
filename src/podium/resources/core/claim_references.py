"""What is wrong with the resource claims of a pod, and with how its containers refer to them."""

from __future__ import annotations

from collections.abc import Collection

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, objects


def claim_names(spec: Object) -> set[str]:
    """Return the names under which containers refer to the pod's claims."""
    return {str(claim["name"]) for claim in objects(spec.get("resourceClaims")) if claim.get("name")}


def claims_of(resources: Object) -> set[str]:
    """Return what a container uses of the claims: the name of one, or the name and a request of it."""
    claims = objects(resources.get("claims"))
    return {"/".join(filter(None, (claim.get("name"), claim.get("request")))) for claim in claims}


def validate_claims(spec: Object, path: str, *, mirrored: bool = False) -> Errors:
    """Check the claims of a pod: each names a claim, or a template to make one from."""
    errors: Errors = []
    seen: set[str] = set()
    for index, claim in enumerate(objects(spec.get("resourceClaims"))):
        if mirrored:
            errors.append(FieldError.forbidden("", "static pods do not support resource claims"))
            continue
        here, name = f"{path}[{index}]", str(claim.get("name") or "")
        if not name:
            errors.append(FieldError.required(f"{here}.name"))
        elif name in seen:
            errors.append(FieldError.duplicate(f"{here}.name", name))
        else:
            errors += named(f"{here}.name", name, validation.dns1123_label_errors)
        seen.add(name)
        sources = ("resourceClaimName", "resourceClaimTemplateName")
        given = [key for key in sources if claim.get(key) is not None]
        if len(given) > 1:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(FieldError.invalid(here, claim, detail))
        if not given:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(FieldError.invalid(here, claim, detail))
        for key in given:
            errors += named(f"{here}.{key}", str(claim[key]), validation.dns1123_subdomain_errors)
    return errors


def validate_references(resources: Object, names: Collection[str], path: str) -> Errors:
    """Check which claims a container uses: the pod's, each once, whole or by requests."""
    errors: Errors = []
    seen: set[str] = set()
    for index, claim in enumerate(objects(resources.get("claims"))):
        here, name, request = (
            f"{path}[{index}]",
            str(claim.get("name") or ""),
            str(claim.get("request") or ""),
        )
        if not name:
            errors.append(FieldError.required(here))
            continue
        errors += _once(here, name, request, seen)
        if name not in names:
            known = f": {', '.join(sorted(names))}" if names else " which is empty"
            detail = f"must be one of the names in pod.spec.resourceClaims{known}"
            found = FieldError.not_found(here, name)
            errors.append(FieldError(found.field, found.reason, f"{found.message}: {detail}"))
    return errors


def _once(here: str, name: str, request: str, seen: set[str]) -> Errors:
    if name in seen:
        return [FieldError.duplicate(here, name)]
    key, errors = name, []
    if request:
        errors += named(f"{here}.request", request, validation.dns1123_label_errors)
        key = f"{name}/{request}"
    if key in seen:
        errors.append(FieldError.duplicate(here, key))
    elif not request:
        errors += [FieldError.duplicate(here, name) for other in seen if other.startswith(f"{name}/")]
    seen.add(key)
    return errors
