"""What comes with a namespace, and what goes with it."""

from __future__ import annotations

import asyncio
import base64

from podium.base import pki
from podium.controllers import root_ca
from podium.controllers.namespace import NAMESPACE
from podium.controllers.root_ca import root_ca_publisher
from podium.controllers.serviceaccount import SERVICEACCOUNT
from podium.controllers.serviceaccount_token import serviceaccount_token
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pods import PODS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from tests.controllers.builders import pod, running
from tests.runtime.fakes import FakeApi, api_error

SERVED = (PODS, CONFIGMAPS, SECRETS)


def namespace(name: str = "ns") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def going(obj: Object) -> None:
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    obj["metadata"].setdefault("deletionGracePeriodSeconds", 1)


def conditions(api: FakeApi) -> dict[str, tuple[str, str]]:
    status = api.table(NAMESPACES)["ns"]["status"]
    return {c["type"]: (c["status"], c["message"]) for c in status.get("conditions", [])}


def test_everything_goes_pods_first_and_what_stays_is_told() -> None:
    async def go() -> None:
        api = FakeApi()
        api.served = SERVED
        api.put(NAMESPACES, namespace())
        api.put(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "ns"}})
        api.put(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "other"}})
        api.put(SECRETS, {"metadata": {"name": "s", "namespace": "ns", "finalizers": ["example.com/hold"]}})
        running_pod = pod("p")
        running_pod["metadata"]["namespace"] = "ns"
        api.put(PODS, running_pod)
        async with running(api, [NAMESPACE]):
            await api.clock.advance(1)
            api.change(NAMESPACES, "ns", going)
            await api.clock.advance(1)
            assert api.table(NAMESPACES)["ns"]["status"]["phase"] == "Terminating"
            assert meta.deleting(api.table(PODS)["ns/p"])
            assert "ns/c" in api.table(CONFIGMAPS)
            assert conditions(api)["NamespaceContentRemaining"] == (
                "True",
                "Some resources are remaining: pods. has 1 resource instances",
            )
            api.remove(PODS, "ns/p")
            await api.clock.advance(0.1)
            assert sorted(api.table(CONFIGMAPS)) == ["other/c"]
            assert conditions(api)["NamespaceFinalizersRemaining"] == (
                "True",
                "Some content in the namespace has finalizers remaining: "
                "example.com/hold in 1 resource instances",
            )
            api.remove(SECRETS, "ns/s")
            await api.clock.advance(16)
            assert "ns" not in api.table(NAMESPACES)

    asyncio.run(go())


def test_a_namespace_that_cannot_be_discovered_stays() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NAMESPACES, namespace())
        api.served = SERVED
        api.put(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "ns", "finalizers": ["x"]}})
        async with running(api, [NAMESPACE]):
            api.change(NAMESPACES, "ns", going)
            await api.clock.advance(60)
            assert "ns" in api.table(NAMESPACES)
            quiet = len(api.writes)
            await api.clock.advance(60)
            assert len(api.writes) - quiet < 20, "it looks more and more seldom"

    asyncio.run(go())


def test_nothing_else_goes_before_pods_that_could_not_be_deleted() -> None:
    async def go() -> None:
        api = FakeApi()
        api.served = SERVED
        api.put(NAMESPACES, namespace())
        api.put(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "ns"}})
        api.put(PODS, pod("p", namespace="ns"))

        def late(verb: str, resource: Resource, obj: Object) -> Exception | None:
            return api_error(504) if resource.plural == PODS.plural else None

        api.fail = late
        async with running(api, [NAMESPACE]):
            await api.clock.advance(1)
            api.change(NAMESPACES, "ns", going)
            await api.clock.advance(1)
            assert "ns/c" in api.table(CONFIGMAPS)
            assert conditions(api)["NamespaceDeletionContentFailure"][0] == "True"
            api.fail = lambda verb, resource, obj: None
            await api.clock.advance(1)
            assert meta.deleting(api.table(PODS)["ns/p"])
            assert "ns/c" in api.table(CONFIGMAPS)

    asyncio.run(go())


def test_a_namespace_waits_for_what_nobody_knows_of() -> None:
    """A server that is away may have objects in it."""

    async def go() -> None:
        api = FakeApi()
        api.put(NAMESPACES, namespace())
        api.served = SERVED
        api.stale = [("wardle.example.com", "v1")]
        api.put(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "ns"}})
        async with running(api, [NAMESPACE]):
            api.change(NAMESPACES, "ns", going)
            await api.clock.advance(5)
            assert api.table(CONFIGMAPS) == {}
            assert conditions(api)["NamespaceDeletionDiscoveryFailure"] == (
                "True",
                "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server "
                "APIs: wardle.example.com/v1: stale GroupVersion discovery: wardle.example.com/v1",
            )
            api.stale = ()
            await api.clock.advance(20)
            assert "ns" not in api.table(NAMESPACES)

    asyncio.run(go())


