"""Certificate signing requests: who gets a certificate, for what, for how long."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from podium.base import pki
from podium.controllers.csr_signing import SIGNERS, csr_signing, lifetime, waits, why_not
from podium.machinery.errors import Object
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi, settle

CLIENT = ("digital signature", "key encipherment", "client auth")
SERVER = ("digital signature", "key encipherment", "server auth")
NODE = "system:node:a"


def parsed(name: str = "bob", group: str = "", address: str = "") -> x509.CertificateSigningRequest:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if address:
        names = [x509.IPAddress(ipaddress.ip_address(address))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())


def request(
    of: x509.CertificateSigningRequest,
    signer: str = "kube-apiserver-client",
    usages: Any = CLIENT,
    **spec: Any,
) -> Object:
    pem = of.public_bytes(serialization.Encoding.PEM)
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "r", "uid": "uid-r"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": f"kubernetes.io/{signer}",
            "usages": list(usages),
            "username": NODE,
            **spec,
        },
        "status": {"conditions": [{"type": "Approved", "status": "True"}]},
    }


@pytest.mark.parametrize(
    ("of", "signer", "usages", "expected"),
    [
        (parsed(), "kube-apiserver-client", CLIENT, ""),
        (parsed(), "kube-apiserver-client", SERVER, "usages did not match"),
        (parsed(), "kube-apiserver-client", CLIENT[:2], "usages did not match"),
        (parsed(NODE, "system:nodes"), "kube-apiserver-client-kubelet", CLIENT, ""),
        (parsed("bob", "system:nodes"), "kube-apiserver-client-kubelet", CLIENT, "common name"),
        (parsed(NODE, "others"), "kube-apiserver-client-kubelet", CLIENT, "organization"),
        (parsed(NODE, "system:nodes", "10.0.0.1"), "kube-apiserver-client-kubelet", CLIENT, "not allowed"),
        (parsed(NODE, "system:nodes", "10.0.0.1"), "kubelet-serving", SERVER, ""),
        (parsed(NODE, "system:nodes"), "kubelet-serving", SERVER, "subjectAltName is required"),
        (parsed("system:node:b", "system:nodes", "10.0.0.1"), "kubelet-serving", SERVER, "requestor's name"),
        (parsed(), "legacy-unknown", ("any",), ""),
    ],
)
def test_what_a_signer_signs(
    of: x509.CertificateSigningRequest, signer: str, usages: tuple[str, ...], expected: str
) -> None:
    reason = why_not(request(of, signer, usages), of)
    assert expected in reason
    assert bool(reason) is bool(expected)


@pytest.mark.parametrize(
    ("conditions", "more", "expected"),
    [
        (["Approved"], {}, True),
        ([], {}, False),
        (["Approved", "Denied"], {}, False),
        (["Approved", "Failed"], {}, False),
        (["Approved"], {"certificate": "eA=="}, False),
    ],
)
def test_which_requests_wait(conditions: list[str], more: Object, expected: bool) -> None:
    waiting = request(parsed())
    waiting["status"] = {"conditions": [{"type": c, "status": "True"} for c in conditions], **more}
    assert waits(waiting) is expected
    assert not waits(request(parsed(), spec={}) | {"spec": {"signerName": "example.com/other"}})


@pytest.mark.parametrize(("asked", "expected_s"), [(None, 3600), (60, 600), (1200, 1200), (86400, 3600)])
def test_lifetimes(asked: int | None, expected_s: int) -> None:
    assert lifetime(request(parsed(), expirationSeconds=asked), 3600) == timedelta(seconds=expected_s)


def test_a_request_is_signed_and_another_fails() -> None:
    ca = pki.create_ca("ca")

    async def run() -> None:
        api = FakeApi()
        api.put(CERTIFICATESIGNINGREQUESTS, request(parsed()))
        bad = request(parsed(), usages=SERVER)
        bad["metadata"] = {"name": "bad", "uid": "uid-bad"}
        api.put(CERTIFICATESIGNINGREQUESTS, bad)
        controller = csr_signing(dict.fromkeys(SIGNERS, ca))
        async with running(api, [controller]):
            await settle()
        table = api.table(CERTIFICATESIGNINGREQUESTS)
        pem = base64.b64decode(table["r"]["status"]["certificate"])
        assert pki.issued_by(pem, ca.certificate_pem)
        made = x509.load_pem_x509_certificate(pem)
        assert made.subject.rfc4514_string() == "CN=bob"
        usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
        assert usage.digital_signature and usage.key_encipherment and not usage.key_cert_sign
        failed = table["bad"]["status"]["conditions"][-1]
        assert (failed["type"], failed["reason"]) == ("Failed", "SignerValidationFailure")
        assert "certificate" not in table["bad"]["status"]

    asyncio.run(run())
