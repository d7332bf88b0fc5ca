"""An API server over an encrypted store: its clients notice nothing, and the disk says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.chain import Decision, RequestInfo, User
from podium.apiserver.encryption.encryption import Encryption
from podium.apiserver.server import Config
from podium.apiserver.server_id import hashed, server_id
from podium.base.clock import WallClock
from podium.machinery.feature_gates import FeatureGates
from podium.store.protocol import Record
from tests.apiserver.encryption.builders import IDENTITY, configuration, encryption, provider, rule
from tests.apiserver.harness import PATIENCE_S, Api, api

SECRETS = "/api/v1/namespaces/default/secrets"
WORD = "aGlkZGVuLWluLXBsYWluLXNpZ2h0"

Rules = tuple[dict[str, Any], ...]
KEY_1: Rules = (rule(["secrets"], provider("aesgcm", "key1"), IDENTITY),)
KEY_2_AND_1: Rules = (rule(["secrets"], provider("secretbox", "key2"), provider("aesgcm", "key1"), IDENTITY),)
KEY_2: Rules = (rule(["secrets"], provider("secretbox", "key2")),)

UNSAFE = Config(feature_gates=FeatureGates.parse(["AllowUnsafeMalformedObjectDeletion=true"], "1.36"))
OPTION = "ignoreStoreReadErrorWithClusterBreakingPotential"


def secret(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "finalizers": ["example.com/kept"]},
        "data": {"word": WORD},
    }


@asynccontextmanager
async def served(folder: Path, rules: Rules, **options: Any) -> AsyncIterator[Api]:
    """Run a server over the store in `folder`; without rules, as without the flag."""
    made = encryption(folder, *rules) if rules else None
    async with api(folder, encryption=made, **options) as running:
        yield running


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


async def raw(running: Api, key: str) -> bytes:
    record = await running.store.get(key)
    assert isinstance(record, Record)
    return record.value


def test_the_disk_says_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, KEY_1) as running:
            watching = await running.watch(f"{SECRETS}?watch=true")
            made = await running.ok("POST", SECRETS, secret("a"))
            assert made["data"] == {"word": WORD}
            assert await running.ok("GET", f"{SECRETS}/a") == made
            (event,) = await watching.client.expect(1)
            assert event["object"]["data"] == {"word": WORD}
            stored = await raw(running, "/registry/secrets/default/a")
            assert stored.startswith(b"k8s:enc:aesgcm:v1:key1:")
            namespace = await raw(running, "/registry/namespaces/default")
            assert namespace.startswith(b"{")
        async with served(tmp_path, KEY_1) as running:
            assert await running.ok("GET", f"{SECRETS}/a") == made

    run(main)
    # The whole file, its journal too.
    for path in tmp_path.glob("store.db*"):
        assert WORD.encode() not in path.read_bytes()


def test_everything_may_be_encrypted(tmp_path: Path) -> None:
    """What comes later, too: custom resources, whose definitions are objects themselves; and events."""
    rules = (rule(["leases.coordination.k8s.io"], IDENTITY), rule(["*.*"], provider("aescbc", "all")))
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "pandas.awesome.bears.example"},
        "spec": {
            "group": "awesome.bears.example",
            "scope": "Namespaced",
            "names": {"plural": "pandas", "singular": "panda", "kind": "Panda", "listKind": "PandaList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                    },
                }
            ],
        },
    }
    pandas = "/apis/awesome.bears.example/v1/namespaces/default/pandas"
    panda = {
        "apiVersion": "awesome.bears.example/v1",
        "kind": "Panda",
        "metadata": {"name": "po"},
        "eats": WORD,
    }
    involved = {"kind": "Pod", "namespace": "default", "name": "a"}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": involved,
        "message": WORD,
    }

    async def main() -> None:
        async with served(tmp_path, rules) as running:
            path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            await running.ok("POST", path, definition)
            async with asyncio.timeout(PATIENCE_S):
                while (await running.send("POST", pandas, panda)).status != 201:
                    await asyncio.sleep(0.01)
            await running.ok("POST", "/api/v1/namespaces/default/events", event)
            page = await running.store.list("/registry/")
            plain = {one.key for one in page.records if not one.value.startswith(b"k8s:enc:aescbc:v1:all:")}
            assert plain == set()
        async with served(tmp_path, rules) as running:
            assert (await running.ok("GET", f"{pandas}/po"))["eats"] == WORD
            assert (await running.ok("GET", "/api/v1/namespaces/default/events/e"))["message"] == WORD

    run(main)


def test_keys_are_rotated_by_writing_everything_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, ()) as running:
            await running.ok("POST", SECRETS, secret("plain"))
        async with served(tmp_path, KEY_1) as running:
            await running.ok("POST", SECRETS, secret("a"))
        async with served(tmp_path, KEY_2_AND_1) as running:
            listed = await running.ok("GET", SECRETS)
            for item in listed["items"]:
                name, before = item["metadata"]["name"], item["metadata"]["resourceVersion"]
                written = await running.ok("PUT", f"{SECRETS}/{name}", item)
                assert written["metadata"]["resourceVersion"] != before
                again = await running.ok("PUT", f"{SECRETS}/{name}", written)
                assert again == written
                stored = await raw(running, f"/registry/secrets/default/{name}")
                assert stored.startswith(b"k8s:enc:secretbox:v1:key2:")
        async with served(tmp_path, KEY_2) as running:
            listed = await running.ok("GET", SECRETS)
            assert [item["data"] for item in listed["items"]] == [{"word": WORD}] * 2

    run(main)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (KEY_2, "no matching prefix found"),
        (
            (rule(["secrets"], provider("aesgcm", "another")),),
            "no matching key was found for the provided AES transformer",
        ),
        ((rule(["secrets"], IDENTITY),), "no matching prefix found"),
        ((rule(["pods"], IDENTITY),), "identity transformer tried to read encrypted data"),
        ((), "identity transformer tried to read encrypted data"),
    ],
)
def test_what_cannot_be_decrypted_is_said(rules: Rules, why: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, KEY_1) as running:
            await running.ok("POST", SECRETS, secret("a"))
        async with served(tmp_path, rules) as running:
            for method, body in (("GET", None), ("PUT", secret("a")), ("DELETE", None)):
                code, status = await running.call(method, f"{SECRETS}/a", body)
                assert (code, status["reason"]) == (500, "InternalError")
                assert status["message"] == f"Internal error occurred: {why}"
            for path in (SECRETS, "/api/v1/secrets"):
                code, status = await running.call("GET", path)
                assert code == 500
                key = "/registry/secrets/default/a"
                assert status["message"] == f'Internal error occurred: unable to transform key "{key}": {why}'
            assert (await running.call("POST", SECRETS, secret("a")))[0] == 409
            assert (await running.call("GET", "/api/v1/namespaces/kube-system/secrets"))[0] == 200
            assert (await running.call("GET", "/api/v1/namespaces/default"))[0] == 200
            watching = await running.watch(f"{SECRETS}?watch=true")
            (event,) = await watching.client.expect(1)
            assert (event["type"], event["object"]["code"]) == ("ERROR", 500)
            # Without the gate the option means nothing.
            assert (await running.call("DELETE", f"{SECRETS}/a?{OPTION}=true"))[0] == 500

    run(main)


def test_what_cannot_be_decrypted_may_be_deleted(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, KEY_1) as running:
            for name in ("a", "b"):
                await running.ok("POST", SECRETS, secret(name))
        async with served(tmp_path, KEY_2, config=UNSAFE) as running:
            await running.ok("POST", SECRETS, secret("good"))
            corrupt = (
                "StorageError: corrupt object, Code: 7, Key: {}/secrets/default/a, ResourceVersion: 0, "
                "AdditionalErrorMsg: data from the storage is not transformable revision=0: no matching "
                "prefix found"
            )
            _, status = await running.call("GET", f"{SECRETS}/a")
            assert status["message"] == "Internal error occurred: " + corrupt.format("")
            code, status = await running.call("GET", SECRETS)
            assert (code, status["reason"]) == (500, "StorageReadError")
            assert status["message"] == "failed to read one or more secrets from the storage"
            assert status["details"]["causes"][0] == {
                "reason": "UnexpectedServerResponse",
                "message": corrupt.format("/registry"),
                "field": "/registry/secrets/default/a",
            }
            for target, body, words in (
                (f"{SECRETS}/good?{OPTION}=true", None, "is exclusively used to delete corrupt object(s)"),
                (f"{SECRETS}/a", {OPTION: True, "dryRun": ["All"]}, "cannot be set together with .dryRun"),
                (
                    f"{SECRETS}/a?{OPTION}=true&gracePeriodSeconds=0",
                    None,
                    "together with .gracePeriodSeconds",
                ),
                (f"{SECRETS}?{OPTION}=true", None, "is not allowed with DELETECOLLECTION"),
            ):
                code, status = await running.call("DELETE", target, body)
                assert code == 422
                assert words in status["message"]
            gone = await running.ok("DELETE", f"{SECRETS}/a", {OPTION: True})
            assert (gone["kind"], gone["status"]) == ("Status", "Success")
            assert (await running.call("GET", f"{SECRETS}/a"))[0] == 404
            await running.ok("DELETE", f"{SECRETS}/b?{OPTION}=true")
            listed = await running.ok("GET", SECRETS)
            assert [item["metadata"]["name"] for item in listed["items"]] == ["good"]

    run(main)


class Nobody:
    """Denies everything."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return Decision(allowed=False, reason=f"no {info.verb}")


