"""Conversion by a webhook: objects go out as a ConversionReview over HTTPS, and come back in another version.

What comes back is checked: the webhook may change everything but what an object is. Of the metadata only
labels and annotations are taken over.
"""

from __future__ import annotations

from time import perf_counter

import orjson

from podium.apiserver.crd.metrics import CustomResourceMetrics, Failure
from podium.apiserver.registry.registry import Registry
from podium.apiserver.webhook_client import CallFailed, WebhookClient
from podium.base.ids import new_uid
from podium.machinery.errors import Json, Object, PlainError
from podium.machinery.validation import validate_annotations, validate_labels

TIMEOUT_S = 30.0
OBJECTS_MAX = 500
"""So many objects go out in one review."""
_REVIEW_VERSIONS = ("v1", "v1beta1")


class _Failed(Exception):
    """The conversion failed; the text is upstream's, without its head."""


class _ConversionError(PlainError):
    """What the client is told, with what upstream's figures call it."""

    def __init__(self, text: str, failure: Failure) -> None:
        super().__init__(text)
        self.failure: Failure = failure


class WebhookConverter:
    """Converts the objects of one definition."""

    def __init__(
        self,
        client_config: Object,
        review_version: str,
        client: WebhookClient,
        *,
        list_kind: str,
        name: str = "",
        metrics: CustomResourceMetrics | None = None,
    ) -> None:
        """`name` is the definition's, by which `metrics` tell it apart."""
        self._name = name
        self._metrics = metrics
        self._config = client_config
        self._list_kind = list_kind
        self._review = f"apiextensions.k8s.io/{review_version}"
        self._client = client

    async def convert(self, objects: list[Object], api_version: str) -> list[Object]:
        """Return the objects in `api_version`, in their order. Raises `PlainError` (500), as upstream."""
        done: list[Object] = []
        started, well = perf_counter(), False
        try:
            for start in range(0, len(objects), OBJECTS_MAX):
                done += await self._convert_some(objects[start : start + OBJECTS_MAX], api_version)
            well = True
        finally:
            if self._metrics is not None and objects:
                versions = (
                    str(objects[0].get("apiVersion")).rpartition("/")[2],
                    api_version.rpartition("/")[2],
                )
                self._metrics.converted(self._name, *versions, perf_counter() - started, well=well)
        return done

    async def _convert_some(self, objects: list[Object], api_version: str) -> list[Object]:
        started = perf_counter()
        failure: Failure = ""
        try:
            return await self._attempt(objects, api_version)
        except _ConversionError as error:
            failure = error.failure
            raise
        finally:
            if self._metrics is not None:
                self._metrics.called(perf_counter() - started, failure)

    async def _attempt(self, objects: list[Object], api_version: str) -> list[Object]:
        """Convert by one call."""
        first, single = objects[0], len(objects) == 1
        # Upstream converts lists as a whole, and calls them by their own kind.
        kind = str(first.get("kind")) if single else self._list_kind
        what = f"{first.get('apiVersion')}, Kind={kind}"
        uid = new_uid()
        review = {
            "kind": "ConversionReview",
            "apiVersion": self._review,
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objects},
        }
        try:
            answer = await self._ask(orjson.dumps(review))
        except _Failed as error:
            text = f"conversion webhook for {what} failed: {error}"
            raise _ConversionError(text, "conversion_webhook_call_failure") from None
        try:
            converted = self._converted(answer, uid)
        except _Failed as error:
            text = f"conversion webhook for {what} failed: {error}"
            raise _ConversionError(text, "conversion_webhook_malformed_response_failure") from None
        if len(converted) != len(objects):
            raise _ConversionError(
                f"conversion webhook for {what} returned {len(converted)} objects, expected {len(objects)}",
                "conversion_webhook_partial_response_failure"
                if converted
                else "conversion_webhook_no_objects_returned_failure",
            )
        for index, (old, new) in enumerate(zip(objects, converted, strict=True)):
            place = "object at index 0" if single else f"converted object at index {index}"
            whole = "object" if single else f"converted object at index {index}"
            metadata = "metadata" if single else f"metadata in object at index {index}"
            for wrong, invalid in (
                (_type_difference(old, new, api_version), place),
                (_identity_difference(old, new), whole),
                (_restore_metadata(old, new), metadata),
            ):
                if wrong:
                    raise _ConversionError(
                        f"conversion webhook for {what} returned invalid {invalid}: {wrong}",
                        "conversion_webhook_invalid_converted_object_failure",
                    )
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


def _type_difference(old: Object, new: Object, api_version: str) -> str:
    """Return how a converted object is of another type than asked for, "" when it is not."""
    if new.get("apiVersion") != api_version:
        return f"invalid groupVersion (expected {api_version}, received {new.get('apiVersion') or ''})"
    if new.get("kind") != old.get("kind"):
        return f"invalid kind (expected {old.get('kind')}, received {new.get('kind') or ''})"
    return ""


def _identity_difference(old: Object, new: Object) -> str:
    """Return how a converted object is another than the original, "" when it is the same."""
    before, after = old.get("metadata") or {}, new.get("metadata")
    metadata = after if isinstance(after, dict) else {}
    for name in ("name", "namespace", "uid"):
        was, now = before.get(name) or "", metadata.get(name) or ""
        if was != now:
            return f"must have the same {'UID' if name == 'uid' else name}: {was} != {now}"
    return ""


def _restore_metadata(old: Object, new: Object) -> str:
    """Give the converted object the original's metadata, but for labels and annotations.

    Return what is wrong with it, "" when all is well.
    """
    if "metadata" not in new:
        return "missing metadata in converted object"
    converted = new["metadata"]
    if not isinstance(converted, dict):
        return f"invalid metadata of type {go_type(converted)} in converted object"
    metadata = dict(old.get("metadata") or {})
    for name in ("labels", "annotations"):
        found = converted.get(name)
        if found is None:
            metadata.pop(name, None)
            continue
        if not isinstance(found, dict):
            return f"invalid metadata.{name} of type {go_type(found)} in converted object"
        for key, value in found.items():
            if not isinstance(value, str):
                return f"metadata.{name}[{key}] must be a string, but is {go_type(value)} in converted object"
        if found != metadata.get(name) and (faults := _faults(name, found)):
            return faults
        metadata[name] = found
    new["metadata"] = metadata
    return ""


def _faults(name: str, found: Object) -> str:
    errors = (
        validate_labels(found) if name == "labels" else validate_annotations(found, "metadata.annotation")
    )
    texts = [str(error) for error in errors]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""


def go_type(value: Json) -> str:
    """Return what Go calls the type of a decoded JSON value."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case str():
            return "string"
        case int():
            return "int64"
        case float():
            return "float64"
        case list():
            return "[]interface {}"
        case _:
            return "map[string]interface {}"


def webhook_converter(definition: Object, registry: Registry) -> WebhookConverter:
    """Return the converter that a definition names."""
    webhook = ((definition["spec"].get("conversion") or {}).get("webhook")) or {}
    wanted = webhook.get("conversionReviewVersions") or []
    version = next((one for one in wanted if one in _REVIEW_VERSIONS), "v1")
    list_kind = str(definition["spec"]["names"].get("listKind") or "")
    return WebhookConverter(
        webhook.get("clientConfig") or {},
        version,
        registry.webhooks,
        list_kind=list_kind,
        name=str(definition["metadata"]["name"]),
        metrics=registry.metrics.custom if registry.metrics is not None else None,
    )
