"""What a Deployment's next step is. Pure; `deployment` carries the steps out.

Every step's result comes back as a change of a ReplicaSet and leads to the next step. Example, 3 replicas,
maxSurge 1, maxUnavailable 0 (old/new ReplicaSet):

  3/0 -> 3/1 (surge) -> new one available -> 2/1 -> 2/2 -> ... -> 0/3, complete
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339, rfc3339
from podium.controllers.common.percent import scaled
from podium.controllers.common.status import condition_of, drop_condition, put_condition, without_zeros
from podium.controllers.common.template import POD_TEMPLATE_HASH, same_template, template_hash
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.apps.replicasets import REPLICASETS

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
NOT_COPIED = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        ROLLBACK_TO,
    )
)
REVISION_HISTORY_CHARS_MAX = 2000
NAME_CHARS_MAX = 253
NO_LIMIT = 2**31 - 1
"""progressDeadlineSeconds and revisionHistoryLimit with this value mean: none."""


@dataclass(slots=True, kw_only=True)
class Plan:
    """One step. Writes come in this order: `create`, `update`, `delete`, the Deployment's status."""

    create: Object | None = None
    """The ReplicaSet to make."""
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    status: Object = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """The Deployment's annotations; they are written along with its status, as upstream does."""
    events: list[str] = field(default_factory=list)
    """Messages of ScalingReplicaSet events, told once the writes are done."""
    again_s: float | None = None
    """When the progress deadline will have to be looked at."""


def plan(
    deployment: Object, replica_sets: Sequence[Object], pods_alive: frozenset[str], now: datetime
) -> Plan:
    """Decide the next step.

    `replica_sets` are the Deployment's own; `pods_alive` the uids of those that still have pods which have
    not ended (Recreate waits for them).
    """
    return _Step(deployment, replica_sets, pods_alive, now).plan()


