"""Which fields the wire carries even when they are empty, and how upstream names their types in messages.

The published schemas do not say it; upstream's objects follow from how each field is declared. What is
usual needs no entry here:

- a required field is always written (an empty string, 0, false, null for an empty list or map);
- any other string, list or map is left out when empty;
- any other boolean, number or structure is left out only when it was never set (so `false`, 0 and `{}` stay);
- `metadata`, and `spec` and `status` of a kind, are always written, be it as `{}`.

The table lists what is unusual, one definition a line (continued where indented), after each field:

    *   left out only when never set          .   empty is the same as never set
    !   always written                        ?   not always written though required
    0   a structure that is left out when empty
    :T  the type's name in decoding errors

A structure marked `.` is always written, as `{}` (a time as null, a quantity as "0").
Names are as in the schemas without the leading `io.k8s.`; fields of other versions than the one served do no
harm. The tests check the table against recordings of upstream.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import cache

_PREFIX = "io.k8s."


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusual:
    """What the table says of one field; None where the field is as usual."""

    pointer: bool | None = None
    always: bool | None = None
    omit_empty_struct: bool = False
    go_type: str = ""


_ENTRY = re.compile(r"([\w$-]+)([*.]?)([!?]?)(0?)(?::(.*))?")


def unusual(definition: str) -> dict[str, Unusual]:
    """Return the unusual fields of a definition, by name."""
    return _parsed(_lines().get(definition.removeprefix(_PREFIX), ""))


def derived_unusual(
    base: str, renamed: Mapping[str, str], without: Container[str], entries: str, version: str
) -> dict[str, Unusual]:
    """Return the unusual fields of a definition that is like `base`, but for what `entries` say of its own.

    Types of the base's version are named after `version`; see `machinery.derived` for the rest.
    """
    fields = {
        renamed.get(name, name): replace(odd, go_type=_in_version(odd.go_type, base, version))
        for name, odd in unusual(base).items()
        if name not in without
    }
    return fields | _parsed(entries)


_CORE_TYPES = re.compile(
    r"v1\.(ConditionStatus|Protocol|PersistentVolumeReclaimPolicy|PreemptionPolicy|ResourceList)"
)
"""Types of core/v1 that others use, whose version does not change with theirs."""


def _in_version(go_type: str, base: str, version: str) -> str:
    old = base.split(".")[-2] if base else ""
    if not old or _CORE_TYPES.search(go_type):
        return go_type
    return re.sub(rf"\b{old}\.", f"{version}.", go_type)


def _parsed(line: str) -> dict[str, Unusual]:
    fields = {}
    for entry in line.split():
        match = _ENTRY.fullmatch(entry)
        assert match is not None, f"malformed entry {entry}"
        name, pointer, always, omit, go_type = match.groups()
        fields[name] = Unusual(
            pointer={"*": True, ".": False}.get(pointer),
            always={"!": True, "?": False}.get(always),
            omit_empty_struct=bool(omit),
            go_type=go_type or "",
        )
    return fields


@cache
def _lines() -> dict[str, str]:
    lines = {}
    for line in _TABLE.replace("\n ", "").splitlines():
        definition, _, entries = line.partition(" ")
        lines[definition] = entries
    return lines


_TABLE = """\
api.admissionregistration.v1.MatchResources matchPolicy*:v1.MatchPolicyType
api.admissionregistration.v1.MutatingAdmissionPolicySpec failurePolicy*:v1.FailurePolicyType
  reinvocationPolicy:v1.ReinvocationPolicyType
api.admissionregistration.v1.MutatingWebhook failurePolicy*:v1.FailurePolicyType
  matchPolicy*:v1.MatchPolicyType sideEffects*:v1.SideEffectClass
  reinvocationPolicy*:v1.ReinvocationPolicyType
api.admissionregistration.v1.Mutation patchType:v1.PatchType
api.admissionregistration.v1.NamedRuleWithOperations operations:[]v1.OperationType scope*:v1.ScopeType
api.admissionregistration.v1.ParamRef parameterNotFoundAction*:v1.ParameterNotFoundActionType
api.admissionregistration.v1.RuleWithOperations operations:[]v1.OperationType scope*:v1.ScopeType
api.admissionregistration.v1.ServiceReference path*
api.admissionregistration.v1.ValidatingAdmissionPolicyBinding spec?
api.admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec policyName?
  validationActions?:[]v1.ValidationAction
api.admissionregistration.v1.ValidatingAdmissionPolicySpec failurePolicy*:v1.FailurePolicyType
api.admissionregistration.v1.ValidatingAdmissionPolicyStatus observedGeneration.
api.admissionregistration.v1.ValidatingWebhook failurePolicy*:v1.FailurePolicyType
  matchPolicy*:v1.MatchPolicyType sideEffects*:v1.SideEffectClass
