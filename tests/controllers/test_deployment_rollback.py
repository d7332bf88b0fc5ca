"""Rolling a Deployment back, as clients of the oldest API versions ask for it."""

from __future__ import annotations

import pytest

from podium.controllers.deployment_plan import REVISION, ROLLBACK_TO
from podium.controllers.deployment_rollback import plan_rollback, wants_rollback
from podium.machinery.errors import Object


def template(image: str, **labels: str) -> Object:
    return {"metadata": {"labels": {"app": "web", **labels}}, "spec": {"containers": [{"image": image}]}}


def deployment(to: str, image: str = "new") -> Object:
    annotations = {ROLLBACK_TO: to, REVISION: "3", "why": "new"}
    return {"metadata": {"name": "web", "annotations": annotations}, "spec": {"template": template(image)}}


def replica_set(revision: int, image: str) -> Object:
    annotations = {REVISION: str(revision), "why": image}
    spec = {"template": template(image, **{"pod-template-hash": f"h{revision}"})}
    return {"metadata": {"name": f"web-h{revision}", "annotations": annotations}, "spec": spec}


SETS = [replica_set(1, "first"), replica_set(2, "second"), replica_set(3, "new")]


@pytest.mark.parametrize(("to", "image"), [("1", "first"), ("2", "second"), ("0", "second")])
def test_the_template_of_the_revision_comes_back(to: str, image: str) -> None:
    plan = plan_rollback(deployment(to), SETS)
    assert plan.deployment["spec"]["template"] == template(image)
    assert plan.deployment["metadata"]["annotations"] == {REVISION: "3", "why": image}
    assert (plan.event_type, plan.reason) == ("Normal", "DeploymentRollback")


@pytest.mark.parametrize(
    ("to", "sets", "reason"),
    [
        ("7", SETS, "DeploymentRollbackRevisionNotFound"),
        ("0", SETS[2:], "DeploymentRollbackRevisionNotFound"),
        ("3", SETS, "DeploymentRollbackTemplateUnchanged"),
    ],
    ids=["no such revision", "no revision before", "the same template"],
)
def test_a_wish_that_cannot_be_granted_is_forgotten(to: str, sets: list[Object], reason: str) -> None:
    before = deployment(to)
    plan = plan_rollback(before, sets)
    assert plan.deployment["spec"] == before["spec"]
    assert ROLLBACK_TO not in plan.deployment["metadata"]["annotations"]
    assert (plan.event_type, plan.reason) == ("Warning", reason)
    assert ROLLBACK_TO in before["metadata"]["annotations"], "what the informer holds stays as it is"


@pytest.mark.parametrize(("to", "wanted"), [("1", True), ("0", True), ("soon", False), ("", False)])
def test_only_numbers_are_wishes(to: str, wanted: bool) -> None:
    assert wants_rollback(deployment(to)) is wanted
