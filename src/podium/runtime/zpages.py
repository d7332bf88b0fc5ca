"""/statusz and /flagz: how a process was started and what it is. Text for people, JSON or YAML for who asks.

Upstream: apiserver/pkg/server/statusz and flagz.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from podium.base.clock import Clock, rfc3339
from podium.base.http.message import Headers, Request, Response
from podium.machinery.codec import yaml
from podium.machinery.errors import NotAcceptable, Object

GROUP = "config.k8s.io"
_VERSIONS = ("v1beta1", "v1alpha1")
_JSON, _YAML = "application/json", "application/yaml"
_DEPRECATED = "v1alpha1"
_HEADER = """
{component} {page}
Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees \
and is for debugging purposes only.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZPage:
    """One of the pages."""

    kind: str
    component: str
    fields: Callable[[], Object]
    """What its object says."""
    text: Callable[[], str]
    """The same for people."""

    def answer(self, request: Request) -> Response:
        """Return what was asked for. Raises NotAcceptable."""
        wanted = _wanted(request.headers.get("accept"), self.kind)
        if wanted is None:
            page = self.kind.lower()
            text = _HEADER.format(component=self.component, page=page) + self.text()
            headers = Headers((("content-type", "text/plain; charset=utf-8"),))
            return Response(headers=headers, body=text.encode())
        media_type, version = wanted
        head = {"kind": self.kind, "apiVersion": f"{GROUP}/{version}", "metadata": {"name": self.component}}
        obj = {**head, **self.fields()}
        headers = Headers((("content-type", f"{media_type};g={GROUP};v={version};as={self.kind}"),))
        if version == _DEPRECATED:
            why = (
                f"This version of the {self.kind.lower()} endpoint is deprecated. Please use a newer version."
            )
            headers.set("warning", f'299 - "{why}"')
        return Response(headers=headers, body=yaml.encode(obj) if media_type == _YAML else orjson.dumps(obj))


def _wanted(accept: str, kind: str) -> tuple[str, str] | None:
    """Return the media type and version of the object that is asked for; None for text."""
    if not accept.strip():
        return None
    for clause in accept.split(","):
        media, *rest = (part.strip() for part in clause.split(";"))
        wishes = dict(part.split("=", 1) for part in rest if "=" in part)
        if media in ("*/*", "text/*", "text/plain") and "as" not in wishes:
            return None
        version = wishes.get("v", "")
        if media not in (_JSON, _YAML, "application/*", "*/*") or version not in _VERSIONS:
            continue
        if wishes.get("g") == GROUP and wishes.get("as") == kind:
            return _YAML if media == _YAML else _JSON, version
    taken = ", ".join((_JSON, _YAML, "text/plain"))
    raise NotAcceptable(f"only the following media types are accepted: {taken}")


def statusz(component: str, version: str, clock: Clock, paths: Callable[[], Iterable[str]]) -> ZPage:
    """Return the page about the process, which has just started."""
    started = clock.now()

    def fields() -> Object:
        return {
            "startTime": rfc3339(started),
            "uptimeSeconds": _uptime_s(started, clock),
            "goVersion": f"python{platform.python_version()}",
            "binaryVersion": version,
            "emulationVersion": _minor(version),
            "paths": _folders(paths()),
        }

    def text() -> str:
        seconds = _uptime_s(started, clock)
        return (
            f"\nStarted: {started.strftime('%a %b %e %H:%M:%S UTC %Y')}"
            f"\nUp: {seconds // 3600} hr {seconds // 60 % 60:02} min {seconds % 60:02} sec"
            f"\nPython version: {platform.python_version()}"
            f"\nBinary version: {version}"
            f"\nEmulation version: {_minor(version)}"
            f"\nPaths: {' '.join(_folders(paths()))}\n"
        )

    return ZPage(kind="Statusz", component=component, fields=fields, text=text)


def flagz(component: str, flags: Mapping[str, str]) -> ZPage:
    """Return the page about the command line, defaults and all."""

    def text() -> str:
        return "".join(f"{name}: {flags[name]}\n" for name in sorted(flags))

    return ZPage(kind="Flagz", component=component, fields=lambda: {"flags": dict(flags)}, text=text)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _uptime_s(started: datetime, clock: Clock) -> int:
    return max(0, int((clock.now() - started).total_seconds()))


def _folders(paths: Iterable[str]) -> list[str]:
    return sorted({"/" + path.split("/")[1] for path in paths if path.count("/") and path != "/"})
