"""Evaluating expressions about one write: what they are bound to, what they may cost, what failures say.

An expression may ask the authorizer in the middle of its evaluation, which is synchronous while authorizers
may wait. So an answer that is not known yet stops the evaluation; it is fetched, and the evaluation starts
again. Answers are kept for the write. Upstream: admission/plugin/cel/activation.go, condition.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from podium.apiserver.admission.matching import Match, is_namespace
from podium.apiserver.admission.shown import Shown
from podium.apiserver.chain import ALL_AUTHENTICATED, Attributes, Authorizer, RequestInfo, User, View
from podium.machinery import cel
from podium.machinery.cel.values import LazyMap
from podium.machinery.errors import NotFound, Object
from podium.resources.admissionregistration.expressions import Compiled
from podium.resources.core.namespaces import NAMESPACES

if TYPE_CHECKING:
    from podium.machinery.cel.library import authorizer as asking

OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
REST_COST = 50_000
"""After so much, which takes some fifty milliseconds, other requests have a turn."""
QUESTIONS_MAX = 1000
"""An evaluation that asks more than this in a row gives up."""

_SHOWN_OF_NAMESPACES = (
    *("name", "generateName", "uid", "resourceVersion", "generation", "creationTimestamp"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "finalizers"),
)

Condition = tuple[str, Compiled]
"""A match condition's name and expression."""


class EvaluationFailed(Exception):
    """An expression has no value. The text is upstream's."""


class OutOfBudget(EvaluationFailed):
    """All expressions together have cost too much."""

    def __init__(self) -> None:
        super().__init__(OUT_OF_BUDGET)


class _Unanswered(Exception):
    """The evaluation needs to know what the authorizer says."""

    def __init__(self, question: Mapping[str, str]) -> None:
        super().__init__("unanswered")
        self.question = question


class Write:
    """One write, as the expressions of all webhooks and policies see it."""

    def __init__(self, attributes: Attributes, authorizer: Authorizer | None, namespaces: View) -> None:
        self.attributes = attributes
        self.shown = Shown(attributes)
        self._authorizer = authorizer
        self._namespaces = namespaces
        self._answers: dict[tuple[tuple[str, str], ...], asking.Decision] = {}

    def namespace(self) -> Object | None:
        """Return the Namespace of the object, as far as expressions see it; None for objects of the cluster.

        Raises `NotFound`.
        """
        attributes = self.attributes
        if is_namespace(attributes.resource) or not attributes.namespace:
            return None
        namespace = self._namespaces.get(None, attributes.namespace)
        if namespace is None:
            raise NotFound.of(NAMESPACES.plural, NAMESPACES.group, attributes.namespace)
        metadata = namespace["metadata"]
        return {
            "metadata": {key: metadata[key] for key in _SHOWN_OF_NAMESPACES if key in metadata},
            "spec": namespace.get("spec") or {},
            "status": namespace.get("status") or {},
        }

    async def evaluation(
        self,
        match: Match,
        *,
        params: Object | None = None,
        namespace: Object | None = None,
        variables: Mapping[str, Compiled] | None = None,
        budget: int = cel.OBJECT_COST_MAX,
    ) -> Evaluation:
        """Return what evaluates expressions about the write as it is shown by `match`."""
        bindings: dict[str, Any] = {
            "object": await self.shown.object(match),
            "oldObject": await self.shown.old_object(match),
            "request": self.shown.request(match),
            "namespaceObject": namespace,
            "params": params,
            **self._asking,
        }
        return Evaluation(self, bindings, variables or {}, budget)

    @cached_property
    def _asking(self) -> Mapping[str, Any]:
        """Return what asks the authorizer, the same for all expressions."""
        if self._authorizer is None:
            return {}
        from podium.machinery.cel.library import authorizer as asking  # noqa: PLC0415 - loads all libraries

        authorizer = asking.Authorizer(check=self._answer)
        about = asking.resource_check(authorizer, self._about())
        return {"authorizer": authorizer, "authorizer.requestResource": about}

    def _about(self) -> Mapping[str, str]:
        attributes = self.attributes
        about = {
            "group": attributes.resource.group,
            "resource": attributes.resource.plural,
            "subresource": attributes.subresource,
            "namespace": attributes.namespace,
            "name": attributes.name,
        }
        return {key: value for key, value in about.items() if value}

    def _answer(self, question: Mapping[str, str]) -> asking.Decision:
        answer = self._answers.get(_key(question))
        if answer is None:
            raise _Unanswered(question)
        return answer

    async def answer(self, question: Mapping[str, str]) -> None:
        """Fetch what the authorizer says."""
        from podium.machinery.cel.library import authorizer as asking  # noqa: PLC0415 - as above

        assert self._authorizer is not None
        user, info = self.attributes.user, _info(question)
        if "serviceAccount" in question:
            user = _service_account(question["serviceAccount"])
        decision = await self._authorizer.authorize(user, info)
        self._answers[_key(question)] = asking.Decision(
            allowed=decision.allowed, reason=decision.reason, error=decision.error
        )


