"""Secrets of type service-account-token: filled in with a token, deleted with their ServiceAccount.

These are the old, lasting kind of token that a user asks for by making such a Secret; pods get short-lived
ones through the TokenRequest API. Upstream: pkg/controller/serviceaccount/tokens_controller.go.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from podium.base import pki
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from podium.runtime.controller import AS_PROCESS, Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
ISSUER = "kubernetes/serviceaccount"


def plan(secret: Object, account: Object, token: str, ca: str) -> Object | None:
    """Return the Secret with what it lacks, None when it lacks nothing. `token` is used if it has none."""
    data = dict(secret.get("data") or {})
    if ca:
        data["ca.crt"] = _encoded(ca)
    for key, text in (("namespace", meta.namespace(secret)), ("token", token)):
        data[key] = data.get(key) or _encoded(text)
    if data == secret.get("data"):
        return None
    new = meta.copy_path(secret, "metadata", "annotations")
    new["metadata"]["annotations"][ACCOUNT_UID] = meta.uid(account)
    new["data"] = data
    return new


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def signed(key_pem: str, secret: Object, account: Object) -> str:
    """Return the token: a JWT without end, valid as long as its Secret exists."""
    import jwt  # noqa: PLC0415 - costs start-up time, and few clusters have such Secrets
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    key: Any = load_pem_private_key(key_pem.encode(), password=None)
    public = key.public_key()
    namespace, name = meta.namespace(secret), meta.name(account)
    claims = {
        "iss": ISSUER,
        "kubernetes.io/serviceaccount/namespace": namespace,
        "kubernetes.io/serviceaccount/secret.name": meta.name(secret),
        "kubernetes.io/serviceaccount/service-account.name": name,
        "kubernetes.io/serviceaccount/service-account.uid": meta.uid(account),
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }
    # An empty `typ` is left out of the header, where upstream has none either.
    headers = {"kid": pki.key_id(public), "typ": ""}
    return jwt.encode(claims, key, algorithm=pki.token_algorithm(public), headers=headers)


def _keys_of_account(delta: Delta, caches: Caches) -> Iterable[str]:
    """An account that comes or goes: its Secrets."""
    if delta.old is not None and delta.new is not None:
        return ()
    account = delta.object
    return [
        meta.key(secret)
        for secret in caches[SECRETS].list(meta.namespace(account))
        if meta.annotations(secret).get(ACCOUNT_NAME) == meta.name(account)
    ]


def serviceaccount_token(key_pem: str, ca: str) -> Controller:
    """Return the controller that signs with `key_pem` and hands out `ca`."""

    gone: dict[str, Object] = {}
    """Secrets that have been deleted, until their accounts name them no longer."""

    def keys_of_secret(delta: Delta, _caches: Caches) -> Iterable[str]:
        if delta.new is None:
            gone[meta.key(delta.object)] = delta.object
        return (meta.key(delta.object),)

    async def reconcile(context: Context, key: str) -> float | None:
        if key in gone:
            await _forget(context, gone[key])
            gone.pop(key, None)
        secret = context.caches[SECRETS].get(key)
        name = meta.annotations(secret).get(ACCOUNT_NAME) if secret is not None else None
        if secret is None or not name or meta.deleting(secret):
            return None
        account = context.caches[SERVICEACCOUNTS].get(f"{meta.namespace(secret)}/{name}")
        uid = meta.annotations(secret).get(ACCOUNT_UID)
        if account is None or (uid and uid != meta.uid(account)):
            await _delete_if_orphan(context, secret, name, uid)
            return None
        token = "" if (secret.get("data") or {}).get("token") else signed(key_pem, secret, account)
        new = plan(secret, account, token, ca)
        if new is not None:
            await context.client.update(SECRETS, new)
        return None

    return Controller(
        name="serviceaccount-token-controller",
        service_account=AS_PROCESS,
        watches=(
            Watch(resource=SECRETS, keys_of=keys_of_secret, field_selector=f"type={TYPE}"),
            Watch(resource=SERVICEACCOUNTS, keys_of=_keys_of_account),
        ),
        reconcile=reconcile,
    )


async def _forget(context: Context, secret: Object) -> None:
    """Take a Secret that is gone out of the list that its account keeps."""
    name, uid = (meta.annotations(secret).get(key) for key in (ACCOUNT_NAME, ACCOUNT_UID))
    key = f"{meta.namespace(secret)}/{name}"
    if meta.name(secret) not in _listed(context.caches[SERVICEACCOUNTS].get(key)):
        return
    try:
        account = await context.client.get(SERVICEACCOUNTS, str(name), meta.namespace(secret))
        if uid in (None, "", meta.uid(account)) and meta.name(secret) in _listed(account):
            left = [one for one in account["secrets"] if one.get("name") != meta.name(secret)]
            await context.client.update(SERVICEACCOUNTS, {**account, "secrets": left})
    except NotFound:
        return


def _listed(account: Object | None) -> list[str]:
    return [str(one.get("name")) for one in (account or {}).get("secrets") or ()]


async def _delete_if_orphan(context: Context, secret: Object, name: str, uid: str | None) -> None:
    """Delete the Secret of an account that, asked for live, is not there (or is another one by now)."""
    try:
        account = await context.client.get(SERVICEACCOUNTS, name, meta.namespace(secret))
        if not uid or uid == meta.uid(account):
            return
    except NotFound:
        pass
    try:
        await context.client.delete(SECRETS, meta.name(secret), meta.namespace(secret), uid=meta.uid(secret))
    except NotFound:
        return
