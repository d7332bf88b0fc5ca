"""A plain HTTP and JSON client for the conformance tests: nothing between them and the wire."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

Object = dict[str, Any]

WITHIN_S = 30.0
_STEP_S = 0.1
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class Refused(AssertionError):
    """The server answered with another status than the test wants."""

    def __init__(self, request: str, answer: Answer) -> None:
        super().__init__(f"{request}: {answer.status}: {answer.text[:2000]}")
        self.answer = answer


@dataclass(slots=True)
class Api:
    """A client with one kept connection."""

    address: str
    context: ssl.SSLContext
    headers: dict[str, str] = field(default_factory=dict)
    _kept: http.client.HTTPSConnection | None = None

    @classmethod
    def of(cls, kubeconfig: Path) -> Api:
        """Return a client with the credentials of a kubeconfig."""
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        with tempfile.TemporaryDirectory() as work:
            for name in ("certificate", "key"):
                (Path(work) / name).write_bytes(base64.b64decode(user[f"client-{name}-data"]))
            context.load_cert_chain(f"{work}/certificate", f"{work}/key")
        return cls(urlsplit(cluster["server"]).netloc, context)

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.address, context=self.context, timeout=WITHIN_S)

    def send(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request; return whatever is answered. Text goes as it is, other bodies as JSON."""
        content = body if isinstance(body, str | None) else json.dumps(body)
        sent = {"Accept": "application/json", "Content-Type": "application/json"}
        sent |= self.headers | (headers or {})
        if self._kept is None:
            self._kept = self.connect()
        try:
            self._kept.request(method, path, content and content.encode(), sent)
            response = self._kept.getresponse()
            return Answer(status=response.status, headers=response.headers, text=response.read().decode())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _wanted(self, answer: Answer, request: str, *statuses: int) -> Any:
        if answer.status not in statuses:
            raise Refused(request, answer)
        return answer.body

    def get(self, path: str, **parameters: Any) -> Any:
        path = with_parameters(path, parameters)
        return self._wanted(self.send("GET", path), f"GET {path}", 200)

    def post(self, path: str, body: Any, **parameters: Any) -> Any:
        path = with_parameters(path, parameters)
        return self._wanted(self.send("POST", path, body), f"POST {path}", 200, 201)

    def put(self, path: str, body: Any, **parameters: Any) -> Any:
        path = with_parameters(path, parameters)
        return self._wanted(self.send("PUT", path, body), f"PUT {path}", 200, 201)

    def patch(self, path: str, body: Any, type: str = MERGE, **parameters: Any) -> Any:
        path = with_parameters(path, parameters)
        answer = self.send("PATCH", path, body, headers={"Content-Type": type})
        return self._wanted(answer, f"PATCH {path}", 200, 201)

    def update(self, path: str, change: Callable[[Any], object]) -> Any:
        """Read, change and replace an object; again whenever somebody else, a controller, was faster."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            current = self.get(path)
            change(current)
            answer = self.send("PUT", path, current)
            if answer.status != 409 or time.monotonic() > deadline:
                return self._wanted(answer, f"PUT {path}", 200, 201)

    def delete(self, path: str, options: Any = None, **parameters: Any) -> Any:
        path = with_parameters(path, parameters)
        return self._wanted(self.send("DELETE", path, options), f"DELETE {path}", 200, 202)

    def refused(self, status: int, method: str, path: str, body: Any = None, type: str = MERGE) -> Any:
        """Send a request that must be answered with `status`; return the Status object."""
        headers = {"Content-Type": type} if method == "PATCH" else {}
        return self._wanted(self.send(method, path, body, headers=headers), f"{method} {path}", status)

    def gone(self, path: str) -> bool:
        return self.send("GET", path).status == 404

    def until(self, path: str, check: Callable[[Any], Any], what: str, within_s: float = WITHIN_S) -> Any:
        """Return the object at `path` as soon as `check` says yes to it."""
        deadline = time.monotonic() + within_s
        while True:
            answer = self.send("GET", path)
            if answer.status == 200 and check(answer.body):
                return answer.body
            if time.monotonic() > deadline:
                shown = answer.body.get("status") or answer.body
                raise AssertionError(f"not within {within_s:.0f} s: {what}: {str(shown)[:2000]}")
            time.sleep(_STEP_S)

    def until_gone(self, path: str, within_s: float = WITHIN_S) -> None:
        deadline = time.monotonic() + within_s
        while not self.gone(path):
            if time.monotonic() > deadline:
                raise AssertionError(f"{path} is still there after {within_s:.0f} s")
            time.sleep(_STEP_S)

    @contextmanager
    def watch(self, path: str, **parameters: Any) -> Iterator[Watch]:
        """Watch a collection from the version that is given; the events come from a connection of its own."""
        path = with_parameters(path, {"watch": "true", **parameters})
        connection = self.connect()
        try:
            connection.request("GET", path, headers={"Accept": "application/json", **self.headers})
            response = connection.getresponse()
            if response.status != 200:
                text = response.read().decode()
                raise Refused(
                    f"GET {path}", Answer(status=response.status, headers=response.headers, text=text)
                )
            yield Watch(response)
        finally:
            connection.close()


@dataclass(slots=True)
class Watch:
    _response: http.client.HTTPResponse

    def next(self) -> tuple[str, Any]:
        """Return the next event's type and object. Raises TimeoutError when none comes."""
        line = self._response.readline()
        assert line, "the watch has ended"
        event = json.loads(line)
        return event["type"], event["object"]

    def until(self, type: str, check: Callable[[Any], Any] = bool) -> Any:
        """Return the object of the next event of `type` that `check` says yes to."""
        while True:
            seen, found = self.next()
            if seen == type and check(found):
                return found


def with_parameters(path: str, parameters: dict[str, Any]) -> str:
    """Append query parameters; `field_selector` becomes `fieldSelector`, `continue_` `continue`."""
    pairs = {}
    for name, value in parameters.items():
        head, *rest = name.rstrip("_").split("_")
        pairs[head + "".join(part.capitalize() for part in rest)] = value
    if not pairs:
        return path
    return f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}"


def base(api_version: str) -> str:
    """Return the path of a group and version."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def collection(api_version: str, plural: str, namespace: str = "") -> str:
    """Return the path of a resource, in one namespace or over all."""
    return base(api_version) + (f"/namespaces/{namespace}" if namespace else "") + f"/{plural}"


def condition(obj: Any, type: str) -> Object | None:
    """Return the condition of that type in an object's status."""
    found = [c for c in obj.get("status", {}).get("conditions") or () if c["type"] == type]
    return found[0] if found else None


def holds(found: object, wanted: object) -> bool:
    """Say whether `found` has at least what `wanted` has; the server may add defaults."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(holds(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        listed = found if isinstance(found, list) else []
        return all(any(holds(entry, value) for entry in listed) for value in wanted)
    return found == wanted
