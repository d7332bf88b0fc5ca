"""The default priority levels and flow schemas of API Priority and Fairness; the priority classes of pods."""

from __future__ import annotations

from collections.abc import Container

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.flowcontrol.mandatory import ANY_PATH, ANY_RESOURCE, LEVEL_SPECS, SCHEMA_SPECS

_API_VERSION = "flowcontrol.apiserver.k8s.io/v1"
AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"

_LEASES: Object = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": ["*"]}
_EVERYBODY = "Group:system:unauthenticated Group:system:authenticated"


_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def revised(wanted: Object, current: Object) -> Object | None:
    """Return what to store instead of `current`, None to leave it.

    The annotation says whether the spec follows the server's: always that of a mandatory object, that of
    another one unless an administrator has said no, or has changed it without saying anything.
    """
    said = _said(current)
    follows = meta.name(wanted) in (*LEVEL_SPECS, *SCHEMA_SPECS)
    if not follows:
        follows = meta.generation(current) == 1 if said is None else said
    changed = follows and current.get("spec") != wanted["spec"]
    if not changed and said is follows:
        return None
    new = meta.copy_path(current, "metadata", "annotations")
    new["metadata"]["annotations"][AUTOUPDATE] = "true" if follows else "false"
    return {**new, "spec": wanted["spec"]} if changed else new


def is_unwanted(current: Object, wanted: Container[str]) -> bool:
    """Whether an object says that it is one of the server's own, and is none: an older version had it."""
    return bool(_said(current)) and meta.name(current) not in wanted


def _said(obj: Object) -> bool | None:
    return _BOOLEANS.get(meta.annotations(obj).get(AUTOUPDATE, ""))


def priority_levels() -> list[Object]:
    return [
        *(
            {**_object("PriorityLevelConfiguration", name), "spec": spec, "status": {}}
            for name, spec in LEVEL_SPECS.items()
        ),
        _level("global-default", shares=20, lendable_percent=50, queues=128, hand_size=6),
        _level("leader-election", shares=10, lendable_percent=0, queues=16, hand_size=4),
        _level("node-high", shares=40, lendable_percent=25, queues=64, hand_size=6),
        _level("system", shares=30, lendable_percent=33, queues=64, hand_size=6),
        _level("workload-high", shares=40, lendable_percent=50, queues=128, hand_size=6),
        _level("workload-low", shares=100, lendable_percent=90, queues=128, hand_size=6),
    ]


def flow_schemas() -> list[Object]:
    own_leases = {"verbs": ["get", "create", "update"], **_LEASES}
    node_objects = {**ANY_RESOURCE, "apiGroups": [""], "resources": ["nodes", "nodes/status"]}
    node_leases = {"verbs": ["*"], **_LEASES}
    health = {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}
    every = ([ANY_RESOURCE], [ANY_PATH])
    manager, scheduler = "User:system:kube-controller-manager", "User:system:kube-scheduler"
    system_accounts = "ServiceAccount:kube-system/*"
    nodes = "Group:system:nodes"
    return [
        *(_with_status(name, spec) for name, spec in SCHEMA_SPECS.items()),
        _schema("global-default", "global-default", 9900, _EVERYBODY, *every, flow="ByUser"),
        _schema("kube-controller-manager", "workload-high", 800, manager, *every, flow="ByNamespace"),
        _schema("kube-scheduler", "workload-high", 800, scheduler, *every, flow="ByNamespace"),
        _schema(
            "kube-system-service-accounts", "workload-high", 900, system_accounts, *every, flow="ByNamespace"
        ),
        _schema("probes", "exempt", 2, _EVERYBODY, [], [health]),
        _schema(
            "service-accounts", "workload-low", 9000, "Group:system:serviceaccounts", *every, flow="ByUser"
        ),
        _schema(
            "system-leader-election",
            "leader-election",
            100,
            f"{manager} {scheduler} {system_accounts}",
            [own_leases],
            [],
            flow="ByUser",
        ),
        _schema("system-node-high", "node-high", 400, nodes, [node_objects, node_leases], [], flow="ByUser"),
        _schema("system-nodes", "system", 500, nodes, *every, flow="ByUser"),
    ]


def priority_classes() -> list[Object]:
    return [
        _priority_class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, "
            "but can be moved to another node if necessary.",
        ),
        _priority_class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
    ]


def _object(kind: str, name: str) -> Object:
    return {
        "apiVersion": _API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "annotations": {AUTOUPDATE: "true"}},
    }


def _level(name: str, *, shares: int, lendable_percent: int, queues: int = 0, hand_size: int = 0) -> Object:
    response: Object = {"type": "Reject"}
    if queues:
        queuing = {"queues": queues, "handSize": hand_size, "queueLengthLimit": 50}
        response = {"type": "Queue", "queuing": queuing}
    return {
        **_object("PriorityLevelConfiguration", name),
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": shares,
                "limitResponse": response,
                "lendablePercent": lendable_percent,
            },
        },
        "status": {},
    }


def _schema(
    name: str,
    level: str,
    precedence: int,
    subjects: str,
    resources: list[Object],
    paths: list[Object],
    *,
    flow: str = "",
) -> Object:
    spec: Object = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence}
    if flow:
        spec["distinguisherMethod"] = {"type": flow}
    rules: Object = {"subjects": [_subject(word) for word in subjects.split()]}
    if resources:
        rules["resourceRules"] = resources
    if paths:
        rules["nonResourceRules"] = paths
    spec["rules"] = [rules]
    return _with_status(name, spec)


def _with_status(name: str, spec: Object) -> Object:
    level = spec["priorityLevelConfiguration"]["name"]
    found = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" and it exists'
    condition = {"type": "Dangling", "status": "False", "reason": "Found", "message": found}
    return {**_object("FlowSchema", name), "spec": spec, "status": {"conditions": [condition]}}


def _subject(word: str) -> Object:
    kind, _, name = word.partition(":")
    if kind == "ServiceAccount":
        namespace, _, account = name.partition("/")
        return {"kind": kind, "serviceAccount": {"namespace": namespace, "name": account}}
    return {"kind": kind, kind.lower(): {"name": name}}


def _priority_class(name: str, value: int, description: str) -> Object:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "description": description,
        "preemptionPolicy": "PreemptLowerPriority",
    }
