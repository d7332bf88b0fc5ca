"""deletecollection: DELETE of everything that a selector selects."""

from __future__ import annotations

from podium.apiserver.http.body import read_options
from podium.apiserver.http.negotiation import negotiate
from podium.apiserver.http.options import delete_options, list_options
from podium.apiserver.http.representation import form_of, shown
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.delete import delete
from podium.apiserver.registry.read import list_entries
from podium.apiserver.registry.registry import Registry
from podium.base.http.message import Request, Response
from podium.machinery.errors import NotFound


async def delete_objects(registry: Registry, call: Call, request: Request) -> Response:
    """Delete one after the other; what is gone meanwhile is no error. Answers with the list as it was."""
    wanted = negotiate(registry, call.served, request)
    selected = list_options(request, call.served, call.namespace)
    body = await read_options(request, call.served.resource)
    options = delete_options(request, body, call)
    listing = await list_entries(registry, call, selected)
    for entry in listing.entries:
        one = Call(
            served=call.served,
            user=call.user,
            namespace=entry.namespace,
            name=entry.name,
            dry_run=call.dry_run,
            options=call.options,
            warnings=call.warnings,
        )
        try:
            await delete(registry, one, options)
        except NotFound:
            continue
    form = form_of(call.served, wanted, registry.clock, is_list=True)
    return shown(form.list(listing), form, request, wanted)
