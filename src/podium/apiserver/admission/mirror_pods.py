"""What a mirror pod may not name: a node writes it, and must not earn anything by what it writes.

Upstream: HasAPIObjectReference in pkg/api/pod.
"""

from __future__ import annotations

from podium.apiserver.authz.node_references import MIRROR_POD, references
from podium.machinery import meta
from podium.machinery.errors import Object

_VOLUMES = {
    "configMap": "configmaps (via configmap volumes)",
    "secret": "secrets (via secret volumes)",
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
_PROJECTED = {
    "configMap": "configmaps (via projected volumes)",
    "secret": "secrets (via projected volumes)",
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


def first_reference(pod: Object) -> str:
    """Return what kind of object of the API a mirror pod names, "" for none."""
    unmirrored = meta.copy_path(pod, "metadata", "annotations")
    del unmirrored["metadata"]["annotations"][MIRROR_POD]
    named = {resource for resource, _, _ in references(unmirrored)}
    for resource in ("serviceaccounts", "secrets", "configmaps"):
        if resource in named:
            return resource
    # By a claim or by a template that one is made from.
    if meta.dig(pod, "spec", "resourceClaims", default=[]):
        return "resourceclaims"
    for volume in meta.dig(pod, "spec", "volumes", default=[]):
        for type, words in _VOLUMES.items():
            if volume.get(type) is not None:
                return words
        for source in meta.dig(volume, "projected", "sources", default=[]):
            for type, words in _PROJECTED.items():
                if source.get(type) is not None:
                    return words
    return ""
