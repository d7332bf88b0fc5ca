"""The flags of kube-apiserver: what cannot work is said before anything starts."""

from __future__ import annotations

import pytest

from podium.cmd import kube_apiserver

CERTIFICATE = ("--tls-cert-file=tls.crt", "--tls-private-key-file=tls.key")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--tls-cert-file=tls.crt",), "go together"),
        ((*CERTIFICATE, "--service-cluster-ip-range=nonsense"), "does not appear to be"),
        ((*CERTIFICATE, "--service-node-port-range=9-1"), "no range of ports"),
        ((*CERTIFICATE, "--authorization-mode=Node,Magic"), '"Magic" is not a valid mode'),
        ((*CERTIFICATE, "--kubernetes-version=1.7.3"), "no schemas for 1.7"),
        ((*CERTIFICATE, "--bind-address=everywhere"), "does not appear to be"),
        ((*CERTIFICATE, "--storage-backend=etcd3"), "needs --etcd-servers"),
        ((*CERTIFICATE, "--storage-backend=sqlite", "--etcd-servers=http://a"), "kept in SQLite"),
        ((*CERTIFICATE, "--etcd-cafile=ca.crt"), "need --etcd-servers"),
        ((*CERTIFICATE, "--etcd-servers=https://a", "--etcd-certfile=a.crt"), "go together"),
        ((*CERTIFICATE, "--insecure-port=70000"), "must be between 0 and 65535, inclusive"),
        ((*CERTIFICATE, "--insecure-bind-address=0.0.0.0"), "is no loopback address"),
        ((*CERTIFICATE, "--insecure-bind-address=all"), "--insecure-bind-address: 'all' does not appear"),
        ((*CERTIFICATE, "--max-requests-inflight=-1"), "--max-requests-inflight can not be negative value"),
        ((*CERTIFICATE, "--min-request-timeout=-1"), "--min-request-timeout can not be negative value"),
        ((*CERTIFICATE, "--request-timeout=soon"), 'invalid duration "soon"'),
        (
            (*CERTIFICATE, "--max-requests-inflight=0", "--max-mutating-requests-inflight=0"),
            "MaxRequestsInFlight=0 and MaxMutatingRequestsInFlight=0; they must add up to something positive",
        ),
        ((*CERTIFICATE, "--no-such-flag=1"), "unrecognized arguments: --no-such-flag=1"),
    ],
)
def test_flags_that_cannot_work(
    flags: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        kube_apiserver.main(flags)
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err


def test_flags_that_are_gone_are_still_understood() -> None:
    arguments = kube_apiserver.parser().parse_args(["--insecure-port=0", "--enable-swagger-ui"])
    assert arguments.insecure_port == 0
