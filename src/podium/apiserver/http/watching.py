"""watch: one chunked response that lasts until the client leaves or the time is up."""

from __future__ import annotations

from dataclasses import replace

from podium.apiserver.http import websocket_watch
from podium.apiserver.http.negotiation import negotiate
from podium.apiserver.http.options import watch_options
from podium.apiserver.http.representation import form_of
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.watch import watch
from podium.base.http.message import Headers, HttpError, Request, Response, StreamWriter
from podium.base.http.websocket import accept_headers, is_websocket, offered_protocols

_NO_CACHE = ("cache-control", "no-cache, private")


async def watch_objects(registry: Registry, call: Call, request: Request) -> Response:
    wanted = negotiate(registry, call.served, request, stream=True)
    if wanted.form == "PartialObjectMetadataList":
        # The events of a watch hold objects, whatever the list before it was made of.
        wanted = replace(wanted, form="PartialObjectMetadata")
    options = watch_options(
        request, call.served, call.namespace, call.name, timeout_s_min=registry.watch_timeout_s_min
    )
    include = request.parameter("includeObject") if wanted.form else ""
    form = form_of(call.served, wanted, registry.clock, include=include, is_list=False)

    async def stream(writer: StreamWriter) -> None:
        await watch(registry, call, options, form, writer)

    if is_websocket(request.headers):
        return Response(
            status=101,
            headers=accept_headers(request, _protocol(request)),
            upgrade=lambda raw: websocket_watch.serve(raw, stream, form.message),
        )
    return Response(headers=Headers((_NO_CACHE, ("content-type", form.stream_type))), stream=stream)


def _protocol(request: Request) -> str:
    """Return the subprotocol that the client is told: the one it names, whatever that is. A watch has none of
    its own, but browsers leave when theirs is not confirmed. Raises HttpError for several."""
    named = offered_protocols(request.headers)
    if len(named) > 1:
        raise HttpError(400, "BadRequest", "a watch takes one subprotocol at most")
    return named[0] if named else ""
