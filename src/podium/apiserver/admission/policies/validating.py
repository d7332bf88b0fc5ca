"""What validating policies say of a write: each binding's actions tell what a broken rule comes to.

Upstream: plugin/policy/validating/dispatcher.go and validator.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import orjson

from podium.apiserver.admission.evaluation import (
    Evaluation,
    EvaluationFailed,
    Observed,
    OutOfBudget,
    Write,
    all_match,
)
from podium.apiserver.admission.matching import Match
from podium.apiserver.admission.policies.compiled import Binding, Policy, Validation
from podium.apiserver.admission.policies.params import Misconfigured, collect, param_resource
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes, Authorizer, View
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.admissionregistration.expressions import MATCH_COST_MAX

FAILURE = "validation.policy.admission.k8s.io/validation_failure"
ANNOTATION_BYTES_MAX = 10 * 1024
MESSAGE_BYTES_MAX = 5 * 1024
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}
_DENIED_CODE = 422

Bound = Sequence[tuple[Policy, Sequence[Binding]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one rule came to, when it was not kept: broken, or not to be evaluated."""

    index: int
    message: str
    reason: str = ""
    is_error: bool = False
    ignored: bool = False
    """It failed, and the policy says that this means nothing."""
    elapsed_s: float = 0.0

    @property
    def error_type(self) -> str:
        """Return upstream's word for metrics."""
        if not self.is_error:
            return "no_error"
        if self.message.startswith("compilation"):
            return "compile_error"
        if self.message.startswith("validation failed due to running out of cost budget"):
            return "out_of_budget"
        return "invalid_error"


@dataclass(slots=True, kw_only=True)
class _Judged:
    """What the policies have come to so far."""

    denials: list[tuple[Policy, Binding | None, Verdict]]
    write: Write

    def misconfigured(self, policy: Policy, binding: Binding | None, why: str) -> None:
        if not policy.ignores_failure:
            what = "policy" if binding is None else "binding"
            verdict = Verdict(index=0, message=f"failed to configure {what}: {why}")
            self.denials.append((policy, binding, verdict))


async def validate(
    bound: Bound, attributes: Attributes, namespaces: View, authorizer: Authorizer | None
) -> None:
    """Ask every policy that is bound to the write. Raises what the first denial says."""
    judged = _Judged(denials=[], write=Write(attributes, authorizer, namespaces))
    for policy, bindings in bound:
        if policy.matcher is None:
            judged.misconfigured(policy, None, "policy contained no match constraints, a required field")
            continue
        try:
            match = policy.matcher.match(attributes, namespaces)
            if match is None:
                continue
            param_resource(policy, attributes)
        except (Misconfigured, NotFound) as error:
            judged.misconfigured(policy, None, str(error))
            continue
        notes: dict[str, list[str]] = {}
        for binding in bindings:
            await _judge(judged, policy, binding, match, namespaces, notes)
        for key, texts in notes.items():
            attributes.annotate(f"{policy.name}/{key}", ", ".join(texts))
    if judged.denials:
        raise _denied(attributes, *judged.denials[0])


async def _judge(
    judged: _Judged,
    policy: Policy,
    binding: Binding,
    match: Match,
    namespaces: View,
    notes: dict[str, list[str]],
) -> None:
    attributes = judged.write.attributes
    try:
        if binding.matcher is not None and binding.matcher.match(attributes, namespaces) is None:
            return
        resource = param_resource(policy, attributes)
        params = await collect(policy, binding, resource, attributes)
    except (Misconfigured, NotFound) as error:
        judged.misconfigured(policy, binding, str(error))
        return
    namespace = judged.write.namespace() if params else None
    for one in params:
        try:
            verdicts, annotations = await evaluate(policy, judged.write, match, one, namespace)
        except ApiError as error:
            judged.misconfigured(policy, binding, f"failed to convert object version: {error.message}")
            return
        for verdict in verdicts:
            _act(judged, policy, binding, verdict)
        for key, value in annotations:
            known = notes.setdefault(key, [])
            if value not in known:
                known.append(value)


def _act(judged: _Judged, policy: Policy, binding: Binding, verdict: Verdict) -> None:
    attributes = judged.write.attributes
    if verdict.ignored:
        _observe(attributes, policy, binding, verdict, "allow")
        return
    for action in binding.actions:
        if action == "Deny":
            judged.denials.append((policy, binding, verdict))
        elif action == "Warn":
            attributes.warn(
                f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding "
                f"'{binding.name}': {verdict.message}"
            )
        elif action == "Audit":
            failure = {
                "message": verdict.message,
                "policy": policy.name,
                "binding": binding.name,
                "expressionIndex": verdict.index,
                "validationActions": list(binding.actions),
            }
            attributes.annotate(FAILURE, orjson.dumps([failure]).decode())
        _observe(attributes, policy, binding, verdict, action.lower())


