"""The defaults that OpenAPI v3 tells of fields. Pure.

Upstream generates them from its Go types: a required plain value has its zero as default, and so has a
structure that is no pointer. What follows from neither is listed here. Only v3 tells; v2 has none.
"""

from __future__ import annotations

from collections.abc import Mapping

from podium.machinery.errors import Json, Object

_ZERO: Mapping[str, Json] = {"string": "", "integer": 0, "number": 0, "boolean": False}
_STRUCTURES = ("metadata", "spec", "status")
"""Optional fields that are structures and no pointers, wherever they occur."""
_NOT_PLAIN = (
    "Duration",
    "FieldsV1",
    "IntOrString",
    "JSON",
    "JSONSchemaPropsOrArray",
    "JSONSchemaPropsOrBool",
    "JSONSchemaPropsOrStringArray",
    "MicroTime",
    "Quantity",
    "RawExtension",
    "Time",
)
_NONE = object()


def _all(value: object, names: str) -> dict[str, object]:
    return dict.fromkeys(names.split(), value)


# By type and field, whatever the version of the type, unless a definition's whole name is given.
_SPECIAL: Mapping[str, object] = {
    **_all(
        "",
        """ConfigMapEnvSource.name ConfigMapKeySelector.name ConfigMapProjection.name
        ConfigMapVolumeSource.name DeviceRequest.deviceClassName Event.reportingComponent
        Event.reportingInstance GRPCAction.service
        LocalObjectReference.name NodeRuntimeHandler.name PodFailurePolicyOnPodConditionsPattern.status
        RoleRef.apiGroup SecretEnvSource.name SecretKeySelector.name SecretProjection.name
        StatefulSetSpec.serviceName TokenRequestStatus.token""",
    ),
    **_all(
        0,
        """FlowSchemaSpec.matchingPrecedence PodDisruptionBudgetStatus.currentHealthy
        PodDisruptionBudgetStatus.desiredHealthy PodDisruptionBudgetStatus.disruptionsAllowed
        PodDisruptionBudgetStatus.expectedPods PriorityClass.value QueuingConfiguration.handSize
        QueuingConfiguration.queueLengthLimit QueuingConfiguration.queues
        ReplicationControllerSpec.minReadySeconds ScaleSpec.replicas StatefulSetOrdinals.start
        StatefulSetStatus.availableReplicas""",
    ),
    **_all(False, "AzureDiskVolumeSource.readOnly FileKeySelector.optional"),
    **_all(
        {},
        """APIGroup.preferredVersion AllocationResult.devices Container.resources ContainerStatus.lastState
        ContainerStatus.state CustomResourceDefinitionStatus.acceptedNames DaemonSetSpec.updateStrategy
        DeploymentSpec.strategy Endpoint.conditions EphemeralContainer.resources Event.deprecatedSource
        Event.regarding Event.source IngressServiceBackend.port IngressStatus.loadBalancer
        LimitedPriorityLevelConfiguration.limitResponse NetworkPolicySpec.podSelector
        NodeDaemonEndpoints.kubeletEndpoint NodeStatus.daemonEndpoints NodeStatus.nodeInfo
        PersistentVolumeClaimSpec.resources PodTemplate.template ReplicaSetSpec.template
        ResourceClaimSpec.devices SelfSubjectReviewStatus.userInfo ServiceStatus.loadBalancer
        StatefulSetSpec.updateStrategy TokenReviewStatus.user""",
    ),
    **_all("TCP", "ContainerPort.protocol ServicePort.protocol"),
    **_all("default", "ISCSIPersistentVolumeSource.iscsiInterface ISCSIVolumeSource.iscsiInterface"),
    **_all("/etc/ceph/keyring", "RBDPersistentVolumeSource.keyring RBDVolumeSource.keyring"),
    **_all("rbd", "RBDPersistentVolumeSource.pool RBDVolumeSource.pool"),
    **_all("admin", "RBDPersistentVolumeSource.user RBDVolumeSource.user"),
    **_all("xfs", "ScaleIOPersistentVolumeSource.fsType ScaleIOVolumeSource.fsType"),
    **_all("ThinProvisioned", "ScaleIOPersistentVolumeSource.storageMode ScaleIOVolumeSource.storageMode"),
    "io.k8s.api.events.v1.Event.reportingInstance": _NONE,
    "AzureDiskVolumeSource.cachingMode": "ReadWrite",
    "AzureDiskVolumeSource.fsType": "ext4",
    "AzureDiskVolumeSource.kind": "Shared",
    "DeviceToleration.operator": "Equal",
    "PodCertificateRequestSpec.maxExpirationSeconds": 86400,
    "PodGroupSpec.disruptionMode": "Pod",
    "ReplicationControllerSpec.replicas": 1,
    "ResourcePoolStatusRequestSpec.limit": 100,
    **_all(
        _NONE,
        """CertificateSigningRequestSpec.request ContainerRestartRule.action
        ContainerRestartRuleOnExitCodes.operator HTTPIngressPath.pathType ImageVolumeStatus.imageRef
        LeaseCandidateSpec.strategy MutatingWebhook.sideEffects ParentReference.name ParentReference.resource
        PodCertificateProjection.keyType PodCertificateProjection.signerName
        PodCertificateRequestSpec.stubPKCS10Request PoolStatus.driver PoolStatus.poolName
        ServerStorageVersion.apiServerID ServerStorageVersion.encodingVersion StorageVersionCondition.message
        TokenReviewSpec.token ValidatingAdmissionPolicyBindingSpec.policyName ValidatingWebhook.sideEffects
        CustomResourceSubresources.status DaemonSetSpec.selector DeploymentSpec.selector
        IPAddressSpec.parentRef ReplicaSetSpec.selector ResourcePoolStatusRequest.status
        ScaleIOPersistentVolumeSource.secretRef ScaleIOVolumeSource.secretRef StatefulSetSpec.selector
        ResourcePoolStatusRequestStatus.poolCount""",
    ),
}


def add_defaults(name: str, definition: Object) -> None:
    """Add the defaults of its fields to the definition `name`, in place."""
    kind = name.rpartition(".")[2]
    required = definition.get("required") or ()
    for field, schema in (definition.get("properties") or {}).items():
        value = _SPECIAL.get(f"{name}.{field}", _SPECIAL.get(f"{kind}.{field}"))
        if value is None:
            value = _of(field, schema, required=field in required)
        if value is not _NONE:
            schema["default"] = value


def _of(field: str, schema: Object, *, required: bool) -> object:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        plain = reference.rpartition(".")[2] not in _NOT_PLAIN
        return {} if plain and (required or field in _STRUCTURES) else _NONE
    return _ZERO.get(schema.get("type") or "", _NONE) if required else _NONE
