"""kube-apiserver's flags of audit logging: which requests, and where the events go."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.cmd.durations import duration_s

if TYPE_CHECKING:
    from podium.apiserver.audit.options import LogOptions, Options, Sending, WebhookOptions

_VERSION = "audit.k8s.io/v1"
_MODES = ("batch", "blocking", "blocking-strict")
_FORMATS = ("legacy", "json")
_MEGABYTE = 1024 * 1024
_BOOL: dict[str, Any] = {"nargs": "?", "const": "true", "choices": ("true", "false")}


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = made.add_argument
    add("--audit-policy-file", default="", help="the audit policy; without one nothing is audited")
    add("--audit-log-path", default="", help="file to which audit events are written; - is standard output")
    add("--audit-log-format", default="json", help=f"form of the lines: {' or '.join(_FORMATS)}")
    add("--audit-log-maxage", type=int, default=366, help="days that rotated files are kept; 0: for ever")
    add("--audit-log-maxbackup", type=int, default=100, help="rotated files that are kept; 0: all")
    add("--audit-log-maxsize", type=int, default=100, help="megabytes of a file; 0: it is never rotated")
    add("--audit-log-compress", **_BOOL, default="false", help="compress rotated files")
    add("--audit-log-version", default=_VERSION, help="API version of the events in the file")
    _add_sending(made, "log", mode="blocking", size_max=1, wait_max="0s", throttled="false", qps=0.0, burst=0)
    add("--audit-webhook-config-file", default="", help="kubeconfig of where audit events are posted")
    add(
        "--audit-webhook-initial-backoff",
        "--audit-webhook-batch-initial-backoff",
        type=duration_s,
        default=10.0,
        help="wait before a failed post is tried again",
    )
    add("--audit-webhook-version", default=_VERSION, help="API version of the events that are posted")
    _add_sending(
        made, "webhook", mode="batch", size_max=400, wait_max="30s", throttled="true", qps=10.0, burst=15
    )


def _add_sending(
    made: argparse.ArgumentParser,
    plugin: str,
    *,
    mode: str,
    size_max: int,
    wait_max: str,
    throttled: str,
    qps: float,
    burst: int,
) -> None:
    def add(name: str, help: str, **options: Any) -> None:
        made.add_argument(f"--audit-{plugin}-{name}", help=help, **options)

    add("mode", f"how requests and events go together: {', '.join(_MODES)}", default=mode)
    add("batch-buffer-size", "events that wait; further ones are dropped", type=int, default=10_000)
    add("batch-max-size", "events of one batch", type=int, default=size_max)
    add("batch-max-wait", "how long a batch may take to fill", type=duration_s, default=wait_max)
    add("batch-throttle-enable", "bound the batches a second", default=throttled, **_BOOL)
    add("batch-throttle-qps", "batches a second, on average", type=float, default=qps)
    add("batch-throttle-burst", "batches at once after a pause", type=int, default=burst)
    add("truncate-enabled", "make long events shorter, and cut long batches", default="false", **_BOOL)
    add("truncate-max-batch-size", "bytes of one batch", type=int, default=10 * _MEGABYTE)
    add("truncate-max-event-size", "bytes of one event", type=int, default=100 * 1024)


def options(made: argparse.ArgumentParser, arguments: argparse.Namespace) -> Options | None:
    """Return what the flags ask for, None when nothing is audited; ends the program when they make no sense.

    As upstream, a policy alone audits nothing, and neither do backends without a policy.
    """
    for wrong in (_wrong_log(arguments), _wrong_webhook(arguments)):
        if wrong:
            made.error(wrong)
    if not arguments.audit_policy_file:
        return None
    # Loaded only where there is a policy.
    from podium.apiserver.audit import policy_file  # noqa: PLC0415
    from podium.apiserver.audit.options import Options  # noqa: PLC0415

    try:
        policy = policy_file.load(arguments.audit_policy_file)
    except ValueError as error:
        made.error(f"--audit-policy-file: loading audit policy file: {error}")
    log, webhook = _log(made, arguments), _webhook(made, arguments)
    if log is None and webhook is None:
        return None
    return Options(policy=policy, log=log, webhook=webhook)


def _log(made: argparse.ArgumentParser, arguments: argparse.Namespace) -> LogOptions | None:
    if not arguments.audit_log_path:
        return None
    from podium.apiserver.audit.log_file import Rotation, ensure  # noqa: PLC0415
    from podium.apiserver.audit.options import LogOptions  # noqa: PLC0415

    path = None if arguments.audit_log_path == "-" else Path(arguments.audit_log_path)
    try:
        if path is not None:
            ensure(path)
    except OSError as error:
        made.error(f"--audit-log-path: ensureLogFile: {error}")
    return LogOptions(
        path=path,
        format=arguments.audit_log_format,
        rotation=Rotation(
            bytes_max=arguments.audit_log_maxsize * _MEGABYTE,
            age_max=timedelta(days=arguments.audit_log_maxage),
            backups_max=arguments.audit_log_maxbackup,
            compress=arguments.audit_log_compress == "true",
        ),
        sending=_sending(arguments, "log", concurrent=False),
    )


def _webhook(made: argparse.ArgumentParser, arguments: argparse.Namespace) -> WebhookOptions | None:
    if not arguments.audit_webhook_config_file:
        return None
    from podium.apiserver.audit.options import WebhookOptions  # noqa: PLC0415
    from podium.client import kubeconfig  # noqa: PLC0415

    try:
        connection = kubeconfig.load(arguments.audit_webhook_config_file)
        connection.ssl_context()
    except kubeconfig.KubeconfigError as error:
        made.error(f"--audit-webhook-config-file: initializing audit webhook: {error}")
    return WebhookOptions(
        connection=connection,
        initial_backoff_s=arguments.audit_webhook_initial_backoff,
        sending=_sending(arguments, "webhook", concurrent=True),
    )


def _sending(arguments: argparse.Namespace, plugin: str, *, concurrent: bool) -> Sending:
    from podium.apiserver.audit.buffered import Batching  # noqa: PLC0415
    from podium.apiserver.audit.options import Sending  # noqa: PLC0415
    from podium.apiserver.audit.truncate import Sizes  # noqa: PLC0415

    given = _given(arguments, plugin)
    return Sending(
        mode=given("mode"),
        batching=Batching(
            buffer_size=given("batch_buffer_size"),
            size_max=given("batch_max_size"),
            wait_max_s=given("batch_max_wait"),
            throttled=given("batch_throttle_enable") == "true",
            qps=given("batch_throttle_qps"),
            burst=given("batch_throttle_burst"),
            concurrent=concurrent,
        ),
        sizes=Sizes(
            batch_bytes_max=given("truncate_max_batch_size"),
            event_bytes_max=given("truncate_max_event_size"),
        )
        if given("truncate_enabled") == "true"
        else None,
    )


def _given(arguments: argparse.Namespace, plugin: str) -> Callable[[str], Any]:
    """Return what looks up the values of one backend's flags."""
    return lambda name: getattr(arguments, f"audit_{plugin}_{name}")


