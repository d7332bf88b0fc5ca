"""The command line's answers to people, and the files it writes for them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import yaml

from podium.cmd import credentials, kubeconfig, layout, podium, preflight, progress
from podium.cmd.layout import Cluster, LayoutError


@pytest.fixture(autouse=True)
def _own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "base_dir", lambda: tmp_path / "base")


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    made = layout.prepare(tmp_path / "c", name="shop", port=None, nodes=1, simulated_nodes=0)
    credentials.ensure(made)
    return made


@pytest.mark.parametrize("command", [["down"], ["status"], ["kubeconfig"], ["kubectl", "get"]])
def test_without_a_cluster_commands_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    name, *rest = command
    assert podium.main([name, f"--state-dir={tmp_path / 'none'}", *rest]) == 1
    assert capsys.readouterr().err == (
        f"podium: there is no cluster in {tmp_path / 'none'}; `podium up` makes one\n"
    )


def test_real_nodes_need_what_they_need(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "is_root", lambda: False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert podium.main(["up", f"--state-dir={tmp_path / 'c'}"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "real nodes need root" in error
    assert "--simulate" in error


@pytest.mark.parametrize("flags", [["--nodes=-1"], ["--port=0"], ["--port=x"], ["--simulate=-2"], ["--what"]])
def test_bad_flags(flags: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        podium.main(["up", *flags])
    assert caught.value.code == 2


def test_credentials_are_kept_private_and_stable(cluster: Cluster) -> None:
    def fingerprint() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in cluster.state_dir.rglob("*") if p.is_file()}

    before = fingerprint()
    credentials.ensure(cluster)
    assert fingerprint() == before
    for path in [*cluster.pki_dir.glob("*.key"), cluster.kubeconfig]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_lost_certificate_is_made_again_and_the_authority_stays(cluster: Cluster) -> None:
    authority = (cluster.pki_dir / "ca.crt").read_bytes()
    (cluster.pki_dir / "apiserver.crt").unlink()
    credentials.ensure(cluster)
    assert (cluster.pki_dir / "apiserver.crt").exists()
    assert (cluster.pki_dir / "ca.crt").read_bytes() == authority


def test_a_replaced_authority_replaces_what_it_signed(cluster: Cluster) -> None:
    before = cluster.kubeconfig.read_bytes(), (cluster.pki_dir / "apiserver.crt").read_bytes()
    (cluster.pki_dir / "ca.crt").unlink()
    credentials.ensure(cluster)
    after = cluster.kubeconfig.read_bytes(), (cluster.pki_dir / "apiserver.crt").read_bytes()
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_merging_keeps_what_was_there(cluster: Cluster, tmp_path: Path) -> None:
    target = tmp_path / "config"
    other = {"name": "other", "cluster": {"server": "https://example.org"}}
    target.write_text(yaml.safe_dump({"clusters": [other], "current-context": "other", "preferences": {}}))
    for _ in range(2):
        kubeconfig.merge(cluster.kubeconfig, target)
    merged = yaml.safe_load(target.read_text())
    assert [c["name"] for c in merged["clusters"]] == ["other", "podium-shop"]
    assert [c["name"] for c in merged["contexts"]] == ["podium-shop"]
    assert merged["current-context"] == "podium-shop"
    assert target.stat().st_mode & 0o077 == 0


def test_what_is_no_kubeconfig_is_left_alone(cluster: Cluster, tmp_path: Path) -> None:
    target = tmp_path / "config"
    target.write_text("- a list")
    with pytest.raises(LayoutError, match="no kubeconfig"):
        kubeconfig.merge(cluster.kubeconfig, target)
    assert target.read_text() == "- a list"


def test_kubeconfig_is_printed_as_yaml(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert podium.main(["kubeconfig", f"--state-dir={cluster.state_dir}"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == json.loads(cluster.kubeconfig.read_text())


def test_kubectl_gets_everything_behind_its_name(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def execv(program: str, arguments: list[str]) -> None:
        called.append(arguments[1:])

    monkeypatch.setattr("os.execv", execv)
    monkeypatch.setattr(kubeconfig, "find_kubectl", lambda: "/bin/kubectl")
    monkeypatch.setenv("KUBECONFIG", "")
    words = ["exec", "p", "-it", "--", "sh", "-c", "--help"]
    podium.main(["kubectl", f"--state-dir={cluster.state_dir}", *words])
    podium.main(["kubectl", "--state-dir", str(cluster.state_dir), *words])
    assert called == [words, words]


def test_progress_in_a_pipe_is_plain_lines() -> None:
    events = io.BytesIO()
    events.close = lambda: None  # type: ignore[method-assign]
    reporter = progress.Reporter(events)
    with reporter.step("kube-apiserver"):
        pass
    reporter.ready(["it runs"])
    events.seek(0)
    output = io.StringIO()
    assert progress.follow(events, output=output) is True
    first, second, last = output.getvalue().splitlines()
    assert first.split()[:2] == ["ok", "kube-apiserver"]
    assert second.startswith("  ready after")
    assert last == "it runs"


def test_a_start_that_ends_without_a_word_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert progress.follow(io.BytesIO(b"")) is False
    assert "ended while starting" in capsys.readouterr().err
