"""What is wrong with the rules of a definition: they do not compile, or would cost too much.

    rule_errors(schema, path, faulty)  -> errors, once the schema itself is known to be structural
    field_errors(schema, path)         -> what can be said of a rule's texts without compiling it

Costs are estimates: the most that a rule can cost by its schema, times how often the schema can occur in an
object. Upstream: apiextensions-apiserver/pkg/apis/apiextensions/validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from podium.machinery import cel
from podium.machinery.errors import FieldError, Object
from podium.machinery.structural.fieldpath import FieldPathError, resolve
from podium.machinery.structural.internal import internal_rule
from podium.machinery.structural.rules import Compiled, compile_rule, has_rules, type_below

Errors = list[FieldError]

RULES = "x-kubernetes-validations"
COST_MAX = 2**64 - 1
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_EXPENSIVE_SHOWN = 4
_BREAKS = re.compile(r"[\n\r]")


def field_errors(schema: Object, path: str) -> Errors:
    """Check what the rules of one schema say, without compiling them."""
    errors: Errors = []
    for index, rule in enumerate(schema.get(RULES) or ()):
        errors += _texts(rule, schema, f"{path}.{RULES}[{index}]")
    return errors


def _texts(rule: Object, schema: Object, path: str) -> Errors:
    errors: Errors = []
    source, message = str(rule.get("rule") or "").strip(), str(rule.get("message") or "")
    if not source:
        errors.append(FieldError.required(f"{path}.rule", "rule is not specified"))
    elif message and not message.strip():
        errors.append(FieldError.invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif _BREAKS.search(message.strip()):
        errors.append(FieldError.invalid(f"{path}.message", message, "must not contain line breaks"))
    elif _BREAKS.search(source) and not message:
        detail = "message must be specified if rule contains line breaks"
        errors.append(FieldError.required(f"{path}.message", detail))
    expression = str(rule.get("messageExpression") or "")
    if expression and not expression.strip():
        detail = "messageExpression must be non-empty if specified"
        errors.append(FieldError.required(f"{path}.messageExpression", detail))
    reason = rule.get("reason")
    if reason is not None and reason not in _REASONS:
        errors.append(FieldError.not_supported(f"{path}.reason", reason, _REASONS))
    field_path = str(rule.get("fieldPath") or "")
    where = f"{path}.fieldPath"
    if field_path and not field_path.strip():
        errors.append(FieldError.invalid(where, field_path, "must be non-empty if specified"))
    if _BREAKS.search(field_path):
        errors.append(FieldError.invalid(where, field_path, "must not contain line breaks"))
    if field_path:
        try:
            resolve(field_path, schema)
        except FieldPathError:
            errors.append(FieldError.invalid(where, field_path, "must be a valid path"))
    return errors


def rule_errors(
    schema: Object, path: str, faulty: Callable[[Object, str], bool], *, unchanged: bool = False
) -> Errors:
    """Return what is wrong with the rules of a resource's schema at `path`.

    `faulty` tells whether a schema, or one below it, has faults of its own: its rules are not looked at then.
    `unchanged`: the schema was there before, so that single rules may cost what they cost.
    """
    if not has_rules(schema):
        return []
    walk = _Walk(faulty=faulty, unchanged=unchanged)
    walk.node(schema, path, _Scope(schema=schema, root=True))
    return walk.errors + walk.total_errors(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What is known of a schema from those above it.

    `count`: how often it can occur in an object, None without bound. `within`: rules have been seen on the
    way. `apart`: the path of the schema above that keeps old and new values from being told to belong
    together.
    """

    schema: Object
    root: bool = False
    type_of: Callable[[], cel.Type | None] | None = None
    count: int | None = 1
    within: bool = False
    apart: str = ""

    def type(self) -> cel.Type | None:
        found = self.type_of() if self.type_of is not None else None
        if found is not None:
            return found
        whole = self.root or bool(self.schema.get("x-kubernetes-embedded-resource"))
        return cel.types_from_schema(self.schema, root=whole)


