"""Requests to which upstream's own server, asked the same, once said something else: a row for each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from podium.machinery.codec import protobuf
from tests.apiserver.harness import api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
A = f"{CONFIGMAPS}/a"
SCALE = "/apis/apps/v1/namespaces/default/deployments/d/scale"
JSON = "application/json"
YAML = "application/yaml"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    },
}
PROTOBUF = "application/vnd.kubernetes.protobuf"
HEAD = "apiVersion: v1\nkind: ConfigMap\n"


class Asked(NamedTuple):
    """One request, and what is to come of it: a status, what the message ends with or has, the warnings."""

    name: str
    method: str
    path: str
    type: str
    body: Any
    status: int
    message: str = ""
    warnings: tuple[str, ...] = ()


ROWS = [
    Asked(
        "strict merge patch shows what it made, sorted where it went",
        "PATCH",
        f"{A}?fieldValidation=Strict",
        MERGE,
        b'{"zz":1,"data":{"k":"v","k":"<"}}',
        422,
        ': strict decoding error: duplicate field "data.k", unknown field "zz"',
    ),
    Asked(
        "what no patch has touched is in the order of the types",
        "PATCH",
        A,
        JSON_PATCH,
        [{"op": "add", "path": "/data/k", "value": 1}],
        422,
        r'"{\"apiVersion\":\"v1\",\"data\":{\"j\":\"\\u003c\",\"k\":1},\"kind\":\"ConfigMap\",'
        r"\"metadata\":{\"name\":\"a\",\"namespace\":\"default\",\"uid\":",
    ),
    Asked(
        "strategic merge patch shows itself",
        "PATCH",
        f"{A}?fieldValidation=Strict",
        STRATEGIC,
        {"foo": 1},
        422,
        'patch: Invalid value: "map[foo:1]": strict decoding error: unknown field "foo"',
    ),
    Asked(
        "the converter has words of its own",
        "PATCH",
        A,
        STRATEGIC,
        {"data": [1]},
        422,
        'patch: Invalid value: "map[data:[1]]": cannot restore map from slice',
    ),
    Asked(
        "operations of a JSON patch are read strictly",
        "PATCH",
        f"{A}?dryRun=All",
        JSON_PATCH,
        b'[{"op":"test","path":"/kind","value":"x","value":"ConfigMap","bar":{"a":1,"a":2}}]',
        200,
        warnings=('json patch duplicate field "[0].value"', 'json patch unknown field "[0].bar"'),
    ),
    Asked(
        "an operation that is none",
        "PATCH",
        A,
        JSON_PATCH,
        [1],
        400,
        "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp",
    ),
    Asked(
        "apply warns of keys that come twice",
        "PATCH",
        f"{A}?fieldManager=m&dryRun=All",
        APPLY,
        (HEAD + "metadata: {name: a}\ndata: {x: y, x: z}\n").encode(),
        200,
        warnings=('line 4: key "x" already set in map',),
    ),
    Asked(
        "strict apply refuses them",
        "PATCH",
        f"{A}?fieldManager=m&fieldValidation=Strict",
        APPLY,
        b'{"apiVersion":"v1","kind":"ConfigMap","data":{"x":"y","x":"z"}}',
        400,
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
        '  line 1: key "x" already set in map',
    ),
    Asked(
        "what is applied is an object",
        "PATCH",
        f"{A}?fieldManager=m",
        APPLY,
        b"- a\n",
        400,
        "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array "
        "into Go value of type map[string]interface {}",
    ),
    Asked(
        "each line is a warning of its own",
        "POST",
        f"{CONFIGMAPS}?dryRun=All",
        YAML,
        b"metadata: {name: z, x: 1, x: 2}\ndata: {}\ndata: {}\n",
        201,
        warnings=(
            'line 1: key "x" already set in map',
            'line 3: key "data" already set in map',
            'unknown field "metadata.x"',
        ),
    ),
    Asked(
        "nobody cares how often an unknown field comes, or what is in it",
        "POST",
        f"{CONFIGMAPS}?dryRun=All",
        JSON,
        b'{"metadata":{"x":{"a":1,"a":2},"x":1,"labels":{"a":"b","a":"c"}},"metadata":{"name":"z"}}',
        201,
        warnings=(
            'unknown field "metadata.x"',
            'duplicate field "metadata.labels.a"',
            'duplicate field "metadata"',
        ),
    ),
    Asked("broken YAML", "POST", CONFIGMAPS, YAML, b"x: 1\na: b: c", 400, "yaml: line 2: mapping values are"),
    Asked("YAML that is no object is shown as sent", "POST", CONFIGMAPS, YAML, b"'x'", 400, "} (277827)"),
    Asked(
        "generateName of an update", "PATCH", A, MERGE, {"metadata": {"generateName": "A_B"}}, 422, "RFC 1123"
    ),
    Asked(
        "finalizers of an update",
        "PATCH",
        "/apis/coordination.k8s.io/v1/namespaces/default/leases/a",
        MERGE,
        {"metadata": {"finalizers": ["A B"]}},
        422,
        "metadata.finalizers: Invalid value",
    ),
    Asked(
        "a scale of another object",
        "PATCH",
        f"{SCALE}?fieldValidation=Strict",
        MERGE,
        {"metadata": {"uid": "x"}},
        409,
        'cannot be fulfilled on deployments/scale.apps "d": Precondition failed: UID in precondition: x, ',
    ),
    Asked(
        "a scale is replaced like an object",
        "PUT",
        SCALE,
        JSON,
        {"metadata": {"name": "d", "uid": "x"}},
        409,
        'on deployments.apps "d": StorageError: invalid object, Code: 4, Key: /registry/deployments/default',
    ),
    Asked(
        "a scale of another kind",
        "PATCH",
        SCALE,
        MERGE,
        {"kind": "Foo"},
        422,
        ': no kind "Foo" is registered for version "autoscaling/v1" in scheme',
    ),
    Asked(
        "a scale of a version of old",
        "PUT",
        SCALE,
        JSON,
        {"kind": "Scale", "apiVersion": "extensions/v1beta1", "metadata": {"name": "d"}},
        400,
        "the API version in the data (extensions/v1beta1) does not match the expected API version (auto",
    ),
    Asked("strategic merge knows no kinds", "PATCH", SCALE, STRATEGIC, {"kind": "Foo"}, 200),
    Asked("nor for objects", "PATCH", A, STRATEGIC, {"kind": "Secret", "apiVersion": "v9"}, 200),
    Asked(
        "a kind is decoded before it is found to be another",
        "PATCH",
        A,
        MERGE,
        {"kind": "Secret"},
        422,
        ": illegal base64 data at input byte 0",
    ),
    Asked(
        "the converter and what Go cannot convert",
        "PATCH",
        SCALE,
        STRATEGIC,
        {"spec": {"replicas": "1"}},
        422,
        "unrecognized type: int32",
    ),
    Asked(
        "a token for somebody else",
        "POST",
        "/api/v1/namespaces/default/serviceaccounts/default/token",
        JSON,
        {"metadata": {"name": "x"}},
        422,
        ' is invalid: metadata.name: Invalid value: "x": must match the service account name',
    ),
    Asked(
        "preconditions in the query",
        "DELETE",
        f"{A}?uid=x",
        JSON,
        None,
        409,
        "the UID in the precondition (x)",
    ),
    Asked(
        "and those of a collection",
        "DELETE",
        f"{CONFIGMAPS}?resourceVersion=0",
        JSON,
        None,
        409,
        "the ResourceVersion in the precondition (0) does not match",
    ),
    Asked(
        "a token before a version",
        "GET",
        f"{CONFIGMAPS}?continue=x&resourceVersion=x",
        JSON,
        None,
        400,
        "continue token",
    ),
    Asked(
        "a watch from nowhere",
        "GET",
        f"{CONFIGMAPS}?watch=1&resourceVersion=x",
        JSON,
        None,
        500,
        "resourceVersion: Inv",
    ),
    Asked(
        "strategic merge takes 3.0 for 3",
        "PATCH",
        f"{DEPLOYMENTS}/d",
        STRATEGIC,
        b'{"spec":{"replicas":3.0}}',
        200,
    ),
    Asked(
        "an operation without a name",
        "PATCH",
        A,
        JSON_PATCH,
        [{"op": 1}],
        400,
        "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
    ),
    Asked(
        "which nobody minds who ignores fields",
        "PATCH",
        f"{A}?fieldValidation=Ignore",
        JSON_PATCH,
        [{"op": 1}],
        422,
        "the server rejected our request due to an error in our request",
    ),
    Asked(
        "broken, ignoring fields",
        "PATCH",
        f"{A}?fieldValidation=Ignore",
        MERGE,
        b"{",
        400,
        "Invalid JSON Patch",
    ),
    Asked(
        "a blank is no DeleteOptions",
        "DELETE",
        f"{A}?dryRun=All",
        JSON,
        b" ",
        400,
        "unexpected end of JSON input",
    ),
    Asked("an empty envelope", "DELETE", A, PROTOBUF, b"k8s\x00", 400, "empty body"),
    Asked(
        "half an envelope",
        "PUT",
        A,
        PROTOBUF,
        b"k8s\x00\n",
        400,
        "(must be of type ConfigMap): unexpected EOF (6b3",
    ),
    Asked(
        "half an object",
        "PUT",
        A,
        PROTOBUF,
        protobuf.wrap("v1", "ConfigMap", b"\x0a\x05"),
        400,
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: unexpected EOF',
    ),
    Asked("reviews have no names", "POST", "/apis/authentication.k8s.io/v1/tokenreviews/x", JSON, {}, 404),
    Asked("nothing is below a subresource", "GET", "/api/v1/namespaces/default/status/x", JSON, None, 404),
]


def test_requests(tmp_path: Path) -> None:
    async def main() -> list[tuple[str, Any]]:
        wrong: list[tuple[str, Any]] = []
        async with api(tmp_path) as server:
            await server.ok("POST", CONFIGMAPS, {"metadata": {"name": "a"}, "data": {"j": "<"}})
            await server.ok("POST", DEPLOYMENTS, DEPLOYMENT)
            leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
            await server.ok("POST", leases, {"metadata": {"name": "a"}})
            for row in ROWS:
                response = await server.send(row.method, row.path, row.body, type=row.type)
                assert isinstance(response.body, bytes)
                warnings = response.headers.get_all("warning")
                told = tuple(value.removeprefix("299 - ").replace('\\"', '"')[1:-1] for value in warnings)
                text = orjson.loads(response.body).get("message", "")
                if (response.status, told) != (row.status, row.warnings) or row.message not in text:
                    wrong.append((row.name, (response.status, told, text)))
        return wrong

    assert asyncio.run(main()) == []


def test_an_event_has_no_dependents_to_orphan(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            events = "/api/v1/namespaces/default/events"
            event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}}
            await server.ok("POST", events, event)
            status = await server.ok("DELETE", f"{events}/e", {"propagationPolicy": "Orphan"})
            assert status["details"]["name"] == "e"
            assert (await server.call("GET", f"{events}/e"))[0] == 404

    asyncio.run(main())


def test_a_daemon_set_keeps_the_generation_of_its_template(tmp_path: Path) -> None:
    """Whoever writes the status may write all other annotations."""

    async def main() -> None:
        async with api(tmp_path) as server:
            sets = "/apis/apps/v1/namespaces/default/daemonsets"
            made = await server.ok("POST", sets, DEPLOYMENT)
            patch = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}]
            changed = await server.ok("PATCH", f"{sets}/d/status", patch, type=JSON_PATCH)
            assert changed["metadata"]["annotations"] == {"a": "b", **made["metadata"]["annotations"]}

    asyncio.run(main())


def test_who_owns_replicas_after_writes_of_a_scale(tmp_path: Path) -> None:
    """Upstream writes no times for them, and nobody owns a zero."""

    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", DEPLOYMENTS, DEPLOYMENT)

            async def owners() -> list[tuple[str, str, bool]]:
                found = (await server.ok("GET", f"{DEPLOYMENTS}/d"))["metadata"]["managedFields"]
                return [
                    (entry["manager"], entry.get("subresource", ""), "time" in entry)
                    for entry in found
                    if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
                ]

            assert await owners() == [("tester", "", True)]
            await server.ok("PATCH", f"{SCALE}?fieldManager=one", {"spec": {"replicas": 3}}, type=MERGE)
            assert await owners() == [("one", "scale", False)]
            labelled = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"labels": {"a": "b"}}}
            await server.ok("PATCH", f"{SCALE}?fieldManager=two", labelled, type=APPLY)
            assert await owners() == [("one", "scale", False)]
            await server.ok("PUT", f"{SCALE}?fieldManager=one", {"metadata": {"name": "d"}})
            assert await owners() == []
            applied = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 2}}
            await server.ok("PATCH", f"{SCALE}?fieldManager=two", applied, type=APPLY)
            assert await owners() == [("two", "scale", False)]

    asyncio.run(main())
