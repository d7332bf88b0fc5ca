"""Mutated objects, patches and bytes, at every verb: each gets an answer that blames the client, or works.

`PODIUM_FUZZ_REQUESTS` sets how many requests are made (more for a longer run), `PODIUM_FUZZ_SEED` another
start. A failure names the request, and the traceback that the server's log has.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import resource
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

import podium.apiserver.server
from podium.apiserver.http.negotiation import JSON, PROTOBUF, YAML
from podium.apiserver.registry.patch import APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from podium.machinery.codec import protobuf
from tests.fuzz.corpus import Seed, collection_of, manifests, seeds
from tests.fuzz.mutate import Mutator
from tests.fuzz.served import Served, served

pytestmark = pytest.mark.fuzz

REQUESTS = int(os.environ.get("PODIUM_FUZZ_REQUESTS", "4000"))
SEED = int(os.environ.get("PODIUM_FUZZ_SEED", "1"))
ROUNDS = 4
MEMORY_GROWTH_BYTES_MAX = 400 * 1024 * 1024

NAMES = 3
ACCEPTS = (
    "*/*",
    JSON,
    YAML,
    PROTOBUF,
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
)

# What upstream answers with a 500, too: its words for it, which are more often than not plain text.
UPSTREAMS = re.compile(
    "|".join(
        (
            r"failed to create typed (patch|live) object",
            r"failed to (create manager for existing fields|convert|prune|merge)",
            r"unknown patch type: ",
            r"list element types are not identical",
            r"does not contain declared merge key",
            r"The order in patch list:",
            r"expected a \[\]interface \{\}, but received a ",
            r"expected a map\[string\]interface \{\}, but received a ",
            r"unable to find api field in struct ",
            r"merging lists cannot yet be specified in the patch",
            r"cannot merge lists without merge key",
            r"strconv.ParseUint: parsing ",
            r"target.kind: Unsupported value: ",
            r"target.name: Required value",
            r"resourceVersion should not be set on objects to be created",
        )
    )
)


Sent = tuple[str, str, bytes, str]
"""Method, target, body, media type."""


class Campaign:
    """One seeded series of requests to one server."""

    def __init__(self, server: Served, chance: random.Random, corpus: list[Seed]) -> None:
        self.server = server
        self.chance = chance
        self.mutator = Mutator(chance)
        self.corpus = corpus
        self.own = [seed for seed in corpus if seed.name.startswith("own/")]
        self.statuses: dict[int, int] = {}
        self.traceback = ""
        """What the server logged last."""
        self.failures: dict[str, str] = {}
        """The first request that failed in each place."""

    async def run(self, requests: int) -> None:
        for number in range(requests):
            seed = self.chance.choice(self.own if self.chance.random() < 0.6 else self.corpus)
            method, target, body, type = self._request(seed)
            accept = self.chance.choice(ACCEPTS)
            status, content = await self.server.call(method, target, body, type=type, accept=accept)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status >= 500 and not UPSTREAMS.search(content.decode(errors="replace")):
                what = f"#{number} {seed.name}: {method} {target} {type} -> {status} {content[:300]!r}"
                where = "\n".join(self.traceback.splitlines()[-3:])
                self.failures.setdefault(where, f"{what}\n{body[:2000]!r}\n{self.traceback[-2500:]}")
                self.traceback = ""

    def logged(self, *_arguments: Any, **_fields: Any) -> None:
        self.traceback = traceback.format_exc()

    def _object(self, seed: Seed) -> Any:
        obj = orjson.loads(orjson.dumps(seed.obj))
        obj.setdefault("metadata", {})
        if self.chance.random() < 0.9:
            fresh = self.chance.random() < 0.3
            obj["metadata"]["name"] = (
                f"n{self.chance.random()}" if fresh else f"z{self.chance.randrange(NAMES)}"
            )
            obj["metadata"].pop("resourceVersion", None)
            obj["metadata"].pop("namespace", None)
        return obj

    def _request(self, seed: Seed) -> Sent:
        ways: tuple[Callable[[Seed, Any], Sent], ...] = (
            self._create,
            self._update,
            self._in_yaml,
            self._in_protobuf,
            self._apply,
            self._patch,
            self._patch,
            self._json_patch,
            self._delete,
            self._subresource,
        )
        return self.chance.choice(ways)(seed, self._object(seed))

    def _query(self) -> str:
        more = ("", "", "&dryRun=All", "&fieldValidation=Strict", "&fieldValidation=Ignore")
        return "?fieldManager=fuzz" + self.chance.choice(more)

    def _text(self, obj: Any, times: int) -> bytes:
        """Return an object mutated up to so many times, as JSON whose bytes may be mutated, too."""
        text = _json(self.mutator.mutate(obj, self.chance.randrange(times + 1)))
        return self.mutator.bytes(text) if self.chance.random() < 0.15 else text

    def _create(self, seed: Seed, obj: Any) -> Sent:
        return "POST", seed.collection + self._query(), self._text(obj, 3), JSON

    def _update(self, seed: Seed, obj: Any) -> Sent:
        return "PUT", _path(seed, obj) + self._query(), self._text(obj, 3), JSON

    def _in_yaml(self, seed: Seed, obj: Any) -> Sent:
        method, path = self.chance.choice((("POST", seed.collection), ("PUT", _path(seed, obj))))
        text = _yaml(self.mutator.mutate(obj, 1))
        if self.chance.random() < 0.5:
            text = self.mutator.bytes(text)
        return method, path + self._query(), text, YAML

    def _in_protobuf(self, seed: Seed, obj: Any) -> Sent:
        method, path = self.chance.choice((("POST", seed.collection), ("PUT", _path(seed, obj))))
        if seed.protobuf and self.chance.random() < 0.7:
            raw = self.mutator.bytes(seed.protobuf)
        else:
            noise = self.chance.randbytes(self.chance.randrange(40))
            raw = protobuf.wrap(seed.obj["apiVersion"], seed.obj["kind"], noise)
        return method, path + self._query(), raw, PROTOBUF

    def _apply(self, seed: Seed, obj: Any) -> Sent:
        part = self.chance.choice(("", "", "", "/status", "/scale"))
        query = self._query() + self.chance.choice(("", "&force=true"))
        return "PATCH", _path(seed, obj) + part + query, self._text(obj, 2), APPLY

    def _patch(self, seed: Seed, obj: Any) -> Sent:
        """Some of an object, mutated."""
        path = _path(seed, obj) + self.chance.choice(("", "", "", "/status", "/scale"))
        part = self.mutator.mutate(obj, self.chance.randrange(0, 4))
        if isinstance(part, dict):
            keep = min(len(part), self.chance.randrange(1, 4))
            part = {key: part[key] for key in self.chance.sample(sorted(part), k=keep)}
        type = self.chance.choice((MERGE_PATCH, STRATEGIC_MERGE_PATCH))
        return "PATCH", path + self._query(), _json(part), type

    def _json_patch(self, seed: Seed, obj: Any) -> Sent:
        part = self.chance.choice(("", "", "/status", "/scale"))
        return "PATCH", _path(seed, obj) + part + self._query(), _json(self._operations(obj)), JSON_PATCH

    def _delete(self, seed: Seed, obj: Any) -> Sent:
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": "x"},
            "propagationPolicy": "Foreground",
            "dryRun": ["All"],
        }
        return (
            "DELETE",
            _path(seed, obj),
            _json(self.mutator.mutate(options, self.chance.randrange(1, 4))),
            JSON,
        )

    def _subresource(self, seed: Seed, obj: Any) -> Sent:
        method, subresource, body = self._through_subresource(obj)
        return method, _path(seed, obj) + subresource + self._query(), self._text(body, 2), JSON

    def _through_subresource(self, obj: Any) -> tuple[str, str, Any]:
        """Return a method, a subresource and what it takes."""
        meta = {"name": obj["metadata"].get("name")}
        special: dict[str, tuple[tuple[str, str, Any], ...]] = {
            "Pod": (
                ("POST", "/binding", {"metadata": meta, "target": {"kind": "Node", "name": "z0"}}),
                ("POST", "/eviction", {"metadata": meta, "deleteOptions": {"gracePeriodSeconds": 0}}),
                ("PUT", "/ephemeralcontainers", obj),
                ("PUT", "/resize", obj),
            ),
            "Namespace": (("PUT", "/finalize", obj),),
            "CertificateSigningRequest": (("PUT", "/approval", obj),),
            "ServiceAccount": (("POST", "/token", {"spec": {"audiences": ["a"], "expirationSeconds": 600}}),),
        }
        scale = {"metadata": meta, "spec": {"replicas": 1}}
        choices = (("PUT", "/status", obj), ("PUT", "/scale", scale), *special.get(obj.get("kind", ""), ()))
        return self.chance.choice(choices)

    def _operations(self, obj: Any) -> Any:
        chance = self.chance
        pointers = list(_pointers(obj))
        operations = []
        for _ in range(chance.randrange(1, 6)):
            operation: Any = {
                "op": chance.choice(("add", "remove", "replace", "move", "copy", "test", "odd")),
                "path": chance.choice(pointers) + chance.choice(("", "", "", "/-", "/0", "/x")),
            }
            if chance.random() < 0.8:
                operation["value"] = self.mutator.odd()
            if chance.random() < 0.4:
                operation["from"] = chance.choice(pointers)
            if chance.random() < 0.1:
                self.mutator.mutate(operation, 1)
            operations.append(operation)
        return operations if chance.random() < 0.95 else self.mutator.odd()


def _path(seed: Seed, obj: Any) -> str:
    return f"{seed.collection}/{obj['metadata'].get('name', 'z0')}"


def _json(value: Any) -> bytes:
    """Encode without orjson's bounds on depth and on numbers."""
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b'{"metadata":' * 5000 + b"1" + b"}" * 5000


