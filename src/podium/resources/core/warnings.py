"""What users of the core kinds should know though what they wrote is valid; pods apart."""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery.addresses import cidr_warnings, ip_warnings
from podium.machinery.errors import Object
from podium.resources import pem
from podium.resources.checks import metadata_of, objects, parse_quantity, spec_of
from podium.resources.core.node_labels import selector_term_warnings
from podium.resources.core.pod_warnings import claim_warnings, name_warnings, template_warnings
from podium.resources.defaulting import given

_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_CLASS_INSTEAD = 'deprecated since v1.8; use "storageClassName" attribute instead'
_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_MOUNT_INSTEAD = 'deprecated since v1.31; use "mountOptions" attribute instead'
_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
_TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
_PLUGINS = {
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}


def service_warnings(service: Object, _old: Object | None) -> list[str]:
    """Return the warnings about a Service."""
    spec = spec_of(service)
    addresses, external = spec.get("clusterIPs") or [], spec.get("externalIPs") or []
    kind, headless = spec.get("type"), spec.get("type") == "ClusterIP" and spec.get("clusterIP") == "None"
    balancer = str(spec.get("loadBalancerIP") or "")
    found = []
    if _TOPOLOGY_HINTS in (metadata_of(service).get("annotations") or {}):
        found.append(f"annotation {_TOPOLOGY_HINTS} is deprecated, please use {_TOPOLOGY_MODE} instead")
    if not headless:
        for index, address in enumerate(addresses):
            found += ip_warnings(f"spec.clusterIPs[{index}]", str(address))
    else:
        if balancer:
            found.append("spec.loadBalancerIP is ignored for headless services")
        if external:
            found.append("spec.externalIPs is ignored for headless services")
        if spec.get("sessionAffinity") != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    for index, address in enumerate(external):
        found += ip_warnings(f"spec.externalIPs[{index}]", str(address))
    if external and not headless and kind != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if balancer:
        found += ip_warnings("spec.loadBalancerIP", balancer)
    for index, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += cidr_warnings(f"spec.loadBalancerSourceRanges[{index}]", str(cidr))
    if kind == "ExternalName" and external:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def secret_warnings(secret: Object, _old: Object | None) -> list[str]:
    """Return the warning about a TLS Secret whose certificate and key do not make a pair."""
    if secret.get("type") != "kubernetes.io/tls":
        return []
    data = secret.get("data") or {}
    wrong = pem.pair_error(pem.decoded(data.get("tls.crt")), pem.decoded(data.get("tls.key")))
    return [wrong] if wrong else []


def node_warnings(node: Object, _old: Object | None) -> list[str]:
    """Return the warnings about a Node."""
    spec = spec_of(node)
    found = []
    if spec.get("configSource") is not None:
        found.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for index, cidr in enumerate(spec.get("podCIDRs") or ()):
        found += cidr_warnings(f"spec.podCIDRs[{index}]", str(cidr))
    return found


def volume_warnings(volume: Object, _old: Object | None) -> list[str]:
    """Return the warnings about a PersistentVolume."""
    spec, annotations = spec_of(volume), metadata_of(volume).get("annotations") or {}
    found = [
        f"metadata.annotations[{key}]: {instead}"
        for key, instead in ((_BETA_CLASS, _CLASS_INSTEAD), (_MOUNT_OPTIONS, _MOUNT_INSTEAD))
        if key in annotations
    ]
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        found.append(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
            "recommended approach is to use dynamic provisioning."
        )
    required = given(given(spec, "nodeAffinity") or {}, "required") or {}
    for index, term in enumerate(objects(required.get("nodeSelectorTerms"))):
        found += selector_term_warnings(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]")
    return found + [
        f"spec.{shown}: {message}" for key, (shown, message) in _PLUGINS.items() if spec.get(key) is not None
    ]


def volume_claim_warnings(claim: Object, _old: Object | None) -> list[str]:
    """Return the warnings about a PersistentVolumeClaim."""
    found = []
    if _BETA_CLASS in (metadata_of(claim).get("annotations") or {}):
        found.append(f"metadata.annotations[{_BETA_CLASS}]: {_CLASS_INSTEAD}")
    return [*found, *claim_warnings(spec_of(claim), "spec")]


def endpoints_warnings(endpoints: Object, _old: Object | None) -> list[str]:
    """Return the warnings about Endpoints."""
    return list(_endpoint_addresses(endpoints))


def _endpoint_addresses(endpoints: Object) -> Iterator[str]:
    for index, subset in enumerate(objects(endpoints.get("subsets"))):
        for key in ("addresses", "notReadyAddresses"):
            for at, address in enumerate(objects(subset.get(key))):
                path = f"subsets[{index}].{key}[{at}].ip"
                yield from ip_warnings(path, str(address.get("ip") or ""))


def quota_warnings(quota: Object, old: Object | None) -> list[str]:
    """Return the warnings about a new ResourceQuota whose requests are above its limits."""
    if old is not None:
        return []
    hard = spec_of(quota).get("hard") or {}
    found = []
    for name in ("cpu", "memory", "ephemeral-storage"):
        asked = f"requests.{name}"
        if asked not in hard and name != "ephemeral-storage":
            asked = name
        limit = f"limits.{name}"
        if asked in hard and limit in hard and parse_quantity(hard[limit]) < parse_quantity(hard[asked]):
            found.append(f"ResourceQuota {asked} ({hard[asked]}) should be less than {limit} ({hard[limit]})")
    return found


def pod_template_warnings(pod_template: Object, old: Object | None) -> list[str]:
    """Return the warnings about a PodTemplate."""
    template = given(pod_template, "template")
    if old is not None and template == old.get("template"):
        return []
    return template_warnings(template, "template")


def workload_warnings(workload: Object, old: Object | None) -> list[str]:
    """Return the warnings about what makes pods from `spec.template` and names them after itself."""
    found = name_warnings(str(metadata_of(workload).get("name") or "")) if old is None else []
    return found + changed_template_warnings(workload, old)


def changed_template_warnings(workload: Object, old: Object | None) -> list[str]:
    """Return the warnings about `spec.template`, where it is new or something in the spec has changed."""
    if old is not None and workload.get("spec") == old.get("spec"):
        return []
    return template_warnings(given(spec_of(workload), "template"), "spec.template")
