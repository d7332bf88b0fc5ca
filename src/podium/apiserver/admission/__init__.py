"""What may be written, and what is filled in: one file for each plugin, ordered by `build`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

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
from podium.apiserver.admission.policies.plugin import MutatingAdmissionPolicy, ValidatingAdmissionPolicy
from podium.apiserver.admission.priority import Priority
from podium.apiserver.admission.resource_quota import ResourceQuota
from podium.apiserver.admission.runtime_class import RuntimeClass
from podium.apiserver.admission.service_account import ServiceAccount
from podium.apiserver.admission.storage_object_in_use_protection import StorageObjectInUseProtection
from podium.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from podium.apiserver.admission.webhooks.plugin import MutatingAdmissionWebhook, ValidatingAdmissionWebhook
from podium.apiserver.chain import AdmissionPlugin, Authorizer, Reader
from podium.base.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What plugins may need."""

    reader: Reader
    authorizer: Authorizer
    clock: Clock | None


_PLUGINS: Mapping[str, Callable[[_Given], AdmissionPlugin]] = {
    "NamespaceLifecycle": lambda given: NamespaceLifecycle(given.reader),
    "LimitRanger": lambda given: LimitRanger(given.reader),
    "ServiceAccount": lambda given: ServiceAccount(given.reader),
    "NodeRestriction": lambda given: NodeRestriction(given.reader),
    "TaintNodesByCondition": lambda _given: TaintNodesByCondition(),
    "PodSecurity": lambda given: PodSecurity(given.reader),
    "Priority": lambda given: Priority(given.reader),
    "DefaultTolerationSeconds": lambda _given: DefaultTolerationSeconds(),
    "DefaultStorageClass": lambda given: DefaultStorageClass(given.reader),
    "StorageObjectInUseProtection": lambda _given: StorageObjectInUseProtection(),
    "PersistentVolumeClaimResize": lambda given: PersistentVolumeClaimResize(given.reader),
    "RuntimeClass": lambda given: RuntimeClass(given.reader),
    "CertificateApproval": lambda given: CertificateApproval(given.authorizer),
    "CertificateSigning": lambda given: CertificateSigning(given.authorizer),
    "CertificateSubjectRestriction": lambda _given: CertificateSubjectRestriction(),
    "DefaultIngressClass": lambda given: DefaultIngressClass(given.reader),
    "PodTopologyLabels": lambda given: PodTopologyLabels(given.reader),
    "MutatingAdmissionPolicy": lambda given: MutatingAdmissionPolicy(given.reader, given.authorizer),
    "MutatingAdmissionWebhook": lambda given: MutatingAdmissionWebhook(given.reader, given.authorizer),
    "ValidatingAdmissionPolicy": lambda given: ValidatingAdmissionPolicy(given.reader, given.authorizer),
    "ValidatingAdmissionWebhook": lambda given: ValidatingAdmissionWebhook(given.reader, given.authorizer),
    # Quota comes last: what it counts must be what will be stored.
    "ResourceQuota": lambda given: ResourceQuota(given.reader, clock=given.clock),
}
"""The plugins that are on by default, in upstream's order."""


def names() -> tuple[str, ...]:
    """Return the names of all plugins, in the order in which they run."""
    return tuple(_PLUGINS)


def build(
    reader: Reader, authorizer: Authorizer, *, clock: Clock | None = None, disabled: Collection[str] = ()
) -> tuple[AdmissionPlugin, ...]:
    """Return the plugins that are on by default, in upstream's order, without the `disabled` ones.

    Raises ValueError for a name that no plugin has.
    """
    if unknown := set(disabled) - _PLUGINS.keys():
        raise ValueError(f"unknown admission plugins: {', '.join(sorted(unknown))}")
    given = _Given(reader=reader, authorizer=authorizer, clock=clock)
    return tuple(make(given) for name, make in _PLUGINS.items() if name not in disabled)
