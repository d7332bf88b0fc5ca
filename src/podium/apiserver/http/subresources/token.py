"""serviceaccounts/token: a signed token on request (TokenRequest)."""

from __future__ import annotations

import orjson

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.body import read_object
from podium.apiserver.http.negotiation import accept_of, accepted
from podium.apiserver.http.options import write_options
from podium.apiserver.http.respond import encoded
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import match_namespace
from podium.apiserver.registry.fields import track_other
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import not_found
from podium.base.clock import rfc3339
from podium.base.http.message import Request, Response
from podium.machinery.errors import (
    BadRequest,
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    Object,
    ServiceUnavailable,
)
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS

_SCHEMA = "io.k8s.api.authentication.v1.TokenRequest"
_KIND, _GROUP = "TokenRequest", "authentication.k8s.io"
_VERSION = f"{_GROUP}/v1"
_EXPIRATION_S, _EXPIRATION_S_MIN, _EXPIRATION_S_MAX = 3600, 600, 1 << 32
_BINDABLE = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}


async def request_token(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer POST to serviceaccounts/{name}/token."""
    wanted = accepted(accept_of(request), registry.media_types, tables=False)
    write_options(request, call, "CreateOptions")
    asked = await read_object(registry, call, request, kind=_KIND, api_version=_VERSION, schema=_SCHEMA)
    match_namespace(call, asked["metadata"])
    if (asked["metadata"].get("name") or call.name) != call.name:
        detail = "must match the service account name if specified"
        wrong = FieldError.invalid("metadata.name", asked["metadata"]["name"], detail)
        raise Invalid.of(_KIND, _GROUP, call.name, [wrong])
    spec: Object = asked.setdefault("spec", {})
    if spec.get("expirationSeconds") is None:
        spec["expirationSeconds"] = _EXPIRATION_S
    track_other(registry, call, asked, _SCHEMA)
    account = registry.peek(SERVICEACCOUNTS, call.namespace, call.name)
    if account is None:
        raise not_found(call)
    attributes = await registry.admit(call, "CREATE", asked)
    await registry.validate(attributes)
    issuer = registry.token_issuer
    if issuer is None:
        raise ServiceUnavailable("the server has no key to sign service account tokens")
    _check(spec)
    metadata = asked["metadata"]
    if metadata.get("uid") and metadata["uid"] != account["metadata"]["uid"]:
        raise Conflict.of(
            _KIND,
            _GROUP,
            call.name,
            f"the UID in the token request ({metadata['uid']}) does not match the UID of the service account "
            f"({account['metadata']['uid']})",
        )
    bound, node = _bound(registry, call, spec.get("boundObjectRef"))
    longest = issuer.expiration_s_max
    if longest and spec["expirationSeconds"] > longest:
        asked_for = spec["expirationSeconds"]
        call.warn(f"requested expiration of {asked_for} seconds shortened to {longest} seconds")
        spec["expirationSeconds"] = longest
    audiences = spec.get("audiences") or list(issuer.audiences)
    issued = await issuer.issue(
        account,
        audiences=audiences,
        expiration_s=spec["expirationSeconds"],
        bound=bound,
        bound_node=node,
    )
    if issued.token_id:
        call.annotate("authentication.kubernetes.io/issued-credential-id", f"JTI={issued.token_id}")
    spec["audiences"] = audiences
    spec["boundObjectRef"] = spec.get("boundObjectRef")
    metadata["name"], metadata["namespace"] = call.name, call.namespace
    metadata["uid"] = account["metadata"]["uid"]
    metadata["creationTimestamp"] = rfc3339(registry.clock.now())
    asked["status"] = {"token": issued.token, "expirationTimestamp": issued.expiration}
    return encoded(orjson.dumps(asked), request, media_type=wanted.media_type, status=201, definition=_SCHEMA)


def _check(spec: Object) -> None:
    field, seconds = "spec.expirationSeconds", spec["expirationSeconds"]
    errors = []
    if seconds < _EXPIRATION_S_MIN:
        detail = "may not specify a duration less than 10 minutes"
        errors.append(FieldError.invalid(field, seconds, detail))
    if seconds > _EXPIRATION_S_MAX:
        detail = "may not specify a duration larger than 2^32 seconds"
        errors.append(FieldError.invalid(field, seconds, detail))
    if errors:
        raise Invalid.of(_KIND, _GROUP, "", errors)


def _bound(registry: Registry, call: Call, reference: Object | None) -> tuple[Object | None, Object | None]:
    """Return the object that the token is bound to, and the Node of a bound pod."""
    if reference is None:
        return None, None
    version, kind = reference.get("apiVersion") or "", reference.get("kind") or ""
    group, _, plain = version.rpartition("/")
    if "/" in group:
        group, plain = "", ""
    resource = _BINDABLE.get(kind)
    if resource is None or group:
        raise BadRequest(f"cannot bind token to object of type {group}/{plain}, Kind={kind}")
    name = reference.get("name") or ""
    namespace = call.namespace if resource.namespaced else ""
    found = registry.peek(resource, namespace, name)
    if found is None:
        raise NotFound.of(resource.plural, resource.group, name)
    if resource is PODS and (found["spec"].get("serviceAccountName") or "") != call.name:
        raise BadRequest(
            f'cannot bind token for serviceaccount "{call.name}" to pod running with different '
            "serviceaccount name."
        )
    uid = reference.get("uid")
    if uid and uid != found["metadata"]["uid"]:
        # Upstream names the kind where the resource belongs.
        raise Conflict.of(
            kind,
            "",
            name,
            f"the UID in the bound object reference ({uid}) does not match the UID in record. The object "
            "might have been deleted and then recreated",
        )
    if resource is not PODS:
        return found, None
    node_name = found["spec"].get("nodeName")
    if not node_name:
        return found, None
    return found, registry.peek(NODES, "", node_name) or {"metadata": {"name": node_name}}
