"""ClusterRoles with an aggregationRule have the rules of all ClusterRoles that it selects.

Upstream: pkg/controller/clusterroleaggregation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from podium.machinery import labels, meta
from podium.machinery.errors import Object
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "clusterrole-aggregation-controller"
"""Also the manager of the rules: who applies a role without any leaves them alone."""


def plan(role: Object, roles: Iterable[Object]) -> list[Object]:
    """Return the rules of the aggregated `role`: of each selected role in order of names, each rule once."""
    rules: list[Object] = []
    others = sorted((other for other in roles if meta.name(other) != meta.name(role)), key=meta.name)
    for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        compiled = labels.from_label_selector(selector)
        for other in others:
            if compiled.matches(meta.labels(other)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


def _aggregated(role: Object) -> bool:
    return bool(role.get("aggregationRule"))


def _keys_of_role(_delta: Delta, caches: Caches) -> Sequence[str]:
    # Any role may be selected, by its labels of now or of before; there are few that aggregate.
    return [meta.name(role) for role in caches[CLUSTERROLES].list() if _aggregated(role)]


async def _reconcile(context: Context, key: str) -> float | None:
    role = context.caches[CLUSTERROLES].get(key)
    if role is None or not _aggregated(role):
        return None
    rules = plan(role, context.caches[CLUSTERROLES].list())
    if rules == (role.get("rules") or []):
        return None
    applied: Object = {
        "apiVersion": CLUSTERROLES.api_version,
        "kind": CLUSTERROLES.kind,
        "metadata": {"name": key},
    }
    if rules:
        applied["rules"] = rules
    await context.client.patch(CLUSTERROLES, key, applied, type="apply", field_manager=NAME, force=True)
    return None


CLUSTERROLE_AGGREGATION = Controller(
    name=NAME,
    watches=(Watch(resource=CLUSTERROLES, keys_of=_keys_of_role),),
    reconcile=_reconcile,
)
