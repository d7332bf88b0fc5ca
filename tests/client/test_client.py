"""The verbs of `Client` as requests, and answers as objects, events and errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from podium.base.http.message import Headers
from podium.client.client import Client, WatchEvent
from podium.machinery.errors import ApiError, Conflict, Expired, Gone, NotFound, Unauthorized
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from tests.base.http_tools import run


class Answer:
    def __init__(self, status: int, chunks: list[bytes]) -> None:
        self.status = status
        self.headers = Headers()
        self._chunks = chunks

    async def read(self) -> bytes:
        return b"".join(self._chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


class Recorded:
    """A transport that keeps what was asked and gives prepared answers."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.requests: list[tuple[str, str, Mapping[str, str], Any]] = []
        self._answers = list(answers)
        self.closed = False

    @asynccontextmanager
    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[Answer]:
        self.requests.append((method, target, headers, orjson.loads(body) if body else None))
        status, content = self._answers.pop(0)
        yield Answer(status, content if isinstance(content, list) else [orjson.dumps(content)])

    async def close(self) -> None:
        self.closed = True

    @property
    def lines(self) -> list[tuple[str, str, Any]]:
        return [(method, target, body) for method, target, _, body in self.requests]


POD = {"metadata": {"name": "p", "namespace": "ns"}}
BASE = "/api/v1/namespaces/ns/pods"


@pytest.mark.parametrize(
    ("call", "request_line"),
    [
        (lambda c: c.get(PODS, "p", "ns"), ("GET", f"{BASE}/p", None)),
        (lambda c: c.get(NODES, "n"), ("GET", "/api/v1/nodes/n", None)),
        (lambda c: c.create(PODS, POD), ("POST", BASE, POD)),
        (
            lambda c: c.create(PODS, {"target": {}}, "ns", subresource="binding", name="p"),
            ("POST", f"{BASE}/p/binding", {"target": {}}),
        ),
        (lambda c: c.update(PODS, POD), ("PUT", f"{BASE}/p", POD)),
        (lambda c: c.update(PODS, POD, subresource="status"), ("PUT", f"{BASE}/p/status", POD)),
        (lambda c: c.patch(PODS, "p", {"a": 1}, "ns"), ("PATCH", f"{BASE}/p", {"a": 1})),
        (
            lambda c: c.patch(PODS, "p", {"a": 1}, "ns", type="apply", field_manager="me", force=True),
            ("PATCH", f"{BASE}/p?fieldManager=me&force=true", {"a": 1}),
        ),
        (lambda c: c.delete(PODS, "p", "ns"), ("DELETE", f"{BASE}/p", None)),
        (
            lambda c: c.delete(PODS, "p", "ns", grace_period_s=0, propagation="Orphan", uid="u"),
            (
                "DELETE",
                f"{BASE}/p",
                {
                    "kind": "DeleteOptions",
                    "apiVersion": "v1",
                    "gracePeriodSeconds": 0,
                    "propagationPolicy": "Orphan",
                    "preconditions": {"uid": "u"},
                },
            ),
        ),
        (
            lambda c: c.delete_collection(PODS, "ns", label_selector="a in (b,c)"),
            ("DELETE", f"{BASE}?labelSelector=a+in+%28b%2Cc%29", None),
        ),
        (
            lambda c: c.list(PODS, field_selector="spec.nodeName=n", resource_version="0"),
            ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn&resourceVersion=0", None),
        ),
    ],
)
def test_verbs(call: Any, request_line: tuple[str, str, Any]) -> None:
    transport = Recorded((200, {"kind": "X"}))
    answer = run(call(Client(transport, user_agent="me/1")))
    assert answer["kind"] == "X"
    assert transport.lines == [request_line]
    headers = transport.requests[0][2]
    assert headers["user-agent"] == "me/1"
    if request_line[2] is not None and request_line[0] != "PATCH":
        assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("type", "media_type"),
    [
        ("json", "application/json-patch+json"),
        ("merge", "application/merge-patch+json"),
        ("strategic", "application/strategic-merge-patch+json"),
        ("apply", "application/apply-patch+yaml"),
    ],
)
def test_patch_types(type: Any, media_type: str) -> None:
    transport = Recorded((200, {}))
    run(Client(transport).patch(PODS, "p", {}, "ns", type=type))
    assert transport.requests[0][2]["content-type"] == media_type


