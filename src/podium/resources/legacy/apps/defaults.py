"""What the oldest workloads fill in: selectors and labels from their pods' labels."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.defaulting import child, given


def default_from_template(workload: Object) -> None:
    """Select the pods of the template, and bear their labels, unless the object says otherwise."""
    spec = child(workload, "spec")
    template = given(spec, "template") or {}
    labels = (given(template, "metadata") or {}).get("labels")
    if not labels:
        return
    if spec.get("selector") is None:
        spec["selector"] = {"matchLabels": dict(labels)}
    metadata = child(workload, "metadata")
    if not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def default_rolling(spec: Object, step: str | int) -> None:
    """Fill in how a Deployment is rolled out; older versions go one pod at a time."""
    strategy = child(spec, "strategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] != "RollingUpdate":
        return
    rolling = child(strategy, "rollingUpdate")
    for name in ("maxUnavailable", "maxSurge"):
        if rolling.get(name) is None:
            rolling[name] = step
