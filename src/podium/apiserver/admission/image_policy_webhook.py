"""ImagePolicyWebhook: somebody else says which images may run; the configuration says who.

Answers are kept for a while, each as long as the configuration says. Upstream:
plugin/pkg/admission/imagepolicy.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from urllib.parse import urlsplit

import orjson

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused
from podium.apiserver.chain import Attributes
from podium.base.clock import Clock
from podium.base.http.client import HttpTransport
from podium.base.tasks import in_task
from podium.client import kubeconfig
from podium.machinery.errors import Object
from podium.resources.core.pods import PODS

AUDIT_PREFIX = "imagepolicywebhook.image-policy.k8s.io/"
CACHE_SIZE = 1024
ATTEMPTS = 5
TIMEOUT_S = 30.0
RETRY_FACTOR = 1.5
_API_VERSION = "imagepolicy.k8s.io/v1alpha1"
_SUCCESS = range(200, 300)
_RETRIED_STATUS = (429, 500, 503, 504)
# name in messages, unit in seconds, least, greatest and usual value in seconds
_DURATIONS = {
    "allowTTL": (1.0, 1.0, 1800.0, 300.0),
    "denyTTL": (1.0, 1.0, 1800.0, 30.0),
    "retryBackoff": (0.001, 0.001, 300.0, 0.5),
}


class _Failed(Exception):
    """The webhook did not answer as it should."""


class ImagePolicyWebhook(Plugin):
    name = "ImagePolicyWebhook"
    resources = (PODS,)

    def __init__(self, clock: Clock, configuration: Object) -> None:
        """Raises ValueError for a configuration that makes no sense, OSError for files that are not there."""
        settings: Object = configuration.get("imagePolicy") or {}
        self._clock = clock
        self._allow_s = duration_s(settings, "allowTTL")
        self._deny_s = duration_s(settings, "denyTTL")
        self._backoff_s = duration_s(settings, "retryBackoff")
        self._default_allow = bool(settings.get("defaultAllow"))
        path = settings.get("kubeConfigFile") or ""
        if not path:
            raise ValueError("imagePolicy.kubeConfigFile is required")
        self._connection = kubeconfig.load(path)
        self._target = "" if urlsplit(self._connection.server).path.strip("/") else "/"
        self._transport: HttpTransport | None = None
        self._known: OrderedDict[bytes, tuple[Object, float]] = OrderedDict()

    async def validate(self, attributes: Attributes) -> None:
        subresource = attributes.subresource
        if subresource not in ("", "ephemeralcontainers"):
            return
        pod = concerns(attributes, PODS, "CREATE", "UPDATE", subresource=subresource)
        if pod is None:
            return
        spec = review_spec(pod, subresource, attributes.namespace)
        try:
            status = await self._ask(spec)
        except _Failed as error:
            if not self._default_allow:
                raise refused(attributes, str(error)) from None
            attributes.annotate(f"{AUDIT_PREFIX}failed-open", "true")
            return
        for key, text in (status.get("auditAnnotations") or {}).items():
            attributes.annotate(AUDIT_PREFIX + key, str(text))
        if status.get("allowed") is not True:
            reason = status.get("reason")
            raise refused(
                attributes,
                f"image policy webhook backend denied one or more images: {reason}"
                if reason
                else "one or more images rejected by webhook backend",
            )

    async def _ask(self, spec: Object) -> Object:
        key = orjson.dumps(spec)
        known = self._known.get(key)
        if known is not None and known[1] > self._clock.monotonic_s():
            return known[0]
        review = {"kind": "ImageReview", "apiVersion": _API_VERSION, "spec": spec}
        status = await self._post(orjson.dumps(review))
        kept_s = self._allow_s if status.get("allowed") is True else self._deny_s
        self._known.pop(key, None)
        self._known[key] = (status, self._clock.monotonic_s() + kept_s)
        if len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
        return status

    async def _post(self, body: bytes) -> Object:
        """Return the status that the webhook gives; it is asked again when it cannot answer just now."""
        pause_s, failure = self._backoff_s, _Failed("no answer")
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._clock.sleep(pause_s)
                pause_s *= RETRY_FACTOR
            try:
                status, raw = await self._once(body)
            except (ConnectionError, TimeoutError) as error:
                failure = _Failed(str(error) or "context deadline exceeded")
                continue
            if status in _SUCCESS:
                return _status_of(raw)
            failure = _Failed(f"Error contacting webhook: {status}")
            if status not in _RETRIED_STATUS:
                break
        raise failure

    async def _once(self, body: bytes) -> tuple[int, bytes]:
        if self._transport is None:
            self._transport = self._connection.transport()
        headers = [("content-type", "application/json"), ("accept", "application/json")]
        await in_task()
        async with (
            asyncio.timeout(TIMEOUT_S),
            self._transport.request("POST", self._target, headers=headers, body=body) as response,
        ):
            return response.status, await response.read()


def _status_of(raw: bytes) -> Object:
    try:
        review = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _Failed(str(error)) from None
    status = review.get("status") if isinstance(review, dict) else None
    if not isinstance(status, dict):
        raise _Failed("the answer has no status")
    return status


def review_spec(pod: Object, subresource: str, namespace: str) -> Object:
    """Return what the webhook is asked: the images, and what annotations say about them."""
    spec: Object = pod.get("spec") or {}
    lists = ("ephemeralContainers",) if subresource else ("containers", "initContainers")
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    kept = {key: text for key, text in annotations.items() if ".image-policy.k8s.io/" in key}
    images = [{"image": one.get("image") or ""} for key in lists for one in spec.get(key) or ()]
    return {"containers": images, "annotations": kept, "namespace": namespace}


def duration_s(settings: Object, key: str) -> float:
    """Return a duration of the configuration in seconds: -1 is none at all, and 0 the usual one.

    Raises ValueError for one out of its bounds.
    """
    unit, least, greatest, usual = _DURATIONS[key]
    value = settings.get(key) or 0
    if value == -1:
        return 0.0
    if value == 0:
        return usual
    found = value * unit
    if not least <= found <= greatest:
        raise ValueError(f"valid value is between {least:g}s and {greatest:g}s, got {found:g}s")
    return float(found)
