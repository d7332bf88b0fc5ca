"""LimitRanger and ResourceQuota."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from podium.apiserver.admission.limit_ranger import LimitRanger
from podium.apiserver.admission.resource_quota import RESERVED_S, ResourceQuota
from podium.machinery.amounts import pod_amounts
from podium.machinery.errors import Object
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.core.limitranges import LIMITRANGES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from podium.resources.core.quota_usage import usage_of
from podium.resources.core.resourcequotas import RESOURCEQUOTAS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.services import SERVICES
from podium.resources.legacy.apps import deployments as old_deployments
from tests.apiserver.admission.helpers import admit, attributes_for, pod, why
from tests.apiserver.fakes import FakeClock, FakeReader


def ranger(*limits: Object) -> LimitRanger:
    reader = FakeReader()
    metadata = {"name": "lr", "namespace": "ns"}
    reader.put(LIMITRANGES, {"metadata": metadata, "spec": {"limits": list(limits)}})
    return LimitRanger(reader)


def container(name: str = "c", requests: Object | None = None, limits: Object | None = None) -> Object:
    resources = {k: v for k, v in (("requests", requests), ("limits", limits)) if v is not None}
    return {"name": name, "image": "i", "resources": resources}


def test_defaults_are_filled_in_and_told() -> None:
    defaults = {
        "type": "Container",
        "default": {"cpu": "500m", "memory": "64Mi"},
        "defaultRequest": {"cpu": "100m", "memory": "64Mi"},
    }
    written = pod(
        containers=[container("c"), container("d", {"cpu": "1"}, {"cpu": "1"})],
        initContainers=[container("i")],
    )
    assert admit(ranger(defaults), attributes_for(PODS, written)) is None
    first, second = written["spec"]["containers"]
    assert first["resources"] == {
        "requests": {"cpu": "100m", "memory": "64Mi"},
        "limits": {"cpu": "500m", "memory": "64Mi"},
    }
    assert second["resources"] == {
        "requests": {"cpu": "1", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "64Mi"},
    }
    assert written["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c; "
        "memory request for container d; memory limit for container d; "
        "cpu, memory request for init container i; cpu, memory limit for init container i"
    )


CONTAINER = {
    "type": "Container",
    "min": {"cpu": "100m"},
    "max": {"cpu": "1"},
    "maxLimitRequestRatio": {"cpu": "2"},
}
POD = {"type": "Pod", "max": {"cpu": "1500m"}}


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        ([container("c", {"cpu": "500m"}, {"cpu": "1"})], ""),
        (
            [container("c", {"cpu": "10m"}, {"cpu": "2"})],
            "[minimum cpu usage per Container is 100m, but request is 10m, maximum cpu usage per Container "
            "is 1, but limit is 2, cpu max limit to request ratio per Container is 2, but provided ratio is "
            "200.000000, maximum cpu usage per Pod is 1500m, but limit is 2]",
        ),
        (
            [container("c", {"cpu": "1"}, {"cpu": "1"}), container("d", {"cpu": "1"}, {"cpu": "1"})],
            "maximum cpu usage per Pod is 1500m, but limit is 2",
        ),
        (
            [container("c")],
            "[minimum cpu usage per Container is 100m.  No request is specified, maximum cpu usage per "
            "Container is 1.  No limit is specified, cpu max limit to request ratio per Container is 2, but "
            "no request is specified or request is 0, maximum cpu usage per Pod is 1500m.  "
            "No limit is specified]",
        ),
    ],
    ids=["within", "beyond", "the sum", "unsaid"],
)
def test_limits(containers: list[Object], message: str) -> None:
    written = pod(containers=containers)
    assert why(admit(ranger(CONTAINER, POD), attributes_for(PODS, written))) == message


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("1Gi", ""),
        ("5Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 5Gi"),
        ("1Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"),
    ],
)
def test_claim_sizes(size: str, message: str) -> None:
    limit = {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}
    claim = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": size}}}}
    assert why(admit(ranger(limit), attributes_for(PERSISTENTVOLUMECLAIMS, claim))) == message


def test_an_init_container_counts_when_it_is_larger() -> None:
    written = pod(
        containers=[container("c", {"cpu": "1"}, {"cpu": "1"})],
        initContainers=[container("i", {"cpu": "2"}, {"cpu": "2"})],
    )
    assert why(admit(ranger(POD), attributes_for(PODS, written))) == (
        "maximum cpu usage per Pod is 1500m, but limit is 2"
    )


def sidecar(name: str, cpu: str) -> Object:
    return {**container(name, {"cpu": cpu}), "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container("a", {"cpu": "1"}), container("b", {"cpu": "500m"})]}, "1500m"),
        ({"containers": [container("a", {"cpu": "1"})], "initContainers": [sidecar("s", "1")]}, "2"),
        (
            {
                "containers": [container("a", {"cpu": "1"})],
                "initContainers": [sidecar("s", "1"), container("i", {"cpu": "3"}), sidecar("t", "1")],
            },
            "4",
        ),
        ({"containers": [container("a", {"cpu": "1"})], "overhead": {"cpu": "250m"}}, "1250m"),
        (
            {"containers": [container("a", {"cpu": "1"})], "resources": {"requests": {"cpu": "2"}}},
            "2",
        ),
        ({"containers": [container("a")]}, "None"),
    ],
    ids=str,
)
def test_what_a_pod_asks_for(spec: Object, cpu: str) -> None:
    assert str(pod_amounts(spec, "requests").get("cpu")) == cpu


def test_a_resize_stays_within_the_limits() -> None:
    limits = ranger({"type": "Container", "max": {"cpu": "1"}, "default": {"memory": "1Gi"}})
    old = pod(containers=[container("c", {"cpu": "1"}, {"cpu": "1", "memory": "2Gi"})])
    new = pod(containers=[container("c", {"cpu": "1"}, {"cpu": "2", "memory": "2Gi"})])
    resize = attributes_for(PODS, new, old=old, subresource="resize")
    assert why(admit(limits, resize)) == "maximum cpu usage per Container is 1, but limit is 2"
    assert admit(limits, attributes_for(PODS, new, old=old)) is None, "an update leaves the amounts alone"
    old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert admit(limits, resize) is None, "it is going"


def test_what_the_sandbox_costs_is_not_limited() -> None:
    written = pod(containers=[container("c", {"cpu": "1"}, {"cpu": "1"})], overhead={"cpu": "1"})
    limits = ranger({"type": "Pod", "max": {"cpu": "1"}})
    assert admit(limits, attributes_for(PODS, written)) is None


# --- quota


class Quotas:
    def __init__(self, hard: Object, **spec: object) -> None:
        self.reader = FakeReader()
        self.clock = FakeClock()
        metadata = {"name": "q", "namespace": "ns"}
        quota = {"metadata": metadata, "spec": {"hard": hard, **spec}, "status": {"hard": hard}}
        self.reader.put(RESOURCEQUOTAS, quota)
        self.plugin = ResourceQuota(self.reader, clock=self.clock)


def secret(name: str) -> Object:
    return {"metadata": {"name": name, "namespace": "ns"}}


def test_counts() -> None:
    quotas = Quotas({"count/secrets": "2"})
    for name in ("a", "b"):
        assert admit(quotas.plugin, attributes_for(SECRETS, secret(name))) is None
        quotas.reader.put(SECRETS, secret(name))
    third = attributes_for(SECRETS, secret("third"))
    assert why(admit(quotas.plugin, third)) == (
        "exceeded quota: q, requested: count/secrets=1, used: count/secrets=2, limited: count/secrets=2"
    )
    quotas.reader.cached(SECRETS).remove("ns", "a")
    assert admit(quotas.plugin, third) is None
    update = attributes_for(SECRETS, secret("b"), old=secret("b"))
    assert admit(quotas.plugin, update) is None, "what does not grow is not asked"


def test_old_versions_count_as_the_current_one() -> None:
    quotas = Quotas({"count/deployments.apps": "1"})
    deployment = {"metadata": {"name": "a", "namespace": "ns"}}
    quotas.reader.put(DEPLOYMENTS, deployment)
    other = {"metadata": {"name": "b", "namespace": "ns"}}
    assert why(admit(quotas.plugin, attributes_for(old_deployments.EXTENSIONS, other))).startswith(
        "exceeded quota: q, requested: count/deployments.apps=1"
    )


def test_what_is_in_flight_counts() -> None:
    quotas = Quotas({"secrets": "1"})
    asyncio.run(quotas.plugin.validate(attributes_for(SECRETS, secret("a"))))
    assert admit(quotas.plugin, attributes_for(SECRETS, secret("b"))) is not None
    quotas.clock.advance(RESERVED_S)
    assert admit(quotas.plugin, attributes_for(SECRETS, secret("b"))) is None, "the write of a has failed"


def test_of_two_who_want_one_name_the_larger_counts() -> None:
    quotas = Quotas({"requests.storage": "10Gi"})

    def claim(name: str, size: str) -> Object:
        spec = {"resources": {"requests": {"storage": size}}}
        return {"metadata": {"name": name, "namespace": "ns"}, "spec": spec}

    for size in ("8Gi", "1Gi"):
        asyncio.run(quotas.plugin.validate(attributes_for(PERSISTENTVOLUMECLAIMS, claim("a", size))))
    assert admit(quotas.plugin, attributes_for(PERSISTENTVOLUMECLAIMS, claim("b", "5Gi"))) is not None
    assert admit(quotas.plugin, attributes_for(PERSISTENTVOLUMECLAIMS, claim("b", "2Gi"))) is None


def test_a_dry_run_reserves_nothing() -> None:
    quotas = Quotas({"secrets": "1"})
    dry = attributes_for(SECRETS, secret("a"))
    dry.dry_run = True
    assert admit(quotas.plugin, dry) is None
    assert admit(quotas.plugin, attributes_for(SECRETS, secret("b"))) is None


def test_a_quota_without_status_restrains_nothing() -> None:
    quotas = Quotas({"secrets": "0"})
    bare = {"metadata": {"name": "q", "namespace": "ns"}, "spec": {"hard": {"secrets": "0"}}}
    quotas.reader.put(RESOURCEQUOTAS, bare)
    assert admit(quotas.plugin, attributes_for(SECRETS, secret("a"))) is None


def test_pods_must_say_what_they_use() -> None:
    quotas = Quotas({"requests.cpu": "1", "limits.memory": "1Gi", "pods": "5"})
    written = pod(containers=[container("a"), container("b", {"cpu": "1"})])
    assert why(admit(quotas.plugin, attributes_for(PODS, written))) == (
        "failed quota: q: must specify limits.memory for: a,b; requests.cpu for: a"
    )


def test_a_namespace_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is counted when a quota is first asked about, and then by what changes."""
    quotas = Quotas({"secrets": "100"})
    view = quotas.reader.cached(SECRETS)
    for number in range(98):
        quotas.reader.put(SECRETS, secret(f"s{number}"))
    listed: list[str | None] = []
    whole = view.list

    def counting(namespace: str | None = None) -> Iterable[Object]:
        listed.append(namespace)
        return whole(namespace)

    monkeypatch.setattr(view, "list", counting)
    for name in ("a", "b"):
        assert admit(quotas.plugin, attributes_for(SECRETS, secret(name))) is None
        quotas.reader.put(SECRETS, secret(name))
    assert why(admit(quotas.plugin, attributes_for(SECRETS, secret("c")))).endswith("limited: secrets=100")
    view.remove("ns", "a")
    assert admit(quotas.plugin, attributes_for(SECRETS, secret("c"))) is None
    assert listed == ["ns"]


