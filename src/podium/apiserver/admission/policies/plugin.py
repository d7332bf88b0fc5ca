"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: policies and bindings, compiled as they are used.

Without a binding of a policy both sleep, and nothing of this package but this file is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from podium.apiserver.admission.candidates import Candidates
from podium.apiserver.admission.dynamic import DynamicPlugin
from podium.apiserver.admission.matching import Matcher, is_exempt
from podium.apiserver.chain import Attributes, Authorizer, Reader, ViewChange
from podium.machinery import meta
from podium.machinery.resource import Resource
from podium.resources.admissionregistration.mutatingadmissionpolicies import MUTATINGADMISSIONPOLICIES
from podium.resources.admissionregistration.mutatingadmissionpolicybindings import (
    MUTATINGADMISSIONPOLICYBINDINGS,
)
from podium.resources.admissionregistration.validatingadmissionpolicies import VALIDATINGADMISSIONPOLICIES
from podium.resources.admissionregistration.validatingadmissionpolicybindings import (
    VALIDATINGADMISSIONPOLICYBINDINGS,
)
from podium.resources.core.namespaces import NAMESPACES

if TYPE_CHECKING:
    from podium.apiserver.admission.policies.compiled import Binding, Policy

_QUESTIONS = {
    "authentication.k8s.io": frozenset(("selfsubjectreviews", "tokenreviews")),
    "authorization.k8s.io": frozenset(
        (
            "localsubjectaccessreviews",
            "selfsubjectaccessreviews",
            "selfsubjectrulesreviews",
            "subjectaccessreviews",
        )
    ),
}
"""Who may not ask these any more has lost the cluster."""


class _Policies(DynamicPlugin):
    """Follows the policies and bindings of one kind."""

    def __init__(
        self, reader: Reader, authorizer: Authorizer | None, policies: Resource, bindings: Resource
    ) -> None:
        self._policies: dict[str, Policy] = {}
        self._bindings: dict[str, Binding] = {}
        self._bound: Candidates[tuple[Policy, Sequence[Binding]]] = Candidates((), _matcher)
        self._namespaces = reader.cached(NAMESPACES)
        self._authorizer = authorizer
        reader.cached(policies).subscribe(self._follow_policy)
        reader.cached(bindings).subscribe(self._follow_binding)

    def _follow_policy(self, change: ViewChange) -> None:
        from podium.apiserver.admission.policies.compiled import Policy  # noqa: PLC0415

        if change.new is not None:
            if change.old is not None and change.old.get("spec") == change.new.get("spec"):
                return  # only its status: what is compiled stays
            self._policies[meta.name(change.new)] = Policy(change.new)
        elif change.old is not None:
            self._policies.pop(meta.name(change.old), None)
        self._bind()

    def _follow_binding(self, change: ViewChange) -> None:
        from podium.apiserver.admission.policies.compiled import Binding  # noqa: PLC0415

        if change.new is not None:
            self._bindings[meta.name(change.new)] = Binding(change.new)
        elif change.old is not None:
            self._bindings.pop(meta.name(change.old), None)
        self._bind()

    def _bind(self) -> None:
        by_policy: dict[str, list[Binding]] = {}
        for _, binding in sorted(self._bindings.items()):
            by_policy.setdefault(binding.policy, []).append(binding)
        bound = [
            (policy, by_policy[name]) for name, policy in sorted(self._policies.items()) if name in by_policy
        ]
        self._bound = Candidates(bound, _matcher)
        self.sleep(not bound)

    def _concerned(self, attributes: Attributes) -> Sequence[tuple[Policy, Sequence[Binding]]]:
        """Return the policies, with their bindings, that can be about a write."""
        resource = attributes.resource
        if is_exempt(attributes) or resource.plural in _QUESTIONS.get(resource.group, ()):
            return ()
        return self._bound.of(attributes)


def _matcher(bound: tuple[Policy, Sequence[Binding]]) -> Matcher | None:
    return bound[0].matcher


class ValidatingAdmissionPolicy(_Policies):
    name = "ValidatingAdmissionPolicy"

    def __init__(self, reader: Reader, authorizer: Authorizer | None = None) -> None:
        super().__init__(reader, authorizer, VALIDATINGADMISSIONPOLICIES, VALIDATINGADMISSIONPOLICYBINDINGS)

    async def validate(self, attributes: Attributes) -> None:
        bound = self._concerned(attributes)
        if bound:
            from podium.apiserver.admission.policies.validating import validate  # noqa: PLC0415

            await validate(bound, attributes, self._namespaces, self._authorizer)


class MutatingAdmissionPolicy(_Policies):
    name = "MutatingAdmissionPolicy"

    def __init__(self, reader: Reader, authorizer: Authorizer | None = None) -> None:
        super().__init__(reader, authorizer, MUTATINGADMISSIONPOLICIES, MUTATINGADMISSIONPOLICYBINDINGS)

    async def admit(self, attributes: Attributes) -> None:
        # A deletion has no object to change.
        bound = self._concerned(attributes) if attributes.operation != "DELETE" else ()
        if bound:
            from podium.apiserver.admission.policies.mutating import mutate  # noqa: PLC0415

            await mutate(bound, attributes, self._namespaces, self._authorizer)