api.admissionregistration.v1.Validation reason*:v1.StatusReason
api.admissionregistration.v1.WebhookClientConfig url*
api.admissionregistration.v1alpha1.MatchResources matchPolicy*:v1alpha1.MatchPolicyType
api.admissionregistration.v1alpha1.MutatingAdmissionPolicySpec failurePolicy*:v1alpha1.FailurePolicyType
  reinvocationPolicy:v1alpha1.ReinvocationPolicyType
api.admissionregistration.v1alpha1.Mutation patchType:v1alpha1.PatchType
api.admissionregistration.v1alpha1.NamedRuleWithOperations operations:[]v1.OperationType
  scope*:v1.ScopeType
api.admissionregistration.v1alpha1.ParamRef parameterNotFoundAction*:v1alpha1.ParameterNotFoundActionType
api.admissionregistration.v1beta1.MatchResources matchPolicy*:v1beta1.MatchPolicyType
api.admissionregistration.v1beta1.MutatingAdmissionPolicySpec failurePolicy*:v1beta1.FailurePolicyType
  reinvocationPolicy:v1beta1.ReinvocationPolicyType
api.admissionregistration.v1beta1.Mutation patchType:v1beta1.PatchType
api.admissionregistration.v1beta1.NamedRuleWithOperations operations:[]v1.OperationType
  scope*:v1.ScopeType
api.admissionregistration.v1beta1.ParamRef parameterNotFoundAction*:v1beta1.ParameterNotFoundActionType
api.apiserverinternal.v1alpha1.ServerStorageVersion apiServerID? encodingVersion? decodableVersions?
api.apiserverinternal.v1alpha1.StorageVersion metadata? spec! status!
api.apiserverinternal.v1alpha1.StorageVersionCondition type:v1alpha1.StorageVersionConditionType
  status:v1alpha1.ConditionStatus observedGeneration. lastTransitionTime. message?
api.apiserverinternal.v1alpha1.StorageVersionStatus commonEncodingVersion*
api.apps.v1.ControllerRevision data.
api.apps.v1.DaemonSetCondition type:v1.DaemonSetConditionType status:v1.ConditionStatus
  lastTransitionTime.
api.apps.v1.DaemonSetSpec selector* updateStrategy. minReadySeconds.
api.apps.v1.DaemonSetStatus observedGeneration. updatedNumberScheduled. numberAvailable.
  numberUnavailable.
api.apps.v1.DaemonSetUpdateStrategy type:v1.DaemonSetUpdateStrategyType
api.apps.v1.DeploymentCondition type:v1.DeploymentConditionType status:v1.ConditionStatus lastUpdateTime.
  lastTransitionTime.
api.apps.v1.DeploymentSpec selector* strategy. minReadySeconds. paused.
api.apps.v1.DeploymentStatus observedGeneration. replicas. updatedReplicas. readyReplicas.
  availableReplicas. unavailableReplicas.
api.apps.v1.DeploymentStrategy type:v1.DeploymentStrategyType
api.apps.v1.ReplicaSetCondition type:v1.ReplicaSetConditionType status:v1.ConditionStatus
  lastTransitionTime.
api.apps.v1.ReplicaSetSpec minReadySeconds. selector* template.
api.apps.v1.ReplicaSetStatus fullyLabeledReplicas. readyReplicas. availableReplicas. observedGeneration.
api.apps.v1.StatefulSetCondition type:v1.StatefulSetConditionType status:v1.ConditionStatus
  lastTransitionTime.
api.apps.v1.StatefulSetOrdinals start.!
api.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy
  whenDeleted:v1.PersistentVolumeClaimRetentionPolicyType
  whenScaled:v1.PersistentVolumeClaimRetentionPolicyType
api.apps.v1.StatefulSetSpec selector* serviceName! podManagementPolicy:v1.PodManagementPolicyType
  updateStrategy. minReadySeconds.
api.apps.v1.StatefulSetStatus observedGeneration. readyReplicas. currentReplicas. updatedReplicas.
  availableReplicas.!
api.apps.v1.StatefulSetUpdateStrategy type:v1.StatefulSetUpdateStrategyType
api.authentication.v1.BoundObjectReference uid:types.UID
api.authentication.v1.SelfSubjectReviewStatus userInfo.
api.authentication.v1.TokenRequest spec!
api.authentication.v1.TokenRequestSpec audiences! expirationSeconds! boundObjectRef!
api.authentication.v1.TokenRequestStatus token! expirationTimestamp.!
api.authentication.v1.TokenReviewSpec token?
api.authentication.v1.TokenReviewStatus authenticated. user.
api.authentication.v1.UserInfo extra:map[string]v1.ExtraValue
api.authorization.v1.SubjectAccessReviewSpec extra:map[string]v1.ExtraValue
api.authorization.v1.SubjectAccessReviewStatus denied.
api.autoscaling.v1.HorizontalPodAutoscaler spec?
api.autoscaling.v1.ScaleSpec replicas.
api.autoscaling.v2.ContainerResourceMetricSource name:v1.ResourceName
api.autoscaling.v2.ContainerResourceMetricStatus name:v1.ResourceName
api.autoscaling.v2.HPAScalingPolicy type:v2.HPAScalingPolicyType
api.autoscaling.v2.HPAScalingRules selectPolicy*:v2.ScalingPolicySelect
api.autoscaling.v2.HorizontalPodAutoscaler spec?
api.autoscaling.v2.HorizontalPodAutoscalerCondition type:v2.HorizontalPodAutoscalerConditionType
  status:v1.ConditionStatus lastTransitionTime.
