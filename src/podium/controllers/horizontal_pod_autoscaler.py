"""Horizontal pod autoscalers: targets are scaled by what their pods, and other things, are measured at.

Each autoscaler is looked at when it is new or has changed, and then every sync period: read the target's
scale and the metrics, decide (autoscaler_plan.py), scale, say in the status what was seen and done.
Upstream: pkg/controller/podautoscaler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

import orjson

from podium.base.clock import rfc3339
from podium.client.client import Client
from podium.controllers.autoscaler_limits import History, Sample
from podium.controllers.autoscaler_metrics import MetricsReader
from podium.controllers.autoscaler_plan import (
    ABLE,
    Decision,
    Options,
    Reading,
    Seen,
    after_rescale,
    current_replicas,
    needs_metrics,
    plan,
    unreadable,
    with_condition,
)
from podium.controllers.autoscaler_replicas import MetricError
from podium.controllers.figures import AutoscalerMetrics
from podium.machinery import meta
from podium.machinery.errors import ApiError, BadRequest, Conflict, Object
from podium.machinery.labels import Selector
from podium.machinery.labels import parse as parse_selector
from podium.machinery.resource import Resource
from podium.resources.autoscaling.horizontalpodautoscalers import HORIZONTALPODAUTOSCALERS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.discovery import Kinds
from podium.runtime.informer import Delta

NAME = "horizontal-pod-autoscaler-controller"
COMPONENT = "horizontal-pod-autoscaler"
RESCALE_TRIES_MAX = 5


class ScaleError(Exception):
    """The target's scale cannot be had. The message is upstream's."""


class Autoscalers:
    """What is remembered from one look to the next."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._kinds = Kinds()
        self._histories: dict[str, History] = {}
        self._selectors: dict[str, Selector] = {}

    async def reconcile(self, context: Context, key: str) -> float | None:
        autoscaler = context.caches[HORIZONTALPODAUTOSCALERS].get(key)
        if autoscaler is None:
            self._histories.pop(key, None)
            self._selectors.pop(key, None)
            return None
        metrics, began_s = context.metrics.of(AutoscalerMetrics), context.clock.monotonic_s()
        labels = ("none", "internal")
        try:
            labels = await self._look(context, key, autoscaler)
        finally:
            metrics.looks.labels(*labels).inc()
            metrics.seconds.labels(*labels).observe(context.clock.monotonic_s() - began_s)
        return self._options.sync_period_s

    async def _look(self, context: Context, key: str, autoscaler: Object) -> tuple[str, str]:
        """Return what was done, and what kind of thing was wrong, as the figures have it."""
        try:
            resource, scale = await self._scale(context, autoscaler)
        except ScaleError as error:
            await self._without_scale(context, autoscaler, str(error))
            return "none", "internal"
        seen = await self._see(context, key, autoscaler, scale)
        decision = plan(seen, self._options)
        self._histories[key] = decision.history
        for event in decision.events:
            context.recorder.event(autoscaler, event.type, event.reason, event.message)
        if decision.rescale:
            decision = await self._rescale(context, key, seen, decision, resource)
        await self._write_status(context, seen, decision)
        if not decision.rescale or decision.replicas is None:
            return "none", "none"
        return ("scale_up" if decision.replicas > current_replicas(scale) else "scale_down"), "none"

    # The target

    async def _scale(self, context: Context, autoscaler: Object) -> tuple[Resource, Object]:
        target = autoscaler["spec"]["scaleTargetRef"]
        api_version = target.get("apiVersion") or ""
        if api_version.count("/") > 1:
            raise ScaleError(f"unexpected GroupVersion string: {api_version}")
        group, _ = meta.split_api_version(api_version)
        failure = ""
        for resource in await self._resources(context, group, target["kind"]):
            try:
                return resource, await _get_scale(context.client, resource, autoscaler)
            except ApiError as error:
                failure = failure or error.message
        raise ScaleError(failure)

    async def _resources(self, context: Context, group: str, kind: str) -> list[Resource]:
        found = await self._kinds.resources(context.client, context.clock, group, kind)
        if not found:
            raise ScaleError(f'no matches for kind "{kind}" in group "{group}"')
        return found

    async def _without_scale(self, context: Context, autoscaler: Object, problem: str) -> None:
        context.recorder.event(autoscaler, "Warning", "FailedGetScale", problem)
        said = f"the HPA controller was unable to get the target's current scale: {problem}"
        status = dict(autoscaler.get("status") or {})
        why = ("FailedGetScale", said)
        conditions = with_condition(status.get("conditions"), ABLE, False, why, context.clock.now())
        await _write(context, autoscaler, {**status, "conditions": conditions})

    async def _rescale(
        self, context: Context, key: str, seen: Seen, decision: Decision, resource: Resource
    ) -> Decision:
        """Scale the target; return the decision with what came of it."""
        replicas, scale = decision.replicas or 0, seen.scale
        says = f"New size: {replicas}; reason: {decision.reason}"
        try:
            for left in range(RESCALE_TRIES_MAX, 0, -1):
                wanted = {**scale, "spec": {**(scale.get("spec") or {}), "replicas": replicas}}
                try:
                    await context.client.update(resource, wanted, subresource="scale")
                    break
                except Conflict:
                    if left == 1:
                        raise
                    scale = await _get_scale(context.client, resource, seen.autoscaler)
        except ApiError as error:
            context.recorder.event(
                seen.autoscaler, "Warning", "FailedRescale", f"{says}; error: {error.message}"
            )
            why = (
                "FailedUpdateScale",
                f"the HPA controller was unable to update the target scale: {error.message}",
            )
            conditions = with_condition(decision.conditions, ABLE, False, why, seen.now)
            return Decision(conditions=conditions, metrics=decision.metrics, history=decision.history)
        context.recorder.event(seen.autoscaler, "Normal", "SuccessfulRescale", says)
        before = current_replicas(seen.scale)
        behavior = seen.autoscaler["spec"].get("behavior")
        history = decision.history.with_change(behavior, before, replicas, seen.now_s)
        self._histories[key] = history
        return Decision(
            conditions=after_rescale(decision, seen, self._options),
            metrics=decision.metrics,
            history=history,
            replicas=replicas,
            rescale=True,
        )

    # What decides

    async def _see(self, context: Context, key: str, autoscaler: Object, scale: Object) -> Seen:
        now_s = context.clock.monotonic_s()
        first = History(recommendations=(Sample(current_replicas(scale), now_s),))
        history = self._histories.setdefault(key, first)
        pods: tuple[Object, ...] = ()
        readings: list[Reading] = []
        problem = None
        if needs_metrics(autoscaler, scale, self._options):
            pods, problem = self._pods(context, key, meta.dig(scale, "status", "selector") or "")
            if problem is None:
                readings = await self._read(context, autoscaler, scale["status"]["selector"])
        return Seen(
            autoscaler=autoscaler,
            scale=scale,
            pods=pods,
            readings=readings,
            selector_problem=problem,
            history=history,
            now=context.clock.now(),
            now_s=now_s,
        )

    def _pods(
        self, context: Context, key: str, text: str
    ) -> tuple[tuple[Object, ...], tuple[str, str, str] | None]:
        """Return the pods that the target selects, or why they cannot be told."""
        if not text:
            return (), ("SelectorRequired", "InvalidSelector", "selector is required")
        try:
            selector = parse_selector(text)
        except BadRequest as error:
            why = f"couldn't convert selector into a corresponding internal selector object: {error.message}"
            return (), ("InvalidSelector", "InvalidSelector", why)
        self._selectors[key] = selector
        namespace, _ = meta.split_key(key)
        pods = tuple(p for p in context.caches[PODS].list(namespace) if selector.matches(meta.labels(p)))
        rivals = [
            other
            for other, theirs in sorted(self._selectors.items())
            if meta.split_key(other)[0] == namespace and any(theirs.matches(meta.labels(p)) for p in pods)
        ]
        if len(rivals) > 1:
            shown = " ".join(f"{{{name} {space}}}" for space, name in map(meta.split_key, rivals))
            why = f"pods by selector {text} are controlled by multiple HPAs: [{shown}]"
            return (), ("AmbiguousSelector", "AmbiguousSelector", why)
        return pods, None

    async def _read(self, context: Context, autoscaler: Object, selector: str) -> list[Reading]:
        """Read all metrics at once."""
        reader = MetricsReader(context.client)
        specs = autoscaler["spec"].get("metrics") or ()
        reads = (self._read_one(context, reader, autoscaler, spec, selector) for spec in specs)
        return list(await asyncio.gather(*reads))

    async def _read_one(
        self, context: Context, reader: MetricsReader, autoscaler: Object, spec: Object, selector: str
    ) -> Reading:
        namespace = meta.namespace(autoscaler)
        try:
            match spec["type"]:
                case "Resource":
                    return await reader.of_resource(namespace, selector, spec["resource"]["name"], "")
                case "ContainerResource":
                    source = spec["containerResource"]
                    return await reader.of_resource(namespace, selector, source["name"], source["container"])
                case "Pods":
                    return await reader.of_pods(namespace, selector, spec["pods"]["metric"])
                case "Object":
                    return [await self._read_object(context, reader, namespace, spec["object"])]
                case _:
                    return await reader.external(namespace, spec["external"]["metric"])
        except MetricError as error:
            return unreadable(spec, namespace, error)

    async def _read_object(
        self, context: Context, reader: MetricsReader, namespace: str, source: Object
    ) -> int:
        of = source["describedObject"]
        group, _ = meta.split_api_version(of.get("apiVersion") or "")
        if (group, of["kind"]) == ("", "Namespace"):
            return await reader.of_object(namespace, "", "", source["metric"])
        try:
            resource = (await self._resources(context, group, of["kind"]))[0]
        except ScaleError as error:
            raise MetricError(
                "unable to fetch metrics from custom metrics API: unable to map kind "
                f"{of['kind']}{'.' + group if group else ''} to resource: {error}"
            ) from error
        return await reader.of_object(namespace, resource.group_plural, of["name"], source["metric"])

    async def _write_status(self, context: Context, seen: Seen, decision: Decision) -> None:
        before: Object = seen.autoscaler.get("status") or {}
        desired = before.get("desiredReplicas") or 0
        if decision.replicas is not None:
            desired = decision.replicas
        status: Object = {
            "currentReplicas": current_replicas(seen.scale),
            "desiredReplicas": desired,
            "currentMetrics": decision.metrics,
            "conditions": decision.conditions,
        }
        if decision.rescale:
            status["lastScaleTime"] = rfc3339(seen.now)
        elif before.get("lastScaleTime"):
            status["lastScaleTime"] = before["lastScaleTime"]
        await _write(context, seen.autoscaler, status)


