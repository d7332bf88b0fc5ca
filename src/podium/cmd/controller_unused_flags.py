"""Upstream's flags of the controller manager that mean nothing here, and why."""

from __future__ import annotations

from collections.abc import Mapping

_CLOUD = "clouds are cloud-controller-manager's"
_RECYCLER = "the pod that empties a volume is the built-in one"
_GO = "this is no Go program"
_METRICS = "metrics have no stability levels here"
_WATCHED = "what this would look at again is watched"

UNUSED: Mapping[str, str] = {
    "--allow-metric-labels": _METRICS,
    "--allow-metric-labels-manifest": _METRICS,
    "--allow-untagged-cloud": _CLOUD,
    "--attach-detach-reconcile-sync-period": _WATCHED,
    "--cloud-config": _CLOUD,
    "--cluster-name": _CLOUD,
    "--concurrent-service-syncs": _CLOUD,
    "--configure-cloud-routes": _CLOUD,
    "--contention-profiling": _GO,
    "--disable-attach-detach-reconcile-sync": _WATCHED,
    "--disable-http2-serving": "HTTP/2 is not served anyway",
    "--emulated-version": "only one version is known",
    "--enable-leader-migration": "no controllers have to move to another program",
    "--external-cloud-volume-plugin": _CLOUD,
    "--flex-volume-plugin-dir": "there are no flex volumes",
    "--http2-max-streams-per-connection": "HTTP/2 is not served",
    "--kube-api-content-type": "requests are JSON",
    "--leader-migration-config": "no controllers have to move to another program",
    "--min-compatibility-version": "only one version is known",
    "--min-resync-period": "caches are complete without being gone through again",
    "--namespace-sync-period": _WATCHED,
    "--node-monitor-period": "nodes are looked at when their time is up",
    "--node-sync-period": "without effect upstream too",
    "--permit-address-sharing": "addresses are bound as the system does",
    "--permit-port-sharing": "the port is this program's own",
    "--profiling": _GO,
    "--pv-recycler-increment-timeout-nfs": _RECYCLER,
    "--pv-recycler-minimum-timeout-hostpath": _RECYCLER,
    "--pv-recycler-minimum-timeout-nfs": _RECYCLER,
    "--pv-recycler-pod-template-filepath-hostpath": _RECYCLER,
    "--pv-recycler-pod-template-filepath-nfs": _RECYCLER,
    "--pv-recycler-timeout-increment-hostpath": _RECYCLER,
    "--pvclaimbinder-sync-period": "what claims wait for is watched; they say so again every 15 seconds",
    "--resource-quota-sync-period": _WATCHED,
    "--route-reconciliation-period": _CLOUD,
    "--show-hidden-metrics-for-version": _METRICS,
    "--tls-curve-preferences": "the curves are OpenSSL's",
    "--tls-sni-cert-key": "one certificate is served",
}