def test_counts_follow_what_an_object_becomes() -> None:
    quotas = Quotas({"requests.cpu": "1", "pods": "2"})
    half = pod("half", containers=[container("c", {"cpu": "500m"})])
    more = attributes_for(PODS, pod("more", containers=[container("c", {"cpu": "600m"})]))
    quotas.reader.put(PODS, half)
    assert why(admit(quotas.plugin, more)).startswith("exceeded quota: q, requested: requests.cpu=600m")
    quotas.reader.put(PODS, pod("half", containers=[container("c", {"cpu": "400m"})]))
    assert admit(quotas.plugin, more) is None, "it was made smaller"
    quotas.clock.advance(RESERVED_S)
    quotas.reader.put(PODS, half)
    assert admit(quotas.plugin, more) is not None
    quotas.reader.put(PODS, {**half, "status": {"phase": "Failed"}})
    assert admit(quotas.plugin, more) is None, "it has ended"


def test_compute() -> None:
    quotas = Quotas({"requests.cpu": "1", "cpu": "1"})
    running = pod("running", containers=[container("c", {"cpu": "600m"})])
    finished = pod("finished", containers=[container("c", {"cpu": "900m"})])
    quotas.reader.put(PODS, running, {**finished, "status": {"phase": "Succeeded"}})
    more = pod("more", containers=[container("c", {"cpu": "500m"})])
    assert why(admit(quotas.plugin, attributes_for(PODS, more))) == (
        "exceeded quota: q, requested: cpu=500m,requests.cpu=500m, used: cpu=600m,requests.cpu=600m, "
        "limited: cpu=1,requests.cpu=1"
    )
    less = pod("less", containers=[container("c", {"cpu": "400m"})])
    assert admit(quotas.plugin, attributes_for(PODS, less)) is None


