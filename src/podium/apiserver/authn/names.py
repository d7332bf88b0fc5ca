"""The names under which service accounts and nodes appear as users."""

from __future__ import annotations

import re
from dataclasses import replace

from podium.apiserver.chain import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, ANONYMOUS, User

SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
SERVICE_ACCOUNTS = "system:serviceaccounts"
NODE_PREFIX = "system:node:"
NODES = "system:nodes"

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def service_account_user(namespace: str, name: str) -> str:
    return f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"


def service_account_groups(namespace: str) -> tuple[str, ...]:
    return (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}")


def split_service_account(user: str) -> tuple[str, str] | None:
    """Return (namespace, name) when `user` is a service account's, else None."""
    if not user.startswith(SERVICE_ACCOUNT_PREFIX):
        return None
    parts = user.removeprefix(SERVICE_ACCOUNT_PREFIX).split(":")
    if len(parts) != 2 or not _NAMESPACE.fullmatch(parts[0]) or not _NAME.fullmatch(parts[1]):
        return None
    return parts[0], parts[1]


def node_of(user: str) -> str | None:
    """Return the node's name when `user` has the form of a node's, else None."""
    name = user.removeprefix(NODE_PREFIX)
    return name if user.startswith(NODE_PREFIX) and _NAME.fullmatch(name) else None


def authenticated(user: User) -> User:
    """Return a user whom somebody else named, in the group of everybody who is known."""
    if user.name == ANONYMOUS or not {ALL_AUTHENTICATED, ALL_UNAUTHENTICATED}.isdisjoint(user.groups):
        return user
    return replace(user, groups=(*user.groups, ALL_AUTHENTICATED))
