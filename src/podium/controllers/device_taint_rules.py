"""DeviceTaintRules: administrators taint devices, and read in a condition what has come of it. Pure.

Upstream: pkg/controller/devicetainteviction (gate DRADeviceTaintRules).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from podium.base.clock import parse_rfc3339, rfc3339
from podium.machinery import meta
from podium.machinery.errors import Object

STATUS_PERIOD_S = 10.0
"""The condition is not written more often, unless the rule is changed."""
IN_PROGRESS = "EvictionInProgress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a rule has to do with. Of devices, only where a rule without effect asks for it."""

    pods: Collection[str] = ()
    """Keys of the pods that have to leave because of it, or would have to."""
    published: int = 0
    allocated: int = 0
    evicted: int = 0
    """Pods that have left since the controller started."""


def effect(rule: Object) -> str:
    return str(meta.dig(rule, "spec", "taint", "effect") or "")


def selects(rule: Object, driver: str, pool: str, device: str) -> bool:
    """Tell whether the rule is about a device."""
    selector = meta.dig(rule, "spec", "deviceSelector")
    if selector is None:
        return False
    wanted = (("driver", driver), ("pool", pool), ("device", device))
    return all(selector.get(name) in (None, value) for name, value in wanted)


def as_if_evicting(rule: Object) -> Object:
    """Return the rule with the effect NoExecute, to see what it would do."""
    new = meta.copy_path(rule, "spec", "taint")
    new["spec"]["taint"]["effect"] = "NoExecute"
    return new


def wait_s(rule: Object, now: datetime) -> float:
    """Return how long the condition is to be left as it is."""
    found = meta.find_condition(rule, IN_PROGRESS)
    if found is None or int(found.get("observedGeneration") or 0) != meta.generation(rule):
        return 0.0
    return max(0.0, STATUS_PERIOD_S - (now - parse_rfc3339(found["lastTransitionTime"])).total_seconds())


def condition(rule: Object, counts: Counts, now: datetime) -> Object | None:
    """Return the condition that the rule should have; None when it has it."""
    old = meta.find_condition(rule, IN_PROGRESS)
    said: Object = {
        "type": IN_PROGRESS,
        "status": "True" if effect(rule) == "NoExecute" and counts.pods else "False",
        "reason": _reason(rule, counts),
        "message": " ".join(part for part in (_message(rule, counts), _history(counts)) if part),
        "observedGeneration": meta.generation(rule),
    }
    if old is not None and all(old.get(name) == value for name, value in said.items()):
        return None
    return {**said, "lastTransitionTime": rfc3339(now)}


def _reason(rule: Object, counts: Counts) -> str:
    if effect(rule) == "None":
        return "NoEffect"
    if effect(rule) != "NoExecute":
        return "OtherEffect"
    if counts.pods:
        return "PodsPendingEviction"
    return "Completed" if counts.evicted else "NotStarted"


def _message(rule: Object, counts: Counts) -> str:
    if effect(rule) == "NoExecute":
        if not counts.pods:
            return ""
        need = "1 pod needs" if len(counts.pods) == 1 else f"{len(counts.pods)} pods need"
        return f"{need} to be evicted in {_namespaces(counts.pods)}."
    if effect(rule) != "None":
        return "Eviction only happens for the NoExecute effect."
    return (
        f"{_number(counts.published, 'published device')} selected. "
        f"{_number(counts.allocated, 'allocated device')} selected. "
        f"{_number(len(counts.pods), 'pod')} would be evicted in {_namespaces(counts.pods)} "
        "if the effect was NoExecute. This information will not be updated again. "
        "Recreate the DeviceTaintRule to trigger an update."
    )


def _history(counts: Counts) -> str:
    return (
        f"{_number(counts.evicted, 'pod')} evicted since starting the controller." if counts.evicted else ""
    )


def _namespaces(pods: Iterable[str]) -> str:
    count = len({meta.split_key(pod)[0] for pod in pods})
    return "1 namespace" if count == 1 else f"{count} different namespaces"


def _number(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"
