"""The recordings of upstream and the reference data, read in place, as the tests here need them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from podium.machinery.errors import Object
from podium.machinery.meta import deep_copy
from podium.machinery.resource import Resource
from podium.resources.catalogue import find

SHARED = Path(__file__).resolve().parents[3] / "shared"
RECORDINGS = SHARED / "wire" / "recordings"
NAMESPACE = "recorded"
TIME = "2026-01-01T00:00:00Z"
TIME_MICRO = "2026-01-01T00:00:00.000000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request to a resource that we declare, with upstream's answer."""

    scenario: str
    verb: str
    resource: Resource
    name: str
    subresource: str
    body: Any
    media_type: str
    status: int
    answer: Any

    @property
    def id(self) -> str:
        return f"{self.scenario}-{self.verb}-{self.resource.plural}-{self.name}".strip("-")


@cache
def scenarios() -> tuple[tuple[str, tuple[Object, ...]], ...]:
    """Return every scenario's name and its steps, with the namespace filled in."""
    found = []
    for path in sorted(RECORDINGS.glob("*.json")):
        for scenario in orjson.loads(path.read_bytes())["scenarios"]:
            found.append((f"{path.stem}/{scenario['name']}", tuple(filled(scenario["steps"]))))
    return tuple(found)


_PLACEHOLDERS = {
    "{ns}": NAMESPACE,
    "<ns>": NAMESPACE,
    "<time>": TIME,
    "<time.micro>": TIME_MICRO,
    "<suffix>": "abcde",
    "<clusterIP>": "10.96.0.9",
}
_UID = re.compile("<uid ([^>]*)>")


def filled(value: Any) -> Any:
    """Return the value with something in the place of the recorder's placeholders."""
    if value == "<nodePort>":
        return 30009
    if isinstance(value, str):
        for placeholder, text in _PLACEHOLDERS.items():
            value = value.replace(placeholder, text)
        return _UID.sub(lambda match: "uid-" + re.sub("[^a-z0-9]", "", match[1]), value)
    if isinstance(value, dict):
        return {filled(key): filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return value


def steps() -> Iterator[Step]:
    """Yield the steps that address a resource of ours, in order."""
    for scenario, recorded in scenarios():
        for step in recorded:
            found = step_of(scenario, step)
            if found is not None:
                yield found


def step_of(scenario: str, step: Object) -> Step | None:
    """Return the step if it is about a resource that we declare."""
    expect = step.get("expect") or {}
    parts = str(step.get("request") or "").split()
    if len(parts) < 2 or not expect:
        return None
    path = parts[1].partition("?")[0].strip("/").split("/")
    if path[0] == "api" and len(path) > 2:
        group, version, rest = "", path[1], path[2:]
    elif path[0] == "apis" and len(path) > 3:
        group, version, rest = path[1], path[2], path[3:]
    else:
        return None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    resource = find(group, version, rest[0])
    if resource is None:
        return None
    return Step(
        scenario=scenario,
        verb=parts[0],
        resource=resource,
        name=rest[1] if len(rest) > 1 else "",
        subresource=rest[2] if len(rest) > 2 else "",
        body=deep_copy(step.get("body")),
        media_type=str(step.get("type") or ""),
        status=expect.get("status", 0),
        answer=deep_copy(expect.get("body")),
    )


def creations(status: int) -> Iterator[Step]:
    """Yield the steps that create an object of ours and were answered so, with the whole answer recorded."""
    for step in steps():
        creates = step.verb == "POST" and not step.name and step.resource.stored
        whole = isinstance(step.body, dict) and isinstance(step.answer, dict)
        if creates and whole and step.status == status:
            yield step


_OBJECT = re.compile(r"(Invalid|Unsupported) value: (\{.*\}|<object>): ")


def normal(message: str) -> str:
    """Return a message without what upstream's internals print differently: objects and diffs."""
    message = re.sub(r"\n?@@ -\d+,\d+ \+\d+,\d+ @@\n.*", "<diff>", message, flags=re.DOTALL)
    return _OBJECT.sub(r"\1 value: <object>: ", message)


def as_received(step: Step) -> Object:
    """Return the step's body as it would be decoded, with the metadata that the system adds."""
    obj: Object = step.body
    metadata = obj.setdefault("metadata", {})
    if step.resource.namespaced:
        metadata.setdefault("namespace", NAMESPACE)
    if metadata.get("generateName") and not metadata.get("name"):
        metadata["name"] = metadata["generateName"] + "abcde"
    answered = (step.answer or {}).get("metadata") or {}
    metadata["uid"] = answered.get("uid") or "uid-x"
    if "creationTimestamp" in answered:
        metadata["creationTimestamp"] = answered["creationTimestamp"]
    return obj
