"""Conversion between versions by a webhook over TLS: what it is asked, what it may change, how it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from podium.machinery.errors import Object
from tests.apiserver.admission.webhooks.hooks import CRDS, Hooks, run, until_served, version
from tests.apiserver.harness import Api

V1 = "/apis/example.com/v1/namespaces/default/widgets"
V2 = "/apis/example.com/v2/namespaces/default/widgets"
Test = Callable[[Api, Hooks], Awaitable[None]]


def renamed(request: Object) -> Object:
    """Convert: v1 has spec.size, v2 has spec.width."""
    old, new = ("size", "width") if request["desiredAPIVersion"].endswith("v2") else ("width", "size")
    converted = []
    for obj in request["objects"]:
        spec = dict(obj.get("spec") or {})
        if old in spec:
            spec[new] = spec.pop(old)
        converted.append({**obj, "apiVersion": request["desiredAPIVersion"], "spec": spec})
    return {"convertedObjects": converted, "result": {"status": "Success"}}


def changed(change: Callable[[Object], Any]) -> Callable[[Object], Object]:
    """Convert, and then do something to each object."""

    def reply(request: Object) -> Object:
        response = renamed(request)
        for obj in response["convertedObjects"]:
            obj["metadata"] = dict(obj["metadata"])
            change(obj)
        return response

    return reply


async def define(running: Api, client: Object) -> None:
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    definition = {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [version("v1"), version("v2", storage=False)],
            "conversion": {"strategy": "Webhook", "webhook": webhook},
        },
    }
    await running.ok("POST", CRDS, definition)
    await until_served(running, "/apis/example.com/v1", "/apis/example.com/v2")


def widget(name: str, **spec: Any) -> Object:
    api_version = "example.com/v2" if "width" in spec else "example.com/v1"
    metadata = {"name": name, "labels": {"a": "b"}}
    return {"apiVersion": api_version, "kind": "Widget", "metadata": metadata, "spec": spec}


def with_webhook(directory: Path, test: Test) -> None:
    async def whole(running: Api, hooks: Hooks) -> None:
        hooks.replies["/convert"] = renamed
        await define(running, hooks.client("/convert"))
        await test(running, hooks)

    run(directory, whole)


def test_an_object_is_read_and_written_in_both_versions(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        await running.ok("POST", V1, widget("a", size=3))
        assert hooks.requests("/convert") == []
        found = await running.ok("GET", f"{V2}/a")
        assert found["apiVersion"] == "example.com/v2"
        assert found["spec"] == {"width": 3}
        (asked,) = hooks.requests("/convert")
        assert asked["desiredAPIVersion"] == "example.com/v2"
        assert [obj["apiVersion"] for obj in asked["objects"]] == ["example.com/v1"]
        await running.ok("POST", V2, widget("b", width=5))
        assert (await running.ok("GET", f"{V1}/b"))["spec"] == {"size": 5}
        merge = {"spec": {"width": 6}}
        patched = await running.ok("PATCH", f"{V2}/b", merge, type="application/merge-patch+json")
        assert patched["spec"] == {"width": 6}
        assert (await running.ok("GET", f"{V1}/b"))["spec"] == {"size": 6}

    with_webhook(tmp_path, test)


def test_a_list_is_converted_in_one_review(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        for name in ("a", "b", "c"):
            await running.ok("POST", V1, widget(name, size=1))
        hooks.asked.clear()
        found = await running.ok("GET", V2)
        assert [item["spec"] for item in found["items"]] == [{"width": 1}] * 3
        assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b", "c"]
        (asked,) = hooks.requests("/convert")
        assert len(asked["objects"]) == 3

    with_webhook(tmp_path, test)


def test_of_the_metadata_only_labels_and_annotations_may_change(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        stored = await running.ok("POST", V1, widget("a", size=3))

        def change(obj: Object) -> None:
            obj["metadata"] |= {"labels": {"x": "y"}, "annotations": {"n": "1"}, "generation": 99}
            obj["metadata"] |= {"resourceVersion": "1", "finalizers": ["example.com/f"]}

        hooks.replies["/convert"] = changed(change)
        metadata = (await running.ok("GET", f"{V2}/a"))["metadata"]
        assert metadata["labels"] == {"x": "y"}
        assert metadata["annotations"] == {"n": "1"}
        for name in ("generation", "resourceVersion", "uid", "creationTimestamp"):
            assert metadata[name] == stored["metadata"][name]
        assert "finalizers" not in metadata

    with_webhook(tmp_path, test)


HEAD = "conversion webhook for example.com/v1, Kind=Widget "


def _renaming(obj: Object) -> None:
    obj["metadata"]["name"] = "other"


def _relabelling(obj: Object) -> None:
    obj["metadata"]["labels"] = {"a": 1}


def _mislabelling(obj: Object) -> None:
    obj["metadata"]["labels"] = {"a b": "c"}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (changed(_renaming), "returned invalid object: must have the same name: a != other"),
        (
            changed(lambda obj: obj["metadata"].pop("uid")),
            "returned invalid object: must have the same UID: ",
        ),
        (
            changed(lambda obj: obj.update(apiVersion="example.com/v3")),
            "returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received "
            "example.com/v3)",
        ),
        (
            changed(lambda obj: obj.update(kind="Gadget")),
            "returned invalid object at index 0: invalid kind (expected Widget, received Gadget)",
        ),
        (
            changed(_relabelling),
            "returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted "
            "object",
        ),
        (changed(_mislabelling), 'returned invalid metadata: metadata.labels: Invalid value: "a b": '),
        (lambda _: {"result": {"status": "Failure", "message": "no way"}}, "failed: no way"),
        (
            lambda _: {"result": {"status": "Success"}, "convertedObjects": []},
            "returned 0 objects, expected 1",
        ),
        (lambda request: {**renamed(request), "uid": "x"}, 'failed: expected response.uid="'),
        (lambda _: {"convertedObjects": []}, "failed: response.result.status was '', not 'Success'"),
    ],
)
def test_what_a_webhook_does_wrong(tmp_path: Path, reply: Callable[[Object], Object], message: str) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        await running.ok("POST", V1, widget("a", size=3))
        hooks.replies["/convert"] = reply
        status, body = await running.call("GET", f"{V2}/a")
        assert status == 500
        assert body["message"].startswith(HEAD + message)
        # What is stored is still there, and the server goes on.
        assert (await running.ok("GET", f"{V1}/a"))["spec"] == {"size": 3}

    with_webhook(tmp_path, test)


def test_faults_in_a_list_say_which_object(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        for name in ("a", "b"):
            await running.ok("POST", V1, widget(name, size=3))

        def change(obj: Object) -> None:
            if obj["metadata"]["name"] == "b":
                obj["metadata"]["name"] = "c"

        hooks.replies["/convert"] = changed(change)
        status, body = await running.call("GET", V2)
        assert status == 500
        assert body["message"] == (
            "conversion webhook for example.com/v1, Kind=WidgetList returned invalid converted object at "
            "index 1: must have the same name: b != c"
        )

    with_webhook(tmp_path, test)


def test_a_webhook_that_cannot_be_trusted_or_reached(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        client = hooks.client("/convert")
        del client["caBundle"]
        await define(running, client)
        await running.ok("POST", V1, widget("a", size=3))
        status, body = await running.call("GET", f"{V2}/a")
        assert status == 500
        assert "x509: certificate signed by unknown authority" in body["message"]
        status, body = await running.call("POST", V2, widget("b", width=3))
        assert status == 500
        assert (await running.call("GET", f"{V1}/b"))[0] == 404
        await hooks.server.stop()
        status, body = await running.call("GET", f"{V2}/a")
        assert status == 500
        assert body["message"].startswith(f'{HEAD}failed: Post "{hooks.url}/convert?timeout=30s": ')

    run(tmp_path, test)
