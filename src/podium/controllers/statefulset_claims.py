"""The claims of a StatefulSet's pods: their names, and who owns them, so that they go when they should. Pure.

Claims outlive pods. Which of them go, and when, is the set's persistentVolumeClaimRetentionPolicy, told to
the garbage collector by owner references:

  whenDeleted: Delete   the set owns the claims of the pods it wants
  whenScaled: Delete    a pod that is scaled away owns its claims

Used by statefulset.py and statefulset_plan.py. Upstream: pkg/controller/statefulset/stateful_set_utils.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from podium.machinery import meta
from podium.machinery.errors import Object


def claim_name(claim_template: Object, pod_name: str) -> str:
    return f"{meta.name(claim_template)}-{pod_name}"


def claims_for(stateful_set: Object, number: int) -> list[Object]:
    """Return the claims of the pod with this ordinal, as they are to be made."""
    pod_name = f"{meta.name(stateful_set)}-{number}"
    match_labels = (stateful_set["spec"].get("selector") or {}).get("matchLabels") or {}
    owners = _wanted_owners(stateful_set, None)
    result = []
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        metadata = {
            **meta.deep_copy(meta.metadata(template)),
            "name": claim_name(template, pod_name),
            "namespace": meta.namespace(stateful_set),
            "labels": {**meta.labels(template), **match_labels},
            "ownerReferences": [*meta.owner_references(template), *owners],
        }
        result.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {key: value for key, value in metadata.items() if value},
                "spec": meta.deep_copy(template.get("spec") or {}),
            }
        )
    return result


def of_pod(stateful_set: Object, number: int, claims: Mapping[str, Object]) -> list[Object]:
    """Return those of `claims` (by name) that belong to the pod with this ordinal."""
    pod_name = f"{meta.name(stateful_set)}-{number}"
    names = [claim_name(t, pod_name) for t in stateful_set["spec"].get("volumeClaimTemplates") or ()]
    return [claims[name] for name in names if name in claims]


def is_stale(stateful_set: Object, claim: Object, pod_name: str) -> bool:
    """Whether the claim goes with a pod of this name that is no more: a new pod must not use it."""
    if _policy(stateful_set)[1] != "Delete":
        return False
    return any(_names(reference, "v1", "Pod", pod_name) for reference in meta.owner_references(claim))


def with_owners(claim: Object, stateful_set: Object, pod: Object, *, wanted: bool) -> Object | None:
    """Return the claim with the owners that the policy wants; None when it has them, or is not ours to touch.

    `wanted` says that the set still wants the pod.
    """
    if _stale(claim, stateful_set) or _stale(claim, pod):
        return None  # left to the garbage collector, as a set or pod before this one has left it
    ours = {meta.uid(stateful_set), meta.uid(pod)}
    references = meta.owner_references(claim)
    mine = [r for r in references if r.get("uid") in ours]
    others = [r for r in references if not _is_ours(r, stateful_set, pod)]
    if is_contested(claim, stateful_set, pod):
        return _changed(claim, others) if mine else None
    owners = _wanted_owners(stateful_set, None if wanted else pod)
    as_it_is = {r.get("uid") for r in mine}
    if as_it_is == {r["uid"] for r in owners} and all(r.get("controller") for r in mine):
        return None
    return _changed(claim, [*others, *owners])


def is_contested(claim: Object, stateful_set: Object, pod: Object) -> bool:
    """Whether somebody else controls a claim that the policy would give to the set or the pod."""
    if _policy(stateful_set) == ("Retain", "Retain"):
        return False
    return (
        _stale(claim, stateful_set)
        or _stale(claim, pod)
        or any(
            r.get("controller") for r in meta.owner_references(claim) if not _is_ours(r, stateful_set, pod)
        )
    )


def _policy(stateful_set: Object) -> tuple[str, str]:
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return str(policy.get("whenDeleted") or "Retain"), str(policy.get("whenScaled") or "Retain")


def _wanted_owners(stateful_set: Object, condemned: Object | None) -> list[Object]:
    """Return the references of a claim whose pod the set wants, or (`condemned`) has scaled away."""
    when_deleted, when_scaled = _policy(stateful_set)
    if when_scaled == "Delete" and condemned is not None:
        return [meta.owner_reference({"apiVersion": "v1", "kind": "Pod", **condemned})]
    return [meta.owner_reference(stateful_set)] if when_deleted == "Delete" else []


def _changed(claim: Object, references: list[Object]) -> Object:
    made = meta.copy_path(claim, "metadata")
    made["metadata"]["ownerReferences"] = references
    return made


def _is_ours(reference: Object, stateful_set: Object, pod: Object) -> bool:
    return _names(reference, "apps/v1", "StatefulSet", meta.name(stateful_set)) or _names(
        reference, "v1", "Pod", meta.name(pod)
    )


def _stale(claim: Object, owner: Object) -> bool:
    """Whether the claim's owner is an earlier object of this name."""
    is_set = owner.get("kind") == "StatefulSet"
    version, kind = ("apps/v1", "StatefulSet") if is_set else ("v1", "Pod")
    named = (r for r in meta.owner_references(claim) if _names(r, version, kind, meta.name(owner)))
    first = next(named, None)
    return first is not None and first.get("uid") != meta.uid(owner)


def _names(reference: Object, version: str, kind: str, name: str) -> bool:
    return bool(
        reference.get("apiVersion") == version
        and reference.get("kind") == kind
        and reference.get("name") == name
    )
