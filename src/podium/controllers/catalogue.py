"""All controllers of the controller manager, and which of them `--controllers` means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from podium.base.pki import KeyPair
from podium.controllers.attach_detach import FORCE_AFTER_S, attach_detach
from podium.controllers.autoscaler_plan import Options as AutoscalerOptions
from podium.controllers.bootstrap_signer import BOOTSTRAP_SIGNER
from podium.controllers.clusterrole_aggregation import CLUSTERROLE_AGGREGATION
from podium.controllers.clustertrustbundle_publisher import clustertrustbundle_publisher
from podium.controllers.cronjob import CRONJOB
from podium.controllers.csr_approving import CSR_APPROVING
from podium.controllers.csr_cleaner import CSR_CLEANER
from podium.controllers.csr_signing import DEFAULT_DURATION_S, csr_signing
from podium.controllers.daemonset import daemonset
from podium.controllers.deployment import DEPLOYMENT
from podium.controllers.device_taint_eviction import device_taint_eviction
from podium.controllers.disruption import disruption
from podium.controllers.endpoints import endpoints
from podium.controllers.endpointslice import endpointslice
from podium.controllers.endpointslice_mirroring import ENDPOINTS_PER_SUBSET_MAX, endpointslice_mirroring
from podium.controllers.endpointslice_plan import ENDPOINTS_PER_SLICE_MAX
from podium.controllers.ephemeral_volume import EPHEMERAL_VOLUME
from podium.controllers.garbage_collector import GARBAGE_COLLECTOR
from podium.controllers.horizontal_pod_autoscaler import horizontal_pod_autoscaler
from podium.controllers.hostpath_provisioner import HostPathProvisioner
from podium.controllers.job import job_controller
from podium.controllers.legacy_serviceaccount_token_cleaner import (
    CLEAN_UP_PERIOD_S,
    legacy_serviceaccount_token_cleaner,
)
from podium.controllers.names import ALIASES, CLOUDS
from podium.controllers.namespace import NAMESPACE
from podium.controllers.node_ipam import MASK_SIZES, node_ipam
from podium.controllers.node_lifecycle import STARTUP_GRACE_S, node_lifecycle
from podium.controllers.node_zones import EvictionRates
from podium.controllers.pod_gc import ENDED_MAX, pod_gc
from podium.controllers.podcertificaterequest_cleaner import PODCERTIFICATEREQUEST_CLEANER
from podium.controllers.podgroup_protection import PODGROUP_PROTECTION
from podium.controllers.replicaset import REPLICASET, REPLICATIONCONTROLLER
from podium.controllers.resourceclaim import RESOURCECLAIM
from podium.controllers.resourcepoolstatusrequest import RESOURCEPOOLSTATUSREQUEST
from podium.controllers.resourcequota import RESOURCEQUOTA
from podium.controllers.root_ca import root_ca_publisher
from podium.controllers.selinux_warning import NAME as SELINUX_WARNING
from podium.controllers.selinux_warning import selinux_warning
from podium.controllers.service_cidrs import SERVICE_CIDRS
from podium.controllers.serviceaccount import SERVICEACCOUNT
from podium.controllers.serviceaccount_token import serviceaccount_token
from podium.controllers.statefulset import statefulset
from podium.controllers.storage_version_migrator import STORAGE_VERSION_MIGRATOR
from podium.controllers.storageversion_gc import STORAGEVERSION_GC
from podium.controllers.taint_eviction import taint_eviction
from podium.controllers.token_cleaner import TOKEN_CLEANER
from podium.controllers.ttl import ttl
from podium.controllers.ttl_after_finished import TTL_AFTER_FINISHED
from podium.controllers.validatingadmissionpolicy_status import VALIDATINGADMISSIONPOLICY_STATUS
from podium.controllers.volume_binding import VolumeBinder
from podium.controllers.volume_expand import VOLUME_EXPAND
from podium.controllers.volume_protection import CLAIM_PROTECTION, CLASS_PROTECTION, VOLUME_PROTECTION
from podium.controllers.volume_provisioning import Provisioner
from podium.machinery.feature_gates import FeatureGates
from podium.runtime import choice
from podium.runtime.controller import Runnable


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What flags say to controllers. Empty: the controllers that need it do not run."""

    root_ca: str = ""
    service_account_key: str = ""
    cluster_cidr: str = ""
    node_cidr_mask_sizes: Mapping[int, int] = field(default_factory=lambda: MASK_SIZES)
    """By the version of IP."""
    service_cidr: str = ""
    node_monitor_grace_s: float = 50.0
    node_startup_grace_s: float = STARTUP_GRACE_S
    eviction_rates: EvictionRates = field(default_factory=EvictionRates)
    signing: Mapping[str, KeyPair] = field(default_factory=dict)
    """The authority of each signer."""
    signing_duration_s: float = DEFAULT_DURATION_S
    legacy_token_clean_up_s: float = CLEAN_UP_PERIOD_S
    hostpath_provisioner: bool = False
    provisioners: Sequence[Provisioner] = ()
    """Further provisioners of volumes."""
    dynamic_provisioning: bool = True
    force_detach_after_s: float | None = FORCE_AFTER_S
    endpoints_per_slice_max: int = ENDPOINTS_PER_SLICE_MAX
    mirrored_per_subset_max: int = ENDPOINTS_PER_SUBSET_MAX
    autoscaler: AutoscalerOptions = field(default_factory=AutoscalerOptions)
    ended_pods_max: int = ENDED_MAX
    garbage_collector: bool = True
    gates: FeatureGates = field(default_factory=lambda: FeatureGates(version="1.36"))