@pytest.mark.parametrize(
    ("spec", "written", "counted"),
    [
        ({"scopes": ["Terminating"]}, pod(activeDeadlineSeconds=5), True),
        ({"scopes": ["Terminating"]}, pod(), False),
        ({"scopes": ["NotTerminating"]}, pod(), True),
        ({"scopes": ["BestEffort"]}, pod(), True),
        ({"scopes": ["NotBestEffort"]}, pod(), False),
        ({"scopes": ["NotBestEffort"]}, pod(containers=[container("c", {"cpu": "1"})]), True),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
                }
            },
            pod(priorityClassName="high"),
            True,
        ),
        (
            {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}},
            pod(),
            False,
        ),
    ],
    ids=str,
)
def test_scopes(spec: Object, written: Object, counted: bool) -> None:
    quotas = Quotas({"pods": "0"}, **spec)
    assert (admit(quotas.plugin, attributes_for(PODS, written)) is not None) is counted


def test_services_and_claims() -> None:
    quotas = Quotas({"services.nodeports": "1", "requests.storage": "1Gi"})
    service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}}
    assert "services.nodeports=2" in why(admit(quotas.plugin, attributes_for(SERVICES, service)))
    claim = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    assert "requested: requests.storage=2Gi, used: requests.storage=0" in why(
        admit(quotas.plugin, attributes_for(PERSISTENTVOLUMECLAIMS, claim))
    )


