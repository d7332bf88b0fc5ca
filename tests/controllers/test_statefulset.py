"""StatefulSets: in which order, in which revision, and what becomes of their claims."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from podium.controllers.common.history import HASH, plan_history
from podium.controllers.statefulset import STATEFULSET
from podium.controllers.statefulset_plan import made_of_current, plan
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.core.events import EVENTS
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from tests.controllers.builders import pod, running, workload
from tests.runtime.fakes import FakeApi, api_error

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def stateful_pods(*entries: tuple[int, str]) -> list[Object]:
    """Return pods by ordinal: `r`eady, `u`nready, `f`ailed, `g`oing; upper case: of the old revision."""
    pods = []
    for number, state in entries:
        kind = state.lower()
        labels = {"app": "web", HASH: "old" if state.isupper() else "new"}
        metadata: Object = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if kind == "g" else {}
        phase = "Failed" if kind == "f" else "Running"
        pods.append(pod(f"db-{number}", phase=phase, ready=kind == "r", labels=labels, **metadata))
    return pods


@pytest.mark.parametrize(
    ("spec", "pods", "created", "deleted"),
    [
        pytest.param({"replicas": 3}, (), [0], [], id="the first"),
        pytest.param({"replicas": 3}, ((0, "u"),), [], [], id="wait for it"),
        pytest.param({"replicas": 3}, ((0, "r"),), [1], [], id="the next"),
        pytest.param({"replicas": 3}, ((0, "r"), (2, "r")), [1], [], id="a gap"),
        pytest.param(
            {"replicas": 3, "podManagementPolicy": "Parallel"}, ((1, "u"),), [0, 2], [], id="parallel"
        ),
        pytest.param({"replicas": 2, "ordinals": {"start": 5}}, ((5, "r"),), [6], [], id="other numbers"),
        pytest.param({"replicas": 1}, ((0, "f"),), [], ["db-0"], id="a failed one goes"),
        pytest.param({"replicas": 1}, ((0, "r"), (1, "r"), (2, "r")), [], ["db-2"], id="down from the top"),
        pytest.param({"replicas": 1}, ((0, "r"), (1, "r"), (2, "g")), [], [], id="one at a time"),
        pytest.param({"replicas": 1}, ((0, "u"), (1, "r")), [], [], id="not while one is unwell"),
        pytest.param(
            {"replicas": 1, "podManagementPolicy": "Parallel"},
            ((0, "r"), (1, "r"), (2, "r")),
            [],
            ["db-2", "db-1"],
            id="parallel down",
        ),
        pytest.param({"replicas": 3}, ((0, "R"), (1, "R"), (2, "R")), [], ["db-2"], id="update from the top"),
        pytest.param({"replicas": 3}, ((0, "R"), (1, "R"), (2, "u")), [], [], id="update waits"),
        pytest.param({"replicas": 3}, ((0, "R"), (1, "R"), (2, "r")), [], ["db-1"], id="update goes on"),
        pytest.param(
            {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
            ((0, "R"), (1, "R"), (2, "r")),
            [],
            [],
            id="update stops at the partition",
        ),
        pytest.param(
            {"replicas": 1, "updateStrategy": {"type": "OnDelete"}},
            ((0, "R"),),
            [],
            [],
            id="update on delete",
        ),
    ],
)
def test_the_next_step_of_a_stateful_set(
    spec: Object, pods: tuple[tuple[int, str], ...], created: list[int], deleted: list[str]
) -> None:
    decided = plan(workload("StatefulSet", **spec), stateful_pods(*pods), "new", "old", NOW)
    assert (decided.create, [meta.name(p) for p in decided.delete]) == (created, deleted)


def test_an_update_ends_when_all_are_updated_and_ready() -> None:
    wish = workload("StatefulSet", replicas=2)
    status = plan(wish, stateful_pods((0, "R"), (1, "r")), "new", "old", NOW).status
    # The old one is being deleted: it counts no more.
    assert (status["currentRevision"], status["updatedReplicas"]) == ("old", 1)
    assert "currentReplicas" not in status
    status = plan(wish, stateful_pods((0, "r"), (1, "r")), "new", "old", NOW).status
    assert (status["currentRevision"], status["updatedReplicas"], status["currentReplicas"]) == ("new", 2, 2)


def test_names_and_claims_stay_for_life() -> None:
    async def go() -> None:
        api = FakeApi()
        claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
        api.put(
            STATEFULSETS, workload("StatefulSet", replicas=2, serviceName="svc", volumeClaimTemplates=[claim])
        )

        def make_ready(obj: Object) -> None:
            obj["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}

        async with running(api, [STATEFULSET]):
            await api.clock.advance(1)
            assert sorted(api.table(PODS)) == ["default/db-0"]
            first = api.table(PODS)["default/db-0"]
            assert (first["spec"]["hostname"], first["spec"]["subdomain"]) == ("db-0", "svc")
            assert first["spec"]["volumes"] == [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}
            ]
            assert first["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "0"
            api.change(PODS, "default/db-0", make_ready)
            await api.clock.advance(1)
            assert sorted(api.table(PODS)) == ["default/db-0", "default/db-1"]
            assert sorted(api.table(PERSISTENTVOLUMECLAIMS)) == ["default/data-db-0", "default/data-db-1"]
            api.remove(PODS, "default/db-0")
            await api.clock.advance(1)
            assert "default/db-0" in api.table(PODS)
            assert len(api.all(PERSISTENTVOLUMECLAIMS)) == 2

    asyncio.run(go())


# Several at once, and what is made anew


@pytest.mark.parametrize(
    ("wish", "pods", "deleted"),
    [
        pytest.param(2, "RRRR", ["db-3", "db-2"], id="two from the top"),
        pytest.param("50%", "RRRR", ["db-3", "db-2"], id="a percentage"),
        pytest.param("10%", "RRRR", ["db-3"], id="at least one"),
        pytest.param(2, "RRRu", ["db-2"], id="one is missing already"),
        pytest.param(2, "RRuu", [], id="two are"),
        pytest.param(None, "RRRR", ["db-3"], id="one where nothing is said"),
    ],
)
def test_several_pods_are_replaced_at_once_behind_the_gate(
    wish: int | str | None, pods: str, deleted: list[str]
) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": wish}}
    made = workload("StatefulSet", replicas=4, podManagementPolicy="Parallel", updateStrategy=strategy)
    states = stateful_pods(*enumerate(pods))
    decided = plan(made, states, "new", "old", NOW, max_unavailable=True)
    assert [meta.name(p) for p in decided.delete] == deleted
    one = plan(made, states, "new", "old", NOW)
    assert len(one.delete) <= 1


@pytest.mark.parametrize(
    ("strategy", "status", "expected"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, {}, [True, True, False, False]),
        ({"type": "RollingUpdate"}, {"currentReplicas": 3}, [True, True, True, False]),
        ({"type": "RollingUpdate"}, {}, [False] * 4),
        ({"type": "OnDelete"}, {"currentReplicas": 3}, [False] * 4),
    ],
)
def test_of_which_revision_a_pod_is_made_anew(strategy: Object, status: Object, expected: list[bool]) -> None:
    made = workload("StatefulSet", replicas=4, updateStrategy=strategy, ordinals={"start": 3})
    made["status"] = status
    assert [made_of_current(made, number) for number in range(3, 7)] == expected


def test_a_pod_that_only_seems_to_serve_is_waited_for() -> None:
    pods = [pod("db-0", phase="Unknown")]
    assert plan(workload("StatefulSet", replicas=2), pods, "new", "new", NOW).create == []


# Claims

CLAIM: Object = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


def with_claims(replicas: int, when_deleted: str = "Retain", when_scaled: str = "Retain") -> Object:
    policy = {"whenDeleted": when_deleted, "whenScaled": when_scaled}
    return workload(
        "StatefulSet",
        replicas=replicas,
        volumeClaimTemplates=[CLAIM],
        persistentVolumeClaimRetentionPolicy=policy,
    )


def bound_pod(number: int) -> Object:
    """A pod of the set with the volume of its claim."""
    made = stateful_pods((number, "r"))[0]
    name = meta.name(made)
    made["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name
    made["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}"}}]
    return made


def owned_claim(number: int, *owners: tuple[str, str, str], controller: bool = True) -> Object:
    versions = {"StatefulSet": "apps/v1", "Pod": "v1"}
    references = [
        {"apiVersion": versions.get(kind, "x/v1"), "kind": kind, "name": name, "uid": uid}
        | ({"controller": True, "blockOwnerDeletion": True} if controller else {})
        for kind, name, uid in owners
    ]
    metadata = {"name": f"data-db-{number}", "namespace": "default", "ownerReferences": references}
    return {"metadata": metadata}


SET = ("StatefulSet", "db", "uid-db")
SCALED_AWAY = ("Pod", "db-1", "uid-db-1")
OTHER = ("Backup", "nightly", "uid-nightly")


@pytest.mark.parametrize(
    ("policy", "before", "kept", "condemned"),
    [
        pytest.param(("Retain", "Retain"), (), None, None, id="nobody's"),
        pytest.param(("Retain", "Retain"), (SET,), [], [], id="nobody's any more"),
        pytest.param(("Delete", "Retain"), (), [SET], [SET], id="the set's"),
        pytest.param(("Delete", "Retain"), (SET,), None, None, id="the set's already"),
        pytest.param(("Retain", "Delete"), (), None, [SCALED_AWAY], id="the pod's that is scaled away"),
        pytest.param(("Delete", "Delete"), (SET,), None, [SCALED_AWAY], id="handed from set to pod"),
        pytest.param(("Delete", "Delete"), (), [SET], [SCALED_AWAY], id="each its own"),
        pytest.param(("Delete", "Delete"), (OTHER,), None, None, id="another controller's"),
        pytest.param(("Delete", "Delete"), (OTHER, SET), [OTHER], [OTHER], id="ours beside another's"),
        pytest.param(
            ("Delete", "Delete"), (("StatefulSet", "db", "earlier"),), None, None, id="an earlier set's"
        ),
    ],
)
def test_who_owns_the_claims(
    policy: tuple[str, str],
    before: tuple[tuple[str, str, str], ...],
    kept: list[tuple[str, str, str]] | None,
    condemned: list[tuple[str, str, str]] | None,
) -> None:
    claims = {f"data-db-{number}": owned_claim(number, *before) for number in range(2)}
    decided = plan(with_claims(1, *policy), [bound_pod(0), bound_pod(1)], "new", "new", NOW, claims)
    changed = {meta.name(owned.pod): owned.claim for owned in decided.claims}
    for name, expected in (("db-0", kept), ("db-1", condemned)):
        found = changed.get(name)
        owners = (
            None
            if found is None
            else [(r["kind"], r["name"], r["uid"]) for r in found["metadata"]["ownerReferences"]]
        )
        assert owners == expected, name
    assert [meta.name(p) for p in decided.delete] == ["db-1"]


def test_owners_that_do_not_control_are_put_right() -> None:
    claims = {"data-db-0": owned_claim(0, SET, controller=False)}
    decided = plan(with_claims(1, "Delete"), [bound_pod(0)], "new", "new", NOW, claims)
    assert [owned.claim["metadata"]["ownerReferences"][0].get("controller") for owned in decided.claims] == [
        True
    ]


def test_no_pod_takes_the_claim_of_one_scaled_away() -> None:
    claims = {"data-db-1": owned_claim(1, ("Pod", "db-1", "gone"))}
    assert plan(with_claims(2, "Retain", "Delete"), [bound_pod(0)], "new", "new", NOW, claims).create == []
    assert plan(with_claims(2), [bound_pod(0)], "new", "new", NOW, claims).create == [1]


def make_ready(obj: Object) -> None:
    obj["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def told(api: FakeApi) -> list[str]:
    """The events as REASON: MESSAGE, in order."""
    return [f"{e['reason']}: {e['message']}" for e in api.all(EVENTS)]


def test_claims_go_with_the_pods_that_are_scaled_away() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(STATEFULSETS, with_claims(1, "Delete", "Delete"))
        async with running(api, [STATEFULSET]):
            await api.clock.advance(1)
            claim = api.table(PERSISTENTVOLUMECLAIMS)["default/data-db-0"]
            assert [r["uid"] for r in claim["metadata"]["ownerReferences"]] == ["uid-db"]
            api.change(PODS, "default/db-0", make_ready)
            uid = api.table(PODS)["default/db-0"]["metadata"]["uid"]
            api.change(STATEFULSETS, "default/db", lambda obj: obj["spec"].update(replicas=0))
            await api.clock.advance(1)
            claim = api.table(PERSISTENTVOLUMECLAIMS)["default/data-db-0"]
            assert [r["uid"] for r in claim["metadata"]["ownerReferences"]] == [uid]
            assert "default/db-0" not in api.table(PODS)
            # Asked for again before the garbage collector came: the pod waits for the claim to go.
            api.change(STATEFULSETS, "default/db", lambda obj: obj["spec"].update(replicas=1))
            await api.clock.advance(1)
            assert "default/db-0" not in api.table(PODS)
            api.remove(PERSISTENTVOLUMECLAIMS, "default/data-db-0")
            await api.clock.advance(1)
            assert "default/db-0" in api.table(PODS)

    asyncio.run(go())


def test_a_claim_that_is_going_is_waited_for() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(STATEFULSETS, with_claims(1))
        going = owned_claim(0)
        going["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}
        api.put(PERSISTENTVOLUMECLAIMS, going)
        async with running(api, [STATEFULSET]):
            await api.clock.advance(1)
            assert api.all(PODS) == []
            assert told(api) == [
                "FailedCreate: Create Pod db-0 in StatefulSet db failed error: pvc data-db-0 is being deleted"
            ]

    asyncio.run(go())


def test_events_in_upstreams_words() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(STATEFULSETS, with_claims(1))

        def refuse(verb: str, resource: Resource, _obj: Object) -> Exception | None:
            refused = verb == "create" and resource is PODS and len(api.writes) < 4
            return api_error(500) if refused else None

        api.fail = refuse
        async with running(api, [STATEFULSET]):
            await api.clock.advance(60)
            api.change(PODS, "default/db-0", make_ready)
            api.change(STATEFULSETS, "default/db", lambda obj: obj["spec"].update(replicas=0))
            await api.clock.advance(1)
        messages = told(api)
        assert [m for n, m in enumerate(messages) if m not in messages[:n]] == [
            "SuccessfulCreate: Create Claim data-db-0 Pod db-0 in StatefulSet db success",
            "FailedCreate: Create Pod db-0 in StatefulSet db failed error: made to fail",
            "SuccessfulCreate: Create Pod db-0 in StatefulSet db successful",
            "SuccessfulDelete: Delete Pod db-0 in StatefulSet db successful",
        ]

    asyncio.run(go())


# Adoption


def test_made_anew_after_its_pods_were_kept_it_takes_over_pods_and_history() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(STATEFULSETS, workload("StatefulSet", replicas=1))
        async with running(api, [STATEFULSET]):
            await api.clock.advance(1)
            api.change(PODS, "default/db-0", make_ready)
            revision = api.all(CONTROLLERREVISIONS)[0]
            assert meta.labels(revision)["controller.kubernetes.io/hash"] == meta.name(revision)[3:]
            kept = meta.uid(api.table(PODS)["default/db-0"])
            api.remove(STATEFULSETS, "default/db")
            for resource, key in ((PODS, "default/db-0"), (CONTROLLERREVISIONS, meta.key(revision))):
                api.change(resource, key, lambda obj: obj["metadata"].pop("ownerReferences"))
            await api.clock.advance(1)
            again = workload("StatefulSet", replicas=1)
            again["metadata"]["uid"] = "uid-again"
            api.put(STATEFULSETS, again)
            await api.clock.advance(1)
            assert meta.uid(api.table(PODS)["default/db-0"]) == kept
            assert [meta.name(r) for r in api.all(CONTROLLERREVISIONS)] == [meta.name(revision)]
            owners = api.all(CONTROLLERREVISIONS)[0]["metadata"]["ownerReferences"]
            assert [r["uid"] for r in owners] == ["uid-again"]
            assert not api.table(STATEFULSETS)["default/db"]["status"].get("collisionCount")

    asyncio.run(go())


def test_a_pod_gets_back_the_labels_of_its_name() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(STATEFULSETS, workload("StatefulSet", replicas=1))
        async with running(api, [STATEFULSET]):
            await api.clock.advance(1)
            api.change(PODS, "default/db-0", make_ready)
            label = "statefulset.kubernetes.io/pod-name"
            api.change(PODS, "default/db-0", lambda obj: obj["metadata"]["labels"].pop(label))
            await api.clock.advance(1)
            assert meta.labels(api.table(PODS)["default/db-0"])[label] == "db-0"
            assert told(api)[-1] == "SuccessfulUpdate: Update Pod db-0 in StatefulSet db successful"

    asyncio.run(go())


def test_a_revision_has_its_name_before_and_after_the_first_status() -> None:
    mine = workload("StatefulSet", replicas=1)
    before = plan_history(mine, []).update
    mine["status"] = {"collisionCount": 0}
    assert meta.name(plan_history(mine, []).update) == meta.name(before)
    mine["status"] = {"collisionCount": 1}
    assert meta.name(plan_history(mine, []).update) != meta.name(before)
