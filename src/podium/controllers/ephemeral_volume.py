"""Generic ephemeral volumes: a volume of a pod that is a claim, made with the pod and going with it.

Upstream: pkg/controller/volume/ephemeral.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common import pods as podlib
from podium.controllers.figures import EphemeralVolumeMetrics
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, ApiError, Object
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch, namespace_is_terminating
from podium.runtime.informer import Delta


def claims_for(pod: Object) -> list[Object]:
    """Return the claims that the pod's ephemeral volumes need."""
    result = []
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is None:
            continue
        metadata: Object = {
            "name": f"{meta.name(pod)}-{volume['name']}",
            "namespace": meta.namespace(pod),
            "ownerReferences": [meta.owner_reference(pod)],
        }
        for part in ("labels", "annotations"):
            if meta.metadata(template).get(part):
                metadata[part] = dict(meta.metadata(template)[part])
        result.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": metadata,
                "spec": meta.deep_copy(template.get("spec") or {}),
            }
        )
    return result


async def _reconcile(context: Context, key: str) -> float | None:
    pod = context.caches[PODS].get(key)
    if pod is None or meta.deleting(pod) or podlib.is_finished(pod):
        return None
    for claim in claims_for(pod):
        volume = meta.name(claim).removeprefix(f"{meta.name(pod)}-")
        existing = context.caches[PERSISTENTVOLUMECLAIMS].get(meta.key(claim))
        if existing is not None:
            if not meta.controlled_by(existing, pod):
                why = f"PVC {meta.key(claim)} was not created for pod {meta.key(pod)} (pod is not owner)"
                _tell(context, pod, volume, why)
            continue
        metrics = context.metrics.of(EphemeralVolumeMetrics)
        metrics.attempts.inc()
        try:
            await context.client.create(PERSISTENTVOLUMECLAIMS, claim)
        except AlreadyExists:
            return 1.0  # made by somebody else meanwhile: look whose it is
        except ApiError as error:
            metrics.failures.inc()
            if not namespace_is_terminating(error):
                _tell(context, pod, volume, f"create PVC {meta.name(claim)}: {error.message}")
            raise
    return None


def _tell(context: Context, pod: Object, volume: str, why: str) -> None:
    context.recorder.event(pod, "Warning", "FailedBinding", f"ephemeral volume {volume}: {why}")


def _keys_of_pod(delta: Delta, _caches: Caches) -> Iterable[str]:
    pod = delta.new
    if pod is None:
        return ()
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return (meta.key(pod),) if any(volume.get("ephemeral") for volume in volumes) else ()


def _keys_of_claim(delta: Delta, _caches: Caches) -> Iterable[str]:
    if delta.new is not None:
        return ()
    owner = meta.controller_ref(delta.object)
    if owner is None or owner.get("kind") != "Pod":
        return ()
    return (f"{meta.namespace(delta.object)}/{owner['name']}",)


EPHEMERAL_VOLUME = Controller(
    name="ephemeral-volume-controller",
    component="ephemeral_volume",
    watches=(
        Watch(resource=PODS, keys_of=_keys_of_pod),
        Watch(resource=PERSISTENTVOLUMECLAIMS, keys_of=_keys_of_claim),
    ),
    reconcile=_reconcile,
)
