"""Which names a definition gets."""

from __future__ import annotations

from typing import Any

from podium.apiserver.crd import names

NOW = "2026-01-01T00:00:00Z"


def _definition(plural: str, kind: str, **more: Any) -> dict[str, Any]:
    asked = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List", **more}
    return {"metadata": {}, "spec": {"group": "example.com", "names": asked}}


def _accepted(definition: dict[str, Any]) -> dict[str, Any]:
    return {**definition, "status": names.plan_status(definition, [], NOW)}


def test_free_names_establish_a_definition() -> None:
    status = names.plan_status(_definition("widgets", "Widget"), [], NOW)
    assert [(one["type"], one["status"]) for one in status["conditions"]] == [
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ]
    assert status["acceptedNames"]["plural"] == "widgets"


def test_names_in_use_are_refused() -> None:
    first = _accepted(_definition("widgets", "Widget", shortNames=["w"]))
    status = names.plan_status(_definition("wheels", "Wheel", shortNames=["w"]), [first], NOW)
    assert status["conditions"][0]["reason"] == "ShortNamesConflict"
    assert status["conditions"][0]["message"] == '"w" is already in use'
    assert status["conditions"][1]["status"] == "False"
    assert "shortNames" not in status["acceptedNames"]


def test_the_plan_is_stable() -> None:
    definition = _accepted(_definition("widgets", "Widget"))
    assert names.plan_status(definition, [], "2027-01-01T00:00:00Z") == definition["status"]
