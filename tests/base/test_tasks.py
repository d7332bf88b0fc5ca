"""Work that runs at once, and goes on as a task when it has to wait."""

from __future__ import annotations

import asyncio

import pytest

from podium.base.http.message import Request, Response
from podium.base.tasks import in_task, run_at_once
from tests.base.http_tools import run, serving, transport_to


def test_work_that_waits_for_nothing_makes_no_task() -> None:
    async def main() -> None:
        tasks: list[asyncio.Task[object] | None] = []

        async def work() -> None:
            tasks.append(asyncio.current_task())

        loop = asyncio.get_running_loop()
        before = asyncio.all_tasks()
        loop.call_soon(lambda: tasks.append(run_at_once(loop, work())))
        await asyncio.sleep(0)
        assert tasks == [None, None]
        assert asyncio.all_tasks() == before

    run(main())


def test_work_that_waits_goes_on_with_what_it_waited_for() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first: asyncio.Future[int] = loop.create_future()
        second: asyncio.Future[int] = loop.create_future()
        got: list[object] = []

        async def work() -> None:
            got.append(await first)
            try:
                await second
            except ValueError as error:
                got.append(str(error))

        task = run_at_once(loop, work())
        assert task is not None
        first.set_result(1)
        await asyncio.sleep(0)
        second.set_exception(ValueError("no"))
        await task
        assert got == [1, "no"]

    run(main())


def test_an_error_is_the_tasks() -> None:
    async def main() -> None:
        async def work() -> None:
            await asyncio.sleep(0)
            raise LookupError("lost")

        task = run_at_once(asyncio.get_running_loop(), work())
        assert task is not None
        with pytest.raises(LookupError, match="lost"):
            await task

    run(main())


def test_cancelling_the_task_reaches_the_work() -> None:
    async def main() -> None:
        ended: list[str] = []

        async def work() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        task = run_at_once(asyncio.get_running_loop(), work())
        assert task is not None
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["cancelled"]

    run(main())


def test_a_time_limit_needs_to_be_in_a_task() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended: list[str] = []

        async def work() -> None:
            await in_task()
            try:
                async with asyncio.timeout(0):
                    await loop.create_future()
            except TimeoutError:
                ended.append("in time")

        tasks: list[asyncio.Task[None] | None] = []
        loop.call_soon(lambda: tasks.append(run_at_once(loop, work())))
        await asyncio.sleep(0)
        (task,) = tasks
        assert task is not None
        await task
        assert ended == ["in time"]

    run(main())


def test_a_server_makes_no_task_of_a_read_that_waits_for_nothing() -> None:
    tasks: dict[str, asyncio.Task[object] | None] = {}

    async def handler(request: Request) -> Response:
        if request.target == "/waits":
            await asyncio.sleep(0)
        tasks[f"{request.method} {request.target}"] = asyncio.current_task()
        return Response(body=b"fine")

    async def main() -> None:
        async with serving(handler, reads_at_once=True) as server, transport_to(server) as transport:
            for method, target in (("GET", "/"), ("GET", "/waits"), ("POST", "/")):
                async with transport.request(method, target) as response:
                    assert await response.read() == b"fine"

    run(main())
    assert [name for name, task in tasks.items() if task is None] == ["GET /"]
