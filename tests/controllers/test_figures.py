"""Upstream's figures of controllers: what is counted, and what is read from caches."""

from __future__ import annotations

from typing import Any, cast

from podium.base.metrics import Registry
from podium.controllers.figures import EndpointSliceMetrics, JobMetrics, NodeMetrics, VolumeMetrics
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.runtime.controller import Caches, Context


class Listed:
    def __init__(self, *objects: Object) -> None:
        self._objects = objects

    def list(self) -> list[Object]:
        return list(self._objects)


def context(**tables: Listed) -> Context:
    informers = {name.replace("__", "."): listed for name, listed in tables.items()}

    class Found:
        caches = Caches(cast(Any, informers))

    return cast(Context, Found())


def test_a_status_that_tells_more_than_the_last_is_counted() -> None:
    registry = Registry()
    metrics = JobMetrics(registry)
    job: Object = {"metadata": {"name": "j", "namespace": "n"}, "spec": {"completionMode": "Indexed"}}
    complete = {"type": "Complete", "status": "True", "reason": "CompletionsReached"}
    before = {"succeeded": 1, "completedIndexes": "0"}
    status = {"succeeded": 3, "failed": 1, "completedIndexes": "0-2", "conditions": [complete]}
    metrics.wrote(before, {**job, "status": status})
    metrics.wrote(status, {**job, "status": status})
    metrics.acted("n/j", created=2, deleted=1)
    metrics.look(job, "success", 0.1)
    metrics.look(job, "success", 0.1)
    text = registry.text().decode()
    for line in (
        'job_controller_job_pods_finished_total{completion_mode="Indexed",result="succeeded"} 2',
        'job_controller_job_pods_finished_total{completion_mode="Indexed",result="failed"} 1',
        'job_controller_job_finished_indexes_total{status="succeeded",backoffLimit="global"} 2',
        "job_controller_jobs_finished_total"
        '{completion_mode="Indexed",result="succeeded",reason="CompletionsReached"} 1',
        'job_controller_job_syncs_total{completion_mode="Indexed",result="success",action="pods_created"} 1',
        'job_controller_job_syncs_total{completion_mode="Indexed",result="success",action="tracking"} 1',
        'job_controller_job_pods_creation_total{reason="new",status="succeeded"} 2',
    ):
        assert line in text


def test_endpoints_that_come_and_go_are_counted() -> None:
    def slice_(name: str, *addresses: str) -> Object:
        return {"metadata": {"name": name}, "endpoints": [{"addresses": [a]} for a in addresses]}

    registry = Registry()
    metrics = EndpointSliceMetrics(registry)
    before = [slice_("a", "1", "2"), slice_("b", "3")]
    metrics.look(before, [slice_("c", "5")], [slice_("a", "2", "4")], [before[1]])
    text = registry.text().decode()
    assert "endpoint_slice_controller_endpoints_added_per_sync_sum 2" in text
    assert "endpoint_slice_controller_endpoints_removed_per_sync_sum 2" in text
    for operation in ("create", "update", "delete"):
        assert f'endpoint_slice_controller_changes{{operation="{operation}"}} 1' in text


def test_zones_and_volumes_are_read_from_caches() -> None:
    def node(name: str, zone: str, ready: str) -> Object:
        labels = {"topology.kubernetes.io/zone": zone}
        conditions = [{"type": "Ready", "status": ready}]
        return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions}}

    registry = Registry()
    NodeMetrics(registry).follow(
        context(nodes=Listed(node("a", "z", "True"), node("b", "z", "False"), node("c", "y", "True")))
    )
    volume = {"spec": {"hostPath": {}, "storageClassName": "fast"}, "status": {"phase": "Bound"}}
    claim = {"metadata": {"namespace": "n"}, "spec": {"storageClassName": "fast"}, "status": {}}
    VolumeMetrics(registry).follow(
        context(persistentvolumes=Listed(volume), persistentvolumeclaims=Listed(claim))
    )
    assert (NODES.group_plural, PERSISTENTVOLUMES.group_plural) == ("nodes", "persistentvolumes")
    assert PERSISTENTVOLUMECLAIMS.group_plural == "persistentvolumeclaims"
    text = registry.text().decode()
    for line in (
        'node_collector_zone_size{zone=":z"} 2',
        'node_collector_unhealthy_nodes_in_zone{zone=":z"} 1',
        'node_collector_zone_health{zone=":z"} 50',
        'pv_collector_total_pv_count{plugin_name="kubernetes.io/host-path",volume_mode="Filesystem"} 1',
        'pv_collector_bound_pv_count{storage_class="fast"} 1',
        'pv_collector_unbound_pvc_count{namespace="n",storage_class="fast",volume_attributes_class=""} 1',
    ):
        assert line in text
