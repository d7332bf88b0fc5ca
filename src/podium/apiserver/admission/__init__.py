"""What may be written, and what is filled in: one file for each plugin, ordered by `build`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from podium.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from podium.apiserver.admission.cluster_trust_bundle_attest import ClusterTrustBundleAttest
from podium.apiserver.admission.default_class import (
    DefaultIngressClass,
    DefaultStorageClass,
    PersistentVolumeClaimResize,
)
from podium.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from podium.apiserver.admission.limit_ranger import LimitRanger
from podium.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from podium.apiserver.admission.node_restriction import NodeRestriction
from podium.apiserver.admission.pod_group_protection import PodGroupProtection
from podium.apiserver.admission.pod_group_workload_exists import PodGroupWorkloadExists
from podium.apiserver.admission.pod_resize_validator import PodResizeValidator
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
from podium.base.clock import Clock, WallClock
from podium.machinery.errors import Object


class Misconfigured(ValueError):
    """A choice of plugins that makes no sense, or a plugin that is told what makes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What plugins may need."""

    reader: Reader
    authorizer: Authorizer
    clock: Clock
    configuration: Object
    enabled: Callable[[str], bool]
    """Whether a feature gate is on."""


_Make = Callable[[_Given], AdmissionPlugin]

_RARE: Mapping[str, tuple[str, ...]] = {
    "AlwaysAdmit": ("always",),
    "NamespaceAutoProvision": ("namespace_auto_provision", "reader"),
    "NamespaceExists": ("namespace_exists", "reader"),
    "LimitPodHardAntiAffinityTopology": ("limit_pod_hard_anti_affinity_topology",),
    "AlwaysPullImages": ("always_pull_images",),
    "ImagePolicyWebhook": ("image_policy_webhook", "clock", "configuration"),
    "PodNodeSelector": ("pod_node_selector", "reader", "configuration"),
    "PodTolerationRestriction": ("pod_toleration_restriction", "reader", "configuration"),
    "EventRateLimit": ("event_rate_limit", "clock", "configuration"),
    "ExtendedResourceToleration": ("extended_resource_toleration",),
    "OwnerReferencesPermissionEnforcement": ("owner_references_permission_enforcement", "authorizer"),
    "DenyServiceExternalIPs": ("deny_service_external_ips",),
    "AlwaysDeny": ("always",),
}
"""The plugins that are off by default: the file, loaded where somebody wants it, and what the class takes."""


def _make_rare(name: str, given: _Given) -> AdmissionPlugin:
    module, *needs = _RARE[name]
    found: Any = getattr(import_module(f"podium.apiserver.admission.{module}"), name)
    plugin: AdmissionPlugin = found(*(getattr(given, need) for need in needs))
    return plugin


_USUAL: Mapping[str, _Make] = {
    "NamespaceLifecycle": lambda given: NamespaceLifecycle(given.reader),
    "LimitRanger": lambda given: LimitRanger(given.reader),
    "ServiceAccount": lambda given: ServiceAccount(given.reader),
    # Off by default upstream, and on in every cluster that is set up with care.
    "NodeRestriction": lambda given: NodeRestriction(given.reader, given.authorizer),
    "TaintNodesByCondition": lambda _given: TaintNodesByCondition(),
    "PodSecurity": lambda given: PodSecurity(given.reader, given.configuration),
    "Priority": lambda given: Priority(given.reader, groups=given.enabled("WorkloadAwarePreemption")),
    "DefaultTolerationSeconds": lambda _given: DefaultTolerationSeconds(),
    "DefaultStorageClass": lambda given: DefaultStorageClass(given.reader),
    "StorageObjectInUseProtection": lambda _given: StorageObjectInUseProtection(),
    "PodGroupProtection": lambda _given: PodGroupProtection(),
    "PersistentVolumeClaimResize": lambda given: PersistentVolumeClaimResize(given.reader),
    "RuntimeClass": lambda given: RuntimeClass(given.reader),
    "CertificateApproval": lambda given: CertificateApproval(given.authorizer),
    "CertificateSigning": lambda given: CertificateSigning(given.authorizer),
    "ClusterTrustBundleAttest": lambda given: ClusterTrustBundleAttest(given.authorizer),
    "CertificateSubjectRestriction": lambda _given: CertificateSubjectRestriction(),
    "DefaultIngressClass": lambda given: DefaultIngressClass(given.reader),
    "PodTopologyLabels": lambda given: PodTopologyLabels(given.reader),
    "PodGroupWorkloadExists": lambda given: PodGroupWorkloadExists(given.reader),
    "PodResizeValidator": lambda given: PodResizeValidator(given.reader),
    "MutatingAdmissionPolicy": lambda given: MutatingAdmissionPolicy(given.reader, given.authorizer),
    "MutatingAdmissionWebhook": lambda given: MutatingAdmissionWebhook(
        given.reader, given.authorizer, given.configuration
    ),
    "ValidatingAdmissionPolicy": lambda given: ValidatingAdmissionPolicy(given.reader, given.authorizer),
    "ValidatingAdmissionWebhook": lambda given: ValidatingAdmissionWebhook(
        given.reader, given.authorizer, given.configuration
    ),
    "ResourceQuota": lambda given: ResourceQuota(
        given.reader, clock=given.clock, configuration=given.configuration
    ),
}
"""The plugins that are on by default."""

ORDER = (
    *("AlwaysAdmit", "NamespaceAutoProvision", "NamespaceLifecycle", "NamespaceExists"),
    *("LimitPodHardAntiAffinityTopology", "LimitRanger", "ServiceAccount", "NodeRestriction"),
    *("TaintNodesByCondition", "AlwaysPullImages", "ImagePolicyWebhook", "PodSecurity", "PodNodeSelector"),
    *("Priority", "DefaultTolerationSeconds", "PodTolerationRestriction", "EventRateLimit"),
    *("ExtendedResourceToleration", "DefaultStorageClass", "StorageObjectInUseProtection"),
    *("PodGroupProtection", "OwnerReferencesPermissionEnforcement", "PersistentVolumeClaimResize"),
    *("RuntimeClass", "CertificateApproval", "CertificateSigning", "ClusterTrustBundleAttest"),
    *("CertificateSubjectRestriction", "DefaultIngressClass", "DenyServiceExternalIPs", "PodTopologyLabels"),
    *("PodGroupWorkloadExists", "NodeDeclaredFeatureValidator", "JobValidation", "PodResizeValidator"),
    # Whatever others have to say, policies and webhooks hear of it, and quota counts what will be stored.
    *("MutatingAdmissionPolicy", "MutatingAdmissionWebhook", "ValidatingAdmissionPolicy"),
    *("ValidatingAdmissionWebhook", "ResourceQuota", "AlwaysDeny"),
)
"""All plugins of upstream's 1.36, in upstream's order."""

IDLE = frozenset(name for name in ORDER if name not in _USUAL and name not in _RARE)
"""Those that flags may name and nobody misses: they belong to features that are off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which plugins run, and what they are told."""

    enabled: Collection[str] = ()
    """Beyond those that are on by default."""
    disabled: Collection[str] = ()
    only: Collection[str] | None = None
    """The plugins that run, and no others, whatever is on by default."""
    configurations: Mapping[str, Object] = field(default_factory=dict)

    def errors(self) -> list[str]:
        """Return what is wrong with the choice, in upstream's words."""
        flags = (
            ("enable-admission-plugins", self.enabled),
            ("disable-admission-plugins", self.disabled),
            ("admission-control", self.only or ()),
        )
        errors = [
            f'{flag} plugin "{name}" is unknown'
            for flag, names in flags
            for name in names
            if name not in ORDER
        ]
        both = [name for name in self.enabled if name in self.disabled]
        if both:
            errors.append(
                f"[{' '.join(both)}] in enable-admission-plugins and disable-admission-plugins overlapped"
            )
        if self.only is not None and (self.enabled or self.disabled):
            errors.append(
                "admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually "
                "exclusive"
            )
        return errors

    def chosen(self) -> list[str]:
        """Return the names of the plugins that run, in their order."""
        if self.only is not None:
            wanted = set(self.only)
        else:
            wanted = ({*_USUAL} | {*self.enabled}) - {*self.disabled}
        return [name for name in ORDER if name in wanted and name not in IDLE]


def names() -> tuple[str, ...]:
    """Return the names of the plugins that are on by default, in the order in which they run."""
    return tuple(Choice().chosen())


def rare_names() -> tuple[str, ...]:
    """Return the names of the others."""
    return tuple(name for name in ORDER if name in _RARE)


def build(
    reader: Reader,
    authorizer: Authorizer,
    *,
    clock: Clock | None = None,
    choice: Choice | None = None,
    enabled: Callable[[str], bool] = lambda _gate: False,
) -> tuple[AdmissionPlugin, ...]:
    """Return the chosen plugins, in upstream's order.

    Raises `Misconfigured`.
    """
    choice = choice or Choice()
    if errors := choice.errors():
        raise Misconfigured("; ".join(errors))
    plugins = []
    for name in choice.chosen():
        given = _Given(
            reader=reader,
            authorizer=authorizer,
            clock=clock or WallClock(),
            configuration=choice.configurations.get(name) or {},
            enabled=enabled,
        )
        try:
            plugins.append(_USUAL[name](given) if name in _USUAL else _make_rare(name, given))
        except (OSError, ValueError) as error:
            raise Misconfigured(f"{name}: {error}") from error
    return tuple(plugins)
