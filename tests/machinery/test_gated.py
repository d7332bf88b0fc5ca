"""Fields behind feature gates."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from podium.machinery.feature_gates import FeatureGates
from podium.machinery.gated import Gated, compiled

OFF = FeatureGates.parse(["HPAScaleToZero=false"], "1.36")
ON = FeatureGates.parse(["HPAScaleToZero=true"], "1.36")


def gated(*paths: str, emptied: tuple[str, ...] = ()) -> Gated:
    return Gated(gate="HPAScaleToZero", paths=paths, emptied=emptied)


def dropped(fields: Gated, new: Any, old: Any = None) -> Any:
    drop = compiled([fields], OFF).main
    assert drop is not None
    obj = copy.deepcopy(new)
    drop(obj, old)
    return obj


@pytest.mark.parametrize(
    ("fields", "new", "old", "left"),
    [
        (gated("spec.a"), {"spec": {"a": 1, "b": 2}}, None, {"spec": {"b": 2}}),
        (gated("spec.a"), {"spec": {"a": 1}}, {"spec": {}}, {"spec": {}}),
        (gated("spec.a"), {"spec": {"a": 1}}, {"spec": {"a": 2}}, {"spec": {"a": 1}}),
        (gated("spec.l[].a"), {"spec": {"l": [{"a": 1}, {"b": 2}]}}, None, {"spec": {"l": [{}, {"b": 2}]}}),
        (gated("spec.m{}.a"), {"spec": {"m": {"x": {"a": 1}}}}, None, {"spec": {"m": {"x": {}}}}),
        (gated("spec.a", "spec.b"), {"spec": {"a": 1, "b": 2}}, None, {"spec": {}}),
        (gated("spec.a", "spec.b"), {"spec": {"a": 1}}, {"spec": {"b": 2}}, {"spec": {"a": 1}}),
        (gated("spec.x.a", emptied=("spec.x",)), {"spec": {"x": {"a": 1}}}, None, {"spec": {}}),
        (gated("spec.x.a", emptied=("spec.x",)), {"spec": {"x": {}}}, None, {"spec": {"x": {}}}),
        (gated("spec.l[].a"), {"spec": {"l": "odd"}}, None, {"spec": {"l": "odd"}}),
    ],
)
def test_drops_what_needs_a_gate_that_is_off(fields: Gated, new: Any, old: Any, left: Any) -> None:
    assert dropped(fields, new, old) == left


def test_drops_nothing_while_the_gate_is_on() -> None:
    assert compiled([gated("spec.a")], ON).main is None


def test_fields_of_the_status_are_dropped_from_writes_of_the_status() -> None:
    drops = compiled([gated("status.a")], OFF)
    assert drops.main is None
    assert drops.status is not None
    obj = {"status": {"a": 1}}
    drops.status(obj, {})
    assert obj == {"status": {}}
