"""Conformance tests that are not done here: why, and where the like of them is.

Names as in `contract.py`; a star stands for anything.
"""

from __future__ import annotations

_NODE = "[sig-node]"
_STORAGE = "[sig-storage]"
_NETWORK = "[sig-network]"
_CLI = "[sig-cli] Kubectl client"
_MACHINERY = "[sig-api-machinery]"

ELSEWHERE: dict[str, tuple[str, ...]] = {
    "needs containers that really run, files, signals and probes: tests/e2e, tests/kubelet": (
        f"{_NODE} ConfigMap should be consumable *",
        f"{_NODE} Container Lifecycle Hook *",
        f"{_NODE} Container Runtime *",
        f"{_NODE} Containers *",
        f"{_NODE} Downward API *",
        f"{_NODE} Ephemeral Containers [NodeConformance] will start *",
        f"{_NODE} ImageVolume *",
        f"{_NODE} InitContainer *",
        f"{_NODE} Kubelet when *",
        f"{_NODE} KubeletManagedEtcHosts *",
        f"{_NODE} Pod InPlace Resize *",
        f"{_NODE} Pods should contain environment variables for services *",
        f"{_NODE} Pods should support *",
        f"{_NODE} PreStop *",
        f"{_NODE} Probing container *",
        f"{_NODE} Secrets should be consumable *",
        f"{_NODE} Security Context *",
        f"{_NODE} Sysctls *",
        f"{_NODE} Variable Expansion *",
        f"{_STORAGE} ConfigMap binary data *",
        f"{_STORAGE} ConfigMap optional updates *",
        f"{_STORAGE} ConfigMap should be consumable *",
        f"{_STORAGE} ConfigMap updates *",
        f"{_STORAGE} Downward API volume *",
        f"{_STORAGE} EmptyDir *",
        f"{_STORAGE} Projected *",
        f"{_STORAGE} Secrets optional updates *",
        f"{_STORAGE} Secrets should be able to mount *",
        f"{_STORAGE} Secrets should be consumable *",
        f"{_STORAGE} Subpath *",
        "[sig-auth] ServiceAccounts should mount *",
        "[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted",
    ),
    "needs packets between pods, nodes and services: tests/e2e, tests/proxy, tests/dns": (
        f"{_NETWORK} DNS *",
        f"{_NETWORK} EndpointSlice should support a Service with multiple *",
        f"{_NETWORK} HostPort *",
        f"{_NETWORK} Networking Granular Checks: *",
        f"{_NETWORK} Proxy version v1 *",
        f"{_NETWORK} Service endpoints latency *",
        f"{_NETWORK} Services should be able to create a functioning NodePort service",
        f"{_NETWORK} Services should be able to switch session affinity *",
        f"{_NETWORK} Services should have session affinity *",
        f"{_NETWORK} Services should serve *",
    ),
    "needs a webhook server: tests/apiserver/admission, tests/apiserver/crd": (
        f"{_MACHINERY} AdmissionWebhook *",
        f"{_MACHINERY} CustomResourceConversionWebhook *",
    ),
    "expressions: tests/apiserver/admission/policies": (
        f"{_MACHINERY} MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate *",
        f"{_MACHINERY} ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should allow *",
        f"{_MACHINERY} ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should validate *",
    ),
    "needs an extension API server: tests/apiserver/aggregation": (f"{_MACHINERY} Aggregator *",),
    "waits for compaction, five minutes: tests/store, tests/apiserver/registry": (
        f"{_MACHINERY} Servers with support for API chunking should support continue listing *",
    ),
    "kubectl itself: tests/clients/test_kubectl.py, tests/e2e": (f"{_CLI} *", "[sig-cli] Kubectl logs *"),
    "the scheduler evicts no pods for others of a higher priority": (
        "[sig-scheduling] SchedulerPreemption [Serial] PreemptionExecutionPath *",
        "[sig-scheduling] SchedulerPreemption [Serial] validates *",
    ),
}