# --- what is wrong, in upstream's words


def _wrong_log(arguments: argparse.Namespace) -> str:
    if not arguments.audit_log_path:
        return ""
    if wrong := _wrong_sending(arguments, "log"):
        return wrong
    if arguments.audit_log_format not in _FORMATS:
        allowed = ",".join(_FORMATS)
        return f'invalid audit log format {arguments.audit_log_format}, allowed formats are "{allowed}"'
    for name in ("maxage", "maxbackup", "maxsize"):
        value = getattr(arguments, f"audit_log_{name}")
        if value < 0:
            return f"--audit-log-{name} {value} can't be a negative number"
    return ""


def _wrong_webhook(arguments: argparse.Namespace) -> str:
    return _wrong_sending(arguments, "webhook") if arguments.audit_webhook_config_file else ""


def _wrong_sending(arguments: argparse.Namespace, plugin: str) -> str:
    given = _given(arguments, plugin)
    mode, positive = given("mode"), "must be a positive number"
    if mode not in _MODES:
        return f'invalid audit {plugin} mode {mode}, allowed modes are "{",".join(_MODES)}"'
    numbers = [("buffer size", "batch_buffer_size"), ("max batch size", "batch_max_size")]
    if given("batch_throttle_enable") == "true":
        numbers += [("throttle QPS", "batch_throttle_qps"), ("throttle burst", "batch_throttle_burst")]
    for words, name in numbers if mode == "batch" else ():
        if given(name) <= 0:
            return f"invalid audit batch {plugin} {words} {given(name):g}, {positive}"
    event, batch = given("truncate_max_event_size"), given("truncate_max_batch_size")
    if event <= 0:
        return f"invalid audit truncate {plugin} max event size {event}, {positive}"
    if batch < event:
        return (
            f"invalid audit truncate {plugin} max batch size {batch}, must be greater than max event size "
            f"({event})"
        )
    if given("version") != _VERSION:
        return (
            f'invalid group version, allowed versions are [{{"audit.k8s.io" "v1"}}]: --audit-{plugin}-version'
        )
    return ""