@dataclass(slots=True, kw_only=True)
class _Walk:
    faulty: Callable[[Object, str], bool]
    unchanged: bool
    errors: Errors = field(default_factory=list)
    total: int = 0
    expensive: list[tuple[int, str]] = field(default_factory=list)

    def node(self, schema: Object, path: str, scope: _Scope) -> None:
        if not has_rules(schema):
            return
        own = scope.type() if scope.within or schema.get(RULES) else None
        others, items = schema.get("additionalProperties"), schema.get("items")
        count = _product(scope.count, _elements_max(schema))
        within = own is not None

        def below(inner: Object, found: Callable[[], cel.Type | None], apart: str) -> _Scope:
            return _Scope(
                schema=inner,
                type_of=found if within else None,
                count=count,
                within=within,
                apart=scope.apart or apart,
            )

        def element() -> cel.Type | None:
            return own.element if own is not None and own.kind in ("list", "map") else None

        if isinstance(others, dict):
            self.node(others, f"{path}.additionalProperties", below(others, element, ""))
        for name in sorted(schema.get("properties") or {}):
            inner = schema["properties"][name]

            def typed(name: str = name, inner: Object = inner) -> cel.Type | None:
                return type_below(own, name, inner) if own is not None else None

            self.node(inner, f"{path}.properties[{name}]", below(inner, typed, ""))
        if isinstance(items, dict):
            # Items of lists other than of type map cannot be told to be the ones of before.
            apart = "" if schema.get("x-kubernetes-list-type") == "map" else path
            self.node(items, f"{path}.items", below(items, element, apart))
        if schema.get(RULES) and not self.faulty(schema, path):
            self.rules(schema, path, scope, own)

    def rules(self, schema: Object, path: str, scope: _Scope, type_: cel.Type | None) -> None:
        if type_ is None:
            detail = (
                "Internal error: internal error: failed to construct type information for "
                f"{RULES} rules: unable to convert structural schema to CEL declarations"
            )
            self.errors.append(FieldError(f"{path}.{RULES}", "InternalError", detail))
            return
        occurs = scope.count if scope.count is not None else cel.cardinality_max(type_)
        for index, rule in enumerate(schema[RULES]):
            self.rule(compile_rule(rule, schema, type_), f"{path}.{RULES}[{index}]", occurs, scope.apart)

    def rule(self, rule: Compiled, path: str, occurs: int, apart: str) -> None:
        if rule.program is not None:
            cost = min(cel.estimate_cost(rule.program) * occurs, COST_MAX)
            self.charge(f"{path}.rule", "estimated rule cost", cost)
        if rule.error:
            self.errors.append(FieldError.invalid(f"{path}.rule", internal_rule(rule.source), rule.error))
        if rule.message_error:
            where = f"{path}.messageExpression"
            self.errors.append(FieldError.invalid(where, internal_rule(rule.source), rule.message_error))
        elif rule.message is not None:
            cost = cel.estimate_cost(rule.message)
            self.charge(f"{path}.messageExpression", "estimated messageExpression cost", cost)
        if rule.uses_old:
            if apart:
                detail = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {apart}"
                self.errors.append(FieldError.invalid(f"{path}.rule", rule.source["rule"], detail))
        elif rule.source.get("optionalOldSelf") is not None:
            self.errors.append(
                FieldError.invalid(
                    f"{path}.optionalOldSelf",
                    rule.source["optionalOldSelf"],
                    "may not be set if oldSelf is not used in rule",
                )
            )

    def charge(self, path: str, what: str, cost: int) -> None:
        if cost > cel.RULE_COST_MAX and not self.unchanged:
            self.errors.append(FieldError.forbidden(path, _over_budget(what, cost, cel.RULE_COST_MAX)))
        self.total = min(self.total + cost, COST_MAX)
        if cost >= cel.CRD_COST_MAX // 100:
            self.expensive = sorted([*self.expensive, (cost, path)], key=lambda one: -one[0])[
                :_EXPENSIVE_SHOWN
            ]

    def total_errors(self, path: str) -> Errors:
        if self.total <= cel.CRD_COST_MAX:
            return []
        detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        errors = [FieldError.forbidden(where, detail) for _, where in self.expensive]
        what = f"{RULES} estimated rule cost total for entire OpenAPIv3 schema"
        return [*errors, FieldError.forbidden(path, _over_budget(what, self.total, cel.CRD_COST_MAX))]


def _over_budget(what: str, cost: int, limit: int) -> str:
    excess = cost / limit
    if excess > 100.0:
        factor = "more than 100x"
    elif excess < 1.5:
        factor = f"{excess:f}x"
    else:
        factor = f"{excess:.1f}x"
    return (
        f"{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, "
        "maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )


def _product(count: int | None, elements: int | None) -> int | None:
    if count is None or elements is None:
        return None
    return min(count * elements, COST_MAX)


def _elements_max(schema: Object) -> int | None:
    """Return how many values stand in one of this schema at most; None without bound."""
    name = {"object": "maxProperties", "array": "maxItems"}.get(schema.get("type") or "")
    if name is None or (name == "maxProperties" and schema.get("additionalProperties") is None):
        return 1
    limit = schema.get(name)
    return max(0, int(limit)) if limit is not None else None
