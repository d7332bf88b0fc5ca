"""Static tokens from a CSV file (`--token-auth-file`): `token,user,uid,"group1,group2"`, one a line."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence

from podium.apiserver.authn.bearer import Identified
from podium.apiserver.chain import ALL_AUTHENTICATED, User
from podium.base.log import Log

_log = Log("authn")


class TokenFileAuthenticator:
    """Knows the tokens that its file listed when the server started."""

    def __init__(self, users: dict[bytes, User]) -> None:
        self._users = users

    @classmethod
    def parse(cls, lines: Iterable[str]) -> TokenFileAuthenticator:
        """Read the CSV. Raises ValueError for a line with fewer than three fields or no user name."""
        users: dict[bytes, User] = {}
        for row in csv.reader(lines):
            if not row:
                continue
            if len(row) < 3:
                raise ValueError(
                    f"token file: at least 3 columns (token, user name, user uid), found {len(row)}"
                )
            token, name, uid = row[0], row[1], row[2]
            if not token:
                _log.warning("empty token in the token file is ignored", user=name)
                continue
            groups = tuple(g.strip() for g in row[3].split(",") if g.strip()) if len(row) > 3 else ()
            users[_digest(token)] = User(name=name, uid=uid, groups=(*groups, ALL_AUTHENTICATED))
        return cls(users)

    async def identify(self, token: str, audiences: Sequence[str]) -> Identified | None:
        return self.recall(token, audiences)

    def recall(self, token: str, audiences: Sequence[str]) -> Identified | None:
        user = self._users.get(_digest(token))
        return Identified(user=user) if user is not None else None


def _digest(token: str) -> bytes:
    # Looking up digests leaves nothing for a timing attack to learn about the tokens themselves.
    return hashlib.sha256(token.encode()).digest()
