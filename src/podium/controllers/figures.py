"""Upstream's figures of single controllers, which ask for theirs by `context.metrics.of`.

Gauges of how much there is are read from caches when somebody asks for the figures, not kept beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from podium.base.metrics import Family, Gauge, Registry, exponential
from podium.controllers.common import indexes
from podium.controllers.node_zones import zone_of
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.autoscaling.horizontalpodautoscalers import HORIZONTALPODAUTOSCALERS
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.runtime.controller import Caches, Context

_SECONDS = exponential(0.001, 2, 15)
_COUNTS = exponential(2, 2, 15)
_DELETION_S = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 120.0, 180.0, 240.0)


class RootCaMetrics:
    def __init__(self, registry: Registry) -> None:
        name = "root_ca_cert_publisher"
        self.syncs = registry.counter(f"{name}_sync_total", "Looks at a namespace.", "code")
        self.seconds = registry.histogram(
            f"{name}_sync_duration_seconds", "How long a look took.", _SECONDS, "code"
        )


class JobMetrics:
    def __init__(self, registry: Registry) -> None:
        name = "job_controller"
        look = ("completion_mode", "result", "action")
        self.syncs = registry.counter(f"{name}_job_syncs_total", "Looks at a Job.", *look)
        self.seconds = registry.histogram(
            f"{name}_job_sync_duration_seconds", "How long a look took.", exponential(0.004, 2, 15), *look
        )
        self.finished = registry.counter(
            f"{name}_jobs_finished_total", "Jobs that have ended.", "completion_mode", "result", "reason"
        )
        self.pods = registry.counter(
            f"{name}_job_pods_finished_total", "Pods whose end was counted.", "completion_mode", "result"
        )
        self.indexes = registry.counter(
            f"{name}_job_finished_indexes_total", "Indexes that have ended.", "status", "backoffLimit"
        )
        self.created = registry.counter(
            f"{name}_job_pods_creation_total", "Pods made, and tries that failed.", "reason", "status"
        )
        self._actions: dict[str, str] = {}
        """What is being done, by the Job's key."""

    def acted(self, key: str, *, created: int, deleted: int) -> None:
        """Note what was done to the pods of a Job."""
        if created:
            self._actions[key] = "pods_created"
            self.created.labels("new", "succeeded").inc(created)
        elif deleted:
            self._actions[key] = "pods_deleted"

    def look(self, job: Object, result: str, seconds: float) -> None:
        """Count a look at a Job."""
        labels = (_mode(job), result, self._actions.pop(meta.key(job), "tracking"))
        self.syncs.labels(*labels).inc()
        self.seconds.labels(*labels).observe(seconds)

    def wrote(self, before: Object, job: Object) -> None:
        """Count what a status tells that the one before did not."""
        status, mode = job.get("status") or {}, _mode(job)
        for kind in ("succeeded", "failed"):
            more = int(status.get(kind) or 0) - int(before.get(kind) or 0)
            if more > 0:
                self.pods.labels(mode, kind).inc(more)
        limit = "perIndex" if job["spec"].get("backoffLimitPerIndex") is not None else "global"
        for kind, field in (("succeeded", "completedIndexes"), ("failed", "failedIndexes")):
            more = _size(status, field) - _size(before, field)
            if mode == "Indexed" and more > 0:
                self.indexes.labels(kind, limit).inc(more)
        for condition in status.get("conditions") or ():
            known = condition in (before.get("conditions") or ())
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True" and not known:
                result = "succeeded" if condition["type"] == "Complete" else "failed"
                self.finished.labels(mode, result, condition.get("reason") or "").inc()


def _mode(job: Object) -> str:
    return str(job["spec"].get("completionMode") or "NonIndexed")


def _size(status: Object, field: str) -> int:
    return len(indexes.parse(str(status.get(field) or "")))


class CronJobMetrics:
    def __init__(self, registry: Registry) -> None:
        self.skew = registry.histogram(
            "cronjob_controller_job_creation_skew_duration_seconds",
            "How long after its time a Job was made.",
            exponential(1, 2, 10),
        ).labels()


class ReplicaSetMetrics:
    def __init__(self, registry: Registry) -> None:
        self.ratio = registry.histogram(
            "replicaset_controller_sorting_deletion_age_ratio",
            "How many times as old as the youngest ready pod one was that was deleted.",
            exponential(0.25, 2, 6),
        ).labels()


class TtlMetrics:
    def __init__(self, registry: Registry) -> None:
        self.late = registry.histogram(
            "ttl_after_finished_controller_job_deletion_duration_seconds",
            "How long after its time a Job was deleted.",
            exponential(0.1, 2, 14),
        ).labels()


class TaintEvictionMetrics:
    def __init__(self, registry: Registry) -> None:
        name = "taint_eviction_controller"
        self.deletions = registry.counter(f"{name}_pod_deletions_total", "Pods deleted.").labels()
        self.late = registry.histogram(
            f"{name}_pod_deletion_duration_seconds", "How long after its time a pod was deleted.", _DELETION_S
        ).labels()


