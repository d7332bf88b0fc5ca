"""Which controllers `--controllers` means, and what the catalogue must keep to."""

from __future__ import annotations

import pytest

from podium.apiserver.bootstrap.controllers import CONTROLLERS, OPTIONAL
from podium.base.pki import KeyPair
from podium.cmd import kube_controller_manager
from podium.controllers.catalogue import OFF_BY_DEFAULT, Settings, catalogue, chosen, without_settings
from podium.machinery.feature_gates import FeatureGates
from podium.runtime.controller import AS_PROCESS, Controller

ALL = catalogue(Settings())
GATES = ",".join(f"{name}=true" for name in (*OPTIONAL, "APIServerIdentity"))
USUAL = {c.name for c in ALL} - OFF_BY_DEFAULT


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("*", USUAL),
        ("", USUAL),
        ("*,bootstrapsigner,tokencleaner,selinux-warning", {c.name for c in ALL}),
        ("token-cleaner,-bootstrapsigner", {"token-cleaner-controller"}),
        ("deployment-controller,replicaset", {"deployment-controller", "replicaset-controller"}),
        ("*,-garbage-collector-controller", USUAL - {"garbage-collector-controller"}),
        ("-deployment", set()),
        ("-deployment,deployment", set()),
        ("podgc,service,-route", {"pod-garbage-collector-controller"}),
        ("service-lb-controller", set()),
    ],
)
def test_what_the_flag_means(wish: str, expected: set[str]) -> None:
    assert {c.name for c in chosen(ALL, wish)} == expected


def test_an_unknown_controller_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match='"nonsense" is not in the list of known controllers'):
        chosen(ALL, "*,-nonsense")
    with pytest.raises(SystemExit):
        kube_controller_manager.main(["--kubeconfig=x", "--controllers=nonsense"])
    assert "nonsense" in capsys.readouterr().err


def test_names_are_unique() -> None:
    assert len({c.name for c in ALL}) == len(ALL)


_ELSEWHERE = {
    AS_PROCESS,
    "bootstrap-signer",  # has Roles in two namespaces
    "token-cleaner",
    *(name for controllers in OPTIONAL.values() for name in controllers),  # behind a gate, as its role is
}


def test_every_controller_has_a_role_of_its_own() -> None:
    accounts = {c.service_account or c.name for c in ALL if isinstance(c, Controller)}
    assert accounts <= set(CONTROLLERS) | _ELSEWHERE, "upstream's roles have these names"


def test_controllers_without_their_settings_do_not_run() -> None:
    names = {c.name for c in ALL}
    assert without_settings(Settings()) <= names
    complete = Settings(
        root_ca="x",
        service_account_key="y",
        cluster_cidr="10.0.0.0/16",
        signing={"kubernetes.io/legacy-unknown": KeyPair(certificate_pem=b"c", key_pem=b"k")},
        gates=FeatureGates.parse([GATES], "1.36"),
    )
    assert without_settings(complete) == frozenset()


@pytest.mark.parametrize(("text", "seconds"), [("40s", 40), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    arguments = kube_controller_manager._arguments(
        ["--kubeconfig=x", f"--node-monitor-grace-period={text}", "--profiling=false", "--secure-port=10257"]
    )
    assert arguments.node_monitor_grace_period == pytest.approx(seconds)
