"""Match conditions of authorization webhooks: expressions about the review that the webhook would be sent.

Upstream: apiserver/pkg/authorization/cel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from time import perf_counter

from podium.apiserver.authz.messages import aggregate
from podium.apiserver.authz.metrics import AuthorizationMetrics
from podium.machinery import cel
from podium.machinery.cel.types import STRING, Type, list_of, map_of
from podium.machinery.errors import FieldError, Object

COUNT_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """An expression that compiles."""

    text: str
    program: cel.Program


class EvaluationFailed(Exception):
    """Expressions have no value, and none says no. The text is upstream's."""


def compile_all(
    conditions: Sequence[Object], path: str, *, version: str
) -> tuple[tuple[Condition, ...], list[FieldError]]:
    """Return the match conditions of a configuration compiled, and what is wrong with the others."""
    if len(conditions) > COUNT_MAX:
        return (), [FieldError.too_many(f"{path}.matchConditions", len(conditions), COUNT_MAX)]
    made: list[Condition] = []
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        where, text = f"{path}.matchConditions[{index}].expression", condition.get("expression") or ""
        if not text.strip():
            errors.append(FieldError.required(where))
        elif text in seen:
            errors.append(FieldError.duplicate(where, text))
        else:
            seen.add(text)
            found = _compile(text, version)
            if isinstance(found, Condition):
                made.append(found)
            else:
                errors.append(FieldError.invalid(where, text, found))
    return tuple(made), errors


def _compile(text: str, version: str) -> Condition | str:
    """Return the expression compiled, or what is wrong with it."""
    try:
        program = cel.compile(text, variables={"request": _review_type()}, version=version)
    except cel.CelError as error:
        return f"compilation failed: {error}"
    if program.result_type.kind != "bool":
        found = "null_type" if program.result_type.kind == "null" else str(program.result_type)
        return f"must evaluate to bool but got {found}"
    return Condition(text=text, program=program)


class Matcher:
    """The match conditions of one authorizer."""

    def __init__(
        self, conditions: Sequence[Condition], metrics: AuthorizationMetrics, type: str, name: str
    ) -> None:
        self._conditions = conditions
        self._metrics = metrics
        self._labels = (type, name)

    def matches(self, spec: Object) -> bool:
        """Tell whether all conditions hold for a review. Raises `EvaluationFailed`.

        One that is false decides, whatever the others do.
        """
        if not self._conditions:
            return True
        started, errors = perf_counter(), list[str]()
        bindings = {"request": _bound(spec)}
        try:
            for condition in self._conditions:
                try:
                    holds = condition.program.evaluate(bindings, cost_limit=cel.CALL_COST_MAX).value
                except cel.CelRuntimeError as error:
                    text = f"expression '{condition.text}' resulted in error: {error}"
                    errors.append(f"cel evaluation error: {text}")
                    continue
                if not holds:
                    self._metrics.condition_exclusions.labels(*self._labels).inc()
                    return False
        finally:
            self._metrics.condition_time.labels(*self._labels).observe(perf_counter() - started)
            if errors:
                self._metrics.condition_errors.labels(*self._labels).inc()
        if errors:
            raise EvaluationFailed(aggregate(errors))
        return True


_ATTRIBUTES = ("namespace", "verb", "group", "version", "resource", "subresource", "name")


def _bound(spec: Object) -> Object:
    """Return a review's spec with every text that it could have: expressions need no `has` for those."""
    whole: Object = {
        "user": spec.get("user", ""),
        "groups": spec.get("groups", []),
        "uid": spec.get("uid", ""),
        "extra": spec.get("extra", {}),
    }
    attributes = spec.get("resourceAttributes")
    if attributes is not None:
        whole["resourceAttributes"] = {**dict.fromkeys(_ATTRIBUTES, ""), **attributes}
    about = spec.get("nonResourceAttributes")
    if about is not None:
        whole["nonResourceAttributes"] = {"path": "", "verb": "", **about}
    return whole


def _object(name: str, fields: Mapping[str, Type]) -> Type:
    return Type(
        kind="object", name=f"kubernetes.{name}", fields=fields, wire={key: key for key in fields}, size_min=2
    )


@cache
def _review_type() -> Type:
    texts = list_of(STRING)
    requirement = _object("SelectorRequirement", {"key": STRING, "operator": STRING, "values": texts})
    selector = {"rawSelector": STRING, "requirements": list_of(requirement)}
    attributes = {
        **dict.fromkeys(_ATTRIBUTES, STRING),
        "fieldSelector": _object("FieldSelectorAttributes", selector),
        "labelSelector": _object("LabelSelectorAttributes", selector),
    }
    return _object(
        "SubjectAccessReviewSpec",
        {
            "resourceAttributes": _object("ResourceAttributes", attributes),
            "nonResourceAttributes": _object("NonResourceAttributes", {"path": STRING, "verb": STRING}),
            "user": STRING,
            "groups": texts,
            "extra": map_of(STRING, texts),
            "uid": STRING,
        },
    )
