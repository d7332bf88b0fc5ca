"""AdmissionReview, both ways: what a webhook is asked, and what its answer may be. Pure.

Upstream: plugin/webhook/request/admissionreview.go and plugin/webhook/errors.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

import orjson

from podium.apiserver.admission.matching import Match
from podium.apiserver.admission.shown import request_of
from podium.apiserver.chain import Attributes
from podium.machinery.errors import ApiError, Json, Object

GROUP = "admission.k8s.io"
KIND = "AdmissionReview"
JSON_PATCH = "JSONPatch"
REFUSED_MIN = 400
STATUS_MAX = 999


class InvalidAnswer(Exception):
    """An answer that upstream does not take. The text is upstream's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a webhook says."""

    allowed: bool
    patch: bytes = b""
    patch_type: str = ""
    result: Object | None = None
    annotations: dict[str, str]
    warnings: list[str]


class Denied(ApiError):
    """A webhook's refusal: the status is its own, but for the head of the message."""

    def __init__(self, hook: str, result: Object | None) -> None:
        told = dict(result or {})
        code = told.get("code")
        self.code = code if isinstance(code, int) and REFUSED_MIN <= code <= STATUS_MAX else REFUSED_MIN
        self.reason = str(told.get("reason") or "")
        head = f'admission webhook "{hook}" denied the request'
        why = told.get("message") or self.reason
        details = told.get("details")
        super().__init__(
            f"{head}: {why}" if why else f"{head} without explanation",
            details=details if isinstance(details, dict) else None,
        )


def request(
    version: str, uid: str, attributes: Attributes, match: Match, obj: bytes | None, old: bytes | None
) -> bytes:
    """Return the review that asks about a write. `obj` and `old` are encoded, in the version of `match`."""
    body: Object = {
        "uid": uid,
        **request_of(attributes, match),
        "object": None if obj is None else orjson.Fragment(obj),
        "oldObject": None if old is None else orjson.Fragment(old),
    }
    return orjson.dumps({"kind": KIND, "apiVersion": f"{GROUP}/{version}", "request": body})


def decode(raw: bytes) -> Object:
    """Return the review in an answer. Raises ValueError when it is none."""
    review = orjson.loads(raw)
    if not isinstance(review, dict):
        raise ValueError(f"json: cannot unmarshal {type(review).__name__} into an AdmissionReview")
    return review


def verify(review: Object, *, version: str, uid: str, mutating: bool) -> Answer:
    """Return what an answer says. Raises `InvalidAnswer`."""
    response = review.get("response")
    if response is None:
        raise InvalidAnswer("webhook response was absent")
    if not isinstance(response, dict):
        raise InvalidAnswer("webhook response is no object")
    patch_type = response.get("patchType")
    if version == "v1":
        _verify_identity(review, response, uid)
        _verify_patch(response.get("patch"), patch_type, mutating=mutating)
    patch = b""
    if mutating and response.get("patch"):
        try:
            patch = binascii.a2b_base64(response["patch"], strict_mode=True)
        except (binascii.Error, TypeError, ValueError):
            raise InvalidAnswer("illegal base64 data in response.patch") from None
        # Webhooks of the older version need not say what there is only one of.
        patch_type = JSON_PATCH if version == "v1beta1" else patch_type
    result = response.get("result", response.get("status"))
    return Answer(
        allowed=response.get("allowed") is True,
        patch=patch,
        patch_type=str(patch_type or ""),
        result=result if isinstance(result, dict) else None,
        annotations=_texts(response.get("auditAnnotations")),
        warnings=[one for one in response.get("warnings") or () if isinstance(one, str)],
    )


def _verify_identity(review: Object, response: Object, uid: str) -> None:
    if response.get("uid") != uid:
        raise InvalidAnswer(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    group, _, version = str(review.get("apiVersion") or "/").rpartition("/")
    if (group, version, review.get("kind")) != (GROUP, "v1", KIND):
        raise InvalidAnswer(
            f"expected webhook response of {GROUP}/v1, Kind={KIND}, got {group}/{version}, "
            f"Kind={review.get('kind') or ''}"
        )


def _verify_patch(patch: Json, patch_type: Json, *, mutating: bool) -> None:
    if not mutating:
        if patch:
            raise InvalidAnswer("validating webhook may not return response.patch")
        if patch_type is not None:
            raise InvalidAnswer("validating webhook may not return response.patchType")
        return
    if patch and patch_type is None:
        raise InvalidAnswer("webhook returned response.patch but not response.patchType")
    if not patch and patch_type is not None:
        raise InvalidAnswer("webhook returned response.patchType but not response.patch")
    if patch_type == "":
        raise InvalidAnswer('webhook returned invalid response.patchType of ""')


def _texts(value: Json) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}
