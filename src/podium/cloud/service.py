"""Services of type LoadBalancer get one of the cloud's. Upstream: cloud-provider controllers/service.

A finalizer goes onto the Service before anything is made, so that it cannot disappear while a balancer is
left. The key `nodes` stands for the set of nodes: when it changes, every balancer is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from podium.base.backoff import Backoff
from podium.base.metrics import Registry
from podium.cloud.balanced import (
    FINALIZER,
    balanced_nodes,
    identities,
    is_news,
    names_to_tell,
    needs_cleanup,
    needs_update,
    wants_balancer,
)
from podium.cloud.interface import ImplementedElsewhere, LoadBalancers, RetryAfter
from podium.cloud.metrics import CloudMetrics
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.nodes import NODES
from podium.resources.core.services import SERVICES
from podium.runtime.controller import Caches, Context, Controller, Failed, Watch
from podium.runtime.informer import Delta

RETRY = Backoff(initial_s=5.0, max_s=300.0)
_NODES = "nodes"
"""No Service's key: those have a slash."""


def service_lb(
    balancers: LoadBalancers,
    cluster: str,
    *,
    concurrent_syncs: int = 1,
    metrics: CloudMetrics | None = None,
) -> Controller:
    """Return the controller."""
    worker = ServiceBalancers(balancers, cluster, concurrent_syncs, metrics or CloudMetrics(Registry()))
    return Controller(
        name="service-lb-controller",
        component="service-controller",
        service_account="service-controller",
        watches=(
            Watch(resource=SERVICES, keys_of=worker.keys_of_service),
            Watch(resource=NODES, keys_of=_keys_of_node),
        ),
        reconcile=worker.reconcile,
        # One of them for the nodes, which must not wait for a slow Service.
        workers=concurrent_syncs + 1,
        retry=RETRY,
    )


def _keys_of_node(delta: Delta, _caches: Caches) -> Iterable[str]:
    if delta.old is None or delta.new is None or is_news(delta.old, delta.new):
        return (_NODES,)
    return ()


