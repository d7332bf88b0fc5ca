"""What admission leaves in the audit log, and when."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver.audit.options import Options
from podium.apiserver.http.api import removed_release
from podium.apiserver.server import Config
from podium.machinery.errors import Object
from tests.apiserver.admission.webhooks.hooks import (
    CONFIGMAPS,
    MUTATING,
    VALIDATING,
    Hooks,
    configuration,
    rule,
    webhook,
)
from tests.apiserver.admission.webhooks.hooks import run as run_with_hooks
from tests.apiserver.audit.helpers import EVERYTHING, StandingClock, audited, events, options, run
from tests.apiserver.harness import Api

POLICIES = "/apis/admissionregistration.k8s.io/v1"
NAMESPACES = "/api/v1/namespaces"
OWN = ("authorization.k8s.io/", "apiserver.latency.k8s.io/")


def notes(event: Object) -> dict[str, str]:
    """Return an event's annotations, but for those that every event has."""
    return {k: v for k, v in (event.get("annotations") or {}).items() if not k.startswith(OWN)}


def config_map(name: str = "a") -> Object:
    return {"metadata": {"name": name}}


def completed(directory: Path) -> list[Object]:
    return [one for one in events(directory) if one["stage"] == "ResponseComplete"]


def audit(directory: Path, level: str) -> Options:
    return options(directory, [{"level": level, "resources": [{"resources": ["configmaps"]}]}])


@pytest.mark.parametrize("level", ["Metadata", "Request"])
def test_webhooks(tmp_path: Path, level: str) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        operations = [{"op": "add", "path": "/data", "value": {"a": "b"}}]
        hooks.replies["/m"] = lambda _request: _patched(operations)
        hooks.replies["/v"] = lambda _request: {"allowed": True, "auditAnnotations": {"seen": "yes"}}
        maps = rule("configmaps")
        gone = {"url": "https://127.0.0.1:1/", "caBundle": hooks.client("/m")["caBundle"]}
        open_gate = {"clientConfig": gone, "failurePolicy": "Ignore"}
        first, second = webhook(hooks, "/m", maps), {**webhook(hooks, "/gone", maps), **open_gate}
        await running.ok("POST", MUTATING, configuration("m", first, second))
        first, second = webhook(hooks, "/v", maps), {**webhook(hooks, "/lost", maps), **open_gate}
        await running.ok("POST", VALIDATING, configuration("v", first, second))
        await running.ok("POST", CONFIGMAPS, config_map())
        found = notes(completed(tmp_path)[-1])

        def note(index: int, name: str, **more: Any) -> Object:
            return {"configuration": "m", "webhook": f"{name}.example.com", **more}

        mutation, patch = (
            "mutation.webhook.admission.k8s.io/round_0_index_",
            "patch.webhook.admission.k8s.io/",
        )
        assert orjson.loads(found.pop(f"{mutation}0")) == note(0, "m", mutated=True)
        assert orjson.loads(found.pop(f"{mutation}1")) == note(1, "gone", mutated=False)
        if level == "Request":
            patched = orjson.loads(found.pop(f"{patch}round_0_index_0"))
            assert patched == note(0, "m", patch=operations, patchType="JSONPatch")
        assert found == {
            "failed-open.mutation.webhook.admission.k8s.io/round_0_index_1": "gone.example.com",
            "failed-open.validating.webhook.admission.k8s.io/round_0_index_1": "lost.example.com",
            "v.example.com/seen": "yes",
        }

    run_with_hooks(tmp_path, test, config=Config(audit=audit(tmp_path, level)))


def _patched(operations: list[Object]) -> Object:
    patch = b64encode(orjson.dumps(operations)).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def test_slow_requests_tell_where_the_time_went(tmp_path: Path) -> None:
    clock = StandingClock()

    async def test(running: Api, hooks: Hooks) -> None:
        def slow(_request: Object) -> Object:
            clock.advance(0.75)
            return {"allowed": True}

        hooks.replies["/v"] = slow
        await running.ok("POST", VALIDATING, configuration("v", webhook(hooks, "/v", rule("configmaps"))))
        await running.ok("POST", CONFIGMAPS, config_map())
        found = completed(tmp_path)[-1]["annotations"]
        times = {key.removeprefix(OWN[1]): text for key, text in found.items() if key.startswith(OWN[1])}
        assert times.keys() == {"etcd", "validating-webhook", "total"}
        assert times["total"] == "750ms"

    run_with_hooks(tmp_path, test, clock=clock, config=Config(audit=audit(tmp_path, "Metadata")))


