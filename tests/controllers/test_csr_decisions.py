"""Certificate requests of kubelets are approved, and old requests go."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import Any

import pytest

from podium.base import pki
from podium.controllers.csr_approving import (
    CSR_APPROVING,
    OTHER,
    SELF,
    is_undecided,
    permissions_to_try,
    review,
)
from podium.controllers.csr_cleaner import CSR_CLEANER, not_after, plan
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from tests.controllers.builders import running
from tests.controllers.test_csr_signing import CLIENT, IP, NODE, SERVER, parsed, request
from tests.runtime.fakes import START, FakeApi, FakeClient, settle

KUBELET = "kube-apiserver-client-kubelet"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param((parsed(NODE, "system:nodes"), {}), [SELF, OTHER], id="a node's own"),
        pytest.param((parsed(NODE, "system:nodes"), {"username": "bootstrap"}), [OTHER], id="another's"),
        pytest.param((parsed(NODE, "others"), {}), [], id="no node"),
        pytest.param((parsed("bob", "system:nodes"), {"username": "bob"}), [], id="not a node's name"),
        pytest.param((parsed(NODE, "system:nodes", IP), {}), [], id="with an address"),
        pytest.param((parsed(NODE, "system:nodes"), {"usages": list(SERVER)}), [], id="for serving"),
        pytest.param(
            (parsed(NODE, "system:nodes"), {"usages": ["digital signature", "client auth"]}),
            [SELF, OTHER],
            id="without key encipherment",
        ),
        pytest.param((parsed(NODE, "system:nodes"), {"usages": ["client auth"]}), [], id="too few usages"),
        pytest.param(
            (parsed(NODE, "system:nodes"), {"signerName": "kubernetes.io/kube-apiserver-client"}),
            [],
            id="another signer",
        ),
    ],
)
def test_which_right_approves(made: tuple[Any, Object], expected: list[str]) -> None:
    csr, spec = made
    asked = request(csr, KUBELET, CLIENT)
    asked["spec"].update(spec)
    assert permissions_to_try(asked, csr) == expected


def test_the_question_and_who_has_decided() -> None:
    asked = request(parsed(NODE, "system:nodes"), KUBELET, groups=["g"], uid="u", extra={"k": ["v"]})
    assert review(asked, SELF)["spec"] == {
        "user": NODE,
        "uid": "u",
        "groups": ["g"],
        "extra": {"k": ["v"]},
        "resourceAttributes": {
            "group": "certificates.k8s.io",
            "version": "*",
            "resource": "certificatesigningrequests",
            "subresource": "selfnodeclient",
            "verb": "create",
        },
    }
    assert not is_undecided(asked)
    assert is_undecided({**asked, "status": {}})
    assert not is_undecided({**asked, "status": {"certificate": "eA=="}})
    assert not is_undecided({**asked, "status": {"conditions": [{"type": "Denied"}]}})


class Judge(FakeClient):
    """Lets some have some rights."""

    allowed: set[tuple[str, str]]

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Object:
        if resource is not SUBJECTACCESSREVIEWS:
            return await super().create(resource, obj, namespace)
        asked = obj["spec"]["user"], obj["spec"]["resourceAttributes"]["subresource"]
        return {**obj, "status": {"allowed": asked in self.allowed}}


class JudgedApi(FakeApi):
    def client(self) -> Judge:
        made = Judge(self)
        made.allowed = {(NODE, SELF), ("bootstrap", OTHER)}
        return made


def test_who_may_is_approved() -> None:
    async def run() -> None:
        api = JudgedApi()
        for name, user in (("own", NODE), ("first", "bootstrap"), ("foreign", "mallory")):
            asked = request(parsed(NODE, "system:nodes"), KUBELET, username=user)
            api.put(CERTIFICATESIGNINGREQUESTS, {**asked, "metadata": {"name": name}, "status": {}})
        async with running(api, [CSR_APPROVING]):
            await settle(200)
        said = {
            name: [c["message"] for c in meta.dig(obj, "status", "conditions", default=())]
            for name, obj in api.table(CERTIFICATESIGNINGREQUESTS).items()
        }
        assert said == {
            "own": ["Auto approving self kubelet client certificate after SubjectAccessReview."],
            "first": ["Auto approving kubelet client certificate after SubjectAccessReview."],
            "foreign": [],
        }

    asyncio.run(run())


def aged(*conditions: str, certificate: str = "") -> Object:
    status: Object = {
        "conditions": [
            {"type": c, "status": "True", "lastUpdateTime": "2026-01-01T02:00:00Z"} for c in conditions
        ]
    }
    if certificate:
        status["certificate"] = certificate
    return {
        "metadata": {"name": "r", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {},
        "status": status,
    }


@pytest.mark.parametrize(
    ("made", "hours"),
    [
        (aged(), 24),
        (aged("Denied"), 3),
        (aged("Failed"), 3),
        (aged("Approved"), 26),
        (aged("Approved", certificate="eA=="), 3),
        (aged("Approved", "Failed"), 3),
        (aged("Other"), None),
    ],
)
def test_when_requests_go(made: Object, hours: int | None) -> None:
    expected = None if hours is None else START + timedelta(hours=hours)
    assert plan(made, None) == expected


def test_an_expired_certificate_goes_at_once() -> None:
    ca = pki.create_ca("ca")
    encoded = base64.b64encode(ca.certificate_pem).decode()
    made = aged("Approved", certificate=encoded)
    end = not_after(made)
    assert end is not None and plan(made, START) == START
    assert not_after(aged("Approved", certificate="eA==")) is None


def test_requests_go_when_their_time_has_come() -> None:
    async def run() -> None:
        api = FakeApi()
        for name, made in (("pending", aged()), ("denied", aged("Denied"))):
            api.put(CERTIFICATESIGNINGREQUESTS, {**made, "metadata": {**made["metadata"], "name": name}})
        async with running(api, [CSR_CLEANER]):
            await settle()
            assert set(api.table(CERTIFICATESIGNINGREQUESTS)) == {"pending", "denied"}
            await api.clock.advance(3 * 3600 + 1)
            await settle()
            assert set(api.table(CERTIFICATESIGNINGREQUESTS)) == {"pending"}
            await api.clock.advance(21 * 3600)
            await settle()
            assert set(api.table(CERTIFICATESIGNINGREQUESTS)) == set()

    asyncio.run(run())
