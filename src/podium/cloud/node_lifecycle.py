"""Nodes whose instance is gone are deleted, those whose instance is shut down are tainted.

Only nodes that are not ready are asked about: a cloud's API is slow and counts calls.
Upstream: cloud-provider controllers/nodelifecycle.
"""

from __future__ import annotations

from podium.base.clock import Clock, rfc3339
from podium.base.log import Log
from podium.cloud.interface import Instances
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.nodes import NODES
from podium.runtime.controller import Context, Controller, Watch

MONITOR_PERIOD_S = 5.0
SHUTDOWN_TAINT = "node.cloudprovider.kubernetes.io/shutdown"
_ALL = "*"

_log = Log("podium.cloud.node_lifecycle")


def cloud_node_lifecycle(instances: Instances, *, monitor_period_s: float = MONITOR_PERIOD_S) -> Controller:
    """Return the controller."""

    async def reconcile(context: Context, _key: str) -> float | None:
        for node in context.caches[NODES].list():
            try:
                await _look_after(context, instances, node)
            except Exception as error:
                _log.warning("node not looked after", node=meta.name(node), error=repr(error))
        return monitor_period_s

    return Controller(
        name="cloud-node-lifecycle-controller",
        service_account="node-controller",
        watches=(Watch(resource=NODES),),
        reconcile=reconcile,
        workers=1,
        on_start=lambda context: context.queue.add(_ALL),
    )


async def _look_after(context: Context, instances: Instances, node: Object) -> None:
    if meta.condition_true(node, "Ready"):
        await _write_taints(context, node, shut_down=False)
    elif not await instances.exists(node):
        await _delete(context, node)
    elif await instances.shutdown(node):
        await _write_taints(context, node, shut_down=True)


async def _delete(context: Context, node: Object) -> None:
    name = meta.name(node)
    message = f"Deleting node {name} because it does not exist in the cloud provider"
    context.recorder.event(node, "Normal", "DeletingNode", message)
    try:
        # This node, not one of the same name that has registered meanwhile.
        await context.client.delete(NODES, name, uid=meta.uid(node))
    except NotFound:
        return
    except ApiError as error:
        message = f"Failed deleting node {name}: {error.message}"
        context.recorder.event(node, "Warning", "DeletingNodeFailed", message)


async def _write_taints(context: Context, node: Object, *, shut_down: bool) -> None:
    wanted = taints(node, shut_down=shut_down, clock=context.clock)
    if wanted is not None:
        metadata = {"resourceVersion": meta.metadata(node).get("resourceVersion")}
        patch = {"metadata": metadata, "spec": {"taints": wanted or None}}
        await context.client.patch(NODES, meta.name(node), patch)


def taints(node: Object, *, shut_down: bool, clock: Clock) -> list[Object] | None:
    """Return the taints the node is to have, None when it has them."""
    before = list((node.get("spec") or {}).get("taints") or ())
    others = [t for t in before if (t.get("key"), t.get("effect")) != (SHUTDOWN_TAINT, "NoSchedule")]
    if shut_down == (len(others) < len(before)):
        return None
    if not shut_down:
        return others
    return [*others, {"key": SHUTDOWN_TAINT, "effect": "NoSchedule", "timeAdded": rfc3339(clock.now())}]