class PodGcMetrics:
    def __init__(self, registry: Registry) -> None:
        name = "pod_gc_collector_force_delete"
        labels = ("namespace", "reason")
        self.deletions = registry.counter(f"{name}_pods_total", "Pods deleted at once.", *labels)
        self.errors = registry.counter(f"{name}_pod_errors_total", "Deletions that failed.", *labels)


class EphemeralVolumeMetrics:
    def __init__(self, registry: Registry) -> None:
        name = "ephemeral_volume_controller_create"
        self.attempts = registry.counter(f"{name}_total", "Claims asked for.").labels()
        self.failures = registry.counter(f"{name}_failures_total", "Claims that were refused.").labels()


class ResourceClaimMetrics:
    def __init__(self, registry: Registry) -> None:
        self.creates = registry.counter(
            "resourceclaim_controller_creates_total", "Claims asked for.", "status", "admin_access"
        )


class GarbageMetrics:
    def __init__(self, registry: Registry) -> None:
        self.sync_errors = registry.counter(
            "garbagecollector_controller_resources_sync_error_total", "Failures to learn what is served."
        ).labels()


class AutoscalerMetrics:
    def __init__(self, registry: Registry) -> None:
        name = "horizontal_pod_autoscaler_controller"
        labels = ("action", "error")
        self.looks = registry.counter(f"{name}_reconciliations_total", "Looks at an autoscaler.", *labels)
        self.seconds = registry.histogram(
            f"{name}_reconciliation_duration_seconds", "How long a look took.", _SECONDS, *labels
        )
        self._count = registry.gauge(f"{name}_num_horizontal_pod_autoscalers", "Autoscalers.")
        self._desired = registry.gauge(
            f"{name}_desired_replicas", "What autoscalers want.", "namespace", "hpa_name"
        )
        self._followed = _Followed(registry, self._read)

    def follow(self, context: Context) -> None:
        self._followed.caches = context.caches

    def _read(self, caches: Caches) -> None:
        scalers = caches[HORIZONTALPODAUTOSCALERS].list()
        self._count.labels().set(len(scalers))
        self._desired.clear()
        for scaler in scalers:
            wanted = (scaler.get("status") or {}).get("desiredReplicas") or 0
            self._desired.labels(meta.namespace(scaler), meta.name(scaler)).set(wanted)


class SliceMetrics:
    """Of the controller of EndpointSlices, and of the one that mirrors them."""

    def __init__(self, registry: Registry, name: str = "endpoint_slice_controller", of: str = "") -> None:
        self.added = registry.histogram(f"{name}_endpoints_added_per_sync", "Endpoints added.", _COUNTS)
        self.removed = registry.histogram(f"{name}_endpoints_removed_per_sync", "Endpoints removed.", _COUNTS)
        self.changes = registry.counter(f"{name}_changes", "Slices written.", "operation")
        self._slices = registry.gauge(f"{name}_num_endpoint_slices", "Slices there are.")
        self._endpoints = registry.gauge(f"{name}_endpoints_desired", "Endpoints in them.")
        self._manager = of or "endpointslice-controller.k8s.io"
        self._followed = _Followed(registry, self._read)

    def follow(self, context: Context) -> None:
        self._followed.caches = context.caches

    def look(
        self,
        before: Iterable[Object],
        created: Sequence[Object],
        updated: Sequence[Object],
        deleted: Sequence[Object],
    ) -> None:
        """Count what one look has changed. `before` are the slices there were."""
        old = {meta.name(slice_): _addresses(slice_) for slice_ in before}
        added = removed = 0
        for slice_ in (*created, *updated):
            had = old.get(meta.name(slice_), Counter())
            added += (_addresses(slice_) - had).total()
            removed += (had - _addresses(slice_)).total()
        removed += sum(_addresses(slice_).total() for slice_ in deleted)
        self.added.labels().observe(added)
        self.removed.labels().observe(removed)
        for operation, slices in (("create", created), ("update", updated), ("delete", deleted)):
            if slices:
                self.changes.labels(operation).inc(len(slices))

    def _read(self, caches: Caches) -> None:
        label = "endpointslice.kubernetes.io/managed-by"
        ours = [s for s in caches[ENDPOINTSLICES].list() if meta.labels(s).get(label) == self._manager]
        self._slices.labels().set(len(ours))
        self._endpoints.labels().set(sum(len(slice_.get("endpoints") or ()) for slice_ in ours))


def _addresses(slice_: Object) -> Counter[str]:
    return Counter(
        str(address) for e in slice_.get("endpoints") or () for address in e.get("addresses") or ()
    )


class EndpointSliceMetrics(SliceMetrics):
    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.syncs = registry.counter("endpoint_slice_controller_syncs", "Looks at a Service.", "result")


class MirroringMetrics(SliceMetrics):
    def __init__(self, registry: Registry) -> None:
        name = "endpoint_slice_mirroring_controller"
        super().__init__(registry, name, "endpointslicemirroring-controller.k8s.io")
        self.seconds = registry.histogram(
            f"{name}_endpoints_sync_duration", "How long a look took, in seconds.", _SECONDS
        ).labels()


