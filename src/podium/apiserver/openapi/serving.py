"""The documents of /openapi/v2 and /openapi/v3 as they are answered.

A document is made when somebody asks for it, in a thread of its own, and kept compressed for some minutes:
all of them together would be some ten megabytes, and few clients read more than two or three. Its ETag comes
from what it is made of, so that the index of v3, which names every document's hash, makes none of them.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson

from podium.apiserver.http.negotiation import JSON, accept_of, clauses
from podium.apiserver.http.respond import not_found_page, takes_gzip
from podium.apiserver.openapi import documents, swagger12
from podium.apiserver.openapi.definitions import Custom, Definitions
from podium.apiserver.openapi.operations import (
    ROOTS,
    Operation,
    group_operations,
    operations,
    version_operations,
)
from podium.apiserver.registry.served import Catalog
from podium.base.http.message import Headers, Request, Response
from podium.base.tasks import in_task
from podium.machinery.errors import MethodNotAllowed, NotAcceptable, Object
from podium.machinery.schema import Schemas

if TYPE_CHECKING:
    from podium.apiserver.aggregation.remote_openapi import Kept
    from podium.machinery.structural.schema import StructuralSchema

KEPT_S = 300.0
"""How long a document is kept; making it again costs some tenths of a second."""
_COMPRESSION_LEVEL = 6
_MADE_BY = "podium-1"
"""Changes when the same catalog is described in other words: clients keep documents by their hash."""


_Encoding = Literal["json", "protobuf", "swagger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A media type that documents are answered in."""

    accepted: str
    answered: str
    protobuf: bool


def _forms(version: str) -> tuple[_Form, ...]:
    dotted = f"application/com.github.proto-openapi.spec.{version}.v1.0+protobuf"
    return (
        _Form(accepted=JSON, answered=JSON, protobuf=False),
        # The older spelling, which is no valid media type and what most clients send.
        _Form(accepted=dotted.replace(f"{version}.v1", f"{version}@v1"), answered=dotted, protobuf=True),
        _Form(accepted=dotted, answered=dotted, protobuf=True),
    )


_FORMS = {"v2": _forms("v2"), "v3": _forms("v3")}


