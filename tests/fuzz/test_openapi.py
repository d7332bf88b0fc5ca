"""Schemathesis over the OpenAPI documents of a running server: what fits them, and what does not quite.

`PODIUM_FUZZ_OPERATIONS` sets how many operations of each document are called (0: all), `PODIUM_FUZZ_SEED`
which, and with what.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.test_mutations import UPSTREAMS
from tests.wire.server import Running, running

requests = pytest.importorskip("requests")
schemathesis = pytest.importorskip("schemathesis")

pytestmark = pytest.mark.fuzz

OPERATIONS = int(os.environ.get("PODIUM_FUZZ_OPERATIONS", "4"))
SEED = int(os.environ.get("PODIUM_FUZZ_SEED", "1"))
EXAMPLES = 3
TIMEOUT_S = 30
DOCUMENTS = ("api/v1", "apis/apps/v1", "apis/batch/v1", "apis/rbac.authorization.k8s.io/v1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("apiserver")) as started:
        yield started


@pytest.fixture
def session(server: Running) -> Iterator[Any]:
    with requests.Session() as made:
        made.trust_env = False  # another bundle in the environment would win
        made.verify = str(server.ca_file)
        made.headers["authorization"] = f"Bearer {server.token}"
        yield made


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_call_of_the_published_api_fails(server: Running, session: Any, name: str) -> None:
    document = session.get(f"{server.url}/openapi/v3/{name}", timeout=TIMEOUT_S)
    assert document.status_code == 200
    schema = schemathesis.openapi.from_dict(document.json())
    operations = [found.ok() for found in schema.get_all_operations()]
    wanted = min(OPERATIONS or len(operations), len(operations))
    for operation in random.Random(SEED).sample(operations, k=wanted):
        for mode in schemathesis.GenerationMode:
            exercise(server, session, operation, mode)
    assert session.get(f"{server.url}/api/v1/namespaces", timeout=TIMEOUT_S).status_code == 200


def exercise(server: Running, session: Any, operation: Any, mode: Any) -> None:
    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        if "namespace" in case.path_parameters:
            case.path_parameters["namespace"] = "default"
        sent = case.as_transport_kwargs(base_url=server.url)
        sent["headers"] = {**sent.get("headers", {}), **session.headers}
        # A watch has no end of its own: its head is enough.
        with session.request(**sent, timeout=TIMEOUT_S, stream=True) as answer:
            if answer.status_code >= 500 and answer.status_code != 504:
                text = answer.text
                assert UPSTREAMS.search(text), f"{sent} -> {answer.status_code} {text[:500]}"

    call()
