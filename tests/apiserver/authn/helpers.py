"""Requests with credentials, and a cluster with one service account, pod, secret and node."""

from __future__ import annotations

from podium.apiserver.authn.keys import signing_key, verification_keys
from podium.base import pki
from podium.base.http.message import Headers, Request
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from tests.apiserver.fakes import FakeReader

ISSUER = "https://kubernetes.default.svc.cluster.local"
PRIVATE = pki.create_signing_key()
SIGNING = signing_key(PRIVATE)
VERIFICATION = verification_keys([PRIVATE])


def request(
    *headers: tuple[str, str], certificate: bytes | None = None, target: str = "/api/v1/pods"
) -> Request:
    return Request(method="GET", target=target, headers=Headers(headers), peer_certificate=certificate)


def cluster() -> FakeReader:
    reader = FakeReader()
    reader.put(SERVICEACCOUNTS, {"metadata": {"name": "robot", "namespace": "ns", "uid": "sa-uid"}})
    pod = {"metadata": {"name": "web", "namespace": "ns", "uid": "pod-uid"}, "spec": {"nodeName": "n1"}}
    reader.put(PODS, pod)
    reader.put(SECRETS, {"metadata": {"name": "held", "namespace": "ns", "uid": "secret-uid"}})
    reader.put(NODES, {"metadata": {"name": "n1", "uid": "node-uid"}})
    return reader
