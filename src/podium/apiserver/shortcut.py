"""The short way of the commonest request: GET of one object by somebody known, answered with cached bytes.

    request info -> who -> may they -> is it their turn -> the cached bytes

The stops are the chain's, in its order, where each can answer at once. A stop that would have to wait, to
refuse or to think leaves the request to the chain, which then sees it from the start. So nothing is decided
here that the chain would decide otherwise; what is saved is the machinery for what such a read does not need.
"""

from __future__ import annotations

from collections.abc import Container
from time import perf_counter
from typing import TYPE_CHECKING

from podium.apiserver.chain import Access
from podium.apiserver.flowcontrol.limiter import Limiter
from podium.apiserver.http.request_info import request_info
from podium.apiserver.http.respond import (
    COMPRESSED_ABOVE_BYTES,
    END,
    JSON_HEADERS,
    PLAIN_ACCEPTS,
    SHOWN_AS_IT_COMES,
)
from podium.apiserver.metrics import ApiServerMetrics
from podium.apiserver.registry.served import Catalog
from podium.base.http.message import Headers, Request, Response
from podium.base.ids import new_uid

if TYPE_CHECKING:
    from podium.apiserver.audit.audit import Audit

_UNDERSTOOD = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "authorization", "audit-id", "connection"}
)
"""Header fields that mean nothing else here than to the chain. Others may: impersonation, for one."""


class Shortcut:
    """Answers what it can of the requests to one server."""

    def __init__(
        self,
        access: Access,
        catalog: Catalog,
        metrics: ApiServerMetrics,
        limiter: Limiter,
        elsewhere: Container[tuple[str, str]] = (),
        audit: Audit | None = None,
    ) -> None:
        """`elsewhere` are the groups and versions that other servers answer."""
        self._audit = audit
        self._elsewhere = elsewhere
        self._recognise = access.recognise
        self._permits = access.permits
        self._catalog = catalog
        self._metrics = metrics
        self._limiter = limiter

    def answer(self, request: Request) -> Response | None:
        """Return what the chain would answer, or None for what it must see to."""
        if request.method != "GET" or request.raw_query:
            return None
        headers = dict(request.headers)
        if not headers.keys() <= _UNDERSTOOD or len(headers) != len(request.headers):
            return None
        started = perf_counter()
        info = request_info(request)
        if info.verb != "get" or not info.is_resource or len(info.parts) != 2 or "//" in info.path:
            return None
        if self._elsewhere and (info.api_group, info.api_version) in self._elsewhere:
            return None
        user = self._recognise(request)
        if user is None or not self._permits(user, info):
            return None
        leave = self._limiter.at_once(user, info, started)
        if leave is None:
            return None
        served = self._catalog.find(info.api_group, info.api_version, info.resource)
        if served is None or not served.plain or served.resource.namespaced is not bool(info.namespace):
            return None
        entry = served.root.entries.get(served.key(info.namespace, info.name))
        if entry is None or headers.get("accept", "") not in PLAIN_ACCEPTS:
            return None
        if headers.get("user-agent", "").startswith(SHOWN_AS_IT_COMES):
            return None
        body = served.whole(entry)
        if len(body) > COMPRESSED_ABOVE_BYTES:
            return None
        if self._audit is not None and not self._audit.passes_over(user, info):
            return None
        audit_id = headers.get("audit-id") or new_uid()
        told = Headers.of_lower([*JSON_HEADERS, *leave.headers, ("audit-id", audit_id)])
        response = Response(headers=told, body=body + END)
        self._metrics.read_at_once(request, info, user, response, started)
        leave.read_at_once(perf_counter() - started)
        return response
