"""Paths that are no resources: health, version, metrics, the list of paths, the issuer's documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from podium.apiserver.http.negotiation import JSON, accept_of, see_routed
from podium.apiserver.http.respond import encoded, not_found_page, text
from podium.base.http.message import Request, Response
from podium.machinery.errors import MethodNotAllowed, Object

Check = Callable[[], str]
"""Return what is wrong, "" when all is well."""

_HEALTH = ("healthz", "livez", "readyz")


@dataclass(frozen=True, slots=True)
class _Document:
    make: Callable[[], Object]
    media_type: str
    kept_s: int
    indented: bool
    routed: bool


class Plain:
    """Answers for non-resource paths; extended by `add`."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        ready_checks: Mapping[str, Check],
        checked: Callable[[str, str, bool], None] = lambda _kind, _name, _healthy: None,
    ) -> None:
        """`checked` is told the outcome of each check: (kind, name, whether all is well)."""
        self._checked = checked
        self._checks = {"healthz": checks, "livez": checks, "readyz": {**checks, **ready_checks}}
        self._documents: dict[str, _Document] = {}
        self._handlers: dict[str, Callable[[Request], Response]] = {}
        self._unlisted: set[str] = set()

    def add_check(self, name: str, check: Check) -> None:
        """Add a check of something that no restart of this server would mend: it is none of livez."""
        for kind in ("healthz", "readyz"):
            self._checks[kind] = {**self._checks[kind], name: check}

    def add_document(
        self,
        path: str,
        make: Callable[[], Object],
        *,
        media_type: str = "",
        kept_s: int = 0,
        indented: bool = False,
        routed: bool = False,
    ) -> None:
        """Serve the JSON document that `make` returns at `path`; others may keep it for `kept_s`.

        `media_type` is another than JSON's own; `indented` is for people, whoever asks; `routed` is for what
        nobody gets who accepts no JSON.
        """
        self._documents[path] = _Document(make, media_type, kept_s, indented, routed)

    def add_handler(self, path: str, handler: Callable[[Request], Response], *, listed: bool = True) -> None:
        """Have `handler` answer at `path`; `listed` says whether the path is among those that are told of."""
        self._handlers[path] = handler
        if not listed:
            self._unlisted.add(path)

    def paths(self) -> list[str]:
        health = [f"/{kind}/{name}" for kind, checks in self._checks.items() for name in checks]
        return sorted(
            [
                *(f"/{kind}" for kind in _HEALTH),
                *health,
                *self._documents,
                *(self._handlers.keys() - self._unlisted),
            ],
        )

    def handle(self, request: Request) -> Response:
        path = request.path
        if not self._knows(path):
            return not_found_page()
        if request.method not in ("GET", "HEAD") or (
            request.method == "HEAD" and path != "/" and path in self._documents
        ):
            raise MethodNotAllowed(
                "the server does not allow this method on the requested resource", details={}
            )
        handler = self._handlers.get(path)
        if handler is not None:
            return handler(request)
        document = self._documents.get(path) or self._documents.get(path.rstrip("/"))
        if document is not None:
            if document.routed and (accept := accept_of(request)):
                see_routed(accept, (document.media_type or JSON,))
            form = orjson.OPT_INDENT_2 if document.indented else None
            response = encoded(orjson.dumps(document.make(), option=form), request)
            if document.media_type:
                response.headers.set("content-type", document.media_type)
            if document.kept_s:
                response.headers.set("cache-control", f"public, max-age={document.kept_s}")
            return response
        head, _, check = path.removeprefix("/").partition("/")
        return self._health(request, head, check)

    def _knows(self, path: str) -> bool:
        if path in self._handlers or path in self._documents or path.rstrip("/") in self._documents:
            return True
        head, slash, check = path.removeprefix("/").partition("/")
        return check in self._checks[head] if head in _HEALTH and slash else head in _HEALTH

    def _health(self, request: Request, kind: str, only: str) -> Response:
        checks = self._checks[kind]
        if only:
            checks = {only: checks[only]}
        excluded = request.query.get("exclude") or []
        lines, failed = [], []
        for name, check in checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
                continue
            wrong = check()
            self._checked(kind, name, not wrong)
            if wrong:
                failed.append(name)
                lines.append(f"[-]{name} failed: reason withheld")
            else:
                lines.append(f"[+]{name} ok")
        if failed:
            return text("\n".join([*lines, f"{kind} check failed", ""]), status=500)
        if "verbose" in request.query and not only:
            return text("\n".join([*lines, f"{kind} check passed", ""]))
        response = text("ok")
        if only:
            response.headers.remove("x-content-type-options")
        return response
