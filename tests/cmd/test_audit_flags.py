"""What the flags of audit logging make, and which are refused."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

import pytest

from podium.apiserver.audit.options import Options
from podium.cmd import audit_flags

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1/audit'}}]
contexts: [{name: c, context: {cluster: c}}]
current-context: c
"""


def made(*flags: str) -> Options | None:
    parser = argparse.ArgumentParser(prog="kube-apiserver")
    audit_flags.add_flags(parser)
    return audit_flags.options(parser, parser.parse_args(flags))


def policy(directory: Path) -> str:
    path = directory / "policy.yaml"
    path.write_text(POLICY)
    return f"--audit-policy-file={path}"


def kubeconfig(directory: Path) -> str:
    path = directory / "kubeconfig"
    path.write_text(KUBECONFIG)
    return f"--audit-webhook-config-file={path}"


def test_upstreams_defaults(tmp_path: Path) -> None:
    options = made(policy(tmp_path), f"--audit-log-path={tmp_path / 'a' / 'audit.log'}", kubeconfig(tmp_path))
    assert options is not None
    log, webhook = options.log, options.webhook
    assert log is not None
    assert webhook is not None
    assert (log.format, log.sending.mode, log.sending.sizes) == ("json", "blocking", None)
    assert log.rotation.bytes_max == 100 * 1024 * 1024
    assert (log.rotation.age_max, log.rotation.backups_max) == (timedelta(days=366), 100)
    assert log.rotation.compress is False
    assert (log.sending.batching.size_max, log.sending.batching.throttled) == (1, False)
    assert (tmp_path / "a" / "audit.log").stat().st_mode & 0o777 == 0o600
    batching = webhook.sending.batching
    assert (webhook.sending.mode, webhook.initial_backoff_s) == ("batch", 10.0)
    assert (batching.buffer_size, batching.size_max, batching.wait_max_s) == (10_000, 400, 30.0)
    assert (batching.throttled, batching.qps, batching.burst) == (True, 10.0, 15)


def test_all_of_them(tmp_path: Path) -> None:
    options = made(
        policy(tmp_path),
        "--audit-log-path=-",
        "--audit-log-format=legacy",
        "--audit-log-maxage=1",
        "--audit-log-maxbackup=2",
        "--audit-log-maxsize=3",
        "--audit-log-compress",
        "--audit-log-mode=batch",
        "--audit-log-batch-max-size=7",
        "--audit-log-batch-max-wait=1m",
        "--audit-log-truncate-enabled=true",
        "--audit-log-truncate-max-event-size=10",
        "--audit-log-truncate-max-batch-size=20",
    )
    assert options is not None
    log = options.log
    assert log is not None
    assert (log.path, log.format, log.rotation.compress) == (None, "legacy", True)
    assert (log.rotation.age_max.days, log.rotation.backups_max, log.rotation.bytes_max) == (1, 2, 3 << 20)
    assert (log.sending.batching.size_max, log.sending.batching.wait_max_s) == (7, 60.0)
    assert log.sending.sizes is not None
    assert (log.sending.sizes.event_bytes_max, log.sending.sizes.batch_bytes_max) == (10, 20)


def test_without_a_policy_or_a_backend_nothing_is_audited(tmp_path: Path) -> None:
    assert made() is None
    assert made("--audit-log-path=-") is None
    assert made(kubeconfig(tmp_path)) is None
    assert made(policy(tmp_path)) is None


# ruff: noqa: E501
WRONG = [
    (["--audit-log-path=-", "--audit-log-mode=x"], 'invalid audit log mode x, allowed modes are "batch,blocking,blocking-strict"'),
    (["--audit-log-path=-", "--audit-log-format=x"], 'invalid audit log format x, allowed formats are "legacy,json"'),
    (["--audit-log-path=-", "--audit-log-maxage=-1"], "--audit-log-maxage -1 can't be a negative number"),
    (["--audit-log-path=-", "--audit-log-maxsize=-1"], "--audit-log-maxsize -1 can't be a negative number"),
    (["--audit-log-path=-", "--audit-log-maxbackup=-1"], "--audit-log-maxbackup -1 can't be a negative number"),
    (["--audit-log-path=-", "--audit-log-version=v2"], "invalid group version"),
    (["--audit-log-path=-", "--audit-log-mode=batch", "--audit-log-batch-buffer-size=0"], "invalid audit batch log buffer size 0, must be a positive number"),
    (["--audit-log-path=-", "--audit-log-mode=batch", "--audit-log-batch-throttle-enable"], "invalid audit batch log throttle QPS 0, must be a positive number"),
    (["--audit-log-path=-", "--audit-log-truncate-max-event-size=0"], "invalid audit truncate log max event size 0, must be a positive number"),
    (["--audit-webhook-config-file=x", "--audit-webhook-truncate-max-batch-size=9"], "invalid audit truncate webhook max batch size 9, must be greater than max event size (102400)"),
    (["--audit-webhook-config-file=x", "--audit-webhook-batch-max-size=0"], "invalid audit batch webhook max batch size 0, must be a positive number"),
    (["--audit-webhook-config-file=x", "--audit-webhook-batch-throttle-burst=0"], "invalid audit batch webhook throttle burst 0, must be a positive number"),
    (["--audit-webhook-config-file=missing", "POLICY"], "--audit-webhook-config-file: initializing audit webhook: cannot read kubeconfig missing"),
    (["--audit-policy-file=missing"], '--audit-policy-file: loading audit policy file: failed to read file path "missing"'),
    (["--audit-log-path=/dev/null/x", "POLICY"], "--audit-log-path: ensureLogFile:"),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "message"), WRONG, ids=lambda value: str(value)[:60])
def test_what_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    given = [policy(tmp_path) if flag == "POLICY" else flag for flag in flags]
    with pytest.raises(SystemExit) as stopped:
        made(*given)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
