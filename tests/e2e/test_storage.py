"""A claim that names no class gets a directory of this machine, which outlives the pods that use it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import RunningCluster, until

pytestmark = pytest.mark.e2e

NS = ("-n", "stored")
_CONTAINER = {
    "name": "c",
    "image": "podium.local/hello:1",
    "command": ["sh", "-c", "echo start >> /data/starts; exec sleep 1000"],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
}
DATABASE = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "db"},
    "spec": {
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": {
            "metadata": {"labels": {"app": "db"}},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "securityContext": {"runAsUser": 1000},
                "containers": [_CONTAINER],
            },
        },
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
            }
        ],
    },
}


def test_what_a_pod_has_written_outlives_it(cluster: RunningCluster) -> None:
    cluster.kubectl("create", "namespace", "stored")
    try:
        cluster.kubectl("apply", *NS, "-f", "-", stdin=yaml.safe_dump(DATABASE))

        def starts(count: int) -> bool:
            seen = cluster.kubectl("exec", *NS, "db-0", "--", "cat", "/data/starts", check=False)
            return seen == "start\n" * count

        until(lambda: starts(1), "the first pod's file")
        cluster.kubectl("delete", *NS, "pod", "db-0")
        until(lambda: starts(2), "the first pod's file in the second pod")
        name = cluster.get("pvc", *NS, "data-db-0")["spec"]["volumeName"]
        path = Path(cluster.get("pv", name)["spec"]["hostPath"]["path"])
        assert path.parent == cluster.state_dir / "volumes"
        cluster.kubectl("delete", *NS, "statefulset", "db")
        cluster.kubectl("delete", *NS, "pvc", "data-db-0")
        cluster.kubectl("wait", "--for=delete", f"pv/{name}", "--timeout=60s")
        assert not path.exists()
    finally:
        cluster.kubectl("delete", "namespace", "stored", "--timeout=90s")
