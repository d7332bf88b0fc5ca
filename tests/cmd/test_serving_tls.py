"""Which certificate and which suites a connection is served with, by what the flags and the files say."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509

from podium.base import cipher_suites, pki
from podium.base.http.door import Contexts
from podium.cmd import kube_apiserver, kubelet_flags
from podium.cmd.serving_flags import serving_files
from podium.cmd.serving_tls import Following, PairFiles, ServingFiles, contexts
from tests.apiserver.fakes import FakeClock

CA = pki.create_ca("ca")


def pair(
    folder: Path, stem: str, *, common_name: str = "", dns: Sequence[str] = (), names: Sequence[str] = ()
) -> PairFiles:
    made = pki.issue(CA, common_name=common_name or stem, dns_names=dns, server=True)
    certificate, key = folder / f"{stem}.crt", folder / f"{stem}.key"
    certificate.write_bytes(made.certificate_pem)
    key.write_bytes(made.key_pem)
    return PairFiles(certificate=str(certificate), key=str(key), names=names)


def handshake(
    server: ssl.SSLContext, host: str | None, *, client: ssl.SSLContext | None = None
) -> tuple[str, str, str]:
    """Return common name of the certificate, TLS version and suite of a handshake in memory."""
    client = client or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=host)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (one, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    der = one.getpeercert(binary_form=True)
    assert der is not None
    subject = x509.load_der_x509_certificate(der).subject
    cipher = one.cipher()
    assert cipher is not None
    return str(next(iter(subject)).value), one.version() or "", cipher[0]


@pytest.mark.parametrize(
    ("host", "served"),
    [
        (None, "default"),
        ("a.example.com", "exact"),
        ("A.Example.COM", "exact"),
        ("b.example.com", "wild"),
        ("c.b.example.com", "default"),
        ("example.com", "default"),
        # Extracted names are weaker than those that were given, even by a later pair.
        ("named.org", "explicit"),
        ("own.org", "extracted"),
        ("extracted", "extracted"),
        ("elsewhere.net", "default"),
    ],
)
def test_the_certificate_follows_the_name(host: str | None, served: str, tmp_path: Path) -> None:
    files = ServingFiles(
        pair=pair(tmp_path, "default"),
        named=[
            pair(tmp_path, "extracted", dns=["own.org", "named.org"]),
            pair(tmp_path, "wild", names=["*.example.com"]),
            pair(tmp_path, "exact", names=["a.example.com"]),
            pair(tmp_path, "explicit", names=["named.org"]),
            pair(tmp_path, "too-late", names=["named.org", "a.example.com"]),
        ],
        ciphers=cipher_suites.DEFAULT,
    )
    assert handshake(contexts(files).default, host)[0] == served


def test_an_address_may_have_a_certificate(tmp_path: Path) -> None:
    files = ServingFiles(
        pair=pair(tmp_path, "default"),
        named=[pair(tmp_path, "loopback", names=["127.0.0.1", "local.org"])],
        ciphers=cipher_suites.DEFAULT,
    )
    made = contexts(files)
    assert handshake(made.by_address["127.0.0.1"], None)[0] == "loopback"
    assert handshake(made.by_address["127.0.0.1"], "elsewhere.org")[0] == "default"


@pytest.mark.parametrize(
    ("flags", "most", "version", "suite"),
    [
        ((), ssl.TLSVersion.TLSv1_3, "TLSv1.3", ""),
        ((), ssl.TLSVersion.TLSv1_2, "TLSv1.2", ""),
        (
            ("--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",),
            ssl.TLSVersion.TLSv1_2,
            "TLSv1.2",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ),
        # Suites of TLS 1.2 have no say in TLS 1.3.
        (
            ("--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",),
            ssl.TLSVersion.TLSv1_3,
            "TLSv1.3",
            "",
        ),
    ],
)
def test_versions_and_suites(
    flags: Sequence[str], most: ssl.TLSVersion, version: str, suite: str, tmp_path: Path
) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.maximum_version = most
    _, negotiated, cipher = handshake(_served(tmp_path, flags).default, None, client=client)
    assert negotiated == version
    assert cipher == suite or not suite


@pytest.mark.parametrize(
    ("flags", "most", "ciphers"),
    [
        ((), ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        ((), ssl.TLSVersion.TLSv1_2, "AES128-SHA:AES256-GCM-SHA384:@SECLEVEL=0"),
        ((), ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
        ((), ssl.TLSVersion.TLSv1_2, "aNULL:eNULL:@SECLEVEL=0"),
        (("--tls-min-version=VersionTLS13",), ssl.TLSVersion.TLSv1_2, "DEFAULT"),
        (("--tls-cipher-suites=TLS_AES_128_GCM_SHA256",), ssl.TLSVersion.TLSv1_2, "DEFAULT"),
        (
            ("--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",),
            ssl.TLSVersion.TLSv1_2,
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
    ],
)
def test_what_is_weak_or_not_wanted_is_refused(
    flags: Sequence[str], most: ssl.TLSVersion, ciphers: str, tmp_path: Path
) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns() if most < ssl.TLSVersion.TLSv1_2 else _nothing():
        client.maximum_version = most
    client.set_ciphers(ciphers)
    with pytest.raises(ssl.SSLError):
        handshake(_served(tmp_path, flags).default, None, client=client)


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def _served(folder: Path, flags: Sequence[str]) -> Contexts:
    files = pair(folder, "default")
    arguments = kube_apiserver.parser().parse_args(
        [f"--tls-cert-file={files.certificate}", f"--tls-private-key-file={files.key}", *flags]
    )
    return contexts(serving_files(arguments, "10.0.0.1"))


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--tls-min-version=VersionTLS10"], "--tls-min-version: VersionTLS10 is no longer safe"),
        (["--tls-min-version=VersionTLS11"], "--tls-min-version: VersionTLS11 is no longer safe"),
        (["--tls-min-version=1.2"], 'unknown tls version "1.2"'),
        (["--tls-cipher-suites=RC4"], "Cipher suite RC4 not supported or doesn't exist"),
        (["--tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA"], "none of these is supported"),
        (["--tls-sni-cert-key=a.crt"], "expected comma separated certificate and key file paths"),
        (["--tls-sni-cert-key=a.crt,a.key:"], "empty names list is not allowed"),
        (["--kubelet-client-key=a"], "go together"),
        (["--secure-port=65536"], "--secure-port 65536 must be between 1 and 65535, inclusive"),
        (["--kubelet-preferred-address-types=Home"], "unknown Home"),
    ],
)
def test_flags_that_cannot_work(flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        kube_apiserver.main(flags)
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err


def test_insecure_suites_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    suites = "TLS_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    with pytest.raises(SystemExit):
        kube_apiserver.main([f"--tls-cipher-suites={suites}", "--service-node-port-range=x"])
    assert "use of insecure cipher TLS_RSA_WITH_AES_128_GCM_SHA256\n" in capsys.readouterr().err


def test_every_suite_has_a_name_that_openssl_knows_or_none() -> None:
    for name in cipher_suites.SECURE:
        assert cipher_suites.openssl_names([name]) == cipher_suites.SECURE[name]


def test_a_certificate_is_made_where_there_is_none(tmp_path: Path) -> None:
    arguments = kube_apiserver.parser().parse_args(
        [f"--cert-dir={tmp_path / 'made'}", "--service-cluster-ip-range=10.1.0.0/16"]
    )
    files = serving_files(arguments, "192.168.0.20")
    content = Path(files.pair.certificate).read_bytes()
    assert Path(files.pair.certificate).name == "apiserver.crt"
    assert Path(files.pair.key).stat().st_mode & 0o777 == 0o600
    assert pki.covers(
        content,
        [
            "kubernetes.default.svc",
            "kubernetes.default",
            "kubernetes",
            "localhost",
            "192.168.0.20",
            "10.1.0.1",
        ],
    )
    leaf, authority = x509.load_pem_x509_certificates(content)
    leaf.verify_directly_issued_by(authority)
    assert serving_files(arguments, "192.168.0.20").pair == files.pair
    assert Path(files.pair.certificate).read_bytes() == content


class Steps(FakeClock):
    """A clock of which each sleep does the next thing to the files; it ends with the last one."""

    def __init__(self, *steps: object) -> None:
        super().__init__()
        self._steps = list(steps)

    async def sleep(self, seconds: float) -> None:
        if not self._steps:
            raise asyncio.CancelledError
        step = self._steps.pop(0)
        if callable(step):
            step()


def test_changed_files_are_read_when_they_fit_together(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.crt"
    authorities.write_bytes(CA.certificate_pem)
    files = ServingFiles(
        pair=pair(tmp_path, "default"), authorities=[str(authorities)], ciphers=cipher_suites.DEFAULT
    )
    new = pki.issue(CA, common_name="new", server=True)
    seen: list[tuple[str, bool]] = []

    async def replace(made: Contexts, authorities: bool) -> None:
        seen.append((handshake(made.default, None)[0], authorities))

    clock = Steps(
        None,
        lambda: Path(files.pair.certificate).write_bytes(new.certificate_pem),
        None,
        lambda: Path(files.pair.key).write_bytes(new.key_pem),
        None,
        lambda: authorities.write_bytes(b"no certificate"),
        lambda: authorities.write_bytes(pki.create_ca("another").certificate_pem),
        None,
    )
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Following(files=files, replace=replace).run(clock))
    assert seen == [("new", False), ("new", True)]


def test_certificates_for_kubelets_are_read_again(tmp_path: Path) -> None:
    files = pair(tmp_path, "client")
    arguments = kube_apiserver.parser().parse_args(
        [f"--kubelet-client-certificate={files.certificate}", f"--kubelet-client-key={files.key}"]
    )
    new = pki.issue(CA, common_name="new", client=True)
    seen: list[ssl.SSLContext] = []
    clock = Steps(
        None,
        lambda: Path(files.certificate).write_bytes(new.certificate_pem),
        lambda: Path(files.key).write_bytes(new.key_pem),
        None,
    )
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(kubelet_flags.follow_files(arguments, seen.append, clock))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--tls-cert-file=none.crt", "--tls-private-key-file=none.key"], "none.key"),
        (["--client-ca-file=empty"], "empty: no certificates"),
        (["--client-ca-file=none.crt"], "none.crt"),
        (["--tls-sni-cert-key=empty,empty"], "empty, empty: no certificate with its key"),
        (["--kubelet-certificate-authority=empty"], "--kubelet-certificate-authority: empty"),
        (
            ["--kubelet-client-certificate=none.crt", "--kubelet-client-key=none.key"],
            "--kubelet-client-certificate: none.crt, none.key",
        ),
        (["--requestheader-client-ca-file=none.crt"], "none.crt"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    flags: list[str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_bytes(b"")
    pair(tmp_path, "apiserver")
    with pytest.raises(SystemExit) as stopped:
        kube_apiserver.main([*flags, f"--cert-dir={tmp_path}", "--advertise-address=10.0.0.1"])
    assert named in f"{stopped.value.code} {capsys.readouterr().err}"
