"""What is wrong with match conditions, and with expressions in general, in upstream's words."""

from __future__ import annotations

from collections.abc import Sequence

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json
from podium.resources.admissionregistration.expressions import BOOLEAN, Compiler, Scope
from podium.resources.checks import Errors, named, objects

CONDITIONS_MAX = 64


def match_condition_errors(conditions: Json, scope: Scope, path: str) -> Errors:
    """Check the conditions of a webhook or a policy; variables of a policy are not theirs to use."""
    listed, names = objects(conditions), set[str]()
    errors: Errors = []
    if len(listed) > CONDITIONS_MAX:
        errors.append(FieldError.too_many(path, len(listed), CONDITIONS_MAX))
    for index, condition in enumerate(listed):
        here = f"{path}[{index}]"
        text, name = str(condition.get("expression") or "").strip(), str(condition.get("name") or "")
        if not text:
            errors.append(FieldError.required(f"{here}.expression"))
        else:
            errors += expression_errors(Compiler(), text, scope, BOOLEAN, f"{here}.expression")
        if not name:
            errors.append(FieldError.required(f"{here}.name"))
        else:
            errors += named(f"{here}.name", name, validation.qualified_name_errors)
        if name and name in names:
            errors.append(FieldError.duplicate(f"{here}.name", name))
        names.add(name)
    return errors


def expression_errors(
    compiler: Compiler, text: str, scope: Scope, returns: Sequence[str], path: str, *, shown: str = ""
) -> Errors:
    """Return why an expression does not compile to one of the types; `shown` instead of it in the message."""
    error = compiler.compile(text, scope, returns).error
    return [FieldError.invalid(path, shown or text, error)] if error else []
