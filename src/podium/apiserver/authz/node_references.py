"""What a node needs to read because of the pods and volumes on it: the names in their specs."""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery import meta
from podium.machinery.errors import Object

MIRROR_POD = "kubernetes.io/config.mirror"
_SECRETS_OF_NODES = ("secretRef", "nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef")

Reference = tuple[str, str, str]
"""(resource, namespace, name)"""


def references(pod: Object) -> set[Reference]:
    """Return what the node that runs `pod` needs to read: the pod itself and what its spec names."""
    namespace = meta.namespace(pod)
    found: set[Reference] = {("pods", namespace, meta.name(pod))}
    # A mirror pod is the node's own word: it must not earn the node any secret by naming it.
    if MIRROR_POD not in meta.annotations(pod):
        found.update((resource, namespace, name) for resource, name in _named(pod) if name)
    return found


def _named(pod: Object) -> Iterator[tuple[str, str]]:
    spec = pod.get("spec") or {}
    yield "serviceaccounts", spec.get("serviceAccountName") or ""
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name") or ""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            yield from _named_in_environment(container)
    for volume in spec.get("volumes") or ():
        yield from _named_in_volume(volume, meta.name(pod))
    for claim in spec.get("resourceClaims") or ():
        yield "resourceclaims", claim.get("resourceClaimName") or ""
    for status in meta.dig(pod, "status", "resourceClaimStatuses", default=()):
        yield "resourceclaims", status.get("resourceClaimName") or ""
    extended = meta.dig(pod, "status", "extendedResourceClaimStatus", "resourceClaimName", default="")
    yield "resourceclaims", extended


def _named_in_environment(container: Object) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or ():
        yield "secrets", meta.dig(source, "secretRef", "name", default="")
        yield "configmaps", meta.dig(source, "configMapRef", "name", default="")
    for variable in container.get("env") or ():
        yield "secrets", meta.dig(variable, "valueFrom", "secretKeyRef", "name", default="")
        yield "configmaps", meta.dig(variable, "valueFrom", "configMapKeyRef", "name", default="")


def _named_in_volume(volume: Object, pod_name: str) -> Iterator[tuple[str, str]]:
    for type, source in volume.items():
        if not isinstance(source, dict):
            continue
        match type:
            case "secret":
                yield "secrets", source.get("secretName") or ""
            case "configMap":
                yield "configmaps", source.get("name") or ""
            case "persistentVolumeClaim":
                yield "persistentvolumeclaims", source.get("claimName") or ""
            case "ephemeral":
                yield "persistentvolumeclaims", f"{pod_name}-{volume.get('name', '')}"
            case "azureFile":
                yield "secrets", source.get("secretName") or ""
            case "projected":
                for part in source.get("sources") or ():
                    yield "secrets", meta.dig(part, "secret", "name", default="")
                    yield "configmaps", meta.dig(part, "configMap", "name", default="")
            case _:
                yield "secrets", meta.dig(source, "secretRef", "name", default="")
                yield "secrets", meta.dig(source, "nodePublishSecretRef", "name", default="")


def volume_secrets(volume: Object) -> set[tuple[str, str]]:
    """Return namespace and name of the secrets that a node needs to mount a PersistentVolume."""
    found: set[tuple[str, str]] = set()
    home = meta.dig(volume, "spec", "claimRef", "namespace", default="")
    for type, source in (volume.get("spec") or {}).items():
        if not isinstance(source, dict):
            continue
        if type == "azureFile":
            found.add((source.get("secretNamespace") or home, source.get("secretName") or ""))
        for key in _SECRETS_OF_NODES:
            reference = source.get(key) or {}
            found.add((reference.get("namespace") or home, reference.get("name") or ""))
    return {(namespace, name) for namespace, name in found if name}
