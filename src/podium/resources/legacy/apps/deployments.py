"""Deployment: extensions/v1beta1, apps/v1beta1 and apps/v1beta2.

The first two have `spec.rollbackTo`, which apps/v1 keeps as an annotation, and a rollback subresource.
"""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Subresource
from podium.resources.apps import deployments as v1
from podium.resources.defaulting import absent, child, given
from podium.resources.legacy import packages
from podium.resources.legacy.apps.defaults import default_from_template, default_rolling
from podium.resources.legacy.apps.scales import old_scale
from podium.resources.legacy.older import SELECTOR_MAY_CHANGE, annotate, annotation, copied, older

ROLLBACK_TO = "deprecated.deployment.rollback.to"
NEVER = 2**31 - 1
"""The number that stands for no limit and no deadline."""


def to_v1(deployment: Object) -> Object:
    """Return the Deployment with its rollback as an annotation."""
    result = copied(deployment, "spec")
    result["metadata"] = dict(result.get("metadata") or {})
    rollback = given(result, "spec") and result["spec"].pop("rollbackTo", None)
    revision = None if rollback is None else str(rollback.get("revision") or 0)
    annotate(result, ROLLBACK_TO, revision)
    return result


def from_v1(deployment: Object) -> Object:
    """Return the Deployment with its rollback as a field; an annotation that is no number stays one."""
    result = copied(deployment, "spec")
    text = annotation(result, ROLLBACK_TO)
    if text is None or not text.isdecimal():
        return result
    result["metadata"] = dict(result["metadata"])
    annotate(result, ROLLBACK_TO, None)
    revision = int(text)
    child(result, "spec")["rollbackTo"] = {"revision": revision} if revision else {}
    return result


def _extensions_defaults(deployment: Object) -> None:
    default_from_template(deployment)
    spec = child(deployment, "spec")
    if given(given(spec, "strategy") or {}, "rollingUpdate") is not None:
        _complete(spec["strategy"]["rollingUpdate"])
    default_rolling(spec, 1)
    absent(spec, "progressDeadlineSeconds", NEVER)
    absent(spec, "revisionHistoryLimit", NEVER)
    v1.DEPLOYMENTS.defaults(deployment)


def _complete(rolling: Object) -> None:
    """This version fills in the numbers even where the strategy does not use them."""
    absent(rolling, "maxUnavailable", 1)
    absent(rolling, "maxSurge", 1)


def _v1beta1_defaults(deployment: Object) -> None:
    default_from_template(deployment)
    absent(child(deployment, "spec"), "revisionHistoryLimit", 2)
    v1.DEPLOYMENTS.defaults(deployment)


_ROLLBACK = Subresource(name="rollback", kind="DeploymentRollback", verbs=("create",))

EXTENSIONS = older(
    v1.DEPLOYMENTS,
    packages.EXTENSIONS,
    deprecated=(1, 8),
    removed=(1, 16),
    to_storage=to_v1,
    from_storage=from_v1,
    defaults=_extensions_defaults,
    scale=old_scale(v1.DEPLOYMENTS, packages.EXTENSIONS),
    subresources=(_ROLLBACK,),
    tolerates=SELECTOR_MAY_CHANGE,
    default_propagation="Orphan",
)
V1BETA1 = older(
    v1.DEPLOYMENTS,
    packages.V1BETA1,
    deprecated=(1, 8),
    removed=(1, 16),
    to_storage=to_v1,
    from_storage=from_v1,
    defaults=_v1beta1_defaults,
    scale=old_scale(v1.DEPLOYMENTS, packages.V1BETA1),
    subresources=(_ROLLBACK,),
    tolerates=SELECTOR_MAY_CHANGE,
    default_propagation="Orphan",
)
V1BETA2 = older(
    v1.DEPLOYMENTS,
    packages.V1BETA2,
    deprecated=(1, 9),
    removed=(1, 16),
    scale=old_scale(v1.DEPLOYMENTS, packages.V1BETA2),
    default_propagation="Orphan",
)
