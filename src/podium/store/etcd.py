"""The engine on etcd: the same model kept by an etcd cluster, so that several API servers can share it.

Every call is one etcd request over gRPC: a write is a transaction that compares the key's mod revision, a
list is a Range in pages of one revision, the change feed is a Watch. etcd answers a write once a majority of
its members have it on disk.

A watch that loses its server goes on from the last revision it has seen. A write whose answer was lost may or
may not have happened; it raises StoreError and is not tried again, since its comparison could then fail
against itself. Without its cluster the engine raises `StoreError` from everything.

The messages are those of the package `etcd3aio`; connections and retries are ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from etcd3aio.proto.etcd.api.etcdserverpb import rpc_pb2 as rpc

from podium.store.protocol import (
    Change,
    Compacted,
    FutureRevision,
    KeyExists,
    KeyMissing,
    Page,
    Record,
    RevisionMismatch,
    StoreError,
)

_aio: Any = grpc.aio
"""What the stubs of grpc do not know."""

PAGE_MAX = 500
"""Records to a Range, of at most 1.5 MiB each by etcd's default."""
CALL_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10.0
WATCH_RETRY_S = 0.2
WATCH_LOST_S = 30.0
"""How long a feed tries to find a server again before it gives up."""
_KEEPALIVE_MS = 10_000
_LOST = frozenset(
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # What gRPC makes of a connection that breaks in the middle of a message.
        grpc.StatusCode.INTERNAL,
    ]
)
_COMPACTED = "required revision has been compacted"
_FUTURE = "required revision is a future revision"
_EVERYTHING = b"\0"

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Paths of PEM files: the authority of etcd's certificates, and what to show them."""

    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""


