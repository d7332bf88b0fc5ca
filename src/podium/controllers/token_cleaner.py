"""Bootstrap tokens that have expired are deleted. Off unless asked for, as upstream's.

Upstream: pkg/controller/bootstrap/tokencleaner.go.
"""

from __future__ import annotations

from podium.machinery import bootstrap_tokens, meta
from podium.machinery.errors import Conflict, NotFound
from podium.resources.core.secrets import SECRETS
from podium.runtime.controller import Context, Controller, Watch, own_key


async def _reconcile(context: Context, key: str) -> float | None:
    secret = context.caches[SECRETS].get(key)
    if secret is None or meta.deleting(secret):
        return None
    left_s = bootstrap_tokens.left_s(secret, context.clock.now())
    if left_s != 0:
        return left_s
    try:
        await context.client.delete(SECRETS, meta.name(secret), meta.namespace(secret), uid=meta.uid(secret))
    except (NotFound, Conflict):
        return None  # It is gone, or another one has its name.
    return None


TOKEN_CLEANER = Controller(
    name="token-cleaner-controller",
    service_account="token-cleaner",
    watches=(
        Watch(
            resource=SECRETS,
            keys_of=own_key,
            namespace=bootstrap_tokens.NAMESPACE,
            field_selector=f"type={bootstrap_tokens.SECRET_TYPE}",
        ),
    ),
    reconcile=_reconcile,
    workers=1,
)
