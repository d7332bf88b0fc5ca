"""Decoding and completing whatever comes: laws that hold for any body at all."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.machinery import managed_fields as managed
from podium.machinery.decode import DecodeError
from podium.machinery.errors import ApiError
from podium.machinery.meta import deep_copy
from podium.machinery.patch import apply as server_side
from podium.machinery.patch import strategic
from podium.machinery.schema import Schema, Schemas
from podium.machinery.shape import Shape
from podium.machinery.validation import validate_metadata

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMAS = Schemas.load()
KINDS = {
    "Pod": SCHEMAS.compile("io.k8s.api.core.v1.Pod"),
    "Service": SCHEMAS.compile("io.k8s.api.core.v1.Service"),
    "Event": SCHEMAS.compile("io.k8s.api.core.v1.Event"),
    "Secret": SCHEMAS.compile("io.k8s.api.core.v1.Secret"),
    "Role": SCHEMAS.compile("io.k8s.api.rbac.v1.Role"),
}

_odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "1", "2026-01-01T00:00:00Z", "1Gi", "eA=="]),
    st.just([]),
    st.just({}),
    st.lists(st.none(), max_size=2),
)


def _fitting(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    """Return values that mostly fit the shape, and sometimes do not."""
    match shape.kind:
        case "struct" if depth:
            fields = list(shape.fields.values())
            chosen = st.lists(st.sampled_from(fields), max_size=4) if fields else st.just([])
            return chosen.flatmap(
                lambda some: st.fixed_dictionaries(
                    {field.name: st.one_of(_fitting(field.shape, depth - 1), _odd) for field in some}
                )
            )
        case "list" if depth and shape.element is not None:
            return st.lists(_fitting(shape.element, depth - 1), max_size=2)
        case "map" if depth and shape.element is not None:
            return st.dictionaries(
                st.sampled_from(["a", "b/c"]), _fitting(shape.element, depth - 1), max_size=2
            )
        case "string":
            return st.sampled_from(["", "a", "b"])
        case "bool":
            return st.booleans()
        case "int32" | "int64":
            return st.integers(0, 3)
        case _:
            return _odd


def _bodies(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    return _fitting(schema.shape, 5).filter(lambda value: isinstance(value, dict))


_SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_comes_is_decoded_or_refused(kind: str) -> None:
    schema = KINDS[kind]

    @_SETTINGS
    @given(_bodies(schema), _bodies(schema))
    def check(body: dict[str, Any], other: dict[str, Any]) -> None:
        obj = deep_copy(body)
        try:
            schema.decode(obj)
        except DecodeError:
            return
        once = orjson.dumps(obj)
        assert schema.decode(obj) == []
        assert orjson.dumps(obj) == once, "decoding is idempotent"
        schema.complete(obj)
        completed = orjson.dumps(obj)
        schema.complete(obj)
        assert orjson.dumps(obj) == completed, "completing is idempotent"
        decoded = orjson.loads(completed)
        schema.decode(decoded)
        schema.complete(decoded)
        assert decoded == obj, "what is completed decodes to the same"
        _survives_writes(kind, schema, obj, other)

    check()


def _survives_writes(kind: str, schema: Schema, obj: dict[str, Any], other: dict[str, Any]) -> None:
    """See that nothing but an ApiError comes out of what a server does next."""
    validate_metadata(obj["metadata"], namespaced=True, name_errors=lambda name: [])
    new = deep_copy(obj)
    managed.update(new, None, manager="me", api_version="v1", now=NOW, schema=schema)
    schema.seal(new)
    config = {**other, "apiVersion": "v1", "kind": kind}
    before = orjson.dumps(new)
    with contextlib.suppress(ApiError):
        strategic.apply(new, other, schema)
    with contextlib.suppress(ApiError):
        server_side.apply(
            new, config, manager="you", force=True, api_version="v1", kind=kind, now=NOW, schema=schema
        )
    assert orjson.dumps(new) == before, "nothing that is read is changed"
