"""What mutating policies make of a write: one change after the other, each on what the ones before have made.

Upstream: plugin/policy/mutating/dispatcher.go and generic/policy_dispatcher.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from podium.apiserver.admission.evaluation import EvaluationFailed, Observed, Write, all_match
from podium.apiserver.admission.matching import Match, internal
from podium.apiserver.admission.policies.compiled import Binding, Mutation, Policy
from podium.apiserver.admission.policies.params import Misconfigured, collect, param_resource
from podium.apiserver.admission.policies.patching import PatchFailed, patched
from podium.apiserver.admission.reinvocation import Memory
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes, Authorizer, Reinvocation, View
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.admissionregistration.expressions import MATCH_COST_MAX

NAME = "MutatingAdmissionPolicy"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """A policy that is bound to the write, with one set of parameters."""

    policy: Policy
    binding: Binding
    match: Match
    params: Object | None

    @property
    def key(self) -> str:
        params = meta.key(self.params) if self.params is not None else ""
        return f"{self.policy.name}|{self.binding.name}|{params}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """What went wrong with a policy."""

    policy: Policy
    binding: Binding | None
    why: str
    reason: str = ""

    def __str__(self) -> str:
        if self.binding is not None:
            return (
                f"policy '{self.policy.name}' with binding '{self.binding.name}' denied request: {self.why}"
            )
        return f'policy "{self.policy.name}" denied request: {self.why}'


async def mutate(
    bound: Sequence[tuple[Policy, Sequence[Binding]]],
    attributes: Attributes,
    namespaces: View,
    authorizer: Authorizer | None,
) -> None:
    """Make the changes of every policy that is bound to the write; `attributes.object` is changed in place.

    Raises `Forbidden` when a policy fails whose failures count.
    """
    problems: list[_Problem] = []
    uses = await _uses(bound, attributes, namespaces, problems)
    if uses:
        await _perform(uses, Write(attributes, authorizer, namespaces), problems)
    serious = [problem for problem in problems if not problem.policy.ignores_failure]
    if serious:
        texts = [str(problem) for problem in serious]
        error = refused(attributes, "", causes=[{"message": text} for text in texts])
        error.message = texts[0]
        if serious[0].reason:
            error.reason = serious[0].reason
        raise error


async def _uses(
    bound: Sequence[tuple[Policy, Sequence[Binding]]],
    attributes: Attributes,
    namespaces: View,
    problems: list[_Problem],
) -> Sequence[_Use]:
    """Return which policies the write meets, as it was before any of them changes it."""
    uses: list[_Use] = []
    for policy, bindings in bound:
        try:
            if policy.matcher is None:
                raise Misconfigured("policy contained no match constraints, a required field")
            match = policy.matcher.match(attributes, namespaces)
            if match is None:
                continue
            resource = param_resource(policy, attributes)
        except (Misconfigured, NotFound) as error:
            why = f"failed to configure policy: {error}"
            problems.append(_Problem(policy=policy, binding=None, why=why))
            continue
        for binding in bindings:
            try:
                if binding.matcher is not None and binding.matcher.match(attributes, namespaces) is None:
                    continue
                params = await collect(policy, binding, resource, attributes)
            except (Misconfigured, NotFound) as error:
                why = f"failed to configure binding: {error}"
                problems.append(_Problem(policy=policy, binding=binding, why=why))
                continue
            uses += [_Use(policy=policy, binding=binding, match=match, params=one) for one in params]
    return uses


async def _perform(uses: Sequence[_Use], write: Write, problems: list[_Problem]) -> None:
    attributes = write.attributes
    reinvocation = Reinvocation.of(attributes)
    memory: Memory = reinvocation.values.setdefault(NAME, Memory())
    memory.start(attributes, reinvocation)
    namespace = write.namespace()
    for use in uses:
        policy = use.policy
        if policy.conditions:
            evaluation = await write.evaluation(
                use.match, params=use.params, variables=policy.variables, budget=MATCH_COST_MAX
            )
            observed = Observed(attributes, policy.name, "policy", "validate")
            try:
                if not await all_match(
                    policy.conditions, evaluation, ignore_failure=policy.ignores_failure, observed=observed
                ):
                    continue
            except EvaluationFailed as error:
                problems.append(_problem(use, str(error)))
                continue
        if reinvocation.again and use.key not in memory.wanted:
            continue
        changed = False
        for mutation in policy.mutations:
            changed |= await _change(use, mutation, write, namespace, problems)
        if changed:
            memory.require()
            reinvocation.wanted = True
        if policy.reinvoked:
            memory.reinvocable.add(use.key)
    memory.finish(attributes)


def _problem(use: _Use, why: str) -> _Problem:
    return _Problem(policy=use.policy, binding=use.binding, why=why, reason="Invalid")


async def _change(
    use: _Use, mutation: Mutation, write: Write, namespace: Object | None, problems: list[_Problem]
) -> bool:
    """Make one change; return whether it made a difference. Raises `ApiError` (500)."""
    attributes, started, error_type = write.attributes, perf_counter(), "no_error"
    current = await write.shown.object(use.match)
    host = attributes.host
    if current is None or attributes.object is None or host is None:
        return False
    try:
        evaluation = await write.evaluation(
            use.match, params=use.params, namespace=namespace, variables=use.policy.variables
        )
        if mutation.expression.program is None:
            raise EvaluationFailed(mutation.expression.error)
        value = await evaluation.value(mutation.expression)
        new = patched(mutation, value, current, use.match.resource, host)
        if use.match.resource is not attributes.resource:
            try:
                new = await host.convert(new, use.match.resource, attributes.resource)
            except ApiError as error:
                raise internal(f"failed to convert object: {error.message}") from None
    except (EvaluationFailed, PatchFailed) as error:
        error_type = _error_type(str(error))
        problems.append(_problem(use, str(error)))
        return False
    finally:
        if host.metrics is not None:
            labels = (use.policy.name, use.binding.name, error_type)
            host.metrics.mutation_checks.labels(*labels).inc()
            host.metrics.mutation_time.labels(*labels).observe(perf_counter() - started)
    if new == attributes.object:
        return False
    attributes.object.clear()
    attributes.object.update(new)
    write.shown.changed()
    return True


def _error_type(text: str) -> str:
    if text.startswith("compilation"):
        return "compile_error"
    if text.startswith("validation failed due to running out of cost budget"):
        return "out_of_budget"
    return "invalid_error"