api.autoscaling.v2.HorizontalPodAutoscalerStatus currentReplicas. currentMetrics!
api.autoscaling.v2.MetricSpec type:v2.MetricSourceType
api.autoscaling.v2.MetricStatus type:v2.MetricSourceType
api.autoscaling.v2.MetricTarget type:v2.MetricTargetType
api.autoscaling.v2.ResourceMetricSource name:v1.ResourceName
api.autoscaling.v2.ResourceMetricStatus name:v1.ResourceName
api.batch.v1.CronJob spec?
api.batch.v1.CronJobSpec timeZone* concurrencyPolicy:v1.ConcurrencyPolicy
api.batch.v1.JobCondition type:v1.JobConditionType status:v1.ConditionStatus lastProbeTime.
  lastTransitionTime.
api.batch.v1.JobSpec completionMode*:v1.CompletionMode podReplacementPolicy*:v1.PodReplacementPolicy
  managedBy*
api.batch.v1.JobStatus active. succeeded. failed. failedIndexes*
api.batch.v1.JobTemplateSpec spec.
api.batch.v1.PodFailurePolicyOnExitCodesRequirement containerName*
  operator:v1.PodFailurePolicyOnExitCodesOperator
api.batch.v1.PodFailurePolicyOnPodConditionsPattern type:v1.PodConditionType status!:v1.ConditionStatus
api.batch.v1.PodFailurePolicyRule action:v1.PodFailurePolicyAction
api.batch.v1.SuccessPolicyRule succeededIndexes*
api.batch.v1.UncountedTerminatedPods succeeded:[]types.UID failed:[]types.UID
api.certificates.v1.CertificateSigningRequestCondition type:v1.RequestConditionType
  status:v1.ConditionStatus lastUpdateTime. lastTransitionTime.
api.certificates.v1.CertificateSigningRequestSpec usages:[]v1.KeyUsage extra:map[string]v1.ExtraValue
api.certificates.v1beta1.PodCertificateRequestSpec podUID:types.UID serviceAccountUID:types.UID
  nodeName:types.NodeName nodeUID:types.UID pkixPublicKey! proofOfPossession!
api.coordination.v1.LeaseSpec holderIdentity* strategy*:v1.CoordinatedLeaseStrategy preferredHolder*
api.coordination.v1alpha2.LeaseCandidate spec?
api.coordination.v1alpha2.LeaseCandidateSpec strategy?:v1.CoordinatedLeaseStrategy
api.coordination.v1beta1.LeaseCandidate spec?
api.coordination.v1beta1.LeaseCandidateSpec strategy?:v1.CoordinatedLeaseStrategy
api.core.v1.AWSElasticBlockStoreVolumeSource partition. readOnly.
api.core.v1.AppArmorProfile type:v1.AppArmorProfileType localhostProfile*
api.core.v1.AttachedVolume name:v1.UniqueVolumeName
api.core.v1.AzureDiskVolumeSource cachingMode*:v1.AzureDataDiskCachingMode fsType*
  kind*:v1.AzureDataDiskKind
api.core.v1.AzureFilePersistentVolumeSource readOnly. secretNamespace*!
api.core.v1.AzureFileVolumeSource readOnly.
api.core.v1.CSIPersistentVolumeSource readOnly.
api.core.v1.CSIVolumeSource fsType*
api.core.v1.Capabilities add:[]v1.Capability drop:[]v1.Capability
api.core.v1.CephFSPersistentVolumeSource readOnly.
api.core.v1.CephFSVolumeSource readOnly.
api.core.v1.CinderPersistentVolumeSource readOnly.
api.core.v1.CinderVolumeSource readOnly.
api.core.v1.ClusterTrustBundleProjection name* signerName*
api.core.v1.ComponentCondition type:v1.ComponentConditionType status:v1.ConditionStatus
api.core.v1.ConfigMapNodeConfigSource uid:types.UID
api.core.v1.Container resources. restartPolicy*:v1.ContainerRestartPolicy
  terminationMessagePolicy:v1.TerminationMessagePolicy imagePullPolicy:v1.PullPolicy stdin. stdinOnce.
  tty.
api.core.v1.ContainerImage names! sizeBytes.
api.core.v1.ContainerPort hostPort. protocol:v1.Protocol
api.core.v1.ContainerResizePolicy resourceName:v1.ResourceName
  restartPolicy:v1.ResourceResizeRestartPolicy
