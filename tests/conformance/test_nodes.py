"""sig-node, sig-scheduling, sig-auth, sig-network, sig-storage: what a simulated node is enough for."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.conformance.client import JSON_PATCH, STRATEGIC, Api, Object, collection, condition
from tests.conformance.contract import case, covers
from tests.conformance.examples import pod, service

# Pods


@covers("[sig-architecture] Conformance Tests should have at least two untainted nodes")
def test_two_nodes_without_taints(api: Api) -> None:
    nodes = api.get("/api/v1/nodes")["items"]
    assert len([n for n in nodes if not n["spec"].get("taints")]) >= 2


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        (
            {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "100m", "memory": "100Mi"}},
            "Guaranteed",
        ),
        ({"requests": {"cpu": "100m"}}, "Burstable"),
        ({}, "BestEffort"),
    ],
)
def test_quality_of_service(api: Api, namespace: str, resources: Object, quality: str) -> None:
    made = pod("p", schedulerName="nobody")
    made["spec"]["containers"][0]["resources"] = resources
    assert api.post(collection("v1", "pods", namespace), made)["status"]["qosClass"] == quality


covers(
    "[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu"
)(test_quality_of_service)


@covers(
    "[sig-node] Pods should be updated [NodeConformance]",
    "[sig-node] Pods should allow activeDeadlineSeconds to be updated [NodeConformance]",
    "[sig-node] Pods should get a host IP [NodeConformance]",
)
def test_a_pod_is_updated(api: Api, namespace: str) -> None:
    path = collection("v1", "pods", namespace)
    api.post(path, pod("p"))
    running = api.until(f"{path}/p", lambda o: condition(o, "Ready"), "a running pod")
    assert running["status"]["hostIP"]
    api.patch(f"{path}/p", {"metadata": {"labels": {"time": "now"}}})
    assert [o["metadata"]["name"] for o in api.get(path, label_selector="time=now")["items"]] == ["p"]
    api.patch(f"{path}/p", {"spec": {"activeDeadlineSeconds": 500}})
    assert (
        api.patch(f"{path}/p", {"spec": {"activeDeadlineSeconds": 400}})["spec"]["activeDeadlineSeconds"]
        == 400
    )
    api.refused(422, "PATCH", f"{path}/p", {"spec": {"activeDeadlineSeconds": 600}})


@covers("[sig-node] Pods should be submitted and removed [NodeConformance]")
def test_a_pod_comes_and_goes(api: Api, namespace: str) -> None:
    path = collection("v1", "pods", namespace)
    version = api.get(path)["metadata"]["resourceVersion"]
    with api.watch(path, label_selector="time=x", resource_version=version, timeout_seconds=60) as events:
        api.post(path, pod("p", {"time": "x"}))
        events.until("ADDED")
        events.until("MODIFIED", lambda o: o["status"].get("phase") == "Running")
        api.delete(f"{path}/p", {"gracePeriodSeconds": 30})
        events.until("MODIFIED", lambda o: o["metadata"].get("deletionTimestamp"))
        gone = events.until("DELETED")
    assert gone["metadata"]["deletionGracePeriodSeconds"] in (0, 30)
    assert api.get(path)["items"] == []


@covers(
    "[sig-node] Pods Extended (pod generation) Pod Generation pod generation should start at 1 and increment per update [MinimumKubeletVersion:1.34]",
    "[sig-node] Pods Extended (pod generation) Pod Generation custom-set generation on new pods and graceful delete",
)
def test_generations(api: Api, namespace: str) -> None:
    path = collection("v1", "pods", namespace)
    made = pod("p", terminationGracePeriodSeconds=5)
    made["metadata"]["generation"] = 100
    assert api.post(path, made)["metadata"]["generation"] == 1
    api.until(f"{path}/p", lambda o: o["status"].get("observedGeneration") == 1, "the first generation seen")
    assert api.patch(f"{path}/p", {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 1
    taint = {"key": "x", "operator": "Exists", "effect": "NoSchedule"}
    tolerating = [{"op": "add", "path": "/spec/tolerations/-", "value": taint}]
    assert api.patch(f"{path}/p", tolerating, JSON_PATCH)["metadata"]["generation"] == 2
    image = {"spec": {"containers": [{"name": "main", "image": "podium.local/none:2"}]}}
    assert api.patch(f"{path}/p", image, STRATEGIC)["metadata"]["generation"] == 3
    api.until(f"{path}/p", lambda o: o["status"].get("observedGeneration") == 3, "the last generation seen")
    api.patch(f"{path}/p", {"metadata": {"finalizers": ["example.com/held"]}})
    assert api.delete(f"{path}/p")["metadata"]["generation"] == 4
    api.patch(f"{path}/p", {"metadata": {"finalizers": None}})


@covers(
    "[sig-node] Pods Extended (pod generation) Pod Generation issue 500 podspec updates and verify generation and observedGeneration eventually converge [MinimumKubeletVersion:1.34]"
)
def test_five_hundred_updates(api: Api, namespace: str) -> None:
    path = collection("v1", "pods", namespace)
    api.post(path, pod("p"))
    for number in range(500):
        image = [
            {"op": "replace", "path": "/spec/containers/0/image", "value": f"podium.local/none:{number + 2}"}
        ]
        api.patch(f"{path}/p", image, JSON_PATCH)
    assert api.get(f"{path}/p")["metadata"]["generation"] == 501
    api.until(f"{path}/p", lambda o: o["status"].get("observedGeneration") == 501, "all seen")


@covers(
    "[sig-node] Ephemeral Containers [NodeConformance] should update the ephemeral containers in an existing pod"
)
def test_ephemeral_containers(api: Api, namespace: str) -> None:
    path = collection("v1", "pods", namespace)
    api.post(path, pod("p"))
    for name in ("debugger", "debugger2"):
        more = {"spec": {"ephemeralContainers": [{"name": name, "image": "podium.local/none:1"}]}}
        api.patch(f"{path}/p/ephemeralcontainers", more, STRATEGIC)
    found = api.get(f"{path}/p/ephemeralcontainers")["spec"]["ephemeralContainers"]
    assert {c["name"] for c in found} == {"debugger", "debugger2"}


@pytest.mark.parametrize("plural", ["configmaps", "secrets"])
def test_what_is_immutable_stays(api: Api, namespace: str, plural: str) -> None:
    path = collection("v1", plural, namespace)
    api.post(path, {"metadata": {"name": "o"}, "data": {"a": "YQ=="}})
    assert api.patch(f"{path}/o", {"data": {"a": "Yg=="}})["data"]["a"] == "Yg=="
    api.patch(f"{path}/o", {"immutable": True})
    for change in ({"data": {"a": "YQ=="}}, {"immutable": False}, {"immutable": None}):
        api.refused(422, "PATCH", f"{path}/o", change)
    api.patch(f"{path}/o", {"metadata": {"labels": {"still": "open"}}})
    api.delete(f"{path}/o")


covers(
    "[sig-storage] ConfigMap should be immutable if `immutable` field is set",
    "[sig-storage] Secrets should be immutable if `immutable` field is set",
)(test_what_is_immutable_stays)


@pytest.mark.parametrize(
    "plural",
    [
        case("[sig-node] ConfigMap should fail to create ConfigMap with empty key", "configmaps"),
        case("[sig-node] Secrets should fail to create secret due to empty secret key", "secrets"),
    ],
)
def test_empty_keys(api: Api, namespace: str, plural: str) -> None:
    api.refused(
        422,
        "POST",
        collection("v1", plural, namespace),
        {"metadata": {"name": "o"}, "data": {"": "dmFsdWU="}},
    )


@covers(
    "[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass [NodeConformance]",
    "[sig-node] RuntimeClass should reject a Pod requesting a deleted RuntimeClass [NodeConformance]",
    "[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead [NodeConformance]",
    "[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead [NodeConformance]",
)
def test_runtime_classes(api: Api, namespace: str) -> None:
    classes, path = collection("node.k8s.io/v1", "runtimeclasses"), collection("v1", "pods", namespace)
    api.refused(403, "POST", path, pod("none", runtimeClassName=f"{namespace}-none"))
    for name, more in (("plain", {}), ("heavy", {"overhead": {"podFixed": {"cpu": "10m", "memory": "1Mi"}}})):
        api.post(classes, {"metadata": {"name": f"{namespace}-{name}"}, "handler": "runc", **more})
        made = api.post(path, pod(name, runtimeClassName=f"{namespace}-{name}"))
        assert made["spec"].get("overhead") == more.get("overhead", {}).get("podFixed")
        api.until(f"{path}/{name}", lambda o: condition(o, "PodScheduled"), "its scheduling")
        api.delete(f"{classes}/{namespace}-{name}")
    api.refused(403, "POST", path, pod("late", runtimeClassName=f"{namespace}-heavy"))


@covers("[sig-node] Node Lifecycle should run through the lifecycle of a node")
def test_the_life_of_a_node(api: Api, namespace: str) -> None:
    path, name = "/api/v1/nodes", f"{namespace}-node"
    api.post(
        path, {"metadata": {"name": name}, "spec": {"unschedulable": True}, "status": {"phase": "Pending"}}
    )
    api.patch(f"{path}/{name}", {"metadata": {"labels": {"e2e": "patched"}}})
    updated = api.update(f"{path}/{name}", lambda o: o["metadata"]["labels"].update(e2e="updated"))
    assert updated["metadata"]["labels"]["e2e"] == "updated"
    new = {"type": "Patched", "status": "True", "reason": "E2E", "message": "m"}
    assert condition(api.patch(f"{path}/{name}/status", {"status": {"conditions": [new]}}), "Patched")
    api.delete(path, label_selector="e2e=updated")
    api.until_gone(f"{path}/{name}")


# Scheduling


@covers(
    "[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied."
)
def test_limit_ranges_fill_in(api: Api, namespace: str) -> None:
    path, pods = collection("v1", "limitranges", namespace), collection("v1", "pods", namespace)
    limits = {
        "type": "Container",
        "min": {"cpu": "50m", "memory": "100Mi"},
        "max": {"cpu": "500m", "memory": "500Mi"},
        "default": {"cpu": "500m", "memory": "500Mi"},
        "defaultRequest": {"cpu": "100m", "memory": "200Mi"},
    }
    api.post(path, {"metadata": {"name": "l"}, "spec": {"limits": [limits]}})
    made = api.post(pods, pod("plain", schedulerName="nobody"))["spec"]["containers"][0]["resources"]
    assert made == {"limits": limits["default"], "requests": limits["defaultRequest"]}

    def asking(name: str, cpu: str, limit: str) -> Object:
        asked = pod(name, schedulerName="nobody")
        asked["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}, "limits": {"cpu": limit}}
        return asked

    part = api.post(pods, asking("part", "300m", "400m"))["spec"]["containers"][0]["resources"]
    assert part["requests"] == {"cpu": "300m", "memory": "200Mi"}
    api.refused(403, "POST", pods, asking("small", "10m", "400m"))
    api.refused(403, "POST", pods, asking("large", "300m", "600m"))
    api.patch(f"{path}/l", [{"op": "replace", "path": "/spec/limits/0/min/cpu", "value": "10m"}], JSON_PATCH)
    api.post(pods, asking("small", "10m", "400m"))


@covers(
    "[sig-scheduling] SchedulerPredicates [Serial] validates that NodeSelector is respected if matching",
    "[sig-scheduling] SchedulerPredicates [Serial] validates that NodeSelector is respected if not matching",
    "[sig-scheduling] SchedulerPredicates [Serial] validates resource limits of pods that are allowed to run",
)
def test_where_pods_may_go(api: Api, namespace: str) -> None:
    pods = collection("v1", "pods", namespace)
    node = api.get("/api/v1/nodes")["items"][0]["metadata"]["name"]
    api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {"chosen": namespace}}})
    api.post(pods, pod("there", nodeSelector={"chosen": namespace}))
    assert api.until(f"{pods}/there", lambda o: condition(o, "Ready"), "it runs")["spec"]["nodeName"] == node
    api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {"chosen": None}}})
    large = pod("large")
    large["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000"}}
    for nowhere in (pod("nowhere", nodeSelector={"chosen": "nobody"}), large):
        name = nowhere["metadata"]["name"]
        api.post(pods, nowhere)
        found = api.until(
            f"{pods}/{name}",
            lambda o: (condition(o, "PodScheduled") or {}).get("status") == "False",
            "a verdict",
        )
        verdict = condition(found, "PodScheduled")
        assert verdict is not None and verdict["reason"] == "Unschedulable"


@covers(
    "[sig-scheduling] SchedulerPredicates [Serial] validates that there exists conflict between pods with same hostPort and protocol but one using 0.0.0.0 hostIP"
)
def test_host_ports_conflict(api: Api, namespace: str) -> None:
    pods = collection("v1", "pods", namespace)
    node = api.get("/api/v1/nodes")["items"][0]["metadata"]["name"]

    def on_port(name: str, ip: str, protocol: str = "TCP") -> Object:
        made = pod(name, nodeSelector={"kubernetes.io/hostname": node})
        port = {"containerPort": 80, "hostPort": 54322, "protocol": protocol, "hostIP": ip}
        made["spec"]["containers"][0]["ports"] = [port]
        return made

    api.post(pods, on_port("all", "0.0.0.0"))
    api.until(f"{pods}/all", lambda o: condition(o, "Ready"), "the first")
    api.post(pods, on_port("one", "127.0.0.1"))
    api.post(pods, on_port("udp", "127.0.0.1", "UDP"))
    api.until(f"{pods}/udp", lambda o: condition(o, "Ready"), "the one of another protocol")
    api.until(
        f"{pods}/one", lambda o: (condition(o, "PodScheduled") or {}).get("status") == "False", "the verdict"
    )


# Taints


@covers(
    "[sig-node] NoExecuteTaintManager Single Pod [Serial] removing taint cancels eviction [Disruptive]",
    "[sig-node] NoExecuteTaintManager Multiple Pods [Serial] evicts pods with minTolerationSeconds [Disruptive]",
)
def test_taints_evict(api: Api, namespace: str) -> None:
    pods = collection("v1", "pods", namespace)
    node = api.get("/api/v1/nodes")["items"][-1]["metadata"]["name"]
    tolerations = {"soon": 1, "next": 3, "late": 600}
    for name, seconds in tolerations.items():
        toleration = {
            "key": "evict",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": seconds,
        }
        api.post(pods, pod(name, nodeName=node, tolerations=[toleration]))
        api.until(f"{pods}/{name}", lambda o: condition(o, "Ready"), "it runs")
    api.patch(
        f"/api/v1/nodes/{node}", {"spec": {"taints": [{"key": "evict", "value": "1", "effect": "NoExecute"}]}}
    )
    api.until_gone(f"{pods}/soon")
    api.until_gone(f"{pods}/next")
    api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": None}})
    said = f"Cancelling deletion of Pod {namespace}/late"
    api.until(
        collection("v1", "events", namespace),
        lambda found: any(event["message"] == said for event in found["items"]),
        "word of the cancellation",
    )
    assert api.get(f"{pods}/late")["metadata"].get("deletionTimestamp") is None


# Identity


SA = "[sig-auth] ServiceAccounts"


@covers(f"{SA} should create a serviceAccountToken and ensure a successful TokenReview")
def test_tokens_are_reviewed(api: Api, namespace: str) -> None:
    path = collection("v1", "serviceaccounts", namespace)
    api.post(path, {"metadata": {"name": "e2e"}})
    issued = api.post(f"{path}/e2e/token", {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    review = api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": issued}})["status"]
    assert review["authenticated"] is True
    assert review["user"]["username"] == f"system:serviceaccount:{namespace}:e2e"
    assert f"system:serviceaccounts:{namespace}" in review["user"]["groups"]


@covers(f"{SA} should guarantee kube-root-ca.crt exist in any namespace")
def test_the_root_certificate_is_kept(api: Api, namespace: str) -> None:
    path = f"{collection('v1', 'configmaps', namespace)}/kube-root-ca.crt"
    first = api.until(path, bool, "the certificate")
    api.delete(path)
    again = api.until(path, lambda o: o["metadata"]["uid"] != first["metadata"]["uid"], "another one")
    assert again["data"] == first["data"]
    api.patch(path, {"data": {"ca.crt": "spoilt"}})
    api.until(path, lambda o: o["data"] == first["data"], "the true certificate")


@pytest.mark.parametrize(
    ("account", "spec", "mounted"),
    [
        (None, None, True),
        (None, True, True),
        (None, False, False),
        (True, None, True),
        (True, False, False),
        (False, None, False),
        (False, True, True),
        (False, False, False),
    ],
)
def test_opting_out_of_tokens(
    api: Api, namespace: str, account: bool | None, spec: bool | None, mounted: bool
) -> None:
    made: Object = {"metadata": {"name": "a"}}
    if account is not None:
        made["automountServiceAccountToken"] = account
    api.post(collection("v1", "serviceaccounts", namespace), made)
    asked = pod("p", serviceAccountName="a", schedulerName="nobody")
    if spec is not None:
        asked["spec"]["automountServiceAccountToken"] = spec
    found = api.post(collection("v1", "pods", namespace), asked)["spec"]
    paths = {m["mountPath"] for c in found["containers"] for m in c.get("volumeMounts") or ()}
    assert ("/var/run/secrets/kubernetes.io/serviceaccount" in paths) is mounted


covers(f"{SA} should allow opting out of API token automount")(test_opting_out_of_tokens)


@covers(f"{SA} ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer")
def test_issuer_discovery(api: Api, namespace: str) -> None:
    """What a pod does upstream is done here with a service account's own token."""
    token = api.post(f"{collection('v1', 'serviceaccounts', namespace)}/default/token", {"spec": {}})[
        "status"
    ]["token"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    document = api.get("/.well-known/openid-configuration")
    assert document["issuer"] == claims["iss"]
    # Of a media type of its own, and had as no other.
    answer = api.send("GET", "/openid/v1/jwks", headers={"Accept": "application/jwk-set+json"})
    keys = json.loads(answer.text)["keys"]
    assert header["kid"] in {key["kid"] for key in keys}


@covers("[sig-auth] SubjectReview should support SubjectReview API operations")
def test_subject_reviews(api: Api, namespace: str) -> None:
    group = "/apis/authorization.k8s.io/v1"
    user = f"system:serviceaccount:{namespace}:e2e"
    asked = {
        "user": user,
        "resourceAttributes": {"verb": "list", "resource": "configmaps", "namespace": namespace},
    }
    assert api.post(f"{group}/subjectaccessreviews", {"spec": asked})["status"]["allowed"] is False
    local = collection("authorization.k8s.io/v1", "localsubjectaccessreviews", namespace)
    assert (
        api.post(local, {"metadata": {"namespace": namespace}, "spec": asked})["status"]["allowed"] is False
    )
    rbac = "rbac.authorization.k8s.io/v1"
    binding = {
        "metadata": {"name": "view"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "e2e", "namespace": namespace}],
    }
    api.post(collection(rbac, "rolebindings", namespace), binding)
    for path in (f"{group}/subjectaccessreviews", local):
        assert (
            api.post(path, {"metadata": {"namespace": namespace} if path == local else {}, "spec": asked})[
                "status"
            ]["allowed"]
            is True
        )


