"""Webhooks that judge: all that want a write are asked at once, and any may refuse it.

Upstream: plugin/webhook/validating/dispatcher.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from podium.apiserver.admission.evaluation import Write
from podium.apiserver.admission.matching import Match
from podium.apiserver.admission.shown import Shown
from podium.apiserver.admission.webhooks.call import ask, holds, judged
from podium.apiserver.admission.webhooks.hook import Hook
from podium.apiserver.chain import Attributes, Authorizer, View
from podium.base.tasks import in_task
from podium.machinery.errors import ApiError

FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/round_0_index_"


async def validate(
    hooks: Sequence[Hook], attributes: Attributes, namespaces: View, authorizer: Authorizer | None
) -> None:
    """Ask the webhooks that want the write. Raises what the first that refused said."""
    write = Write(attributes, authorizer, namespaces)
    wanted: list[tuple[Hook, Match]] = []
    for hook in hooks:
        match = hook.matcher.match(attributes, namespaces)
        if match is not None and (not hook.conditions or await holds(hook, write, match, "validating")):
            wanted.append((hook, match))
    if not wanted:
        return
    refusals: list[ApiError] = []
    asked = [
        _ask(index, hook, match, attributes, write.shown, refusals)
        for index, (hook, match) in enumerate(wanted)
    ]
    if len(asked) == 1:
        await asked[0]
    else:
        await in_task()
        async with asyncio.TaskGroup() as group:
            for one in asked:
                group.create_task(one)
    if refusals:
        raise refusals[0]


async def _ask(
    index: int, hook: Hook, match: Match, attributes: Attributes, shown: Shown, refusals: list[ApiError]
) -> None:
    try:
        async with judged(hook, attributes, "validating") as outcome:
            await ask(hook, attributes, match, shown, mutating=False)
    except ApiError as error:
        refusals.append(error)
    else:
        if outcome.failed_open:
            attributes.annotate(f"{FAILED_OPEN}{index}", hook.name)