class _Step:
    """The working out of one plan. ReplicaSets are copied before they are changed."""

    def __init__(
        self, deployment: Object, replica_sets: Sequence[Object], pods_alive: frozenset[str], now: datetime
    ) -> None:
        self.deployment = deployment
        self.spec: Object = deployment["spec"]
        self.name = meta.name(deployment)
        self.replicas = int(self.spec.get("replicas") if self.spec.get("replicas") is not None else 1)
        self.old_status: Object = deployment.get("status") or {}
        self.conditions: list[Object] = list(self.old_status.get("conditions") or ())
        self.pods_alive = pods_alive
        self.now = now
        self.result = Plan(annotations=dict(meta.annotations(deployment)))
        self.max_surge, self.max_unavailable = fenceposts(deployment)
        self.changed: dict[str, Object] = {}
        by_age = sorted(replica_sets, key=_age)
        template = self.spec["template"]
        self.new: Object | None = next(
            (rs for rs in by_age if same_template(rs["spec"]["template"], template)), None
        )
        self.old: list[Object] = [rs for rs in by_age if rs is not self.new]

    def plan(self) -> Plan:
        if meta.deleting(self.deployment):
            self._status()
            return self.result
        self._pausing()
        if self.spec.get("paused"):
            self._sync_revision(create=False)
            self._scale_proportionally()
            self._clean_up()
            self._status()
        elif self._is_being_scaled() and not self._has_to_be_recreated():
            self._sync_revision(create=False)
            self._scale_proportionally()
            self._status()
        elif (self.spec.get("strategy") or {}).get("type") == "Recreate":
            self._recreate()
        else:
            self._roll()
        self.result.update = list(self.changed.values())
        return self.result

    def _has_to_be_recreated(self) -> bool:
        """Several ReplicaSets have pods, and none may get more: only recreating ends that.

        Such are left when a rollout is paused, scaled, and told to recreate. Upstream waits for ever: it
        takes this for a change of size, which it then does not follow.
        """
        recreate = (self.spec.get("strategy") or {}).get("type") == "Recreate"
        return recreate and sum(_size(rs) > 0 for rs in self._all()) > 1

    # The two strategies

    def _roll(self) -> None:
        self._sync_revision(create=True)
        if not self._scale_new() and not self._scale_down_old() and self._is_complete(self.old_status):
            self._clean_up()
        self._rollout_status()

    def _recreate(self) -> None:
        self._sync_revision(create=False)
        active = [rs for rs in self.old if _size(rs)]
        if active:
            for rs in active:
                self._scale_to(rs, 0)
        elif not self._old_pods_alive():
            if self.new is None:
                self._sync_revision(create=True)
            elif not self._scale_to(self.new, self.replicas) and self._is_complete(self.old_status):
                self._clean_up()
        self._rollout_status()

    def _old_pods_alive(self) -> bool:
        # (Upstream does not ask whether a report is of the present size. So it may miss pods made just now.)
        if any(
            _reported(rs, "replicas") or _reported(rs, "observedGeneration") < meta.generation(rs)
            for rs in self.old
        ):
            return True
        new_uid = meta.uid(self.new) if self.new is not None else None
        return any(uid != new_uid for uid in self.pods_alive)

    # The ReplicaSet of the current template, and revisions

    def _sync_revision(self, *, create: bool) -> None:
        revision = str(max((_revision(rs) for rs in self.old), default=0) + 1)
        if self.new is not None:
            self._refresh_new(revision)
            self.result.annotations = {
                **self.result.annotations,
                REVISION: meta.annotations(self.new).get(REVISION, revision),
            }
            if has_deadline(self.deployment) and condition_of(self.conditions, "Progressing") is None:
                self._progressing(
                    "True", "FoundNewReplicaSet", f'Found new replica set "{meta.name(self.new)}"'
                )
        elif create:
            self._make_new(revision)
            self.result.annotations = {**self.result.annotations, REVISION: revision}

    def _refresh_new(self, revision: str) -> None:
        assert self.new is not None
        annotations = dict(meta.annotations(self.new))
        annotations.update(self._annotations_to_copy())
        before = annotations.get(REVISION)
        if _number(before) < int(revision):
            annotations[REVISION] = revision
            if before:
                annotations[REVISION_HISTORY] = _longer_history(annotations.get(REVISION_HISTORY), before)
        min_ready_s = self.spec.get("minReadySeconds") or 0
        if annotations == meta.annotations(self.new) and min_ready_s == (
            self.new["spec"].get("minReadySeconds") or 0
        ):
            return
        rs = self._writable(self.new)
        rs["metadata"]["annotations"] = annotations
        if min_ready_s:
            rs["spec"]["minReadySeconds"] = min_ready_s
        else:
            rs["spec"].pop("minReadySeconds", None)

    def _make_new(self, revision: str) -> None:
        template = self.spec["template"]
        hash_ = template_hash(template, self.old_status.get("collisionCount"))
        hashed = meta.copy_path(template, "metadata", "labels")
        hashed["metadata"]["labels"][POD_TEMPLATE_HASH] = hash_
        selector = meta.copy_path(self.spec["selector"], "matchLabels")
        selector["matchLabels"][POD_TEMPLATE_HASH] = hash_
        replicas = self._new_size(0)
        spec: Object = {"replicas": replicas, "selector": selector, "template": hashed}
        if self.spec.get("minReadySeconds"):
            spec["minReadySeconds"] = self.spec["minReadySeconds"]
        name = f"{self.name[: NAME_CHARS_MAX - len(hash_) - 1]}-{hash_}"
        self.new = self.result.create = {
            "apiVersion": REPLICASETS.api_version,
            "kind": REPLICASETS.kind,
            "metadata": {
                "name": name,
                "namespace": meta.namespace(self.deployment),
                "labels": dict(hashed["metadata"]["labels"]),
                "annotations": {
                    **self._annotations_to_copy(),
                    REVISION: revision,
                    **self._size_annotations(),
                },
                "ownerReferences": [meta.owner_reference(self.deployment)],
            },
            "spec": spec,
        }
        if replicas:
            self.result.events.append(f"Scaled up replica set {name} from 0 to {replicas}")
        if has_deadline(self.deployment):
            self._progressing("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')

    def _annotations_to_copy(self) -> dict[str, str]:
        return {k: v for k, v in meta.annotations(self.deployment).items() if k not in NOT_COPIED}

    # Scaling

    def _is_being_scaled(self) -> bool:
        """The Deployment's size has changed since its active ReplicaSets were given theirs."""
        return any(
            _number(meta.annotations(rs).get(DESIRED_REPLICAS), -1) not in (-1, self.replicas)
            for rs in self._all()
            if _size(rs)
        )

    def _new_size(self, size: int) -> int:
        """Return what the new ReplicaSet, `size` big now, may grow to."""
        if (self.spec.get("strategy") or {}).get("type") == "Recreate":
            return self.replicas
        room = self.replicas + self.max_surge - sum(_size(rs) for rs in self.old) - size
        if room <= 0:
            return size
        return size + min(room, self.replicas - size)

    def _scale_new(self) -> bool:
        if self.new is None or self.new is self.result.create:
            return False
        size = _size(self.new)
        if size == self.replicas:
            return False
        if size > self.replicas:
            return self._scale_to(self.new, self.replicas)
        return self._scale_to(self.new, self._new_size(size))

    def _scale_down_old(self) -> bool:
        """Take pods from the old ReplicaSets, the unhealthy ones first, as far as availability allows."""
        if not any(_size(rs) for rs in self.old):
            return False
        min_available = self.replicas - self.max_unavailable
        new_size = _size(self.new) if self.new is not None else 0
        new_available = _available(self.new) if self.new is not None else 0
        removable = new_size + sum(_size(rs) for rs in self.old) - min_available - (new_size - new_available)
        if removable <= 0:
            return False
        scaled_down = False
        for rs in list(self.old):
            unhealthy = _size(rs) - _available(rs)
            if removable > 0 and unhealthy > 0:
                count = min(removable, unhealthy)
                removable -= count
                scaled_down |= self._scale_to(rs, _size(rs) - count)
        spare = sum(_available(rs) for rs in self._all()) - min_available
        for rs in list(self.old):
            if spare > 0 and _size(rs):
                count = min(_size(rs), spare)
                spare -= count
                scaled_down |= self._scale_to(rs, _size(rs) - count)
        return scaled_down

    def _scale_proportionally(self) -> None:
        """Follow a change of the Deployment's size without going on with its rollout."""
        active = [rs for rs in self._all() if _size(rs)]
        if len(active) <= 1:
            only = (
                active[0] if active else self.new if self.new is not None else next(reversed(self.old), None)
            )
            if only is not None:
                self._scale_to(only, self.replicas)
            return
        if self.new is not None and self._is_saturated(self.new):
            for rs in [rs for rs in self.old if _size(rs)]:
                self._scale_to(rs, 0)
            return
        if (self.spec.get("strategy") or {}).get("type") == "Recreate":
            return
        allowed = self.replicas + self.max_surge if self.replicas else 0
        to_add = allowed - sum(_size(rs) for rs in active)
        # Growing: of two alike the newer first. Shrinking: the older first.
        active.sort(key=_age, reverse=to_add > 0)
        active.sort(key=_size, reverse=True)
        added = 0
        sizes = []
        for rs in active:
            share = self._share(rs, to_add, added)
            added += share
            sizes.append(_size(rs) + share)
        sizes[0] = max(0, sizes[0] + to_add - added)
        for rs, size in zip(active, sizes, strict=True):
            self._scale_to(rs, size)

    def _share(self, rs: Object, to_add: int, added: int) -> int:
        """Return how much of `to_add` goes to `rs`, by its share of the pods before the change."""
        left = to_add - added
        if not left:
            return 0
        size = _size(rs)
        if not self.replicas:
            share = -size
        else:
            before = _number(meta.annotations(rs).get(MAX_REPLICAS)) or int(
                self.old_status.get("replicas") or 0
            )
            if not before:
                return 0
            # Half away from zero, like Go's rounding to int.
            share = int(size * (self.replicas + self.max_surge) / before + 0.5) - size
        return min(share, left) if to_add > 0 else max(share, left)

    def _is_saturated(self, rs: Object) -> bool:
        desired = _number(meta.annotations(rs).get(DESIRED_REPLICAS), -1)
        return _size(rs) == desired == _reported(rs, "availableReplicas") == self.replicas

    def _size_annotations(self) -> dict[str, str]:
        return {
            DESIRED_REPLICAS: str(self.replicas),
            MAX_REPLICAS: str(self.replicas + self.max_surge),
        }

    def _scale_to(self, rs: Object, size: int) -> bool:
        """Set the size of `rs` and its size annotations; return whether the size changes."""
        before = _size(rs)
        wanted = {**meta.annotations(rs), **self._size_annotations()}
        if before == size and wanted == meta.annotations(rs):
            return False
        rs = self._writable(rs)
        rs["spec"]["replicas"] = size
        rs["metadata"]["annotations"] = wanted
        if before == size:
            return False
        direction = "up" if size > before else "down"
        self.result.events.append(f"Scaled {direction} replica set {meta.name(rs)} from {before} to {size}")
        return True

    def _writable(self, rs: Object) -> Object:
        """Return the copy of `rs` that will be written, in its place from now on."""
        name = meta.name(rs)
        if name in self.changed:
            return self.changed[name]
        copy = {**rs, "metadata": dict(rs["metadata"]), "spec": dict(rs["spec"])}
        self.changed[name] = copy
        if rs is self.new:
            self.new = copy
        self.old = [copy if other is rs else other for other in self.old]
        return copy

    def _all(self) -> list[Object]:
        return [*self.old, self.new] if self.new is not None else self.old

    def _clean_up(self) -> None:
        """Delete the oldest ReplicaSets beyond the history limit, if nothing runs in them."""
        limit = self.spec.get("revisionHistoryLimit")
        if limit is None or limit >= NO_LIMIT:
            return
        cleanable = sorted((rs for rs in self.old if not meta.deleting(rs)), key=_revision)
        for rs in cleanable[: max(0, len(cleanable) - int(limit))]:
            observed = int((rs.get("status") or {}).get("observedGeneration") or 0)
            if not _size(rs) and not _reported(rs, "replicas") and meta.generation(rs) <= observed:
                self.result.delete.append(rs)

    # Status

    def _pausing(self) -> None:
        current = condition_of(self.conditions, "Progressing")
        reason = current.get("reason") if current is not None else None
        if not has_deadline(self.deployment) or reason == "ProgressDeadlineExceeded":
            return
        if self.spec.get("paused") and reason != "DeploymentPaused":
            self._progressing("Unknown", "DeploymentPaused", "Deployment is paused")
        elif not self.spec.get("paused") and reason == "DeploymentPaused":
            self._progressing("Unknown", "DeploymentResumed", "Deployment is resumed")

    def _condition(self, type: str, status: str, reason: str, message: str) -> Object:
        at = rfc3339(self.now)
        return {
            "type": type,
            "status": status,
            "lastUpdateTime": at,
            "lastTransitionTime": at,
            "reason": reason,
            "message": message,
        }

    def _progressing(self, status: str, reason: str, message: str) -> None:
        self.conditions = put_condition(
            self.conditions, self._condition("Progressing", status, reason, message)
        )

    def _status(self) -> None:
        """Work out the status that needs no judgement of the rollout's progress."""
        sets = self._all()
        available = sum(_reported(rs, "availableReplicas") for rs in sets)
        if available >= self.replicas - self.max_unavailable:
            condition = self._condition(
                "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
            )
        else:
            condition = self._condition(
                "Available",
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        self.conditions = put_condition(self.conditions, condition)
        self.result.status = without_zeros(
            {
                "observedGeneration": meta.generation(self.deployment),
                "replicas": sum(_reported(rs, "replicas") for rs in sets),
                "updatedReplicas": _reported(self.new, "replicas") if self.new is not None else 0,
                "readyReplicas": sum(_reported(rs, "readyReplicas") for rs in sets),
                "availableReplicas": available,
                "unavailableReplicas": max(0, sum(_size(rs) for rs in sets) - available),
                "terminatingReplicas": self._terminating(sets),
                "conditions": self.conditions,
                "collisionCount": self.old_status.get("collisionCount"),
            },
            keep=("terminatingReplicas",),
        )
        if self.result.status["terminatingReplicas"] is None:
            del self.result.status["terminatingReplicas"]

    def _terminating(self, sets: Sequence[Object]) -> int | None:
        """Return the sum over the ReplicaSets; None while one of them has not said."""
        counts = [(rs.get("status") or {}).get("terminatingReplicas") for rs in sets]
        known = [int(count) for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def _rollout_status(self) -> None:
        self._status()
        status = self.result.status
        if not has_deadline(self.deployment):
            self.conditions = drop_condition(self.conditions, "Progressing")
        elif not self._was_complete(status):
            self._judge_progress(status)
        failures = self._replica_failure()
        if failures is not None:
            self.conditions = put_condition(self.conditions, failures)
        else:
            self.conditions = drop_condition(self.conditions, "ReplicaFailure")
        if self.conditions:
            status["conditions"] = self.conditions
        else:
            status.pop("conditions", None)
        self.result.again_s = self._deadline_in_s(status)

    def _was_complete(self, status: Object) -> bool:
        current = condition_of(self.old_status.get("conditions") or (), "Progressing")
        return (
            status.get("replicas", 0) == status.get("updatedReplicas", 0)
            and current is not None
            and current.get("reason") == "NewReplicaSetAvailable"
        )

    def _is_complete(self, status: Object) -> bool:
        return bool(
            status.get("updatedReplicas", 0) == self.replicas
            and status.get("replicas", 0) == self.replicas
            and status.get("availableReplicas", 0) == self.replicas
            and status.get("observedGeneration", 0) >= meta.generation(self.deployment)
        )

    def _judge_progress(self, status: Object) -> None:
        who = f'ReplicaSet "{meta.name(self.new)}"' if self.new is not None else f'Deployment "{self.name}"'
        if self._is_complete(status):
            self._progressing("True", "NewReplicaSetAvailable", f"{who} has successfully progressed.")
        elif self._has_progressed(status):
            new = self._condition("Progressing", "True", "ReplicaSetUpdated", f"{who} is progressing.")
            current = condition_of(self.conditions, "Progressing")
            if current is not None and current.get("status") == "True":
                new["lastTransitionTime"] = current.get("lastTransitionTime") or new["lastTransitionTime"]
            # Replaced even when it says the same: its lastUpdateTime is when the deadline starts anew.
            self.conditions = [*drop_condition(self.conditions, "Progressing"), new]
        elif self._has_timed_out():
            self._progressing("False", "ProgressDeadlineExceeded", f"{who} has timed out progressing.")

    def _has_progressed(self, status: Object) -> bool:
        def count(of: Object, name: str) -> int:
            return int(of.get(name) or 0)

        before, after = self.old_status, status
        return (
            count(after, "updatedReplicas") > count(before, "updatedReplicas")
            or count(after, "replicas") - count(after, "updatedReplicas")
            < count(before, "replicas") - count(before, "updatedReplicas")
            or count(after, "readyReplicas") > count(before, "readyReplicas")
            or count(after, "availableReplicas") > count(before, "availableReplicas")
        )

    def _deadline(self) -> datetime | None:
        """Return when the lack of progress becomes a failure."""
        condition = condition_of(self.conditions, "Progressing")
        if condition is None or not has_deadline(self.deployment) or not condition.get("lastUpdateTime"):
            return None
        start = parse_rfc3339(condition["lastUpdateTime"])
        return start + timedelta(seconds=int(self.spec["progressDeadlineSeconds"]))

    def _has_timed_out(self) -> bool:
        condition = condition_of(self.conditions, "Progressing")
        if condition is None or condition.get("reason") == "NewReplicaSetAvailable":
            return False
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return True
        deadline = self._deadline()
        return deadline is not None and deadline < self.now

    def _deadline_in_s(self, status: Object) -> float | None:
        condition = condition_of(self.conditions, "Progressing")
        deadline = self._deadline()
        if condition is None or deadline is None or self._is_complete(status):
            return None
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return None
        # One second more: times on the wire are cut to whole seconds.
        return max(0.0, (deadline - self.now).total_seconds()) + 1

    def _replica_failure(self) -> Object | None:
        """Return the ReplicaSets' failure as the Deployment's, the new one's before the others'."""
        for rs in ([self.new] if self.new is not None else []) + self.old:
            found = condition_of((rs.get("status") or {}).get("conditions") or (), "ReplicaFailure")
            if found is not None:
                at = found.get("lastTransitionTime")
                return {
                    "type": "ReplicaFailure",
                    "status": found["status"],
                    "lastUpdateTime": at,
                    "lastTransitionTime": at,
                    "reason": found["reason"],
                    "message": found["message"],
                }
        return None


def has_deadline(deployment: Object) -> bool:
    """Whether a lack of progress is to be told of."""
    deadline_s = deployment["spec"].get("progressDeadlineSeconds")
    return deadline_s is not None and deadline_s < NO_LIMIT


def fenceposts(deployment: Object) -> tuple[int, int]:
    """Return (maxSurge, maxUnavailable) as numbers: surge rounds up, unavailable down, never both 0."""
    spec = deployment["spec"]
    strategy = spec.get("strategy") or {}
    replicas = int(spec.get("replicas") if spec.get("replicas") is not None else 1)
    if strategy.get("type") == "Recreate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", "25%"), replicas, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, replicas)


def _age(obj: Object) -> tuple[str, str]:
    return str(meta.metadata(obj).get("creationTimestamp") or "9"), meta.name(obj)


def _size(rs: Object) -> int:
    replicas = rs["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def _reported(rs: Object, name: str) -> int:
    return int((rs.get("status") or {}).get(name) or 0)


def _available(rs: Object) -> int:
    """Return the available pods that will stay: after scaling down, the status still counts those that go."""
    return min(_reported(rs, "availableReplicas"), _size(rs))


def _number(text: str | None, default: int = 0) -> int:
    try:
        return int(text) if text else default
    except ValueError:
        return default


def _revision(rs: Object) -> int:
    return _number(meta.annotations(rs).get(REVISION))


def _longer_history(history: str | None, revision: str) -> str:
    """Return the list of revisions that a ReplicaSet has had, with one more, the oldest cut off."""
    if not history:
        return revision
    entries = [*history.split(","), revision]
    while len(entries) > 1 and len(",".join(entries)) > REVISION_HISTORY_CHARS_MAX:
        del entries[0]
    return ",".join(entries)
