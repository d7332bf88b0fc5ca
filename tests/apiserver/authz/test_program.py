"""kube-apiserver with a chain from a file: what clients are told, and the file read again."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from podium.cmd import kube_apiserver
from podium.machinery.errors import Object
from tests.apiserver.authz.webhooks import Reviewer, run
from tests.wire.server import Running, running

CHAIN = """\
apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- type: Webhook
  name: {name}
  webhook:
    timeout: 10s
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: {policy}
    unauthorizedTTL: 1ns
    connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {kubeconfig}}}
    matchConditions:
    - expression: "!(['system:masters', 'system:unauthenticated'].exists(one, one in request.groups))"
- {{type: ABAC, name: abac}}
"""
POLICY = """\
# who asks whether the server is ready
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", \
"spec": {"group": "system:unauthenticated", "nonResourcePath": "/readyz"}}
{"user": "reader", "readonly": true, "namespace": "*"}
"""
TOKENS = 'replay,admin,1,"system:masters"\nr,reader,2\nw,writer,3\n'
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
PODS = "/api/v1/namespaces/default/pods"


def ask(server: Running, path: str, token: str, body: Object | None = None) -> tuple[int, Any]:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(server.url + path, headers=headers, data=data)
    try:
        with urllib.request.urlopen(request, context=context, timeout=20) as response:
            raw, status = response.read(), response.status
    except urllib.error.HTTPError as error:
        raw, status = error.read(), error.code
    try:
        return status, json.loads(raw)
    except ValueError:
        return status, raw.decode()


def test_a_chain_from_a_file(tmp_path: Path) -> None:
    tokens, policy, config = tmp_path / "users.csv", tmp_path / "policy", tmp_path / "authz.yaml"
    tokens.write_text(TOKENS)
    policy.write_text(POLICY)

    async def test(hook: Reviewer) -> None:
        kubeconfig = hook.kubeconfig(tmp_path)
        config.write_text(CHAIN.format(name="one", policy="NoOpinion", kubeconfig=kubeconfig))
        flags = (
            f"--authorization-config={config}",
            f"--authorization-policy-file={policy}",
            f"--token-auth-file={tokens}",
        )
        with running(tmp_path, *flags) as server:
            await told(hook, server)
            await reloaded(hook, server)

    async def told(hook: Reviewer, server: Running) -> None:
        hook.reply = lambda _spec: {"allowed": False, "reason": "not today"}
        assert (await asyncio.to_thread(ask, server, PODS, "r"))[0] == 200, "the policy allows"
        assert len(hook.asked) == 1, "the webhook was asked before; of masters it is not"
        status, refused = await asyncio.to_thread(ask, server, PODS, "w")
        assert (status, refused["message"]) == (
            403,
            'pods is forbidden: User "writer" cannot list resource "pods" in API group "" in the namespace '
            '"default": not today\nNo policy matched.',
        )
        hook.reply = lambda _spec: {"denied": True, "reason": "never"}
        status, refused = await asyncio.to_thread(ask, server, PODS, "r")
        assert (status, refused["message"].rpartition(": ")[2]) == (403, "never")
        spec = {"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1"}
        hook.reply = lambda _spec: {"allowed": True}
        _, answer = await asyncio.to_thread(ask, server, REVIEW, "r", {**spec, "spec": {"namespace": "a"}})
        reading = ["get", "list", "watch"]
        assert answer["status"] == {
            "resourceRules": [{"verbs": reading, "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [],
            "incomplete": True,
            "evaluationError": "webhook authorizer does not support user rule resolution",
        }

    async def reloaded(hook: Reviewer, server: Running) -> None:
        kubeconfig = hook.kubeconfig(tmp_path, "/elsewhere")
        config.write_text("nonsense")
        while 'reloads_total{status="failure"' not in await figures(server):
            await asyncio.sleep(0.05)
        config.write_text(CHAIN.format(name="two", policy="Deny", kubeconfig=kubeconfig))
        while 'reloads_total{status="success"' not in await figures(server):
            await asyncio.sleep(0.05)
        await hook.server.stop()
        status, failed = await asyncio.to_thread(ask, server, "/<script>", "r")
        assert status == 500
        assert failed.startswith('Internal Server Error: "/&lt;script&gt;": Post "https://127.0.0.1:')
        assert failed.endswith(
            f'/elsewhere?timeout=10s": dial tcp 127.0.0.1:{hook.server.port}: connect: connection refused\n'
        )
        text = await figures(server)
        assert 'authorization_attempts_total{result="error"} 1' in text
        assert 'decisions_total{type="Webhook",name="two",decision="denied"} 1' in text

    async def figures(server: Running) -> str:
        return str((await asyncio.to_thread(ask, server, "/metrics", "replay"))[1])

    run(test)


CERTIFICATE = ("--tls-cert-file=a", "--tls-private-key-file=b")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--authorization-mode="], "at least one authorization-mode must be passed"),
        (
            ["--authorization-mode=RBAC,RBAC"],
            'authorization-mode ["RBAC" "RBAC"] has mode specified more than once',
        ),
        (["--authorization-mode=ABAC"], "authorization-mode ABAC's authorization policy file not passed"),
        (
            ["--authorization-mode=Webhook"],
            "authorization-mode Webhook's authorization config file not passed",
        ),
        (["--authorization-policy-file=x"], "cannot specify --authorization-policy-file without mode ABAC"),
        (
            ["--authorization-webhook-config-file=x"],
            "cannot specify --authorization-webhook-config-file without mode Webhook",
        ),
        (
            [
                "--authorization-mode=Webhook",
                "--authorization-webhook-config-file=x",
                "--authorization-webhook-version=v2",
            ],
            'unsupported webhook authorizer version "v2", supported versions are "v1", "v1beta1"',
        ),
        (
            ["--authorization-webhook-cache-authorized-ttl=soon"],
            '--authorization-webhook-cache-authorized-ttl: time: invalid duration "soon"',
        ),
        (
            ["--authorization-config=x", "--authorization-webhook-version=v1"],
            "--authorization-config can not be specified when --authorization-mode or --authorization-webh",
        ),
        (["--authorization-config=/no/such"], "No such file or directory"),
        (["--authorization-mode=ABAC", "--authorization-policy-file=/no/such"], "No such file or directory"),
    ],
    ids=str,
)
def test_flags_that_cannot_work(flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        kube_apiserver.main([*CERTIFICATE, *flags])
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err
