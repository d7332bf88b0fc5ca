"""Reading a certificate's subject by hand gives what the library gives."""

from __future__ import annotations

import functools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from podium.base import pki
from podium.kubelet.certificates import Subject, subject_of
from podium.kubelet.server import may_manage


@functools.cache
def _ca() -> pki.KeyPair:
    return pki.create_ca("test")


@functools.cache
def certificate(common_name: str, *organizations: str) -> bytes:
    """Return a client certificate as DER."""
    pair = pki.issue(_ca(), common_name=common_name, organizations=organizations, client=True)
    return x509.load_pem_x509_certificate(pair.certificate_pem).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("name", "organizations"),
    [("kube-apiserver-kubelet-client", ("system:masters",)), ("ünï", ("a", "b")), ("x" * 60, ())],
)
def test_subjects(name: str, organizations: tuple[str, ...]) -> None:
    assert subject_of(certificate(name, *organizations)) == Subject(
        common_name=name, organizations=organizations
    )


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x03\x02\x01\x01", b"not a certificate"])
def test_what_is_no_certificate(der: bytes) -> None:
    with pytest.raises(ValueError, match="not a certificate"):
        subject_of(der)


def test_who_may_use_the_kubelets_api() -> None:
    assert may_manage(Subject(common_name="kube-apiserver-kubelet-client"))
    assert may_manage(Subject(common_name="admin", organizations=("system:masters",)))
    assert not may_manage(Subject(common_name="system:node:a", organizations=("system:nodes",)))
