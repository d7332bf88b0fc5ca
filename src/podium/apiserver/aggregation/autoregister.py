"""The APIServices of what this server answers itself: made, corrected and taken away as groups come and go.

Those of built-in groups are written when the server starts (`apiserver/bootstrap`); here are those of custom
resources, and what is left over of both. Pure. Upstream: kube-aggregator/pkg/controllers/autoregister and
pkg/controlplane/controller/crdregistration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from podium.apiserver.bootstrap.cluster import priorities
from podium.apiserver.bootstrap.planning import AUTOMANAGED as LABEL
from podium.machinery.errors import Object

ON_START, CONTINUOUSLY = "onstart", "true"
CUSTOM_GROUP_PRIORITY = 1000
CUSTOM_VERSION_PRIORITY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do about one APIService. `object` is what to write."""

    verb: Literal["create", "update", "delete"]
    object: Object


def own_priorities(group: str, version: str) -> tuple[int, int]:
    """Return the priorities of a group and version that this server answers itself."""
    return priorities(group, version) or (CUSTOM_GROUP_PRIORITY, CUSTOM_VERSION_PRIORITY)


def custom_api_service(group: str, version: str) -> Object:
    """Return the APIService of a group and version that definitions make up."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": {LABEL: CONTINUOUSLY}},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": CUSTOM_GROUP_PRIORITY,
            "versionPriority": CUSTOM_VERSION_PRIORITY,
        },
    }


def managed(api_service: Object) -> str:
    """Return how this server looks after an APIService: "" when somebody else does."""
    label = (api_service["metadata"].get("labels") or {}).get(LABEL)
    return label if label in (ON_START, CONTINUOUSLY) else ""


def plan(desired: Object | None, current: Object | None, *, builtin: bool, from_before: bool) -> Step | None:
    """Return the step that brings one APIService of a custom group up to date.

    `builtin` groups are brought up to date at start alone. `from_before` tells that `current` was there when
    this server started: only then may what is managed on start be a left-over.
    """
    if builtin:
        return None
    if current is None:
        return Step(verb="create", object=desired) if desired is not None else None
    how = managed(current)
    if not how or (how == ON_START and not from_before):
        return None
    if desired is None:
        return Step(verb="delete", object=current)
    if current["spec"] == desired["spec"]:
        return None
    return Step(verb="update", object={**current, "spec": desired["spec"]})
