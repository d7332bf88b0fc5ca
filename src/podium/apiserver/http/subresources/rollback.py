"""deployments/rollback, of the oldest versions: asks the controller to go back to an earlier revision."""

from __future__ import annotations

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.body import read_object
from podium.apiserver.http.options import write_options
from podium.apiserver.http.respond import json_value
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import modify
from podium.base.http.message import Request, Response
from podium.machinery.errors import BadRequest, FieldError, Invalid, Object
from podium.machinery.meta import deep_copy
from podium.machinery.validation import validate_annotations

_KIND = "DeploymentRollback"


async def roll_back(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer POST to deployments/{name}/rollback."""
    write_options(request, call, "CreateOptions")
    resource = call.served.resource
    schema = resource.schema.rpartition(".")[0] + f".{_KIND}"
    rollback = await read_object(
        registry, call, request, kind=_KIND, api_version=resource.api_version, schema=schema
    )
    errors = rollback_errors(rollback)
    if errors:
        raise Invalid.of(_KIND, "apps", rollback.get("name") or "", errors)
    if rollback["name"] != call.name:
        raise BadRequest("name in URL does not match name in DeploymentRollback object")
    attributes = await registry.admit(call, "CREATE", rollback)
    await registry.validate(attributes)

    async def transform(old: Object) -> Object:
        return rolled_back(old, rollback)

    await modify(registry, call, transform, system=True)
    return json_value(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "message": f'rollback request for deployment "{call.name}" succeeded',
            "code": 200,
        }
    )


def rollback_errors(rollback: Object) -> list[FieldError]:
    """Return what is wrong with the request. Pure."""
    errors = validate_annotations(rollback.get("updatedAnnotations"), "updatedAnnotations")
    if not rollback.get("name"):
        errors.append(FieldError.required("name", "name is required"))
    revision = (rollback.get("rollbackTo") or {}).get("revision") or 0
    if revision < 0:
        detail = "must be greater than or equal to 0"
        errors.append(FieldError.invalid("rollback.version", revision, detail))
    return errors


def rolled_back(deployment: Object, rollback: Object) -> Object:
    """Return the Deployment, in its old version, with the wish to be rolled back. Pure."""
    new: Object = deep_copy(deployment)
    annotations = rollback.get("updatedAnnotations")
    if annotations:
        metadata = new["metadata"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    new.setdefault("spec", {})["rollbackTo"] = rollback.get("rollbackTo") or {}
    return new
