"""The private containerd that the tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from podium.kubelet.cgroups import remove_cgroup
from tests.kubelet.containerd import CGROUP, PrivateContainerd, available, private_containerd


@pytest.fixture(scope="session")
def containerd() -> Iterator[PrivateContainerd]:
    why = available()
    if why:
        pytest.skip(f"real containers: {why}")
    with private_containerd() as running:
        yield running
    remove_cgroup(CGROUP)
