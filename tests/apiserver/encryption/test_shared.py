"""Two API servers on one etcd, each with a data encryption key of its own, read what the other writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from podium.apiserver.server import ApiServer, Config
from podium.base.http.message import Headers, Request
from podium.store.etcd import EtcdStore
from tests.apiserver.encryption.builders import encryption, kms, rule
from tests.apiserver.encryption.kms_plugin import Plugin, serving
from tests.apiserver.encryption.test_at_rest import SECRETS, WORD, secret, until
from tests.store.etcd import etcd, needs_etcd


@asynccontextmanager
async def server(folder: Path, url: str, *rules: dict[str, Any]) -> AsyncIterator[ApiServer]:
    store = await EtcdStore.open([url])
    made = ApiServer(store, Config(), encryption=encryption(folder, *rules))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        await store.close()


async def call(one: ApiServer, method: str, target: str, body: Any = None) -> tuple[int, Any]:
    async def read() -> bytes:
        return orjson.dumps(body)

    headers = Headers([("content-type", "application/json"), ("user-agent", "tester/1")])
    answer = await one.handler(Request(method=method, target=target, headers=headers, read_body=read))
    content = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    return answer.status, orjson.loads(content)


@needs_etcd
def test_each_reads_what_the_other_writes(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        plugin = Plugin()
        async with serving(plugin, tmp_path) as endpoint:
            rules = rule(["secrets"], kms("vault", endpoint))
            async with server(tmp_path, url, rules) as one, server(tmp_path, url, rules) as other:
                for writer, reader, name in ((one, other, "a"), (other, one, "b")):
                    assert (await call(writer, "POST", SECRETS, secret(name)))[0] == 201
                    path = f"{SECRETS}/{name}"

                    async def seen(reader: ApiServer = reader, path: str = path) -> bool:
                        return (await call(reader, "GET", path))[0] == 200

                    await until(seen)
                    _, found = await call(reader, "GET", path)
                    assert found["data"] == {"word": WORD}
                    # Under the same key of the plugin, another server's key is as good as one's own.
                    _, written = await call(reader, "PUT", path, found)
                    assert written["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]
                assert plugin.calls.count("Encrypt") == 2
                assert plugin.calls.count("Decrypt") == 2
            store = await EtcdStore.open([url])
            page = await store.list("/registry/secrets/")
            assert all(one.value.startswith(b"k8s:enc:kms:v2:vault:") for one in page.records)
            assert not any(WORD.encode() in one.value for one in page.records)
            await store.close()

    with etcd(tmp_path) as url:
        asyncio.run(asyncio.wait_for(main(url), 60))
