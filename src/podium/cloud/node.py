"""New nodes are told what they are: provider ID, type, zone, addresses.

A kubelet with `--cloud-provider=external` registers its node with a taint that keeps pods away; it comes off
here, with what the cloud knows. Addresses are looked up again from time to time.
Upstream: cloud-provider controllers/node.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.base.clock import parse_rfc3339
from podium.base.log import Log
from podium.base.metrics import Registry
from podium.cloud.initialisation import addresses, initialisation, is_uninitialized, label_repairs
from podium.cloud.interface import InstanceMetadata, Instances
from podium.cloud.metrics import CloudMetrics
from podium.machinery import meta
from podium.machinery.errors import ApiError, Object
from podium.resources.core.nodes import NODES
from podium.runtime.controller import Caches, Context, Controller, Failed, Watch
from podium.runtime.informer import Delta

STATUS_UPDATE_PERIOD_S = 300.0
_ALL = "*"
"""No node's name: stands for the addresses of all."""

_log = Log("podium.cloud.node")


def cloud_node(
    instances: Instances,
    *,
    status_update_period_s: float = STATUS_UPDATE_PERIOD_S,
    concurrent_syncs: int = 1,
    metrics: CloudMetrics | None = None,
) -> Controller:
    """Return the controller."""
    counted = metrics or CloudMetrics(Registry())

    async def reconcile(context: Context, key: str) -> float | None:
        if key == _ALL:
            for each in context.caches[NODES].list():
                await _refresh_addresses(context, instances, each)
            return status_update_period_s
        node = context.caches[NODES].get(key)
        if node is None:
            return None
        if is_uninitialized(node):
            await _initialise(context, instances, node, counted)
        elif repairs := label_repairs(meta.labels(node)):
            await context.client.patch(NODES, key, {"metadata": {"labels": repairs}})
        return None

    return Controller(
        name="cloud-node-controller",
        service_account="node-controller",
        watches=(Watch(resource=NODES, keys_of=_keys_of_node),),
        reconcile=reconcile,
        workers=concurrent_syncs + 1,
        on_start=lambda context: context.queue.add(_ALL),
    )


def _keys_of_node(delta: Delta, _caches: Caches) -> Iterable[str]:
    return () if delta.new is None else (meta.key(delta.new),)


async def _initialise(context: Context, instances: Instances, node: Object, metrics: CloudMetrics) -> None:
    name = meta.name(node)
    try:
        instance = await instances.metadata(node)
    except Exception as error:
        raise Failed(f"failed to get instance metadata for node {name}: {error}") from error
    if instance is None:
        return
    try:
        patch = initialisation(node, instance)
    except ValueError as error:
        raise Failed(str(error)) from error
    initialised = await context.client.patch(NODES, name, patch)
    metrics.taint_removal_delay.observe(_age_s(context, node))
    await _write_addresses(context, initialised, instance)
    context.recorder.event(node, "Normal", "Synced", "Node synced successfully")
    metrics.initial_sync_delay.observe(_age_s(context, node))


def _age_s(context: Context, node: Object) -> float:
    created = parse_rfc3339(meta.metadata(node)["creationTimestamp"])
    return (context.clock.now() - created).total_seconds()


async def _refresh_addresses(context: Context, instances: Instances, node: Object) -> None:
    """One node that does not work is no reason to leave the others."""
    if is_uninitialized(node):
        return
    try:
        instance = await instances.metadata(node)
        if instance is not None:
            await _write_addresses(context, node, instance)
    except Exception as error:
        _log.warning("addresses not refreshed", node=meta.name(node), error=repr(error))


async def _write_addresses(context: Context, node: Object, instance: InstanceMetadata) -> None:
    name = meta.name(node)
    try:
        found = addresses(node, instance)
        if found is not None:
            await context.client.patch(NODES, name, {"status": {"addresses": found}}, subresource="status")
    except (ValueError, ApiError) as error:
        _log.warning("addresses not written", node=name, error=repr(error))