def _yaml(value: Any) -> bytes:
    try:
        return yaml.safe_dump(value).encode()
    except RecursionError:
        return b"- " * 5000 + b"a"


def _pointers(value: Any, above: str = "") -> Any:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        pointer = f"{above}/{str(key).replace('~', '~0').replace('/', '~1')}"
        yield pointer
        yield from _pointers(part, pointer)


async def prepare(server: Served) -> None:
    """Create what the requests are about: our own objects, under each of the names."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await server.call("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    for obj in manifests():
        await server.call("POST", collection_of(obj), obj)
        for number in range(NAMES):
            obj["metadata"]["name"] = f"z{number}"
            await server.call("POST", collection_of(obj), obj)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_mutated_requests_are_answered(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with served(tmp_path) as server:
            await prepare(server)
            campaign = Campaign(server, random.Random(SEED * 1000 + number), seeds())
            monkeypatch.setattr(podium.apiserver.server._log, "exception", campaign.logged)
            await campaign.run(REQUESTS // ROUNDS)
            assert not campaign.failures, "\n\n".join(campaign.failures.values())
            assert campaign.statuses.get(200, 0) + campaign.statuses.get(201, 0) > 0
            status, _ = await server.call("GET", "/api/v1/namespaces/default/pods")
            assert status == 200

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(main())
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MEMORY_GROWTH_BYTES_MAX
