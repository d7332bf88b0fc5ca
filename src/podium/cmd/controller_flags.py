"""The controller manager's flags about single controllers: how many keys at once, how long they collect."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from podium.cmd.durations import duration_s
from podium.cmd.flag_types import boolean, positive

WORKERS: Mapping[str, tuple[str, int]] = {
    "cron-job": ("cronjob-controller", 5),
    "daemonset": ("daemonset-controller", 2),
    "deployment": ("deployment-controller", 5),
    "device-taint-eviction": ("device-taint-eviction-controller", 8),
    "endpoint": ("endpoints-controller", 5),
    "ephemeralvolume": ("ephemeral-volume-controller", 5),
    "gc": ("garbage-collector-controller", 20),
    "job": ("job-controller", 5),
    "namespace": ("namespace-controller", 10),
    "rc": ("replicationcontroller-controller", 5),
    "replicaset": ("replicaset-controller", 5),
    "resource-quota": ("resourcequota-controller", 5),
    "resourceclaim": ("resourceclaim-controller", 50),
    "service-endpoint": ("endpointslice-controller", 5),
    "serviceaccount-token": ("serviceaccount-token-controller", 5),
    "statefulset": ("statefulset-controller", 5),
    "ttl-after-finished": ("ttl-after-finished-controller", 5),
    "validating-admission-policy-status": ("validatingadmissionpolicy-status-controller", 5),
}
"""Of `--concurrent-NAME-syncs`: whom it is about, and upstream's default."""
MIRRORING = "endpointslice-mirroring-controller"
BATCHED: Mapping[str, str] = {
    "endpoint-updates": "endpoints-controller",
    "endpointslice-updates": "endpointslice-controller",
    "mirroring-endpointslice-updates": MIRRORING,
}
"""Of `--NAME-batch-period`: whom it is about."""
SIGNERS: Mapping[str, str] = {
    "kubelet-serving": "kubernetes.io/kubelet-serving",
    "kubelet-client": "kubernetes.io/kube-apiserver-client-kubelet",
    "kube-apiserver-client": "kubernetes.io/kube-apiserver-client",
    "legacy-unknown": "kubernetes.io/legacy-unknown",
}
"""Of `--cluster-signing-NAME-cert-file` and `-key-file`: which signer it is about."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add upstream's flags."""
    add = parser.add_argument
    for name, (controller, default) in WORKERS.items():
        text = f"how many keys {controller} works on at once"
        add(f"--concurrent-{name}-syncs", type=positive, default=default, help=text)
    add(
        "--mirroring-concurrent-service-endpoint-syncs",
        type=positive,
        default=5,
        help=f"how many keys {MIRRORING} works on at once",
    )
    for name, controller in BATCHED.items():
        text = f"how long {controller} collects changes of a Service before it looks at them"
        add(f"--{name}-batch-period", type=duration_s, default=0.0, help=text)
    add(
        "--max-endpoints-per-slice",
        type=_slice_size,
        default=100,
        help="how many endpoints an EndpointSlice has at most",
    )
    add(
        "--enable-garbage-collector",
        type=boolean,
        nargs="?",
        const=True,
        default=True,
        help="collect what has lost all its owners",
    )
    for name, signer in SIGNERS.items():
        for part, what in (("cert", "the CA that signs"), ("key", "that CA's private key")):
            text = f"{what}, for {signer} alone"
            add(f"--cluster-signing-{name}-{part}-file", default="", help=text)


def workers(arguments: argparse.Namespace) -> dict[str, int]:
    """Return how many workers each controller has, by its name, where a flag says so."""
    chosen = {
        controller: getattr(arguments, f"concurrent_{name.replace('-', '_')}_syncs")
        for name, (controller, _) in WORKERS.items()
    }
    return {**chosen, MIRRORING: arguments.mirroring_concurrent_service_endpoint_syncs}


def batch_periods_s(arguments: argparse.Namespace) -> dict[str, float]:
    """Return how long controllers collect changes, by their names."""
    return {
        controller: getattr(arguments, f"{name.replace('-', '_')}_batch_period")
        for name, controller in BATCHED.items()
    }


def signers(arguments: argparse.Namespace) -> dict[str, tuple[str, str]]:
    """Return the files with certificate and key of each signer; none for one that is not to sign.

    As upstream: once a signer has files of its own, the others sign only with files of their own too.
    """
    common = (arguments.cluster_signing_cert_file, arguments.cluster_signing_key_file)
    own = {
        signer: tuple(
            getattr(arguments, f"cluster_signing_{name.replace('-', '_')}_{part}_file")
            for part in ("cert", "key")
        )
        for name, signer in SIGNERS.items()
    }
    files = own if any(any(pair) for pair in own.values()) else dict.fromkeys(own, common)
    return {signer: (pair[0], pair[1]) for signer, pair in files.items() if all(pair)}


def wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags taken together, "" when nothing is."""
    common = arguments.cluster_signing_cert_file or arguments.cluster_signing_key_file
    for name in SIGNERS:
        flag = f"cluster-signing-{name}"
        certificate = getattr(arguments, f"{flag.replace('-', '_')}_cert_file")
        key = getattr(arguments, f"{flag.replace('-', '_')}_key_file")
        if common and (certificate or key):
            return (
                "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags "
                "at the same time"
            )
        if bool(certificate) is not bool(key):
            given, missing = ("cert", "key") if certificate else ("key", "cert")
            return f"cannot specify --{flag}-{given}-file without --{flag}-{missing}-file"
    return ""


def _slice_size(text: str) -> int:
    number = positive(text)
    if number > 1000:
        raise argparse.ArgumentTypeError(f"must be no more than 1000, but got {number}")
    return number