api.core.v1.ContainerRestartRule action?:v1.ContainerRestartRuleAction
api.core.v1.ContainerRestartRuleOnExitCodes operator?:v1.ContainerRestartRuleOnExitCodesOperator
api.core.v1.ContainerStateRunning startedAt.
api.core.v1.ContainerStateTerminated signal. startedAt. finishedAt.
api.core.v1.ContainerStatus state. lastState. allocatedResources:v1.ResourceList stopSignal*:v1.Signal
api.core.v1.EmptyDirVolumeSource medium:v1.StorageMedium
api.core.v1.EndpointAddress nodeName*
api.core.v1.EndpointPort protocol:v1.Protocol appProtocol*
api.core.v1.EphemeralContainer resources. restartPolicy*:v1.ContainerRestartPolicy
  terminationMessagePolicy:v1.TerminationMessagePolicy imagePullPolicy:v1.PullPolicy stdin. stdinOnce.
  tty.
api.core.v1.Event source. firstTimestamp. lastTimestamp. count. eventTime. reportingComponent!
  reportingInstance!
api.core.v1.EventSeries count. lastObservedTime.
api.core.v1.FCVolumeSource readOnly.
api.core.v1.FlexPersistentVolumeSource readOnly.
api.core.v1.FlexVolumeSource readOnly.
api.core.v1.GCEPersistentDiskVolumeSource partition. readOnly.
api.core.v1.GRPCAction service*!
api.core.v1.GlusterfsPersistentVolumeSource readOnly. endpointsNamespace*
api.core.v1.GlusterfsVolumeSource readOnly.
api.core.v1.HTTPGetAction scheme:v1.URIScheme
api.core.v1.HostPathVolumeSource type*:v1.HostPathType
api.core.v1.ISCSIPersistentVolumeSource readOnly. chapAuthDiscovery. chapAuthSession. initiatorName*
api.core.v1.ISCSIVolumeSource readOnly. chapAuthDiscovery. chapAuthSession. initiatorName*
api.core.v1.ImageVolumeSource pullPolicy:v1.PullPolicy
api.core.v1.ImageVolumeStatus imageRef?
api.core.v1.Lifecycle stopSignal*:v1.Signal
api.core.v1.LimitRangeItem type:v1.LimitType max:v1.ResourceList min:v1.ResourceList
  default:v1.ResourceList defaultRequest:v1.ResourceList maxLimitRequestRatio:v1.ResourceList
api.core.v1.LoadBalancerIngress ipMode*:v1.LoadBalancerIPMode
api.core.v1.LocalVolumeSource fsType*
api.core.v1.ModifyVolumeStatus status:v1.PersistentVolumeClaimModifyVolumeStatus
api.core.v1.NFSVolumeSource readOnly.
api.core.v1.NamespaceCondition type:v1.NamespaceConditionType status:v1.ConditionStatus
  lastTransitionTime.
api.core.v1.NamespaceSpec finalizers:[]v1.FinalizerName
api.core.v1.NamespaceStatus phase:v1.NamespacePhase
api.core.v1.NodeAddress type:v1.NodeAddressType
api.core.v1.NodeAllocatableResourceClaimStatus resources:map[v1.ResourceName]resource.Quantity
api.core.v1.NodeCondition type:v1.NodeConditionType status:v1.ConditionStatus lastHeartbeatTime.
  lastTransitionTime.
api.core.v1.NodeDaemonEndpoints kubeletEndpoint.
api.core.v1.NodeRuntimeHandler name!
api.core.v1.NodeSelectorRequirement operator:v1.NodeSelectorOperator
api.core.v1.NodeSpec unschedulable.
api.core.v1.NodeStatus capacity:v1.ResourceList allocatable:v1.ResourceList phase:v1.NodePhase
  daemonEndpoints. nodeInfo. volumesInUse:[]v1.UniqueVolumeName
api.core.v1.ObjectReference uid:types.UID
api.core.v1.PersistentVolumeClaimCondition type:v1.PersistentVolumeClaimConditionType
  status:v1.ConditionStatus lastProbeTime. lastTransitionTime.
api.core.v1.PersistentVolumeClaimSpec accessModes:[]v1.PersistentVolumeAccessMode resources.
  storageClassName* volumeMode*:v1.PersistentVolumeMode volumeAttributesClassName*
api.core.v1.PersistentVolumeClaimStatus phase:v1.PersistentVolumeClaimPhase
  accessModes:[]v1.PersistentVolumeAccessMode capacity:v1.ResourceList allocatedResources:v1.ResourceList
  allocatedResourceStatuses:map[v1.ResourceName]v1.ClaimResourceStatus currentVolumeAttributesClassName*
api.core.v1.PersistentVolumeClaimVolumeSource readOnly.
api.core.v1.PersistentVolumeSpec capacity:v1.ResourceList accessModes:[]v1.PersistentVolumeAccessMode
  persistentVolumeReclaimPolicy:v1.PersistentVolumeReclaimPolicy volumeMode*:v1.PersistentVolumeMode
  volumeAttributesClassName*
