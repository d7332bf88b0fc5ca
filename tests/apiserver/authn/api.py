"""Requests to a real server, for tests that run the program."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from tests.wire.server import Running


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message
    body: Any = None


@dataclass(slots=True)
class Api:
    """One server, asked with a token of system:masters where none is given."""

    server: Running
    context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        self.context = ssl.create_default_context(cafile=str(self.server.ca_file))

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        token = self.server.token if token is None else token
        asked = urllib.request.Request(
            f"{self.server.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json", "authorization": f"Bearer {token}", **headers},
        )
        try:
            with urllib.request.urlopen(asked, context=self.context, timeout=10) as answer:
                return Answer(answer.status, answer.headers, _body(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, _body(error.read()))

    def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.ask(method, path, body, **headers)
        assert answer.status < 300, answer.body
        return answer.body

    def who(self, token: str) -> str:
        """Return the user of a token, "" where it is refused."""
        review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        answer = self.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review, token=token)
        if answer.status == 401:
            return ""
        return str(answer.body["status"]["userInfo"]["username"])


def _body(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()
