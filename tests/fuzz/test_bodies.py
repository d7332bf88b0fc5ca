"""Bodies made to exhaust a server: deep, long, self-referring, or with work that outgrows them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver.http.negotiation import JSON, PROTOBUF, YAML
from podium.apiserver.registry.patch import APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from podium.machinery.codec import protobuf
from tests.fuzz.corpus import collection_of, manifests
from tests.fuzz.served import Served, served

pytestmark = pytest.mark.fuzz

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"
THINGS = "/apis/fuzz.example.com/v1/namespaces/default/things"
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY)


def run(directory: Path, test: Callable[[Served], Awaitable[None]]) -> None:
    async def main() -> None:
        async with served(directory) as server:
            await test(server)
            # Whatever came before, the next request is served.
            status, _ = await server.call("GET", CONFIG_MAPS)
            assert status == 200

    asyncio.run(main())


def message(content: bytes) -> str:
    return str(orjson.loads(content)["message"])


def _forced(type: str) -> str:
    return "fieldManager=a&force=true" if type == APPLY else "fieldManager=a"


def nested(depth: int, brackets: str = "{}") -> str:
    opening, closing = ('{"a":', "}") if brackets == "{}" else ("[", "]")
    return opening * depth + "1" + closing * depth


DEPTHS = (201, 254, 255, 500, 1000, 1024, 1025, 100_000)


@pytest.mark.parametrize("brackets", ["{}", "[]"])
def test_deep_json_is_refused(tmp_path: Path, brackets: str) -> None:
    async def test(server: Served) -> None:
        await server.call("POST", CONFIG_MAPS, {"metadata": {"name": "there"}})
        for depth in DEPTHS:
            body = f'{{"apiVersion":"v1","kind":"ConfigMap","data":{nested(depth, brackets)}}}'.encode()
            for method, path in (("POST", CONFIG_MAPS), ("PUT", f"{CONFIG_MAPS}/a")):
                status, content = await server.call(method, path, body)
                assert (status, "exceeded max depth" in message(content)) == (400, True), depth
            for type in PATCH_TYPES:
                target = f"{CONFIG_MAPS}/there?fieldManager=a"
                status, content = await server.call("PATCH", target, body, type=type)
                assert (status, "depth" in message(content)) == (400, True), (depth, type)

    run(tmp_path, test)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="flow"),
        pytest.param(b"{a: " * 50_000, id="flow maps"),
        pytest.param(b"- " * 100_000 + b"a", id="block"),
        pytest.param(b"? " * 100_000 + b"a", id="keys"),
        pytest.param(("a: " + "[" * 500 + "]" * 500).encode(), id="flow of 500"),
        pytest.param("\n".join(" " * i + "a:" for i in range(800)).encode(), id="block maps"),
        pytest.param(
            b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + b"".join(
                b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 10)) for i in range(9)
            ),
            id="a billion laughs",
        ),
        pytest.param(b"a: &a {b: *a}", id="itself"),
        pytest.param(b"<<: &a [*a]", id="merging itself"),
        pytest.param(b"a: 0x" + b"f" * 10_000, id="a long integer"),
        pytest.param(b"a: " + b"9" * 10_000, id="a long decimal"),
        pytest.param(b"a: 1e" + b"9" * 10_000, id="a large exponent"),
        pytest.param(b"a: !!binary \xff\xfe", id="no text"),
        pytest.param(b"a: !!python/object/apply:os.system [id]", id="a tag that means code"),
    ],
)
def test_hostile_yaml_is_refused(tmp_path: Path, body: bytes) -> None:
    async def test(server: Served) -> None:
        for method, path, type in (
            ("POST", CONFIG_MAPS, YAML),
            ("PATCH", f"{CONFIG_MAPS}/a?fieldManager=a", APPLY),
            ("DELETE", f"{CONFIG_MAPS}/a", YAML),
        ):
            status, _ = await server.call(method, path, body, type=type)
            assert 400 <= status < 500 or (status == 500 and type == APPLY), (method, status)

    run(tmp_path, test)


def test_deep_protobuf_is_refused(tmp_path: Path) -> None:
    """A schema in a schema in a schema ...: the one message that may hold itself."""
    not_schema = 25  # JSONSchemaProps.not
    raw = b""
    for _ in range(2000):
        raw = _field(not_schema, raw)
    version = _field(1, b"v1") + _field(4, _field(1, raw))
    definition = _field(2, _field(7, version))
    body = protobuf.wrap("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition)

    async def test(server: Served) -> None:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        status, _ = await server.call("POST", path, body, type=PROTOBUF)
        assert status == 400

    run(tmp_path, test)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


async def define_things(server: Served) -> None:
    definition = next(obj for obj in manifests() if obj["kind"] == "CustomResourceDefinition")
    status, content = await server.call("POST", collection_of(definition), definition)
    assert status == 201, content
    async with asyncio.timeout(10):
        while (await server.call("GET", THINGS))[0] != 200:
            await asyncio.sleep(0.01)


def thing(spec: Any) -> Any:
    return {"apiVersion": "fuzz.example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}


def test_deep_custom_resources_are_kept_or_refused(tmp_path: Path) -> None:
    async def test(server: Served) -> None:
        await define_things(server)
        deepest = orjson.loads(nested(190))
        status, content = await server.call("POST", THINGS, thing({"free": deepest}))
        assert status == 201, content[:300]
        for form in ("*/*", YAML, "application/json;as=Table;v=v1;g=meta.k8s.io"):
            status, _ = await server.call("GET", f"{THINGS}/t", accept=form)
            assert status == 200, form
        status, content = await server.call("GET", f"{THINGS}/t")
        assert orjson.loads(content)["spec"]["free"] == deepest
        for type, patch in (
            (MERGE_PATCH, {"spec": {"text": "a"}}),
            (JSON_PATCH, [{"op": "replace", "path": "/spec/text", "value": "b"}]),
            (APPLY, thing({"text": "c"})),
        ):
            status, content = await server.call("PATCH", f"{THINGS}/t?{_forced(type)}", patch, type=type)
            assert status == 200, content[:300]
        # Each patch alone is shallow; the object grows deeper with every one of them.
        inner = "/spec/free" + "/a" * 189
        grow = [{"op": "add", "path": inner, "value": orjson.loads(nested(100))}]
        status, _ = await server.call("PATCH", f"{THINGS}/t", grow, type=JSON_PATCH)
        assert status == 422

    run(tmp_path, test)


def test_json_patches_have_bounds(tmp_path: Path) -> None:
    async def test(server: Served) -> None:
        await server.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"k": "v" * 100}})
        target = f"{CONFIG_MAPS}/a"
        one = {"op": "add", "path": "/data/x", "value": "y"}
        status, _ = await server.call("PATCH", target, [one] * 10_000, type=JSON_PATCH)
        assert status == 200
        status, content = await server.call("PATCH", target, [one] * 10_001, type=JSON_PATCH)
        assert status == 413
        assert message(content) == (
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
        )
        # Forty doublings of a hundred bytes would be a hundred terabytes.
        doubling = [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(40)]
        status, _ = await server.call("PATCH", target, doubling, type=JSON_PATCH)
        assert status == 422
        nesting = [{"op": "copy", "from": "/metadata", "path": "/metadata/a"}] * 200
        status, _ = await server.call("PATCH", target, nesting, type=JSON_PATCH)
        assert status == 422

    run(tmp_path, test)


@pytest.mark.parametrize("type", [JSON, YAML])
def test_huge_bodies_of_small_parts_are_answered_in_time(tmp_path: Path, type: str) -> None:
    """Work must grow with the body, not with its square."""
    count = 60_000 if type == JSON else 6_000
    keys = {f"a{number}": "b" for number in range(count)}
    names = [f"a.b/{number}" for number in range(count)]

    async def test(server: Served) -> None:
        await define_things(server)

        def body(value: Any) -> bytes:
            return json.dumps(value).encode()

        unknown = {"metadata": {"name": "u"}, "kind": "ConfigMap", "apiVersion": "v1", **keys}
        response = await server.send("POST", CONFIG_MAPS, body(unknown), type=type)
        assert response.status == 201
        warnings = [value for name, value in response.headers if name == "warning"]
        assert 0 < len(warnings) <= 100
        twice = '{"metadata":{"name":"d"},"data":{' + '"a":"b",' * count + '"a":"b"}}'
        status, _ = await server.call("POST", CONFIG_MAPS, twice.encode(), type=type)
        assert status == 201
        finalizers = {"metadata": {"name": "f", "finalizers": names}}
        status, _ = await server.call("POST", CONFIG_MAPS, body(finalizers), type=type)
        assert status == 201
        aliases = {
            "metadata": {"name": "p"},
            "spec": {
                "containers": [{"name": "c", "image": "i"}],
                "hostAliases": [{"ip": "10.0.0.1"}] * (count // 2),
            },
        }
        status, _ = await server.call("POST", PODS, body(aliases), type=type)
        assert status in (201, 403), "allowed, with a warning for each, or without its service account"
        ports = [{"name": f"p{n}", "port": n % 60_000 + 1} for n in range(count // 4)]
        service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": ports}}
        status, content = await server.call("POST", SERVICES, body(service), type=type)
        assert status in (201, 422, 500), content[:300]
        assert status != 500 or b"range is full" in content
        tags = thing({"tags": names, "parts": [{"a": f"{n}", "b": n} for n in range(count // 10)]})
        status, content = await server.call("POST", THINGS, body(tags), type=type)
        assert status == 201, content[:300]

    run(tmp_path, test)


@pytest.mark.parametrize("type", [MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY])
def test_huge_patches_are_answered_in_time(tmp_path: Path, type: str) -> None:
    count = 30_000
    new = [f"c.d/{number}" for number in range(count)]
    containers = [{"name": f"c{number}", "image": "i"} for number in range(count // 4)]

    async def test(server: Served) -> None:
        for finalizers in ([f"a.b/{number}" for number in range(count)], new[::-1]):
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "f", "finalizers": finalizers},
            }
            await server.call("POST", CONFIG_MAPS, body)
            target = f"{CONFIG_MAPS}/f?{_forced(type)}"
            status, content = await server.call("PATCH", target, body, type=type)
            assert status == 200, content[:300]
        deployment = next(obj for obj in manifests() if obj["kind"] == "Deployment")
        await server.call("POST", collection_of(deployment), deployment)
        deployment["spec"]["template"]["spec"]["containers"] = containers
        target = f"{collection_of(deployment)}/deployment?{_forced(type)}"
        for _ in range(2):
            status, content = await server.call("PATCH", target, deployment, type=type)
            assert status == 200, content[:300]

    run(tmp_path, test)


NOISE = {
    "empty": b"",
    "zeros": b"\x00" * 1000,
    "no text": b'{"metadata": {"name": "\xff\xfe"}}',
    "half a surrogate pair": b'{"metadata": {"name": "\\ud800"}}',
    "twice": b'{"metadata": {"name": "a", "name": "b"}, "metadata": 5}',
    "a long number": b"9" * 100_000,
    "a long number inside": b'{"data": {"a": ' + b"9" * 5_000 + b"}}",
    "an endless number": b'{"data": {"a": 1e99999}}',
    "two values": b"nullnull",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a length beyond all": b"k8s\x00\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "a kind that is no text": b"k8s\x00\x0a\x04\x12\x02\xff\xfe",
    "groups": b"k8s\x00" + b"\x0b" * 100,
    "an integer without end": b"k8s\x00" + b"\x80" * 100,
}


@pytest.mark.parametrize("type", [JSON, YAML, PROTOBUF, *PATCH_TYPES, "text/plain", "a/b;" + "c" * 1000, "/"])
def test_noise_is_the_clients_fault(tmp_path: Path, type: str) -> None:
    async def test(server: Served) -> None:
        patches = "patch" in type
        method, path = ("PATCH", f"{CONFIG_MAPS}/a?fieldManager=a") if patches else ("POST", CONFIG_MAPS)
        for name, body in NOISE.items():
            status, content = await server.call(method, path, body, type=type)
            assert 400 <= status < 500, (name, content[:300])
            status, content = await server.call("DELETE", f"{PODS}/none", body, type=type)
            assert 400 <= status < 500, (name, content[:300])

    run(tmp_path, test)