async def _get_scale(client: Client, resource: Resource, autoscaler: Object) -> Object:
    name = autoscaler["spec"]["scaleTargetRef"]["name"]
    path = resource.path(meta.namespace(autoscaler), name, "scale")
    return cast(Object, orjson.loads(await client.raw("GET", path)))


async def _write(context: Context, autoscaler: Object, status: Object) -> None:
    """Write the status, if it says anything new."""
    if _said(status) == _said(autoscaler.get("status") or {}):
        return
    try:
        await context.client.update(
            HORIZONTALPODAUTOSCALERS, {**autoscaler, "status": status}, subresource="status"
        )
    except ApiError as error:
        context.recorder.event(autoscaler, "Warning", "FailedUpdateStatus", error.message)
        raise


def _said(status: Object) -> Object:
    return {key: value for key, value in status.items() if value}


def _keys_of(delta: Delta, _caches: Caches) -> Iterable[str]:
    if delta.old is not None and delta.new is not None and delta.old.get("spec") == delta.new.get("spec"):
        return ()  # our own status, mostly
    return (meta.key(delta.object),)


def horizontal_pod_autoscaler(options: Options) -> Controller:
    """Return the controller."""
    return Controller(
        name=NAME,
        component=COMPONENT,
        service_account=COMPONENT,
        watches=(
            Watch(resource=HORIZONTALPODAUTOSCALERS, keys_of=_keys_of),
            Watch(resource=PODS),
        ),
        reconcile=Autoscalers(options).reconcile,
        on_start=lambda context: context.metrics.of(AutoscalerMetrics).follow(context),
        workers=options.workers,
    )
