"""Labels of nodes that have a successor, and what to say where they are used.

Upstream: pkg/api/node/util.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery import validation
from podium.machinery.errors import Object
from podium.resources.checks import objects
from podium.resources.defaulting import given

_DEPRECATED = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": (
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
    ),
    "beta.kubernetes.io/instance-type": (
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'
    ),
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": (
        "deprecated since v1.22; use Taints and Tolerations instead"
    ),
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def deprecated_label(key: str) -> str:
    """Return what to say about a label of nodes, "" where there is nothing to say."""
    return _DEPRECATED.get(key, "")


def selector_term_warnings(term: Object, path: str, *, values: bool = False) -> Iterator[str]:
    """Yield the warnings about a term of a node selector; with `values` about what labels cannot be, too."""
    for index, expression in enumerate(objects(term.get("matchExpressions"))):
        here, key = f"{path}.matchExpressions[{index}]", str(expression.get("key") or "")
        message = deprecated_label(key)
        if message:
            yield f"{here}.key: {key} is {message}"
        if values:
            for at, value in enumerate(expression.get("values") or ()):
                for wrong in validation.label_value_errors(str(value)):
                    yield f"{here}.values[{at}]: {value} is invalid, {wrong}"


def label_selector_warnings(selector: Object | None, path: str) -> Iterator[str]:
    """Yield the warnings about a label selector that selects nodes."""
    if selector is None:
        return
    yield from selector_term_warnings(selector, path)
    for label in given(selector, "matchLabels") or {}:
        if deprecated_label(label):
            yield f"{path}.matchLabels.{label}: {deprecated_label(label)}"
