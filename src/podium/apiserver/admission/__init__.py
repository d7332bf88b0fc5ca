"""What may be written, and what is filled in: one file for each plugin, ordered by `build`."""

from __future__ import annotations

from collections.abc import Collection

from podium.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from podium.apiserver.admission.default_class import (
    DefaultIngressClass,
    DefaultStorageClass,
    PersistentVolumeClaimResize,
)
from podium.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from podium.apiserver.admission.limit_ranger import LimitRanger
from podium.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from podium.apiserver.admission.node_restriction import NodeRestriction
from podium.apiserver.admission.pod_security import PodSecurity
from podium.apiserver.admission.pod_topology_labels import PodTopologyLabels
from podium.apiserver.admission.priority import Priority
from podium.apiserver.admission.resource_quota import ResourceQuota
from podium.apiserver.admission.runtime_class import RuntimeClass
from podium.apiserver.admission.service_account import ServiceAccount
from podium.apiserver.admission.storage_object_in_use_protection import StorageObjectInUseProtection
from podium.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from podium.apiserver.chain import AdmissionPlugin, Authorizer, Reader
from podium.base.clock import Clock


def build(
    reader: Reader, authorizer: Authorizer, *, clock: Clock | None = None, disabled: Collection[str] = ()
) -> tuple[AdmissionPlugin, ...]:
    """Return the plugins that are on by default, in upstream's order, without the `disabled` ones.

    Raises ValueError for a name that no plugin has.
    """
    plugins: tuple[AdmissionPlugin, ...] = (
        NamespaceLifecycle(reader),
        LimitRanger(reader),
        ServiceAccount(reader),
        NodeRestriction(reader),
        TaintNodesByCondition(),
        PodSecurity(reader),
        Priority(reader),
        DefaultTolerationSeconds(),
        DefaultStorageClass(reader),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(reader),
        RuntimeClass(reader),
        CertificateApproval(authorizer),
        CertificateSigning(authorizer),
        CertificateSubjectRestriction(),
        DefaultIngressClass(reader),
        PodTopologyLabels(reader),
        # Quota comes last: what it counts must be what will be stored.
        ResourceQuota(reader, clock=clock),
    )
    unknown = set(disabled) - {plugin.name for plugin in plugins}
    if unknown:
        raise ValueError(f"unknown admission plugins: {', '.join(sorted(unknown))}")
    return tuple(plugin for plugin in plugins if plugin.name not in disabled)
