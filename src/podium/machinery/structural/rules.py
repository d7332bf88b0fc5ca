"""Rules of custom resources at work: `x-kubernetes-validations`, compiled with their schema and run on
writes.

A schema without rules has no tree at all. With rules, only the way down to them is walked. What rules may
cost together is bounded for one object. Upstream:
apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.machinery import cel
from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.structural.correlation import Correlation
from podium.machinery.structural.fieldpath import FieldPathError, resolve
from podium.machinery.structural.values import ABSENT, correlated, key_of

ROOT = "<nil>"
MESSAGE_SIZE_MAX = 5 * 1024
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to "
    "complete validation"
)
BLOCKING = frozenset(
    [
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """One rule. `error` says, in upstream's words, why it did not compile."""

    source: Object
    program: cel.Program | None = None
    error: str = ""
    message: cel.Program | None = None
    message_error: str = ""
    field_path: str = ""

    @property
    def uses_old(self) -> bool:
        return self.program is not None and "oldSelf" in self.program.used

    @property
    def optional_old(self) -> bool:
        return bool(self.source.get("optionalOldSelf"))


def compile_rule(source: Object, schema: Object, type_: cel.Type) -> Compiled:
    """Compile one rule of a schema, whose values are of the type."""
    optional = bool(source.get("optionalOldSelf"))
    variables = {"self": type_, "oldSelf": cel.optional_of(type_) if optional else type_}
    text = str(source.get("rule") or "")
    if not text.strip():
        return Compiled(source=source)
    program, error = _program(text, variables, "bool")
    if program is None:
        return Compiled(source=source, error=error)
    message, message_error = None, ""
    if source.get("messageExpression"):
        message, message_error = _program(str(source["messageExpression"]), variables, "string")
    return Compiled(
        source=source,
        program=program,
        message=message,
        message_error=message_error,
        field_path=_field_path(source, schema),
    )


def _program(text: str, variables: Mapping[str, cel.Type], returns: str) -> tuple[cel.Program | None, str]:
    prefix = "" if returns == "bool" else "messageExpression "
    try:
        return cel.compile(text, variables=variables, returns="bool" if not prefix else "string"), ""
    except cel.CelError as error:
        if error.wrong_type:
            whole = "cel expression must evaluate to a bool"
            return None, "messageExpression must evaluate to a string" if prefix else whole
        if error.issues:
            return None, f"{prefix}compilation failed: {error}"
        return None, f"{prefix}{error}".replace(f"{prefix}program ", prefix or "program ", 1)


def _field_path(source: Object, schema: Object) -> str:
    if not source.get("fieldPath"):
        return ""
    try:
        return resolve(str(source["fieldPath"]), schema)[0]
    except FieldPathError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one schema and of those below it."""

    schema: Object
    own: tuple[Compiled, ...] = ()
    properties: Mapping[str, Rules] = field(default_factory=dict)
    others: Rules | None = None
    items: Rules | None = None

    def check(self, obj: Json, old: Json = ABSENT) -> Verdict:
        """Run all rules on a whole object; `old` is what an update has found there."""
        verdict = Verdict()
        run = _Run(verdict=verdict, budget=Budget())
        run.node(self, obj, old, "", Correlation(obj, old, self.schema))
        return verdict


@dataclass(slots=True, kw_only=True)
class Budget:
    """What is left for the rules of one object, or of one definition's defaults."""

    left: int = field(default_factory=lambda: cel.OBJECT_COST_MAX)


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What the rules have found, and what they would have found if the update had not left it as it was."""

    errors: list[FieldError] = field(default_factory=list)
    ratcheted: list[FieldError] = field(default_factory=list)


def has_rules(schema: Json) -> bool:
    """Return whether there are rules in a schema or below it."""
    if not isinstance(schema, dict):
        return False
    if schema.get("x-kubernetes-validations"):
        return True
    below = (
        schema.get("items"),
        schema.get("additionalProperties"),
        *(schema.get("properties") or {}).values(),
    )
    return any(map(has_rules, below))


def rules_of(schema: Object) -> Rules | None:
    """Compile the rules of a whole resource's schema; None when there are none."""
    return _rules(schema, cel.types_from_schema(schema, root=True)) if has_rules(schema) else None


