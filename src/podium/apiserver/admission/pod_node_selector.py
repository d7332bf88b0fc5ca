"""PodNodeSelector: the pods of a namespace run on the nodes that its annotation, or a file, selects."""

from __future__ import annotations

from collections.abc import Mapping

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused, spec_of
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object, PlainError
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pods import PODS

ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
DEFAULT = "clusterDefaultNodeSelector"

Labels = Mapping[str, str]


class PodNodeSelector(Plugin):
    name = "PodNodeSelector"
    resources = (PODS,)

    def __init__(self, reader: Reader, configuration: Object) -> None:
        self._namespaces = reader.cached(NAMESPACES)
        self._selectors: Mapping[str, str] = configuration.get("podNodeSelectorPluginConfig") or {}

    async def admit(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE")
        if pod is None:
            return
        wanted = self._wanted(attributes.namespace)
        given = spec_of(pod).get("nodeSelector") or {}
        self._check(attributes, wanted, given)
        if merged := {**wanted, **given}:
            spec_of(pod)["nodeSelector"] = merged
        self._check_allowed(attributes, merged)

    async def validate(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE")
        if pod is None:
            return
        given = spec_of(pod).get("nodeSelector") or {}
        self._check(attributes, self._wanted(attributes.namespace), given)
        self._check_allowed(attributes, given)

    def _check(self, attributes: Attributes, wanted: Labels, given: Labels) -> None:
        if any(key in given and given[key] != value for key, value in wanted.items()):
            why = "pod node label selector conflicts with its namespace node label selector"
            raise refused(attributes, why)

    def _check_allowed(self, attributes: Attributes, given: Labels) -> None:
        allowed = pairs(self._selectors.get(attributes.namespace) or "")
        if allowed and any(allowed.get(key) != value for key, value in given.items()):
            raise refused(attributes, "pod node label selector labels conflict with its namespace whitelist")

    def _wanted(self, namespace: str) -> Labels:
        found = self._namespaces.get(None, namespace)
        if found is None:
            raise NotFound.of(NAMESPACES.plural, NAMESPACES.group, namespace)
        annotated = meta.annotations(found).get(ANNOTATION)
        return pairs(self._selectors.get(DEFAULT) or "" if annotated is None else annotated)


def pairs(text: str) -> Labels:
    """Return the labels in `a=b,c=d`. Raises `PlainError` (500), as upstream, for anything else."""
    found = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not equals:
            raise PlainError(f"invalid selector: {[part]}".replace("'", ""))
        found[key.strip()] = value.strip()
    return found
