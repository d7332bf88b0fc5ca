"""ExtendedResourceToleration: a pod that asks for a device tolerates the nodes that are kept for it."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, spec_of
from podium.apiserver.chain import Attributes
from podium.machinery.errors import Object
from podium.resources.core.pods import PODS
from podium.resources.core.resource_names import is_extended


class ExtendedResourceToleration(Plugin):
    name = "ExtendedResourceToleration"
    resources = (PODS,)

    async def admit(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE", "UPDATE")
        if pod is None:
            return
        spec = spec_of(pod)
        asked = {
            name
            for key in ("containers", "initContainers")
            for container in spec.get(key) or ()
            for name in (container.get("resources") or {}).get("requests") or ()
            if is_extended(name)
        }
        for name in sorted(asked):
            add_or_update(spec, {"key": name, "operator": "Exists", "effect": "NoSchedule"})


def add_or_update(spec: Object, toleration: Object) -> None:
    """Give a pod a toleration, in place of one that differs in nothing but how long it lasts."""
    tolerations = list(spec.get("tolerations") or ())
    for index, one in enumerate(tolerations):
        if _matches(one, toleration):
            if one == toleration:
                return
            tolerations[index] = toleration
            break
    else:
        tolerations.append(toleration)
    spec["tolerations"] = tolerations


def _matches(one: Object, other: Object) -> bool:
    return all(
        (one.get(key) or "") == (other.get(key) or "") for key in ("key", "effect", "operator", "value")
    )
