"""Tokens that were once made for every service account, and that nobody uses: marked invalid, then deleted.

The API server notes on each such Secret the day of its last use, and since when it does so. What has not been
used for a year is marked, which refuses its token; after another year without an objection (somebody takes
the label off) it goes. Secrets that users made themselves stay.
Upstream: pkg/controller/serviceaccount/legacy_serviceaccount_token_cleaner.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

from podium.base.clock import parse_rfc3339
from podium.base.log import Log
from podium.controllers.serviceaccount_token import ACCOUNT_NAME, ACCOUNT_UID, TYPE
from podium.machinery import meta
from podium.machinery.errors import ApiError, Conflict, NotFound, Object
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.pod_references import named
from podium.resources.core.pods import PODS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from podium.runtime.controller import Context, Controller, Watch

CLEAN_UP_PERIOD_S = 365 * 24 * 3600.0
INTERVAL_S = 24 * 3600.0
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
TRACKING = "kube-apiserver-legacy-service-account-token-tracking"

_log = Log("podium.controller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done with which Secrets."""

    mark: tuple[Object, ...] = ()
    delete: tuple[Object, ...] = ()


def plan(
    secrets: Iterable[Object],
    account_of: Callable[[Object], Object | None],
    used_in: Callable[[str], frozenset[str]],
    *,
    now: datetime,
    period: timedelta,
) -> Plan:
    """Decide. `account_of` returns a Secret's ServiceAccount, `used_in` the names of the Secrets that pods of
    a namespace name."""
    limit = now - period
    oldest = limit.date().isoformat()
    mark, delete = [], []
    for secret in secrets:
        created = meta.metadata(secret).get("creationTimestamp")
        if secret.get("type") != TYPE or meta.deleting(secret):
            continue
        if not created or parse_rfc3339(created) >= limit:
            continue
        labels = meta.labels(secret)
        last_used = labels.get(LAST_USED)
        if last_used is not None and (_day(last_used) is None or last_used >= oldest):
            continue
        account = account_of(secret)
        names = [one.get("name") for one in (account or {}).get("secrets") or ()]
        if meta.name(secret) not in names or meta.name(secret) in used_in(meta.namespace(secret)):
            continue
        since = labels.get(INVALID_SINCE) or ""
        if _day(since) is None:
            mark.append(secret)
        elif since < oldest:
            delete.append(secret)
    return Plan(mark=tuple(mark), delete=tuple(delete))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def mounted(pods: Iterable[Object]) -> frozenset[str]:
    """Return the names of the Secrets that pods name."""
    return frozenset(name for pod in pods for resource, name in named(pod) if resource == "secrets")


def legacy_serviceaccount_token_cleaner(period_s: float = CLEAN_UP_PERIOD_S) -> Controller:
    """Return the controller that acts on what has not been used for `period_s`."""
    period = timedelta(seconds=period_s)

    async def reconcile(context: Context, _key: str) -> float | None:
        now = context.clock.now()
        since = await _tracked_since(context)
        if since is None or now < since + period:
            return INTERVAL_S
        decided = plan(
            context.caches[SECRETS].list(),
            lambda secret: _account_of(context, secret),
            cache(lambda namespace: mounted(context.caches[PODS].list(namespace))),
            now=now,
            period=period,
        )
        for secret in decided.mark:
            await _attempt(secret, _mark(context, secret, now))
        for secret in decided.delete:
            await _attempt(secret, _delete(context, secret))
        return INTERVAL_S

    return Controller(
        name="legacy-serviceaccount-token-cleaner-controller",
        service_account="legacy-service-account-token-cleaner",
        watches=(
            Watch(resource=SECRETS, field_selector=f"type={TYPE}"),
            Watch(resource=SERVICEACCOUNTS),
            Watch(resource=PODS),
        ),
        reconcile=reconcile,
        workers=1,
        on_start=lambda context: context.queue.add("all"),
    )


async def _tracked_since(context: Context) -> datetime | None:
    """Return the moment from which every use has been noted; None when nobody knows."""
    try:
        config_map = await context.client.get(CONFIGMAPS, TRACKING, "kube-system")
    except ApiError as error:
        _log.error("it is not known since when uses of tokens are noted", error=str(error))
        return None
    day = _day((config_map.get("data") or {}).get("since") or "")
    if day is None:
        return None
    # That day may have been noted in part.
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _account_of(context: Context, secret: Object) -> Object | None:
    annotations = meta.annotations(secret)
    name, uid = annotations.get(ACCOUNT_NAME), annotations.get(ACCOUNT_UID)
    account = context.caches[SERVICEACCOUNTS].get(f"{meta.namespace(secret)}/{name}") if name else None
    return account if account is not None and uid in (None, "", meta.uid(account)) else None


async def _attempt(secret: Object, work: Awaitable[object]) -> None:
    """Do it; a Secret that has changed or gone is looked at the next time."""
    try:
        await work
    except (Conflict, NotFound):
        return
    except ApiError as error:
        _log.error("a token was not cleaned up", secret=meta.key(secret), error=str(error))


def _mark(context: Context, secret: Object, now: datetime) -> Awaitable[object]:
    marked = {"metadata": {"uid": meta.uid(secret), "labels": {INVALID_SINCE: now.date().isoformat()}}}
    return context.client.patch(SECRETS, meta.name(secret), marked, meta.namespace(secret))


def _delete(context: Context, secret: Object) -> Awaitable[object]:
    _log.info("an unused token is deleted", secret=meta.key(secret))
    version = meta.metadata(secret).get("resourceVersion")
    return context.client.delete(SECRETS, meta.name(secret), meta.namespace(secret), resource_version=version)
