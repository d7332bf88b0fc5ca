"""Resource claims from templates: a pod that names a template gets a claim of its own.

The claim's name is generated, so the pod's status says which it is. A claim that was made for a pod which has
ended, or which reserves devices for pods that are gone, is let go. Upstream: pkg/controller/resourceclaim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.pods import PODS
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.resources.resource.resourceclaimtemplates import RESOURCECLAIMTEMPLATES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

POD_CLAIM_NAME = "resource.kubernetes.io/pod-claim-name"
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
        "generateName": f"{meta.name(pod)}-{name}-",
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


def plan_reserved(claim: Object, pods: Sequence[Object]) -> list[Object] | None:
    """Return whom the claim should still be reserved for; None when that is whom it is. `pods` are all
    pods of the namespace."""
    reserved: list[Object] = meta.dig(claim, "status", "reservedFor", default=[])
    live = {meta.uid(pod) for pod in pods if not podlib.is_finished(pod)}
    left = [user for user in reserved if user.get("resource") != "pods" or user.get("uid") in live]
    return left if left != reserved else None


async def _reconcile(context: Context, key: str) -> float | None:
    if key.startswith(_CLAIM):
        return await _reconcile_claim(context, key.removeprefix(_CLAIM))
    pod = context.caches[PODS].get(key)
    if pod is None or meta.deleting(pod) or podlib.is_finished(pod):
        return None
    asked = wanted(pod)
    if not asked:
        return None
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
        claim = await context.client.create(RESOURCECLAIMS, claim_for(pod, name, template))
        made[name] = meta.name(claim)
    statuses = [{"name": name, "resourceClaimName": made[name]} for name, _ in asked if name in made]
    if statuses and meta.dig(pod, "status", "resourceClaimStatuses", default=[]) != statuses:
        patch = {"metadata": {"uid": meta.uid(pod)}, "status": {"resourceClaimStatuses": statuses}}
        await context.client.patch(PODS, meta.name(pod), patch, meta.namespace(pod), subresource="status")
    return None


async def _reconcile_claim(context: Context, key: str) -> float | None:
    claim = context.caches[RESOURCECLAIMS].get(key)
    if claim is None or meta.deleting(claim):
        return None
    pods = context.caches[PODS].list(meta.namespace(claim))
    left = plan_reserved(claim, pods)
    if left is not None:
        status = {name: value for name, value in claim["status"].items() if name != "reservedFor"}
        if left:
            status["reservedFor"] = left
        await context.client.update(RESOURCECLAIMS, {**claim, "status": status}, subresource="status")
    owner = meta.controller_ref(claim)
    if owner is None or owner.get("kind") != "Pod" or meta.dig(claim, "status", "reservedFor"):
        return None
    pod = next((pod for pod in pods if meta.uid(pod) == owner.get("uid")), None)
    if pod is not None and podlib.is_finished(pod):
        # Its pod will not use it any more; who wants the devices need not wait until the pod is deleted.
        try:
            await context.client.delete(
                RESOURCECLAIMS, meta.name(claim), meta.namespace(claim), uid=meta.uid(claim)
            )
        except NotFound:
            return None
    return None


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    pod = delta.object
    if not (pod.get("spec") or {}).get("resourceClaims"):
        return ()
    keys = [meta.key(pod)]
    if delta.new is None or podlib.is_finished(pod):
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
