"""The webhook authorizer: another server answers a SubjectAccessReview; its answers are kept for a while.

Upstream: apiserver/plugin/pkg/authorizer/webhook.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from types import NoneType

import orjson

from podium.apiserver.authz.conditions import EvaluationFailed, Matcher
from podium.apiserver.authz.configuration import Webhook
from podium.apiserver.authz.metrics import AuthorizationMetrics
from podium.apiserver.authz.review_spec import review_spec
from podium.apiserver.chain import Decision, HeldRules, RequestInfo, User
from podium.apiserver.kubeconfig_webhook import KubeconfigWebhook, TimedOut
from podium.apiserver.webhook_client import CallFailed
from podium.base.clock import Clock
from podium.base.log import Log
from podium.client.kubeconfig import Connection
from podium.machinery.errors import Object

GROUP = "authorization.k8s.io"
KEPT_MAX = 8192
KEPT_LENGTH_MAX = 10_000
"""Answers about requests with more text in them are not kept: it is the asker's own."""

_log = Log("podium.apiserver.authz.webhook")
_NO_OPINION = Decision(allowed=False)
_NO_STATUS = "the answer's status is not one of a SubjectAccessReview"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    decision: Decision
    until_s: float


class WebhookAuthorizer:
    """Asks one webhook."""

    def __init__(
        self,
        name: str,
        config: Webhook,
        connection: Connection,
        *,
        metrics: AuthorizationMetrics,
        clock: Clock,
    ) -> None:
        self._name = name
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._matcher = Matcher(config.conditions, metrics, "Webhook", name)
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._webhook = KubeconfigWebhook(
            connection, timeout_s=config.timeout_s, clock=clock, called=self._called
        )

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        spec = review_spec(user, info)
        try:
            if not self._matcher.matches(spec):
                return _NO_OPINION
        except EvaluationFailed as error:
            return self._failed(str(error))
        key = orjson.dumps(spec)
        kept = self._kept.get(key)
        if kept is not None and kept.until_s > self._clock.monotonic_s():
            self._kept.move_to_end(key)
            return kept.decision
        try:
            decision = _decision(await self._webhook.post(self._review(spec)), self._config.version)
        except CallFailed as error:
            _log.warning("the authorization webhook has failed", webhook=self._name, error=str(error))
            if not self._config.denies_on_error:
                result = "timeout" if isinstance(error, TimedOut) or error.code == 504 else "error"
                self._metrics.webhook_fail_open.labels(self._name, result).inc()
            return self._failed(str(error))
        self._keep(key, info, decision)
        return decision

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        return HeldRules(
            incomplete=True, errors=("webhook authorizer does not support user rule resolution",)
        )

    async def close(self) -> None:
        await self._webhook.close()

    def _failed(self, why: str) -> Decision:
        return Decision(allowed=False, denied=self._config.denies_on_error, error=why)

    def _called(self, result: str, elapsed_s: float) -> None:
        self._metrics.webhook_evaluations.labels(self._name, result).inc()
        self._metrics.webhook_time.labels(self._name, result).observe(elapsed_s)

    def _review(self, spec: Object) -> bytes:
        version = self._config.version
        if version == "v1beta1" and "groups" in spec:
            spec = {"group" if key == "groups" else key: value for key, value in spec.items()}
        review = {
            "kind": "SubjectAccessReview",
            "apiVersion": f"{GROUP}/{version}",
            "metadata": {},
            "spec": spec,
            "status": {"allowed": False},
        }
        return orjson.dumps(review)

    def _keep(self, key: bytes, info: RequestInfo, decision: Decision) -> None:
        config = self._config
        kept_s = config.authorized_ttl_s if decision.allowed else config.unauthorized_ttl_s
        if not kept_s or _length(info) >= KEPT_LENGTH_MAX:
            return
        self._kept.pop(key, None)
        self._kept[key] = _Kept(decision=decision, until_s=self._clock.monotonic_s() + kept_s)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)


def _length(info: RequestInfo) -> int:
    parts = (info.namespace, info.verb, info.api_group, info.api_version, info.resource, info.subresource)
    return sum(map(len, parts)) + len(info.name) + len(info.path)


def _decision(raw: bytes, version: str) -> Decision:
    """Return what a webhook's answer means. Raises `CallFailed` for one that is no review."""
    try:
        review = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise CallFailed(f"couldn't get version/kind; json parse error: {error}", 0) from None
    found = (review.get("apiVersion"), review.get("kind")) if isinstance(review, dict) else ("", "")
    if found != (f"{GROUP}/{version}", "SubjectAccessReview"):
        raise CallFailed(f"the answer is no SubjectAccessReview of {GROUP}/{version}", 0)
    status = review.get("status") or {}
    if not isinstance(status, dict):
        raise CallFailed(_NO_STATUS, 0)
    allowed, denied, reason = status.get("allowed"), status.get("denied"), status.get("reason") or ""
    if not {allowed.__class__, denied.__class__} <= {bool, NoneType} or not isinstance(reason, str):
        raise CallFailed(_NO_STATUS, 0)
    allowed, denied = bool(allowed), bool(denied)
    if denied and allowed:
        both = "webhook subject access review returned both allow and deny response"
        return Decision(allowed=False, denied=True, reason=reason, error=both)
    return Decision(allowed=allowed, denied=denied, reason=reason)
