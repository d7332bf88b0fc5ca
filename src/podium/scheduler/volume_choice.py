"""Which nodes can have a pod's volumes, and which volumes the pod gets on one of them. Pure.

    bound claims          the nodes that their volumes reach
    claims that wait      on each node the smallest free volume that reaches it, else a volume to be made
    other unbound claims  no node at all: the binder is not done with them

Upstream: pkg/scheduler/framework/plugins/volumebinding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.quantity import parse
from podium.resources.core.persistentvolumes import storage_class
from podium.resources.core.volume_binding import (
    NO_PROVISIONER,
    SELECTED_NODE,
    bound_volume,
    candidates,
    capacity,
    is_fully_bound,
    phase_of,
    requested,
    waits_for_consumer,
    with_annotations,
)
from podium.runtime.events import reference_to
from podium.scheduler.node_selector import any_term, label_requirement
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Snapshot
from podium.scheduler.volumes import Volumes

UNBOUND_IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodClaims:
    """A pod's claims, sorted by what is to be done about them."""

    bound: tuple[Object, ...] = ()
    waiting: tuple[Object, ...] = ()
    """To be bound with the node that is chosen; the smallest first."""
    problem: str = ""
    """Why the pod can go nowhere at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Of each node, what speaks for it; all of these must."""

    reached: Mask
    """The volumes that are bound already can be used there."""
    served: Mask
    """There are volumes for the claims that wait, or somebody who makes them."""
    roomy: Mask
    """There is room for what would be made."""
    complete: bool
    """All bound volumes exist."""

    @property
    def passed(self) -> Mask:
        passed: Mask = self.reached & self.served & self.roomy
        return passed if self.complete else np.zeros_like(passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a pod gets on the chosen node, as it is to be written."""

    volumes: tuple[tuple[Object, Object], ...] = ()
    """Volumes, each bound to the claim beside it."""
    claims: tuple[Object, ...] = ()
    """Claims for which a volume is to be made, with the node in their annotation."""

    def __bool__(self) -> bool:
        return bool(self.volumes or self.claims)


def claims_of(pod: PodInfo, volumes: Volumes) -> PodClaims:
    """Look a pod's claims up."""
    bound, waiting, immediate = [], [], False
    for wanted in pod.claims:
        claim = volumes.claims.get(f"{pod.namespace}/{wanted.name}")
        if claim is None:
            if wanted.ephemeral:
                text = "waiting for ephemeral volume controller to create the persistentvolumeclaim "
                return PodClaims(problem=f'{text}"{wanted.name}"')
            return PodClaims(problem=f'persistentvolumeclaim "{wanted.name}" not found')
        if phase_of(claim) == "Lost":
            name = meta.dig(claim, "spec", "volumeName") or ""
            text = f'persistentvolumeclaim "{wanted.name}" bound to non-existent persistentvolume "{name}"'
            return PodClaims(problem=text)
        if meta.deleting(claim):
            return PodClaims(problem=f'persistentvolumeclaim "{wanted.name}" is being deleted')
        if wanted.ephemeral and not meta.controlled_by(claim, pod.pod):
            text = f"PVC {meta.key(claim)} was not created for pod {pod.key} (pod is not owner)"
            return PodClaims(problem=text)
        if is_fully_bound(claim):
            bound.append(claim)
        elif waits_for_consumer(volumes.class_of(claim)) and not meta.dig(claim, "spec", "volumeName"):
            waiting.append(claim)
        else:
            immediate = True
    if immediate:
        return PodClaims(problem=UNBOUND_IMMEDIATE)
    waiting.sort(key=lambda claim: (requested(claim).nanos, meta.name(claim)))
    return PodClaims(bound=tuple(bound), waiting=tuple(waiting))


def reaches(volume: Object, nodes: Snapshot) -> Mask | None:
    """Return the rows from which a volume can be used; None: from everywhere."""
    required = meta.dig(volume, "spec", "nodeAffinity", "required")
    return None if required is None else any_term(required.get("nodeSelectorTerms") or (), nodes)


def judge(claims: PodClaims, volumes: Volumes, nodes: Snapshot) -> Verdict:
    """Decide about all nodes."""
    reached, served, roomy = (np.ones_like(nodes.valid) for _ in range(3))
    complete = True
    for claim in claims.bound:
        volume = volumes.volumes.get(claim["spec"]["volumeName"])
        if volume is None:
            complete = False
            continue
        rows = reaches(volume, nodes)
        if rows is not None:
            reached &= rows
    taken: dict[str, Mask] = {}
    for claim in claims.waiting:
        made, room = _can_be_made(claim, volumes, nodes)
        selected = meta.annotations(claim).get(SELECTED_NODE)
        if selected is None:
            found = _found(claim, volumes, nodes, taken)
            served &= found | made
            roomy &= found | ~made | room
        else:
            served &= made & _only(selected, nodes)
            roomy &= ~made | room
    return Verdict(reached=reached, served=served, roomy=roomy, complete=complete)


def _found(claim: Object, volumes: Volumes, nodes: Snapshot, taken: dict[str, Mask]) -> Mask:
    """Return the rows on which there is a volume for the claim, and note in `taken` what it takes there."""
    found: Mask = np.zeros_like(nodes.valid)
    for volume in _by_size(claim, volumes):
        rows = reaches(volume, nodes)
        new: Mask = ~found if rows is None else rows & ~found
        name = meta.name(volume)
        if name in taken:
            new &= ~taken[name]
        taken[name] = taken[name] | new if name in taken else new
        found |= new
        if found.all():
            break
    return found


def _by_size(claim: Object, volumes: Volumes) -> list[Object]:
    of_class = volumes.volumes.group(storage_class(claim))
    return sorted(candidates(claim, of_class), key=lambda v: (capacity(v).nanos, meta.name(v)))


def _can_be_made(claim: Object, volumes: Volumes, nodes: Snapshot) -> tuple[Mask, Mask]:
    """Return the rows for which the claim's class has volumes made, and those with room for this one."""
    cls = volumes.class_of(claim) or {}
    provisioner = cls.get("provisioner") or ""
    nowhere, everywhere = np.zeros_like(nodes.valid), np.ones_like(nodes.valid)
    if provisioner in ("", NO_PROVISIONER):
        return nowhere, everywhere
    terms = cls.get("allowedTopologies") or ()
    allowed = everywhere.copy() if not terms else nowhere.copy()
    for term in terms:
        allowed |= _topology(term, nodes)
    if not meta.dig(volumes.drivers.get(provisioner, {}), "spec", "storageCapacity"):
        return allowed, everywhere
    room = nowhere.copy()
    size = requested(claim)
    for entry in volumes.capacities_of(meta.name(cls)):
        limit = entry.get("maximumVolumeSize") or entry.get("capacity")
        if limit is not None and not parse(limit) < size and entry.get("nodeTopology") is not None:
            room |= _labelled(entry["nodeTopology"], nodes)
    return allowed, room


def _topology(term: Object, nodes: Snapshot) -> Mask:
    expressions = term.get("matchLabelExpressions") or ()
    if not expressions:
        return np.zeros_like(nodes.valid)
    return _all(({**e, "operator": "In"} for e in expressions), nodes)


def _labelled(selector: Object, nodes: Snapshot) -> Mask:
    """Return the rows that a label selector matches."""
    labels: Mapping[str, str] = selector.get("matchLabels") or {}
    exact = [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()]
    return _all([*exact, *(selector.get("matchExpressions") or ())], nodes)


def _all(requirements: Iterable[Object], nodes: Snapshot) -> Mask:
    matched: Mask = np.ones_like(nodes.valid)
    for requirement in requirements:
        rows = label_requirement(requirement, nodes)
        if rows is None:
            return np.zeros_like(nodes.valid)
        matched &= rows
    return matched


def _only(node_name: str, nodes: Snapshot) -> Mask:
    only: Mask = np.zeros_like(nodes.valid)
    row = nodes.row(node_name)
    if row is not None:
        only[row] = True
    return only


def choose(claims: PodClaims, volumes: Volumes, nodes: Snapshot, node_name: str) -> Choice:
    """Return what the pod gets on a node that `judge` lets pass."""
    row = nodes.row(node_name)
    bound: list[tuple[Object, Object]] = []
    to_make: list[Object] = []
    taken: set[str] = set()
    for claim in claims.waiting:
        volume = None
        if SELECTED_NODE not in meta.annotations(claim):
            for one in _by_size(claim, volumes):
                rows = reaches(one, nodes)
                if meta.name(one) not in taken and (rows is None or (row is not None and rows[row])):
                    volume = one
                    break
        if volume is None:
            to_make.append(with_annotations(claim, {SELECTED_NODE: node_name}))
        else:
            taken.add(meta.name(volume))
            bound.append((bound_volume(volume, claim, reference_to(claim)), claim))
    return Choice(volumes=tuple(bound), claims=tuple(to_make))
