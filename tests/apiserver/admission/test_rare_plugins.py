"""The plugins that are off by default, a table for each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver import admission
from podium.apiserver.admission import Choice
from podium.apiserver.admission.always import AlwaysAdmit, AlwaysDeny
from podium.apiserver.admission.always_pull_images import AlwaysPullImages
from podium.apiserver.admission.cluster_trust_bundle_attest import ClusterTrustBundleAttest
from podium.apiserver.admission.deny_service_external_ips import DenyServiceExternalIPs
from podium.apiserver.admission.event_rate_limit import EventRateLimit
from podium.apiserver.admission.extended_resource_toleration import ExtendedResourceToleration
from podium.apiserver.admission.image_policy_webhook import ImagePolicyWebhook, duration_s
from podium.apiserver.admission.limit_pod_hard_anti_affinity_topology import LimitPodHardAntiAffinityTopology
from podium.apiserver.admission.namespace_exists import NamespaceExists
from podium.apiserver.admission.owner_references_permission_enforcement import (
    OwnerReferencesPermissionEnforcement,
)
from podium.apiserver.admission.pod_node_selector import PodNodeSelector
from podium.apiserver.admission.pod_toleration_restriction import PodTolerationRestriction, covers, merge
from podium.apiserver.chain import Attributes, Decision, RequestInfo, User
from podium.base.http.message import Headers, Request, Response
from podium.base.http.server import Server
from podium.machinery.errors import ApiError, NotFound, Object, TooManyRequests
from podium.machinery.meta import deep_copy
from podium.machinery.resource import Resource
from podium.resources.certificates.clustertrustbundles import CLUSTERTRUSTBUNDLES
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.events import EVENTS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES
from tests.apiserver.admission.helpers import admit, attributes_for, pod, why
from tests.apiserver.admission.webhooks.hooks import AllowAll
from tests.apiserver.fakes import FakeClock, FakeReader
from tests.apiserver.harness import api


def test_always() -> None:
    attributes = attributes_for(CONFIGMAPS, {"metadata": {"name": "a"}})
    assert admit(AlwaysAdmit(), attributes) is None
    error = admit(AlwaysDeny(), attributes)
    assert error is not None
    assert error.message == 'configmaps "a" is forbidden: admission control is denying all modifications'


# --- pods


def _pod(**spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a"}], **spec}}


def test_images_are_always_pulled() -> None:
    made = _pod(
        initContainers=[{"name": "i", "image": "b", "imagePullPolicy": "Never"}],
        volumes=[{"name": "v", "image": {"reference": "x"}}],
    )
    assert admit(AlwaysPullImages(), attributes_for(PODS, made)) is None
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert made["spec"]["initContainers"][0]["imagePullPolicy"] == "Always"
    assert made["spec"]["volumes"][0]["image"]["pullPolicy"] == "Always"
    # An update that brings no image is let alone.
    old, new = _pod(), _pod()
    assert admit(AlwaysPullImages(), attributes_for(PODS, new, old=old)) is None
    assert "imagePullPolicy" not in new["spec"]["containers"][0]


def test_what_is_not_pulled_is_refused() -> None:
    made = _pod()
    made["spec"]["containers"][0]["imagePullPolicy"] = "IfNotPresent"
    with pytest.raises(ApiError) as caught:
        asyncio.run(AlwaysPullImages().validate(attributes_for(PODS, made)))
    assert why(caught.value) == (
        'spec.containers[0].imagePullPolicy: Unsupported value: "IfNotPresent": supported values: "Always"'
    )


@pytest.mark.parametrize(("key", "fine"), [("kubernetes.io/hostname", True), ("zone", False)])
def test_anti_affinity_beyond_the_node(key: str, fine: bool) -> None:
    terms = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": key}]}
    made = _pod(affinity={"podAntiAffinity": terms})
    error = admit(LimitPodHardAntiAffinityTopology(), attributes_for(PODS, made))
    if fine:
        assert error is None
    else:
        assert why(error) == (
            "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key "
            "kubernetes.io/hostname is allowed"
        )


def test_pods_with_devices_tolerate_their_nodes() -> None:
    made = _pod(
        containers=[
            {"name": "c", "image": "a", "resources": {"requests": {"example.com/gpu": "1", "cpu": "1"}}}
        ],
        tolerations=[{"key": "other"}],
    )
    assert admit(ExtendedResourceToleration(), attributes_for(PODS, made)) is None
    assert made["spec"]["tolerations"] == [
        {"key": "other"},
        {"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ]


NODE_SELECTORS = {"clusterDefaultNodeSelector": "env=prod", "ns": "env=test,disk=ssd"}
ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"


@pytest.mark.parametrize(
    ("annotation", "given", "expected"),
    [
        pytest.param(None, {}, "whitelist", id="default-is-not-allowed-here"),
        pytest.param("env=test", {}, {"env": "test"}, id="annotation"),
        pytest.param("env=test", {"disk": "ssd"}, {"env": "test", "disk": "ssd"}, id="merged"),
        pytest.param("env=test", {"env": "prod"}, "conflicts", id="conflict"),
        pytest.param("env=test", {"rack": "1"}, "whitelist", id="not-allowed"),
        pytest.param("", {}, None, id="empty-annotation"),
        pytest.param("nonsense", {}, "invalid selector: [nonsense]", id="nonsense"),
    ],
)
def test_node_selectors_of_namespaces(annotation: str | None, given: Object, expected: Any) -> None:
    reader = FakeReader()
    annotations = {} if annotation is None else {ANNOTATION: annotation}
    reader.put(NAMESPACES, {"metadata": {"name": "ns", "annotations": annotations}})
    plugin = PodNodeSelector(reader, {"podNodeSelectorPluginConfig": NODE_SELECTORS})
    made = _pod(nodeSelector=dict(given)) if given else _pod()
    error = admit(plugin, attributes_for(PODS, made))
    if isinstance(expected, str):
        assert error is not None
        assert expected in error.message
    else:
        assert error is None
        assert made["spec"].get("nodeSelector") == expected


def test_tolerations_that_cover_others() -> None:
    everything = {"operator": "Exists"}
    noschedule = {"key": "a", "operator": "Exists", "effect": "NoSchedule"}
    equal = {"key": "a", "operator": "Equal", "value": "1", "effect": "NoSchedule"}
    for_a_while = {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
    shorter = {**for_a_while, "tolerationSeconds": 10}
    assert covers(everything, noschedule)
    assert covers(noschedule, equal)
    assert not covers(equal, noschedule)
    assert covers(for_a_while, shorter)
    assert not covers(shorter, for_a_while)
    assert merge([equal, noschedule], [equal]) == [noschedule]
    assert merge([equal], [everything, shorter]) == [everything]


DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
ALLOWED = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
DEDICATED = {"key": "dedicated", "operator": "Equal", "value": "x", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("annotations", "given", "expected"),
    [
        pytest.param({DEFAULTS: [DEDICATED], ALLOWED: []}, [], [DEDICATED], id="default"),
        pytest.param({DEFAULTS: []}, [], None, id="none-by-default"),
        pytest.param({}, [], [{"key": "of-the-cluster", "operator": "Exists"}], id="of-the-cluster"),
        pytest.param({DEFAULTS: [], ALLOWED: [DEDICATED]}, [DEDICATED], [DEDICATED], id="allowed"),
        pytest.param(
            {DEFAULTS: [], ALLOWED: [DEDICATED]}, [{"operator": "Exists"}], "namespace", id="not-allowed"
        ),
        pytest.param(
            {DEFAULTS: []}, [{"key": "z", "operator": "Exists"}], "cluster", id="not-in-the-cluster"
        ),
    ],
)
def test_tolerations_of_namespaces(annotations: Object, given: list[Object], expected: Any) -> None:
    reader = FakeReader()
    texts = {key: orjson.dumps(value).decode() for key, value in annotations.items()}
    reader.put(NAMESPACES, {"metadata": {"name": "ns", "annotations": texts}})
    cluster = {"key": "of-the-cluster", "operator": "Exists"}
    plugin = PodTolerationRestriction(reader, {"default": [cluster], "whitelist": [cluster]})
    made = _pod(tolerations=deep_copy(given)) if given else _pod()
    error = admit(plugin, attributes_for(PODS, made))
    if isinstance(expected, str):
        assert error is not None
        assert (error.code, error.reason) == (500, "")
        assert f"conflict with its {expected} whitelist" in error.message
    else:
        assert error is None
        assert made["spec"].get("tolerations") == expected


def test_pods_that_ask_for_something_tolerate_memory_pressure() -> None:
    reader = FakeReader()
    reader.put(NAMESPACES, {"metadata": {"name": "ns"}})
    made = _pod(containers=[{"name": "c", "image": "a", "resources": {"requests": {"cpu": "1"}}}])
    assert admit(PodTolerationRestriction(reader, {}), attributes_for(PODS, made)) is None
    assert [one["key"] for one in made["spec"]["tolerations"]] == ["node.kubernetes.io/memory-pressure"]


# --- services, namespaces


@pytest.mark.parametrize(
    ("new", "old", "fine"),
    [
        ([], None, True),
        (["192.0.2.1"], None, False),
        (["192.0.2.1"], ["192.0.2.1", "192.0.2.2"], True),
        (["192.0.2.3"], ["192.0.2.1"], False),
    ],
)
def test_external_addresses(new: list[str], old: list[str] | None, fine: bool) -> None:
    def service(addresses: list[str]) -> Object:
        return {"metadata": {"name": "s"}, "spec": {"externalIPs": addresses}}

    attributes = attributes_for(SERVICES, service(new), old=None if old is None else service(old))
    error = admit(DenyServiceExternalIPs(), attributes)
    assert (error is None) is fine
    if error is not None:
        assert why(error) == "Use of external IPs is denied by admission control"


def test_namespaces_exist() -> None:
    reader = FakeReader()
    attributes = attributes_for(CONFIGMAPS, {"metadata": {"name": "a"}})
    error = admit(NamespaceExists(reader), attributes)
    assert isinstance(error, NotFound)
    assert error.message == 'namespaces "ns" not found'
    reader.put(NAMESPACES, {"metadata": {"name": "ns"}})
    assert admit(NamespaceExists(reader), attributes) is None


def test_namespaces_come_when_they_are_needed(tmp_path: Path) -> None:
    async def test() -> None:
        def prepare(server: Any) -> None:
            choice = Choice(enabled=["NamespaceAutoProvision"])
            server.registry.admission = admission.build(server.reader, AllowAll(), choice=choice)

        async with api(tmp_path, prepare=prepare) as running:
            path = "/api/v1/namespaces/new/configmaps"
            status, _ = await running.call("POST", f"{path}?dryRun=All", {"metadata": {"name": "a"}})
            assert status == 404
            await running.ok("POST", path, {"metadata": {"name": "a"}})
            namespace = await running.ok("GET", "/api/v1/namespaces/new")
            assert namespace["status"]["phase"] == "Active"
            assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "new"}

    asyncio.run(test())


# --- who may


class Allowing:
    """Allows what it is told to: (verb, resource, name)."""

    def __init__(self, *allowed: tuple[str, str, str]) -> None:
        self.allowed = allowed

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        return Decision(allowed=(info.verb, resource, info.name) in self.allowed, reason="no")


@pytest.mark.parametrize(
    ("spec", "allowed", "fine"),
    [
        pytest.param({"trustBundle": "x"}, (), True, id="no-signer"),
        pytest.param({"signerName": "a.com/s"}, (), False, id="may-not"),
        pytest.param({"signerName": "a.com/s"}, (("attest", "signers", "a.com/s"),), True, id="may"),
        pytest.param({"signerName": "a.com/s"}, (("attest", "signers", "a.com/*"),), True, id="domain"),
    ],
)
def test_trust_bundles_of_signers(spec: Object, allowed: tuple[Any, ...], fine: bool) -> None:
    plugin = ClusterTrustBundleAttest(Allowing(*allowed))
    made = {"metadata": {"name": "b"}, "spec": spec}
    error = admit(plugin, attributes_for(CLUSTERTRUSTBUNDLES, made))
    assert (error is None) is fine
    if error is not None:
        assert why(error) == 'user not permitted to attest for signerName "a.com/s"'
    again = {"metadata": {"name": "b", "finalizers": ["f"]}, "spec": spec}
    assert admit(plugin, attributes_for(CLUSTERTRUSTBUNDLES, again, old=made)) is None, (
        "only for the garbage collector"
    )


class Serving:
    """A host that serves deployments."""

    metrics = None

    def find_kind(self, api_version: str, kind: str) -> Resource | None:
        if (api_version, kind) != ("apps/v1", "Deployment"):
            return None
        return Resource(
            group="apps", version="v1", kind=kind, plural="deployments", namespaced=True, schema="x"
        )


def _owned(*references: Object) -> Object:
    return {"metadata": {"name": "a", "ownerReferences": list(references)}}


OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u"}
BLOCKING = {**OWNER, "blockOwnerDeletion": True}
OWNERS = [
    pytest.param(_owned(OWNER), None, (), "", id="a-new-object-may-be-owned"),
    pytest.param(
        _owned(OWNER),
        _owned(),
        (),
        "cannot set an ownerRef on a resource you can't delete: no, <nil>",
        id="may-not-delete",
    ),
    pytest.param(_owned(OWNER), _owned(), (("delete", "configmaps", "a"),), "", id="may-delete"),
    pytest.param(
        _owned(BLOCKING),
        None,
        (),
        "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers "
        "on: no, <nil>",
        id="may-not-block",
    ),
    pytest.param(_owned(BLOCKING), None, (("update", "deployments/finalizers", "d"),), "", id="may-block"),
    pytest.param(_owned(BLOCKING), None, (("update", "*/finalizers", "*"),), "", id="may-block-anything"),
    pytest.param(
        _owned({**BLOCKING, "kind": "Ghost"}),
        None,
        (),
        "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion apps/v1 "
        'Kind Ghost: no matches for kind "Ghost" in version "apps/v1"',
        id="unknown-owner",
    ),
    pytest.param(_owned(BLOCKING), _owned(BLOCKING), (), "", id="nothing-new"),
]


@pytest.mark.parametrize(("new", "old", "allowed", "message"), OWNERS)
def test_owners(new: Object, old: Object | None, allowed: tuple[Any, ...], message: str) -> None:
    plugin = OwnerReferencesPermissionEnforcement(Allowing(*allowed))
    attributes = attributes_for(CONFIGMAPS, deep_copy(new), old=deep_copy(old))
    attributes.host = Serving()  # type: ignore[assignment]
    error = admit(plugin, attributes)
    assert (why(error) if error else "") == message


# --- events


def _event(namespace: str = "ns", who: str = "alice", source: str = "kubelet") -> Attributes:
    event = {"metadata": {"name": "e"}, "source": {"component": source}, "involvedObject": {"name": "p"}}
    return attributes_for(EVENTS, event, namespace=namespace, who=User(name=who))


@pytest.mark.parametrize(
    ("type_", "other", "message"),
    [
        ("Server", {"namespace": "other", "who": "bob"}, "limit reached on type Server for key "),
        ("Namespace", {"namespace": "other"}, "limit reached on type Namespace for key ns"),
        ("User", {"who": "bob"}, "limit reached on type User for key alice"),
        (
            "SourceAndObject",
            {"source": "scheduler"},
            "limit reached on type SourceAndObject for key kubelet",
        ),
    ],
)
def test_events_are_limited(type_: str, other: Object, message: str) -> None:
    clock = FakeClock()
    plugin = EventRateLimit(clock, {"limits": [{"type": type_, "qps": 1, "burst": 2}]})

    def made(**how: str) -> str:
        try:
            asyncio.run(plugin.validate(_event(**how)))
        except TooManyRequests as error:
            return error.message
        return ""

    assert [made(), made()] == ["", ""]
    assert made().startswith(message)
    assert bool(made(**other)) is (type_ == "Server"), "others have their own"
    clock.advance(1)
    assert made() == ""
    dry = _event()
    dry.dry_run = True
    asyncio.run(plugin.validate(dry))


# --- images


async def _review(directory: Path, answer: Any, *, default_allow: bool = False) -> tuple[list[Any], Any]:
    """Return what the webhook was asked about a pod's two creations, and how the second ended."""
    asked: list[Any] = []

    async def reply(request: Request) -> Response:
        asked.append(orjson.loads(await request.read_body()))
        if isinstance(answer, int):
            return Response(status=answer)
        body = orjson.dumps({**asked[-1], "status": answer})
        return Response(headers=Headers([("content-type", "application/json")]), body=body)

    server = Server(reply)
    await server.start("127.0.0.1", 0, None)
    path = directory / "kubeconfig"
    path.write_text(
        "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
        f"clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{server.port}/policy'}}}}]\n"
        "users: [{name: u, user: {}}]\n"
    )
    settings = {"kubeConfigFile": str(path), "defaultAllow": default_allow}
    plugin = ImagePolicyWebhook(FakeClock(), {"imagePolicy": settings})
    made = pod("p")
    made["metadata"]["annotations"] = {"a.image-policy.k8s.io/b": "1", "other": "2"}
    outcome: Any = None
    for _ in range(2):
        attributes = attributes_for(PODS, made)
        try:
            await plugin.validate(attributes)
            outcome = attributes.annotations
        except ApiError as error:
            outcome = error
    await server.stop()
    return asked, outcome


