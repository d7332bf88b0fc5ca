"""What the API server counts, read as Prometheus would."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from podium.apiserver.http.request_info import request_info
from podium.apiserver.metrics import ApiServerMetrics, reported_verb, scope, short_user
from podium.apiserver.server import Config
from podium.base.http.message import Request
from podium.machinery.feature_gates import FeatureGates
from tests.apiserver.harness import Api, api

LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
PODS = "/api/v1/namespaces/default/configmaps"


async def read(server: Api) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = await server.send("GET", "/metrics", accept="*/*")
    assert response.headers.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    assert isinstance(response.body, bytes)
    found = {}
    for line in response.body.decode().splitlines():
        if line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        assert match is not None, line
        labels = frozenset(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
        found[match[1], labels] = float(match[3])
    return found


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def config_maps(verb: str, scope: str, **more: str) -> dict[str, str]:
    given = {"verb": verb, "group": "", "version": "v1", "resource": "configmaps", "subresource": ""}
    return {**given, "scope": scope, "component": "apiserver", **more}


def test_requests_watches_and_objects_are_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with api(tmp_path) as server:
            watching = await server.watch(f"{PODS}?watch=1")
            for name in ("a", "b"):
                await server.ok("POST", PODS, {"metadata": {"name": name}})
            await server.call("POST", PODS, {"metadata": {"name": "a"}})
            await server.ok("POST", f"{PODS}?dryRun=All", {"metadata": {"name": "c"}})
            await server.ok("GET", PODS)
            await server.ok("GET", f"{PODS}/a")
            await server.send("GET", "/apis/made.up/v1/things")
            await server.call("GET", f"{PODS}/a/made-up")
            await watching.client.expect(2)

            figures = await read(server)
            total = "apiserver_request_total"
            assert figures[key(total, **config_maps("POST", "resource", dry_run="", code="201"))] == 2
            assert figures[key(total, **config_maps("POST", "resource", dry_run="", code="409"))] == 1
            assert figures[key(total, **config_maps("POST", "resource", dry_run="All", code="201"))] == 1
            assert figures[key(total, **config_maps("LIST", "namespace", dry_run="", code="200"))] == 1
            assert figures[key(total, **config_maps("GET", "resource", dry_run="", code="200"))] == 1
            assert not any("made" in value for _, labels in figures for _, value in labels)

            watch = config_maps("WATCH", "namespace")
            assert figures[key("apiserver_longrunning_requests", **watch)] == 1
            assert key(total, **config_maps("WATCH", "namespace", dry_run="", code="200")) not in figures
            sent = {"group": "", "version": "v1", "resource": "configmaps"}
            assert figures[key("apiserver_watch_events_total", **sent)] == 2
            assert figures[key("apiserver_watch_events_sizes_bucket", **sent, le="1024")] == 2
            assert figures[key("apiserver_storage_objects", resource="configmaps")] >= 2
            stored = {"group": "", "resource": "configmaps"}
            assert figures[key("apiserver_resource_objects", **stored)] >= 2
            assert figures[key("etcd_requests_total", operation="create", **stored)] == 2
            assert figures[key("apiserver_cache_list_total", **stored, index="")] == 1
            assert figures[key("apiserver_current_inflight_requests", request_kind="readOnly")] == 1
            assert figures[key("apiserver_current_inflight_requests", request_kind="mutating")] == 1

            await watching.end()
            figures = await read(server)
            assert figures[key("apiserver_longrunning_requests", **watch)] == 0
            assert figures[key(total, **config_maps("WATCH", "namespace", dry_run="", code="200"))] == 1

    asyncio.run(scenario())


def test_what_the_server_is_and_what_its_cache_has_taken(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with api(tmp_path) as server:
            before = await read(server)
            stored = {"group": "", "resource": "configmaps"}
            for name in ("a", "b"):
                await server.ok("POST", PODS, {"metadata": {"name": name}})
            figures = await read(server)
            for family in (
                "apiserver_watch_cache_events_received_total",
                "apiserver_watch_cache_events_dispatched_total",
                "apiserver_storage_events_received_total",
            ):
                assert figures[key(family, **stored)] - before[key(family, **stored)] == 2
            assert figures[key("apiserver_watch_cache_initializations_total", **stored)] == 1
            made = await server.ok("GET", f"{PODS}/b")
            version = figures[key("apiserver_watch_cache_resource_version", **stored)]
            assert version == int(made["metadata"]["resourceVersion"])
            (build,) = [labels for name, labels in figures if name == "kubernetes_build_info"]
            assert {("major", "1"), ("minor", "36"), ("git_version", "v1.36.2")} <= build
            gates = {labels: value for (name, labels), value in figures.items() if "feature_enabled" in name}
            assert set(gates.values()) == {0, 1}
            assert gates[frozenset({("name", "CBORServingAndStorage"), ("stage", "ALPHA")})] == 0

    asyncio.run(scenario())


def test_a_client_that_is_cut_off_is_counted_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with api(tmp_path) as server:
            watching = await server.watch(f"{PODS}?watch=1")
            watching.client.stalled = True
            for index in range(6):
                data = {"x": "y" * 1_000_000}
                await server.ok("POST", PODS, {"metadata": {"name": f"big-{index}"}, "data": data})
            assert watching.client.aborted
            figures = await read(server)
            name = "apiserver_terminated_watchers_total"
            assert figures[key(name, group="", resource="configmaps")] == 1

    asyncio.run(scenario())


def test_health_checks_are_counted_at_an_address_of_their_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with api(tmp_path) as server:
            for path in ("/readyz", "/livez", "/livez/ping"):
                assert (await server.send("GET", path)).status == 200
            response = await server.send("GET", "/metrics/slis", accept="*/*")
            assert isinstance(response.body, bytes)
            lines = response.body.decode().splitlines()
            assert 'kubernetes_healthcheck{name="etcd",type="readyz"} 1' in lines
            assert 'kubernetes_healthchecks_total{name="ping",type="livez",status="success"} 2' in lines

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "target", "verb", "reach"),
    [
        ("GET", "/api/v1/pods", "LIST", "cluster"),
        ("GET", "/api/v1/namespaces/a/pods", "LIST", "namespace"),
        ("GET", "/api/v1/namespaces/a/pods/p", "GET", "resource"),
        ("GET", "/api/v1/namespaces/a/pods/p/log", "CONNECT", "resource"),
        ("POST", "/api/v1/namespaces/a/pods", "POST", "resource"),
        ("PUT", "/api/v1/nodes/n", "PUT", "resource"),
        ("DELETE", "/api/v1/namespaces/a/pods", "DELETE", "namespace"),
        ("GET", "/api/v1/pods?watch=true", "WATCH", "cluster"),
    ],
)
def test_verbs_and_scopes(method: str, target: str, verb: str, reach: str) -> None:
    info = request_info(Request(method=method, target=target))
    assert (reported_verb(info.verb, info), scope(info)) == (verb, reach)


@pytest.mark.parametrize(
    ("name", "label"),
    [("admin", "admin"), ("jo@example.com", "email_id"), ("system:node:a", "other")],
)
def test_users_stay_anonymous(name: str, label: str) -> None:
    assert short_user(name) == label


def test_histograms_have_upstreams_buckets() -> None:
    families = ApiServerMetrics().registry.families
    bounds = families["apiserver_response_sizes"].labels(*[""] * 7)
    assert getattr(bounds, "bounds", None) == (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
    request = families["apiserver_request_duration_seconds"].labels(*[""] * 8)
    assert len(getattr(request, "bounds", ())) == 23


def test_node_ports_are_counted_by_who_chose_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with api(tmp_path) as server:

            async def make(name: str, **port: int) -> int:
                spec = {"type": "NodePort", "ports": [{"port": 80, **port}]}
                body = {"metadata": {"name": name}, "spec": spec}
                return (await server.call("POST", "/api/v1/namespaces/default/services", body))[0]

            assert await make("chosen", nodePort=30001) == 201
            assert await make("any") == 201
            assert await make("taken", nodePort=30001) == 422
            assert await make("outside", nodePort=1) == 422
            figures = await read(server)
            prefix = "kube_apiserver_nodeport_allocator"
            assert figures[key(f"{prefix}_allocated_ports")] == 2
            assert figures[key(f"{prefix}_available_ports")] == 2766
            assert figures[key(f"{prefix}_allocation_total", scope="static")] == 1
            assert figures[key(f"{prefix}_allocation_total", scope="dynamic")] == 1
            assert figures[key(f"{prefix}_allocation_errors_total", scope="static")] == 2

    asyncio.run(scenario())


def test_versions_are_told_as_labels(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with api(tmp_path) as server:
            figures = await read(server)
            (versions,) = [dict(labels) for name, labels in figures if name == "version_info"]
            assert versions["binary"].startswith("1.36.")
            del versions["binary"]
            assert versions == {"component": "kube", "emulation": "1.36", "min_compat": "1.35"}

    asyncio.run(scenario())


def test_watch_lists_and_aggregations_are_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with api(tmp_path) as server:
            watching = await server.watch(
                f"{PODS}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                "&resourceVersionMatch=NotOlderThan"
            )
            await watching.client.expect(1)
            aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            for _ in range(2):
                await server.ok("GET", "/apis", accept=aggregated)
            figures = await read(server)
            labels = {"group": "", "version": "v1", "resource": "configmaps", "scope": "namespace"}
            assert figures[key("apiserver_watch_list_duration_seconds_count", **labels)] == 1
            assert figures[key("aggregator_discovery_aggregation_count_total")] == 1

    asyncio.run(scenario())


def test_what_the_process_is_and_how_it_was_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with api(tmp_path, config=Config(flags={"v": "2"})) as server:
            page = await server.send("GET", "/flagz", accept="text/plain")
            assert isinstance(page.body, bytes)
            assert page.body.endswith(b"\nv: 2\n")
            accept = "application/json;v=v1beta1;g=config.k8s.io;as=Statusz"
            told = await server.ok("GET", "/statusz", accept=accept)
            assert told["metadata"] == {"name": "apiserver"}
            assert told["paths"] == [
                *("/flagz", "/healthz", "/livez", "/metrics", "/readyz", "/statusz", "/version")
            ]
            status, _ = await server.call("GET", "/statusz")
            assert status == 406
        off = FeatureGates.parse(["zpagesfeatures:ComponentFlagz=false"], "1.36")
        async with api(tmp_path, config=Config(feature_gates=off)) as server:
            response = await server.send("GET", "/flagz", accept="*/*")
            assert response.status == 404

    asyncio.run(scenario())