def test_such_a_deletion_needs_a_permission(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, KEY_1) as running:
            await running.ok("POST", SECRETS, secret("a"))
        async with served(tmp_path, KEY_2, config=UNSAFE) as running:
            running.server.registry.authorizer = Nobody()
            code, status = await running.call("DELETE", f"{SECRETS}/a?{OPTION}=true")
            assert code == 403
            assert status["message"] == (
                'secrets "a" is forbidden: not permitted to do "unsafe-delete-ignore-read-errors", reason: '
                "no unsafe-delete-ignore-read-errors"
            )
            assert (await running.call("GET", f"{SECRETS}/a"))[0] == 500

    run(main)


class Hasty(WallClock):
    """A clock on which nothing takes long."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


def test_the_configuration_is_followed(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "encryption.yaml"

        def write(rules: Rules) -> None:
            path.write_bytes(configuration(*rules))

        write(KEY_1)
        made = Encryption(path, reload=True, clock=Hasty())
        async with api(tmp_path, encryption=made) as running:
            assert "[+]kms-providers ok" in await page(running, "/healthz?verbose")
            await running.ok("POST", SECRETS, secret("a"))
            path.write_text("nonsense")

            async def refused() -> bool:
                return 'automatic_reloads_total{status="failure"' in await page(running, "/metrics")

            await until(refused)
            write(KEY_2_AND_1)

            async def rewritten() -> bool:
                item = await running.ok("GET", f"{SECRETS}/a")
                await running.ok("PUT", f"{SECRETS}/a", item)
                return (await raw(running, "/registry/secrets/default/a")).startswith(b"k8s:enc:secretbox")

            await until(rewritten)
            text = await page(running, "/metrics")
            server = hashed(server_id())
            assert f'automatic_reloads_total{{status="success",apiserver_id_hash="{server}"}}' in text
            assert (
                'apiserver_storage_transformation_operations_total{resource="secrets",'
                'transformation_type="to_storage",transformer_prefix="k8s:enc:secretbox:v1:",status="OK"}'
            ) in text

    run(main)


def test_what_could_not_be_read_is_read_when_the_key_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, KEY_1) as running:
            await running.ok("POST", SECRETS, secret("a"))
        path = tmp_path / "encryption.yaml"
        path.write_bytes(configuration(*KEY_2))
        made = Encryption(path, reload=True, clock=Hasty())
        async with api(tmp_path, encryption=made) as running:
            assert (await running.call("GET", SECRETS))[0] == 500
            path.write_bytes(configuration(*KEY_2_AND_1))

            async def back() -> bool:
                return (await running.call("GET", SECRETS))[0] == 200

            await until(back)
            assert (await running.ok("GET", f"{SECRETS}/a"))["data"] == {"word": WORD}
            watching = await running.watch(f"{SECRETS}?watch=true")
            (event,) = await watching.client.expect(1)
            assert event["object"]["metadata"]["name"] == "a"

    run(main)


async def page(running: Api, path: str) -> str:
    body = (await running.send("GET", path)).body
    return (body if isinstance(body, bytes) else b"".join(body)).decode()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():
            await asyncio.sleep(0.01)
