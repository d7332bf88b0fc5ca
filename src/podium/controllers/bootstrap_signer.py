"""The ConfigMap cluster-info, signed with each bootstrap token, so that a new node can trust what it reads.

A node that joins knows one token and nothing else. It fetches `cluster-info` from kube-public, over a
connection it cannot verify yet, and believes the kubeconfig in it when a signature by its token is there: a
detached JWS (HS256) at `jws-kubeconfig-ID`. Off unless asked for, as upstream's.
Upstream: pkg/controller/bootstrap/bootstrapsigner.go.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime

from podium.machinery import bootstrap_tokens, meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.secrets import SECRETS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAMESPACE, NAME = "kube-public", "cluster-info"
_KEY = f"{NAMESPACE}/{NAME}"
_CONTENT = "kubeconfig"
_SIGNATURE = "jws-kubeconfig-"


def signature(content: str, token_id: str, token_secret: str) -> str:
    """Return the detached signature of `content`: a compact JWS without its middle part."""
    header = _encoded(f'{{"alg":"HS256","kid":"{token_id}"}}'.encode())
    signed = f"{header}.{_encoded(content.encode())}".encode()
    return f"{header}..{_encoded(hmac.digest(token_secret.encode(), signed, hashlib.sha256))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signing_tokens(secrets: Iterable[Object], now: datetime) -> Mapping[str, str]:
    """Return the tokens, by their id, that may sign and have not expired."""
    found = {}
    for secret in sorted(secrets, key=meta.name):
        token_id = bootstrap_tokens.value(secret, "token-id")
        token_secret = bootstrap_tokens.value(secret, "token-secret")
        if (
            secret.get("type") == bootstrap_tokens.SECRET_TYPE
            and len(token_id) == 6
            and meta.name(secret) == bootstrap_tokens.SECRET_PREFIX + token_id
            and token_secret
            and bootstrap_tokens.left_s(secret, now) != 0
            and bootstrap_tokens.value(secret, "usage-bootstrap-signing") == "true"
        ):
            found[token_id] = token_secret
    return found


def plan(config_map: Object, tokens: Mapping[str, str]) -> Object | None:
    """Return the ConfigMap with the signatures of exactly these tokens, None when it has them."""
    data = config_map.get("data") or {}
    content = data.get(_CONTENT)
    if content is None:
        return None
    wanted = {key: text for key, text in data.items() if not key.startswith(_SIGNATURE)}
    for token_id, token_secret in tokens.items():
        wanted[_SIGNATURE + token_id] = signature(content, token_id, token_secret)
    return None if wanted == data else {**config_map, "data": wanted}


def _the_key(_delta: Delta, _caches: Caches) -> Iterable[str]:
    return (_KEY,)


async def _reconcile(context: Context, key: str) -> float | None:
    config_map = context.caches[CONFIGMAPS].get(key)
    if config_map is None:
        return None
    now = context.clock.now()
    secrets = context.caches[SECRETS].list(bootstrap_tokens.NAMESPACE)
    new = plan(config_map, signing_tokens(secrets, now))
    if new is not None:
        try:
            await context.client.update(CONFIGMAPS, new)
        except NotFound:
            return None
    # A token that expires while its Secret stays must not go on signing.
    return min((left for secret in secrets if (left := bootstrap_tokens.left_s(secret, now))), default=None)


BOOTSTRAP_SIGNER = Controller(
    name="bootstrap-signer-controller",
    service_account="bootstrap-signer",
    watches=(
        Watch(
            resource=CONFIGMAPS,
            keys_of=_the_key,
            namespace=NAMESPACE,
            field_selector=f"metadata.name={NAME}",
        ),
        Watch(
            resource=SECRETS,
            keys_of=_the_key,
            namespace=bootstrap_tokens.NAMESPACE,
            field_selector=f"type={bootstrap_tokens.SECRET_TYPE}",
        ),
    ),
    reconcile=_reconcile,
    workers=1,
)