class OpenApi:
    """The OpenAPI documents of one catalog."""

    def __init__(
        self, catalog: Catalog, schemas: Callable[[], Schemas], version: str, address: Callable[[], str]
    ) -> None:
        """`address` returns the `host:port` at which clients reach this server."""
        self._catalog = catalog
        self._schemas = schemas
        self._version = version
        self._address = address
        self.custom: Mapping[str, StructuralSchema] = {}
        """The schemas of custom resources, by the names of their definitions."""
        self._making: dict[tuple[str, _Encoding], asyncio.Task[bytes]] = {}
        """By name and encoding: compressed."""
        self._digests: dict[str, str] = {}
        self._remote_v3: Mapping[str, str] = {}
        self._remote_v2: Sequence[Kept] = ()
        self._converted: Mapping[str, Kept] = {}
        """Documents of servers that have no v3, by the name that it would have there."""
        catalog.on_change(self._forget)

    def _forget(self) -> None:
        self._making.clear()
        self._digests.clear()

    def set_remote(self, v3: Mapping[str, str], v2: Mapping[str, Kept]) -> None:
        """Show what other servers serve behind this one, by name (`apis/GROUP/VERSION`): where their v3
        documents are, and what is to go into the one of v2. Of those without v3 that is converted."""
        kept = tuple(v2.values())
        if v3 != self._remote_v3 or kept != self._remote_v2:
            self._remote_v3, self._remote_v2 = v3, kept
            self._converted = {name: one for name, one in v2.items() if name not in v3}
            self._forget()

    # --- requests

    async def handle(self, request: Request) -> Response:
        """Answer /openapi/v2, /openapi/v3 and what is below. Raises `ApiError`."""
        _check_method(request)
        path = request.path
        if path == "/openapi/v2":
            return await self._answer(request, "v2", _FORMS["v2"])
        if path == "/openapi/v3":
            return self._index(request)
        name = path.removeprefix("/openapi/v3/")
        if name == path:
            return not_found_page()
        if not (name in self._converted or self._operations(name)):
            return Response(status=404, headers=Headers([("cache-control", "no-cache, private")]))
        asked = request.parameter("hash")
        digest = self._digest(name)
        if asked and asked != digest:
            return Response(status=301, headers=Headers([("location", _url(name, digest))]))
        response = await self._answer(request, name, _FORMS["v3"])
        if asked:
            response.headers.set("cache-control", "public, immutable")
        return response

    async def _answer(self, request: Request, name: str, forms: Sequence[_Form]) -> Response:
        form = _wanted(request, forms)
        headers = Headers([("content-type", form.answered), ("vary", "Accept")])
        headers.add("etag", f'"{self._digest(name)}"')
        headers.add("cache-control", "no-cache, private")
        if _is_known(request, headers.get("etag")):
            headers.remove("content-type")
            return Response(status=304, headers=headers)
        return await self._compressed(request, headers, name, "protobuf" if form.protobuf else "json")

    async def swagger_1_2(self, request: Request) -> Response:
        """Answer /swaggerapi and what is below. Raises `ApiError`."""
        _check_method(request)
        names = [name for name in self._names() if name.startswith(("api", "version"))]
        name = request.path.removeprefix("/swaggerapi").strip("/")
        headers = Headers([("content-type", JSON), ("cache-control", "no-cache, private")])
        if not name:
            return Response(headers=headers, body=orjson.dumps(swagger12.index(names)))
        if name not in names:
            return not_found_page()
        return await self._compressed(request, headers, name, "swagger")

    async def _compressed(
        self, request: Request, headers: Headers, name: str, encoding: _Encoding
    ) -> Response:
        body = await self._document(name, encoding)
        if takes_gzip(request):
            headers.add("content-encoding", "gzip")
            headers.set("vary", "Accept, Accept-Encoding")
            return Response(headers=headers, body=body)
        return Response(headers=headers, body=gzip.decompress(body))

    def _index(self, request: Request) -> Response:
        paths = {name: {"serverRelativeURL": _url(name, self._digest(name))} for name in self._names()}
        for name in self._converted:
            paths[name] = {"serverRelativeURL": _url(name, self._digest(name))}
        paths |= {name: {"serverRelativeURL": url} for name, url in self._remote_v3.items()}
        body = orjson.dumps({"paths": dict(sorted(paths.items()))})
        etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        headers = Headers(
            [
                ("content-type", JSON),
                ("etag", etag),
                ("cache-control", "no-cache, private"),
                ("vary", "Accept"),
            ]
        )
        if _is_known(request, etag):
            headers.remove("content-type")
            return Response(status=304, headers=headers)
        return Response(headers=headers, body=body)

    # --- documents

    async def _document(self, name: str, encoding: _Encoding) -> bytes:
        """Return a document, compressed. Those who ask while it is being made wait for the same one."""
        await in_task()
        key = (name, encoding)
        making = self._making.get(key)
        if making is None:
            make = self._maker(name, encoding)
            making = asyncio.create_task(asyncio.to_thread(make), name=f"openapi-{name}")
            self._making[key] = making
            asyncio.get_running_loop().call_later(KEPT_S, self._release, key, making)
        try:
            return await asyncio.shield(making)
        except BaseException:
            if making.done():
                self._release(key, making)
            raise

    def _release(self, key: tuple[str, _Encoding], making: asyncio.Task[bytes]) -> None:
        if self._making.get(key) is making:
            del self._making[key]

    def _maker(self, name: str, encoding: _Encoding) -> Callable[[], bytes]:
        """Return what makes a document. It runs in a thread and sees the catalog as it is now."""
        found = self._operations(name) if name != "v2" else self._all_operations()
        definitions = Definitions(self._schemas(), self._custom_definitions(found))
        converted = self._converted.get(name)
        version, remote, base = self._version, tuple(self._remote_v2), f"https://{self._address()}"

        def make() -> bytes:
            if encoding == "swagger":
                document = swagger12.declaration(name, found, definitions.reached(found), base)
            elif name == "v2":
                document = documents.v2(found, definitions.reached(found), version)
                _merge(document, remote)
                documents.share_parameters(document)
            elif converted is not None:
                document = documents.v3_of_v2(converted.document(), version)
            else:
                document = documents.v3(found, definitions.reached_v3(found, _group_version(name)), version)
            content = _as_protobuf(document, name) if encoding == "protobuf" else orjson.dumps(document)
            return gzip.compress(content, _COMPRESSION_LEVEL, mtime=0)

        return make

    def _digest(self, name: str) -> str:
        """Return what changes when a document does, without making it."""
        digest = self._digests.get(name)
        if digest is None:
            found = self._operations(name) if name != "v2" else self._all_operations()
            known: list[object] = [(one.path, one.method, one.id) for one in found]
            known += [(one.name, one.schema.source) for one in self._custom_definitions(found)]
            if name in self._converted:
                known = [self._converted[name].packed]
            if name == "v2":
                known += [kept.packed for kept in self._remote_v2]
            made_of = repr((_MADE_BY, self._version, known)).encode()
            digest = self._digests[name] = hashlib.sha512(made_of).hexdigest().upper()
        return digest

    def _custom_definitions(self, found: Sequence[Operation]) -> list[Custom]:
        """Return the definitions of custom resources that the operations speak of."""
        if not self.custom:
            return []
        wanted = {one.answer for one in found}
        return [
            Custom(
                name=served.resource.schema,
                schema=self.custom[served.resource.schema],
                resource=served.resource,
            )
            for resources in self._catalog.versions().values()
            for served in resources.values()
            if served.custom and served.resource.schema in wanted and served.resource.schema in self.custom
        ]

    def _all_operations(self) -> list[Operation]:
        return [operation for name in self._names() for operation in self._operations(name)]

    def _operations(self, name: str) -> list[Operation]:
        """Return the operations of the v3 document `name` (`apis/apps/v1`); none when there is no such."""
        if name in ROOTS:
            return [ROOTS[name]]
        match name.split("/"):
            case ["api", version]:
                group = ""
            case ["apis", group]:
                known = any(group == served for served, _ in self._catalog.versions())
                return group_operations(group) if known else []
            case ["apis", group, version]:
                pass
            case _:
                return []
        resources = self._catalog.group(group, version)
        if resources is None:
            return []
        found = version_operations(group, version)
        for served in resources.values():
            found += operations(served)
        return found

    def _names(self) -> list[str]:
        names = list(ROOTS)
        for group, version in self._catalog.versions():
            names += [f"apis/{group}", f"apis/{group}/{version}"] if group else [f"api/{version}"]
        return sorted(set(names))


