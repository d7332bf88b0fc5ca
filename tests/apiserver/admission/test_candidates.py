"""Who is asked about a write at all, found by operation and resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from podium.apiserver.admission.candidates import Candidates
from podium.apiserver.admission.matching import Matcher
from podium.apiserver.chain import Attributes, Host
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.pods import PODS
from tests.apiserver.admission.helpers import attributes_for, pod

Named = tuple[str, Matcher | None]


class FakeHost:
    """Says which resources show the same objects."""

    def __init__(self, *same: Resource) -> None:
        self.same: Sequence[Resource] = same

    def equivalents(self, resource: Resource, subresource: str) -> Sequence[Resource]:
        return self.same


def rule(*resources: str, operations: Sequence[str] = ("*",), **more: Any) -> Object:
    wanted = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": operations, "resources": resources}
    return {**wanted, **more}


def wanting(name: str, *rules: Object, **options: Any) -> Named:
    return name, Matcher(rules, **options)


def names(candidates: Candidates[Named], attributes: Attributes) -> list[str]:
    return [name for name, _ in candidates.of(attributes)]


EVERYONE: list[Named] = [
    wanting("pods", rule("pods")),
    wanting("status", rule("pods/status")),
    wanting("all", rule("*/*")),
    wanting("creates", rule("pods", operations=["CREATE"])),
    wanting("others", rule("configmaps", operations=["UPDATE"]), rule("secrets")),
    wanting("elsewhere", rule("pods", scope="Cluster")),
    ("any", Matcher(None)),
    ("misconfigured", None),
]


def test_by_operation_and_resource() -> None:
    candidates = Candidates(EVERYONE, lambda one: one[1])
    always = ["any", "misconfigured"]
    created, updated = attributes_for(PODS, pod()), attributes_for(PODS, pod(), old=pod())
    status = attributes_for(PODS, pod(), old=pod(), subresource="status")
    for _ in range(2):
        assert names(candidates, created) == ["pods", "all", "creates", "elsewhere", *always]
        assert names(candidates, updated) == ["pods", "all", "elsewhere", *always]
        assert names(candidates, status) == ["status", "all", *always]
        assert names(candidates, attributes_for(CONFIGMAPS, pod())) == ["all", *always]


def test_what_is_seen_as_something_else() -> None:
    candidates = Candidates(
        [wanting("equivalent", rule("configmaps")), wanting("exact", rule("configmaps"), equivalent=False)],
        lambda one: one[1],
    )
    attributes = attributes_for(PODS, pod())
    host = FakeHost(PODS)
    attributes.host = cast(Host, host)
    assert names(candidates, attributes) == []
    host.same = (PODS, CONFIGMAPS)
    assert names(candidates, attributes) == ["equivalent"], "a resource has come"
    host.same = (PODS,)
    assert names(candidates, attributes) == [], "and gone"


def test_who_cannot_want_a_write_costs_nothing() -> None:
    class Watched(Matcher):
        asked = 0

        @property
        def equivalent(self) -> bool:
            Watched.asked += 1
            return False

        @equivalent.setter
        def equivalent(self, _value: bool) -> None: ...

    everyone: list[Named] = [(str(number), Watched([rule("secrets")])) for number in range(200)]
    candidates = Candidates(everyone, lambda one: one[1])
    for _ in range(10):
        assert candidates.of(attributes_for(PODS, pod())) == []
    assert Watched.asked == len(everyone), "each was looked at once, whatever number of writes there are"