# Services


@covers(
    "[sig-network] API Server should have Endpoints and EndpointSlices pointing to API Server",
    "[sig-network] API Server should provide secure master service",
)
def test_the_kubernetes_service(api: Api) -> None:
    path = collection("v1", "services", "default")
    assert [p["name"] for p in api.get(f"{path}/kubernetes")["spec"]["ports"]] == ["https"]
    endpoints = api.get(collection("v1", "endpoints", "default") + "/kubernetes")
    addresses = {a["ip"] for s in endpoints["subsets"] for a in s["addresses"]}
    slices = api.get(
        collection("discovery.k8s.io/v1", "endpointslices", "default"),
        label_selector="kubernetes.io/service-name=kubernetes",
    )
    assert {a for s in slices["items"] for e in s["endpoints"] for a in e["addresses"]} == addresses


@covers(
    "[sig-network] EndpointSlice should create Endpoints and EndpointSlices for Pods matching a Service",
    "[sig-network] EndpointsController should create Endpoints for Pods matching a Service",
    "[sig-network] EndpointSlice should create and delete EndpointSlices for a Service with a selector that matches no pods",
    "[sig-network] EndpointsController should create and delete Endpoints for a Service with a selector that matches no pods",
)
def test_endpoints_follow_pods(api: Api, namespace: str) -> None:
    services, pods = collection("v1", "services", namespace), collection("v1", "pods", namespace)
    slices = (
        collection("discovery.k8s.io/v1", "endpointslices", namespace)
        + "?labelSelector=kubernetes.io%2Fservice-name%3Dweb"
    )
    endpoints = collection("v1", "endpoints", namespace) + "/web"
    api.post(services, service("web", selector={"app": "web"}))
    assert not api.until(endpoints, bool, "empty endpoints").get("subsets")
    assert not api.until(slices, lambda o: o["items"], "an empty slice")["items"][0].get("endpoints")
    api.post(pods, pod("p", {"app": "web"}))
    ip = api.until(f"{pods}/p", lambda o: condition(o, "Ready"), "the pod")["status"]["podIP"]
    # Until the controller has seen that the pod is ready, it is among those that are not.
    filled = api.until(endpoints, lambda o: o.get("subsets", [{}])[0].get("addresses"), "endpoints")
    assert filled["subsets"][0]["addresses"][0]["ip"] == ip
    assert filled["subsets"][0]["addresses"][0]["targetRef"]["name"] == "p"

    def listed(found: Any) -> list[str]:
        return [a for s in found["items"] for e in s.get("endpoints") or () for a in e["addresses"]]

    assert listed(api.until(slices, listed, "the slice")) == [ip]
    api.delete(f"{services}/web")
    api.until_gone(endpoints)
    api.until(slices, lambda o: not o["items"], "no slices")


