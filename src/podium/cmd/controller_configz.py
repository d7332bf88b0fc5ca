"""What the controller manager was told, as upstream's KubeControllerManagerConfiguration: its /configz."""

from __future__ import annotations

import argparse

from podium.machinery.durations import shown
from podium.machinery.errors import Object

NAME = "kubecontrollermanager.config.k8s.io"


def configz(arguments: argparse.Namespace) -> Object:
    """Return the document, in which upstream's names and defaults stand for what has no flag here."""
    a = arguments
    return {
        NAME: {
            "kind": "KubeControllerManagerConfiguration",
            "apiVersion": f"{NAME}/v1alpha1",
            "Generic": _generic(a),
            "KubeCloudShared": {
                "CloudProvider": {"Name": a.cloud_provider, "CloudConfigFile": ""},
                "ExternalCloudVolumePlugin": "",
                "UseServiceAccountCredentials": a.use_service_account_credentials,
                "AllowUntaggedCloud": False,
                "RouteReconciliationPeriod": "10s",
                "NodeMonitorPeriod": "5s",
                "ClusterName": "kubernetes",
                "ClusterCIDR": a.cluster_cidr,
                "AllocateNodeCIDRs": a.allocate_node_cidrs,
                "CIDRAllocatorType": a.cidr_allocator_type,
                "ConfigureCloudRoutes": True,
                "NodeSyncPeriod": "0s",
            },
            **_workloads(a),
            **_cluster(a),
        }
    }


def _generic(a: argparse.Namespace) -> Object:
    return {
        "Port": 0,
        "Address": a.bind_address,
        "MinResyncPeriod": "12h0m0s",
        "ClientConnection": {
            "kubeconfig": a.kubeconfig,
            "acceptContentTypes": "",
            "contentType": "application/json",
            "qps": a.kube_api_qps,
            "burst": a.kube_api_burst,
        },
        "ControllerStartInterval": shown(a.controller_start_interval),
        "LeaderElection": {
            "leaderElect": a.leader_elect,
            "leaseDuration": shown(a.leader_elect_lease_duration),
            "renewDeadline": shown(a.leader_elect_renew_deadline),
            "retryPeriod": shown(a.leader_elect_retry_period),
            "resourceLock": a.leader_elect_resource_lock,
            "resourceName": a.leader_elect_resource_name,
            "resourceNamespace": a.leader_elect_resource_namespace,
        },
        "Controllers": a.controllers.split(","),
        "Debugging": {"enableProfiling": False, "enableContentionProfiling": False},
        "LeaderMigrationEnabled": False,
        "LeaderMigration": {"leaderName": "", "resourceLock": "", "controllerLeaders": None},
    }


def _workloads(a: argparse.Namespace) -> Object:
    return {
        "CronJobController": {"ConcurrentCronJobSyncs": a.concurrent_cron_job_syncs},
        "DaemonSetController": {"ConcurrentDaemonSetSyncs": a.concurrent_daemonset_syncs},
        "DeploymentController": {"ConcurrentDeploymentSyncs": a.concurrent_deployment_syncs},
        "HPAController": {
            "ConcurrentHorizontalPodAutoscalerSyncs": a.concurrent_horizontal_pod_autoscaler_syncs,
            "HorizontalPodAutoscalerSyncPeriod": shown(a.horizontal_pod_autoscaler_sync_period),
            "HorizontalPodAutoscalerDownscaleStabilizationWindow": shown(
                a.horizontal_pod_autoscaler_downscale_stabilization
            ),
            "HorizontalPodAutoscalerTolerance": a.horizontal_pod_autoscaler_tolerance,
            "HorizontalPodAutoscalerCPUInitializationPeriod": shown(
                a.horizontal_pod_autoscaler_cpu_initialization_period
            ),
            "HorizontalPodAutoscalerInitialReadinessDelay": shown(
                a.horizontal_pod_autoscaler_initial_readiness_delay
            ),
        },
        "JobController": {"ConcurrentJobSyncs": a.concurrent_job_syncs},
        "ReplicaSetController": {"ConcurrentRSSyncs": a.concurrent_replicaset_syncs},
        "ReplicationController": {"ConcurrentRCSyncs": a.concurrent_rc_syncs},
        "StatefulSetController": {"ConcurrentStatefulSetSyncs": a.concurrent_statefulset_syncs},
        "TTLAfterFinishedController": {"ConcurrentTTLSyncs": a.concurrent_ttl_after_finished_syncs},
        "EndpointController": {
            "ConcurrentEndpointSyncs": a.concurrent_endpoint_syncs,
            "EndpointUpdatesBatchPeriod": shown(a.endpoint_updates_batch_period),
        },
        "EndpointSliceController": {
            "ConcurrentServiceEndpointSyncs": a.concurrent_service_endpoint_syncs,
            "MaxEndpointsPerSlice": a.max_endpoints_per_slice,
            "EndpointUpdatesBatchPeriod": shown(a.endpointslice_updates_batch_period),
        },
        "EndpointSliceMirroringController": {
            "MirroringConcurrentServiceEndpointSyncs": a.mirroring_concurrent_service_endpoint_syncs,
            "MirroringMaxEndpointsPerSubset": a.mirroring_max_endpoints_per_subset,
            "MirroringEndpointUpdatesBatchPeriod": shown(a.mirroring_endpointslice_updates_batch_period),
        },
    }


