"""DaemonSet: extensions/v1beta1 and apps/v1beta2.

The first counts changes of the template in a field, which apps/v1 keeps as an annotation.
"""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.apps import daemonsets as v1
from podium.resources.defaulting import absent, blank, child
from podium.resources.legacy import packages
from podium.resources.legacy.apps.defaults import default_from_template
from podium.resources.legacy.older import SELECTOR_MAY_CHANGE, annotate, annotation, copied, older

_FIELD = "templateGeneration"


def to_v1(daemon_set: Object) -> Object:
    """Return the DaemonSet with the count as an annotation."""
    result = copied(daemon_set, "spec")
    result["metadata"] = dict(result.get("metadata") or {})
    count = child(result, "spec").pop(_FIELD, None) or 0
    annotate(result, v1.TEMPLATE_GENERATION, str(count))
    return result


def from_v1(daemon_set: Object) -> Object:
    """Return the DaemonSet with the count as a field; an annotation that is no number stays one."""
    text = annotation(daemon_set, v1.TEMPLATE_GENERATION)
    result = copied(daemon_set, "spec")
    if text is None or not text.isdecimal():
        return result
    result["metadata"] = dict(result["metadata"])
    annotate(result, v1.TEMPLATE_GENERATION, None)
    if int(text):
        child(result, "spec")[_FIELD] = int(text)
    return result


def _extensions_defaults(daemon_set: Object) -> None:
    default_from_template(daemon_set)
    spec = child(daemon_set, "spec")
    blank(child(spec, "updateStrategy"), "type", "OnDelete")
    absent(spec, "revisionHistoryLimit", 10)
    v1.DAEMONSETS.defaults(daemon_set)
    # What apps/v1 shows of the count when there is none; this version has a field for it.
    annotate(daemon_set, v1.TEMPLATE_GENERATION, None)


EXTENSIONS = older(
    v1.DAEMONSETS,
    packages.EXTENSIONS,
    deprecated=(1, 8),
    removed=(1, 16),
    to_storage=to_v1,
    from_storage=from_v1,
    defaults=_extensions_defaults,
    tolerates=SELECTOR_MAY_CHANGE,
    default_propagation="Orphan",
)
V1BETA2 = older(
    v1.DAEMONSETS, packages.V1BETA2, deprecated=(1, 9), removed=(1, 16), default_propagation="Orphan"
)
