"""All subresources and resources that the generic verbs do not answer."""

from __future__ import annotations

from collections.abc import Mapping

from podium.apiserver.http.api import Special
from podium.apiserver.http.subresources.binding import bind
from podium.apiserver.http.subresources.components import components
from podium.apiserver.http.subresources.eviction import evict
from podium.apiserver.http.subresources.questions import ask
from podium.apiserver.http.subresources.rollback import roll_back
from podium.apiserver.http.subresources.scale import scale
from podium.apiserver.http.subresources.streams import Streams
from podium.apiserver.http.subresources.token import request_token
from podium.resources.catalogue import BUILTIN


def specials(streams: Streams | None) -> Mapping[tuple[str, str], Special]:
    """Return them by (`Resource.group_plural`, subresource); "*" stands for any resource."""
    questions = {
        (resource.group_plural, ""): ask
        for resource in BUILTIN
        if not resource.stored and tuple(resource.verbs) == ("create",)
    }
    return {
        **questions,
        ("*", "scale"): scale,
        ("bindings", ""): bind,
        ("pods", "binding"): bind,
        ("pods", "eviction"): evict,
        ("deployments.apps", "rollback"): roll_back,
        ("deployments.extensions", "rollback"): roll_back,
        ("serviceaccounts", "token"): request_token,
        ("componentstatuses", ""): components,
        **(streams.table() if streams is not None else {}),
    }
