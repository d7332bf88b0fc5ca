"""Resource claims from templates: a pod that names a template gets a claim of its own.

The claim's name is generated, so the pod's status says which it is. A claim that was made for a pod which has
ended, or which reserves devices for pods that are gone, is let go; one that nobody uses any more gives its
devices back. Upstream: pkg/controller/resourceclaim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from podium.controllers.common import pods as podlib
from podium.controllers.figures import ResourceClaimMetrics
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.pods import PODS
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.resources.resource.resourceclaimtemplates import RESOURCECLAIMTEMPLATES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

POD_CLAIM_NAME = "resource.kubernetes.io/pod-claim-name"
FINALIZER = "resource.kubernetes.io/delete-protection"
"""The scheduler's, on claims that it has allocated."""
RESERVED_MAX = 256
_BASE_MAX = 57
"""What a name may have before its own five characters and their hyphen."""
_CLAIM = "claim:"


def wanted(pod: Object) -> list[tuple[str, str]]:
    """Return (name in the pod, template) of each claim that the pod wants to be made."""
    claims = (pod.get("spec") or {}).get("resourceClaims") or ()
    return [
        (str(claim["name"]), str(claim["resourceClaimTemplateName"]))
        for claim in claims
        if claim.get("resourceClaimTemplateName")
    ]


def existing(pod: Object, claims: Iterable[Object]) -> dict[str, str]:
    """Return the claims made for the pod: name in the pod to the claim's name."""
    return {
        meta.annotations(claim)[POD_CLAIM_NAME]: meta.name(claim)
        for claim in claims
        if meta.controlled_by(claim, pod) and POD_CLAIM_NAME in meta.annotations(claim)
    }


def claim_for(pod: Object, name: str, template: Object) -> Object:
    """Return the claim to make."""
    of_template: Object = (template.get("spec") or {}).get("metadata") or {}
    reference = meta.owner_reference(pod)
    del reference["blockOwnerDeletion"]  # as upstream: the pod need not wait for its claims
    metadata: Object = {
        "generateName": base_name(meta.name(pod), name),
        "namespace": meta.namespace(pod),
        "annotations": {**(of_template.get("annotations") or {}), POD_CLAIM_NAME: name},
        "ownerReferences": [reference],
    }
    if of_template.get("labels"):
        metadata["labels"] = dict(of_template["labels"])
    return {
        "apiVersion": RESOURCECLAIMS.api_version,
        "kind": RESOURCECLAIMS.kind,
        "metadata": metadata,
        "spec": meta.deep_copy((template.get("spec") or {}).get("spec") or {}),
    }


