"""Conversion by a webhook: objects go out as a ConversionReview over HTTPS, and come back in another version.

What comes back is checked: the webhook may change everything but what an object is. Of the metadata only
labels and annotations are taken over.
"""

from __future__ import annotations

import asyncio
import binascii
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from podium.apiserver.registry.registry import Registry
from podium.base.http.client import HttpTransport
from podium.base.ids import new_uid
from podium.base.tasks import in_task
from podium.machinery.errors import Object, PlainError
from podium.resources.core.services import SERVICES

TIMEOUT_S = 30.0
CONNECTIONS_MAX = 16
OBJECTS_MAX = 500
"""So many objects go out in one review."""
_REVIEW_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a webhook is reached."""

    url: str
    """As messages show it."""
    connect: str
    path: str
    server_name: str


class _Failed(Exception):
    """The conversion failed; the text is upstream's, without its head."""


class WebhookConverter:
    """Converts the objects of one definition."""

    def __init__(self, client_config: Object, review_version: str, registry: Registry) -> None:
        self._config = client_config
        self._review = f"apiextensions.k8s.io/{review_version}"
        self._registry = registry
        self._transports: dict[str, HttpTransport] = {}

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

    # --- over the network

    async def _ask(self, body: bytes) -> bytes:
        target = self._target()
        shown = f'Post "{target.url}?timeout={int(TIMEOUT_S)}s"'
        transport = self._transport(target)
        headers = [("content-type", "application/json"), ("accept", "application/json")]
        await in_task()
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                transport.request(
                    "POST", f"{target.path}?timeout={int(TIMEOUT_S)}s", headers=headers, body=body
                ) as response,
            ):
                raw = await response.read()
                status = response.status
        except TimeoutError:
            raise _Failed(f"{shown}: context deadline exceeded") from None
        except ConnectionError as error:
            raise _Failed(f"{shown}: {_reason(error)}") from None
        if not 200 <= status < 300:
            raise _Failed(f"the server responded with the status code {status}")
        return raw

    def _transport(self, target: Target) -> HttpTransport:
        found = self._transports.get(target.connect)
        if found is None:
            found = self._transports[target.connect] = HttpTransport(
                target.connect,
                ssl_context=self._context(),
                connections_max=CONNECTIONS_MAX,
                server_hostname=target.server_name,
            )
        return found

    def _context(self) -> ssl.SSLContext:
        bundle = self._config.get("caBundle")
        if not bundle:
            return ssl.create_default_context()
        try:
            return ssl.create_default_context(cadata=binascii.a2b_base64(bundle).decode())
        except (ssl.SSLError, ValueError):
            raise _Failed("unable to load root certificates: unable to parse bytes as PEM block") from None

    def _target(self) -> Target:
        url = self._config.get("url")
        if url:
            parts = urlsplit(url)
            return Target(
                url=url,
                connect=f"{parts.scheme}://{parts.netloc}",
                path=parts.path or "/",
                server_name=parts.hostname or "",
            )
        return self._service_target(self._config.get("service") or {})

    def _service_target(self, reference: Object) -> Target:
        namespace, name = reference.get("namespace") or "", reference.get("name") or ""
        port, path = reference.get("port") or 443, "/" + (reference.get("path") or "").lstrip("/")
        service = self._registry.peek(SERVICES, namespace, name)
        if service is None:
            raise _Failed(f'service "{name}" not found')
        address = (service.get("spec") or {}).get("clusterIP") or ""
        if address in ("", "None"):
            raise _Failed(f'cannot reach service "{name}": it has no cluster IP')
        host = f"[{address}]" if ":" in address else address
        server_name = f"{name}.{namespace}.svc"
        return Target(
            url=f"https://{server_name}:{port}{path}",
            connect=f"https://{host}:{port}",
            path=path,
            server_name=server_name,
        )


def _reason(error: ConnectionError) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {cause.verify_message}"
    return str(error)


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
    return WebhookConverter(webhook.get("clientConfig") or {}, version, registry)
