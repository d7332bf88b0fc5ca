"""Objects of any kind that fit their schema, for laws about them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from podium.machinery.shape import Shape

_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.sampled_from(["a", "b"]),
    "bool": st.booleans(),
    "int32": st.integers(0, 3),
    "int64": st.integers(0, 3),
    "number": st.integers(0, 3),
    "bytes": st.just("eA=="),
    "time": st.just("2026-01-01T00:00:00Z"),
    "micro-time": st.just("2026-01-01T00:00:00.000000Z"),
    "quantity": st.sampled_from(["1", "500m"]),
    "int-or-string": st.sampled_from([1, 80, "http"]),
    "any": st.just({"a": 1}),
}


def fitting(shape: Shape, depth: int = 6) -> st.SearchStrategy[Any]:
    """Return values of a shape; deep ones are empty."""
    if shape.kind in _SCALARS:
        return _SCALARS[shape.kind]
    if depth == 0:
        return st.just([]) if shape.kind == "list" else st.just({})
    if shape.kind == "struct":
        fields = [field for field in shape.fields.values() if field.name not in ("managedFields",)]
        if not fields:
            return st.just({})
        chosen = st.lists(st.sampled_from(fields), max_size=5, unique_by=lambda field: field.name)
        return chosen.flatmap(
            lambda some: st.fixed_dictionaries(
                {field.name: fitting(field.shape, depth - 1) for field in some}
            )
        )
    assert shape.element is not None
    if shape.kind == "list":
        return st.lists(fitting(shape.element, depth - 1), max_size=2)
    return st.dictionaries(st.sampled_from(["a", "b/c"]), fitting(shape.element, depth - 1), max_size=2)
