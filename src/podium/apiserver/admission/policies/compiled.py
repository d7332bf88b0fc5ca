"""Policies and their bindings, compiled: once when a write first meets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from podium.apiserver.admission.evaluation import Condition
from podium.apiserver.admission.matching import Matcher
from podium.apiserver.admission.policies.type_names import fault_of
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.admissionregistration.expressions import (
    BOOLEAN,
    JSON_PATCHES,
    OBJECT,
    TEXT,
    TEXT_OR_NULL,
    Compiled,
    Compiler,
    Scope,
)

PatchType = Literal["JSONPatch", "ApplyConfiguration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One rule; `text` is the expression as it was written."""

    text: str
    expression: Compiled
    message: str
    message_expression: Compiled | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One change."""

    type: PatchType
    expression: Compiled
    fault: str
    """What is wrong with the types of its objects, "" when nothing is."""


class Policy:
    """A policy of either kind. What only the other kind has is empty."""

    def __init__(self, policy: Object) -> None:
        self._spec: Object = policy.get("spec") or {}
        self.name = meta.name(policy)
        self.ignores_failure = self._spec.get("failurePolicy") == "Ignore"
        self.param_kind: Object | None = self._spec.get("paramKind")
        self.reinvoked = self._spec.get("reinvocationPolicy") == "IfNeeded"
        self._scope = Scope(params=self.param_kind is not None)

    @cached_property
    def matcher(self) -> Matcher | None:
        return matcher_of(self._spec.get("matchConstraints"))

    @cached_property
    def _compiler(self) -> Compiler:
        compiler = Compiler(composed=True)
        for variable in self._spec.get("variables") or ():
            compiler.add(variable.get("name") or "", variable.get("expression") or "", self._scope)
        return compiler

    @property
    def variables(self) -> dict[str, Compiled]:
        return self._compiler.variables

    @cached_property
    def conditions(self) -> Sequence[Condition]:
        return [
            (one.get("name") or "", self._compiler.compile(one.get("expression") or "", self._scope, BOOLEAN))
            for one in self._spec.get("matchConditions") or ()
        ]

    @cached_property
    def validations(self) -> Sequence[Validation]:
        compile_, without = self._compiler.compile, Scope(params=self._scope.params, authorizer=False)
        made = []
        for one in self._spec.get("validations") or ():
            text, message = one.get("expression") or "", one.get("messageExpression")
            made.append(
                Validation(
                    text=text,
                    expression=compile_(text, self._scope, BOOLEAN),
                    message=one.get("message") or "",
                    message_expression=compile_(message, without, TEXT) if message else None,
                    reason=one.get("reason") or "",
                )
            )
        return made

    @cached_property
    def annotations(self) -> Sequence[tuple[str, Compiled]]:
        """Return the audit annotations: key and expression."""
        return [
            (
                one.get("key") or "",
                self._compiler.compile(one.get("valueExpression") or "", self._scope, TEXT_OR_NULL),
            )
            for one in self._spec.get("auditAnnotations") or ()
        ]

    @cached_property
    def mutations(self) -> Sequence[Mutation]:
        scope, made = Scope(params=self._scope.params, mutation=True), list[Mutation]()
        for one in self._spec.get("mutations") or ():
            if one.get("patchType") == "JSONPatch":
                text = (one.get("jsonPatch") or {}).get("expression") or ""
                compiled = self._compiler.compile(text, scope, JSON_PATCHES)
                made.append(_mutation("JSONPatch", compiled))
            else:
                text = (one.get("applyConfiguration") or {}).get("expression") or ""
                compiled = self._compiler.compile(text, scope, OBJECT)
                made.append(_mutation("ApplyConfiguration", compiled))
        return made


def _mutation(type_: PatchType, compiled: Compiled) -> Mutation:
    fault = "" if compiled.program is None else fault_of(compiled.program.checked.root)
    return Mutation(type=type_, expression=compiled, fault=fault)


class Binding:
    """What puts a policy to use."""

    def __init__(self, binding: Object) -> None:
        spec: Object = binding.get("spec") or {}
        self.name = meta.name(binding)
        self.policy: str = spec.get("policyName") or ""
        self.param_ref: Object | None = spec.get("paramRef")
        self.actions: Sequence[str] = spec.get("validationActions") or ()
        self._match: Object | None = spec.get("matchResources")

    @cached_property
    def matcher(self) -> Matcher | None:
        """Return what narrows the policy; None for nothing."""
        return matcher_of(self._match)


def matcher_of(match: Object | None) -> Matcher | None:
    """Compile which requests a policy or a binding is about."""
    if match is None:
        return None
    return Matcher(
        match.get("resourceRules") or None,
        excluded=match.get("excludeResourceRules") or (),
        equivalent=match.get("matchPolicy") == "Equivalent",
        namespace_selector=match.get("namespaceSelector"),
        object_selector=match.get("objectSelector"),
    )
