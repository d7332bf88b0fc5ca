"""Audit logging of one server: follows each request, and sends what the policy wants to the backends.

    follow -> ... authentication -> begin (RequestReceived) -> ... -> the answer (ResponseStarted if it lasts)
    -> its end (ResponseComplete, Panic)

Upstream: apiserver/pkg/endpoints/filters/audit.go and authn_audit.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson

from podium.apiserver.audit.backend import Backend, Losses, Tolerated, Union
from podium.apiserver.audit.buffered import Buffered
from podium.apiserver.audit.levels import COMPLETE, PANIC, RECEIVED, STARTED, Level
from podium.apiserver.audit.log import LogBackend, Output
from podium.apiserver.audit.log_file import LogFile
from podium.apiserver.audit.metrics import AuditMetrics
from podium.apiserver.audit.options import BATCH, BLOCKING, Options, Sending
from podium.apiserver.audit.policy import Policy
from podium.apiserver.audit.record import Record
from podium.apiserver.audit.stdout import Stdout
from podium.apiserver.audit.truncate import Truncating
from podium.apiserver.audit.webhook import Webhook
from podium.apiserver.chain import RequestInfo, User
from podium.apiserver.http.request_info import request_info
from podium.apiserver.http.respond import text
from podium.base.clock import Clock
from podium.base.http.message import Handler, HttpError, RawConnection, Request, Response, StreamWriter
from podium.base.ids import new_uid
from podium.machinery.errors import Object

_AUDIT_ID = "audit-id"
_Carrier = TypeVar("_Carrier", StreamWriter, RawConnection)


class NotKept(HttpError):
    """A request is refused because its event was not kept: mode `blocking-strict`."""

    def __init__(self, target: str) -> None:
        shown = orjson.dumps(target).decode().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        message = f"Internal Server Error: {shown}: failed to store audit event\n"
        super().__init__(500, "InternalError", message)


class Audit:
    """One for a server. The stops of the chain find the record of a request at `Request.audit`."""

    def __init__(
        self,
        policy: Policy,
        backend: Backend,
        metrics: AuditMetrics,
        clock: Clock,
        ending: asyncio.Event | None = None,
    ) -> None:
        self._policy = policy
        self._backend = backend
        self._metrics = metrics
        self._clock = clock
        self._ending = ending or asyncio.Event()

    def wind_down(self) -> None:
        """The server is about to end: what fails from now on is not tried again."""
        self._ending.set()

    async def close(self) -> None:
        """Pass on all events that there are: the server has ended."""
        self._ending.set()
        await self._backend.close()

    # --- the way of one request

    def passes_over(self, user: User, info: RequestInfo) -> bool:
        """Whether nothing is kept of a request; it counts as one that the policy has looked at."""
        if self._policy.ruling(user, info).level is not Level.NONE:
            return False
        self._metrics.levels.labels(Level.NONE.word).value += 1
        return True

    async def follow(self, request: Request, answer: Handler) -> Response:
        """Return what `answer` does, and keep of it what the policy wants."""
        audit_id = request.headers.get(_AUDIT_ID)
        if not audit_id:
            audit_id = new_uid()
            request.headers.set(_AUDIT_ID, audit_id)
        record = Record(request, request_info(request), audit_id=audit_id, received=self._clock.now())
        request.audit = record
        try:
            response = await answer(request)
        except NotKept as refused:
            response = text(refused.message, status=refused.status)
            response.headers.add(_AUDIT_ID, audit_id)
            return response
        except BaseException as error:
            if record.begun:
                await self._broken_off(record, error)
            raise
        if record.begun:
            await self._answered(record, response)
        else:
            await self._not_known(record, response)
        return response

    async def begin(self, request: Request, user: User) -> None:
        """Ask the policy, now that it is known who sent a request.

        Raises `NotKept` where a request that cannot be audited is to fail.
        """
        record: Record = request.audit
        self._rule(record, user)
        if not await self._emit(record, RECEIVED):
            self._metrics.rejected.value += 1
            raise NotKept(request.target)

    def _rule(self, record: Record, user: User | None) -> None:
        ruling = self._policy.ruling(user, record.info)
        self._metrics.levels.labels(ruling.level.word).value += 1
        record.rule(ruling, user)

    async def _not_known(self, record: Record, response: Response) -> None:
        """Whoever asked could not say who they are; there is but one event of that."""
        self._rule(record, None)
        if record.ruling.level is not Level.NONE:
            record.finish(response)
            await self._emit(record, STARTED)

    async def _answered(self, record: Record, response: Response) -> None:
        if record.ruling.level is Level.NONE:
            return
        if record.fault is not None:
            record.status = _fault(record.fault)
            await self._emit(record, PANIC)
            return
        record.finish(response)
        if record.lasting:
            await self._emit(record, STARTED)
        if response.stream is not None:
            response.stream = self._until_end(record, response.stream)
        elif response.upgrade is not None:
            response.upgrade = self._until_end(record, response.upgrade)
        else:
            await self._complete(record)

    def _until_end(
        self, record: Record, carry: Callable[[_Carrier], Awaitable[None]]
    ) -> Callable[[_Carrier], Awaitable[None]]:
        async def carried(carrier: _Carrier) -> None:
            try:
                await carry(carrier)
            finally:
                await self._complete(record)

        return carried

    async def _broken_off(self, record: Record, error: BaseException) -> None:
        """The request could not be read to its end, or its client did not wait for the answer."""
        if record.ruling.level is Level.NONE:
            return
        if isinstance(error, HttpError):
            record.status = {"metadata": {}, "code": error.status}
        else:
            record.status = {
                "metadata": {},
                "status": "Success",
                "message": "Connection closed early",
                "code": 200,
            }
        if record.lasting:
            await self._emit(record, STARTED)
        await self._complete(record)

    async def _complete(self, record: Record) -> None:
        record.add_latencies(self._clock.now())
        await self._emit(record, COMPLETE)

    async def _emit(self, record: Record, stage: str) -> bool:
        if record.ruling.level is Level.NONE or stage in record.ruling.omitted:
            return True
        event = record.event(stage, self._clock.now())
        self._metrics.events.value += 1
        return await self._backend.process((event,))


def _fault(error: BaseException) -> Object:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"APIServer panic'd: {error}",
        "reason": "InternalError",
        "code": 500,
    }


# --- composition


def build(options: Options, metrics: AuditMetrics, clock: Clock) -> Audit:
    """Return the audit logging that the flags ask for. Raises OSError for a log that cannot be written."""
    losses, ending = Losses(metrics), asyncio.Event()
    backends: list[Backend] = []

    def added(backend: Backend, sending: Sending) -> None:
        if sending.mode == BATCH:
            backend = Buffered(backend, sending.batching, losses, clock, ending)
        elif sending.mode == BLOCKING:
            backend = Tolerated(backend)
        if sending.sizes is not None:
            backend = Truncating(backend, sending.sizes, losses)
        backends.append(backend)

    if options.log is not None:
        log = options.log
        output: Output = Stdout() if log.path is None else LogFile(log.path, log.rotation, clock)
        added(LogBackend(output, log.format, losses), log.sending)
    if options.webhook is not None:
        webhook = Webhook(
            options.webhook.connection,
            initial_backoff_s=options.webhook.initial_backoff_s,
            losses=losses,
            clock=clock,
            ending=ending,
        )
        added(webhook, options.webhook.sending)
    backend = backends[0] if len(backends) == 1 else Union(backends)
    return Audit(options.policy, backend, metrics, clock, ending)
