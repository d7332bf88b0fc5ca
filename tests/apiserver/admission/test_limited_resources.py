"""What may be used only where a quota says how much."""

from __future__ import annotations

from typing import Any

import pytest

from podium.apiserver.admission.limited_resources import read
from podium.apiserver.admission.resource_quota import ResourceQuota
from podium.machinery.errors import Object
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from podium.resources.core.resourcequotas import RESOURCEQUOTAS
from tests.apiserver.admission.helpers import admit, attributes_for, pod, why
from tests.apiserver.fakes import FakeClock, FakeReader

COSTLY = {
    "resource": "persistentvolumeclaims",
    "matchContains": ["gold.storageclass.storage.k8s.io/requests"],
}
CLUSTER = {
    "resource": "pods",
    "matchScopes": [{"scopeName": "PriorityClass", "operator": "In", "values": ["cluster-services"]}],
}
CORES = {"resource": "pods", "matchContains": ["requests.cpu"]}


def plugin(*limits: Object, quotas: tuple[Object, ...] = ()) -> ResourceQuota:
    reader = FakeReader()
    for index, spec in enumerate(quotas):
        metadata = {"name": f"q{index}", "namespace": "ns"}
        quota = {"metadata": metadata, "spec": spec, "status": {"hard": spec["hard"]}}
        reader.put(RESOURCEQUOTAS, quota)
    configuration = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "ResourceQuotaConfiguration",
        "limitedResources": list(limits),
    }
    return ResourceQuota(reader, clock=FakeClock(), configuration=configuration)


def claim(storage_class: str) -> Object:
    return {
        "metadata": {"name": "c", "namespace": "ns"},
        "spec": {"storageClassName": storage_class, "resources": {"requests": {"storage": "1Gi"}}},
    }


def asking(priority: str = "", cpu: str = "") -> Object:
    requests = {"cpu": cpu} if cpu else {}
    made = pod(containers=[{"name": "c", "image": "i", "resources": {"requests": requests}}])
    if priority:
        made["spec"]["priorityClassName"] = priority
    return made


GOLD = "gold.storageclass.storage.k8s.io/requests.storage"
SCOPED: Object = {
    "hard": {"pods": "9"},
    "scopeSelector": {
        "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["cluster-services"]}]
    },
}


@pytest.mark.parametrize(
    ("limits", "quotas", "obj", "refusal"),
    [
        ([COSTLY], (), claim("silver"), ""),
        ([COSTLY], (), claim("gold"), f"insufficient quota to consume: {GOLD}"),
        ([COSTLY], ({"hard": {"persistentvolumeclaims": "9"}},), claim("gold"), f"to consume: {GOLD}"),
        ([COSTLY], ({"hard": {GOLD: "2Gi"}},), claim("gold"), ""),
        ([COSTLY], ({"hard": {GOLD: "1Mi"}},), claim("gold"), "exceeded quota: q0"),
        ([COSTLY], (), asking(cpu="1"), ""),
        ([CORES], (), asking(cpu="1"), "insufficient quota to consume: requests.cpu"),
        ([CORES], (), asking(), ""),
        ([CORES], ({"hard": {"requests.cpu": "2"}},), asking(cpu="1"), ""),
        # A quota of other pods covers nothing.
        (
            [CORES],
            ({"hard": {"requests.cpu": "2"}, "scopes": ["Terminating"]},),
            asking(cpu="1"),
            "insufficient quota to consume: requests.cpu",
        ),
        ([CLUSTER], (), asking(), ""),
        (
            [CLUSTER],
            (),
            asking("cluster-services"),
            "insufficient quota to match these scopes: [{PriorityClass In [cluster-services]}]",
        ),
        ([CLUSTER], ({"hard": {"pods": "9"}},), asking("cluster-services"), "match these scopes"),
        ([CLUSTER], (SCOPED,), asking("cluster-services"), ""),
    ],
)
def test_what_needs_a_quota(
    limits: list[Object], quotas: tuple[Object, ...], obj: Object, refusal: str
) -> None:
    resource = PERSISTENTVOLUMECLAIMS if "storageClassName" in obj["spec"] else PODS
    refused = admit(plugin(*limits, quotas=quotas), attributes_for(resource, obj))
    assert refusal in why(refused) if refusal else refused is None


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"kind": "Other", "apiVersion": "v1"}, 'no kind "Other" is registered for version "v1"'),
        (
            {
                "kind": "Configuration",
                "apiVersion": "resourcequota.admission.k8s.io/v1beta1",
                "limitedResources": [{}],
            },
            "limitedResources[0].resource: Required value",
        ),
        *(
            (
                {
                    "kind": "ResourceQuotaConfiguration",
                    "apiVersion": "apiserver.config.k8s.io/v1",
                    "limitedResources": entries,
                },
                words,
            )
            for entries, words in (
                ("pods", "limitedResources: must be a list of objects"),
                ([None], "limitedResources: must be a list of objects"),
                ([{"resource": "pods", "matchContains": [1]}], "matchContains: must be a list of strings"),
                (
                    [{"resource": "pods", "matchScopes": {}}, {"resource": "x", "matchScopes": ["a"]}],
                    "matchScopes",
                ),
            )
        ),
    ],
)
def test_configurations_that_make_no_sense(configuration: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read(configuration)
    assert words in str(refused.value)


def test_no_configuration() -> None:
    assert read({}) == []
