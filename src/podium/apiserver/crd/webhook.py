"""Conversion by a webhook: objects go out as a ConversionReview over HTTPS, and come back in another version.

What comes back is checked: the webhook may change everything but what an object is. Of the metadata only
labels and annotations are taken over.
"""

from __future__ import annotations

import orjson

from podium.apiserver.registry.registry import Registry
from podium.apiserver.webhook_client import CallFailed, WebhookClient
from podium.base.ids import new_uid
from podium.machinery.errors import Object, PlainError

TIMEOUT_S = 30.0
OBJECTS_MAX = 500
"""So many objects go out in one review."""
_REVIEW_VERSIONS = ("v1", "v1beta1")


class _Failed(Exception):
    """The conversion failed; the text is upstream's, without its head."""


class WebhookConverter:
    """Converts the objects of one definition."""

    def __init__(self, client_config: Object, review_version: str, client: WebhookClient) -> None:
        self._config = client_config
        self._review = f"apiextensions.k8s.io/{review_version}"
        self._client = client

    async def convert(self, objects: list[Object], api_version: str) -> list[Object]:
        """Return the objects in `api_version`, in their order. Raises `PlainError` (500), as upstream."""
        done: list[Object] = []
        for start in range(0, len(objects), OBJECTS_MAX):
            done += await self._convert_some(objects[start : start + OBJECTS_MAX], api_version)
        return done

    async def _convert_some(self, objects: list[Object], api_version: str) -> list[Object]:
        first = objects[0]
        what = f"{first.get('apiVersion')}, Kind={first.get('kind')}"
        uid = new_uid()
        review = {
            "kind": "ConversionReview",
            "apiVersion": self._review,
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objects},
        }
        try:
            answer = await self._ask(orjson.dumps(review))
            converted = self._converted(answer, uid)
        except _Failed as error:
            raise PlainError(f"conversion webhook for {what} failed: {error}") from None
        if len(converted) != len(objects):
            raise PlainError(
                f"conversion webhook for {what} returned {len(converted)} objects, expected {len(objects)}"
            )
        for index, (old, new) in enumerate(zip(objects, converted, strict=True)):
            wrong = _difference(old, new, api_version)
            if wrong:
                head = f"conversion webhook for {what} returned invalid converted object at index {index}"
                raise PlainError(f"{head}: {wrong}")
            _restore_metadata(old, new)
        return converted

    def _converted(self, raw: bytes, uid: str) -> list[Object]:
        try:
            review = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise _Failed(str(error)) from None
        if not isinstance(review, dict):
            raise _Failed("the answer is no object")
        if (review.get("apiVersion"), review.get("kind")) != (self._review, "ConversionReview"):
            raise _Failed(
                f"expected webhook response of {self._review}, Kind=ConversionReview, got "
                f"{review.get('apiVersion') or ''}, Kind={review.get('kind') or ''}"
            )
        response = review.get("response")
        if not isinstance(response, dict):
            raise _Failed("no response provided")
        if response.get("uid") != uid:
            raise _Failed(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
        result = response.get("result") or {}
        if result.get("status") != "Success":
            message = result.get("message")
            raise _Failed(
                message or f"response.result.status was '{result.get('status') or ''}', not 'Success'"
            )
        found = response.get("convertedObjects") or []
        if not isinstance(found, list) or not all(isinstance(obj, dict) for obj in found):
            raise _Failed("the converted objects are no objects")
        return found

    async def _ask(self, body: bytes) -> bytes:
        try:
            return await self._client.post(self._config, body, timeout_s=TIMEOUT_S)
        except CallFailed as error:
            raise _Failed(str(error)) from None


def _difference(old: Object, new: Object, api_version: str) -> str:
    """Return what a converted object is that the original is not, "" when all is well."""
    if new.get("apiVersion") != api_version:
        return f"invalid groupVersion (expected {api_version}, received {new.get('apiVersion') or ''})"
    if new.get("kind") != old.get("kind"):
        return f"invalid kind (expected {old.get('kind')}, received {new.get('kind') or ''})"
    metadata = new.get("metadata")
    if not isinstance(metadata, dict):
        return "missing metadata in converted object"
    before = old.get("metadata") or {}
    for name in ("name", "namespace", "uid"):
        if (metadata.get(name) or "") != (before.get(name) or ""):
            shown = "UID" if name == "uid" else name
            return f"invalid metadata: must have the same {shown}: {before.get(name)} != {metadata.get(name)}"
    return ""


def _restore_metadata(old: Object, new: Object) -> None:
    converted = new["metadata"]
    metadata = dict(old.get("metadata") or {})
    for name in ("labels", "annotations"):
        if converted.get(name):
            metadata[name] = converted[name]
        else:
            metadata.pop(name, None)
    new["metadata"] = metadata


def webhook_converter(definition: Object, registry: Registry) -> WebhookConverter:
    """Return the converter that a definition names."""
    webhook = ((definition["spec"].get("conversion") or {}).get("webhook")) or {}
    wanted = webhook.get("conversionReviewVersions") or []
    version = next((one for one in wanted if one in _REVIEW_VERSIONS), "v1")
    return WebhookConverter(webhook.get("clientConfig") or {}, version, registry.webhooks)