def test_pods_that_take_too_long_are_told_of() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NAMESPACES, namespace())
        api.served = SERVED
        slow = pod("p")
        slow["metadata"]["namespace"] = "ns"
        slow["spec"]["terminationGracePeriodSeconds"] = 30
        api.put(PODS, slow)
        async with running(api, [NAMESPACE]):
            api.change(NAMESPACES, "ns", going)
            await api.clock.advance(20)
            assert conditions(api)["NamespaceDeletionContentFailure"][0] == "False"
            await api.clock.advance(30)
            assert conditions(api)["NamespaceDeletionContentFailure"] == (
                "True",
                "Failed to delete all resource types, 1 remaining: unexpected items still remain in "
                "namespace: ns for gvr: /v1, Resource=pods",
            )

    asyncio.run(go())


def test_a_namespace_that_somebody_else_holds_says_that_it_is_empty() -> None:
    async def go() -> None:
        api = FakeApi()
        held = namespace()
        held["spec"]["finalizers"] += ["example.com/other"]
        api.put(NAMESPACES, held)
        api.served = SERVED
        async with running(api, [NAMESPACE]):
            api.change(NAMESPACES, "ns", going)
            await api.clock.advance(5)
            assert api.table(NAMESPACES)["ns"]["spec"]["finalizers"] == ["example.com/other"]
            assert conditions(api)["NamespaceContentRemaining"] == (
                "False",
                "All content successfully removed",
            )

    asyncio.run(go())


def test_account_and_ca_come_and_come_back() -> None:
    async def go() -> None:
        api = FakeApi()
        async with running(api, [SERVICEACCOUNT, root_ca_publisher("PEM")]):
            api.put(NAMESPACES, namespace())
            await api.clock.advance(1)
            assert "ns/default" in api.table(SERVICEACCOUNTS)
            assert api.table(CONFIGMAPS)["ns/kube-root-ca.crt"]["data"] == {"ca.crt": "PEM"}
            api.remove(SERVICEACCOUNTS, "ns/default")
            api.change(CONFIGMAPS, "ns/kube-root-ca.crt", lambda o: o.update(data={"ca.crt": "x", "y": "z"}))
            await api.clock.advance(1)
            assert "ns/default" in api.table(SERVICEACCOUNTS)
            assert api.table(CONFIGMAPS)["ns/kube-root-ca.crt"]["data"] == {"ca.crt": "PEM"}
            api.remove(CONFIGMAPS, "ns/kube-root-ca.crt")
            await api.clock.advance(1)
            assert "ns/kube-root-ca.crt" in api.table(CONFIGMAPS)

    asyncio.run(go())


def test_a_right_bundle_is_left_alone() -> None:
    made = root_ca.plan(None, "ns", "PEM")
    assert root_ca.plan(made, "ns", "PEM") is None


def test_token_secrets_are_filled_in_and_go_with_their_account() -> None:
    async def go() -> None:
        api = FakeApi()
        key = pki.create_signing_key().decode()
        api.put(
            SERVICEACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
        )
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        }
        api.put(SECRETS, secret)
        async with running(api, [serviceaccount_token(key, "PEM")]):
            await api.clock.advance(1)
            data = api.table(SECRETS)["default/t"]["data"]
            assert base64.b64decode(data["ca.crt"]) == b"PEM"
            assert base64.b64decode(data["namespace"]) == b"default"
            assert base64.b64decode(data["token"]).count(b".") == 2
            api.remove(SERVICEACCOUNTS, "default/robot")
            await api.clock.advance(1)
            assert "default/t" not in api.table(SECRETS)

    asyncio.run(go())


def test_an_account_names_no_secret_that_is_gone() -> None:
    async def go() -> None:
        api = FakeApi()
        account = {"metadata": {"name": "robot"}, "secrets": [{"name": "t"}, {"name": "other"}]}
        api.put(SERVICEACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", **account})
        api.put(
            SECRETS,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/service-account-token",
                "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "robot"}},
            },
        )
        async with running(api, [serviceaccount_token(pki.create_signing_key().decode(), "")]):
            await api.clock.advance(1)
            data = api.table(SECRETS)["default/t"]["data"]
            assert sorted(data) == ["namespace", "token"], "the namespace is said without a CA as well"
            api.remove(SECRETS, "default/t")
            await api.clock.advance(1)
            assert api.table(SERVICEACCOUNTS)["default/robot"]["secrets"] == [{"name": "other"}]

    asyncio.run(go())