def test_pod_security(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:
            labels = {
                "pod-security.kubernetes.io/enforce": "baseline",
                "pod-security.kubernetes.io/audit": "restricted",
            }
            await server.ok("POST", NAMESPACES, {"metadata": {"name": "strict", "labels": labels}})
            await server.ok("POST", f"{NAMESPACES}/strict/serviceaccounts", {"metadata": {"name": "default"}})
            container = {"name": "c", "image": "i"}
            pod = {"metadata": {"name": "a"}, "spec": {"containers": [container]}}
            await server.ok("POST", f"{NAMESPACES}/strict/pods", pod)
            prefix = "pod-security.kubernetes.io/"
            found = notes(server.last())
            assert found[f"{prefix}enforce-policy"] == "baseline:latest"
            assert "allowPrivilegeEscalation != false" in found[f"{prefix}audit-violations"]
            container["securityContext"] = {"privileged": True}  # type: ignore[assignment]
            response = await server.send("POST", f"{NAMESPACES}/strict/pods", pod)
            assert response.status == 403
            assert notes(server.last())[f"{prefix}enforce-policy"] == "baseline:latest"

    run(main)


def test_policies(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:
            spec = {
                "matchConstraints": {"resourceRules": [rule("configmaps")]},
                "validations": [{"expression": "object.metadata.name != 'bad'", "message": "bad"}],
                "auditAnnotations": [{"key": "name", "valueExpression": "'it is ' + object.metadata.name"}],
            }
            policy = {"metadata": {"name": "p.example.com"}, "spec": spec}
            await server.ok("POST", f"{POLICIES}/validatingadmissionpolicies", policy)
            binding = {
                "metadata": {"name": "b"},
                "spec": {"policyName": "p.example.com", "validationActions": ["Audit"]},
            }
            await server.ok("POST", f"{POLICIES}/validatingadmissionpolicybindings", binding)
            await server.ok("POST", CONFIGMAPS, config_map("bad"))
            found = notes(server.last())
            assert found["p.example.com/name"] == "it is bad"
            (failure,) = orjson.loads(found["validation.policy.admission.k8s.io/validation_failure"])
            assert (failure["message"], failure["policy"], failure["binding"]) == (
                "bad",
                "p.example.com",
                "b",
            )

    run(main)


@pytest.mark.parametrize(
    ("warning", "release"),
    [
        (
            "batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 CronJob",
            "1.25",
        ),
        ("v1 ComponentStatus is deprecated in v1.19+", ""),
    ],
)
def test_the_release_without_it(warning: str, release: str) -> None:
    assert removed_release(warning) == release


DEPRECATED = [
    ("/api/v1/componentstatuses", {"k8s.io/deprecated": "true"}),
    ("/api/v1/namespaces/default/endpoints", {"k8s.io/deprecated": "true"}),
    ("/api/v1/namespaces/default/pods", {}),
]


@pytest.mark.parametrize(("target", "expected"), DEPRECATED)
def test_what_is_on_its_way_out(tmp_path: Path, target: str, expected: dict[str, str]) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:
            await server.ok("GET", target)
            assert notes(server.last()) == expected
            gauges = dict(server.server.metrics.deprecated.children())
            resource = target.rpartition("/")[2]
            assert list(gauges) == ([("", "v1", resource, "", "")] if expected else [])

    run(main)


def test_a_server_that_audits_nothing_loads_nothing_of_it() -> None:
    program = (
        "import sys, podium.cmd.kube_apiserver as k; k.parser(); "
        "print([m for m in sys.modules if m.startswith('podium.apiserver.audit.')])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['podium.apiserver.audit.metrics']"
