"""One request as the registry sees it: on which resource, by whom, with which options."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal, TypeVar

from podium.apiserver.chain import AuditRecord, RequestInfo, User
from podium.apiserver.registry.served import Served
from podium.machinery.errors import Object

WARNINGS_MAX = 512
"""More than these never fit into an answer's head; an object may deserve a hundred thousand."""

T = TypeVar("T")

FieldValidation = Literal["Ignore", "Warn", "Strict"]


@dataclass(slots=True, kw_only=True)
class Call:
    """The parameters all verbs share. `warnings` collects texts for Warning headers."""

    served: Served
    user: User
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    field_manager: str = ""
    field_validation: FieldValidation = "Warn"
    dry_run: bool = False
    options: Object = field(default_factory=dict)
    """The options object as admission shows it."""
    warnings: list[str] = field(default_factory=list)
    initialised: Callable[[], None] = lambda: None
    """To be called by a watch when its client has been sent the initial state."""
    annotations: dict[str, str] = field(default_factory=dict)
    """What admission leaves for the audit log."""
    audit: AuditRecord | None = None
    """What the audit log keeps of the request; None: nothing."""

    def stored(self, work: Awaitable[T]) -> Awaitable[T]:
        """Return an operation of the store to be awaited; the audit log tells of slow ones."""
        return work if self.audit is None else _timed(work, self.audit)

    def as_verb(self, verb: str) -> RequestInfo:
        """Return what an authorizer is asked when the caller does `verb` to the same object."""
        resource = self.served.resource
        return RequestInfo(
            verb=verb,
            path="",
            is_resource=True,
            api_prefix="apis" if resource.group else "api",
            api_group=resource.group,
            api_version=resource.version,
            namespace=self.namespace,
            resource=resource.plural,
            subresource=self.subresource,
            name=self.name,
        )

    def annotate(self, key: str, text: str) -> None:
        """Leave a note for the audit log; what has been said under `key` stays."""
        self.annotations.setdefault(key, text)

    def warn(self, text: str) -> None:
        if len(self.warnings) < WARNINGS_MAX and text not in self.warnings:
            self.warnings.append(text)


async def _timed(work: Awaitable[T], audit: AuditRecord) -> T:
    started = perf_counter()
    try:
        return await work
    finally:
        audit.took("etcd", perf_counter() - started)