def _key(question: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(question.items()))


def _service_account(account: str) -> User:
    namespace, _, name = account.partition(":")
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", ALL_AUTHENTICATED)
    return User(name=f"system:serviceaccount:{namespace}:{name}", groups=groups)


def _info(question: Mapping[str, str]) -> RequestInfo:
    if "path" in question:
        return RequestInfo(verb=question.get("verb", ""), path=question["path"])
    return RequestInfo(
        verb=question.get("verb", ""),
        path="",
        is_resource=True,
        api_prefix="apis" if question.get("group") else "api",
        api_group=question.get("group", ""),
        api_version="*",
        namespace=question.get("namespace", ""),
        resource=question.get("resource", ""),
        subresource=question.get("subresource", ""),
        name=question.get("name", ""),
        label_selector=question.get("labelSelector", ""),
        field_selector=question.get("fieldSelector", ""),
    )


class Evaluation:
    """Evaluates expressions that share variables and a budget."""

    def __init__(
        self, write: Write, bindings: dict[str, Any], variables: Mapping[str, Compiled], budget: int
    ) -> None:
        self._write = write
        self._bindings = bindings
        self._left = budget
        self._rest_at = budget - REST_COST
        if variables:
            bindings["variables"] = _Variables(
                {name: partial(self._variable, name, one) for name, one in variables.items()}
            )

    async def value(self, compiled: Compiled) -> Any:
        """Return the value of an expression. Raises `EvaluationFailed`."""
        if compiled.program is None:
            raise EvaluationFailed(f"compilation error: {compiled.error}")
        for _ in range(QUESTIONS_MAX):
            try:
                result = compiled.program.evaluate(self._bindings, cost_limit=cel.CALL_COST_MAX)
            except _Unanswered as unanswered:
                await self._write.answer(unanswered.question)
                continue
            except cel.CelRuntimeError as error:
                self._spend(cel.CALL_COST_MAX if isinstance(error, cel.CostExceeded) else 0)
                text = f"expression '{compiled.text}' resulted in error: {error}"
                raise EvaluationFailed(text) from None
            self._spend(result.cost)
            if self._left < self._rest_at:
                # Others want to be served as well.
                self._rest_at = self._left - REST_COST
                await asyncio.sleep(0)
            return result.value
        raise EvaluationFailed(f"expression '{compiled.text}' resulted in error: too many questions")

    def _spend(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise OutOfBudget

    def _variable(self, name: str, compiled: Compiled) -> Any:
        """Return the value of a variable, in the middle of an expression that uses it."""
        if compiled.program is None:
            raise cel.CelRuntimeError(f'composited variable "{name}" fails to compile: {compiled.error}')
        try:
            result = compiled.program.evaluate(self._bindings, cost_limit=cel.CALL_COST_MAX)
        except cel.CelRuntimeError as error:
            raise cel.CelRuntimeError(f'composited variable "{name}" fails to evaluate: {error}') from None
        # Whether that was too much is found out behind the expression.
        self._left -= result.cost
        return result.value


class _Variables(LazyMap):
    """The variables of a policy: each is computed when first used; all are there."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        super().__init__(makers)
        self._names = frozenset(makers)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self._names else default


async def all_match(
    conditions: Sequence[Condition], evaluation: Evaluation, *, ignore_failure: bool, observed: Observed
) -> bool:
    """Return whether every condition holds.

    One that is false decides, whatever the others do. Where others fail, the write is not matched, or, unless
    failures are ignored, `EvaluationFailed` is raised with all of them.
    """
    started, failures = perf_counter(), list[str]()
    try:
        for _, compiled in conditions:
            try:
                holds = await evaluation.value(compiled)
            except OutOfBudget:
                if ignore_failure:
                    return False
                raise
            except EvaluationFailed as error:
                failures.append(str(error))
                observed.error()
                continue
            if holds is False:
                observed.exclusion()
                return False
    finally:
        observed.time(perf_counter() - started)
    if not failures:
        return True
    if ignore_failure:
        return False
    unique = list(dict.fromkeys(failures))
    raise EvaluationFailed(unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]")


class Observed:
    """What is counted of the match conditions of one webhook or policy."""

    def __init__(self, attributes: Attributes, name: str, kind: str, type_: str) -> None:
        """`kind` is webhook or policy, `type_` upstream's word for the step."""
        self._metrics = attributes.host.metrics if attributes.host else None
        self._labels = (name, kind, type_, attributes.operation)

    def error(self) -> None:
        if self._metrics is not None:
            self._metrics.condition_errors.labels(*self._labels).inc()

    def exclusion(self) -> None:
        if self._metrics is not None:
            self._metrics.condition_exclusions.labels(*self._labels).inc()

    def time(self, elapsed_s: float) -> None:
        if self._metrics is not None:
            self._metrics.condition_time.labels(*self._labels).observe(elapsed_s)
