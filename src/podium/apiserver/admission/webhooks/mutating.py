"""Webhooks that change: one after the other, each sees what the ones before it have made.

When something changes the object behind a webhook that wants to know (reinvocationPolicy IfNeeded), all
admitting plugins run once more, and such webhooks with them. Upstream: plugin/webhook/mutating/dispatcher.go.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from podium.apiserver.admission.evaluation import Write
from podium.apiserver.admission.matching import Match, internal
from podium.apiserver.admission.reinvocation import Memory
from podium.apiserver.admission.shown import Shown
from podium.apiserver.admission.webhooks.call import CallingFailed, ask, holds, judged
from podium.apiserver.admission.webhooks.hook import Hook
from podium.apiserver.admission.webhooks.review import JSON_PATCH
from podium.apiserver.chain import Attributes, Authorizer, Reinvocation, View
from podium.machinery import managed_fields
from podium.machinery.errors import ApiError, Json, Object
from podium.machinery.meta import deep_copy
from podium.machinery.patch import json as json_patch

NAME = "MutatingAdmissionWebhook"
MUTATION = "mutation.webhook.admission.k8s.io/"
PATCH = "patch.webhook.admission.k8s.io/"
"""Notes under this hold parts of objects: an audit log below the level Request leaves them out."""
FAILED_OPEN = f"failed-open.{MUTATION}"


async def mutate(
    hooks: Sequence[tuple[int, Hook]], attributes: Attributes, namespaces: View, authorizer: Authorizer | None
) -> None:
    """Ask the webhooks that want the write, in order; `attributes.object` is changed in place.

    They come with their places among all, by which annotations name them.
    """
    reinvocation = Reinvocation.of(attributes)
    memory: Memory = reinvocation.values.setdefault(NAME, Memory())
    memory.start(attributes, reinvocation)
    before = _managed_fields(attributes.object)
    write, is_changed = Write(attributes, authorizer, namespaces), False
    for index, hook in hooks:
        match = hook.matcher.match(attributes, namespaces)
        if match is None or (hook.conditions and not await holds(hook, write, match, "admit")):
            continue
        # A second round calls nobody for the first time.
        if reinvocation.again and hook.uid not in memory.wanted:
            continue
        place = f"round_{int(reinvocation.again)}_index_{index}"
        changed = False
        async with judged(hook, attributes, "admit") as outcome:
            try:
                changed = await _ask(hook, attributes, match, write.shown, place)
            finally:
                attributes.annotate(MUTATION + place, _note(hook, mutated=changed))
        if outcome.failed_open:
            attributes.annotate(FAILED_OPEN + place, hook.name)
        if changed:
            is_changed = True
            write.shown.changed()
            memory.require()
            reinvocation.wanted = True
        if hook.reinvoked:
            memory.reinvocable.add(hook.uid)
    if is_changed:
        _check_managed_fields(attributes, before)
    memory.finish(attributes)


async def _ask(hook: Hook, attributes: Attributes, match: Match, shown: Shown, place: str) -> bool:
    """Ask one webhook, and do what it says; return whether that changed anything."""
    answer = await ask(hook, attributes, match, shown, mutating=True)
    if not answer.patch:
        return False
    try:
        patch = orjson.loads(answer.patch)
    except orjson.JSONDecodeError as error:
        raise _undecodable(hook, str(error)) from None
    if not isinstance(patch, list) or not all(isinstance(one, dict) for one in patch):
        raise _undecodable(hook, "json: cannot unmarshal into Go value of type jsonpatch.Patch")
    if not patch:
        return False
    current = await shown.object(match)
    if current is None or attributes.object is None:
        raise internal(
            f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for '
            "this operation"
        )
    if answer.patch_type != JSON_PATCH:
        raise CallingFailed(hook, f'unsupported patch type "{answer.patch_type}"', 400)
    new = await _patched(attributes, match, current, patch)
    if attributes.audit is not None and attributes.audit.wants_requests:
        attributes.annotate(PATCH + place, _note(hook, patch=patch, patchType=JSON_PATCH))
    if new == attributes.object:
        return False
    # Whoever asked for admission holds this very object.
    attributes.object.clear()
    attributes.object.update(new)
    return True


def _undecodable(hook: Hook, why: str) -> CallingFailed:
    return CallingFailed(hook, f"received undecodable patch in webhook response: {why}", 503)


async def _patched(attributes: Attributes, match: Match, current: Object, patch: list[Json]) -> Object:
    """Return the object with a patch applied, in the version of the write. Raises `ApiError` (500)."""
    host = attributes.host
    assert host is not None
    try:
        new: Object = deep_copy(json_patch.apply(current, patch))
        if not isinstance(new, dict):
            raise internal("the patched object is no object")
        new["kind"], new["apiVersion"] = current.get("kind"), current.get("apiVersion")
        host.complete(new, match.resource)
        if match.resource is not attributes.resource:
            new = await host.convert(new, match.resource, attributes.resource)
            host.complete(new, attributes.resource)
    except ApiError as error:
        raise internal(error.message) from None
    except ValueError as error:
        raise internal(str(error)) from None
    return new


def _managed_fields(obj: Object | None) -> list[Object]:
    return ((obj or {}).get("metadata") or {}).get("managedFields") or []


def _check_managed_fields(attributes: Attributes, before: list[Object]) -> None:
    """Take back what a webhook has done to the managed fields if nobody could read it any more."""
    now = _managed_fields(attributes.object)
    if attributes.object is None or not now or now == before or managed_fields.entries_of(attributes.object):
        return
    attributes.object["metadata"]["managedFields"] = before
    attributes.warn(
        ".metadata.managedFields was in an invalid state after admission; this could be caused by an "
        "outdated mutating admission controller; please fix your requests: the entries cannot be decoded"
    )


def _note(hook: Hook, **what: Json) -> str:
    return orjson.dumps({"configuration": hook.configuration, "webhook": hook.name, **what}).decode()
