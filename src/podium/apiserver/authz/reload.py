"""Follows the file of `--authorization-config`: a good change is in force at once, a bad one is counted.

Upstream: pkg/kubeapiserver/authorizer/reload.go.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from podium.apiserver.authz.configuration import parse
from podium.apiserver.server_id import hashed, server_id
from podium.base import file_changes
from podium.base.clock import Clock
from podium.base.log import Log

if TYPE_CHECKING:
    from podium.apiserver.authz import Authorizers, Options
    from podium.apiserver.authz.union import Chain
    from podium.apiserver.authz.webhook import WebhookAuthorizer

_log = Log("podium.apiserver.authz")


class Reload:
    """Keeps one chain as its file says."""

    def __init__(self, options: Options, authorizers: Authorizers, chain: Chain, *, clock: Clock) -> None:
        self._options = options
        self._authorizers = authorizers
        self._chain = chain
        self._clock = clock
        self._read = options.file_content
        self._seen = file_changes.stamp((options.file,)) if options.file else ()
        # Modes that were there at the start have to stay.
        self._required = {one.type for one in options.chain} - {"Webhook"}
        self._config = tuple(options.chain)
        self._retired: list[WebhookAuthorizer] = []
        """Webhooks of the chain before, which may still be answering."""

    async def run(self) -> None:
        """Follow the file for ever; close the webhooks' connections when cancelled."""
        try:
            if self._options.file:
                self._tell(self._read)
                follow = file_changes.follow
                await follow((self._options.file,), self._changed, clock=self._clock, seen=self._seen)
            await asyncio.Event().wait()
        finally:
            for webhook in (*self._retired, *self._authorizers.webhooks):
                await webhook.close()

    async def _changed(self) -> bool:
        try:
            data = _content(self._options.file)
        except OSError as error:
            self._failed(str(error))
            return False
        if data == self._read:
            return True
        self._read = data
        before = self._authorizers.webhooks
        try:
            config = parse(data, version=self._options.version, required=self._required)
            if config == self._config:
                return True
            links = self._authorizers.links(config)
        except ValueError as error:
            self._failed(str(error))
            return True
        self._config = config
        self._chain.replace(links)
        for webhook in self._retired:
            await webhook.close()
        self._retired = before
        _log.info("the authorization configuration was reloaded", file=self._options.file)
        self._count("success")
        self._tell(data)
        return True

    def _failed(self, why: str) -> None:
        _log.error("the authorization configuration was not reloaded", file=self._options.file, error=why)
        self._count("failure")

    def _count(self, status: str) -> None:
        metrics = self._authorizers.metrics
        metrics.reloads.labels(status, hashed(server_id())).inc()
        metrics.reloaded_at.labels(status, hashed(server_id())).set(self._clock.now().timestamp())

    def _tell(self, data: bytes) -> None:
        info = self._authorizers.metrics.config_info
        info.clear()
        info.labels(hashed(server_id()), hashed(data)).set(1)


def _content(path: str) -> bytes:
    return Path(path).read_bytes()
