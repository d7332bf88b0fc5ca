"""What a pod's spec and status name: the objects that must be there for it, by resource."""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery import meta
from podium.machinery.errors import Object


def named(pod: Object) -> Iterator[tuple[str, str]]:
    """Yield (resource, name) of each object of its namespace that `pod` names; names may be empty."""
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
