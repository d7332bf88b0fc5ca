"""Asking one webhook about one write: what is shown to it, the call, and what is noted of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from podium.apiserver.admission.evaluation import EvaluationFailed, Observed, Write, all_match
from podium.apiserver.admission.matching import Match, internal
from podium.apiserver.admission.shown import Shown
from podium.apiserver.admission.webhooks import review
from podium.apiserver.admission.webhooks.hook import Hook
from podium.apiserver.admission.webhooks.review import Answer, Denied, InvalidAnswer
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes
from podium.apiserver.webhook_client import CallFailed
from podium.base.ids import new_uid
from podium.base.log import Log
from podium.machinery.errors import ApiError, BadRequest
from podium.machinery.validation import qualified_name_errors
from podium.resources.admissionregistration.expressions import MATCH_COST_MAX

_log = Log("podium.apiserver.webhooks")


class CallingFailed(Exception):
    """The webhook was not reached, or did not answer as it should: failurePolicy says what that means.

    `code` is the HTTP status that metrics tell of it.
    """

    def __init__(self, hook: Hook, why: str, code: int) -> None:
        super().__init__(f'failed calling webhook "{hook.name}": {why}')
        self.code = code


async def holds(hook: Hook, write: Write, match: Match, kind: str) -> bool:
    """Return whether the webhook's match conditions want the write. Raises `Forbidden` when they fail."""
    evaluation = await write.evaluation(match, budget=MATCH_COST_MAX)
    observed = Observed(write.attributes, hook.name, "webhook", kind)
    try:
        return await all_match(
            hook.conditions, evaluation, ignore_failure=hook.ignores_failure, observed=observed
        )
    except EvaluationFailed as error:
        raise refused(write.attributes, str(error)) from None


async def ask(hook: Hook, attributes: Attributes, match: Match, shown: Shown, *, mutating: bool) -> Answer:
    """Return what the webhook says, warnings and audit annotations noted.

    Raises `CallingFailed`, `Denied`, and `BadRequest` for a dry run that the webhook cannot take.
    """
    if attributes.dry_run and not hook.takes_dry_run:
        if hook.side_effects is None:
            raise CallingFailed(hook, "Webhook SideEffects is nil", 400)
        raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
    version = hook.review_version
    if not version:
        why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)"
        raise CallingFailed(hook, f"could not create admission objects: {why}", 400)
    uid = new_uid()
    obj, old = await shown.encoded(match)
    body = review.request(version, uid, attributes, match, obj, old)
    assert attributes.host is not None
    try:
        raw = await attributes.host.webhooks.post(
            hook.client, body, timeout_s=hook.timeout_s, identity=hook.identity
        )
        answered = review.decode(raw)
    except CallFailed as error:
        raise CallingFailed(hook, f"failed to call webhook: {error}", error.code) from None
    except ValueError as error:
        raise CallingFailed(hook, f"failed to call webhook: {error}", 503) from None
    try:
        answer = review.verify(answered, version=version, uid=uid, mutating=mutating)
    except InvalidAnswer as error:
        raise CallingFailed(hook, f"received invalid webhook response: {error}", 503) from None
    for key, text in answer.annotations.items():
        annotate(attributes, f"{hook.name}/{key}", text)
    for warning in answer.warnings:
        attributes.warn(warning)
    if not answer.allowed:
        raise Denied(hook.name, answer.result)
    return answer


def annotate(attributes: Attributes, key: str, text: str) -> None:
    """Leave a note for the audit log, if its key is one."""
    if key.count("/") == 1 and not qualified_name_errors(key):
        attributes.annotate(key, text)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one call."""

    failed_open: bool = False


@asynccontextmanager
async def judged(hook: Hook, attributes: Attributes, kind: str) -> AsyncIterator[Outcome]:
    """Count a call, and turn what it raises into what the client shall see.

    That is nothing where failures are passed over. `kind` is `admit` or `validating`.
    """
    outcome, started = Outcome(), perf_counter()
    rejected, code, fault = False, 200, ""
    try:
        yield outcome
    except CallingFailed as error:
        code, rejected = error.code, not hook.ignores_failure
        fault = "calling_webhook_error"
        _log.warning("an admission webhook failed", webhook=hook.name, error=str(error))
        if rejected:
            raise internal(str(error)) from None
        outcome.failed_open = True
    except Denied as denied:
        rejected, code, fault = True, denied.code, "no_error"
        raise
    except ApiError:
        rejected, code, fault = True, 0, "apiserver_internal_error"
        raise
    finally:
        elapsed_s = perf_counter() - started
        if attributes.audit is not None:
            attributes.audit.took(f"{'mutating' if kind == 'admit' else kind}-webhook", elapsed_s)
        metrics = attributes.host.metrics if attributes.host else None
        if metrics is not None:
            operation = attributes.operation
            metrics.webhook(hook.name, kind, operation, elapsed_s=elapsed_s, rejected=rejected, code=code)
            if rejected:
                metrics.rejection(hook.name, kind, operation, error=fault, code=code)
            if outcome.failed_open:
                metrics.webhook_fail_open.labels(hook.name, kind).inc()