api.core.v1.PersistentVolumeStatus phase:v1.PersistentVolumePhase
api.core.v1.PodCertificateProjection signerName? keyType?
api.core.v1.PodCondition type:v1.PodConditionType observedGeneration. status:v1.ConditionStatus
  lastProbeTime. lastTransitionTime.
api.core.v1.PodDNSConfigOption value*
api.core.v1.PodOS name:v1.OSName
api.core.v1.PodReadinessGate conditionType:v1.PodConditionType
api.core.v1.PodResourceClaim resourceClaimName* resourceClaimTemplateName*
api.core.v1.PodResourceClaimStatus resourceClaimName*
api.core.v1.PodSchedulingGroup podGroupName*
api.core.v1.PodSecurityContext supplementalGroupsPolicy*:v1.SupplementalGroupsPolicy
  fsGroupChangePolicy*:v1.PodFSGroupChangePolicy seLinuxChangePolicy*:v1.PodSELinuxChangePolicy
api.core.v1.PodSpec restartPolicy:v1.RestartPolicy dnsPolicy:v1.DNSPolicy hostNetwork. hostPID. hostIPC.
  runtimeClassName* preemptionPolicy*:v1.PreemptionPolicy overhead:v1.ResourceList hostnameOverride*
api.core.v1.PodStatus observedGeneration. phase:v1.PodPhase qosClass:v1.PodQOSClass
  resize:v1.PodResizeStatus allocatedResources:v1.ResourceList
api.core.v1.PodTemplate template.
api.core.v1.PodTemplateSpec spec.
api.core.v1.PortStatus protocol:v1.Protocol error*
api.core.v1.PortworxVolumeSource readOnly.
api.core.v1.Probe initialDelaySeconds. timeoutSeconds. periodSeconds. successThreshold. failureThreshold.
api.core.v1.ProjectedVolumeSource sources!
api.core.v1.QuobyteVolumeSource readOnly.
api.core.v1.RBDPersistentVolumeSource readOnly.
api.core.v1.RBDVolumeSource readOnly.
api.core.v1.ReplicationControllerCondition type:v1.ReplicationControllerConditionType
  status:v1.ConditionStatus lastTransitionTime.
api.core.v1.ReplicationControllerSpec minReadySeconds.
api.core.v1.ReplicationControllerStatus fullyLabeledReplicas. readyReplicas. availableReplicas.
  observedGeneration.
api.core.v1.ResourceFieldSelector divisor.
api.core.v1.ResourceHealth resourceID:v1.ResourceID health:v1.ResourceHealthStatus message*
api.core.v1.ResourceQuotaSpec hard:v1.ResourceList scopes:[]v1.ResourceQuotaScope
api.core.v1.ResourceQuotaStatus hard:v1.ResourceList used:v1.ResourceList
api.core.v1.ResourceRequirements limits:v1.ResourceList requests:v1.ResourceList
api.core.v1.ResourceStatus name:v1.ResourceName
api.core.v1.ScaleIOPersistentVolumeSource secretRef* sslEnabled. readOnly.
api.core.v1.ScaleIOVolumeSource secretRef* sslEnabled. readOnly.
api.core.v1.ScopedResourceSelectorRequirement scopeName:v1.ResourceQuotaScope
  operator:v1.ScopeSelectorOperator
api.core.v1.SeccompProfile type:v1.SeccompProfileType localhostProfile*
api.core.v1.Secret type:v1.SecretType
api.core.v1.SecurityContext procMount*:v1.ProcMountType
api.core.v1.ServicePort protocol:v1.Protocol appProtocol* targetPort. nodePort.
api.core.v1.ServiceSpec type:v1.ServiceType sessionAffinity:v1.ServiceAffinity
  externalTrafficPolicy:v1.ServiceExternalTrafficPolicy healthCheckNodePort. publishNotReadyAddresses.
  ipFamilies:[]v1.IPFamily ipFamilyPolicy*:v1.IPFamilyPolicy loadBalancerClass*
  internalTrafficPolicy*:v1.ServiceInternalTrafficPolicy trafficDistribution*
api.core.v1.ServiceStatus loadBalancer.
api.core.v1.StorageOSPersistentVolumeSource readOnly.
api.core.v1.StorageOSVolumeSource readOnly.
api.core.v1.Taint effect:v1.TaintEffect
api.core.v1.Toleration operator:v1.TolerationOperator effect:v1.TaintEffect
api.core.v1.TopologySpreadConstraint whenUnsatisfiable:v1.UnsatisfiableConstraintAction
  nodeAffinityPolicy*:v1.NodeInclusionPolicy nodeTaintsPolicy*:v1.NodeInclusionPolicy
