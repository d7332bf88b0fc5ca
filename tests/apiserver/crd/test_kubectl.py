"""The real kubectl with a definition of its own: what a user of custom resources does, without any node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wire.server import running

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
NAME = "crontabs.stable.example.com"
SPEC = {
    "type": "object",
    "required": ["replicas"],
    "properties": {"replicas": {"type": "integer", "minimum": 1, "description": "How many."}},
}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": NAME},
    "spec": {
        "group": "stable.example.com",
        "scope": "Namespaced",
        "names": {"plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "additionalPrinterColumns": [
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"}
                ],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC}}},
            }
        ],
    },
}

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")


def _crontab(replicas: int) -> str:
    return json.dumps(
        {
            "apiVersion": "stable.example.com/v1",
            "kind": "CronTab",
            "metadata": {"name": "a", "namespace": "default"},
            "spec": {"replicas": replicas},
        }
    )


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[Kubectl]:
    with running(tmp_path) as server:
        flags = [f"--server={server.url}", f"--certificate-authority={server.ca_file}"]
        flags += [f"--token={server.token}", f"--cache-dir={tmp_path / 'cache'}"]

        def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["kubectl", *flags, *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        yield run


def test_a_definition_lives_and_dies(kubectl: Kubectl) -> None:
    def fine(*arguments: str, stdin: str = "") -> str:
        done = kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    fine("apply", "-f", "-", stdin=json.dumps(DEFINITION))
    fine("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=20s")
    assert "created" in fine("apply", "-f", "-", stdin=_crontab(3))
    assert [line.split() for line in fine("get", "ct").splitlines()] == [["NAME", "REPLICAS"], ["a", "3"]]
    assert "How many." in fine("explain", "ct.spec")
    assert "configured" in fine("apply", "-f", "-", stdin=_crontab(4))
    refused = kubectl("apply", "-f", "-", stdin=_crontab(0))
    assert refused.returncode == 1
    assert "spec.replicas" in refused.stderr
    assert "should be greater than or equal to 1" in refused.stderr
    fine("delete", "crd", NAME)
    gone = kubectl("get", "ct")
    assert gone.returncode == 1
    # Which of the two depends on how old kubectl's own copy of the discovery documents is.
    answers = ("the server doesn't have a resource type", "the server could not find the requested resource")
    assert any(answer in gone.stderr for answer in answers)
