"""What the flags say of audit logging."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from podium.apiserver.audit.buffered import Batching
from podium.apiserver.audit.log_file import Rotation
from podium.apiserver.audit.policy import Policy
from podium.apiserver.audit.truncate import Sizes
from podium.client.kubeconfig import Connection

BATCH, BLOCKING, STRICT = "batch", "blocking", "blocking-strict"
MODES = (BATCH, BLOCKING, STRICT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How events reach a backend."""

    mode: str
    batching: Batching
    sizes: Sizes | None = None
    """None: nothing is truncated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    path: Path | None
    """None: standard output."""
    format: str = "json"
    rotation: Rotation = field(default_factory=Rotation)
    sending: Sending


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    connection: Connection
    initial_backoff_s: float = 10.0
    sending: Sending


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    policy: Policy
    log: LogOptions | None = None
    webhook: WebhookOptions | None = None
