from __future__ import annotations

import subprocess
import sys

import pytest

from podium.cmd import kube_scheduler


@pytest.mark.parametrize(
    ("flags", "elects"),
    [
        ([], True),
        (["--leader-elect"], True),
        (["--leader-elect=true"], True),
        (["--leader-elect=false"], False),
    ],
    ids=str,
)
def test_leader_election_is_on_unless_switched_off(flags: list[str], elects: bool) -> None:
    assert kube_scheduler.parser().parse_args(["--kubeconfig=k", *flags]).leader_elect is elects


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--kubeconfig"),
        (["--kubeconfig=k", "--unheard-of"], "--unheard-of"),
        (["--kube=k"], "--kubeconfig"),
    ],
)
def test_wrong_flags(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        kube_scheduler.main(flags)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_numpy_is_not_loaded_before_its_settings_are_made() -> None:
    code = "import sys, podium.cmd.kube_scheduler; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
