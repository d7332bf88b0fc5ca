"""patch: a change described by its difference, applied to what is stored, tried again when that moves."""

from __future__ import annotations

from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.apiserver.registry.update import modify
from podium.machinery.errors import Object

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY)


async def patch(registry: Registry, call: Call, type: str, raw: bytes, *, force: bool) -> Result:
    async def transform(old: Object) -> Object:
        return old

    return await modify(registry, call, transform)
