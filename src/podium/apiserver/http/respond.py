"""Responses that every verb shares: objects, errors, plain text."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import orjson

from podium.apiserver.http.negotiation import CBOR, JSON, PROTOBUF, TYPES, YAML, accept_of, accepted_as_it_is
from podium.base.http.message import Headers, Request, Response
from podium.machinery.codec import protobuf, yaml
from podium.machinery.errors import ApiError, Json, NotAcceptable, Object

COMPRESSED_ABOVE_BYTES = 128 * 1024
"""Smaller answers are cheaper to send than to compress."""

_COMPRESSION_LEVEL = 1
STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
_CACHE = ("cache-control", "no-cache, private")
JSON_HEADERS = (_CACHE, ("content-type", JSON))
PLAIN_ACCEPTS = ("", JSON, "*/*", f"{JSON}, */*")
"""Accept headers of those who get plain JSON, whatever else is offered."""
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
SHOWN_AS_IT_COMES = ("curl", "Wget", "Mozilla/5.0")
"""Programs for whose users JSON is indented."""
_TEXT = "text/plain; charset=utf-8"


END = b"\n"
"""After JSON, as Go's encoder has it: a shell's prompt stands on a line of its own."""


def json_bytes(body: bytes | Sequence[bytes], *, status: int = 200) -> Response:
    """Answer with JSON that is encoded already."""
    return Response(status=status, headers=Headers.of_lower([*JSON_HEADERS]), body=body)


def json_value(value: Json, *, status: int = 200) -> Response:
    return json_bytes(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE), status=status)


def encoded(
    body: bytes | Sequence[bytes],
    request: Request,
    *,
    media_type: str = JSON,
    status: int = 200,
    definition: str = "",
) -> Response:
    """Answer with encoded JSON in the encoding that the client wants: as it is, pretty, YAML, compressed.

    `definition` names the schema of the body, which protobuf needs. Raises `NotAcceptable` where it has none.
    """
    if request.audit is not None:
        request.audit.answers(body)
    if media_type == PROTOBUF:
        return _as_protobuf(orjson.loads(_joined(body)), definition, status)
    if media_type == CBOR:
        # Loaded only where somebody asks for it.
        from podium.apiserver.http.cbor_form import from_json  # noqa: PLC0415

        return binary(from_json(_joined(body)), CBOR, status=status)
    if media_type == YAML:
        response = binary(yaml.encode(orjson.loads(_joined(body))), YAML, status=status)
        if takes_gzip(request):
            compress(response)
        return response
    if is_pretty(request):
        body = pretty(_joined(body))
    else:
        # What is long is sent in pieces anyway, and copied for this no more than for them.
        body = (
            body + END
            if isinstance(body, bytes) and len(body) < COMPRESSED_ABOVE_BYTES
            else [*_parts(body), END]
        )
    response = json_bytes(body, status=status)
    if takes_gzip(request):
        compress(response)
    return response


def binary(body: bytes | Sequence[bytes], media_type: str, *, status: int = 200) -> Response:
    """Answer with what is encoded already, in another form than JSON."""
    return Response(status=status, headers=Headers((_CACHE, ("content-type", media_type))), body=body)


def _as_protobuf(obj: Object, definition: str, status: int) -> Response:
    if not protobuf.knows(definition):
        raise NotAcceptable(f"only the following media types are accepted: {JSON}, {YAML}")
    raw = protobuf.wrap(obj.get("apiVersion", ""), obj["kind"], protobuf.encode(definition, obj))
    return binary(raw, PROTOBUF, status=status)


def is_pretty(request: Request) -> bool:
    """Whether JSON is to be read by people: they say so, or use a program that shows it as it comes."""
    if request.raw_query and (wish := request.parameter("pretty")):
        return wish in _TRUE
    return request.headers.get("user-agent").startswith(SHOWN_AS_IT_COMES)


def takes_gzip(request: Request) -> bool:
    encodings = request.headers.get("accept-encoding")
    return "gzip" in encodings and "gzip" in [one.strip() for one in encodings.split(",")]


def pretty(body: bytes) -> bytes:
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2) + b"\n"


def compress(response: Response) -> None:
    """Compress a body that is worth it."""
    body = response.body
    size = len(body) if isinstance(body, bytes) else sum(len(part) for part in body)
    if size > COMPRESSED_ABOVE_BYTES:
        response.body = gzip.compress(_joined(body), _COMPRESSION_LEVEL)
        response.headers.set("content-encoding", "gzip")
        response.headers.add("vary", "Accept-Encoding")


def _parts(body: bytes | Sequence[bytes]) -> Sequence[bytes]:
    return (body,) if isinstance(body, bytes) else body


def _joined(body: bytes | Sequence[bytes]) -> bytes:
    return body if isinstance(body, bytes) else b"".join(body)


def text(body: str, *, status: int = 200, content_type: str = _TEXT) -> Response:
    headers = Headers((_CACHE, ("content-type", content_type), ("x-content-type-options", "nosniff")))
    return Response(status=status, headers=headers, body=body.encode())


def not_found_page() -> Response:
    """What upstream's mux says to a path that nobody serves."""
    return text("404 page not found\n", status=404)


def failure(error: ApiError, request: Request, offered: tuple[str, ...] = TYPES) -> Response:
    """Answer with the Status that `error` means, in JSON to those who accept nothing that is offered."""
    accept = accept_of(request)
    body = orjson.dumps(error.status())
    if accept in PLAIN_ACCEPTS:
        response = encoded(body, request, status=error.code)
    else:
        try:
            media_type = accepted_as_it_is(accept, offered)
            response = encoded(body, request, media_type=media_type, status=error.code, definition=STATUS)
        except NotAcceptable:
            # Upstream writes for people then.
            response = json_bytes(pretty(body).rstrip(), status=error.code)
            if request.audit is not None:
                request.audit.answers(body)
    retry = (error.details or {}).get("retryAfterSeconds")
    if retry:
        response.headers.set("retry-after", str(retry))
    for name, value in error.headers.items():
        response.headers.set(name, value)
    return response


WARNINGS_LENGTH_MAX = 4096
WARNING_LENGTH_MAX = 256
"""When all warnings together are longer than the first, each is cut to the second, as upstream."""


def add_warnings(response: Response, warnings: Sequence[str]) -> None:
    left = WARNINGS_LENGTH_MAX
    if sum(map(len, warnings)) > left:
        warnings = [warning[:WARNING_LENGTH_MAX] for warning in warnings]
    for warning in warnings:
        if left <= 0:
            break
        left -= len(warning)
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        if not quoted.isascii():
            quoted = quoted.encode().decode("latin-1")  # which is how headers are written
        response.headers.add("warning", f'299 - "{quoted}"')
