"""Bootstrap tokens: `id.secret`, kept as Secrets in kube-system, with which a new node asks for its
certificate."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from podium.apiserver.authn.bearer import Identified
from podium.apiserver.chain import ALL_AUTHENTICATED, User, View
from podium.base.clock import Clock, WallClock
from podium.machinery import meta
from podium.machinery.bootstrap_tokens import NAMESPACE, SECRET_PREFIX, SECRET_TYPE, left_s, value
from podium.machinery.errors import Unauthorized

DEFAULT_GROUP = "system:bootstrappers"

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class BootstrapTokenAuthenticator:
    """Knows the bootstrap tokens whose Secrets allow authentication and have not expired."""

    def __init__(self, secrets: View, *, clock: Clock | None = None) -> None:
        self._secrets = secrets
        self._clock = clock or WallClock()

    async def identify(self, token: str, audiences: Sequence[str]) -> Identified | None:
        return self.recall(token, audiences)

    def recall(self, token: str, audiences: Sequence[str]) -> Identified | None:
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        token_id, token_secret = match.groups()
        secret = self._secrets.get(NAMESPACE, SECRET_PREFIX + token_id)
        if secret is None or secret.get("type") != SECRET_TYPE or meta.deleting(secret):
            raise Unauthorized()
        if not hmac.compare_digest(value(secret, "token-secret").encode(), token_secret.encode()):
            raise Unauthorized()
        if value(secret, "token-id") != token_id or value(secret, "usage-bootstrap-authentication") != "true":
            raise Unauthorized()
        if left_s(secret, self._clock.now()) == 0:
            raise Unauthorized()
        extra = [group.strip() for group in value(secret, "auth-extra-groups").split(",") if group.strip()]
        if not all(_GROUP.fullmatch(group) for group in extra):
            raise Unauthorized()
        groups = (*sorted({DEFAULT_GROUP, *extra}), ALL_AUTHENTICATED)
        return Identified(user=User(name=f"system:bootstrap:{token_id}", groups=groups))