class NodeMetrics:
    def __init__(self, registry: Registry) -> None:
        name = "node_collector"
        self._size = registry.gauge(f"{name}_zone_size", "Nodes of a zone.", "zone")
        self._health = registry.gauge(f"{name}_zone_health", "How many percent of them are well.", "zone")
        self._unhealthy = registry.gauge(
            f"{name}_unhealthy_nodes_in_zone", "How many of them are not.", "zone"
        )
        self.evictions = registry.counter(f"{name}_evictions_total", "Nodes that were to be emptied.", "zone")
        self.update = registry.histogram(
            f"{name}_update_node_health_duration_seconds",
            "How long a look at a node took.",
            exponential(0.001, 4, 8),
        ).labels()
        self._followed = _Followed(registry, self._read)

    def follow(self, context: Context) -> None:
        self._followed.caches = context.caches

    def _read(self, caches: Caches) -> None:
        sizes: Counter[str] = Counter()
        unwell: Counter[str] = Counter()
        for node in caches[NODES].list():
            zone = zone_of(node)
            sizes[zone] += 1
            unwell[zone] += not meta.condition_true(node, "Ready")
        for zone, size in sizes.items():
            self._size.labels(zone).set(size)
            self._unhealthy.labels(zone).set(unwell[zone])
            self._health.labels(zone).set(100 * (size - unwell[zone]) / size)


class VolumeMetrics:
    def __init__(self, registry: Registry) -> None:
        name = "pv_collector"
        claims = ("namespace", "storage_class", "volume_attributes_class")
        self._total = registry.gauge(f"{name}_total_pv_count", "Volumes.", "plugin_name", "volume_mode")
        self._bound = registry.gauge(f"{name}_bound_pv_count", "Volumes that are bound.", "storage_class")
        self._free = registry.gauge(f"{name}_unbound_pv_count", "Volumes that are not.", "storage_class")
        self._bound_claims = registry.gauge(f"{name}_bound_pvc_count", "Claims that are bound.", *claims)
        self._free_claims = registry.gauge(f"{name}_unbound_pvc_count", "Claims that are not.", *claims)
        self._followed = _Followed(registry, self._read)

    def follow(self, context: Context) -> None:
        self._followed.caches = context.caches

    def _read(self, caches: Caches) -> None:
        volumes, claims = caches[PERSISTENTVOLUMES].list(), caches[PERSISTENTVOLUMECLAIMS].list()
        _set(self._total, ((_plugin(v), v["spec"].get("volumeMode") or "Filesystem") for v in volumes))
        for family, bound in ((self._bound, True), (self._free, False)):
            ours = (v for v in volumes if _is_bound(v) is bound)
            _set(family, ((str(v["spec"].get("storageClassName") or ""),) for v in ours))
        for family, bound in ((self._bound_claims, True), (self._free_claims, False)):
            _set(family, (_claim_labels(c) for c in claims if _is_bound(c) is bound))


def _is_bound(obj: Object) -> bool:
    return bool((obj.get("status") or {}).get("phase") == "Bound")


def _plugin(volume: Object) -> str:
    spec: Mapping[str, object] = volume["spec"]
    csi = spec.get("csi")
    if isinstance(csi, dict):
        return f"kubernetes.io/csi:{csi.get('driver', '')}"
    known = {"hostPath": "host-path", "local": "local-volume", "nfs": "nfs", "iscsi": "iscsi", "fc": "fc"}
    return next((f"kubernetes.io/{name}" for field, name in known.items() if field in spec), "N/A")


def _claim_labels(claim: Object) -> tuple[str, str, str]:
    spec = claim["spec"]
    classes = (spec.get("storageClassName") or "", spec.get("volumeAttributesClassName") or "")
    return (meta.namespace(claim), *classes)


def _set(family: Family[Gauge], values: Iterable[tuple[str, ...]]) -> None:
    """Let the gauges say how often each combination of labels occurs."""
    family.clear()
    for labels, count in Counter(values).items():
        family.labels(*labels).set(count)


class _Followed:
    """Reads gauges from caches, once the controller that has them is there."""

    def __init__(self, registry: Registry, read: Callable[[Caches], None]) -> None:
        self.caches: Caches | None = None
        self._read = read
        registry.before_collection(self._collect)

    def _collect(self) -> None:
        if self.caches is not None:
            self._read(self.caches)


FIGURES: tuple[Callable[[Registry], object], ...] = (
    AutoscalerMetrics,
    CronJobMetrics,
    EndpointSliceMetrics,
    EphemeralVolumeMetrics,
    GarbageMetrics,
    JobMetrics,
    MirroringMetrics,
    NodeMetrics,
    PodGcMetrics,
    ReplicaSetMetrics,
    ResourceClaimMetrics,
    RootCaMetrics,
    TaintEvictionMetrics,
    TtlMetrics,
    VolumeMetrics,
)