class ServiceBalancers:
    """What is known of the balancers, and what to do about them."""

    def __init__(
        self, balancers: LoadBalancers, cluster: str, concurrent_syncs: int, metrics: CloudMetrics
    ) -> None:
        self._balancers = balancers
        self._cluster = cluster
        self._metrics = metrics
        self._turns = asyncio.Semaphore(concurrent_syncs)
        self._known: dict[str, Object] = {}
        """Services that may have a balancer, as they were when it was last looked after."""
        self._nodes: dict[str, frozenset[tuple[str, str]]] = {}
        """The nodes each balancer was last told of."""

    def keys_of_service(self, delta: Delta, _caches: Caches) -> Iterable[str]:
        old, new = delta.old, delta.new
        key = meta.key(delta.object)
        if new is None:
            # Without our finalizer, or somebody has taken it away.
            return (key,) if key in self._known else ()
        if needs_cleanup(new) or (wants_balancer(new) if old is None else needs_update(old, new)):
            return (key,)
        return ()

    async def reconcile(self, context: Context, key: str) -> float | None:
        if key == _NODES:
            await self._sync_nodes(context)
            return None
        async with self._turns:
            service = context.caches[SERVICES].get(key)
            before = self._known.get(key)
            if before is not None and (service is None or meta.uid(service) != meta.uid(before)):
                await self._forget_deleted(context, key, before)
            return None if service is None else await self._sync(context, key, service)

    async def _forget_deleted(self, context: Context, key: str, service: Object) -> None:
        if wants_balancer(service):
            _tell(context, service, "DeletingLoadBalancer", "Deleting load balancer")
            try:
                await self._balancers.ensure_deleted(self._cluster, service)
            except Exception as error:
                _warn(context, service, "DeleteLoadBalancerFailed", f"Error deleting load balancer: {error}")
                raise Failed(str(error)) from error
            _tell(context, service, "DeletedLoadBalancer", "Deleted load balancer")
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._known.pop(key, None)
        self._nodes.pop(key, None)

    async def _sync(self, context: Context, key: str, service: Object) -> float | None:
        self._known[key] = service
        try:
            if not wants_balancer(service) or needs_cleanup(service):
                await self._delete(context, service)
                self._forget(key)
            else:
                await self._ensure(context, key, service)
        except RetryAfter as error:
            _warn(context, service, "SyncLoadBalancerFailed", f"Error syncing load balancer: {error}")
            return error.seconds
        except Exception as error:
            _warn(context, service, "SyncLoadBalancerFailed", f"Error syncing load balancer: {error}")
            raise Failed(str(error)) from error
        return None

    async def _delete(self, context: Context, service: Object) -> None:
        try:
            exists = await self._balancers.get(self._cluster, service) is not None
        except Exception as error:
            raise Failed(f"failed to check if load balancer exists before cleanup: {error}") from error
        if exists:
            _tell(context, service, "DeletingLoadBalancer", "Deleting load balancer")
            try:
                await self._balancers.ensure_deleted(self._cluster, service)
            except ImplementedElsewhere:
                pass
            except Exception as error:
                raise Failed(f"failed to delete load balancer: {error}") from error
        # The status first: once the finalizer is off, the Service may be gone.
        await _write_status(context, service, {})
        if FINALIZER in meta.finalizers(service):
            try:
                await _patch_finalizer(context, service, {"$deleteFromPrimitiveList/finalizers": [FINALIZER]})
            except NotFound:
                pass
            except Exception as error:
                raise Failed(f"failed to remove load balancer cleanup finalizer: {error}") from error
        _tell(context, service, "DeletedLoadBalancer", "Deleted load balancer")

    async def _ensure(self, context: Context, key: str, service: Object) -> None:
        _tell(context, service, "EnsuringLoadBalancer", "Ensuring load balancer")
        if FINALIZER not in meta.finalizers(service):
            try:
                await _patch_finalizer(context, service, {"finalizers": [FINALIZER]})
            except Exception as error:
                raise Failed(f"failed to add load balancer cleanup finalizer: {error}") from error
        nodes = balanced_nodes(context.caches[NODES].list())
        if not nodes:
            _warn_of_no_nodes(context, service)
        self._nodes[key] = identities(nodes)
        try:
            status = await self._balancers.ensure(self._cluster, service, nodes)
        except ImplementedElsewhere:
            return
        except RetryAfter as error:
            raise RetryAfter(f"failed to ensure load balancer: {error}", error.seconds) from error
        except Exception as error:
            raise Failed(f"failed to ensure load balancer: {error}") from error
        _tell(context, service, "EnsuredLoadBalancer", "Ensured load balancer")
        await _write_status(context, service, status)

    async def _sync_nodes(self, context: Context) -> None:
        """Tell every balancer of the nodes as they are; one that fails is looked after as a whole again."""
        began_s = context.clock.monotonic_s()
        nodes = balanced_nodes(context.caches[NODES].list())
        for key, service in list(self._known.items()):
            # One without nodes is being ensured, or waits for it: that will look at the nodes itself.
            told_of = self._nodes.get(key)
            if not wants_balancer(service) or told_of is None or told_of == identities(nodes):
                continue
            self._nodes[key] = identities(nodes)
            if not await self._update(context, service, nodes):
                self._metrics.node_sync_errors.inc()
                context.queue.add(key)
        self._metrics.node_sync_latency.observe(context.clock.monotonic_s() - began_s)

    async def _update(self, context: Context, service: Object, nodes: list[Object]) -> bool:
        """Tell one balancer of the nodes; return whether that is done with."""
        self._metrics.balancer_syncs.inc()
        began_s = context.clock.monotonic_s()
        try:
            await self._balancers.update(self._cluster, service, nodes)
        except ImplementedElsewhere:
            return True
        except Exception as error:
            if not await self._may_exist(service):
                return True
            _warn(
                context,
                service,
                "UpdateLoadBalancerFailed",
                f"Error updating load balancer with new hosts {names_to_tell(nodes)} [node names limited,"
                f" total number of nodes: {len(nodes)}], error: {error}",
            )
            return False
        finally:
            self._metrics.host_update_latency.observe(context.clock.monotonic_s() - began_s)
        if nodes:
            _tell(context, service, "UpdatedLoadBalancer", "Updated load balancer with new hosts")
        else:
            _warn_of_no_nodes(context, service)
        return True

    async def _may_exist(self, service: Object) -> bool:
        try:
            return await self._balancers.get(self._cluster, service) is not None
        except Exception:
            return True


async def _patch_finalizer(context: Context, service: Object, metadata: Object) -> None:
    # Through the status: that is the part of Services that the controller's role lets it write.
    await context.client.patch(
        SERVICES,
        meta.name(service),
        {"metadata": {**metadata, "uid": meta.uid(service)}},
        meta.namespace(service),
        type="strategic",
        subresource="status",
    )


async def _write_status(context: Context, service: Object, status: Object) -> None:
    before = (service.get("status") or {}).get("loadBalancer") or {}
    if before == status:
        return
    wanted = {name: status.get(name) for name in {*before, *status}}
    patch = {"metadata": {"uid": meta.uid(service)}, "status": {"loadBalancer": wanted}}
    name, namespace = meta.name(service), meta.namespace(service)
    try:
        await context.client.patch(SERVICES, name, patch, namespace, subresource="status")
    except NotFound:
        return
    except Exception as error:
        raise Failed(f"failed to update load balancer status: {error}") from error


def _tell(context: Context, service: Object, reason: str, message: str) -> None:
    context.recorder.event(service, "Normal", reason, message)


def _warn(context: Context, service: Object, reason: str, message: str) -> None:
    context.recorder.event(service, "Warning", reason, message)


def _warn_of_no_nodes(context: Context, service: Object) -> None:
    _warn(context, service, "UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer")