def _is_known(request: Request, etag: str) -> bool:
    """Tell whether the client has what `etag` names already."""
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match").split(",")]
    return etag in known or "*" in known


def _check_method(request: Request) -> None:
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed("the server does not allow this method on the requested resource", details={})


def _group_version(name: str) -> tuple[str, str]:
    parts = name.split("/")
    return ("", parts[1]) if parts[0] == "api" and len(parts) == 2 else ("/".join(parts[1:2]), parts[-1])


def _url(name: str, digest: str) -> str:
    return f"/openapi/v3/{name}?hash={digest}"


def _wanted(request: Request, forms: Sequence[_Form]) -> _Form:
    """Return the form that a client asks for first. Raises `NotAcceptable`."""
    accept = accept_of(request)
    if accept in ("", "*/*", JSON):
        return forms[0]
    for clause in clauses(accept):
        for form in forms:
            if clause.takes(form.accepted):
                return form
    offered = ", ".join(form.accepted for form in forms)
    raise NotAcceptable(f"only the following media types are accepted: {offered}")


def _as_protobuf(document: Object, name: str) -> bytes:
    from podium.apiserver.openapi import gnostic  # noqa: PLC0415

    return gnostic.v2(document) if name == "v2" else gnostic.v3(document)


def _merge(document: Object, remote: Sequence[Kept]) -> None:
    if remote:
        from podium.apiserver.aggregation.remote_openapi import merge  # noqa: PLC0415

        merge(document["paths"], document["definitions"], [kept.document() for kept in remote])
