"""deletecollection: DELETE of everything that a selector selects."""

from __future__ import annotations

import asyncio

from podium.apiserver.http.body import read_options
from podium.apiserver.http.negotiation import negotiate
from podium.apiserver.http.options import delete_options, invalid, list_options
from podium.apiserver.http.representation import form_of, shown
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.delete import delete
from podium.apiserver.registry.read import list_entries
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.unreadable import IGNORE_READ_ERROR
from podium.base.http.message import Request, Response
from podium.machinery.errors import ApiError, FieldError, NotFound

WORKERS = 16
"""Deletions under way at a time: they share commits."""


async def delete_objects(registry: Registry, call: Call, request: Request) -> Response:
    """Delete what is selected and answer with the list as it was.

    What is gone meanwhile is no error; any other refusal ends it, with the rest left as it is.
    """
    wanted = negotiate(registry, call.served, request)
    selected = list_options(request, call.served, call.namespace)
    body = await read_options(registry, request, call.served.resource)
    options = delete_options(request, body, call)
    if options.ignore_read_error:
        detail = "is not allowed with DELETECOLLECTION, try again after removing the option"
        raise invalid("DeleteOptions", [FieldError.invalid(IGNORE_READ_ERROR, True, detail)])
    listing = await list_entries(registry, call, selected)
    remaining = iter(listing.entries)
    refused: list[ApiError] = []

    async def work() -> None:
        for entry in remaining:
            one = Call(
                served=call.served,
                user=call.user,
                namespace=entry.namespace,
                name=entry.name,
                dry_run=call.dry_run,
                options=call.options,
                warnings=call.warnings,
                annotations=call.annotations,
                audit=call.audit,
            )
            try:
                await delete(registry, one, options)
            except NotFound:
                continue
            except ApiError as error:
                refused.append(error)
            if refused:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(WORKERS, len(listing.entries))):
            group.create_task(work())
    if refused:
        raise refused[0]
    form = form_of(call.served, wanted, registry.clock, is_list=True)
    return shown(lambda form: form.list(listing), form, request, wanted)
