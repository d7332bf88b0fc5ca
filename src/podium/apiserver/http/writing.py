"""What the writing verbs share: how their results are shown."""

from __future__ import annotations

from podium.apiserver.http.negotiation import Accepted
from podium.apiserver.http.representation import Form, form_of, shown
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.base.http.message import Request, Response


def answer(registry: Registry, result: Result, request: Request, wanted: Accepted) -> Response:
    """Show what a write left behind, with 201 for what it made."""
    include = request.parameter("includeObject") if wanted.form else ""
    form = form_of(result.served, wanted, registry.clock, include=include, is_list=False)
    entry, obj = result.entry, result.object

    def make(form: Form) -> bytes:
        if entry is not None:
            return form.one(entry)
        assert obj is not None
        return form.object(obj)

    return shown(make, form, request, wanted, status=201 if result.created else 200)
