"""Paths and bodies that attack: objects by the wrong path, patches that cost, bombs, races for quota."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import orjson

from podium.machinery.errors import Object
from tests.apiserver.security.cluster import ALICE, NS, ROOT, Cluster, pod, rule, run

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"


def definition(plural: str, scope: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    kind = plural.capitalize().removesuffix("s")
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    spec = {"group": "example.com", "scope": scope, "names": names, "versions": [version]}
    return {"metadata": {"name": f"{plural}.example.com"}, "spec": spec}


async def settled(cluster: Cluster, path: str) -> None:
    while (await cluster.call(ROOT, "GET", path))[0] != 200:
        await asyncio.sleep(0.02)


def test_cve_2019_11247_a_namespaced_path_reaches_no_object_of_the_cluster(tmp_path: Path) -> None:
    """Whoever rules a namespace must not, by putting it into the path, rule objects that are in none."""

    async def attack(cluster: Cluster) -> None:
        for plural, scope in (("globals", "Cluster"), ("locals", "Namespaced")):
            await cluster.ok("POST", CRDS, definition(plural, scope))
            await settled(cluster, f"/apis/example.com/v1/{plural}")
        await cluster.ok(
            "POST",
            "/apis/example.com/v1/globals",
            {
                "apiVersion": "example.com/v1",
                "kind": "Global",
                "metadata": {"name": "g"},
            },
        )
        await cluster.grant(ALICE, rule("*", "*", "*"), namespace="default")
        home = "/apis/example.com/v1/namespaces/default"
        made = {"apiVersion": "example.com/v1", "kind": "Global", "metadata": {"name": "new"}}
        for method, path, body in (
            ("GET", f"{home}/globals", None),
            ("GET", f"{home}/globals?watch=1", None),
            ("GET", f"{home}/globals/g", None),
            ("POST", f"{home}/globals", made),
            ("PUT", f"{home}/globals/g", {**made, "metadata": {"name": "g"}}),
            ("PATCH", f"{home}/globals/g", {"metadata": {"labels": {"a": "b"}}}),
            ("DELETE", f"{home}/globals/g", None),
            ("DELETE", f"{home}/globals", None),
            ("GET", f"{home}/globals/g/status", None),
        ):
            status, _ = await cluster.call(
                ALICE, method, path, body, type=MERGE if method == "PATCH" else "application/json"
            )
            assert status in (404, 405), (method, path, status)
        for method, path in (
            ("GET", "/apis/example.com/v1/globals/g"),
            ("GET", "/apis/example.com/v1/locals/x"),
        ):
            assert (await cluster.call(ALICE, method, path))[0] == 403
        # The same of what is built in.
        for path in (f"{NS}/nodes/n1", f"{NS}/nodes", f"{NS}/persistentvolumes", f"{NS}/namespaces"):
            assert (await cluster.call(ALICE, "GET", path))[0] in (403, 404, 405), path
        for method, path in (
            ("GET", f"{NS}/namespaces/kube-system"),
            ("DELETE", f"{NS}/namespaces/kube-system"),
            ("GET", f"{NS}/namespaces?watch=1"),
            ("PUT", f"{NS}/namespaces/kube-system/finalize"),
            ("GET", f"{NS}/namespaces/kube-system/status"),
        ):
            status, _ = await cluster.call(ALICE, method, path, {} if method == "PUT" else None)
            assert status in (404, 405), (method, path, status)
        await cluster.ok("GET", "/api/v1/namespaces/default", who=ALICE)
        await cluster.ok("GET", "/api/v1/namespaces/default/status", who=ALICE)
        found = await cluster.ok("GET", "/apis/example.com/v1/globals")
        assert [one["metadata"]["name"] for one in found["items"]] == ["g"]
        assert "labels" not in found["items"][0]["metadata"]

    run(tmp_path, attack)


def test_cve_2019_1002100_a_json_patch_costs_no_more_than_its_size(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        await cluster.ok("POST", f"{NS}/configmaps", {"metadata": {"name": "c"}, "data": {"a": "x" * 1000}})
        path = f"{NS}/configmaps/c"

        async def patched(operations: object) -> tuple[int, str]:
            status, answer = await cluster.call(ROOT, "PATCH", path, operations, type=JSON_PATCH)
            return status, answer.get("message", "")

        many = [{"op": "add", "path": "/data/b", "value": "c"}] * 10_001
        assert await patched(many) == (
            413,
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
        )
        # Each copy doubles what is there: a kilobyte would be a terabyte.
        doubling = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "x" * 1000}}]
        for level in range(30):
            doubling.append(
                {"op": "copy", "from": "/metadata/annotations", "path": f"/metadata/annotations/l{level}"}
            )
        status, _ = await patched(doubling)
        assert status in (400, 413, 422), status
        growing = [{"op": "copy", "from": "/data/a", "path": f"/data/c{number}"} for number in range(9_999)]
        status, _ = await patched(growing)
        assert status in (413, 422), status
        nested = {"data": 1}
        for _ in range(5_000):
            nested = {"data": nested}  # type: ignore[dict-item]
        status, _ = await cluster.call(ROOT, "PATCH", path, orjson_deep(5_000), type=MERGE)
        assert status in (400, 422), status
        assert (await cluster.ok("GET", path))["data"] == {"a": "x" * 1000}

    run(tmp_path, attack)


def orjson_deep(depth: int) -> bytes:
    return b'{"data":' * depth + b"1" + b"}" * depth


def laughs() -> bytes:
    """Return a YAML text of a few hundred bytes that means some billions of strings."""
    lines = ["metadata: {name: bomb}", "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, 10):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines).encode()


def test_cve_2019_11253_what_unpacks_to_much_more_than_it_is(tmp_path: Path) -> None:
    """What unpacks to much more than it is: compressed, aliased, nested, repeated."""

    async def attack(cluster: Cluster) -> None:
        body = orjson.dumps({"metadata": {"name": "bomb"}, "data": {"a": "0" * 20_000_000}})
        zipped = gzip.compress(body)
        for coding in ("gzip", "deflate", "br", "gzip, gzip"):
            status, answer = await cluster.call(
                ROOT, "POST", f"{NS}/configmaps", zipped, headers=(("content-encoding", coding),)
            )
            assert status in (400, 415), (coding, answer)
        for raw, kind in (
            (laughs(), "application/yaml"),
            (b"[" * 100_000, "application/yaml"),
            (b"{a: " * 100_000, "application/yaml"),
            (b'{"a":' * 100_000, "application/json"),
            (b"[" * 1_000_000, "application/json"),
            (b"k8s\x00" + b"\x0a\xff\xff\xff\xff\x0f" * 1000, "application/vnd.kubernetes.protobuf"),
            (b'{"metadata":{"name":"bomb"},"data":' + b'{"a":"b",' * 1 + b'"a":"c"}}', "application/json"),
        ):
            status, answer = await cluster.call(ROOT, "POST", f"{NS}/configmaps", raw, type=kind)
            assert status in (201, 400, 413, 422), (kind, status, answer)
        many = {"metadata": {"name": "b"}, "data": {f"k{number}": "" for number in range(200_000)}}
        status, _ = await cluster.call(ROOT, "POST", f"{NS}/configmaps", many)
        assert status in (201, 413, 422)
        await cluster.ok("GET", "/version")

    run(tmp_path, attack)


def test_racing_creates_never_exceed_a_quota(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        hard = {"pods": "3", "requests.cpu": "250m", "count/configmaps": "5"}
        quota = {"metadata": {"name": "q"}, "spec": {"hard": hard}}
        await cluster.ok("POST", f"{NS}/resourcequotas", quota)
        used = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}
        await cluster.ok("PATCH", f"{NS}/resourcequotas/q/status", used, type=MERGE)
        requests = {"requests": {"cpu": "100m"}}
        pods = [pod(f"p{number}") for number in range(20)]
        for one in pods:
            one["spec"]["containers"][0]["resources"] = requests
        maps = [{"metadata": {"name": f"c{number}"}} for number in range(20)]
        answers = await asyncio.gather(
            *(cluster.call(ROOT, "POST", f"{NS}/pods", one) for one in pods),
            *(cluster.call(ROOT, "POST", f"{NS}/configmaps", one) for one in maps),
        )
        statuses = [status for status, _ in answers]
        assert set(statuses) <= {201, 403, 409}, statuses
        assert statuses[:20].count(201) <= 2, "two of 100m are all that fit into 250m"
        assert statuses[20:].count(201) <= 5
        assert 201 in statuses[:20] and 201 in statuses[20:]
        assert len((await cluster.ok("GET", f"{NS}/pods"))["items"]) == statuses[:20].count(201)

    run(tmp_path, attack)


def test_racing_updates_never_exceed_a_quota(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        hard = {"services.loadbalancers": "2"}
        await cluster.ok("POST", f"{NS}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}})
        await cluster.ok("PATCH", f"{NS}/resourcequotas/q/status", {"status": {"hard": hard}}, type=MERGE)
        ports = {"ports": [{"port": 80}]}
        for number in range(8):
            await cluster.ok("POST", f"{NS}/services", {"metadata": {"name": f"s{number}"}, "spec": ports})
        balanced = {"spec": {"type": "LoadBalancer"}}
        answers = await asyncio.gather(
            *(cluster.call(ROOT, "PATCH", f"{NS}/services/s{n}", balanced, type=MERGE) for n in range(8))
        )
        assert sorted(status for status, _ in answers) == [200] * 2 + [403] * 6

    run(tmp_path, attack)