api.core.v1.TypedLocalObjectReference apiGroup*!
api.core.v1.TypedObjectReference apiGroup*! namespace*
api.core.v1.VolumeMount readOnly. recursiveReadOnly*:v1.RecursiveReadOnlyMode
  mountPropagation*:v1.MountPropagationMode
api.core.v1.VolumeMountStatus readOnly. recursiveReadOnly*:v1.RecursiveReadOnlyMode
api.core.v1.VolumeResourceRequirements limits:v1.ResourceList requests:v1.ResourceList
api.core.v1.WindowsSecurityContextOptions gmsaCredentialSpecName* gmsaCredentialSpec* runAsUserName*
api.discovery.v1.Endpoint conditions. hostname* nodeName* zone*
api.discovery.v1.EndpointPort name* protocol*:v1.Protocol appProtocol*
api.discovery.v1.EndpointSlice addressType:v1.AddressType endpoints! ports!
api.events.v1.Event metadata! regarding. deprecatedSource. deprecatedFirstTimestamp.
  deprecatedLastTimestamp. deprecatedCount.
api.flowcontrol.v1.FlowDistinguisherMethod type:v1.FlowDistinguisherMethodType
api.flowcontrol.v1.FlowSchemaCondition type:v1.FlowSchemaConditionType status:v1.ConditionStatus
  lastTransitionTime.
api.flowcontrol.v1.FlowSchemaSpec matchingPrecedence.!
api.flowcontrol.v1.LimitResponse type:v1.LimitResponseType
api.flowcontrol.v1.LimitedPriorityLevelConfiguration nominalConcurrencyShares! limitResponse.
api.flowcontrol.v1.PriorityLevelConfigurationCondition type:v1.PriorityLevelConfigurationConditionType
  status:v1.ConditionStatus lastTransitionTime.
api.flowcontrol.v1.PriorityLevelConfigurationSpec type:v1.PriorityLevelEnablement
api.flowcontrol.v1.QueuingConfiguration queues.! handSize.! queueLengthLimit.!
api.flowcontrol.v1.ResourcePolicyRule clusterScope. namespaces!
api.flowcontrol.v1.Subject kind:v1.SubjectKind
api.networking.v1.HTTPIngressPath pathType*:v1.PathType
api.networking.v1.IPAddress spec?
api.networking.v1.IPAddressSpec parentRef*?
api.networking.v1.IngressClassParametersReference apiGroup* scope*! namespace*
api.networking.v1.IngressPortStatus protocol:v1.Protocol error*
api.networking.v1.IngressServiceBackend port.
api.networking.v1.IngressSpec ingressClassName*
api.networking.v1.IngressStatus loadBalancer.
api.networking.v1.NetworkPolicyPort protocol*:v1.Protocol
api.networking.v1.NetworkPolicySpec podSelector.! policyTypes:[]v1.PolicyType
api.networking.v1.ParentReference resource? name?
api.networking.v1.ServiceBackendPort number.
api.networking.v1beta1.IPAddress spec?
api.networking.v1beta1.IPAddressSpec parentRef*?
api.networking.v1beta1.ParentReference resource? name?
api.node.v1.Overhead podFixed:v1.ResourceList
api.policy.v1.PodDisruptionBudgetSpec unhealthyPodEvictionPolicy*:v1.UnhealthyPodEvictionPolicyType
api.policy.v1.PodDisruptionBudgetStatus observedGeneration. disruptionsAllowed.! currentHealthy.!
  desiredHealthy.! expectedPods.!
api.rbac.v1.ClusterRole rules!
api.rbac.v1.Role rules!
api.rbac.v1.RoleRef apiGroup!
api.resource.v1.AllocatedDeviceStatus shareID* conditions!
api.resource.v1.AllocationResult devices.
api.resource.v1.CapacityRequestPolicy default!
api.resource.v1.CapacityRequestPolicyRange min*?
api.resource.v1.CapacityRequirements requests:map[v1.QualifiedName]resource.Quantity
api.resource.v1.CounterSet counters?
api.resource.v1.Device attributes:map[v1.QualifiedName]v1.DeviceAttribute
  capacity:map[v1.QualifiedName]v1.DeviceCapacity nodeName*
  nodeAllocatableResourceMappings:map[v1.ResourceName]v1.NodeAllocatableResourceMapping
api.resource.v1.DeviceAllocationConfiguration source:v1.AllocationConfigSource
api.resource.v1.DeviceAttribute string* version*
api.resource.v1.DeviceClaim requests!
api.resource.v1.DeviceClassSpec extendedResourceName*
api.resource.v1.DeviceConstraint matchAttribute*:v1.FullyQualifiedName
  distinctAttribute*:v1.FullyQualifiedName
api.resource.v1.DeviceCounterConsumption counters?
api.resource.v1.DeviceRequestAllocationResult shareID*:types.UID
  consumedCapacity:map[v1.QualifiedName]resource.Quantity
