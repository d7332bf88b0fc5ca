import asyncio

from podium.resources.core.configmaps import CONFIGMAPS
from podium.runtime.informer import Delta, Informer
from tests.runtime.fakes import FakeApi, settle


def test_list_watch() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CONFIGMAPS, {"metadata": {"name": "a"}})
        informer = Informer(api.client(), CONFIGMAPS, clock=api.clock)
        seen: list[Delta] = []
        informer.subscribe(seen.append)
        task = asyncio.ensure_future(informer.run())
        await informer.wait_synced()
        api.put(CONFIGMAPS, {"metadata": {"name": "b"}})
        await settle()
        assert [d.object["metadata"]["name"] for d in seen] == ["a", "b"]
        task.cancel()

    asyncio.run(go())
