"""A server of SubjectAccessReviews over TLS in the test's loop, and the kubeconfig by which it is found."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from podium.base.http.message import Headers, Request, Response
from podium.base.http.server import Server
from podium.machinery.errors import Object
from tests.apiserver.admission.webhooks.hooks import authority, serving

Reply = Callable[[Object], Object]
"""From a review's spec to its status."""


class Reviewer:
    """Answers reviews as `reply` says, or with `raw` what is none."""

    def __init__(self) -> None:
        self.reply: Reply = lambda _spec: {"allowed": True}
        self.raw: Callable[[], Response] | None = None
        self.asked: list[Object] = []
        self.targets: list[str] = []
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.server = Server(self._answer)

    @property
    def specs(self) -> list[Object]:
        return [review["spec"] for review in self.asked]

    async def _answer(self, request: Request) -> Response:
        review = orjson.loads(await request.read_body())
        self.asked.append(review)
        self.targets.append(request.target)
        await self.hangs.wait()
        if self.raw is not None:
            return self.raw()
        whole = {**review, "status": self.reply(review["spec"])}
        return Response(headers=Headers([("content-type", "application/json")]), body=orjson.dumps(whole))

    def kubeconfig(self, directory: Path, path: str = "/authorize") -> str:
        ca = base64.b64encode(authority().certificate_pem).decode()
        server = f"https://127.0.0.1:{self.server.port}{path}"
        cluster = {"server": server, "certificate-authority-data": ca}
        file = directory / "webhook.kubeconfig"
        config = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        file.write_text(json.dumps(config))
        return str(file)


@asynccontextmanager
async def reviewer() -> AsyncIterator[Reviewer]:
    made = Reviewer()
    await made.server.start("127.0.0.1", 0, serving())
    try:
        yield made
    finally:
        made.hangs.set()
        await made.server.stop()


def run(test: Callable[[Reviewer], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30), reviewer() as made:
            await test(made)

    asyncio.run(whole())