def test_images_are_reviewed_and_answers_kept(tmp_path: Path) -> None:
    status = {"allowed": True, "auditAnnotations": {"seen": "yes"}}
    asked, outcome = asyncio.run(_review(tmp_path, status))
    assert len(asked) == 1
    assert asked[0]["kind"] == "ImageReview"
    assert asked[0]["apiVersion"] == "imagepolicy.k8s.io/v1alpha1"
    assert asked[0]["spec"]["annotations"] == {"a.image-policy.k8s.io/b": "1"}
    assert asked[0]["spec"]["namespace"] == "ns"
    assert outcome == {"imagepolicywebhook.image-policy.k8s.io/seen": "yes"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"allowed": False, "reason": "old"},
            "image policy webhook backend denied one or more images: old",
        ),
        ({"allowed": False}, "one or more images rejected by webhook backend"),
        (404, "Error contacting webhook: 404"),
    ],
)
def test_images_are_refused(tmp_path: Path, answer: Any, message: str) -> None:
    _, outcome = asyncio.run(_review(tmp_path, answer))
    assert why(outcome) == message


def test_a_webhook_that_fails_may_not_matter(tmp_path: Path) -> None:
    asked, outcome = asyncio.run(_review(tmp_path, 503, default_allow=True))
    assert len(asked) == 10, "five times for each pod"
    assert outcome == {"imagepolicywebhook.image-policy.k8s.io/failed-open": "true"}


@pytest.mark.parametrize(("value", "seconds"), [(0, 300.0), (-1, 0.0), (30, 30.0)])
def test_durations(value: int, seconds: float) -> None:
    assert duration_s({"allowTTL": value}, "allowTTL") == seconds
    with pytest.raises(ValueError, match="valid value is between 1s and 1800s, got 5000s"):
        duration_s({"allowTTL": 5000}, "allowTTL")
