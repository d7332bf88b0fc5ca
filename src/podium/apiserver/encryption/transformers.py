"""What is between an object's bytes and the bytes in the store: chosen by prefix when they are read.

The first of a list writes, and puts its prefix in front; any of them reads what bears its prefix. What was
written by another than the first is stale: an update that changes nothing writes it anew.
Upstream: apiserver/pkg/storage/value/transformer.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from podium.apiserver.cacher.cacher import ENCRYPTED

NOT_GRPC = "unknown-non-grpc"


class TransformError(Exception):
    """A value cannot be encrypted or decrypted. `code` is the gRPC status of a plugin that was asked."""

    def __init__(self, message: str, code: str = NOT_GRPC) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Context:
    """Where a value is: a value that was moved to another key does not decrypt."""

    key: bytes
    resource: str
    """For figures: `deployments.apps`."""


class Transformer(Protocol):
    """Encrypts and decrypts values. Both raise `TransformError`."""

    def encrypt(self, value: bytes, context: Context) -> bytes: ...

    def decrypt(self, value: bytes, context: Context) -> tuple[bytes, bool]:
        """Return the plain value, and whether it is stale."""
        ...


@dataclass(frozen=True, slots=True)
class Prefixed:
    """A transformer, and how the values it has written begin."""

    prefix: bytes
    transformer: Transformer


Record = Callable[[str, str, str, float, TransformError | None], None]
"""Called with resource, direction, prefix, seconds and what went wrong."""


class PrefixTransformers:
    """Several transformers as one."""

    def __init__(self, unknown: str, transformers: Sequence[Prefixed], record: Record) -> None:
        """`unknown` is what is said of a value that bears none of the prefixes."""
        self.transformers = tuple(transformers)
        self.before_write: Callable[[], Awaitable[None]] | None = None
        """What has to be awaited before each `encrypt`, and may raise `TransformError`."""
        self._unknown = unknown
        self._record = record

    def encrypt(self, value: bytes, context: Context) -> bytes:
        first = self.transformers[0]
        started, wrong = perf_counter(), None
        try:
            return first.prefix + first.transformer.encrypt(value, context)
        except TransformError as error:
            wrong = error
            raise
        finally:
            prefix = first.prefix.decode()
            self._record(context.resource, "to_storage", prefix, perf_counter() - started, wrong)

    def decrypt(self, value: bytes, context: Context) -> tuple[bytes, bool]:
        started = perf_counter()
        errors: list[TransformError] = []
        for index, (prefix, transformer) in enumerate(
            (one.prefix, one.transformer) for one in self.transformers
        ):
            if not value.startswith(prefix):
                continue
            wrong = None
            try:
                plain, stale = transformer.decrypt(value[len(prefix) :], context)
            except TransformError as error:
                if not prefix:
                    continue  # Not for it, but perhaps for those that follow.
                wrong = error
                errors.append(error)
            name = prefix.decode() or "identity"
            self._record(context.resource, "from_storage", name, perf_counter() - started, wrong)
            if wrong is None:
                return plain, stale or index != 0
        if errors:
            texts = list(dict.fromkeys(str(error) for error in errors))
            raise TransformError(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]", errors[0].code)
        unknown = TransformError(self._unknown)
        self._record(context.resource, "from_storage", "unknown", perf_counter() - started, unknown)
        raise unknown


class Identity:
    """Leaves values as they are, but is not taken in by encrypted ones."""

    def encrypt(self, value: bytes, context: Context) -> bytes:
        return value

    def decrypt(self, value: bytes, context: Context) -> tuple[bytes, bool]:
        if value.startswith(ENCRYPTED):
            raise TransformError("identity transformer tried to read encrypted data")
        return value, False
