"""Whether the expressions of a validating policy fit the kinds that it is about: warnings in its status.

A policy works whatever the warnings say. Upstream: pkg/controller/validatingadmissionpolicystatus,
apiserver/pkg/admission/plugin/policy/validating/typechecking.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.admissionregistration.validatingadmissionpolicies import VALIDATINGADMISSIONPOLICIES
from podium.runtime.controller import Context, Controller, Watch, own_key

if TYPE_CHECKING:
    from podium.controllers.common.openapi_types import Gvk, Types
    from podium.machinery.cel.types import Type

NAME = "validatingadmissionpolicy-status-controller"
KINDS_MAX = 10
"""So many kinds are looked at, of each rule."""


def resources_of(policy: Object) -> Sequence[Sequence[tuple[str, str, str]]]:
    """Return the resources that each rule names, as group, version and plural; rules with wildcards none."""
    rules = (policy["spec"].get("matchConstraints") or {}).get("resourceRules") or ()
    found = []
    for rule in rules:
        groups, versions = sorted(rule.get("apiGroups") or ()), sorted(rule.get("apiVersions") or ())
        plurals = sorted(name for name in rule.get("resources") or () if not set(name) & set("*/"))
        if any("*" in text for text in (*groups, *versions)):
            continue
        found.append(
            [(group, version, plural) for group in groups for version in versions for plural in plurals]
        )
    return found


def plan(policy: Object, types: Mapping[Gvk, Type], params: Type | None) -> list[Object]:
    """Return the warnings: one for each expression that does not fit all of the kinds."""
    spec, warnings = policy["spec"], list[Object]()
    for index, validation in enumerate(spec.get("validations") or ()):
        for key in ("expression", "messageExpression"):
            text = validation.get(key)
            found = _issues(spec, text, types, params) if text else []
            if found:
                field = f"spec.validations[{index}].{key}"
                warnings.append({"fieldRef": field, "warning": "\n".join(found)})
    return warnings


def _issues(spec: Object, text: str, types: Mapping[Gvk, Type], params: Type | None) -> list[str]:
    # Few clusters have policies: what compiles expressions is loaded where there are some.
    from podium.machinery.cel.types import DYN  # noqa: PLC0415
    from podium.resources.admissionregistration.expressions import ANYTHING, Compiler, Scope  # noqa: PLC0415

    found = []
    for gvk, type_ in sorted(types.items()):
        group, version, kind = gvk
        scope = Scope(params="paramKind" in spec, object=type_, params_type=params or DYN)
        compiler = Compiler(composed=True)
        for variable in spec.get("variables") or ():
            compiler.add(variable.get("name") or "", variable.get("expression") or "", scope)
        error = compiler.compile(text, scope, ANYTHING).error
        if error:
            found.append(f"{group}/{version}, Kind={kind}: {error.removeprefix('compilation failed: ')}\n")
    return found


async def _reconcile(context: Context, key: str) -> float | None:
    policy = context.caches[VALIDATINGADMISSIONPOLICIES].get(key)
    if policy is None:
        return None
    status: Object = policy.get("status") or {}
    generation = meta.generation(policy)
    if generation <= (status.get("observedGeneration") or 0):
        return None
    from podium.controllers.common.openapi_types import Types  # noqa: PLC0415

    types = Types(context.client)
    found = await _types(policy, types)
    warnings = plan(policy, found, await _params(policy, types))
    checked: Object = {"expressionWarnings": warnings} if warnings else {}
    config = {
        "apiVersion": VALIDATINGADMISSIONPOLICIES.api_version,
        "kind": VALIDATINGADMISSIONPOLICIES.kind,
        "metadata": {"name": key},
        "status": {"observedGeneration": generation, "typeChecking": checked},
    }
    try:
        await context.client.patch(
            VALIDATINGADMISSIONPOLICIES,
            key,
            config,
            type="apply",
            subresource="status",
            field_manager=NAME,
            force=True,
        )
    except NotFound:
        return None
    return None


async def _types(policy: Object, types: Types) -> Mapping[Gvk, Type]:
    found: dict[Gvk, Type] = {}
    for resources in resources_of(policy):
        kinds = 0
        for group, version, plural in resources:
            gvk = await types.kind(group, version, plural)
            if gvk is None:
                continue
            kinds += 1
            type_ = await types.type(gvk)
            if type_ is not None:
                found[gvk] = type_
            if kinds == KINDS_MAX:
                break
    return found


async def _params(policy: Object, types: Types) -> Type | None:
    kind = policy["spec"].get("paramKind")
    if kind is None:
        return None
    group, _, version = (kind.get("apiVersion") or "").rpartition("/")
    return await types.type((group, version, kind.get("kind") or ""))


VALIDATINGADMISSIONPOLICY_STATUS = Controller(
    name=NAME,
    watches=(Watch(resource=VALIDATINGADMISSIONPOLICIES, keys_of=own_key),),
    reconcile=_reconcile,
    workers=1,
)
