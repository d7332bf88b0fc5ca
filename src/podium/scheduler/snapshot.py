"""All nodes as columns: one NumPy array for each thing a plugin may ask about, one row for each node.

    row  names   allocatable[cpu]  requested[cpu]  pod_count  taints  labels["zone"]  ...
    0    "n-0"   4000              1500            7          1       3
    1    ""      (a free row: its node is gone; `valid` is False)
    2    "n-2"   8000              0               0          0       3

Changes arrive one object at a time and cost no more than that object's own row. Rows are used again, and the
arrays double when they are full. Texts (label values, sets of taints) are interned to numbers.

A pod counts as soon as it is assumed, before the API has it; the informer's news of it then changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.scheduler.interner import NOTHING, Interner
from podium.scheduler.pod_info import (
    CPU,
    EPHEMERAL_STORAGE,
    MEMORY,
    PODS,
    HostPort,
    PodInfo,
    amounts,
)

ROWS_INITIAL = 64
COUNTS_KEPT_MAX = 256
"""Groups of pods whose distribution is kept up to date; the least recently asked for is dropped."""

Mask = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]
Scalar = TypeVar("Scalar", bound=np.generic)
K = TypeVar("K", bound=Hashable)
_Family = tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    key: str
    value: str
    effect: str


class PodGroup(Hashable, Protocol):
    """Some of one namespace's pods. Equal groups have equal members."""

    @property
    def namespace(self) -> str: ...

    @property
    def owner_uid(self) -> str:
        """The controller that all of them have; empty when they may have any. Keeps the looking short."""
        ...

    def has(self, pod: PodInfo) -> bool:
        """Tell whether `pod`, of this namespace and owner, belongs to the group."""
        ...


@dataclass(slots=True)
class _Placed:
    """A pod on a node; `row` is negative while the node is unknown."""

    info: PodInfo
    node_name: str
    row: int
    assumed: bool


