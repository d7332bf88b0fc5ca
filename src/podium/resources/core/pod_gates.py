"""Fields of pods, and of templates of pods, that need a feature gate."""

from __future__ import annotations

from collections.abc import Callable

from podium.machinery.errors import FieldError, Object
from podium.machinery.gated import Gated
from podium.resources import deferred

GateCheck = Callable[[Object, Object | None], list[FieldError]]

_KINDS = ("containers", "initContainers", "ephemeralContainers")
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def pod_fields(spec: str) -> tuple[Gated, ...]:
    """Return the gated fields of the pod spec at the path `spec`."""

    def each(field: str) -> tuple[str, ...]:
        return tuple(f"{spec}.{kind}[].{field}" for kind in _KINDS)

    def one(gate: str, *paths: str) -> Gated:
        return Gated(gate=gate, paths=tuple(f"{spec}.{path}" for path in paths))

    spread = "topologySpreadConstraints[]."
    return (
        one("ClusterTrustBundleProjection", "volumes[].projected.sources[].clusterTrustBundle"),
        one("PodCertificateRequest", "volumes[].projected.sources[].podCertificate"),
        one("GenericWorkload", "schedulingGroup"),
        one("PodLevelResources", "resources"),
        one("HostnameOverride", "hostnameOverride"),
        one("MatchLabelKeysInPodTopologySpread", f"{spread}matchLabelKeys"),
        Gated(gate="EnvFiles", paths=each("env[].valueFrom.fileKeyRef")),
        Gated(gate="ContainerRestartRules", paths=each("restartPolicyRules")),
        Gated(gate="ContainerStopSignals", paths=each("lifecycle.stopSignal"), emptied=each("lifecycle")),
    )


def _status(gate: str, *fields: str) -> Gated:
    paths = tuple(f"status.{kind}[].{field}" for kind in _STATUSES for field in fields)
    return Gated(gate=gate, paths=paths)


POD_FIELDS = (
    *pod_fields("spec"),
    Gated(
        gate="InPlacePodLevelResourcesVerticalScaling",
        paths=("status.resources", "status.allocatedResources"),
    ),
    Gated(gate="DRAExtendedResource", paths=("status.extendedResourceClaimStatus",)),
    Gated(gate="DRANodeAllocatableResources", paths=("status.nodeAllocatableResourceClaimStatuses",)),
    _status("ResourceHealthStatus", "allocatedResourcesStatus"),
    _status("ResourceHealthStatusMessage", "allocatedResourcesStatus[].resources[].message"),
    _status("ImageVolumeWithDigest", "volumeMounts[].volumeStatus"),
)
TEMPLATE_FIELDS = pod_fields("spec.template.spec")


def while_off(spec: str) -> dict[str, GateCheck]:
    """Return what is refused in the pod spec at the path `spec` while a gate is off."""
    return {
        "SELinuxMount": deferred.gate_check("core.security_validation", "only_recursive", spec),
        "TaintTolerationComparisonOperators": deferred.gate_check(
            "core.pod_validation", "no_comparisons", spec
        ),
    }


def while_on(spec: str) -> dict[str, GateCheck]:
    """Return what is refused there while a gate is on."""
    return {
        "SELinuxMount": deferred.gate_check("core.security_validation", "known_se_linux_policy", spec),
        "TaintTolerationComparisonOperators": deferred.gate_check(
            "core.pod_validation", "compared_numbers", spec
        ),
    }


TEMPLATE_WHILE_OFF = while_off("spec.template.spec")
TEMPLATE_WHILE_ON = while_on("spec.template.spec")
