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
from tests.runtime.fakes import START, FakeApi, settle

CLIENT = ("digital signature", "key encipherment", "client auth")
SERVER = ("digital signature", "key encipherment", "server auth")
NODE = "system:node:a"


def parsed(name: str = "bob", group: str = "", *names: x509.GeneralName) -> x509.CertificateSigningRequest:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if names:
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


KUBELET_USAGES = "usages did not match [client auth digital signature key encipherment]"
SERVING_USAGES = "usages did not match [digital signature key encipherment server auth]"
NO_NODE = "subject common name does not begin with system:node:"
NO_GROUP = "subject organization is not system:nodes"
NO_NAMES = "DNS or IP subjectAltName is required"
DNS = x509.DNSName("a")
EMAIL = x509.RFC822Name("a@example.com")
IP = x509.IPAddress(ipaddress.ip_address("10.0.0.1"))
URI = x509.UniformResourceIdentifier("spiffe://a")


def of_node(*names: x509.GeneralName, name: str = NODE) -> x509.CertificateSigningRequest:
    return parsed(name, "system:nodes", *names)


@pytest.mark.parametrize(
    ("of", "signer", "usages", "expected"),
    [
        (parsed(), "kube-apiserver-client", CLIENT, ""),
        (parsed(), "kube-apiserver-client", ("client auth",), ""),
        (
            parsed(),
            "kube-apiserver-client",
            SERVER,
            "invalid usage for client certificate: server auth",
        ),
        (
            parsed(),
            "kube-apiserver-client",
            CLIENT[:2],
            "missing required usage for client certificate: client auth",
        ),
        (of_node(), "kube-apiserver-client-kubelet", CLIENT, ""),
        (of_node(), "kube-apiserver-client-kubelet", ("digital signature", "client auth"), ""),
        (of_node(), "kube-apiserver-client-kubelet", ("client auth",), KUBELET_USAGES),
        (of_node(name="bob"), "kube-apiserver-client-kubelet", CLIENT, NO_NODE),
        (parsed(NODE, "others"), "kube-apiserver-client-kubelet", CLIENT, NO_GROUP),
        (of_node(DNS), "kube-apiserver-client-kubelet", CLIENT, "DNS subjectAltNames are not allowed"),
        (of_node(EMAIL), "kube-apiserver-client-kubelet", CLIENT, "Email subjectAltNames are not allowed"),
        (of_node(IP), "kube-apiserver-client-kubelet", CLIENT, "IP subjectAltNames are not allowed"),
        (of_node(URI), "kube-apiserver-client-kubelet", CLIENT, "URI subjectAltNames are not allowed"),
        (of_node(IP), "kubelet-serving", SERVER, ""),
        (of_node(DNS), "kubelet-serving", ("digital signature", "server auth"), ""),
        (of_node(), "kubelet-serving", SERVER, NO_NAMES),
        (of_node(IP, EMAIL), "kubelet-serving", SERVER, "Email subjectAltNames are not allowed"),
        (of_node(IP, URI), "kubelet-serving", SERVER, "URI subjectAltNames are not allowed"),
        (of_node(IP), "kubelet-serving", (*SERVER, "client auth"), SERVING_USAGES),
        (of_node(IP, name="bob"), "kubelet-serving", SERVER, NO_NODE),
        (parsed(NODE, "others", IP), "kubelet-serving", SERVER, NO_GROUP),
        (parsed(), "legacy-unknown", ("any",), ""),
    ],
)
def test_what_a_signer_signs(
    of: x509.CertificateSigningRequest, signer: str, usages: tuple[str, ...], expected: str
) -> None:
    assert why_not(request(of, signer, usages), of) == expected


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


@pytest.mark.parametrize(
    ("asked_s", "lasts_s"), [(3600, 3600), (8 * 3600 - 1, 8 * 3600 - 1), (8 * 3600, 8 * 3600 - 300)]
)
def test_a_short_life_is_not_backdated_at_its_end(asked_s: int, lasts_s: int) -> None:
    ca = pki.create_ca("ca", now=START)
    signed = pki.sign(ca, parsed(), usages=CLIENT, lifetime=timedelta(seconds=asked_s), now=START)
    made = x509.load_pem_x509_certificate(signed)
    assert made.not_valid_before_utc == START - timedelta(minutes=5)
    assert made.not_valid_after_utc == START + timedelta(seconds=lasts_s)


def test_usages_become_extensions() -> None:
    ca = pki.create_ca("ca", now=START)
    usages = ("cert sign", "crl sign", "ipsec user", "s/mime", "netscape sgc")
    signed = pki.sign(ca, parsed(), usages=usages, lifetime=timedelta(hours=1), now=START)
    extensions = x509.load_pem_x509_certificate(signed).extensions
    plain = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (plain.key_cert_sign, plain.crl_sign, plain.digital_signature) == (True, True, False)
    extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [usage.dotted_string for usage in extended] == [
        "1.3.6.1.5.5.7.3.4",
        "1.3.6.1.5.5.7.3.7",
        "2.16.840.1.113730.4.1",
    ]


def test_an_authority_that_has_expired_signs_nothing() -> None:
    ca = pki.create_ca("ca", now=START)
    late = START + timedelta(days=365 * 200)
    with pytest.raises(ValueError, match="the signer has expired"):
        pki.sign(ca, parsed(), usages=CLIENT, lifetime=timedelta(hours=1), now=late)
