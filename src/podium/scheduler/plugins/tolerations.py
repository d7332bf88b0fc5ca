"""Which taints a pod tolerates; shared by the plugins that look at taints."""

from __future__ import annotations

from collections.abc import Sequence

from podium.machinery.errors import Object
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Taint


def tolerations(pod: PodInfo) -> Sequence[Object]:
    return pod.spec.get("tolerations") or ()


def tolerates(toleration: Object, taint: Taint) -> bool:
    """Tell whether one toleration covers a taint; an absent effect or key covers all of them."""
    effect, key = toleration.get("effect"), toleration.get("key")
    if effect and effect != taint.effect:
        return False
    if key and key != taint.key:
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return bool(key) and (toleration.get("value") or "") == taint.value
        case _:
            return False


def tolerated(pod_tolerations: Sequence[Object], taint: Taint) -> bool:
    return any(tolerates(toleration, taint) for toleration in pod_tolerations)
