"""Selectors of devices: expressions over `device`, with upstream's refusals."""

from __future__ import annotations

import pytest

from podium.resources.resource.selectors import selector_errors

COMPILES = "compilation failed: ERROR: <input>:1:"
LOOPS = (
    "device.attributes.exists(x, device.attributes[x].exists(y, "
    "device.attributes.exists(z, device.attributes[z].exists(w, 'abc'.contains(w)))))"
)


@pytest.mark.parametrize(
    "expression",
    [
        "device.driver == 'gpu.example.com'",
        "device.attributes['gpu.example.com'].model == 'x'",
        "device.capacity['gpu.example.com'].memory.isGreaterThan(quantity('1Gi'))",
        "cel.bind(dra, device.attributes['d'], dra.a == 1 && dra.b)",
        "device.attributes['d'].healthy",
        "device.attributes['d'].services.matches('[a-z]*')",
        "device.attributes['d'].version.isLessThan(semver('1.2.3'))",
        "device.allowMultipleAllocations",
    ],
)
def test_selects(expression: str) -> None:
    assert selector_errors(expression, "p") == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "device.driver",
            'Invalid value: "device.driver": must evaluate to bool or the unknown type, not string',
        ),
        ("device.nosuch", f"Invalid value: \"device.nosuch\": {COMPILES}7: undefined field 'nosuch'"),
        (
            "cel.bind(1, 2, 3)",
            f'Invalid value: "cel.bind(1, 2, 3)": {COMPILES}10: cel.bind() variable names must be simple '
            "identifiers",
        ),
        (LOOPS, "Forbidden: too complex, exceeds cost limit"),
    ],
)
def test_refuses(expression: str, message: str) -> None:
    (error,) = selector_errors(expression, "p")
    assert error.message.startswith(message)