def _rules(schema: Object, type_: cel.Type | None) -> Rules | None:
    if type_ is None:
        return None
    own = tuple(compile_rule(rule, schema, type_) for rule in schema.get("x-kubernetes-validations") or ())
    properties = {}
    for name, inner in (schema.get("properties") or {}).items():
        if has_rules(inner) and (made := _rules(inner, type_below(type_, name, inner))) is not None:
            properties[name] = made
    element = type_.element if type_.kind in ("list", "map") else None
    others, items = schema.get("additionalProperties"), schema.get("items")
    made_others = _rules(others, element) if isinstance(others, dict) and has_rules(others) else None
    made_items = _rules(items, element) if isinstance(items, dict) and has_rules(items) else None
    if not own and not properties and made_others is None and made_items is None:
        return None
    return Rules(schema=schema, own=own, properties=properties, others=made_others, items=made_items)


def rule_errors_of_default(schema: Object, default: Json, path: str, budget: Budget) -> list[FieldError]:
    """Return how a default at `path` breaks the rules of its own schema."""
    if not has_rules(schema):
        return []
    whole = bool(schema.get("x-kubernetes-embedded-resource"))
    rules = _rules(schema, cel.types_from_schema(schema, root=whole))
    if rules is None:
        return []
    for old in (default, ABSENT):
        verdict = Verdict()
        apart = Correlation(default, ABSENT, schema)
        _Run(verdict=verdict, budget=budget).node(rules, default, old, path, apart)
        if verdict.errors:
            return verdict.errors
    return []


def type_below(type_: cel.Type, name: str, schema: Object) -> cel.Type | None:
    """Return the type of a field; one whose name cannot be escaped still has a type of its own."""
    escaped = cel.escape(name)
    if escaped is not None:
        return type_.fields.get(escaped)
    return cel.types_from_schema(schema, root=bool(schema.get("x-kubernetes-embedded-resource")))


class _Stop(Exception):
    """No further rules are run."""