class EtcdStore:
    """A client of one etcd cluster. Made by `open`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._closed = asyncio.Event()

        def unary(method: str, request: Any, response: Any) -> Any:
            return channel.unary_unary(
                f"/etcdserverpb.KV/{method}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )

        self._range = unary("Range", rpc.RangeRequest, rpc.RangeResponse)
        self._txn = unary("Txn", rpc.TxnRequest, rpc.TxnResponse)
        self._compact = unary("Compact", rpc.CompactionRequest, rpc.CompactionResponse)
        self._watch: Any = channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=rpc.WatchRequest.SerializeToString,
            response_deserializer=rpc.WatchResponse.FromString,
        )

    @classmethod
    async def open(cls, endpoints: Sequence[str], *, tls: Tls | None = None) -> EtcdStore:
        """Connect to a cluster given by the URLs of its members, and wait until one of them answers.

        Raises `StoreError` when none does, and `ValueError` for URLs that are none.
        """
        secure, target = _target(endpoints)
        if secure:
            channel = grpc.aio.secure_channel(target, _credentials(tls or Tls()), options=_OPTIONS)
        else:
            channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        store = cls(channel)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await store.current_revision(wait=True)
        except (TimeoutError, StoreError) as error:
            await store.close()
            raise StoreError(f"no etcd answers at {', '.join(endpoints)}: {error}") from None
        return store

    # --- reading

    async def current_revision(self, *, wait: bool = False) -> int:
        """Return the revision that a majority has. `wait` for a connection instead of failing without one."""
        request = rpc.RangeRequest(key=_EVERYTHING, count_only=True)
        answer = await self._call(self._range, request, wait=wait)
        return int(answer.header.revision)

    async def get(self, key: str) -> Record | None:
        answer = await self._call(self._range, rpc.RangeRequest(key=key.encode()))
        return _record(answer.kvs[0]) if answer.kvs else None

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> Page:
        key, end = _range_of(prefix)
        if start_after:
            key = max(key, start_after.encode() + b"\0")
        records: list[Record] = []
        while True:
            size = min(limit - len(records), PAGE_MAX) if limit else PAGE_MAX
            request = rpc.RangeRequest(key=key, range_end=end, limit=size, revision=revision)
            try:
                answer = await self._call(self._range, request)
            except _OutOfRange as error:
                raise await self._explained(error, revision) from None
            # Further pages are of the same revision, whatever is written meanwhile.
            revision = revision or int(answer.header.revision)
            records += map(_record, answer.kvs)
            if not answer.more or (limit and len(records) >= limit):
                remaining = int(answer.count) - len(answer.kvs)
                return Page(
                    records=records,
                    revision=revision,
                    more=bool(answer.more),
                    remaining=remaining,
                )
            key = bytes(answer.kvs[-1].key) + b"\0"

    # --- writing

    async def create(self, key: str, value: bytes) -> Record:
        name = key.encode()
        answer = await self._transact(
            rpc.Compare(key=name, target=rpc.Compare.VERSION, result=rpc.Compare.EQUAL, version=0),
            rpc.RequestOp(request_put=rpc.PutRequest(key=name, value=value)),
        )
        if not answer.succeeded:
            raise KeyExists(key)
        revision = int(answer.header.revision)
        return Record(key=key, value=value, create_revision=revision, mod_revision=revision)

    async def update(self, key: str, value: bytes, *, expected_revision: int) -> Record:
        name = key.encode()
        answer = await self._transact(
            _unchanged(name, expected_revision),
            rpc.RequestOp(request_put=rpc.PutRequest(key=name, value=value, prev_kv=True)),
            _exists(name),
        )
        if not answer.succeeded:
            raise _mismatch(key, answer)
        before = answer.responses[0].response_put.prev_kv
        return Record(
            key=key,
            value=value,
            create_revision=int(before.create_revision),
            mod_revision=int(answer.header.revision),
        )

    async def delete(self, key: str, *, expected_revision: int) -> Change:
        name = key.encode()
        compared = _unchanged(name, expected_revision) if expected_revision else _exists(name)
        answer = await self._transact(
            compared,
            rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=name, prev_kv=True)),
            _exists(name),
        )
        if not answer.succeeded:
            raise _mismatch(key, answer)
        removed = answer.responses[0].response_delete_range.prev_kvs[0]
        return Change(key=key, revision=int(answer.header.revision), record=None, previous=_record(removed))

    async def _transact(self, compared: Any, wanted: Any, further: Any = None) -> Any:
        """Do `wanted` if the comparisons hold, else read the key."""
        conditions = [compared] if further is None else [compared, further]
        request = rpc.TxnRequest(
            compare=conditions,
            success=[wanted],
            failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=compared.key))],
        )
        return await self._call(self._txn, request)

    async def compact(self, revision: int) -> None:
        try:
            await self._call(self._compact, rpc.CompactionRequest(revision=revision))
        except _OutOfRange as error:
            if _FUTURE in error.details:
                raise FutureRevision(await self.current_revision()) from None
            # Somebody was faster, and further.

    # --- the change feed

    async def changes(self, prefix: str, *, after_revision: int) -> AsyncIterator[Sequence[Change]]:
        last, lost_at = after_revision, 0.0
        loop = asyncio.get_running_loop()
        while True:
            self._raise_if_closed()
            try:
                async for batch in self._watched(prefix, last):
                    lost_at = 0.0
                    if batch:
                        last = batch[-1].revision
                        yield batch
            except _Unavailable as error:
                self._raise_if_closed()
                lost_at = lost_at or loop.time()
                if loop.time() - lost_at > WATCH_LOST_S:
                    raise StoreError(f"the watch has lost etcd: {error}") from None
                await asyncio.sleep(WATCH_RETRY_S)

    async def _watched(self, prefix: str, after_revision: int) -> AsyncIterator[Sequence[Change]]:
        """Yield the batches of one watch, empty ones for signs of life, until its server is lost."""
        key, end = _range_of(prefix)
        self._raise_if_closed()
        call = self._watch()
        create = rpc.WatchCreateRequest(
            key=key, range_end=end, start_revision=after_revision + 1, prev_kv=True, fragment=True
        )
        try:
            await self._streamed(call.write(rpc.WatchRequest(create_request=create)))
            kept: list[Change] = []
            while True:
                answer = await self._streamed(call.read())
                if answer is _aio.EOF:
                    raise _Unavailable("the watch ended")
                if answer.compact_revision:
                    raise Compacted(int(answer.compact_revision))
                if answer.canceled:
                    raise _Unavailable(answer.cancel_reason or "the watch was cancelled")
                kept += map(_change, answer.events)
                if not answer.fragment:
                    yield kept
                    kept = []
        finally:
            call.cancel()

    # --- the end

    async def close(self) -> None:
        self._closed.set()
        await self._channel.close(None)

    def _raise_if_closed(self) -> None:
        if self._closed.is_set():
            raise StoreError("the store is closed")

    async def _call(self, method: Any, request: Any, *, wait: bool = False) -> Any:
        """Send one request and return its answer."""
        self._raise_if_closed()
        return await self._answered(method(request, timeout=CALL_TIMEOUT_S, wait_for_ready=wait))

    async def _answered(self, call: Awaitable[Any]) -> Any:
        """Await an answer, with gRPC's errors as ours."""
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            self._raise_if_closed()
            details = error.details() or ""
            if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                raise _OutOfRange(details) from None
            if error.code() in _LOST:
                raise _Unavailable(details) from None
            raise StoreError(f"etcd: {error.code().name}: {details}") from None
        except asyncio.CancelledError:
            # gRPC reports a channel that is closed under a call as if the caller had been cancelled.
            task = asyncio.current_task()
            if self._closed.is_set() and task is not None and not task.cancelling():
                raise StoreError("the store is closed") from None
            raise

    async def _streamed(self, step: Coroutine[Any, Any, Any]) -> Any:
        """Await one step of a stream, which gRPC leaves hanging when the channel is closed meanwhile."""
        going, closed = (
            asyncio.ensure_future(self._answered(step)),
            asyncio.ensure_future(self._closed.wait()),
        )
        try:
            await asyncio.wait((going, closed), return_when=asyncio.FIRST_COMPLETED)
            self._raise_if_closed()
            return going.result()
        finally:
            going.cancel()
            closed.cancel()

    async def _explained(self, error: _OutOfRange, revision: int) -> StoreError:
        """Return which of the two it was; etcd tells the oldest revision to those who watch."""
        if _COMPACTED not in error.details:
            return FutureRevision(await self.current_revision())
        try:
            async for _ in self._watched("", revision - 1):
                break
        except Compacted as found:
            return found
        return Compacted(revision + 1)


