"""What autoscalers read from the three metrics APIs, which extension API servers serve.

    metrics.k8s.io/v1beta1            the use of CPU and memory by containers
    custom.metrics.k8s.io             what is known of pods and other objects
    external.metrics.k8s.io/v1beta1   what is known of anything else

Upstream: pkg/controller/podautoscaler/metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import quote, urlencode

import orjson

from podium.base.clock import parse_rfc3339
from podium.client.client import Client
from podium.controllers.autoscaler_replicas import MetricError, PodMetric
from podium.machinery.errors import ApiError, NotFound, Object
from podium.machinery.labels import from_label_selector
from podium.machinery.quantity import parse

CUSTOM_GROUP = "custom.metrics.k8s.io"
CUSTOM_VERSIONS = ("v1beta2", "v1beta1")
DEFAULT_WINDOW = timedelta(minutes=1)
_EPOCH = datetime.fromtimestamp(0, UTC)

PodMetrics = dict[str, PodMetric]


class MetricsReader:
    """Reads metrics. Every method raises `MetricError` when there are none to be had."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def of_resource(self, namespace: str, selector: str, resource: str, container: str) -> PodMetrics:
        """Return the pods' use of a resource, or one container's in each."""
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{quote(namespace)}/pods"
        items = await self._items(path, "resource", "pods.metrics.k8s.io", labelSelector=selector)
        read = _of_container if container else _of_pod
        found: PodMetrics = {}
        for item in items:
            milli = read(item, resource, container)
            if milli is not None:
                name = (item.get("metadata") or {}).get("name") or ""
                window = _duration(item.get("window") or "")
                found[name] = PodMetric(milli=milli, at=_moment(item), window=window)
        return found

    async def of_pods(self, namespace: str, selector: str, metric: Object) -> PodMetrics:
        """Return a custom metric of pods."""
        path = f"{await self._custom()}/namespaces/{quote(namespace)}/pods/*/{quote(metric['name'])}"
        named = _selector_text(metric)
        items = await self._items(
            path, "custom", f"pods.{CUSTOM_GROUP} *", labelSelector=selector, metricLabelSelector=named
        )
        found: PodMetrics = {}
        for item in items:
            seconds = item.get("windowSeconds")
            window = DEFAULT_WINDOW if seconds is None else timedelta(seconds=seconds)
            name = (item.get("describedObject") or {}).get("name") or ""
            found[name] = PodMetric(milli=_milli(item.get("value")), at=_moment(item), window=window)
        return found

    async def of_object(self, namespace: str, resource: str, name: str, metric: Object) -> int:
        """Return a custom metric of one object, in thousandths. `resource`: plural and group; "" for the
        namespace itself."""
        kind, instance = (resource, name) if resource else ("metrics", "")
        place = f"{kind}/{quote(instance)}" if instance else kind
        path = f"{await self._custom()}/namespaces/{quote(namespace)}/{place}/{quote(metric['name'])}"
        what = f"{kind}.{CUSTOM_GROUP} {instance or metric['name']}"
        items = await self._items(
            path, "custom", what, some=False, metricLabelSelector=_selector_text(metric)
        )
        if len(items) != 1:
            raise MetricError(
                "unable to fetch metrics from custom metrics API: the custom metrics API server returned "
                f"{len(items)} results when we asked for exactly one"
            )
        return _milli(items[0].get("value"))

    async def external(self, namespace: str, metric: Object) -> list[int]:
        """Return the values of an external metric, in thousandths."""
        name = quote(metric["name"])
        path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{quote(namespace)}/{name}"
        what = f"{metric['name']}.external.metrics.k8s.io"
        items = await self._items(path, "external", what, labelSelector=_selector_text(metric))
        return [_milli(item.get("value")) for item in items]

    async def _custom(self) -> str:
        """Return the path of the custom metrics API, in the version that its server prefers."""
        prefix = "unable to fetch metrics from custom metrics API: "
        try:
            group = cast(Object, orjson.loads(await self._client.raw("GET", f"/apis/{CUSTOM_GROUP}")))
        except NotFound as error:
            raise MetricError(f"{prefix}no custom metrics API ({CUSTOM_GROUP}) registered") from error
        except ApiError as error:
            raise MetricError(f"{prefix}{error.message}") from error
        offered = [(group.get("preferredVersion") or {}), *(group.get("versions") or ())]
        for version in offered:
            if version.get("version") in CUSTOM_VERSIONS:
                return f"/apis/{CUSTOM_GROUP}/{version['version']}"
        raise MetricError(f"{prefix}no known available metric versions found")

    async def _items(
        self, path: str, api: str, what: str, *, some: bool = True, **query: str
    ) -> list[Object]:
        """Return the items of a list; with `some`, it must not be empty."""
        given = {key: value for key, value in query.items() if value}
        target = f"{path}?{urlencode(given)}" if given else path
        try:
            answer = cast(Object, orjson.loads(await self._client.raw("GET", target)))
        except ApiError as error:
            message = _message(error, what)
            raise MetricError(f"unable to fetch metrics from {api} metrics API: {message}") from error
        items: list[Object] = answer.get("items") or []
        if some and not items:
            raise MetricError(f"no metrics returned from {api} metrics API")
        return items


def _message(error: ApiError, what: str) -> str:
    """Return an error's message; an answer that is no Status says what upstream's client would make of it."""
    if error.details is None:
        if error.code == 404:
            return f"the server could not find the requested resource (get {what})"
        if error.code == 503:
            return f"the server is currently unable to handle the request (get {what})"
    return error.message


def _of_pod(item: Object, resource: str, _container: str) -> int | None:
    """Return a pod's use, None when it, or one of its containers, has none."""
    containers = item.get("containers") or ()
    used = [(container.get("usage") or {}).get(resource) for container in containers]
    return sum(_milli(text) for text in used) if used and None not in used else None


def _of_container(item: Object, resource: str, container: str) -> int | None:
    for one in item.get("containers") or ():
        if one.get("name") == container:
            text = (one.get("usage") or {}).get(resource)
            return None if text is None else _milli(text)
    return None


def _milli(text: object) -> int:
    return parse(text).milli() if isinstance(text, str | int | float) else 0


def _moment(item: Mapping[str, str]) -> datetime:
    return parse_rfc3339(item["timestamp"]) if item.get("timestamp") else _EPOCH


def _duration(text: str) -> timedelta:
    from podium.machinery.cel.values import parse_duration  # noqa: PLC0415 - costs start-up time

    found = parse_duration(text)
    return timedelta() if found is None else timedelta(microseconds=found.nanos // 1000)


def _selector_text(metric: Object) -> str:
    """Return a metric's selector as text. Raises MetricError for one that cannot be read."""
    try:
        return str(from_label_selector(metric.get("selector")))
    except ValueError as error:
        raise MetricError(str(error)) from error