def _observe(attributes: Attributes, policy: Policy, binding: Binding, verdict: Verdict, action: str) -> None:
    metrics = attributes.host.metrics if attributes.host else None
    if metrics is not None:
        labels = (policy.name, binding.name, verdict.error_type, action)
        metrics.policy_checks.labels(*labels).inc()
        metrics.policy_time.labels(*labels).observe(verdict.elapsed_s)


def _denied(attributes: Attributes, policy: Policy, binding: Binding | None, verdict: Verdict) -> ApiError:
    bound = f" with binding '{binding.name}'" if binding is not None else ""
    message = f"ValidatingAdmissionPolicy '{policy.name}'{bound} denied request: {verdict.message}"
    error = refused(attributes, message, causes=[{"message": message}])
    error.reason = verdict.reason or "Invalid"
    error.code = _CODES.get(error.reason, _DENIED_CODE)
    return error


# --- one policy, one set of parameters


async def evaluate(
    policy: Policy, write: Write, match: Match, params: Object | None, namespace: Object | None
) -> tuple[Sequence[Verdict], Sequence[tuple[str, str]]]:
    """Return which rules the write breaks, and the audit annotations. Raises `ApiError` (500)."""
    try:
        if policy.conditions:
            conditions = await write.evaluation(
                match, params=params, variables=policy.variables, budget=MATCH_COST_MAX
            )
            observed = Observed(write.attributes, policy.name, "policy", "validate")
            if not await all_match(
                policy.conditions, conditions, ignore_failure=policy.ignores_failure, observed=observed
            ):
                return (), ()
        evaluation = await write.evaluation(
            match, params=params, namespace=namespace, variables=policy.variables
        )
        verdicts = [
            verdict
            for index, validation in enumerate(policy.validations)
            if (verdict := await _verdict(policy, index, validation, evaluation)) is not None
        ]
    except EvaluationFailed as error:
        return [_failed(policy, 0, str(error))], ()
    annotations, failures = await _annotations(policy, evaluation)
    return [*verdicts, *failures], annotations


async def _verdict(
    policy: Policy, index: int, validation: Validation, evaluation: Evaluation
) -> Verdict | None:
    """Return what one rule came to; None when it is kept. Raises `OutOfBudget`."""
    started = perf_counter()
    try:
        kept = await evaluation.value(validation.expression)
    except OutOfBudget:
        raise
    except EvaluationFailed as error:
        return _failed(policy, index, str(error), perf_counter() - started)
    if kept is True:
        return None
    elapsed_s = perf_counter() - started
    try:
        message = await _message(validation, evaluation)
    except OutOfBudget as error:
        return _failed(policy, index, f"failed messageExpression: {error}", elapsed_s)
    return Verdict(index=index, message=message, reason=validation.reason or "Invalid", elapsed_s=elapsed_s)


def _failed(policy: Policy, index: int, message: str, elapsed_s: float = 0.0) -> Verdict:
    return Verdict(
        index=index, message=message, is_error=True, ignored=policy.ignores_failure, elapsed_s=elapsed_s
    )


async def _message(validation: Validation, evaluation: Evaluation) -> str:
    """Return what a broken rule says: its expression's text, its own, or which rule it was."""
    message = ""
    if validation.message_expression is not None:
        try:
            found = await evaluation.value(validation.message_expression)
        except OutOfBudget:
            raise
        except EvaluationFailed:
            found = None
        if isinstance(found, str):
            message = found.strip()
            if len(message.encode()) > MESSAGE_BYTES_MAX or "\n" in message:
                message = ""
    return message or validation.message.strip() or f"failed expression: {validation.text.strip()}"


async def _annotations(
    policy: Policy, evaluation: Evaluation
) -> tuple[Sequence[tuple[str, str]], Sequence[Verdict]]:
    """Return the audit annotations, and those that failed where that counts."""
    made: list[tuple[str, str]] = []
    failures: list[Verdict] = []
    for index, (key, expression) in enumerate(policy.annotations):
        try:
            value = await evaluation.value(expression)
        except EvaluationFailed as error:
            if not policy.ignores_failure:
                failures.append(_failed(policy, index, str(error)))
            continue
        if isinstance(value, str) and value.strip():
            made.append((key, _cut(value.strip())))
    return made, failures


def _cut(text: str) -> str:
    return text.encode()[:ANNOTATION_BYTES_MAX].decode(errors="ignore")
