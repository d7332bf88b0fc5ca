"""Objects to begin from: our own manifests, and upstream's samples of every kind where they are at hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

from podium.machinery.resource import Resource
from podium.resources.catalogue import BUILTIN
from tests.machinery.shared import TESTDATA

MANIFESTS = Path(__file__).parent / "manifests.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """An object and where it is created."""

    name: str
    collection: str
    obj: Any
    protobuf: bytes = b""


def manifests() -> list[Any]:
    """Return our own objects; the definition of a custom resource comes before what it defines."""
    return list(yaml.safe_load_all(MANIFESTS.read_text()))


@cache
def _resources() -> dict[tuple[str, str], Resource]:
    return {(resource.api_version, resource.kind): resource for resource in BUILTIN}


def collection_of(obj: Any) -> str:
    """Return the path that objects of this kind are created at; "" for kinds without one."""
    if obj.get("kind") == "Thing":
        return "/apis/fuzz.example.com/v1/namespaces/default/things"
    resource = _resources().get((obj.get("apiVersion", ""), obj.get("kind", "")))
    if resource is None or "create" not in resource.verbs:
        return ""
    return resource.path("default" if resource.namespaced else None)


def seeds() -> list[Seed]:
    """Return everything there is to begin from."""
    found = [Seed(name=f"own/{obj['kind']}", collection=collection_of(obj), obj=obj) for obj in manifests()]
    for path in sorted(TESTDATA.glob("*.json")) if TESTDATA.is_dir() else ():
        obj = orjson.loads(path.read_bytes())
        collection = collection_of(obj)
        if collection:
            obj["metadata"] = {"name": "sample", **(obj.get("metadata") or {})}
            found.append(
                Seed(
                    name=path.stem,
                    collection=collection,
                    obj=obj,
                    protobuf=path.with_suffix(".pb").read_bytes(),
                )
            )
    return found
