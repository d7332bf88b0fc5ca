"""What a node needs to read because of the pods and volumes on it: the names in their specs."""

from __future__ import annotations

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.pod_references import named

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
        found.update((resource, namespace, name) for resource, name in named(pod) if name)
    return found


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
