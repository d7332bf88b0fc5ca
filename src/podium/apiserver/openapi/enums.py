"""The values that OpenAPI tells of fields that take nothing else, as upstream's servers do. Pure.

The published schemas leave them out, so they are listed here: by type and field, whatever the version of the
type; `[]` stands for each item of a list or a map. Values are parted by `|`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from podium.machinery.errors import Object

_FIELDS: Sequence[tuple[str, str]] = (
    (
        "Localhost|RuntimeDefault|Unconfined",
        "AppArmorProfile.type SeccompProfile.type",
    ),
    (
        "None|ReadOnly|ReadWrite",
        "AzureDiskVolumeSource.cachingMode",
    ),
    (
        "Dedicated|Managed|Shared",
        "AzureDiskVolumeSource.kind",
    ),
    (
        (
            "any|cert sign|client auth|code signing|content commitment|crl sign|"
            "data encipherment|decipher only|digital signature|email protection|encipher only|"
            "ipsec end system|ipsec tunnel|ipsec user|key agreement|key encipherment|"
            "microsoft sgc|netscape sgc|ocsp signing|s/mime|server auth|signing|timestamping"
        ),
        "CertificateSigningRequestSpec.usages[]",
    ),
    (
        "Always|IfNotPresent|Never",
        "Container.imagePullPolicy EphemeralContainer.imagePullPolicy ImageVolumeSource.pullPolicy",
    ),
    (
        "FallbackToLogsOnError|File",
        "Container.terminationMessagePolicy EphemeralContainer.terminationMessagePolicy",
    ),
    (
        "SCTP|TCP|UDP",
        """ContainerPort.protocol EndpointPort.protocol IngressPortStatus.protocol
        NetworkPolicyPort.protocol PortStatus.protocol ServicePort.protocol""",
    ),
    (
        (
            "SIGABRT|SIGALRM|SIGBUS|SIGCHLD|SIGCLD|SIGCONT|SIGFPE|SIGHUP|SIGILL|SIGINT|SIGIO|"
            "SIGIOT|SIGKILL|SIGPIPE|SIGPOLL|SIGPROF|SIGPWR|SIGQUIT|SIGRTMAX|SIGRTMAX-1|"
            "SIGRTMAX-10|SIGRTMAX-11|SIGRTMAX-12|SIGRTMAX-13|SIGRTMAX-14|SIGRTMAX-2|"
            "SIGRTMAX-3|SIGRTMAX-4|SIGRTMAX-5|SIGRTMAX-6|SIGRTMAX-7|SIGRTMAX-8|SIGRTMAX-9|"
            "SIGRTMIN|SIGRTMIN+1|SIGRTMIN+10|SIGRTMIN+11|SIGRTMIN+12|SIGRTMIN+13|SIGRTMIN+14|"
            "SIGRTMIN+15|SIGRTMIN+2|SIGRTMIN+3|SIGRTMIN+4|SIGRTMIN+5|SIGRTMIN+6|SIGRTMIN+7|"
            "SIGRTMIN+8|SIGRTMIN+9|SIGSEGV|SIGSTKFLT|SIGSTOP|SIGSYS|SIGTERM|SIGTRAP|SIGTSTP|"
            "SIGTTIN|SIGTTOU|SIGURG|SIGUSR1|SIGUSR2|SIGVTALRM|SIGWINCH|SIGXCPU|SIGXFSZ"
        ),
        "ContainerStatus.stopSignal Lifecycle.stopSignal",
    ),
    (
        "Allow|Forbid|Replace",
        "CronJobSpec.concurrencyPolicy",
    ),
    (
        "OnDelete|RollingUpdate",
        "DaemonSetUpdateStrategy.type StatefulSetUpdateStrategy.type",
    ),
    (
        "Recreate|RollingUpdate",
        "DeploymentStrategy.type",
    ),
    (
        "FromClaim|FromClass",
        "DeviceAllocationConfiguration.source",
    ),
    (
        "All|ExactCount",
        "DeviceSubRequest.allocationMode ExactDeviceRequest.allocationMode",
    ),
    (
        "NoExecute|NoSchedule|None",
        "DeviceTaint.effect DeviceToleration.effect",
    ),
    (
        "Equal|Exists",
        "DeviceToleration.operator",
    ),
    (
        "FQDN|IPv4|IPv6",
        "EndpointSlice.addressType",
    ),
    (
        "HTTP|HTTPS",
        "HTTPGetAction.scheme",
    ),
    (
        "Exact|ImplementationSpecific|Prefix",
        "HTTPIngressPath.pathType",
    ),
    (
        "|BlockDevice|CharDevice|Directory|DirectoryOrCreate|File|FileOrCreate|Socket",
        "HostPathVolumeSource.type",
    ),
    (
        "Indexed|NonIndexed",
        "JobSpec.completionMode",
    ),
    (
        "Failed|TerminatingOrFailed",
        "JobSpec.podReplacementPolicy",
    ),
    (
        "Equivalent|Exact",
        "MatchResources.matchPolicy MutatingWebhook.matchPolicy ValidatingWebhook.matchPolicy",
    ),
    (
        "InProgress|Infeasible|Pending",
        "ModifyVolumeStatus.status",
    ),
    (
        "Fail|Ignore",
        """MutatingAdmissionPolicySpec.failurePolicy MutatingWebhook.failurePolicy
        ValidatingAdmissionPolicySpec.failurePolicy ValidatingWebhook.failurePolicy""",
    ),
    (
        "IfNeeded|Never",
        "MutatingAdmissionPolicySpec.reinvocationPolicy MutatingWebhook.reinvocationPolicy",
    ),
    (
        "None|NoneOnDryRun|Some|Unknown",
        "MutatingWebhook.sideEffects ValidatingWebhook.sideEffects",
    ),
    (
        "ApplyConfiguration|JSONPatch",
        "Mutation.patchType",
    ),
    (
        "*|CONNECT|CREATE|DELETE|UPDATE",
        "NamedRuleWithOperations.operations[] RuleWithOperations.operations[]",
    ),
    (
        "*|Cluster|Namespaced",
        "NamedRuleWithOperations.scope RuleWithOperations.scope",
    ),
    (
        "Active|Terminating",
        "NamespaceStatus.phase",
    ),
    (
        "Egress|Ingress",
        "NetworkPolicySpec.policyTypes[]",
    ),
    (
        "DoesNotExist|Exists|Gt|In|Lt|NotIn",
        "NodeSelectorRequirement.operator",
    ),
    (
        "Pending|Running|Terminated",
        "NodeStatus.phase",
    ),
    (
        "ReadOnlyMany|ReadWriteMany|ReadWriteOnce|ReadWriteOncePod",
        """PersistentVolumeClaimSpec.accessModes[] PersistentVolumeClaimStatus.accessModes[]
        PersistentVolumeSpec.accessModes[]""",
    ),
    (
        "Block|Filesystem",
        "PersistentVolumeClaimSpec.volumeMode PersistentVolumeSpec.volumeMode",
    ),
    (
        (
            "ControllerResizeInProgress|ControllerResizeInfeasible|NodeResizeInProgress|"
            "NodeResizeInfeasible|NodeResizePending"
        ),
        "PersistentVolumeClaimStatus.allocatedResourceStatuses[]",
    ),
    (
        "Bound|Lost|Pending",
        "PersistentVolumeClaimStatus.phase",
    ),
    (
        "Delete|Recycle|Retain",
        "PersistentVolumeSpec.persistentVolumeReclaimPolicy StorageClass.reclaimPolicy",
    ),
    (
        "Available|Bound|Failed|Pending|Released",
        "PersistentVolumeStatus.phase",
    ),
    (
        "AlwaysAllow|IfHealthyBudget",
        "PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy",
    ),
    (
        "In|NotIn",
        "PodFailurePolicyOnExitCodesRequirement.operator",
    ),
    (
        "Count|FailIndex|FailJob|Ignore",
        "PodFailurePolicyRule.action",
    ),
    (
        "Always|OnRootMismatch",
        "PodSecurityContext.fsGroupChangePolicy",
    ),
    (
        "Merge|Strict",
        "PodSecurityContext.supplementalGroupsPolicy",
    ),
    (
        "ClusterFirst|ClusterFirstWithHostNet|Default|None",
        "PodSpec.dnsPolicy",
    ),
    (
        "Never|PreemptLowerPriority",
        "PodSpec.preemptionPolicy PriorityClass.preemptionPolicy",
    ),
    (
        "Always|Never|OnFailure",
        "PodSpec.restartPolicy",
    ),
    (
        "Failed|Pending|Running|Succeeded|Unknown",
        "PodStatus.phase",
    ),
    (
        "BestEffort|Burstable|Guaranteed",
        "PodStatus.qosClass",
    ),
    (
        (
            "BestEffort|CrossNamespacePodAffinity|NotBestEffort|NotTerminating|PriorityClass|"
            "Terminating|VolumeAttributesClass"
        ),
        "ResourceQuotaSpec.scopes[] ScopedResourceSelectorRequirement.scopeName",
    ),
    (
        "DoesNotExist|Exists|In|NotIn",
        "ScopedResourceSelectorRequirement.operator",
    ),
    (
        "Default|Unmasked",
        "SecurityContext.procMount",
    ),
    (
        "Cluster|Local",
        "ServiceSpec.externalTrafficPolicy ServiceSpec.internalTrafficPolicy",
    ),
    (
        "|IPv4|IPv6",
        "ServiceSpec.ipFamilies[]",
    ),
    (
        "PreferDualStack|RequireDualStack|SingleStack",
        "ServiceSpec.ipFamilyPolicy",
    ),
    (
        "ClientIP|None",
        "ServiceSpec.sessionAffinity",
    ),
    (
        "ClusterIP|ExternalName|LoadBalancer|NodePort",
        "ServiceSpec.type",
    ),
    (
        "OrderedReady|Parallel",
        "StatefulSetSpec.podManagementPolicy",
    ),
    (
        "Immediate|WaitForFirstConsumer",
        "StorageClass.volumeBindingMode",
    ),
    (
        "NoExecute|NoSchedule|PreferNoSchedule",
        "Taint.effect Toleration.effect",
    ),
    (
        "Equal|Exists|Gt|Lt",
        "Toleration.operator",
    ),
    (
        "Honor|Ignore",
        "TopologySpreadConstraint.nodeAffinityPolicy TopologySpreadConstraint.nodeTaintsPolicy",
    ),
    (
        "DoNotSchedule|ScheduleAnyway",
        "TopologySpreadConstraint.whenUnsatisfiable",
    ),
    (
        "Audit|Deny|Warn",
        "ValidatingAdmissionPolicyBindingSpec.validationActions[]",
    ),
    (
        "FieldValueDuplicate|FieldValueForbidden|FieldValueInvalid|FieldValueRequired",
        "ValidationRule.reason",
    ),
    (
        "Bidirectional|HostToContainer|None",
        "VolumeMount.mountPropagation",
    ),
)

_VALUES: Mapping[str, Sequence[str]] = {
    field: values.split("|") for values, fields in _FIELDS for field in fields.split()
}


def add_enums(name: str, definition: Object) -> None:
    """Add the values of its fields to the definition `name`, in place."""
    kind = name.rpartition(".")[2]
    for field, schema in (definition.get("properties") or {}).items():
        values = _VALUES.get(f"{kind}.{field}")
        if values is not None:
            schema["enum"] = list(values)
        values = _VALUES.get(f"{kind}.{field}[]")
        if values is not None:
            schema["items" if "items" in schema else "additionalProperties"]["enum"] = list(values)
