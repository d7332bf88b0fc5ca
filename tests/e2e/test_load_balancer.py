"""A Service of type LoadBalancer gets an address that answers on this machine."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import RunningCluster, until
from tests.e2e.test_transcript import answer

pytestmark = pytest.mark.e2e

NS = ("-n", "balanced")


def test_a_load_balancer_answers(cluster: RunningCluster) -> None:
    cluster.kubectl("create", "namespace", "balanced")
    try:
        cluster.kubectl("create", "deployment", *NS, "web", "--image=podium.local/hello:1", "--port=8080")
        cluster.kubectl(
            "expose", *NS, "deployment", "web", "--type=LoadBalancer", "--port=80", "--target-port=8080"
        )

        def address() -> str:
            ingress = cluster.get("service", *NS, "web")["status"]["loadBalancer"].get("ingress") or [{}]
            return str(ingress[0].get("ip", ""))

        external = until(address, "an address")
        assert external in cluster.kubectl("get", "service", *NS, "web").splitlines()[1].split()[3]
        cluster.kubectl("rollout", "status", *NS, "deployment/web", "--timeout=90s")
        until(lambda: "web-" in answer(f"http://{external}/"), "an answer from the pod")
    finally:
        cluster.kubectl("delete", "namespace", "balanced", "--timeout=90s")