def base_name(pod: str, claim: str) -> str:
    """Return what the claim's name begins with: of names too long, something of both."""
    base = f"{pod}-{claim}-"
    if len(base) <= _BASE_MAX:
        return base
    shorter = pod[: len(pod) * _BASE_MAX // len(base)] + "-"
    return shorter + claim[: len(claim) * _BASE_MAX // len(base)]


def is_done(pod: Object) -> bool:
    """Tell whether the pod will not run any more, or never."""
    return podlib.is_finished(pod) or (meta.deleting(pod) and not podlib.node_name(pod))


def let_go(claim: Object, left: Sequence[Object]) -> Object:
    """Return the claim's status when only `left` use it.

    Without a user it is allocated no longer, so that its devices are free for others, and it for another
    node. What others than the scheduler have allocated stays.
    """
    status: Object = {name: value for name, value in claim["status"].items() if name != "reservedFor"}
    if left:
        status["reservedFor"] = list(left)
    elif FINALIZER in meta.finalizers(claim):
        status.pop("allocation", None)
    return status


async def _reconcile(context: Context, key: str) -> float | None:
    if key.startswith(_CLAIM):
        return await _reconcile_claim(context, key.removeprefix(_CLAIM))
    pod = context.caches[PODS].get(key)
    if pod is None or meta.deleting(pod) or podlib.is_finished(pod):
        return None
    asked = wanted(pod)
    if asked:
        await _make_claims(context, pod, asked)
    if podlib.node_name(pod):
        await _reserve(context, pod)
    return None


async def _make_claims(context: Context, pod: Object, asked: Sequence[tuple[str, str]]) -> None:
    made = existing(pod, context.caches[RESOURCECLAIMS].list(meta.namespace(pod)))
    for name, template_name in asked:
        if name in made:
            continue
        template = context.caches[RESOURCECLAIMTEMPLATES].get(f"{meta.namespace(pod)}/{template_name}")
        if template is None:
            message = (
                f'PodResourceClaim {name}: resource claim template "{template_name}": '
                f'resourceclaimtemplate.resource.k8s.io "{template_name}" not found'
            )
            context.recorder.event(pod, "Warning", "FailedResourceClaimCreation", message)
            continue
        claim = await _create(context, claim_for(pod, name, template))
        made[name] = meta.name(claim)
    statuses = [{"name": name, "resourceClaimName": made[name]} for name, _ in asked if name in made]
    if statuses and meta.dig(pod, "status", "resourceClaimStatuses", default=[]) != statuses:
        patch = {"metadata": {"uid": meta.uid(pod)}, "status": {"resourceClaimStatuses": statuses}}
        await context.client.patch(PODS, meta.name(pod), patch, meta.namespace(pod), subresource="status")


async def _reserve(context: Context, pod: Object) -> None:
    """Reserve claims for a pod that somebody has bound past the scheduler."""
    generated = {
        one.get("name"): one.get("resourceClaimName")
        for one in meta.dig(pod, "status", "resourceClaimStatuses", default=())
    }
    for one in (pod.get("spec") or {}).get("resourceClaims") or ():
        name = one.get("resourceClaimName") or generated.get(one.get("name"))
        claim = context.caches[RESOURCECLAIMS].get(f"{meta.namespace(pod)}/{name}") if name else None
        if claim is None or not meta.dig(claim, "status", "allocation"):
            continue
        users = meta.dig(claim, "status", "reservedFor", default=[])
        if len(users) < RESERVED_MAX and all(user.get("uid") != meta.uid(pod) for user in users):
            user = {"resource": "pods", "name": meta.name(pod), "uid": meta.uid(pod)}
            status = {**claim["status"], "reservedFor": [*users, user]}
            await context.client.update(RESOURCECLAIMS, {**claim, "status": status}, subresource="status")


async def _is_used(context: Context, namespace: str, user: Object) -> bool:
    """Tell whether a claim is still reserved for this one. What is no pod is left alone."""
    if user.get("resource") != "pods" or user.get("apiGroup"):
        return True
    pod = context.caches[PODS].get(f"{namespace}/{user.get('name')}")
    if pod is None:
        # It may be so new that the scheduler knows it and this cache does not.
        try:
            pod = await context.client.get(PODS, str(user.get("name")), namespace)
        except NotFound:
            return False
    return meta.uid(pod) == user.get("uid") and not is_done(pod)


async def _create(context: Context, claim: Object) -> Object:
    requests = meta.dig(claim, "spec", "devices", "requests", default=())
    admin = any((request.get("exactly") or {}).get("adminAccess") for request in requests)
    creates, outcome = context.metrics.of(ResourceClaimMetrics).creates, "failure"
    try:
        made = await context.client.create(RESOURCECLAIMS, claim)
        outcome = "success"
    finally:
        creates.labels(outcome, str(admin).lower()).inc()
    return made


async def _reconcile_claim(context: Context, key: str) -> float | None:
    claim = context.caches[RESOURCECLAIMS].get(key)
    if claim is None:
        return None
    namespace = meta.namespace(claim)
    users = meta.dig(claim, "status", "reservedFor", default=[])
    left = [user for user in users if await _is_used(context, namespace, user)]
    allocated = meta.dig(claim, "status", "allocation") is not None
    if left != users or (meta.deleting(claim) and allocated and not left):
        new = {**claim, "status": let_go(claim, left)}
        if new["status"] != claim["status"]:
            claim = await context.client.update(RESOURCECLAIMS, new, subresource="status")
    free = not left and not meta.dig(claim, "status", "allocation")
    if free and FINALIZER in meta.finalizers(claim) and (users or meta.deleting(claim)):
        new = meta.copy_path(claim, "metadata")
        new["metadata"]["finalizers"] = [name for name in meta.finalizers(claim) if name != FINALIZER]
        claim = await context.client.update(RESOURCECLAIMS, new)
    if not left and not meta.deleting(claim):
        await _delete_if_unused(context, claim)
    return None


async def _delete_if_unused(context: Context, claim: Object) -> None:
    """Delete a claim whose pod will not use it any more; nobody need wait until the pod is deleted."""
    owner = meta.controller_ref(claim)
    if owner is None or owner.get("kind") != "Pod":
        return
    pod = context.caches[PODS].get(f"{meta.namespace(claim)}/{owner.get('name')}")
    if pod is None or (meta.uid(pod) == owner.get("uid") and not is_done(pod)):
        return
    try:
        await context.client.delete(
            RESOURCECLAIMS, meta.name(claim), meta.namespace(claim), uid=meta.uid(claim)
        )
    except NotFound:
        return


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    pod = delta.object
    if not (pod.get("spec") or {}).get("resourceClaims"):
        return ()
    keys = [meta.key(pod)]
    if delta.new is None or is_done(pod):
        for claim in caches[RESOURCECLAIMS].list(meta.namespace(pod)):
            users = meta.dig(claim, "status", "reservedFor", default=())
            if meta.controlled_by(claim, pod) or any(user.get("uid") == meta.uid(pod) for user in users):
                keys.append(_CLAIM + meta.key(claim))
    return keys


def _keys_of_claim(delta: Delta, _caches: Caches) -> Iterable[str]:
    keys = [_CLAIM + meta.key(delta.object)]
    owner = meta.controller_ref(delta.object)
    if owner is not None and owner.get("kind") == "Pod":
        keys.append(f"{meta.namespace(delta.object)}/{owner['name']}")
    return keys


def _keys_of_template(delta: Delta, caches: Caches) -> Iterable[str]:
    if delta.old is not None:
        return ()
    name = meta.name(delta.object)
    pods = caches[PODS].list(meta.namespace(delta.object))
    return [meta.key(pod) for pod in pods if any(template == name for _, template in wanted(pod))]


RESOURCECLAIM = Controller(
    name="resourceclaim-controller",
    component="resource_claim",
    service_account="resource-claim-controller",
    watches=(
        Watch(resource=PODS, keys_of=_keys_of_pod),
        Watch(resource=RESOURCECLAIMS, keys_of=_keys_of_claim),
        Watch(resource=RESOURCECLAIMTEMPLATES, keys_of=_keys_of_template),
    ),
    reconcile=_reconcile,
)
