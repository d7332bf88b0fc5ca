"""Node's client library, driven by node/check.mjs."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from tests.clients.conftest import definition, run
from tests.clients.tools import NODE, NODE_HOME
from tests.e2e.conftest import RunningCluster

pytestmark = pytest.mark.clients

WITHIN_S = 120.0


@pytest.fixture(scope="module")
def node() -> str:
    program = shutil.which("node")
    if program is None or not NODE_HOME.exists():
        pytest.skip("no node here, or its client library is not installed (python -m tests.clients.tools)")
    return program


@pytest.mark.parametrize("custom", [False, True], ids=["built-in", "custom"])
def test_what_users_of_node_do(
    cluster: RunningCluster,
    namespace: str,
    node: str,
    custom: bool,
    expired: str,
    request: pytest.FixtureRequest,
) -> None:
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.state_dir / "kubeconfig"),
        "CLIENT_HOME": str(NODE_HOME),
        "NAMESPACE": namespace,
        "EXPIRED": expired,
        "DEFINITION": json.dumps(definition("node")),
    }
    if custom:
        request.getfixturevalue("widgets")
        environment["ONLY"] = "custom"
    done = run(node, str(NODE / "check.mjs"), env=environment, timeout=WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