TERMINATING: Object = {"scopes": ["Terminating"]}


def test_a_resize_uses_more() -> None:
    quotas = Quotas({"requests.cpu": "1"})
    old = pod(containers=[container("c", {"cpu": "500m"})])
    quotas.reader.put(PODS, old)
    new = pod(containers=[container("c", {"cpu": "1100m"})])
    resize = attributes_for(PODS, new, old=old, subresource="resize")
    assert why(admit(quotas.plugin, resize)) == (
        "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=500m, limited: requests.cpu=1"
    )
    assert admit(quotas.plugin, attributes_for(PODS, new, old=old, subresource="status")) is None


def test_what_is_allocated_counts_while_a_pod_shrinks() -> None:
    quotas = Quotas({"requests.cpu": "1"})
    shrinking = pod(containers=[container("c", {"cpu": "100m"})])
    status = {"name": "c", "resources": {"requests": {"cpu": "900m"}}, "allocatedResources": {"cpu": "800m"}}
    quotas.reader.put(PODS, {**shrinking, "status": {"containerStatuses": [status]}})
    more = attributes_for(PODS, pod("more", containers=[container("c", {"cpu": "200m"})]))
    assert "used: requests.cpu=900m" in why(admit(quotas.plugin, more))


def test_a_pod_that_enters_a_scope_counts_there_whole() -> None:
    quotas = Quotas({"pods": "0"}, **TERMINATING)
    old = pod()
    quotas.reader.put(PODS, old)
    entering = attributes_for(PODS, pod(activeDeadlineSeconds=5), old=old)
    assert why(admit(quotas.plugin, entering)) == (
        "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0"
    )


