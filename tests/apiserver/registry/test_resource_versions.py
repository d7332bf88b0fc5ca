"""Every combination of verb, resourceVersion, resourceVersionMatch, limit and continue.

Upstream: apimachinery's validation of ListOptions, apiserver/pkg/storage (ValidateListOptions) and the table
in its documentation of the semantics of get and list.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.cacher import root as root_module
from tests.apiserver.harness import Api, api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
NAMES = ["a", "b", "c"]

UNLESS_VERSION = "resourceVersionMatch is forbidden unless resourceVersion is provided"
WITH_CONTINUE = "resourceVersionMatch is forbidden when continue is provided"
EXACT_ZERO = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
NOT_SUPPORTED = 'Unsupported value: "Odd": supported values: "Exact", "NotOlderThan", ""'
NO_VERSION_WITH_CONTINUE = "specifying resource version is not allowed when using continue"

VERSIONS = ("", "0", "old", "now", "future")
MATCHES = ("", "Exact", "NotOlderThan", "Odd")


async def history(server: Api) -> dict[str, str]:
    """Create a, b, c, where `old` is the version at which there are only a and b; return the versions."""
    for name in NAMES[:2]:
        await server.ok("POST", CONFIGMAPS, {"metadata": {"name": name}})
    old = (await server.ok("GET", CONFIGMAPS))["metadata"]["resourceVersion"]
    await server.ok("POST", CONFIGMAPS, {"metadata": {"name": "c"}})
    now = (await server.ok("GET", CONFIGMAPS))["metadata"]["resourceVersion"]
    return {"": "", "0": "0", "old": old, "now": now, "future": str(int(now) + 1000)}


def expected(version: str, match: str, limit: int, token: bool) -> tuple[int, list[str]]:
    """Return the status, and the causes of an error or the names in the list."""
    causes = []
    if match:
        if not version:
            causes.append(UNLESS_VERSION)
        if token:
            causes.append(WITH_CONTINUE)
        if match == "Odd":
            causes.append(NOT_SUPPORTED)
        if match == "Exact" and version == "0":
            causes.append(EXACT_ZERO)
    if causes:
        return 422, causes
    if token:
        # The token is from behind `a`, of the list as it is now.
        if version not in ("", "0"):
            return 400, [NO_VERSION_WITH_CONTINUE]
        rest = NAMES[1:]
        return 200, rest[:limit] if limit else rest
    if version == "future":
        return 504, []
    exact = match == "Exact" or (not match and limit and version not in ("", "0"))
    names = NAMES[:2] if exact and version == "old" else NAMES
    return 200, names[:limit] if limit and version != "0" else names


@pytest.mark.parametrize("limit", [0, 1, 2])
@pytest.mark.parametrize("token", [False, True])
def test_lists(tmp_path: Path, limit: int, token: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.apiserver.cacher.cacher.FRESHNESS_TIMEOUT_S", 0.01)

    async def main() -> None:
        async with api(tmp_path) as server:
            versions = await history(server)
            first = await server.ok("GET", f"{CONFIGMAPS}?limit=1")
            for version, match in itertools.product(VERSIONS, MATCHES):
                query = {
                    "resourceVersion": versions[version],
                    "resourceVersionMatch": match,
                    "limit": str(limit or ""),
                    "continue": first["metadata"]["continue"] if token else "",
                }
                target = "&".join(f"{name}={value}" for name, value in query.items() if value)
                status, body = await server.call("GET", f"{CONFIGMAPS}?{target}")
                assert (status, content(status, body)) == expected(version, match, limit, token), target

    asyncio.run(main())


def content(status: int, body: Any) -> list[str]:
    if status == 200:
        return [item["metadata"]["name"] for item in body["items"]]
    if status == 422:
        causes = [cause["message"] for cause in body["details"]["causes"]]
        return [cause.removeprefix("Forbidden: ") for cause in causes]
    return [] if status == 504 else [body["message"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_gets(tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.apiserver.cacher.cacher.FRESHNESS_TIMEOUT_S", 0.01)

    async def main() -> None:
        async with api(tmp_path) as server:
            versions = await history(server)
            status, _ = await server.call("GET", f"{CONFIGMAPS}/c?resourceVersion={versions[version]}")
            assert status == (504 if version == "future" else 200)

    asyncio.run(main())


async def start(server: Api, query: str) -> tuple[int, list[Any]]:
    """Open a watch, or fail to; return the status and the first events, those that come by themselves."""
    response = await server.send("GET", f"{CONFIGMAPS}?watch=1&{query}")
    if response.stream is None:
        return response.status, []
    watching = await server.watch(f"{CONFIGMAPS}?watch=1&{query}")
    for _ in range(20):
        await asyncio.sleep(0)
    return 200, watching.client.lines


WATCHES = {
    ("", "", "", ""): NAMES,
    ("0", "", "", ""): NAMES,
    ("old", "", "", ""): ["c"],
    ("now", "", "", ""): [],
    ("future", "", "", ""): [],
    ("", "NotOlderThan", "true", "true"): [*NAMES, "BOOKMARK"],
    ("0", "NotOlderThan", "true", "true"): [*NAMES, "BOOKMARK"],
    ("old", "NotOlderThan", "true", "true"): [*NAMES, "BOOKMARK"],
    ("now", "NotOlderThan", "true", "true"): [*NAMES, "BOOKMARK"],
    # Without bookmarks nothing can mark the end of the initial state.
    ("now", "NotOlderThan", "true", ""): NAMES,
    ("", "NotOlderThan", "false", ""): [],
    ("0", "NotOlderThan", "false", "true"): [],
    ("old", "NotOlderThan", "false", ""): ["c"],
    ("old", "", "", "true"): ["c"],
    ("", "Exact", "", ""): 422,
    ("old", "NotOlderThan", "", ""): 422,
    ("old", "Exact", "true", ""): 422,
    ("old", "", "true", ""): 422,
    ("old", "Odd", "", ""): 422,
}


def test_watches(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            versions = await history(server)
            for (version, match, initial, bookmarks), wanted in WATCHES.items():
                query = {
                    "resourceVersion": versions[version],
                    "resourceVersionMatch": match,
                    "sendInitialEvents": initial,
                    "allowWatchBookmarks": bookmarks,
                }
                target = "&".join(f"{name}={value}" for name, value in query.items() if value)
                status, events = await start(server, target)
                found: Any = status
                if status == 200:
                    found = [
                        "BOOKMARK" if event["type"] == "BOOKMARK" else event["object"]["metadata"]["name"]
                        for event in events
                    ]
                assert found == wanted, target
                if "BOOKMARK" in (found if isinstance(found, list) else ()):
                    annotations = events[-1]["object"]["metadata"]["annotations"]
                    assert annotations == {"k8s.io/initial-events-end": "true"}

    asyncio.run(main())


def test_a_watch_from_before_what_is_kept_ends_with_an_error_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_module, "EVENTS_KEPT_MAX", 2)

    async def main() -> None:
        async with api(tmp_path) as server:
            versions = await history(server)
            for number in range(3):
                await server.ok("POST", CONFIGMAPS, {"metadata": {"name": f"d{number}"}})
            status, events = await start(server, f"resourceVersion={versions['old']}")
            assert status == 200
            assert [event["type"] for event in events] == ["ERROR"]
            assert events[0]["object"]["code"] == 410
            assert events[0]["object"]["reason"] == "Expired"

    asyncio.run(main())


def test_a_list_goes_on_when_its_snapshot_is_gone(tmp_path: Path) -> None:
    """410 with a token that leads through the rest as it is now, page by page."""

    async def main() -> None:
        async with api(tmp_path) as server:
            await history(server)
            first = await server.ok("GET", f"{CONFIGMAPS}?limit=1")
            await server.ok("POST", CONFIGMAPS, {"metadata": {"name": "bb"}})
            await server.store.compact(await server.store.current_revision())
            token = first["metadata"]["continue"]
            status, body = await server.call("GET", f"{CONFIGMAPS}?limit=1&continue={token}")
            assert (status, body["reason"]) == (410, "Expired")
            token, names = body["metadata"]["continue"], []
            while token:
                page = await server.ok("GET", f"{CONFIGMAPS}?limit=1&continue={token}")
                names += [item["metadata"]["name"] for item in page["items"]]
                token = page["metadata"].get("continue")
            assert names == ["b", "bb", "c"]

    asyncio.run(main())
