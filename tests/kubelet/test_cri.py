"""The runtime contract, against the fake and against containerd."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from podium.kubelet.cri.client import CriClient
from podium.kubelet.cri.fake import FakeRuntime
from podium.kubelet.cri.runtime import Runtime
from tests.kubelet.containerd import BUSYBOX, PrivateContainerd
from tests.kubelet.cri_contract import CONTRACT

Clause = Callable[[Runtime, Path], Awaitable[None]]
every_clause = pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.__name__)


@every_clause
def test_the_fake_keeps_the_contract(clause: Clause, tmp_path: Path) -> None:
    runtime = FakeRuntime()
    runtime.add_image(BUSYBOX)
    asyncio.run(_keep(clause, runtime, tmp_path))


@every_clause
def test_containerd_keeps_the_contract(clause: Clause, containerd: PrivateContainerd, tmp_path: Path) -> None:
    async def keep() -> None:
        runtime = CriClient(containerd.endpoint)
        try:
            await _keep(clause, runtime, tmp_path)
        finally:
            for sandbox in await runtime.list_sandboxes():
                await runtime.remove_sandbox(sandbox.id)
            await runtime.close()

    asyncio.run(keep())


async def _keep(clause: Clause, runtime: Runtime, directory: Path) -> None:
    await clause(runtime, directory)