@covers("[sig-network] Services should find a service from listing all namespaces")
def test_services_of_all_namespaces(api: Api, namespace: str) -> None:
    everywhere = api.get(collection("v1", "services"), field_selector="metadata.name=kubernetes")
    assert [o["metadata"]["namespace"] for o in everywhere["items"]] == ["default"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        case(
            "[sig-network] Services should be able to change the type from ExternalName to ClusterIP",
            "ExternalName",
            "ClusterIP",
        ),
        case(
            "[sig-network] Services should be able to change the type from ExternalName to NodePort",
            "ExternalName",
            "NodePort",
        ),
        case(
            "[sig-network] Services should be able to change the type from ClusterIP to ExternalName",
            "ClusterIP",
            "ExternalName",
        ),
        case(
            "[sig-network] Services should be able to change the type from NodePort to ExternalName",
            "NodePort",
            "ExternalName",
        ),
    ],
)
def test_services_change_their_type(api: Api, namespace: str, before: str, after: str) -> None:
    """What the API makes of it; that traffic follows is tested with real nodes."""
    path = collection("v1", "services", namespace)
    outside = {"externalName": "clusterip.example.com"}
    api.post(path, service("s", type=before, **(outside if before == "ExternalName" else {})))

    def change(current: Object) -> None:
        current["spec"]["type"] = after
        if after == "ExternalName":
            current["spec"] |= outside
            current["spec"].pop("clusterIP")
            current["spec"].pop("clusterIPs")
        else:
            current["spec"].pop("externalName")

    changed = api.update(f"{path}/s", change)["spec"]
    assert ("clusterIP" in changed) is (after != "ExternalName")
    assert ("nodePort" in changed["ports"][0]) is (after == "NodePort")


@covers("[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API")
def test_inline_volumes(api: Api, namespace: str) -> None:
    path = collection("v1", "pods", namespace)
    volume = {
        "name": "v",
        "csi": {"driver": "e2e.example.com", "readOnly": True, "volumeAttributes": {"a": "b"}},
    }
    made = api.post(path, pod("p", volumes=[volume], schedulerName="nobody"))
    assert volume in made["spec"]["volumes"]
    api.patch(f"{path}/p", {"metadata": {"labels": {"patched": "yes"}}})
    listed = api.get(collection("v1", "pods"), label_selector="patched=yes")["items"]
    assert [o["metadata"]["namespace"] for o in listed] == [namespace]
