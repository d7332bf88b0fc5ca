"""The controller manager's command line: every flag of upstream's is taken; faults are told in its words."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from podium.base.log import JsonFormat
from podium.cmd import controller_flags, unused_flags
from podium.cmd import kube_controller_manager as program
from podium.cmd.controller_configz import NAME, configz
from podium.cmd.controller_unused_flags import UNUSED
from podium.cmd.log_flags import as_told
from podium.controllers.catalogue import Settings, catalogue

FLAGS = (Path(__file__).parent / "upstream_controller_manager_flags.txt").read_text().split()


def test_every_flag_of_upstreams_is_taken() -> None:
    known = {option for action in program.parser()._actions for option in action.option_strings}
    assert [flag for flag in FLAGS if flag not in known] == []


def test_a_flag_that_means_nothing_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    line = ["--kubeconfig=x", "--profiling=false", "--cluster-name", "a", "--contention-profiling=true"]
    unused_flags.warn(program._arguments(line), UNUSED)
    told = {record.__dict__["fields"]["flag"] for record in caplog.records}
    assert told == {"--cluster-name", "--contention-profiling"}, "what is off anyway is not worth a word"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--concurrent-job-syncs=0"], "must be greater than 0, but got 0"),
        (["--max-endpoints-per-slice=1001"], "must be no more than 1000, but got 1001"),
        (["--leader-elect-resource-lock=endpoints"], 'resourceLock value must be "leases"'),
        (["--leader-elect-lease-duration=10s"], "leaseDuration must be greater than renewDeadline"),
        (["--cloud-provider=aws"], 'cloud provider "aws" was specified, but built-in cloud providers'),
        (["--cidr-allocator-type=CloudAllocator"], "The ipam CloudAllocator is not available"),
        (
            ["--cluster-signing-cert-file=a", "--cluster-signing-kubelet-client-cert-file=b"],
            "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags",
        ),
        (
            ["--cluster-signing-kubelet-client-cert-file=b"],
            "cannot specify --cluster-signing-kubelet-client-cert-file without",
        ),
        (["--service-cluster-ip-range=10.0.0.0/16,fd00::/112,10.1.0.0/16"], "more than two entries"),
        (["--logging-format=xml"], "Unsupported log format"),
        (["--tls-min-version=VersionTLS09"], "--tls-min-version"),
    ],
)
def test_what_is_wrong_is_said(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program._arguments(["--kubeconfig=x", *flags])
    assert message in capsys.readouterr().err


def test_workers_and_batches_are_those_of_known_controllers() -> None:
    names = {controller.name for controller in catalogue(Settings())}
    arguments = program._arguments(["--kubeconfig=x", "--concurrent-gc-syncs=3"])
    assert controller_flags.workers(arguments).keys() <= names
    assert controller_flags.workers(arguments)["garbage-collector-controller"] == 3
    assert controller_flags.batch_periods_s(arguments).keys() <= names


def test_a_signer_with_files_of_its_own_leaves_none_to_the_others() -> None:
    common = program._arguments(
        ["--kubeconfig=x", "--cluster-signing-cert-file=c", "--cluster-signing-key-file=k"]
    )
    assert set(controller_flags.signers(common).values()) == {("c", "k")}
    own = program._arguments(
        [
            "--kubeconfig=x",
            "--cluster-signing-kubelet-serving-cert-file=c",
            "--cluster-signing-kubelet-serving-key-file=k",
        ]
    )
    assert controller_flags.signers(own) == {"kubernetes.io/kubelet-serving": ("c", "k")}


def test_configz_says_what_was_told() -> None:
    arguments = program._arguments(["--kubeconfig=x", "--concurrent-job-syncs=7", "--controllers=*,-job"])
    document = configz(arguments)[NAME]
    assert document["JobController"] == {"ConcurrentJobSyncs": 7}
    assert document["Generic"]["Controllers"] == ["*", "-job"]
    assert document["Generic"]["LeaderElection"]["leaseDuration"] == "15s"
    told = as_told(program.parser(), arguments)
    assert told["concurrent-job-syncs"] == "7"
    assert told["leader-elect"] == "true"


def test_a_line_of_json_has_upstreams_keys() -> None:
    record = logging.LogRecord("podium.x", logging.ERROR, "/a/runtime/leader.py", 7, "lost", None, None)
    record.fields = {"error": "why", "msg": "taken", "lease": "kcm"}
    line = JsonFormat().format(record)
    assert '"caller": "runtime/leader.py:7", "logger": "podium.x", "msg": "lost"' in line
    assert '"msg_": "taken", "lease": "kcm", "err": "why"' in line
    record.levelno = logging.DEBUG
    assert '"v": 4' in JsonFormat().format(record)