def test_a_claim_that_changes_its_class_counts_there_whole() -> None:
    gold = {"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}
    quotas = Quotas({"persistentvolumeclaims": "0"}, scopeSelector={"matchExpressions": [gold]})
    old = {"metadata": {"name": "c", "namespace": "ns"}, "spec": {}}
    new = {**old, "spec": {"volumeAttributesClassName": "gold"}}
    assert why(admit(quotas.plugin, attributes_for(PERSISTENTVOLUMECLAIMS, new, old=old))).startswith(
        "exceeded quota: q, requested: persistentvolumeclaims=1"
    )


def test_what_is_in_flight_counts_for_the_quotas_of_its_scope() -> None:
    quotas = Quotas({"pods": "1"}, **TERMINATING)
    asyncio.run(quotas.plugin.validate(attributes_for(PODS, pod("long"))))
    ending = attributes_for(PODS, pod("ending", activeDeadlineSeconds=5))
    assert admit(quotas.plugin, ending) is None, "the other one is in no scope of it"
    another = attributes_for(PODS, pod("another", activeDeadlineSeconds=5))
    assert admit(quotas.plugin, another) is not None


def test_a_pod_that_should_be_gone_is_not_counted() -> None:
    quotas = Quotas({"pods": "1", "count/pods": "2"})
    late = pod("late")
    late["metadata"] |= {"deletionTimestamp": "2020-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0}
    quotas.reader.put(PODS, late)
    assert admit(quotas.plugin, attributes_for(PODS, pod("new"))) is None
    quotas.reader.put(PODS, pod("new"))
    refused = why(admit(quotas.plugin, attributes_for(PODS, pod("third"))))
    assert "count/pods=2" in refused, "it is still there"


@pytest.mark.parametrize(
    ("hard", "spec", "expected"),
    [
        pytest.param(
            {"requests.cpu": "1"},
            {
                "containers": [container("c", {"cpu": "1"})],
                "initContainers": [container("b"), container("a")],
            },
            "must specify requests.cpu for: a,b",
            id="init containers too",
        ),
        pytest.param({"requests.ephemeral-storage": "1Gi"}, {}, "", id="no more than upstream's mistake"),
        pytest.param(
            {"limits.cpu": "2"}, {"resources": {"limits": {"cpu": "1"}}}, "", id="the pod says it for all"
        ),
    ],
)
def test_who_must_say_what_they_use(hard: Object, spec: Object, expected: str) -> None:
    refused = why(admit(Quotas(hard).plugin, attributes_for(PODS, pod(**spec))))
    assert refused == (f"failed quota: q: {expected}" if expected else "")


@pytest.mark.parametrize(
    ("claim", "usage"),
    [
        pytest.param(
            {"storageClassName": "fast", "resources": {"requests": {"storage": "1500m"}}},
            {"requests.storage": "2", "fast.storageclass.storage.k8s.io/requests.storage": "2"},
            id="whole bytes",
        ),
        pytest.param({"resources": {}}, {}, id="no size"),
    ],
)
def test_what_a_claim_uses(claim: Object, usage: Object) -> None:
    used = usage_of("persistentvolumeclaims", {"metadata": {}, "spec": claim})
    assert {name: str(n) for name, n in used.items() if name.endswith("requests.storage")} == usage


def test_an_old_annotation_names_the_storage_class() -> None:
    annotations = {"volume.beta.kubernetes.io/storage-class": "slow"}
    claim = {"metadata": {"annotations": annotations}, "spec": {"storageClassName": "fast"}}
    found = usage_of("persistentvolumeclaims", claim)
    assert "slow.storageclass.storage.k8s.io/persistentvolumeclaims" in found
