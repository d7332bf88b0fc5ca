"""DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or cannot be reached."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, spec_of
from podium.apiserver.chain import Attributes
from podium.machinery.errors import Object
from podium.resources.core.pods import PODS

TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
SECONDS = 300


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"
    resources = (PODS,)

    async def admit(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE", "UPDATE")
        if pod is None:
            return
        tolerations = spec_of(pod).get("tolerations") or []
        missing = [taint for taint in TAINTS if not any(_tolerates(t, taint) for t in tolerations)]
        if missing:
            spec_of(pod)["tolerations"] = [*tolerations, *map(_toleration, missing)]


def _tolerates(toleration: Object, taint: str) -> bool:
    return (toleration.get("key") or taint) == taint and (
        toleration.get("effect") or "NoExecute"
    ) == "NoExecute"


def _toleration(taint: str) -> Object:
    return {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
