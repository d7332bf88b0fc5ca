"""Writes to ConfigMaps, replayed from recordings of upstream through nothing but the machinery."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from podium.machinery import managed_fields as managed
from podium.machinery.codec import yaml
from podium.machinery.errors import ApiError
from podium.machinery.meta import deep_copy
from podium.machinery.patch import apply as server_side
from podium.machinery.patch import json as json_patch
from podium.machinery.patch import merge, strategic
from podium.machinery.schema import Schemas

from .shared import needs_recordings, steps

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = Schemas.load().compile("io.k8s.api.core.v1.ConfigMap")


class Server:
    """As much of an API server as the scenarios need: one ConfigMap, and who owns it."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self._now = NOW

    def serve(self, step: dict[str, Any]) -> dict[str, Any]:
        self._now += timedelta(seconds=1)
        method, _, target = step["request"].partition(" ")
        query = parse_qs(urlsplit(target).query)
        manager = query.get("fieldManager", ["wire"])[0]
        body = step["body"] if "body" in step else yaml.decode(step.get("text", "").encode())
        try:
            new = self._changed(method, step.get("type", ""), body, manager, "force" in query)
        except ApiError as error:
            return error.status()
        SCHEMA.seal(new)
        self.stored = new
        return new

    def _changed(self, method: str, type: str, body: Any, manager: str, force: bool) -> dict[str, Any]:
        old = None if method == "POST" else self.stored
        if type == "application/apply-patch+yaml":
            new = server_side.apply(
                old,
                body,
                manager=manager,
                force=force,
                api_version="v1",
                kind="ConfigMap",
                now=self._now,
                schema=SCHEMA,
            )
            return self._decoded(new)
        new = self._decoded(self._patched(old, type, body))
        managed.update(new, old, manager=manager, api_version="v1", now=self._now, schema=SCHEMA)
        return new

    def _patched(self, old: dict[str, Any] | None, type: str, body: Any) -> Any:
        match type.partition("+")[0].rpartition("/")[2]:
            case "json-patch":
                return json_patch.apply(old or {}, body)
            case "merge-patch":
                return merge.apply(old or {}, body)
            case "strategic-merge-patch":
                return strategic.apply(old or {}, body, SCHEMA)
            case _:
                if old is not None:
                    body["metadata"].setdefault("uid", old["metadata"]["uid"])
                return body

    def _decoded(self, obj: Any) -> dict[str, Any]:
        new: dict[str, Any] = deep_copy(obj)
        assert SCHEMA.decode(new) == []
        SCHEMA.complete(new)
        new.setdefault("metadata", {})["uid"] = "u"
        return new


def _essence(body: dict[str, Any]) -> dict[str, Any]:
    """Return what of an answer the machinery answers for."""
    if body.get("kind") == "Status":
        return {key: body.get(key) for key in ("message", "reason", "code")} | {
            "managedFields": None,
            "causes": sorted(map(str, (body.get("details") or {}).get("causes", ()))),
        }
    meta = body.get("metadata") or {}
    entries = [
        {**{key: part for key, part in entry.items() if key != "time"}, "timed": "time" in entry}
        for entry in meta.get("managedFields", ())
    ]
    return {
        "data": body.get("data"),
        "labels": meta.get("labels"),
        "annotations": meta.get("annotations"),
        "managedFields": sorted(entries, key=lambda entry: (entry["operation"], entry["manager"])),
    }


SCENARIOS = [
    ("apply", "create-and-update", ()),
    ("apply", "conflict-with-update", ()),
    ("apply", "shared-ownership", ()),
    ("apply", "client-side-to-server-side", ()),
    ("apply", "before-first-apply", ()),
    ("updates", "no-op-update", ()),
    ("requests", "field-manager", (2, 4, 5)),  # the manager of the User-Agent, and bad managers
    ("patches", "json-patch", ()),
    ("patches", "json-patch-failures", (8, 9, 10, 11)),  # what the server checks besides
]


@needs_recordings
@pytest.mark.parametrize(("area", "name", "skipped"), SCENARIOS, ids=[f"{s[0]}/{s[1]}" for s in SCENARIOS])
def test_replayed(area: str, name: str, skipped: tuple[int, ...]) -> None:
    server = Server()
    for number, step in enumerate(steps(area, name), start=1):
        if number in skipped and step["expect"]["status"] >= 400:
            continue
        answer = server.serve(step)
        if number in skipped:
            continue
        expected = step["expect"].get("body")
        if expected is not None:
            got, want = _essence(answer), _essence(expected)
            if area == "patches":  # recorded without managedFields
                del got["managedFields"], want["managedFields"]
            assert got == want, f"step {number}"
