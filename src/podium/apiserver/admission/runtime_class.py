"""RuntimeClass: a pod's runtime class adds its overhead and says on which nodes it can run."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused, spec_of, unaskable
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.machinery.errors import Object, PlainError
from podium.resources.core.pods import PODS
from podium.resources.node.runtimeclasses import RUNTIMECLASSES


class RuntimeClass(Plugin):
    name = "RuntimeClass"
    resources = (PODS,)

    def __init__(self, reader: Reader) -> None:
        self._classes = reader.cached(RUNTIMECLASSES)

    async def admit(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE")
        if pod is None:
            return
        runtime_class = self._class_of(attributes, pod)
        if runtime_class is None:
            return
        overhead = meta.dig(runtime_class, "overhead", "podFixed")
        if overhead:
            given = spec_of(pod).get("overhead")
            if given and given != overhead:
                why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
                raise refused(attributes, why)
            spec_of(pod)["overhead"] = dict(overhead)
        _schedule(attributes, spec_of(pod), runtime_class.get("scheduling") or {})

    async def validate(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE")
        if pod is None or not spec_of(pod).get("overhead"):
            return
        runtime_class = self._class_of(attributes, pod)
        if runtime_class is None or not meta.dig(runtime_class, "overhead", "podFixed"):
            why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise refused(attributes, why)

    def _class_of(self, attributes: Attributes, pod: Object) -> Object | None:
        name = spec_of(pod).get("runtimeClassName")
        if name is None:
            return None
        runtime_class = self._classes.get(None, name)
        if runtime_class is None:
            if why := unaskable(name):
                raise PlainError(why)
            raise refused(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        return runtime_class


def _schedule(attributes: Attributes, spec: Object, scheduling: Object) -> None:
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        own = (spec.get("nodeSelector") or {}).get(key)
        if own is not None and own != value:
            raise refused(
                attributes,
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {own}",
            )
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), key: value}
    own_tolerations = spec.get("tolerations") or []
    added = [t for t in scheduling.get("tolerations") or () if t not in own_tolerations]
    if added:
        spec["tolerations"] = [*own_tolerations, *(dict(toleration) for toleration in added)]
