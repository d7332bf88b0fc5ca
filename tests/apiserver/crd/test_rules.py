"""Rules of custom resources through the API: definitions, writes, statuses, patches and warnings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from podium.machinery.errors import Object
from tests.apiserver.harness import Api, api

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/example.org/v1/namespaces/default/things"

SPEC = {
    "type": "object",
    "properties": {
        "min": {"type": "integer", "default": 0},
        "max": {"type": "integer"},
        "name": {
            "type": "string",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed"}],
        },
        "note": {"type": "string", "x-kubernetes-validations": [{"rule": "self.startsWith('ok')"}]},
    },
    "x-kubernetes-validations": [
        {
            "rule": "!has(self.max) || self.min <= self.max",
            "messageExpression": "'%d is more than %d'.format([self.min, self.max])",
            "fieldPath": ".max",
        }
    ],
}
STATUS = {
    "type": "object",
    "properties": {"ready": {"type": "integer"}},
    "x-kubernetes-validations": [{"rule": "!has(self.ready) || self.ready >= 0"}],
}


def definition(spec: Object) -> Object:
    schema = {"type": "object", "properties": {"spec": spec, "status": STATUS}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    version["subresources"] = {"status": {}}
    return {
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [version],
        },
    }


def thing(called: str = "a", /, **spec: Any) -> Object:
    return {
        "apiVersion": "example.org/v1",
        "kind": "Thing",
        "metadata": {"name": called, "namespace": "default"},
        "spec": spec,
    }


def run(directory: Path, test: Callable[[Api], Awaitable[None]], spec: Object = SPEC) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30), api(directory) as running:
            await running.ok("POST", CRDS, definition(spec))
            while (await running.send("GET", THINGS)).status == 404:
                await asyncio.sleep(0.005)
            await test(running)

    asyncio.run(whole())


async def refused(running: Api, method: str, target: str, body: Any, **options: str) -> list[tuple[str, str]]:
    status, answer = await running.call(method, target, body, **options)
    assert status == 422, answer["message"]
    return [(cause["field"], cause["message"]) for cause in answer["details"]["causes"]]


def test_an_object_that_breaks_a_rule_is_not_created(tmp_path: Path) -> None:
    async def test(running: Api) -> None:
        found = await refused(running, "POST", THINGS, thing(min=5, max=3))
        assert found == [("spec.max", "Invalid value: 5 is more than 3")]
        # Defaults are there when rules run.
        found = await refused(running, "POST", THINGS, thing(max=-1))
        assert found == [("spec.max", "Invalid value: 0 is more than -1")]
        await running.ok("POST", THINGS, thing(min=1, max=3))

    run(tmp_path, test)


def test_every_way_of_writing_runs_them(tmp_path: Path) -> None:
    async def test(running: Api) -> None:
        made = await running.ok("POST", THINGS, thing(min=1, max=3, name="x"))
        made["spec"]["name"] = "y"
        assert await refused(running, "PUT", f"{THINGS}/a", made) == [
            ("spec.name", 'Invalid value: "y": fixed')
        ]
        merge = "application/merge-patch+json"
        assert await refused(running, "PATCH", f"{THINGS}/a", {"spec": {"max": 0}}, type=merge) == [
            ("spec.max", "Invalid value: 1 is more than 0")
        ]
        apply = thing(min=7)
        target = f"{THINGS}/a?fieldManager=me&force=true"
        assert await refused(running, "PATCH", target, apply, type="application/apply-patch+yaml") == [
            ("spec.max", "Invalid value: 7 is more than 3")
        ]
        dry = f"{THINGS}?dryRun=All"
        assert len(await refused(running, "POST", dry, thing("b", min=5, max=3))) == 1

    run(tmp_path, test)


def test_a_status_is_checked_by_its_rules(tmp_path: Path) -> None:
    async def test(running: Api) -> None:
        await running.ok("POST", THINGS, thing(min=1))
        merge = "application/merge-patch+json"
        assert await refused(
            running, "PATCH", f"{THINGS}/a/status", {"status": {"ready": -1}}, type=merge
        ) == [("status", "Invalid value: failed rule: !has(self.ready) || self.ready >= 0")]
        await running.ok("PATCH", f"{THINGS}/a/status", {"status": {"ready": 1}}, type=merge)

    run(tmp_path, test)


def test_a_stricter_definition_leaves_old_values_alone_and_warns(tmp_path: Path) -> None:
    lax = {"type": "object", "properties": {"note": {"type": "string"}, "max": {"type": "integer"}}}

    async def test(running: Api) -> None:
        await running.ok("POST", THINGS, thing(note="bad"))
        old = await running.ok("GET", f"{CRDS}/things.example.org")
        old["spec"]["versions"][0]["schema"] = definition(SPEC)["spec"]["versions"][0]["schema"]
        await running.ok("PUT", f"{CRDS}/things.example.org", old)
        while (await running.call("POST", f"{THINGS}?dryRun=All", thing("b", note="bad")))[0] != 422:
            await asyncio.sleep(0.005)
        merge = "application/merge-patch+json"
        answer = await running.send("PATCH", f"{THINGS}/a", {"spec": {"max": 3}}, type=merge)
        assert answer.status == 200
        warnings = [value for name, value in answer.headers if name.lower() == "warning"]
        told = '299 - "spec.note: Invalid value: \\"bad\\": failed rule: self.startsWith(\'ok\')"'
        assert warnings == [told]
        assert (
            len(await refused(running, "PATCH", f"{THINGS}/a", {"spec": {"note": "worse"}}, type=merge)) == 1
        )

    run(tmp_path, test, lax)


def test_rules_wait_until_the_rest_is_right(tmp_path: Path) -> None:
    async def test(running: Api) -> None:
        found = await refused(running, "POST", THINGS, thing(min="x", max=3))
        assert [field for field, _ in found] == ["spec.min", "<nil>"]
        assert "some validation rules were not checked because the object was invalid" in found[1][1]

    run(tmp_path, test)


def test_a_definition_whose_rules_cost_too_much_is_refused(tmp_path: Path) -> None:
    async def test(running: Api) -> None:
        texts = {"type": "array", "items": {"type": "string"}}
        rule = {"rule": "self.l.all(x, self.l.all(y, x != y))"}
        costly = {"type": "object", "properties": {"l": texts}, "x-kubernetes-validations": [rule]}
        other = definition(costly)
        other["metadata"]["name"] = "others.example.org"
        other["spec"]["names"] = {"plural": "others", "singular": "other", "kind": "Other"}
        found = await refused(running, "POST", CRDS, other)
        assert "estimated rule cost exceeds budget by factor of more than 100x" in found[0][1]

    run(tmp_path, test)


def test_nobody_waits_for_a_costly_rule(tmp_path: Path) -> None:
    numbers = {"type": "array", "maxItems": 200, "items": {"type": "integer"}}
    rule = {"rule": "self.l.all(x, self.l.all(y, x + y >= 0))"}
    costly = {"type": "object", "properties": {"l": numbers}, "x-kubernetes-validations": [rule]}

    async def test(running: Api) -> None:
        slow = asyncio.create_task(running.call("POST", THINGS, thing(l=list(range(200)))))
        await asyncio.sleep(0)
        await running.ok("GET", "/api/v1/namespaces/default/configmaps")
        assert not slow.done()
        assert (await slow)[0] == 201

    run(tmp_path, test, costly)


def test_the_time_in_rules_is_told(tmp_path: Path) -> None:
    async def test(running: Api) -> None:
        for name in ("a", "b"):
            await running.ok("POST", THINGS, thing(name, max=1))
        page = running.server.metrics.registry.text().decode()
        assert "apiserver_cel_compilation_duration_seconds_count 1" in page
        assert "apiserver_cel_evaluation_duration_seconds_count 2" in page

    run(tmp_path, test)