def _cluster(a: argparse.Namespace) -> Object:
    def files(name: str) -> Object:
        flag = f"cluster_signing_{name}"
        return {"CertFile": getattr(a, f"{flag}_cert_file"), "KeyFile": getattr(a, f"{flag}_key_file")}

    ranges = [*a.service_cluster_ip_range.split(","), ""]
    return {
        "AttachDetachController": {
            "DisableAttachDetachReconcilerSync": False,
            "ReconcilerSyncLoopPeriod": "1m0s",
            "disableForceDetachOnTimeout": a.disable_force_detach_on_timeout,
        },
        "CSRSigningController": {
            "ClusterSigningCertFile": a.cluster_signing_cert_file,
            "ClusterSigningKeyFile": a.cluster_signing_key_file,
            "KubeletServingSignerConfiguration": files("kubelet_serving"),
            "KubeletClientSignerConfiguration": files("kubelet_client"),
            "KubeAPIServerClientSignerConfiguration": files("kube_apiserver_client"),
            "LegacyUnknownSignerConfiguration": files("legacy_unknown"),
            "ClusterSigningDuration": shown(a.cluster_signing_duration),
        },
        "DeprecatedController": {},
        "DeviceTaintEvictionController": {"ConcurrentSyncs": a.concurrent_device_taint_eviction_syncs},
        "EphemeralVolumeController": {"ConcurrentEphemeralVolumeSyncs": a.concurrent_ephemeralvolume_syncs},
        "GarbageCollectorController": {
            "EnableGarbageCollector": a.enable_garbage_collector,
            "ConcurrentGCSyncs": a.concurrent_gc_syncs,
            "GCIgnoredResources": [{"Group": "", "Resource": "events"}],
        },
        "LegacySATokenCleaner": {"CleanUpPeriod": shown(a.legacy_service_account_token_clean_up_period)},
        "NamespaceController": {
            "NamespaceSyncPeriod": "5m0s",
            "ConcurrentNamespaceSyncs": a.concurrent_namespace_syncs,
        },
        "NodeIPAMController": {
            "ServiceCIDR": ranges[0],
            "SecondaryServiceCIDR": ranges[1],
            "NodeCIDRMaskSize": a.node_cidr_mask_size,
            "NodeCIDRMaskSizeIPv4": a.node_cidr_mask_size_ipv4,
            "NodeCIDRMaskSizeIPv6": a.node_cidr_mask_size_ipv6,
        },
        "NodeLifecycleController": {
            "NodeEvictionRate": a.node_eviction_rate,
            "SecondaryNodeEvictionRate": a.secondary_node_eviction_rate,
            "NodeStartupGracePeriod": shown(a.node_startup_grace_period),
            "NodeMonitorGracePeriod": shown(a.node_monitor_grace_period),
            "PodEvictionTimeout": "5m0s",
            "LargeClusterSizeThreshold": a.large_cluster_size_threshold,
            "UnhealthyZoneThreshold": a.unhealthy_zone_threshold,
        },
        "PersistentVolumeBinderController": {
            "PVClaimBinderSyncPeriod": "15s",
            "VolumeConfiguration": {
                "EnableHostPathProvisioning": a.enable_hostpath_provisioner,
                "EnableDynamicProvisioning": a.enable_dynamic_provisioning,
                "PersistentVolumeRecyclerConfiguration": {
                    "MaximumRetry": 3,
                    "MinimumTimeoutNFS": 300,
                    "PodTemplateFilePathNFS": "",
                    "IncrementTimeoutNFS": 30,
                    "PodTemplateFilePathHostPath": "",
                    "MinimumTimeoutHostPath": 60,
                    "IncrementTimeoutHostPath": 30,
                },
                "FlexVolumePluginDir": "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/",
            },
        },
        "PodGCController": {"TerminatedPodGCThreshold": a.terminated_pod_gc_threshold},
        "ResourceClaimController": {"ConcurrentSyncs": a.concurrent_resourceclaim_syncs},
        "ResourceQuotaController": {
            "ResourceQuotaSyncPeriod": "5m0s",
            "ConcurrentResourceQuotaSyncs": a.concurrent_resource_quota_syncs,
        },
        "SAController": {
            "ServiceAccountKeyFile": a.service_account_private_key_file,
            "ConcurrentSATokenSyncs": a.concurrent_serviceaccount_token_syncs,
            "RootCAFile": a.root_ca_file,
        },
        "ServiceController": {"ConcurrentServiceSyncs": 1},
        "ValidatingAdmissionPolicyStatusController": {
            "ConcurrentPolicySyncs": a.concurrent_validating_admission_policy_status_syncs
        },
    }
