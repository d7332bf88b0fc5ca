"""What holds for every old version: nothing is lost on the way to the stored version and back."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from podium.machinery.codec import protobuf
from podium.machinery.errors import Object
from podium.machinery.meta import deep_copy
from podium.machinery.resource import Resource
from podium.machinery.schema import Schemas
from podium.resources.legacy.catalogue import LEGACY, PACKAGES
from tests.resources.legacy.objects import fitting

DATA = Path(__file__).parents[3].parent / "shared" / "upstream" / "api-testdata"
SCHEMAS = Schemas.load("1.36", PACKAGES)
IDS = [f"{resource.api_version}-{resource.kind}" for resource in LEGACY]
_SETTINGS = settings(
    max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)


@cache
def _samples() -> dict[tuple[str, str], Object]:
    """Return upstream's own samples, in which every field has a value."""
    found = {}
    for path in DATA.glob("*.json"):
        obj = json.loads(path.read_text())
        found[obj.get("apiVersion", ""), obj.get("kind", "")] = obj
    return found


def _sample(resource: Resource) -> Object:
    obj = _samples().get((resource.api_version, resource.kind))
    if obj is None:
        pytest.skip("upstream has no sample of this version any more")
    return deep_copy(obj)  # type: ignore[no-any-return]


@pytest.mark.parametrize("resource", LEGACY, ids=IDS)
def test_the_derived_schema_knows_every_field_that_upstream_has(resource: Resource) -> None:
    obj = _sample(resource)
    assert SCHEMAS.compile(resource.schema).decode(obj) == []


@pytest.mark.parametrize("resource", LEGACY, ids=IDS)
def test_there_is_a_message_for_it(resource: Resource) -> None:
    assert protobuf.knows(resource.schema)
    assert protobuf.knows(resource.schema + "List")


def _completed(resource: Resource, obj: Object) -> Object:
    result = {key: value for key, value in deep_copy(obj).items() if key not in ("apiVersion", "kind")}
    SCHEMAS.compile(resource.schema).complete(result)
    return result


def _plausible(resource: Resource, obj: Object) -> bool:
    """Whether an object says nothing twice in two ways, which upstream refuses or makes one of."""
    spec = obj.get("spec") or {}
    if resource.kind == "CustomResourceDefinition":
        tops = ("validation", "subresources", "additionalPrinterColumns", "selectableFields")
        each = ("schema", *tops[1:])
        versions = spec.get("versions") or []
        given = any(key in version for version in versions for key in each)
        return bool(versions) and not given and spec.get("version") == versions[0].get("name")
    return True


def _one_source_each(obj: Object) -> None:
    """Leave of every metric of an autoscaler what its type says it is."""
    for part, name in (("spec", "metrics"), ("status", "currentMetrics")):
        holder = obj.get(part) or {}
        metrics = []
        for metric in holder.get(name) or ():
            sources = sorted(set(metric) - {"type"})
            if sources:
                source = sources[0]
                metrics.append({"type": source[:1].upper() + source[1:], source: metric[source]})
        if name in holder:
            holder[name] = metrics


@pytest.mark.parametrize("resource", LEGACY, ids=IDS)
def test_there_and_back_nothing_is_lost(resource: Resource) -> None:
    schema = SCHEMAS.compile(resource.schema)

    @_SETTINGS
    @given(fitting(schema.shape))
    def check(obj: dict[str, Any]) -> None:
        schema.decode(obj)
        obj.setdefault("metadata", {})
        if resource.kind == "HorizontalPodAutoscaler":
            _one_source_each(obj)
        for subject in obj.get("subjects") or ():
            # Of other kinds, which upstream refuses, only the group survives.
            subject["kind"] = "ServiceAccount" if subject.get("namespace") else "User"
            subject.pop("apiVersion", None)
        resource.defaults(obj)
        assume(_plausible(resource, obj))
        schema.complete(obj)
        before = deep_copy(obj)
        stored = resource.to_storage(obj)
        assert obj == before, "a conversion has changed what it was given"
        back = resource.from_storage(stored)
        if resource.kind == "EndpointSlice":
            # The node comes to be among the topology labels; from then on nothing changes.
            before = _completed(resource, back)
            back = resource.from_storage(resource.to_storage(back))
        assert _completed(resource, back) == _completed(resource, before)

    check()


@pytest.mark.parametrize("resource", LEGACY, ids=IDS)
def test_what_is_stored_fits_the_stored_version(resource: Resource) -> None:
    stored = resource.to_storage(_sample(resource))
    assert resource.storage is not None
    stored.pop("apiVersion"), stored.pop("kind")
    assert SCHEMAS.compile(resource.storage.schema).decode(stored) == []


@pytest.mark.parametrize("resource", LEGACY, ids=IDS)
def test_defaulting_twice_is_defaulting_once(resource: Resource) -> None:
    schema = SCHEMAS.compile(resource.schema)

    @_SETTINGS
    @given(fitting(schema.shape))
    def check(obj: dict[str, Any]) -> None:
        schema.decode(obj)
        resource.defaults(obj)
        once = deep_copy(obj)
        resource.defaults(obj)
        assert obj == once

    check()


@pytest.mark.parametrize("resource", LEGACY, ids=IDS)
def test_what_is_stored_shows_in_the_old_version_and_settles_there(resource: Resource) -> None:
    schema, old_schema = (
        SCHEMAS.compile((resource.storage or resource).schema),
        SCHEMAS.compile(resource.schema),
    )

    @_SETTINGS
    @given(fitting(schema.shape))
    def check(obj: dict[str, Any]) -> None:
        schema.decode(obj)
        obj.setdefault("metadata", {})
        if resource.kind == "HorizontalPodAutoscaler":
            _one_source_each(obj)
        schema.complete(obj)
        before = deep_copy(obj)
        old = resource.from_storage(obj)
        assert obj == before, "a conversion has changed what it was given"
        shown = _completed(resource, old)
        assert old_schema.decode(shown) == []
        # What says nothing valid in the stored version may be lost on the way, but only once.
        again = resource.from_storage(resource.to_storage(old))
        assert _completed(resource, again) == _completed(resource, old)

    check()
