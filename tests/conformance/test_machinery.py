"""sig-api-machinery: watches, pages, discovery, tables, field validation, garbage, namespaces, quotas."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.client import APPLY, Api, Object, collection, condition
from tests.conformance.contract import case, covers
from tests.conformance.examples import config_map, pod, pod_spec, replication_controller, service, workload

GC = "[sig-api-machinery] Garbage collector"
QUOTA = "[sig-api-machinery] ResourceQuota should create a ResourceQuota and"
WATCH = "[sig-api-machinery] Watchers should"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

# Watches


@covers(f"{WATCH} observe add, update, and delete watch notifications on configmaps")
def test_watches_see_what_their_selectors_match(api: Api, namespace: str) -> None:
    path = collection("v1", "configmaps", namespace)
    version = api.get(path)["metadata"]["resourceVersion"]

    def watching(selector: str) -> Any:
        return api.watch(path, label_selector=selector, resource_version=version, timeout_seconds=60)

    with watching("w=a") as only_a, watching("w=b") as only_b, watching("w in (a,b)") as both:
        api.post(path, config_map("a", {"w": "a"}))
        api.patch(f"{path}/a", {"data": {"mutation": "1"}})
        api.patch(f"{path}/a", {"data": {"mutation": "2"}})
        api.delete(f"{path}/a")
        api.post(path, config_map("b", {"w": "b"}))
        api.delete(f"{path}/b")
        of_a = [("ADDED", "a"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
        of_b = [("ADDED", "b"), ("DELETED", "b")]
        for events, expected in ((only_a, of_a), (only_b, of_b), (both, of_a + of_b)):
            seen = [events.next() for _ in expected]
            assert [(type_, o["metadata"]["name"]) for type_, o in seen] == expected


@covers(
    f"{WATCH} be able to start watching from a specific resource version",
    f"{WATCH} be able to restart watching from the last resource version observed by the previous watch",
)
def test_a_watch_goes_on_where_one_was(api: Api, namespace: str) -> None:
    path = collection("v1", "configmaps", namespace)
    api.post(path, config_map("a"))
    first = api.patch(f"{path}/a", {"data": {"mutation": "1"}})
    api.patch(f"{path}/a", {"data": {"mutation": "2"}})
    with api.watch(path, resource_version=first["metadata"]["resourceVersion"], timeout_seconds=60) as events:
        type_, seen = events.next()
        assert (type_, seen["data"]["mutation"]) == ("MODIFIED", "2")
    api.delete(f"{path}/a")
    with api.watch(path, resource_version=seen["metadata"]["resourceVersion"], timeout_seconds=60) as events:
        assert events.next()[0] == "DELETED"


@covers(f"{WATCH} observe an object deletion if it stops meeting the requirements of the selector")
def test_leaving_a_selector_is_a_deletion(api: Api, namespace: str) -> None:
    path = collection("v1", "configmaps", namespace)
    version = api.get(path)["metadata"]["resourceVersion"]
    with api.watch(path, label_selector="w=a", resource_version=version, timeout_seconds=60) as events:
        api.post(path, config_map("a", {"w": "a"}))
        api.patch(f"{path}/a", {"metadata": {"labels": {"w": "b"}}})
        api.patch(f"{path}/a", {"data": {"unseen": "1"}})
        api.patch(f"{path}/a", {"metadata": {"labels": {"w": "a"}}})
        api.delete(f"{path}/a")
        seen = [events.next() for _ in range(4)]
    assert [type_ for type_, _ in seen] == ["ADDED", "DELETED", "ADDED", "DELETED"]
    assert seen[2][1]["data"] == {"unseen": "1"}


@covers(f"{WATCH} receive events on concurrent watches in same order")
def test_all_watches_have_one_order(api: Api, namespace: str) -> None:
    path = collection("v1", "configmaps", namespace)
    version = api.get(path)["metadata"]["resourceVersion"]
    with api.watch(path, resource_version=version, timeout_seconds=60) as reference:
        for number in range(10):
            api.post(path, config_map(f"c{number}"))
            api.patch(f"{path}/c{number // 2}", {"data": {"n": str(number)}})
        order = [reference.next()[1]["metadata"]["resourceVersion"] for _ in range(20)]
    for start, first in enumerate(order[:-1]):
        with api.watch(path, resource_version=first, timeout_seconds=60) as events:
            assert [events.next()[1]["metadata"]["resourceVersion"] for _ in order[start + 1 :]] == order[
                start + 1 :
            ]


# Lists in pages, tables, version


CHUNKS = "[sig-api-machinery] Servers with support for API chunking should"


@covers(f"{CHUNKS} return chunks of results for list calls")
def test_pages(api: Api, namespace: str) -> None:
    path = collection("v1", "podtemplates", namespace)
    for number in range(40):
        api.post(path, {"metadata": {"name": f"template-{number:04}"}, "template": {"spec": pod_spec()}})
    names, token, version = [], "", None
    for limit in (7, 11, 13, 50):
        page = api.get(path, limit=limit, **({"continue_": token} if token else {}))
        names += [o["metadata"]["name"] for o in page["items"]]
        assert version in (None, page["metadata"]["resourceVersion"])
        version, token = page["metadata"]["resourceVersion"], page["metadata"].get("continue", "")
        assert page["metadata"].get("remainingItemCount", 0) == 40 - len(names)
    assert names == [f"template-{number:04}" for number in range(40)]
    assert token == ""
    assert [o["metadata"]["name"] for o in api.get(path)["items"]] == names


@covers(
    "[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata"
)
def test_a_review_is_no_table(api: Api, namespace: str) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    body = {"spec": {"resourceAttributes": {"verb": "list", "resource": "configmaps"}}}
    answer = api.send("POST", path, body, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    assert answer.status == 406


@covers("[sig-api-machinery] server version should find the server version")
def test_the_version(api: Api, namespace: str) -> None:
    version = api.get("/version")
    assert re.fullmatch(r"[1-9]", version["major"])
    assert re.fullmatch(r"\d+\+?", version["minor"])
    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor'].rstrip('+')}.")


# Discovery


@covers(
    "[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup",
    "[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup",
)
def test_every_group_has_its_versions_and_resources(api: Api) -> None:
    groups = api.get("/apis")["groups"]
    assert {"apps", "batch", "rbac.authorization.k8s.io"} <= {g["name"] for g in groups}
    for group in groups:
        found = api.get(f"/apis/{group['name']}")
        assert found["versions"] == group["versions"]
        assert group["preferredVersion"] in group["versions"]
        for version in group["versions"]:
            resources = api.get(f"/apis/{version['groupVersion']}")
            assert resources["groupVersion"] == version["groupVersion"]
            assert resources["resources"]


AGGREGATED_NAME = "[sig-api-machinery] AggregatedDiscovery should support"


@covers(
    f"{AGGREGATED_NAME} aggregated discovery interface",
    f"{AGGREGATED_NAME} raw aggregated discovery endpoint Accept headers",
)
def test_aggregated_discovery(api: Api) -> None:
    core, groups = (_aggregated(api, path) for path in ("/api", "/apis"))
    assert {r["resource"] for r in core[""]["v1"]} >= {"pods", "services", "namespaces"}
    assert {r["resource"] for r in groups["apps"]["v1"]} >= {"deployments", "statefulsets"}
    assert {r["resource"] for r in groups["apiextensions.k8s.io"]["v1"]} == {"customresourcedefinitions"}
    plain = {g["name"]: [v["version"] for v in g["versions"]] for g in api.get("/apis")["groups"]}
    assert {name: list(versions) for name, versions in groups.items()} == plain


def _aggregated(api: Api, path: str) -> dict[str, dict[str, list[Any]]]:
    answer = api.send("GET", path, headers={"Accept": AGGREGATED})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == AGGREGATED
    return {
        group["metadata"].get("name", ""): {v["version"]: v.get("resources", []) for v in group["versions"]}
        for group in answer.body["items"]
    }


# Field validation of built-in kinds


FIELDS = "[sig-api-machinery] FieldValidation should"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        case(
            f"{FIELDS} detect unknown and duplicate fields of a typed object",
            '{"metadata":{"name":"f"},"spec":{"unknown1":"v","replicas":1,"replicas":2,"paused":true,"paused":false,'
            '"selector":{"matchLabels":{"app":"f"}},"template":{"metadata":{"labels":{"app":"f"}},'
            '"spec":{"containers":[{"name":"c","image":"i","unknownNested":1,"imagePullPolicy":"Always","imagePullPolicy":"Never"}]}}}}',
            (
                'unknown field "spec.unknown1"',
                'duplicate field "spec.replicas"',
                'duplicate field "spec.paused"',
                'unknown field "spec.template.spec.containers[0].unknownNested"',
                'duplicate field "spec.template.spec.containers[0].imagePullPolicy"',
            ),
        ),
        case(
            f"{FIELDS} detect unknown metadata fields of a typed object",
            '{"metadata":{"name":"f","unknownMeta":"u"},"spec":{"selector":{"matchLabels":{"app":"f"}},'
            '"template":{"metadata":{"labels":{"app":"f"},"unknownNestedMeta":"x"},'
            '"spec":{"containers":[{"name":"c","image":"i"}]}}}}',
            (
                'unknown field "metadata.unknownMeta"',
                'unknown field "spec.template.metadata.unknownNestedMeta"',
            ),
        ),
    ],
)
def test_fields_of_a_deployment(api: Api, namespace: str, text: str, message: tuple[str, ...]) -> None:
    path = collection("apps/v1", "deployments", namespace)
    strict = api.send("POST", f"{path}?fieldValidation=Strict", text)
    assert strict.status == 400
    assert all(part in strict.body["message"] for part in message), strict.text
    warned = api.send("POST", f"{path}?fieldValidation=Warn", text)
    assert warned.status == 201
    warnings = " ".join(warned.headers.get_all("Warning", []))
    assert all(part.replace('"', '\\"') in warnings for part in message), warnings
    ignored = api.send("POST", f"{path}?fieldValidation=Ignore", text.replace('"name":"f"', '"name":"g"'))
    assert (ignored.status, ignored.headers.get_all("Warning")) == (201, None)


# Garbage


def owner(obj: Object, **more: Any) -> Object:
    meta = obj["metadata"]
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        **more,
    }


@pytest.mark.parametrize(
    ("api_version", "plural", "example", "dependents", "policy"),
    [
        case(
            f"{GC} should delete RS created by deployment when not orphaning",
            "apps/v1",
            "deployments",
            workload("g", 2),
            ("apps/v1", "replicasets"),
            "Background",
        ),
        case(
            f"{GC} should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan",
            "apps/v1",
            "deployments",
            workload("g", 2),
            ("apps/v1", "replicasets"),
            "Orphan",
        ),
        case(
            f"{GC} should delete pods created by rc when not orphaning",
            "v1",
            "replicationcontrollers",
            replication_controller("g", 2),
            ("v1", "pods"),
            "Background",
        ),
        case(
            f"{GC} should orphan pods created by rc if delete options say so [Serial]",
            "v1",
            "replicationcontrollers",
            replication_controller("g", 4),
            ("v1", "pods"),
            "Orphan",
        ),
        case(
            f"{GC} should keep the rc around until all its pods are deleted if the deleteOptions says so [Serial]",
            "v1",
            "replicationcontrollers",
            replication_controller("g", 4),
            ("v1", "pods"),
            "Foreground",
        ),
    ],
)
def test_cascades(
    api: Api,
    namespace: str,
    api_version: str,
    plural: str,
    example: Object,
    dependents: tuple[str, str],
    policy: str,
) -> None:
    path, below = collection(api_version, plural, namespace), collection(*dependents, namespace)
    made = api.post(path, example)
    wanted = 1 if plural == "deployments" else example["spec"]["replicas"]
    # The owner's status says that its controller has seen them, and so that the garbage collector has.
    replicas = example["spec"]["replicas"]
    api.until(f"{path}/g", lambda o: o["status"].get("replicas") == replicas, "the dependents, seen")
    listed = api.until(below, lambda o: len(o["items"]) == wanted, "the dependents")
    uid = made["metadata"]["uid"]
    version = listed["metadata"]["resourceVersion"]
    with api.watch(below, resource_version=version, timeout_seconds=60) as events:
        answer = api.delete(f"{path}/g", {"propagationPolicy": policy, "preconditions": {"uid": uid}})
        if policy == "Foreground":
            assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
        if policy != "Orphan":
            for _ in range(wanted):
                events.until("DELETED")
    api.until_gone(f"{path}/g")
    left = api.get(below)["items"]
    assert len(left) == (wanted if policy == "Orphan" else 0)
    assert all(not o["metadata"].get("ownerReferences") for o in left)


@covers(f"{GC} should not be blocked by dependency circle")
def test_a_circle_of_owners(api: Api, namespace: str) -> None:
    path = collection("v1", "pods", namespace)
    made = [api.post(path, pod(f"pod{n}", schedulerName="nobody")) for n in range(3)]
    for number, one in enumerate(made):
        after = made[(number + 2) % 3]
        reference = owner(after, controller=True, blockOwnerDeletion=True)
        api.patch(f"{path}/{one['metadata']['name']}", {"metadata": {"ownerReferences": [reference]}})
    api.delete(f"{path}/pod0", {"propagationPolicy": "Foreground"})
    api.until(path, lambda o: not o["items"], "the end of all")


@covers(
    f"{GC} should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted [Serial]"
)
def test_one_living_owner_is_enough(api: Api, namespace: str) -> None:
    path, pods = collection("v1", "replicationcontrollers", namespace), collection("v1", "pods", namespace)
    dying, staying = (
        api.post(path, replication_controller(name, count)) for name, count in (("d", 4), ("s", 0))
    )
    api.until(f"{path}/d", lambda o: o["status"].get("replicas") == 4, "four pods, seen")
    listed = api.get(pods)["items"]
    shared = [p["metadata"]["name"] for p in listed[:2]]
    for name in shared:
        current = api.get(f"{pods}/{name}")
        references = [*current["metadata"]["ownerReferences"], owner(staying)]
        api.patch(f"{pods}/{name}", {"metadata": {"ownerReferences": references}})
    api.delete(
        f"{path}/d", {"propagationPolicy": "Foreground", "preconditions": {"uid": dying["metadata"]["uid"]}}
    )
    api.until_gone(f"{path}/d")
    left = api.get(pods)["items"]
    assert sorted(p["metadata"]["name"] for p in left) == sorted(shared)
    assert {o["uid"] for p in left for o in p["metadata"]["ownerReferences"]} == {staying["metadata"]["uid"]}


# Namespaces


NAMESPACES = "[sig-api-machinery] Namespaces [Serial] should"


@covers(
    f"{NAMESPACES} ensure that all pods are removed when a namespace is deleted",
    f"{NAMESPACES} ensure that all services are removed when a namespace is deleted",
    "[sig-api-machinery] OrderedNamespaceDeletion namespace deletion should delete pod first",
)
def test_a_namespace_takes_all_with_it_and_pods_first(api: Api, namespace: str) -> None:
    name = f"{namespace}-going"
    made = api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    api.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool, "the service account")
    pods, maps = collection("v1", "pods", name), collection("v1", "configmaps", name)
    held = pod("p", schedulerName="nobody")
    held["metadata"]["finalizers"] = ["e2e.example.com/finalizer"]
    api.post(pods, held)
    api.post(maps, config_map("kept-for-now"))
    api.post(collection("v1", "services", name), service("s"))
    api.delete(f"/api/v1/namespaces/{name}")
    api.until(
        f"/api/v1/namespaces/{name}",
        lambda o: o["status"]["phase"] == "Terminating" and condition(o, "NamespaceDeletionContentFailure"),
        "a look at what is there",
    )
    api.until(f"{pods}/p", lambda o: o["metadata"].get("deletionTimestamp"), "the pod's deletion")
    assert api.get(f"{maps}/kept-for-now")
    refusal = api.refused(403, "POST", maps, config_map("late"))
    assert refusal["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    api.patch(f"{pods}/p", {"metadata": {"finalizers": None}})
    api.until_gone(f"/api/v1/namespaces/{name}")
    again = api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    assert again["metadata"]["uid"] != made["metadata"]["uid"]
    for kind in ("pods", "services"):
        assert api.get(collection("v1", kind, name))["items"] == []
    api.delete(f"/api/v1/namespaces/{name}")


@covers(
    f"{NAMESPACES} patch a Namespace",
    f"{NAMESPACES} apply an update to a Namespace",
    f"{NAMESPACES} apply changes to a namespace status",
    f"{NAMESPACES} apply a finalizer to a Namespace",
)
def test_a_namespace_is_patched_updated_and_finalized(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    assert (
        api.patch(path, {"metadata": {"labels": {"testLabel": "testValue"}}})["metadata"]["labels"][
            "testLabel"
        ]
        == "testValue"
    )
    updated = api.update(path, lambda o: o["metadata"]["labels"].update(updated="yes"))
    assert updated["metadata"]["labels"]["updated"] == "yes"
    new = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "Patched by a test"}
    patched = api.patch(
        f"{path}/status", {"metadata": {"annotations": {"p": "1"}}, "status": {"conditions": [new]}}
    )
    assert condition(patched, "StatusPatch") is not None
    patched["status"]["conditions"].append(new | {"type": "StatusUpdate"})
    assert condition(api.put(f"{path}/status", patched), "StatusUpdate") is not None
    current = api.get(path)
    current["spec"]["finalizers"].append("e2e.example.com/fakeFinalizer")
    held = api.put(f"{path}/finalize", current)
    assert held["spec"]["finalizers"] == ["kubernetes", "e2e.example.com/fakeFinalizer"]
    held["spec"]["finalizers"].remove("e2e.example.com/fakeFinalizer")
    assert api.put(f"{path}/finalize", held)["spec"]["finalizers"] == ["kubernetes"]


# Quotas


def quota(api: Api, namespace: str, hard: dict[str, str], **spec: Any) -> str:
    """Make a quota; return its path once its status is calculated."""
    path = collection("v1", "resourcequotas", namespace)
    api.post(path, {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}})
    api.until(f"{path}/q", lambda o: o["status"].get("hard") == hard and "used" in o["status"], "the status")
    return f"{path}/q"


DONGLES = "requests.example.com/dongle"


def used(api: Api, path: str, **expected: str) -> None:
    api.until(path, lambda o: o["status"]["used"].items() >= expected.items(), f"the use {expected}")


@pytest.mark.parametrize(
    ("counted", "api_version", "plural", "example"),
    [
        case(f"{QUOTA} capture the life of a configMap.", "configmaps", "v1", "configmaps", config_map("o")),
        case(
            f"{QUOTA} capture the life of a secret.", "secrets", "v1", "secrets", {"metadata": {"name": "o"}}
        ),
        case(
            f"{QUOTA} capture the life of a replica set.",
            "count/replicasets.apps",
            "apps/v1",
            "replicasets",
            workload("o", 0),
        ),
        case(
            f"{QUOTA} capture the life of a replication controller.",
            "replicationcontrollers",
            "v1",
            "replicationcontrollers",
            replication_controller("o", 0),
        ),
    ],
)
def test_quotas_count(
    api: Api, namespace: str, counted: str, api_version: str, plural: str, example: Object
) -> None:
    path = collection(api_version, plural, namespace)
    before = len(
        api.until(path, lambda o: plural != "configmaps" or o["items"], "what is there anyhow")["items"]
    )
    of = quota(api, namespace, {counted: str(before + 1)})
    used(api, of, **{counted: str(before)})
    api.post(path, example)
    used(api, of, **{counted: str(before + 1)})
    api.refused(403, "POST", path, {**example, "metadata": {"name": "another"}})
    api.delete(f"{path}/o", {"propagationPolicy": "Background"})
    used(api, of, **{counted: str(before)})


@covers(f"{QUOTA} capture the life of a pod.", f"{QUOTA} ensure its status is promptly calculated.")
def test_quotas_count_what_pods_ask_for(api: Api, namespace: str) -> None:
    pods = collection("v1", "pods", namespace)
    hard = {"pods": "5", "cpu": "1", "memory": "500Mi", "ephemeral-storage": "50Gi", DONGLES: "3"}
    of = quota(api, namespace, hard)

    def asking(name: str, cpu: str = "100m", dongles: str = "1") -> Object:
        made = pod(name, schedulerName="nobody")
        amounts = {"cpu": cpu, "memory": "252Mi", "ephemeral-storage": "30Gi", "example.com/dongle": dongles}
        resources = {"requests": amounts, "limits": {"example.com/dongle": dongles}}
        made["spec"]["containers"][0]["resources"] = resources
        return made

    taken = {"pods": "1", "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", DONGLES: "2"}
    api.post(pods, asking("p", "500m", "2"))
    used(api, of, **taken)
    for name, asked, exceeded in (
        ("too-much", asking("too-much", "600m"), "cpu=600m"),
        ("too-many", asking("too-many", "100m", "2"), f"{DONGLES}=2"),
    ):
        refusal = api.refused(403, "POST", pods, asked)["message"]
        assert refusal.startswith(f'pods "{name}" is forbidden: exceeded quota: q, requested: ')
        assert exceeded in refusal
    assert "must specify cpu for: " in api.refused(403, "POST", pods, pod("none"))["message"]
    api.patch(f"{pods}/p", {"metadata": {"labels": {"a": "b"}}})
    used(api, of, **taken)
    api.delete(f"{pods}/p", {"gracePeriodSeconds": 0})
    used(api, of, **dict.fromkeys(hard, "0"))


@covers(f"{QUOTA} capture the life of a service.")
def test_quotas_count_what_services_open(api: Api, namespace: str) -> None:
    path = collection("v1", "services", namespace)
    hard = {"services": "10", "services.nodeports": "1", "services.loadbalancers": "1"}
    of = quota(api, namespace, hard)

    def of_type(name: str, type: str, **more: Any) -> Object:
        made = service(name)
        made["spec"].update(type=type, **more)
        return made

    api.post(path, of_type("plain", "ClusterIP"))
    api.post(path, of_type("open", "NodePort"))
    used(api, of, **{"services": "2", "services.nodeports": "1", "services.loadbalancers": "0"})
    refusal = api.refused(403, "POST", path, of_type("balanced", "LoadBalancer"))["message"]
    assert "exceeded quota: q, requested: services.nodeports=1" in refusal
    without_ports = of_type("balanced", "LoadBalancer", allocateLoadBalancerNodePorts=False)
    api.post(path, without_ports)
    used(api, of, **{"services": "3", "services.nodeports": "1", "services.loadbalancers": "1"})
    for name in ("plain", "open", "balanced"):
        api.delete(f"{path}/{name}")
    used(api, of, **dict.fromkeys(hard, "0"))


@covers("[sig-api-machinery] ResourceQuota should be able to update and delete ResourceQuota.")
def test_a_quota_is_changed(api: Api, namespace: str) -> None:
    path = quota(api, namespace, {"pods": "1", "configmaps": "5"})
    updated = api.update(path, lambda o: o["spec"]["hard"].update(pods="9"))
    assert updated["spec"]["hard"]["pods"] == "9"
    api.until(path, lambda o: o["status"]["hard"]["pods"] == "9", "the new limit in the status")
    api.delete(path)
    api.until_gone(path)


@pytest.mark.parametrize(
    ("scopes", "inside", "outside"),
    [
        case(
            "[sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope.",
            ("BestEffort", "NotBestEffort"),
            {},
            {"resources": {"requests": {"cpu": "1"}}},
        ),
        case(
            "[sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes.",
            ("Terminating", "NotTerminating"),
            {"activeDeadlineSeconds": 3600},
            {},
        ),
    ],
)
def test_quota_scopes(
    api: Api, namespace: str, scopes: tuple[str, str], inside: Object, outside: Object
) -> None:
    path, pods = collection("v1", "resourcequotas", namespace), collection("v1", "pods", namespace)
    for scope in scopes:
        api.post(
            path, {"metadata": {"name": scope.lower()}, "spec": {"hard": {"pods": "5"}, "scopes": [scope]}}
        )
        api.until(f"{path}/{scope.lower()}", lambda o: "used" in o["status"], "the status")
    for special, (one, other) in ((inside, scopes), (outside, scopes[::-1])):
        made = pod("p", schedulerName="nobody")
        made["spec"]["containers"][0]["resources"] = special.get("resources", {})
        if "activeDeadlineSeconds" in special:
            made["spec"]["activeDeadlineSeconds"] = special["activeDeadlineSeconds"]
        api.post(pods, made)
        used(api, f"{path}/{one.lower()}", pods="1")
        used(api, f"{path}/{other.lower()}", pods="0")
        api.delete(f"{pods}/p", {"gracePeriodSeconds": 0})
        used(api, f"{path}/{one.lower()}", pods="0")


# Custom resources


def definition(
    group: str, schema: Object, *, versions: tuple[str, ...] = ("v1",), kind: str = "Foo", **more: Any
) -> Object:
    plural = f"{kind.lower()}s"
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "schema": {"openAPIV3Schema": schema},
                    **more,
                }
                for version in versions
            ],
        },
    }


ANYTHING: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def define(api: Api, made: Object) -> str:
    """Make a definition; return the path of its first version once that is served."""
    api.post(CRDS, made)
    path = f"{CRDS}/{made['metadata']['name']}"
    api.until(path, lambda o: (condition(o, "Established") or {}).get("status") == "True", "Established")
    spec = made["spec"]
    version = f"/apis/{spec['group']}/{spec['versions'][0]['name']}"
    api.until(f"{version}/{spec['names']['plural']}", bool, "the new resource")
    return version


@covers(
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition creating/deleting custom resource definition objects works",
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition listing custom resource definition objects works",
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition getting/updating/patching custom resource definition status sub-resource works",
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] should include custom resource definition resources in discovery documents",
)
def test_definitions(api: Api, namespace: str) -> None:
    group = f"{namespace}.example.com"
    apiextensions = next(g for g in api.get("/apis")["groups"] if g["name"] == "apiextensions.k8s.io")
    assert "apiextensions.k8s.io/v1" in {v["groupVersion"] for v in apiextensions["versions"]}
    names = {r["name"] for r in api.get("/apis/apiextensions.k8s.io/v1")["resources"]}
    assert {"customresourcedefinitions", "customresourcedefinitions/status"} <= names
    for kind in ("Foo", "Bar"):
        made = definition(group, ANYTHING, kind=kind)
        made["metadata"]["labels"] = {"of": namespace}
        define(api, made)
    listed = api.get(CRDS, label_selector=f"of={namespace}")["items"]
    assert [o["spec"]["names"]["kind"] for o in listed] == ["Bar", "Foo"]
    path = f"{CRDS}/foos.{group}"
    new = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set by a test"}
    updated = api.update(f"{path}/status", lambda o: o["status"]["conditions"].append(new))
    assert condition(updated, "StatusUpdate") is not None
    patch = [{"op": "add", "path": "/status/conditions/-", "value": new | {"type": "StatusPatch"}}]
    assert (
        condition(api.patch(f"{path}/status", patch, "application/json-patch+json"), "StatusPatch")
        is not None
    )
    api.delete(CRDS, label_selector=f"of={namespace}")
    api.until_gone(path)
    api.until("/apis", lambda o: group not in {g["name"] for g in o["groups"]}, "the group's end")


@covers(
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] custom resource defaulting for requests and from storage works"
)
def test_defaults_of_custom_resources(api: Api, namespace: str) -> None:
    group = f"{namespace}.example.com"
    schema: Object = {
        "type": "object",
        "properties": {"a": {"type": "string", "default": "A"}, "b": {"type": "string"}},
    }
    path = f"{define(api, definition(group, schema))}/namespaces/{namespace}/foos"
    body = {"apiVersion": f"{group}/v1", "kind": "Foo", "metadata": {"name": "one"}}
    assert api.post(path, body)["a"] == "A"
    schema["properties"] = {"a": {"type": "string"}, "b": {"type": "string", "default": "B"}}
    api.patch(
        f"{CRDS}/foos.{group}",
        definition(group, schema)["spec"] and {"spec": definition(group, schema)["spec"]},
    )
    found = api.until(f"{path}/one", lambda o: o.get("b") == "B", "the new default, from storage")
    assert found["a"] == "A"
    api.delete(f"{CRDS}/foos.{group}")


@covers(
    "[sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects"
)
def test_custom_resources_are_watched(api: Api, namespace: str) -> None:
    group = f"{namespace}.example.com"
    path = f"{define(api, definition(group, ANYTHING))}/namespaces/{namespace}/foos"
    with api.watch(
        path, resource_version=api.get(path)["metadata"]["resourceVersion"], timeout_seconds=60
    ) as events:
        for name in ("one", "two"):
            api.post(path, {"apiVersion": f"{group}/v1", "kind": "Foo", "metadata": {"name": name}})
        api.patch(f"{path}/one", {"spec": {"n": 1}})
        for name in ("one", "two"):
            api.delete(f"{path}/{name}")
        seen = [events.next() for _ in range(5)]
    assert [(type_, o["metadata"]["name"]) for type_, o in seen] == [
        ("ADDED", "one"),
        ("ADDED", "two"),
        ("MODIFIED", "one"),
        ("DELETED", "one"),
        ("DELETED", "two"),
    ]
    api.delete(f"{CRDS}/foos.{group}")


@covers(
    "[sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector"
)
def test_selectable_fields(api: Api, namespace: str) -> None:
    group = f"{namespace}.example.com"
    schema = {"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "string"}}}
    fields = [{"jsonPath": ".host"}, {"jsonPath": ".port"}]
    path = f"{define(api, definition(group, schema, selectableFields=fields))}/namespaces/{namespace}/foos"
    version = api.get(path)["metadata"]["resourceVersion"]
    selector = {"field_selector": "host=host1,port=80"}
    with api.watch(path, **selector, resource_version=version, timeout_seconds="60") as events:
        for name, host, port in (("a", "host1", "80"), ("b", "host1", "8080"), ("c", "host2", "80")):
            body = {
                "apiVersion": f"{group}/v1",
                "kind": "Foo",
                "metadata": {"name": name},
                "host": host,
                "port": port,
            }
            api.post(path, body)
        assert [o["metadata"]["name"] for o in api.get(path, **selector)["items"]] == ["a"]
        api.patch(f"{path}/a", {"port": "90"})
        api.patch(f"{path}/c", {"host": "host1"})
        seen = [events.next() for _ in range(3)]
    assert [(type_, o["metadata"]["name"]) for type_, o in seen] == [
        ("ADDED", "a"),
        ("DELETED", "a"),
        ("ADDED", "c"),
    ]
    api.refused(400, "GET", f"{path}?fieldSelector=other%3Dx")
    api.delete(f"{CRDS}/foos.{group}")


@covers(
    f"{AGGREGATED_NAME} aggregated discovery interface for CRDs",
    f"{AGGREGATED_NAME} raw aggregated discovery request for CRDs",
)
def test_aggregated_discovery_of_custom_resources(api: Api, namespace: str) -> None:
    group = f"{namespace}.example.com"
    define(api, definition(group, ANYTHING, versions=("v1", "v2")))
    found = _aggregated(api, "/apis")[group]
    assert list(found) == ["v2", "v1"]
    for version, resources in found.items():
        (resource,) = resources
        assert resource["resource"] == "foos"
        # Empty: as the list they are in.
        assert resource["responseKind"]["kind"] == "Foo"
        assert resource["responseKind"].get("version") in ("", version)
        assert (resource["scope"], resource["singularResource"]) == ("Namespaced", "foo")
    api.delete(f"{CRDS}/foos.{group}")


VALIDATED: Object = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
                    "items": {
                        "type": "object",
                        "required": ["containerPort", "protocol"],
                        "properties": {
                            "containerPort": {"type": "integer"},
                            "hostIP": {"type": "string"},
                            "protocol": {"type": "string"},
                        },
                    },
                },
                "embedded": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-preserve-unknown-fields": True,
                },
            },
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "fields", "problems"),
    [
        case(
            f"{FIELDS} create/apply a CR with unknown fields for CRD with no validation schema",
            ANYTHING,
            '"spec":{"foo":"foo1","unknown":1}',
            (),
        ),
        case(
            f"{FIELDS} create/apply a valid CR for CRD with validation schema",
            VALIDATED,
            '"spec":{"cronSpec":"* * * * */5","ports":[{"containerPort":8080,"protocol":"TCP"}]}',
            (),
        ),
        case(
            f"{FIELDS} create/apply an invalid CR with extra properties for CRD with validation schema",
            VALIDATED,
            '"spec":{"cronSpec":"* * * * */5","extra":"x"}',
            ('unknown field "spec.extra"',),
        ),
        case(
            f"{FIELDS} detect duplicates in a CR when preserving unknown fields",
            ANYTHING,
            '"spec":{"foo":"a","foo":"b"}',
            ('duplicate field "spec.foo"',),
        ),
        case(
            f"{FIELDS} detect unknown metadata fields in both the root and embedded object of a CR",
            VALIDATED,
            '"spec":{"embedded":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","unknownSub":"x"}}}',
            ('unknown field "spec.embedded.metadata.unknownSub"',),
        ),
    ],
)
def test_fields_of_custom_resources(
    api: Api, namespace: str, schema: Object, fields: str, problems: tuple[str, ...]
) -> None:
    group = f"{namespace}.example.com"
    path = f"{define(api, definition(group, schema))}/namespaces/{namespace}/foos"
    text = f'{{"apiVersion":"{group}/v1","kind":"Foo","metadata":{{"name":"one"}},{fields}}}'
    created = api.send("POST", f"{path}?fieldValidation=Strict", text)
    assert created.status == (400 if problems else 201), created.text
    assert all(problem in created.text.replace("\\", "") for problem in problems)
    if not any("duplicate" in problem for problem in problems):
        applied = api.send(
            "PATCH",
            f"{path}/two?fieldManager=test&fieldValidation=Strict",
            text.replace('"one"', '"two"'),
            headers={"Content-Type": APPLY},
        )
        assert applied.status == (500 if problems else 201) or (problems and applied.status == 400), (
            applied.text
        )
    api.delete(f"{CRDS}/foos.{group}")


# Published schemas


PUBLISH = "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin]"


def published(api: Api, group: str, version: str, kind: str = "Foo") -> Any:
    """Return the schema that OpenAPI v3 has of a kind; None: it has none."""
    documents = api.get("/openapi/v3")["paths"]
    if f"apis/{group}/{version}" not in documents:
        return None
    schemas = api.get(f"/openapi/v3/apis/{group}/{version}")["components"]["schemas"]
    gvk = {"group": group, "version": version, "kind": kind}
    found = [s for s in schemas.values() if gvk in (s.get("x-kubernetes-group-version-kind") or ())]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("schema", "check"),
    [
        case(
            f"{PUBLISH} works for CRD with validation schema",
            VALIDATED,
            lambda s: "pattern" in s["properties"]["spec"]["properties"]["cronSpec"],
        ),
        case(
            f"{PUBLISH} works for CRD without validation schema",
            ANYTHING,
            lambda s: s.get("x-kubernetes-preserve-unknown-fields", True),
        ),
        case(
            f"{PUBLISH} works for CRD preserving unknown fields at the schema root",
            {**ANYTHING, "properties": {"spec": {"type": "object"}}},
            lambda s: s["x-kubernetes-preserve-unknown-fields"] is True,
        ),
        case(
            f"{PUBLISH} works for CRD preserving unknown fields in an embedded object",
            {"type": "object", "properties": {"spec": ANYTHING}},
            lambda s: s["properties"]["spec"]["x-kubernetes-preserve-unknown-fields"] is True,
        ),
    ],
)
def test_schemas_are_published(api: Api, namespace: str, schema: Object, check: Any) -> None:
    group = f"{namespace}.example.com"
    define(api, definition(group, schema))
    api.until("/openapi/v3", lambda o: f"apis/{group}/v1" in o["paths"], "the document")
    assert check(published(api, group, "v1"))
    definitions = api.until(
        "/openapi/v2", lambda o: any(namespace in name for name in o["definitions"]), "v2"
    )["definitions"]
    assert any(name.endswith(".v1.Foo") and namespace in name for name in definitions)
    api.delete(f"{CRDS}/foos.{group}")
    api.until("/openapi/v3", lambda o: f"apis/{group}/v1" not in o["paths"], "its end")


@covers(
    f"{PUBLISH} works for multiple CRDs of different groups",
    f"{PUBLISH} works for multiple CRDs of same group but different versions",
    f"{PUBLISH} works for multiple CRDs of same group and version but different kinds",
)
def test_schemas_of_many_definitions(api: Api, namespace: str) -> None:
    one, other = f"one.{namespace}.example.com", f"other.{namespace}.example.com"
    made = [
        definition(one, ANYTHING, versions=("v1", "v2")),
        definition(one, ANYTHING, kind="Bar"),
        definition(other, ANYTHING),
    ]
    for each in made:
        define(api, each)
    wanted = {(one, "v1", "Foo"), (one, "v2", "Foo"), (one, "v1", "Bar"), (other, "v1", "Foo")}
    api.until("/openapi/v3", lambda _: all(published(api, *each) for each in wanted), "all of them")
    for each in made:
        api.delete(f"{CRDS}/{each['metadata']['name']}")


@covers(
    f"{PUBLISH} removes definition from spec when one version gets changed to not be served",
    f"{PUBLISH} updates the published spec when one version gets renamed",
)
def test_schemas_follow_their_versions(api: Api, namespace: str) -> None:
    group = f"{namespace}.example.com"
    define(api, definition(group, VALIDATED, versions=("v1", "v2")))
    path = f"{CRDS}/foos.{group}"
    api.until("/openapi/v3", lambda _: published(api, group, "v2"), "the second version")
    renamed = definition(group, VALIDATED, versions=("v1", "v3"))["spec"]["versions"]
    api.patch(path, {"spec": {"versions": renamed}})
    api.until(
        "/openapi/v3",
        lambda _: published(api, group, "v3") and not published(api, group, "v2"),
        "the new name",
    )
    renamed[1]["served"] = False
    api.patch(path, {"spec": {"versions": renamed}})
    api.until("/openapi/v3", lambda _: not published(api, group, "v3"), "the version's end")
    assert published(api, group, "v1")
    api.delete(path)
