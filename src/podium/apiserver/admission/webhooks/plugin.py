"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: configurations, compiled as they come and go.

Without a configuration both sleep, and nothing of this package but this file is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from podium.apiserver.admission.candidates import Candidates
from podium.apiserver.admission.dynamic import DynamicPlugin
from podium.apiserver.admission.matching import Matcher, is_exempt
from podium.apiserver.chain import Attributes, Authorizer, Reader, ViewChange
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.admissionregistration.mutatingwebhookconfigurations import MUTATINGWEBHOOKCONFIGURATIONS
from podium.resources.admissionregistration.validatingwebhookconfigurations import (
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from podium.resources.core.namespaces import NAMESPACES

if TYPE_CHECKING:
    from podium.apiserver.admission.webhooks.hook import Hook
    from podium.apiserver.admission.webhooks.identities import Identities

Numbered = tuple[int, "Hook"]


class _Webhooks(DynamicPlugin):
    """Follows the configurations of one kind."""

    def __init__(
        self, reader: Reader, authorizer: Authorizer | None, resource: Resource, configuration: Object | None
    ) -> None:
        """`configuration` is a WebhookAdmissionConfiguration. Raises ValueError for one that is none."""
        self._configuration = configuration or {}
        self._identities: Identities | None = None
        if self._configuration:
            self._identify()
        self._by_configuration: dict[str, Sequence[Hook]] = {}
        self._hooks: Candidates[Numbered] = Candidates((), _matcher)
        self._namespaces = reader.cached(NAMESPACES)
        self._authorizer = authorizer
        reader.cached(resource).subscribe(self._follow)

    def _identify(self) -> Identities:
        from podium.apiserver.admission.webhooks.identities import Identities  # noqa: PLC0415

        if self._identities is None:
            self._identities = Identities(self._configuration)
        return self._identities

    def _follow(self, change: ViewChange) -> None:
        from podium.apiserver.admission.webhooks.hook import hooks_of  # noqa: PLC0415

        if change.new is not None:
            self._by_configuration[meta.name(change.new)] = hooks_of(change.new, self._identify())
        elif change.old is not None:
            self._by_configuration.pop(meta.name(change.old), None)
        # Webhooks of one configuration keep their order, configurations go by their names.
        everyone = [hook for _, hooks in sorted(self._by_configuration.items()) for hook in hooks]
        self._hooks = Candidates(list(enumerate(everyone)), _matcher)
        self.sleep(not everyone)

    def _concerned(self, attributes: Attributes) -> Sequence[Numbered]:
        """Return the webhooks that can want a write, with their places among all."""
        return () if is_exempt(attributes) else self._hooks.of(attributes)


def _matcher(numbered: Numbered) -> Matcher:
    return numbered[1].matcher


class MutatingAdmissionWebhook(_Webhooks):
    name = "MutatingAdmissionWebhook"

    def __init__(
        self,
        reader: Reader,
        authorizer: Authorizer | None = None,
        configuration: Object | None = None,
    ) -> None:
        super().__init__(reader, authorizer, MUTATINGWEBHOOKCONFIGURATIONS, configuration)

    async def admit(self, attributes: Attributes) -> None:
        hooks = self._concerned(attributes)
        if hooks:
            from podium.apiserver.admission.webhooks.mutating import mutate  # noqa: PLC0415

            await mutate(hooks, attributes, self._namespaces, self._authorizer)


class ValidatingAdmissionWebhook(_Webhooks):
    name = "ValidatingAdmissionWebhook"

    def __init__(
        self,
        reader: Reader,
        authorizer: Authorizer | None = None,
        configuration: Object | None = None,
    ) -> None:
        super().__init__(reader, authorizer, VALIDATINGWEBHOOKCONFIGURATIONS, configuration)

    async def validate(self, attributes: Attributes) -> None:
        hooks = self._concerned(attributes)
        if hooks:
            from podium.apiserver.admission.webhooks.validating import validate  # noqa: PLC0415

            await validate([hook for _, hook in hooks], attributes, self._namespaces, self._authorizer)
