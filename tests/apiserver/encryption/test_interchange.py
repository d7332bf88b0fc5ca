"""What upstream's API server has written is read, encrypted or not, and written as JSON when it changes."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver.encryption.ciphers import Gcm
from podium.apiserver.encryption.transformers import Context
from podium.machinery.codec import protobuf
from podium.store.sqlite import SqliteStore
from tests.apiserver.encryption.builders import IDENTITY, encryption, provider, rule
from tests.apiserver.harness import api

KEY_1 = provider("aesgcm", "key1")
CREATED = "2024-01-01T00:00:00Z"


def metadata(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "creationTimestamp": CREATED,
        "labels": {"app": "web"},
        **more,
    }


def upstreams(definition: str, api_version: str, kind: str, obj: dict[str, Any]) -> bytes:
    return protobuf.wrap(api_version, kind, protobuf.encode(definition, obj))


SECRET = upstreams(
    "io.k8s.api.core.v1.Secret",
    "v1",
    "Secret",
    {
        "metadata": metadata("s"),
        "data": {"word": base64.b64encode(b"open sesame").decode()},
        "type": "Opaque",
    },
)
CONFIG = upstreams(
    "io.k8s.api.core.v1.ConfigMap", "v1", "ConfigMap", {"metadata": metadata("c"), "data": {"a": "b"}}
)
SCALER = upstreams(
    "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
    "autoscaling/v1",
    "HorizontalPodAutoscaler",
    {
        "metadata": metadata("h"),
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
            "maxReplicas": 3,
            "targetCPUUtilizationPercentage": 50,
        },
    },
)


def encrypted(key: str, value: bytes) -> bytes:
    told = KEY_1["aesgcm"]["keys"][0]
    cipher = Gcm(base64.b64decode(told["secret"]))
    return b"k8s:enc:aesgcm:v1:key1:" + cipher.encrypt(value, Context(key.encode(), ""))


def test_objects_of_upstream(tmp_path: Path) -> None:
    secret_key = "/registry/secrets/default/s"
    rules = rule(["secrets"], KEY_1, IDENTITY)

    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        await store.create(secret_key, encrypted(secret_key, SECRET))
        await store.create("/registry/configmaps/default/c", CONFIG)
        await store.create("/registry/horizontalpodautoscalers/default/h", SCALER)
        await store.close()
        async with api(tmp_path, encryption=encryption(tmp_path, rules)) as running:
            secret = await running.ok("GET", "/api/v1/namespaces/default/secrets/s")
            assert base64.b64decode(secret["data"]["word"]) == b"open sesame"
            assert secret["metadata"]["creationTimestamp"] == CREATED
            assert not {"generateName", "selfLink", "generation"} & secret["metadata"].keys()
            listed = await running.ok("GET", "/api/v1/configmaps?labelSelector=app%3Dweb")
            assert [item["data"] for item in listed["items"]] == [{"a": "b"}]
            path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/h"
            scaler = await running.ok("GET", path)
            assert scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50

            secret["data"]["more"] = "eA=="
            await running.ok("PUT", "/api/v1/namespaces/default/secrets/s", secret)
            record = await running.store.get(secret_key)
            assert record is not None
            assert record.value.startswith(b"k8s:enc:aesgcm:v1:key1:")
            cipher = Gcm(base64.b64decode(KEY_1["aesgcm"]["keys"][0]["secret"]))
            plain, _ = cipher.decrypt(record.value[23:], Context(secret_key.encode(), ""))
            assert orjson.loads(plain)["data"]["more"] == "eA=="

    asyncio.run(main())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"metadata":[1]}',
        b"k8s\x00",
        b"k8s\x00\x0a\xff",
        protobuf.wrap("v1", "Pod", b"\xff"),
        protobuf.wrap("example.com/v1", "Unheard", b""),
    ],
)
def test_what_is_no_object_harms_nobody(value: bytes, tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        await store.create("/registry/pods/default/p", value)
        await store.close()
        async with api(tmp_path) as running:
            code, status = await running.call("GET", "/api/v1/namespaces/default/pods/p")
            assert (code, status["reason"]) == (500, "InternalError")
            assert (await running.call("GET", "/api/v1/pods"))[0] == 500
            await running.ok("GET", "/api/v1/namespaces/default")

    asyncio.run(main())