class Snapshot:
    """The scheduler's view of nodes and of the pods on them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._capacity = ROWS_INITIAL
        self._rows: dict[str, int] = {}
        self._free_rows: list[int] = []
        self._valid: Mask = np.zeros(ROWS_INITIAL, np.bool_)
        self._unschedulable: Mask = np.zeros(ROWS_INITIAL, np.bool_)
        self._resource_index: dict[str, int] = {CPU: 0, MEMORY: 1, EPHEMERAL_STORAGE: 2}
        self._allocatable: Vector = np.zeros((3, ROWS_INITIAL), np.int64)
        self._requested: Vector = np.zeros((3, ROWS_INITIAL), np.int64)
        self._scoring_requested: Vector = np.zeros((2, ROWS_INITIAL), np.int64)
        self._pods_max: Vector = np.zeros(ROWS_INITIAL, np.int64)
        self._pod_count: Vector = np.zeros(ROWS_INITIAL, np.int64)
        self._taints: Numbers = np.zeros(ROWS_INITIAL, np.int32)
        self.taint_sets: Interner[tuple[Taint, ...]] = Interner()
        self._label_columns: dict[str, Numbers] = {}
        self._label_values: dict[str, Interner[str]] = {}
        self._labels: dict[int, Mapping[str, str]] = {}
        self._ports: dict[tuple[str, int], dict[tuple[int, str], int]] = {}
        self._pods: dict[str, _Placed] = {}
        self._pods_by_node: dict[str, dict[str, _Placed]] = {}
        self._pods_by_family: dict[_Family, dict[str, _Placed]] = {}
        self._counts: OrderedDict[PodGroup, Numbers] = OrderedDict()
        self._groups_by_family: dict[_Family, set[PodGroup]] = {}

    # The columns, up to the last row in use

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._rows)

    @property
    def valid(self) -> Mask:
        """Which rows hold a node."""
        return self._valid[: len(self.names)]

    @property
    def unschedulable(self) -> Mask:
        return self._unschedulable[: len(self.names)]

    @property
    def pods_max(self) -> Vector:
        return self._pods_max[: len(self.names)]

    @property
    def pod_count(self) -> Vector:
        return self._pod_count[: len(self.names)]

    @property
    def taints(self) -> Numbers:
        """Each node's set of taints as a number of `taint_sets`; nodes with the same taints share one."""
        return self._taints[: len(self.names)]

    @property
    def scoring_requested(self) -> Vector:
        """Requests of CPU (row 0) and memory (row 1) with stand-ins for containers that request nothing."""
        return self._scoring_requested[:, : len(self.names)]

    def allocatable(self, resource: str) -> Vector | None:
        """Return what each node offers of a resource, None for a resource that no node has heard of."""
        index = self._resource_index.get(resource)
        return None if index is None else self._allocatable[index, : len(self.names)]

    def requested(self, resource: str) -> Vector | None:
        """Return what the pods on each node have set aside of a resource."""
        index = self._resource_index.get(resource)
        return None if index is None else self._requested[index, : len(self.names)]

    def label(self, key: str) -> Numbers | None:
        """Return each node's value of a label as a number (`NOTHING`: has none); None if no node has it."""
        column = self._label_columns.get(key)
        return None if column is None else column[: len(self.names)]

    def label_values(self, key: str) -> Interner[str]:
        """Return which number means which value in the column of a label that some node has."""
        return self._label_values[key]

    def row(self, node_name: str) -> int | None:
        return self._rows.get(node_name)

    def port_users(self, protocol: str, port: int) -> Iterable[tuple[int, str]]:
        """Yield (row, address) of the pods that hold a host port."""
        return self._ports.get((protocol, port), {}).keys()

    def counts(self, group: PodGroup) -> Numbers:
        """Return how many pods of `group` are on each node, not counting those that are being deleted."""
        column = self._counts.get(group)
        if column is None:
            column = self._count(group)
        self._counts.move_to_end(group)
        return column[: len(self.names)]

    # Nodes

    def set_node(self, node: Object) -> None:
        """Add a node, or take over what has changed of it."""
        name = meta.name(node)
        row = self._rows.get(name)
        if row is None:
            row = self._new_row(name)
            self._describe(row, node)
            for placed in self._pods_by_node.get(name, {}).values():
                placed.row = row
                self._account(placed, 1)
        else:
            self._describe(row, node)

    def remove_node(self, name: str) -> None:
        """Forget a node; its pods are remembered, in case it comes back."""
        row = self._rows.pop(name, None)
        if row is None:
            return
        for placed in self._pods_by_node.get(name, {}).values():
            self._account(placed, -1)
            placed.row = -1
        self._set_labels(row, {})
        self._set_taints(row, ())
        self._allocatable[:, row] = 0
        self._pods_max[row] = 0
        self._unschedulable[row] = False
        self._valid[row] = False
        self.names[row] = ""
        self._free_rows.append(row)

    def _new_row(self, name: str) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
            self.names[row] = name
        else:
            row = len(self.names)
            if row == self._capacity:
                self._grow()
            self.names.append(name)
        self._rows[name] = row
        self._valid[row] = True
        return row

    def _grow(self) -> None:
        self._capacity *= 2
        size = self._capacity
        self._valid = _lengthened(self._valid, size)
        self._unschedulable = _lengthened(self._unschedulable, size)
        self._allocatable = _lengthened(self._allocatable, size)
        self._requested = _lengthened(self._requested, size)
        self._scoring_requested = _lengthened(self._scoring_requested, size)
        self._pods_max = _lengthened(self._pods_max, size)
        self._pod_count = _lengthened(self._pod_count, size)
        self._taints = _lengthened(self._taints, size)
        for key, column in self._label_columns.items():
            self._label_columns[key] = _lengthened(column, size)
        for group, counted in self._counts.items():
            self._counts[group] = _lengthened(counted, size)

    def _describe(self, row: int, node: Object) -> None:
        spec: Object = node.get("spec") or {}
        offered = amounts((node.get("status") or {}).get("allocatable"))
        self._pods_max[row] = offered.pop(PODS, 0)
        self._allocatable[:, row] = 0
        for name, amount in offered.items():
            index = self._resource(name)  # may replace the array
            self._allocatable[index, row] = amount
        self._unschedulable[row] = bool(spec.get("unschedulable"))
        self._set_labels(row, meta.labels(node))
        self._set_taints(row, node_taints(spec))

    def _resource(self, name: str) -> int:
        """Return the index of a resource, making room for one never seen before."""
        index = self._resource_index.get(name)
        if index is None:
            index = self._resource_index[name] = len(self._resource_index)
            empty: Vector = np.zeros((1, self._capacity), np.int64)
            self._allocatable = np.concatenate((self._allocatable, empty))
            self._requested = np.concatenate((self._requested, empty))
        return index

    def _set_labels(self, row: int, labels: Mapping[str, str]) -> None:
        before = self._labels.pop(row, {})
        for key, value in before.items():
            if labels.get(key) != value:
                column = self._label_columns[key]
                values = self._label_values[key]
                values.release(int(column[row]))
                column[row] = NOTHING
                if not values:
                    del self._label_columns[key], self._label_values[key]
        for key, value in labels.items():
            if before.get(key) != value:
                if key not in self._label_columns:
                    self._label_columns[key] = np.zeros(self._capacity, np.int32)
                    self._label_values[key] = Interner()
                self._label_columns[key][row] = self._label_values[key].acquire(value)
        if labels:
            self._labels[row] = labels

    def _set_taints(self, row: int, taints: tuple[Taint, ...]) -> None:
        before = int(self._taints[row])
        self._taints[row] = self.taint_sets.acquire(taints) if taints else NOTHING
        if before != NOTHING:
            self.taint_sets.release(before)

    # Pods

    def place(self, info: PodInfo, node_name: str, *, assumed: bool = False) -> bool:
        """Count a pod on a node, or take over what has changed of it.

        Return whether that changes anything for other pods: False for the news of a pod that was assumed.
        """
        before = self._pods.get(info.uid)
        if before is not None:
            if before.node_name == node_name and _same_demand(before.info, info):
                before.info = info
                before.assumed = before.assumed and assumed
                return False
            self.remove_pod(info.uid)
        placed = _Placed(info, node_name, self._rows.get(node_name, -1), assumed)
        self._pods[info.uid] = placed
        self._pods_by_node.setdefault(node_name, {})[info.uid] = placed
        for family in _families(info):
            self._pods_by_family.setdefault(family, {})[info.uid] = placed
        self._account(placed, 1)
        return True

    def remove_pod(self, uid: str) -> bool:
        """Stop counting a pod; return whether it was counted."""
        placed = self._pods.pop(uid, None)
        if placed is None:
            return False
        self._account(placed, -1)
        _remove(self._pods_by_node, placed.node_name, uid)
        for family in _families(placed.info):
            _remove(self._pods_by_family, family, uid)
        return True

    def known(self) -> dict[str, int]:
        """Return how much is known, under upstream's names."""
        assumed = sum(1 for placed in self._pods.values() if placed.assumed)
        return {"nodes": len(self), "pods": len(self._pods), "assumed_pods": assumed}

    def has_pod(self, uid: str) -> bool:
        return uid in self._pods

    def is_assumed(self, uid: str) -> bool:
        """Tell whether a pod is counted on a node that the API does not name yet."""
        placed = self._pods.get(uid)
        return placed is not None and placed.assumed

    def _account(self, placed: _Placed, sign: int) -> None:
        row, info = placed.row, placed.info
        if row < 0:
            return
        for name, amount in info.requests.items():
            index = self._resource(name)  # may replace the array
            self._requested[index, row] += sign * amount
        self._scoring_requested[0, row] += sign * info.scoring_cpu_milli
        self._scoring_requested[1, row] += sign * info.scoring_memory_bytes
        self._pod_count[row] += sign
        for port in info.host_ports:
            self._use_port(port, row, sign)
        if not info.terminating:
            for family in _families(info):
                for group in self._groups_by_family.get(family, ()):
                    if group.has(info):
                        self._counts[group][row] += sign

    def _use_port(self, port: HostPort, row: int, sign: int) -> None:
        users = self._ports.setdefault((port.protocol, port.port), {})
        use = (row, port.address)
        users[use] = users.get(use, 0) + sign
        if not users[use]:
            del users[use]
            if not users:
                del self._ports[port.protocol, port.port]

    def _count(self, group: PodGroup) -> Numbers:
        column: Numbers = np.zeros(self._capacity, np.int32)
        family = (group.namespace, group.owner_uid)
        for placed in self._pods_by_family.get(family, {}).values():
            if placed.row >= 0 and not placed.info.terminating and group.has(placed.info):
                column[placed.row] += 1
        if len(self._counts) >= COUNTS_KEPT_MAX:
            dropped, _ = self._counts.popitem(last=False)
            groups = self._groups_by_family[dropped.namespace, dropped.owner_uid]
            groups.discard(dropped)
            if not groups:
                del self._groups_by_family[dropped.namespace, dropped.owner_uid]
        self._counts[group] = column
        self._groups_by_family.setdefault(family, set()).add(group)
        return column