OFF_BY_DEFAULT = frozenset({BOOTSTRAP_SIGNER.name, TOKEN_CLEANER.name, SELINUX_WARNING})
"""What `*` does not mean: these run where they are named."""


_NEEDS_GATES: Mapping[str, tuple[str, ...]] = {
    "device-taint-eviction-controller": ("DRADeviceTaints",),
    "kube-apiserver-serving-clustertrustbundle-publisher-controller": ("ClusterTrustBundle",),
    "podcertificaterequest-cleaner-controller": ("PodCertificateRequest",),
    "podgroup-protection-controller": ("GenericWorkload",),
    "resourcepoolstatusrequest-controller": ("DRAResourcePoolStatus",),
    "selinux-warning-controller": ("SELinuxChangePolicy",),
    "storage-version-migrator-controller": ("StorageVersionMigrator",),
    "storageversion-garbage-collector-controller": ("APIServerIdentity", "StorageVersionAPI"),
}
"""The feature gates without which controllers do not run."""


def catalogue(settings: Settings) -> Sequence[Runnable]:
    """Return all controllers, in the order in which they start."""
    return (
        SERVICEACCOUNT,
        root_ca_publisher(settings.root_ca),
        serviceaccount_token(settings.service_account_key, settings.root_ca),
        legacy_serviceaccount_token_cleaner(settings.legacy_token_clean_up_s),
        BOOTSTRAP_SIGNER,
        TOKEN_CLEANER,
        CLUSTERROLE_AGGREGATION,
        CSR_APPROVING,
        CSR_CLEANER,
        PODCERTIFICATEREQUEST_CLEANER,
        clustertrustbundle_publisher(settings.root_ca),
        csr_signing(settings.signing, settings.signing_duration_s),
        node_ipam(settings.cluster_cidr, settings.service_cidr, settings.node_cidr_mask_sizes),
        node_lifecycle(
            settings.node_monitor_grace_s,
            rates=settings.eviction_rates,
            startup_grace_s=settings.node_startup_grace_s,
        ),
        taint_eviction(),
        device_taint_eviction(with_rules=settings.gates.enabled("DRADeviceTaintRules")),
        pod_gc(ended_max=settings.ended_pods_max),
        NAMESPACE,
        DEPLOYMENT,
        REPLICASET,
        REPLICATIONCONTROLLER,
        daemonset(),
        statefulset(max_unavailable=settings.gates.enabled("MaxUnavailableStatefulSet")),
        job_controller(),
        CRONJOB,
        TTL_AFTER_FINISHED,
        endpointslice(settings.endpoints_per_slice_max),
        endpoints(),
        endpointslice_mirroring(settings.mirrored_per_subset_max),
        horizontal_pod_autoscaler(settings.autoscaler),
        SERVICE_CIDRS,
        disruption(),
        RESOURCEQUOTA,
        ttl(),
        VolumeBinder(
            provisioners=(
                HostPathProvisioner(enabled=settings.hostpath_provisioner),
                *settings.provisioners,
            ),
            dynamic_provisioning=settings.dynamic_provisioning,
        ),
        attach_detach(force_after_s=settings.force_detach_after_s),
        VOLUME_EXPAND,
        EPHEMERAL_VOLUME,
        RESOURCECLAIM,
        RESOURCEPOOLSTATUSREQUEST,
        PODGROUP_PROTECTION,
        CLAIM_PROTECTION,
        VOLUME_PROTECTION,
        CLASS_PROTECTION,
        VALIDATINGADMISSIONPOLICY_STATUS,
        STORAGE_VERSION_MIGRATOR,
        STORAGEVERSION_GC,
        selinux_warning(),
        GARBAGE_COLLECTOR,
    )


def without_settings(settings: Settings) -> frozenset[str]:
    """Return the names of the controllers that cannot run, for want of a flag or of a feature gate."""
    needs = {
        "root-ca-certificate-publisher-controller": settings.root_ca,
        "serviceaccount-token-controller": settings.service_account_key,
        "node-ipam-controller": settings.cluster_cidr,
        "certificatesigningrequest-signing-controller": settings.signing,
        "kube-apiserver-serving-clustertrustbundle-publisher-controller": settings.root_ca,
        GARBAGE_COLLECTOR.name: settings.garbage_collector,
    }
    gated = (n for n, gates in _NEEDS_GATES.items() if not all(map(settings.gates.enabled, gates)))
    return frozenset(name for name, need in needs.items() if not need).union(gated)


def chosen(controllers: Sequence[Runnable], wish: str) -> list[Runnable]:
    """Return those of `controllers` that the flag's text means. Raises ValueError on an unknown name."""
    return choice.chosen(
        controllers,
        wish,
        off_by_default=OFF_BY_DEFAULT,
        aliases=ALIASES,
        elsewhere=CLOUDS,
    )