def page(names: str, token: str = "") -> dict[str, Any]:
    return {
        "metadata": {"resourceVersion": "7", "continue": token},
        "items": [{"metadata": {"name": n}} for n in names],
    }


def names(answer: dict[str, Any]) -> str:
    return "".join(item["metadata"]["name"] for item in answer["items"])


EXPIRED = {"kind": "Status", "reason": "Expired", "code": 410, "message": "too old"}


def test_a_list_is_followed_to_its_end() -> None:
    transport = Recorded((200, page("ab", "t1")), (200, page("cd", "t2")), (200, page("e")))
    answer = run(Client(transport).list(PODS, "ns", limit=2, label_selector="x"))
    assert names(answer) == "abcde"
    assert [target for _, target, _ in transport.lines] == [
        f"{BASE}?labelSelector=x&limit=2",
        f"{BASE}?labelSelector=x&limit=2&continue=t1",
        f"{BASE}?labelSelector=x&limit=2&continue=t2",
    ]


def test_a_list_that_expires_half_way_is_read_whole() -> None:
    transport = Recorded((200, page("ab", "t1")), (410, EXPIRED), (200, page("abcde")))
    assert names(run(Client(transport).list(PODS, limit=2))) == "abcde"
    assert transport.lines[-1][1] == "/api/v1/pods"


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (404, {"kind": "Status", "reason": "NotFound", "message": 'pods "p" not found'}, NotFound, "pods"),
        (409, {"kind": "Status", "reason": "Conflict", "message": "modified"}, Conflict, "modified"),
        (404, [b"404 page not found\n"], NotFound, "404 page not found"),
        (401, [b""], Unauthorized, "status 401"),
        (418, [b'"a string"'], ApiError, "a string"),
    ],
)
def test_errors(status: int, body: Any, error: type[ApiError], message: str) -> None:
    with pytest.raises(error, match=message):
        run(Client(Recorded((status, body))).get(PODS, "p", "ns"))


def watched(*chunks: bytes) -> list[WatchEvent]:
    transport = Recorded((200, list(chunks)))

    async def main() -> list[WatchEvent]:
        return [event async for event in Client(transport).watch(PODS, resource_version="5")]

    events = run(main())
    assert transport.lines == [
        ("GET", "/api/v1/pods?watch=true&resourceVersion=5&allowWatchBookmarks=true", None)
    ]
    return events


def line(type: str, **obj: Any) -> bytes:
    return orjson.dumps({"type": type, "object": obj}) + b"\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_watch_however_it_is_cut(size: int) -> None:
    data = line("ADDED", a="ä") + b"\n" + line("MODIFIED", a=2) + line("BOOKMARK", a=3) + line("DELETED", a=4)
    events = watched(*(data[i : i + size] for i in range(0, len(data), size)))
    assert [(e.type, e.object["a"]) for e in events] == [
        ("ADDED", "ä"),
        ("MODIFIED", 2),
        ("BOOKMARK", 3),
        ("DELETED", 4),
    ]


def test_an_error_event_is_raised() -> None:
    with pytest.raises(Expired, match="too old"):
        watched(line("ADDED", a=1) + line("ERROR", **EXPIRED))


def test_a_watch_that_is_refused() -> None:
    async def main() -> None:
        async for _ in Client(Recorded((410, {**EXPIRED, "reason": "Gone"}))).watch(
            PODS, resource_version="1"
        ):
            pass

    with pytest.raises(Gone):
        run(main())
