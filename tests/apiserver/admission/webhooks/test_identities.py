"""Who the API server is to webhooks, by the users of a kubeconfig."""

from __future__ import annotations

import base64
from pathlib import Path

import orjson
import pytest

from podium.apiserver.admission import Choice
from podium.apiserver.admission.webhooks.identities import Identities, names, target
from podium.base import pki
from podium.machinery.errors import Object
from tests.apiserver.admission.webhooks.hooks import (
    CONFIGMAPS,
    VALIDATING,
    Hooks,
    allow,
    authority,
    config_map,
    configuration,
    rule,
    run,
    webhook,
)
from tests.apiserver.harness import Api

KIND = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration"}


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ({"url": "https://a.example.com/x"}, "a.example.com:443"),
        ({"url": "https://a.example.com:8443"}, "a.example.com:8443"),
        ({"service": {"name": "s", "namespace": "ns"}}, "s.ns.svc:443"),
        ({"service": {"name": "s", "namespace": "ns", "port": 9}}, "s.ns.svc:9"),
    ],
)
def test_addresses(client: Object, address: str) -> None:
    assert target(client) == address


def test_names_the_closest_first() -> None:
    assert list(names("s.ns.svc:443")) == [
        "s.ns.svc:443",
        "*.ns.svc:443",
        "*.svc:443",
        "s.ns.svc",
        "*.ns.svc",
        "*.svc",
    ]
    assert list(names("s.ns:9")) == ["s.ns:9", "*.ns:9"]


def test_a_certificate_and_a_token(tmp_path: Path) -> None:
    pair = pki.issue(authority(), common_name="kube-apiserver", client=True)

    def encoded(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    certified = {
        "client-certificate-data": encoded(pair.certificate_pem),
        "client-key-data": encoded(pair.key_pem),
    }
    path = tmp_path / "kubeconfig"
    users = [{"name": "*", "user": {"token": "secret"}}, {"name": "*.0.0.1:443", "user": certified}]
    path.write_bytes(orjson.dumps({"users": users}))
    configured = {**KIND, "kubeConfigFile": str(path)}
    identities = Identities(configured)
    exact = identities.of({"url": "https://127.0.0.1/x"})
    assert exact is not None
    assert exact.certificate == pair.certificate_pem

    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = allow
        await running.ok("POST", VALIDATING, configuration("c", webhook(hooks, "/cm", rule("configmaps"))))
        await running.ok("POST", CONFIGMAPS, config_map("a"))
        assert hooks.callers == [("", "Bearer secret")]
        users[0]["user"] = certified
        path.write_bytes(orjson.dumps({"users": users}))

    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    choice = Choice(configurations={"ValidatingAdmissionWebhook": configured})
    run(tmp_path / "one", test, choice=choice)

    async def again(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = allow
        await running.ok("POST", VALIDATING, configuration("c", webhook(hooks, "/cm", rule("configmaps"))))
        await running.ok("POST", CONFIGMAPS, config_map("a"))
        assert hooks.callers == [("kube-apiserver", "")]

    run(tmp_path / "two", again, choice=choice)


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        ({"kind": "Pod"}, "expected a WebhookAdmissionConfiguration, got Pod"),
        ({**KIND, "kubeConfigFile": "relative"}, "must be an absolute file path"),
    ],
)
def test_configurations_that_make_no_sense(configured: Object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Identities(configured)