class _OutOfRange(StoreError):
    def __init__(self, details: str) -> None:
        super().__init__(f"etcd: {details}")
        self.details = details


class _Unavailable(StoreError):
    """No answer: no server, or none that has a leader."""

    def __init__(self, details: str) -> None:
        super().__init__(f"etcd: {details}")


def _target(endpoints: Iterable[str]) -> tuple[bool, str]:
    """Return whether to use TLS, and gRPC's name for all the members together."""
    schemes: set[str] = set()
    addresses: list[str] = []
    for endpoint in endpoints:
        scheme, separator, rest = endpoint.strip().partition("://")
        host = rest.rstrip("/")
        if not separator or scheme not in ("http", "https") or not host or "/" in host:
            raise ValueError(f"{endpoint!r} is no URL of an etcd member, such as https://10.0.0.1:2379")
        schemes.add(scheme)
        addresses.append(host)
    if len(schemes) != 1:
        raise ValueError("etcd's members are either all http or all https")
    if len(addresses) == 1:
        return schemes == {"https"}, addresses[0]
    return schemes == {"https"}, "ipv4:" + ",".join(addresses)


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    def read(path: str) -> bytes | None:
        return Path(path).read_bytes() if path else None

    return grpc.ssl_channel_credentials(read(tls.ca_file), read(tls.key_file), read(tls.certificate_file))


def _range_of(prefix: str) -> tuple[bytes, bytes]:
    """Return the first key of a range and the first behind it, as etcd writes them."""
    if not prefix:
        return _EVERYTHING, _EVERYTHING
    key = prefix.encode()
    # UTF-8 has no byte 0xff, so the last one can always be counted up.
    return key, key[:-1] + bytes([key[-1] + 1])


def _unchanged(key: bytes, revision: int) -> Any:
    return rpc.Compare(key=key, target=rpc.Compare.MOD, result=rpc.Compare.EQUAL, mod_revision=revision)


def _exists(key: bytes) -> Any:
    return rpc.Compare(key=key, target=rpc.Compare.VERSION, result=rpc.Compare.GREATER, version=0)


def _mismatch(key: str, answer: Any) -> StoreError:
    found = answer.responses[0].response_range.kvs
    return RevisionMismatch(_record(found[0])) if found else KeyMissing(key)


def _record(kv: Any) -> Record:
    return Record(
        key=kv.key.decode(),
        value=kv.value,
        create_revision=int(kv.create_revision),
        mod_revision=int(kv.mod_revision),
    )


def _change(event: Any) -> Change:
    kv = event.kv
    revision = int(kv.mod_revision)
    previous = _record(event.prev_kv) if event.prev_kv.key else None
    if event.type == event.DELETE:
        return Change(key=kv.key.decode(), revision=revision, record=None, previous=previous)
    return Change(key=kv.key.decode(), revision=revision, record=_record(kv), previous=previous)
