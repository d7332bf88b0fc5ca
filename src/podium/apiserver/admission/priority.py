"""Priority: a pod's class decides its priority and whether it may preempt."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused, spec_of
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.pods import PODS
from podium.resources.scheduling.podgroups import PODGROUPS
from podium.resources.scheduling.priorityclasses import PRIORITYCLASSES

DEFAULT_POLICY = "PreemptLowerPriority"


class Priority(Plugin):
    name = "Priority"
    resources = (PODS, PODGROUPS, PRIORITYCLASSES)

    def __init__(self, reader: Reader, *, groups: bool = False) -> None:
        self._classes = reader.cached(PRIORITYCLASSES)
        self._groups = groups
        """Whether groups of pods have priorities."""

    async def admit(self, attributes: Attributes) -> None:
        group = concerns(attributes, PODGROUPS, "CREATE") if self._groups else None
        if group is not None:
            self._decide_for_group(attributes, spec_of(group))
        pod = concerns(attributes, PODS, "CREATE", "UPDATE")
        if pod is None:
            return
        if attributes.old_object is not None:
            _carry_over(spec_of(pod), attributes.old_object.get("spec") or {})
            return
        self._decide(attributes, spec_of(pod))

    async def validate(self, attributes: Attributes) -> None:
        new = concerns(attributes, PRIORITYCLASSES, "CREATE", "UPDATE")
        if new is None or not new.get("globalDefault"):
            return
        default = self._default()
        if default is not None and meta.name(default) != meta.name(new):
            raise refused(
                attributes,
                f"PriorityClass {meta.name(default)} is already marked as default. "
                "Only one default can exist",
            )

    def _decide(self, attributes: Attributes, spec: Object) -> None:
        found = self._class_of(attributes, spec)
        value, policy = 0, DEFAULT_POLICY
        if found is not None:
            spec["priorityClassName"] = meta.name(found)
            value = found.get("value") or 0
            policy = found.get("preemptionPolicy") or DEFAULT_POLICY
        given = spec.get("priority")
        if given is not None and given != value:
            raise refused(
                attributes,
                f"the integer value of priority ({given}) must not be provided in pod spec; priority "
                f"admission controller computed {value} from the given PriorityClass name",
            )
        given_policy = spec.get("preemptionPolicy")
        if given_policy is not None and given_policy != policy:
            raise refused(
                attributes,
                f"the string value of PreemptionPolicy ({given_policy}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name",
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy

    def _decide_for_group(self, attributes: Attributes, spec: Object) -> None:
        found = self._class_of(attributes, spec)
        value = (found or {}).get("value") or 0
        given = spec.get("priority")
        if given is not None and given != value:
            raise refused(
                attributes,
                f"priority set in the pod group ({given}) must match the priority computed ({value}) based "
                "on the priority class set in the spec",
            )
        spec["priority"] = value
        if found is not None:
            spec["priorityClassName"] = meta.name(found)

    def _class_of(self, attributes: Attributes, spec: Object) -> Object | None:
        name = spec.get("priorityClassName") or ""
        found = self._classes.get(None, name) if name else self._default()
        if name and found is None:
            raise refused(attributes, f"no PriorityClass with name {name} was found")
        return found

    def _default(self) -> Object | None:
        """Return the class that pods without one get: of several defaults the lowest."""
        defaults = [c for c in self._classes.list() if c.get("globalDefault")]
        return min(defaults, key=lambda c: c.get("value") or 0, default=None)


def _carry_over(new: Object, old: Object) -> None:
    """Let an update that leaves priority out, as `kubectl replace` does, mean no change."""
    for field in ("priority", "preemptionPolicy"):
        if new.get(field) is None and old.get(field) is not None:
            new[field] = old[field]
