"""Claims of devices: made from templates, let go with the pods that used them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from podium.controllers.resourceclaim import FINALIZER, RESOURCECLAIM, base_name
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.pods import PODS
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.resources.resource.resourceclaimtemplates import RESOURCECLAIMTEMPLATES
from tests.controllers.builders import events, pod, running
from tests.runtime.fakes import FakeApi

KEY = "default/c"


def using(name: str = "p", *, node: str = "n1", phase: str = "Running", **claim: str) -> Object:
    made = pod(name, node=node, phase=phase)
    named = claim or {"resourceClaimName": "c"}
    made["spec"] = {**made["spec"], "resourceClaims": [{"name": "gpu", **named}]}
    return made


def user(name: str = "p") -> Object:
    return {"resource": "pods", "name": name, "uid": f"uid-{name}"}


def claim(*users: Object, finalizers: tuple[str, ...] = (FINALIZER,), **metadata: Any) -> Object:
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": "c", "uid": "uid-c", "finalizers": list(finalizers), **metadata},
        "spec": {},
        "status": {"allocation": {"devices": {}}, "reservedFor": list(users)},
    }


def tried(steps: Callable[[FakeApi], Coroutine[Any, Any, None]], *objects: tuple[Any, Object]) -> None:
    """Run the controller with these objects, and the steps."""

    async def go() -> None:
        api = FakeApi()
        for resource, obj in objects:
            api.put(resource, obj)
        async with running(api, [RESOURCECLAIM]):
            await api.clock.advance(1)
            await steps(api)

    asyncio.run(go())


def test_a_template_gives_a_claim() -> None:
    template = {
        "metadata": {"name": "t"},
        "spec": {"metadata": {"labels": {"a": "b"}}, "spec": {"devices": {"requests": []}}},
    }

    async def steps(api: FakeApi) -> None:
        assert events(api)[0] == (
            "FailedResourceClaimCreation",
            'PodResourceClaim gpu: resource claim template "t": '
            'resourceclaimtemplate.resource.k8s.io "t" not found',
        )
        api.put(RESOURCECLAIMTEMPLATES, template)
        await api.clock.advance(1)
        (made,) = api.all(RESOURCECLAIMS)
        assert made["metadata"]["name"].startswith("p-gpu-")
        assert made["metadata"]["labels"] == {"a": "b"}
        assert meta.annotations(made) == {"resource.kubernetes.io/pod-claim-name": "gpu"}
        assert api.table(PODS)["default/p"]["status"]["resourceClaimStatuses"] == [
            {"name": "gpu", "resourceClaimName": meta.name(made)}
        ]

    tried(steps, (PODS, using(resourceClaimTemplateName="t")))


@pytest.mark.parametrize(
    ("pod_name", "name", "expected"),
    [
        ("p", "gpu", "p-gpu-"),
        ("p" * 60, "c" * 60, "p" * 28 + "-" + "c" * 28),
    ],
)
def test_names_keep_something_of_both(pod_name: str, name: str, expected: str) -> None:
    assert base_name(pod_name, name) == expected


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(using(phase="Succeeded"), id="it has ended"),
        pytest.param(None, id="it is gone"),
    ],
)
def test_what_nobody_uses_gives_its_devices_back(last: Object | None) -> None:
    async def steps(api: FakeApi) -> None:
        assert "allocation" in api.table(RESOURCECLAIMS)[KEY]["status"]
        if last is None:
            api.remove(PODS, "default/p")
        else:
            api.put(PODS, last)
        await api.clock.advance(1)
        freed = api.table(RESOURCECLAIMS)[KEY]
        assert freed["status"] == {}
        assert not meta.finalizers(freed)

    tried(steps, (PODS, using()), (RESOURCECLAIMS, claim(user())))


def test_one_of_two_users_goes() -> None:
    async def steps(api: FakeApi) -> None:
        api.remove(PODS, "default/q")
        await api.clock.advance(1)
        kept = api.table(RESOURCECLAIMS)[KEY]
        assert kept["status"] == {"allocation": {"devices": {}}, "reservedFor": [user()]}
        assert meta.finalizers(kept) == [FINALIZER]

    tried(steps, (PODS, using()), (PODS, using("q")), (RESOURCECLAIMS, claim(user(), user("q"))))


def test_allocations_of_others_and_users_of_other_kinds_stay() -> None:
    other = {"apiGroup": "x.dev", "resource": "robots", "name": "r", "uid": "u"}

    async def steps(api: FakeApi) -> None:
        assert api.table(RESOURCECLAIMS)[KEY]["status"]["reservedFor"] == [other]
        assert "allocation" in api.table(RESOURCECLAIMS)["default/d"]["status"]

    foreign = claim(user("nobody"), finalizers=())
    foreign["metadata"]["name"] = "d"
    tried(steps, (RESOURCECLAIMS, claim(other, user("nobody"))), (RESOURCECLAIMS, foreign))


def test_a_pod_that_is_not_in_the_cache_yet_keeps_its_claim() -> None:
    async def steps(api: FakeApi) -> None:
        api.hold(PODS)
        api.put(PODS, using("new"))
        api.put(RESOURCECLAIMS, claim(user("new")))
        await api.clock.advance(1)
        assert api.table(RESOURCECLAIMS)[KEY]["status"]["reservedFor"] == [user("new")]

    tried(steps)


def test_an_unused_claim_may_be_deleted() -> None:
    async def steps(api: FakeApi) -> None:
        assert KEY not in api.table(RESOURCECLAIMS)

    going = claim(deletionTimestamp="2026-01-01T00:00:00Z")
    tried(steps, (RESOURCECLAIMS, going))


def test_a_pod_bound_past_the_scheduler_reserves_its_claim() -> None:
    async def steps(api: FakeApi) -> None:
        assert api.table(RESOURCECLAIMS)[KEY]["status"]["reservedFor"] == [user()]

    tried(steps, (PODS, using()), (RESOURCECLAIMS, claim()))


def test_a_claim_made_for_a_pod_goes_when_it_has_ended() -> None:
    owner = meta.owner_reference(using())

    async def steps(api: FakeApi) -> None:
        assert KEY in api.table(RESOURCECLAIMS)
        api.put(PODS, using(phase="Failed"))
        await api.clock.advance(1)
        assert KEY not in api.table(RESOURCECLAIMS)

    tried(steps, (PODS, using()), (RESOURCECLAIMS, claim(user(), ownerReferences=[owner])))
