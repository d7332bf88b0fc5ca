"""Impersonation: acting as somebody else, by the `Impersonate-*` headers.

Since 1.36 impersonation can be granted narrowly: `impersonate:<mode>` says whom one may become, and
`impersonate-on:<mode>:<verb>` what one may do as them. The narrow modes are tried first, then the plain
`impersonate` verb, which allows everything the other may do. When all fail, the first refusal is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from urllib.parse import unquote

from podium.apiserver.authn.impersonation_metrics import ImpersonationMetrics
from podium.apiserver.authn.names import NODES, node_of, service_account_groups, split_service_account
from podium.apiserver.authn.service_account import NODE_NAME
from podium.apiserver.authz.messages import forbidden
from podium.apiserver.chain import (
    ALL_AUTHENTICATED,
    ALL_UNAUTHENTICATED,
    ANONYMOUS,
    MASTERS,
    Authorizer,
    RequestInfo,
    User,
)
from podium.base.http.message import Headers, Request
from podium.base.metrics import Registry
from podium.machinery.errors import BadRequest, Forbidden

_ANY = "impersonate-"
_USER, _UID, _GROUP, _EXTRA = "impersonate-user", "impersonate-uid", "impersonate-group", "impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"
_LEGACY = "impersonate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom the headers ask to become, word for word."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def only_name(self) -> bool:
        return not (self.uid or self.groups or self.extra)


class HeaderImpersonator:
    """Checks the right to impersonate, and answers with the impersonated user."""

    def __init__(self, authorizer: Authorizer, metrics: ImpersonationMetrics | None = None) -> None:
        self._authorizer = authorizer
        self._metrics = metrics or ImpersonationMetrics(Registry())

    async def impersonate(self, user: User, request: Request, info: RequestInfo) -> User:
        wanted = take_wanted(request.headers)
        if wanted is None:
            return user
        started = perf_counter()
        refusal: Forbidden | None = None
        for mode in modes(wanted, user):
            try:
                if mode != _LEGACY:
                    verb = f"impersonate-on:{mode}:{info.verb}"
                    await self._require(user, replace(info, verb=verb), _associated(mode))
                became = await self._become(user, wanted, mode)
                if request.audit is not None:
                    request.audit.impersonated(became, "" if mode == _LEGACY else f"impersonate:{mode}")
                self._metrics.attempted(_shown(mode), allowed=True, seconds=perf_counter() - started)
                return became
            except Forbidden as error:
                refusal = refusal or error
        self._metrics.attempted("", allowed=False, seconds=perf_counter() - started)
        assert refusal is not None, "the plain mode is always tried"
        raise refusal

    async def _become(self, user: User, wanted: Wanted, mode: str) -> User:
        plain = mode == _LEGACY
        verb = _LEGACY if plain else f"impersonate:{mode}"
        group = "" if plain else _AUTHENTICATION
        groups = wanted.groups

        asked = _info(verb, group, "users", wanted.name)
        account, node = split_service_account(wanted.name), node_of(wanted.name)
        if account is not None:
            asked = replace(asked, resource="serviceaccounts", namespace=account[0], name=account[1])
            groups = groups or service_account_groups(account[0])
        elif node is not None and not plain:
            name = "*" if _associated(mode) else node
            asked = replace(asked, resource="nodes", name=name)
            groups = (NODES,)
        await self._require(user, asked, _associated(mode))
        if wanted.uid:
            await self._require(user, _info(verb, _AUTHENTICATION, "uids", wanted.uid))
        for name in wanted.groups:
            asked = _info(verb, group, "groups", name)
            if not plain and name in ("", MASTERS):
                what = "system:masters" if name else "empty string"
                raise forbidden(user, asked, f"impersonating the {what} group is not allowed")
            await self._require(user, asked)
        for key, values in wanted.extra.items():
            for value in values:
                asked = replace(_info(verb, _AUTHENTICATION, "userextras", value), subresource=key)
                await self._require(user, asked)
        return User(
            name=wanted.name,
            uid=wanted.uid,
            groups=_with_system_group(wanted.name, groups),
            extra=wanted.extra,
        )

    async def _require(self, user: User, info: RequestInfo, associated: bool = False) -> None:
        if associated:
            # The grant must hold for the service account on whatever node: what ties it to one is left out.
            user = replace(user, extra={})
        started = perf_counter()
        decision = await self._authorizer.authorize(user, info)
        mode = info.verb.partition(":")[2].partition(":")[0]
        self._metrics.checked(
            mode or _shown(_LEGACY), allowed=decision.allowed, seconds=perf_counter() - started
        )
        if not decision.allowed:
            raise forbidden(user, info, decision.reason)


def _shown(mode: str) -> str:
    return "legacy" if mode == _LEGACY else mode


def modes(wanted: Wanted, user: User) -> list[str]:
    """Return the modes that fit, the narrowest first."""
    node = node_of(wanted.name)
    fitting: list[str] = []
    if node is not None and wanted.only_name:
        if split_service_account(user.name) is not None and user.extra.get(NODE_NAME) == (node,):
            fitting.append("associated-node")
        fitting.append("arbitrary-node")
    account = split_service_account(wanted.name)
    if account is not None and wanted.only_name:
        fitting.append("serviceaccount")
    if node is None and account is None:
        fitting.append("user-info")
    return [*fitting, _LEGACY]


def take_wanted(headers: Headers) -> Wanted | None:
    """Return whom the headers ask for; they are removed, so that nobody behind can act on them again."""
    for header, _ in headers:
        if header.startswith(_ANY):
            break
    else:
        return None
    name, uid = headers.get(_USER), headers.get(_UID)
    groups = tuple(headers.get_all(_GROUP))
    extra: dict[str, tuple[str, ...]] = {}
    extra_headers = dict.fromkeys(header for header, _ in headers if header.startswith(_EXTRA))
    for header in extra_headers:
        extra[unquote(header.removeprefix(_EXTRA))] = tuple(headers.get_all(header))
    if not name:
        if uid or groups or extra:
            raise BadRequest(
                "requested impersonation of groups, uid or extra without impersonating a user name"
            )
        return None
    for header in (_USER, _UID, _GROUP, *extra_headers):
        headers.remove(header)
    return Wanted(name=name, uid=uid, groups=groups, extra=extra)


def _with_system_group(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    if name == ANONYMOUS:
        return groups if ALL_UNAUTHENTICATED in groups else (*groups, ALL_UNAUTHENTICATED)
    if ALL_UNAUTHENTICATED in groups or ALL_AUTHENTICATED in groups:
        return groups
    return (*groups, ALL_AUTHENTICATED)


def _associated(mode: str) -> bool:
    return mode == "associated-node"


def _info(verb: str, group: str, resource: str, name: str) -> RequestInfo:
    return RequestInfo(
        verb=verb,
        path="",
        is_resource=True,
        api_prefix="apis" if group else "api",
        api_group=group,
        api_version="v1",
        resource=resource,
        name=name,
    )
