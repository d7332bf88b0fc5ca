"""Whether a pod may be on a node, as far as its own wishes and the node's taints say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from podium.controllers.common.tolerations import tolerates
from podium.machinery import meta
from podium.machinery.errors import Object


def wants_node(spec: Object, node: Object) -> bool:
    """Tell whether nodeName, nodeSelector and required node affinity of a pod's spec allow the node."""
    if spec.get("nodeName") and spec["nodeName"] != meta.name(node):
        return False
    labels = meta.labels(node)
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = meta.dig(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_term_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def _term_matches(term: Object, node: Object) -> bool:
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_matches(e, meta.labels(node)) for e in expressions) and all(
        _matches(f, {"metadata.name": meta.name(node)}) for f in fields
    )


def _matches(expression: Object, values: Mapping[str, str]) -> bool:
    value = values.get(expression["key"])
    wanted = expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            try:
                left, right = int(value or ""), int(wanted[0])
            except (ValueError, IndexError):
                return False
            return left > right if operator == "Gt" else left < right
    return False


def untolerated(tolerations: Iterable[Object], node: Object) -> set[str]:
    """Return the effects, among NoSchedule and NoExecute, of taints that nothing tolerates."""
    tolerated = list(tolerations)
    return {
        taint["effect"]
        for taint in (node.get("spec") or {}).get("taints") or ()
        if taint.get("effect") in ("NoSchedule", "NoExecute")
        and not any(tolerates(t, taint) for t in tolerated)
    }
