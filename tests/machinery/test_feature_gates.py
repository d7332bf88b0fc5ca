"""Feature gates: the table, and what the flag may say."""

from __future__ import annotations

import pytest

from podium.machinery.feature_gates import FeatureGates, GateError, table


@pytest.mark.parametrize(
    ("version", "name", "stage", "default", "locked"),
    [
        ("1.36", "GenericWorkload", "alpha", False, False),
        ("1.36", "ImageVolume", "ga", True, True),
        ("1.35", "ImageVolume", "beta", True, False),
        ("1.36", "AllowDNSOnlyNodeCSR", "deprecated", False, False),
    ],
)
def test_a_gate_is_what_it_is_in_its_version(
    version: str, name: str, stage: str, default: bool, locked: bool
) -> None:
    gate = table(version)[name]
    assert (gate.stage, gate.default, gate.locked) == (stage, default, locked)


def test_a_gate_is_unknown_before_its_version() -> None:
    assert "GenericWorkload" not in table("1.34")


def test_dependencies_are_gates() -> None:
    gates = table("1.36")
    assert {name for gate in gates.values() for name in gate.depends_on} <= set(gates)


def test_defaults_keep_their_own_dependencies() -> None:
    FeatureGates.parse(["AllAlpha=false"], "1.36")


@pytest.mark.parametrize(
    ("flags", "name", "enabled"),
    [
        ([], "GenericWorkload", False),
        (["GenericWorkload=true"], "GenericWorkload", True),
        (["kube:GenericWorkload=T"], "GenericWorkload", True),
        ([" GenericWorkload = true ,"], "GenericWorkload", True),
        (["AllAlpha=true"], "GenericWorkload", True),
        (["HPAScaleToZero=false,AllAlpha=true"], "HPAScaleToZero", False),
        (["HPAScaleToZero=true", "HPAScaleToZero=false"], "HPAScaleToZero", False),
        (["AllBeta=true"], "StorageVersionMigrator", True),
        (["AllBeta=true"], "HPAScaleToZero", False),
    ],
)
def test_what_is_on(flags: list[str], name: str, enabled: bool) -> None:
    assert FeatureGates.parse(flags, "1.36").enabled(name) is enabled


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("Nosuch=true", "unrecognized feature gate: Nosuch"),
        ("HPAScaleToZero", "missing bool value for HPAScaleToZero"),
        (
            "HPAScaleToZero=yes",
            'invalid value of HPAScaleToZero=yes, err: strconv.ParseBool: parsing "yes": invalid syntax',
        ),
        (
            "ImageVolume=false",
            "cannot set feature gate ImageVolume to false, feature is locked to true",
        ),
        (
            "GangScheduling=true",
            "GangScheduling is enabled, but depends on features that are disabled: [GenericWorkload]",
        ),
        (
            "Nosuch=true,ImageVolume=false",
            "[unrecognized feature gate: Nosuch, "
            "cannot set feature gate ImageVolume to false, feature is locked to true]",
        ),
    ],
)
def test_what_cannot_be_set(flag: str, message: str) -> None:
    with pytest.raises(GateError) as raised:
        FeatureGates.parse([flag], "1.36")
    assert str(raised.value) == message