api.resource.v1.DeviceSubRequest allocationMode:v1.DeviceAllocationMode count.
api.resource.v1.DeviceTaint effect:v1.DeviceTaintEffect
api.resource.v1.DeviceToleration operator:v1.DeviceTolerationOperator effect:v1.DeviceTaintEffect
api.resource.v1.ExactDeviceRequest allocationMode:v1.DeviceAllocationMode count.
api.resource.v1.NodeAllocatableResourceMapping capacityKey*:v1.QualifiedName
api.resource.v1.ResourceClaimConsumerReference uid:types.UID
api.resource.v1.ResourceClaimSpec devices.!
api.resource.v1.ResourceSliceSpec nodeName*
api.resource.v1alpha3.DeviceTaint effect:v1alpha3.DeviceTaintEffect
api.resource.v1alpha3.DeviceTaintRuleSpec taint?
api.resource.v1alpha3.DeviceTaintSelector driver* pool* device*
api.resource.v1alpha3.PoolStatus driver? poolName? nodeName* validationError*
api.resource.v1alpha3.ResourcePoolStatusRequest metadata? status*
api.resource.v1alpha3.ResourcePoolStatusRequestSpec poolName*
api.resource.v1alpha3.ResourcePoolStatusRequestStatus poolCount*?
api.resource.v1beta1.AllocatedDeviceStatus shareID* conditions!
api.resource.v1beta1.AllocationResult devices.
api.resource.v1beta1.BasicDevice attributes:map[v1beta1.QualifiedName]v1beta1.DeviceAttribute
  capacity:map[v1beta1.QualifiedName]v1beta1.DeviceCapacity nodeName*
  nodeAllocatableResourceMappings:map[v1.ResourceName]v1beta1.NodeAllocatableResourceMapping
api.resource.v1beta1.CapacityRequestPolicy default!
api.resource.v1beta1.CapacityRequestPolicyRange min*?
api.resource.v1beta1.CapacityRequirements requests:map[v1beta1.QualifiedName]resource.Quantity
api.resource.v1beta1.CounterSet counters?
api.resource.v1beta1.DeviceAllocationConfiguration source:v1beta1.AllocationConfigSource
api.resource.v1beta1.DeviceAttribute string* version*
api.resource.v1beta1.DeviceClaim requests!
api.resource.v1beta1.DeviceClassSpec extendedResourceName*
api.resource.v1beta1.DeviceConstraint matchAttribute*:v1beta1.FullyQualifiedName
  distinctAttribute*:v1beta1.FullyQualifiedName
api.resource.v1beta1.DeviceCounterConsumption counters?
api.resource.v1beta1.DeviceRequest deviceClassName! allocationMode:v1beta1.DeviceAllocationMode count.
api.resource.v1beta1.DeviceRequestAllocationResult shareID*:types.UID
  consumedCapacity:map[v1beta1.QualifiedName]resource.Quantity
api.resource.v1beta1.DeviceSubRequest allocationMode:v1beta1.DeviceAllocationMode count.
api.resource.v1beta1.DeviceTaint effect:v1beta1.DeviceTaintEffect
api.resource.v1beta1.DeviceToleration operator:v1beta1.DeviceTolerationOperator
  effect:v1beta1.DeviceTaintEffect
api.resource.v1beta1.NodeAllocatableResourceMapping capacityKey*:v1beta1.QualifiedName
api.resource.v1beta1.ResourceClaimConsumerReference uid:types.UID
api.resource.v1beta1.ResourceClaimSpec devices.!
api.resource.v1beta1.ResourceSliceSpec allNodes.
api.resource.v1beta2.AllocatedDeviceStatus shareID* conditions!
api.resource.v1beta2.AllocationResult devices.
api.resource.v1beta2.CapacityRequestPolicy default!
api.resource.v1beta2.CapacityRequestPolicyRange min*?
api.resource.v1beta2.CapacityRequirements requests:map[v1beta2.QualifiedName]resource.Quantity
api.resource.v1beta2.CounterSet counters?
api.resource.v1beta2.Device attributes:map[v1beta2.QualifiedName]v1beta2.DeviceAttribute
  capacity:map[v1beta2.QualifiedName]v1beta2.DeviceCapacity nodeName*
  nodeAllocatableResourceMappings:map[v1.ResourceName]v1beta2.NodeAllocatableResourceMapping
api.resource.v1beta2.DeviceAllocationConfiguration source:v1beta2.AllocationConfigSource
api.resource.v1beta2.DeviceAttribute string* version*
api.resource.v1beta2.DeviceClaim requests!
api.resource.v1beta2.DeviceClassSpec extendedResourceName*
api.resource.v1beta2.DeviceConstraint matchAttribute*:v1beta2.FullyQualifiedName
  distinctAttribute*:v1beta2.FullyQualifiedName
api.resource.v1beta2.DeviceCounterConsumption counters?
api.resource.v1beta2.DeviceRequestAllocationResult shareID*:types.UID
  consumedCapacity:map[v1beta2.QualifiedName]resource.Quantity