def node_taints(spec: Object) -> tuple[Taint, ...]:
    """Return a node's taints in a fixed order."""
    return tuple(
        sorted(
            Taint(taint.get("key", ""), taint.get("value") or "", taint.get("effect", ""))
            for taint in spec.get("taints") or ()
        )
    )


def _same_demand(one: PodInfo, other: PodInfo) -> bool:
    return (
        one.requests == other.requests
        and one.labels == other.labels
        and one.terminating == other.terminating
        and one.owner_uid == other.owner_uid
        and one.host_ports == other.host_ports
        and one.scoring_cpu_milli == other.scoring_cpu_milli
        and one.scoring_memory_bytes == other.scoring_memory_bytes
    )


def _lengthened(array: npt.NDArray[Scalar], size: int) -> npt.NDArray[Scalar]:
    longer: npt.NDArray[Scalar] = np.zeros((*array.shape[:-1], size), array.dtype)
    longer[..., : array.shape[-1]] = array
    return longer


def _families(info: PodInfo) -> tuple[_Family, ...]:
    """Return what a pod belongs to as (namespace, owner): all of its namespace, and its owner's."""
    everyone = (info.namespace, "")
    return (everyone, (info.namespace, info.owner_uid)) if info.owner_uid else (everyone,)


def _remove(index: dict[K, dict[str, _Placed]], key: K, uid: str) -> None:
    entries = index[key]
    del entries[uid]
    if not entries:
        del index[key]
