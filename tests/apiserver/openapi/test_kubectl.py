"""The real kubectl reads the OpenAPI documents: v3 as JSON, v2 as protobuf."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wire.server import running

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")

Kubectl = Callable[..., str]
OF_MANY_KINDS = {
    "pods": "ephemeralContainers",
    "deployments": "strategy",
    "statefulsets": "volumeClaimTemplates",
    "services": "clusterIP",
    "ingresses": "ingressClassName",
    "horizontalpodautoscalers": "scaleTargetRef",
    "customresourcedefinitions": "openAPIV3Schema",
    "validatingwebhookconfigurations": "clientConfig",
    "apiservices": "groupPriorityMinimum",
    "flowschemas": "distinguisherMethod",
    "resourceclaims": "devices",
    "leases": "leaseDurationSeconds",
}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "crontabs.stable.example.com"},
    "spec": {
        "group": "stable.example.com",
        "scope": "Namespaced",
        "names": {"plural": "crontabs", "kind": "CronTab"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "cronSpec": {"type": "string", "description": "When to run."},
                                    "image": {"type": "string"},
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    directory: Path = tmp_path_factory.mktemp("kubectl")
    with running(directory) as server:
        flags = [f"--server={server.url}", f"--certificate-authority={server.ca_file}"]
        flags += [f"--token={server.token}", f"--cache-dir={directory / 'cache'}"]

        def run(*arguments: str, stdin: str = "", fails: bool = False) -> str:
            done = subprocess.run(
                ["kubectl", *flags, *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode != 0) is fails, done.stderr
            return done.stderr if fails else done.stdout

        yield run


@pytest.mark.parametrize("kind", OF_MANY_KINDS)
def test_explain(kubectl: Kubectl, kind: str) -> None:
    fields = kubectl("explain", kind, "--recursive")
    assert f"{OF_MANY_KINDS[kind]}\t" in fields
    assert "apiVersion\t<string>" in fields


def test_explain_reads_v2_as_protobuf(kubectl: Kubectl) -> None:
    text = kubectl("explain", "deployment.spec.template.spec.containers", "--output=plaintext-openapiv2")
    assert "terminationMessagePath\t<string>" in text


def test_a_custom_resource_is_explained_and_checked(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=json.dumps(DEFINITION))
    kubectl("wait", "--for=condition=Established", "crd/crontabs.stable.example.com", "--timeout=30s")
    assert "When to run." in kubectl("explain", "crontab.spec.cronSpec")
    assert "image\t<string>" in kubectl("explain", "crontabs", "--recursive")
    crontab = {
        "apiVersion": "stable.example.com/v1",
        "kind": "CronTab",
        "metadata": {"name": "a"},
        "spec": {"cronSpec": "* * * * *", "wrong": 1},
    }
    message = kubectl("apply", "-f", "-", stdin=json.dumps(crontab), fails=True)
    assert 'unknown field "spec.wrong"' in message
    del crontab["spec"]["wrong"]  # type: ignore[attr-defined]
    kubectl("apply", "-f", "-", stdin=json.dumps(crontab))


def test_apply_names_what_is_unknown(kubectl: Kubectl) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {"replicaz": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    message = kubectl("apply", "-f", "-", stdin=json.dumps(deployment), fails=True)
    assert 'unknown field "spec.replicaz"' in message
