"""PodTolerationRestriction: a namespace gives its pods tolerations, and says which they may have.

By annotations of the namespace, else by the configuration for the whole cluster.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, spec_of
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object, PlainError
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pods import PODS
from podium.resources.core.qos import qos_class

DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
ALLOWED = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
_MEMORY_PRESSURE = {
    "key": "node.kubernetes.io/memory-pressure",
    "operator": "Exists",
    "effect": "NoSchedule",
}

Tolerations = Sequence[Object]


class PodTolerationRestriction(Plugin):
    name = "PodTolerationRestriction"
    resources = (PODS,)

    def __init__(self, reader: Reader, configuration: Object) -> None:
        self._namespaces = reader.cached(NAMESPACES)
        self._default: Tolerations = configuration.get("default") or ()
        self._allowed: Tolerations = configuration.get("whitelist") or ()

    async def admit(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE", "UPDATE")
        if pod is None:
            return
        spec, more = spec_of(pod), list[Object]()
        if attributes.operation == "CREATE":
            own = self._annotated(attributes.namespace, DEFAULTS)
            more += self._default if own is None else own
        if qos_class(spec) != "BestEffort":
            more.append(dict(_MEMORY_PRESSURE))
        if more:
            spec["tolerations"] = merge(spec.get("tolerations") or (), more)
        self._check(attributes, spec)

    async def validate(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE", "UPDATE")
        if pod is not None:
            self._check(attributes, spec_of(pod))

    def _check(self, attributes: Attributes, spec: Object) -> None:
        tolerations = spec.get("tolerations") or ()
        if not tolerations:
            return
        own = self._annotated(attributes.namespace, ALLOWED)
        allowed, scope = (self._allowed, "cluster") if own is None else (own, "namespace")
        if allowed and not all(any(covers(one, t) for one in allowed) for t in tolerations):
            # Upstream does not make a refusal of it.
            raise PlainError(
                "pod tolerations (possibly merged with namespace default tolerations) conflict with its "
                f"{scope} whitelist"
            )

    def _annotated(self, namespace: str, key: str) -> Tolerations | None:
        """Return the tolerations in an annotation; None where there is no such annotation."""
        found = self._namespaces.get(None, namespace)
        if found is None:
            raise NotFound.of(NAMESPACES.plural, NAMESPACES.group, namespace)
        text = meta.annotations(found).get(key)
        if text is None:
            return None
        try:
            value = orjson.loads(text) if text else []
        except orjson.JSONDecodeError as error:
            raise PlainError(str(error)) from None
        return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def merge(first: Tolerations, second: Tolerations) -> list[Object]:
    """Return all tolerations but those that another one covers."""
    every = [*first, *second]
    kept: list[Object] = []
    for index, one in enumerate(every):
        if any(covers(other, one) for other in kept):
            continue
        if any(other != one and covers(other, one) for other in every[index + 1 :]):
            continue
        kept.append(one)
    return kept


def covers(wide: Object, narrow: Object) -> bool:
    """Whether `wide` tolerates everything that `narrow` does."""
    if wide == narrow:
        return True
    operator = wide.get("operator") or "Equal"
    if (narrow.get("key") or "") != (wide.get("key") or "") and (wide.get("key") or operator != "Exists"):
        return False
    effect = wide.get("effect") or ""
    if effect and (narrow.get("effect") or "") != effect:
        return False
    if effect == "NoExecute" and wide.get("tolerationSeconds") is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > wide["tolerationSeconds"]:
            return False
    if operator == "Equal":
        same = (narrow.get("value") or "") == (wide.get("value") or "")
        return narrow.get("operator") == "Equal" and same
    return operator == "Exists"