@dataclass(slots=True, kw_only=True)
class _Run:
    """One walk through an object. `budget` is what is left of it for rules."""

    verdict: Verdict
    budget: Budget

    def node(self, rules: Rules, value: Json, old: Json, path: str, place: Correlation) -> None:
        try:
            self.descend(rules, value, old, path, place)
        except _Stop:
            return

    def descend(self, rules: Rules, value: Json, old: Json, path: str, place: Correlation) -> None:
        if value is None:
            return  # what may be null is for the rules of the schema around it
        if old is None:
            old = ABSENT
        if rules.own:
            self.own(rules, value, old, path, place)
        if isinstance(value, list):
            self.list_items(rules, value, old, path, place)
        elif isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            if rules.others is not None:
                for name in sorted(value):
                    below = f"{path}[{name}]"
                    self.descend(rules.others, value[name], before.get(name, ABSENT), below, place.key(name))
            for name in sorted(rules.properties):
                if name in value:
                    below = f"{path}.{name}" if path else name
                    self.descend(
                        rules.properties[name], value[name], before.get(name, ABSENT), below, place.key(name)
                    )

    def list_items(self, rules: Rules, values: list[Json], old: Json, path: str, place: Correlation) -> None:
        if rules.items is None:
            return
        before = correlated(rules.schema, old) if old is not ABSENT else {}
        for at, item in enumerate(values):
            earlier = before.get(key_of(rules.schema, item), ABSENT) if before else ABSENT
            self.descend(rules.items, item, earlier, f"{path}[{at}]", place.index(at))

    def own(self, rules: Rules, value: Json, old: Json, path: str, place: Correlation) -> None:
        kind = rules.schema.get("type") or ""
        where = path or ROOT
        if self.budget.left <= 0:
            self.stop(FieldError.invalid(where, kind, OUT_OF_BUDGET))
        plain: dict[str, Json] = {"self": value}
        if old is not ABSENT and any(rule.uses_old for rule in rules.own):
            plain["oldSelf"] = old
        for rule in rules.own:
            if rule.error:
                detail = f"rule compile error: {rule.error}"
                self.verdict.errors.append(FieldError.invalid(where, kind, detail))
                continue
            if rule.program is None or (rule.uses_old and old is ABSENT and not rule.optional_old):
                continue
            bindings = plain
            if rule.optional_old:
                bindings = {"self": value, "oldSelf": cel.none() if old is ABSENT else cel.some(old)}
            if not self.holds(rule, rule.program, bindings, kind, where):
                self.report(rule, value, kind, plain, path, place)

    def holds(
        self, rule: Compiled, program: cel.Program, bindings: Mapping[str, Json], kind: str, where: str
    ) -> bool:
        """Return whether the value keeps the rule; what went wrong on the way is reported and passes."""
        shown = _shown(rule.source)
        fault: cel.CelRuntimeError | None = None
        try:
            result = program.evaluate(bindings, cost_limit=cel.CALL_COST_MAX)
            cost, value = result.cost, result.value
        except cel.CelRuntimeError as error:
            cost, value, fault = error.cost, None, error
        if cost > self.budget.left:
            self.stop(FieldError.invalid(where, kind, OUT_OF_BUDGET))
        self.budget.left -= cost
        if fault is None:
            return value is True
        text = str(fault)
        if isinstance(fault, cel.CostExceeded):
            detail = (
                f"'{text}': no further validation rules will be run due to call cost exceeds limit for rule: "
                f"{shown}"
            )
            self.stop(FieldError.invalid(where, kind, detail))
        if text.startswith("no such overload"):
            detail = (
                f"'{text}': call arguments did not match a supported operator, function or macro signature "
                f"for rule: {shown}"
            )
        else:
            detail = f"{text} evaluating rule: {shown}"
        self.verdict.errors.append(FieldError.invalid(where, kind, detail))
        return True

    def stop(self, error: FieldError) -> None:
        self.verdict.errors.append(error)
        raise _Stop

    def report(
        self,
        rule: Compiled,
        value: Json,
        kind: str,
        bindings: Mapping[str, Json],
        path: str,
        place: Correlation,
    ) -> None:
        where = ".".join(part for part in (path, rule.field_path) if part) or ROOT
        ratcheted = not rule.uses_old and place.unchanged
        found = self.verdict.ratcheted if ratcheted else self.verdict.errors
        detail = ""
        if rule.message is not None:
            try:
                detail = self.message(rule.message, bindings, rule.source["messageExpression"])
            except _Unaffordable as error:
                found.append(FieldError.invalid(where, kind, str(error)))
                raise _Stop from None
        if not detail:
            message = str(rule.source.get("message") or "")
            detail = message.strip() if message else f"failed rule: {_shown(rule.source)}"
        found.append(_error(where, value, kind, detail, rule.source.get("reason")))

    def message(self, program: cel.Program, bindings: Mapping[str, Json], source: str) -> str:
        """Return the message that an expression makes; "" when it makes none, and the rule's own is taken."""
        fault: cel.CelRuntimeError | None = None
        text: Json = None
        try:
            result = program.evaluate(bindings, cost_limit=cel.CALL_COST_MAX)
            cost, text = result.cost, result.value
        except cel.CelRuntimeError as error:
            cost, fault = error.cost, error
        if cost > self.budget.left:
            raise _Unaffordable(
                "messageExpression evaluation failed due to running out of cost budget, no further "
                "validation rules will be run"
            )
        if isinstance(fault, cel.CostExceeded):
            quoted = cel.quoted(source)
            raise _Unaffordable(
                "no further validation rules will be run due to call cost exceeds limit for "
                f"messageExpression: {quoted}"
            )
        self.budget.left -= cost
        trimmed = text.strip() if isinstance(text, str) else ""
        good = len(trimmed.encode()) <= MESSAGE_SIZE_MAX and "\n" not in trimmed
        return trimmed if good else ""


class _Unaffordable(Exception):
    """A message costs more than is left."""


def _shown(source: Object) -> str:
    return str(source.get("message") or source.get("rule") or "").strip()


def _error(where: str, value: Json, kind: str, detail: str, reason: Json) -> FieldError:
    # Of objects and lists upstream does not print the value.
    whole = kind in ("object", "array")
    match reason:
        case "FieldValueForbidden":
            return FieldError.forbidden(where, detail)
        case "FieldValueRequired":
            return FieldError.required(where, detail)
        case "FieldValueDuplicate":
            return (
                FieldError(where, reason, "Duplicate value") if whole else FieldError.duplicate(where, value)
            )
    if whole:
        return FieldError(where, "FieldValueInvalid", f"Invalid value: {detail}")
    return FieldError.invalid(where, value, detail)