api.resource.v1beta2.DeviceSubRequest allocationMode:v1beta2.DeviceAllocationMode count.
api.resource.v1beta2.DeviceTaint effect:v1beta2.DeviceTaintEffect
api.resource.v1beta2.DeviceTaintRuleSpec taint?
api.resource.v1beta2.DeviceTaintSelector driver* pool* device*
api.resource.v1beta2.DeviceToleration operator:v1beta2.DeviceTolerationOperator
  effect:v1beta2.DeviceTaintEffect
api.resource.v1beta2.ExactDeviceRequest allocationMode:v1beta2.DeviceAllocationMode count.
api.resource.v1beta2.NodeAllocatableResourceMapping capacityKey*:v1beta2.QualifiedName
api.resource.v1beta2.ResourceClaimConsumerReference uid:types.UID
api.resource.v1beta2.ResourceClaimSpec devices.!
api.resource.v1beta2.ResourceSliceSpec nodeName*
api.scheduling.v1.PriorityClass value.! globalDefault. preemptionPolicy*:v1.PreemptionPolicy
api.scheduling.v1alpha2.PodGroupResourceClaim resourceClaimName* resourceClaimTemplateName*
api.scheduling.v1alpha2.PodGroupResourceClaimStatus resourceClaimName*
api.scheduling.v1alpha2.PodGroupSpec podGroupTemplateRef! disruptionMode*:v1alpha2.DisruptionMode
api.scheduling.v1alpha2.PodGroupTemplate schedulingConstraints! disruptionMode*:v1alpha2.DisruptionMode
api.scheduling.v1alpha2.PodGroupTemplateReference workload!
api.storage.v1.CSIDriverSpec volumeLifecycleModes:[]v1.VolumeLifecycleMode fsGroupPolicy*:v1.FSGroupPolicy
api.storage.v1.CSINodeDriver topologyKeys!
api.storage.v1.StorageClass reclaimPolicy*:v1.PersistentVolumeReclaimPolicy
  volumeBindingMode*:v1.VolumeBindingMode
api.storage.v1.VolumeAttachmentSource persistentVolumeName*
api.storage.v1.VolumeError time.
apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceColumnDefinition priority.
apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceConversion
  strategy:v1.ConversionStrategyType
apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionCondition
  type:v1.CustomResourceDefinitionConditionType status:v1.ConditionStatus lastTransitionTime.
  observedGeneration.
apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionSpec scope:v1.ResourceScope
  preserveUnknownFields.
apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus conditions!
  acceptedNames.! storedVersions! observedGeneration.
apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionVersion deprecated.
  deprecationWarning*
apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresourceScale labelSelectorPath*
apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps $schema:v1.JSONSchemaURL $ref*
  exclusiveMaximum. exclusiveMinimum. uniqueItems. dependencies:v1.JSONSchemaDependencies
  definitions:v1.JSONSchemaDefinitions nullable. x-kubernetes-embedded-resource.
  x-kubernetes-int-or-string. x-kubernetes-list-type* x-kubernetes-map-type*
  x-kubernetes-validations:v1.ValidationRules
apiextensions-apiserver.pkg.apis.apiextensions.v1.ServiceReference path*
apiextensions-apiserver.pkg.apis.apiextensions.v1.ValidationRule reason*:v1.FieldValueErrorReason
apiextensions-apiserver.pkg.apis.apiextensions.v1.WebhookClientConfig url*
apimachinery.pkg.apis.meta.v1.APIGroup preferredVersion.
apimachinery.pkg.apis.meta.v1.APIResource verbs:v1.Verbs
apimachinery.pkg.apis.meta.v1.Condition status:v1.ConditionStatus observedGeneration.
apimachinery.pkg.apis.meta.v1.DeleteOptions propagationPolicy*:v1.DeletionPropagation
apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement operator:v1.FieldSelectorOperator
apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement operator:v1.LabelSelectorOperator
apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry operation:v1.ManagedFieldsOperationType
apimachinery.pkg.apis.meta.v1.ObjectMeta uid:types.UID generation. creationTimestamp.0
apimachinery.pkg.apis.meta.v1.OwnerReference uid:types.UID
apimachinery.pkg.apis.meta.v1.Preconditions uid*:types.UID resourceVersion*
apimachinery.pkg.apis.meta.v1.Status reason:v1.StatusReason code.
apimachinery.pkg.apis.meta.v1.StatusCause reason:v1.CauseType
apimachinery.pkg.apis.meta.v1.StatusDetails uid:types.UID retryAfterSeconds.
kube-aggregator.pkg.apis.apiregistration.v1.APIServiceCondition type:v1.APIServiceConditionType
  status:v1.ConditionStatus lastTransitionTime.
kube-aggregator.pkg.apis.apiregistration.v1.APIServiceSpec insecureSkipTLSVerify.
"""
