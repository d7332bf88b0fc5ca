"""The questions about access, and granting what one does not hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.apiserver import authz
from podium.apiserver.bootstrap import node_rules
from podium.apiserver.chain import Attributes, Question, User
from podium.machinery.errors import ApiError, BadRequest, Forbidden, Invalid, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.authorization.localsubjectaccessreviews import LOCALSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectaccessreviews import SELFSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectrulesreviews import SELFSUBJECTRULESREVIEWS
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES
from tests.apiserver.authz.helpers import MASTER, NODE, binding, granting, role, rule
from tests.apiserver.fakes import FakeReader, user


def ask(resource: Resource, spec: Object, who: User, reader: FakeReader, namespace: str = "") -> Object:
    obj: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}, "spec": spec}
    question = Question(resource=resource, namespace=namespace, object=obj, user=who)
    answers = authz.build(reader, node_rules=node_rules()).answers
    answer: Object = asyncio.run(answers[resource.group_plural](question))  # type: ignore[arg-type]
    return answer


PODS = {"verb": "get", "resource": "pods", "namespace": "a"}


def test_subject_access_review() -> None:
    reader = granting(alice=rule("get", "core", "pods"))
    status = ask(SUBJECTACCESSREVIEWS, {"user": "alice", "resourceAttributes": PODS}, MASTER, reader)[
        "status"
    ]
    assert status == {
        "allowed": True,
        "reason": 'RBAC: allowed by ClusterRoleBinding "alice" of ClusterRole "alice" to User "alice"',
    }
    status = ask(SUBJECTACCESSREVIEWS, {"user": "bob", "resourceAttributes": PODS}, MASTER, reader)["status"]
    assert status == {"allowed": False}


def test_self_and_local_reviews() -> None:
    reader = granting(alice=rule("get", "core", "pods"))
    mine = ask(SELFSUBJECTACCESSREVIEWS, {"resourceAttributes": PODS}, user("alice"), reader)
    assert mine["status"]["allowed"] is True
    spec = {"user": "bob", "resourceAttributes": PODS}
    assert ask(LOCALSUBJECTACCESSREVIEWS, spec, MASTER, reader, "a")["status"] == {"allowed": False}


NODE_NAMED = {"key": "spec.nodeName", "operator": "In", "values": ["n1"]}


@pytest.mark.parametrize(
    ("selector", "allowed", "error"),
    [
        ({"rawSelector": "spec.nodeName=n1"}, True, None),
        ({"rawSelector": "spec.nodeName=n2"}, False, None),
        ({"requirements": [NODE_NAMED]}, True, None),
        ({"rawSelector": "nonsense"}, False, "ignored"),
        (
            {"requirements": [NODE_NAMED, {"key": "x", "operator": "Near", "values": ["y"]}]},
            True,
            "partially",
        ),
        ({"requirements": [{**NODE_NAMED, "values": ["n1", "n2"]}]}, False, "ignored"),
        ({"requirements": [{"key": "spec.nodeName", "operator": "Exists"}]}, False, "ignored"),
    ],
    ids=str,
)
def test_reviews_with_selectors(selector: Object, allowed: bool, error: str | None) -> None:
    about = {"verb": "list", "resource": "pods", "version": "v1", "fieldSelector": selector}
    spec = {"user": NODE.name, "groups": list(NODE.groups), "resourceAttributes": about}
    status = ask(SUBJECTACCESSREVIEWS, spec, MASTER, FakeReader())["status"]
    how = {"ignored": "ignored", "partially": "partially ignored"}.get(error or "")
    told = how and f"spec.resourceAttributes.fieldSelector {how} due to parse error"
    assert (status["allowed"], status.get("evaluationError")) == (allowed, told)


BOTH = "cannot be specified in combination with resourceAttributes"
NEITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


@pytest.mark.parametrize(
    ("resource", "spec", "field", "detail"),
    [
        (SUBJECTACCESSREVIEWS, {"user": "x"}, "spec.resourceAttributes", NEITHER),
        (SELFSUBJECTACCESSREVIEWS, {}, "spec.resourceAttributes", NEITHER),
        (
            SUBJECTACCESSREVIEWS,
            {"user": "x", "resourceAttributes": PODS, "nonResourceAttributes": {"path": "/"}},
            "spec.nonResourceAttributes",
            BOTH,
        ),
        (
            SUBJECTACCESSREVIEWS,
            {"user": "", "resourceAttributes": PODS},
            "spec.user",
            "at least one of user or group must be specified",
        ),
        (
            LOCALSUBJECTACCESSREVIEWS,
            {"user": "x", "resourceAttributes": {**PODS, "namespace": "b"}},
            "spec.resourceAttributes.namespace",
            "must match metadata.namespace",
        ),
        (
            LOCALSUBJECTACCESSREVIEWS,
            {"user": "x", "nonResourceAttributes": {"path": "/"}},
            "spec.nonResourceAttributes",
            "disallowed on this kind of request",
        ),
        (
            SELFSUBJECTACCESSREVIEWS,
            {"resourceAttributes": {**PODS, "fieldSelector": {}}},
            "spec.resourceAttributes.fieldSelector.requirements",
            "spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required",
        ),
        (
            SELFSUBJECTACCESSREVIEWS,
            {
                "resourceAttributes": {
                    **PODS,
                    "fieldSelector": {"rawSelector": "a=b", "requirements": [NODE_NAMED]},
                }
            },
            "spec.resourceAttributes.fieldSelector.rawSelector",
            "may not specified at the same time as requirements",
        ),
        (
            SELFSUBJECTACCESSREVIEWS,
            {
                "resourceAttributes": {
                    **PODS,
                    "fieldSelector": {"requirements": [{"key": "", "operator": "Exists"}]},
                }
            },
            "spec.resourceAttributes.fieldSelector.requirements[0].key",
            "must be specified",
        ),
        (
            SELFSUBJECTACCESSREVIEWS,
            {
                "resourceAttributes": {
                    **PODS,
                    "labelSelector": {"requirements": [{"key": "a", "operator": "In"}]},
                }
            },
            "spec.resourceAttributes.labelSelector.requirements[0].values",
            "must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            SELFSUBJECTACCESSREVIEWS,
            {
                "resourceAttributes": {
                    **PODS,
                    "labelSelector": {"requirements": [{"key": "a", "operator": "Exists", "values": ["b"]}]},
                }
            },
            "spec.resourceAttributes.labelSelector.requirements[0].values",
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
    ],
    ids=str,
)
def test_senseless_questions(resource: Resource, spec: Object, field: str, detail: str) -> None:
    with pytest.raises(Invalid) as error:
        ask(resource, spec, MASTER, FakeReader(), "a")
    details: Any = error.value.details
    assert [(c["field"], c["message"].endswith(detail)) for c in details["causes"]] == [(field, True)]


def test_rules_review() -> None:
    reader = granting(alice=rule("get", "core", "pods"))
    reader.put(ROLES, role("r", rule("list", "apps", "deployments", "web"), namespace="a"))
    reader.put(ROLEBINDINGS, binding("r", "Role/r", "User:alice", namespace="a"))
    answer = ask(SELFSUBJECTRULESREVIEWS, {"namespace": "a"}, user("alice"), reader)
    assert answer["status"] == {
        "resourceRules": [
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
            {
                "verbs": ["list"],
                "apiGroups": ["apps"],
                "resources": ["deployments"],
                "resourceNames": ["web"],
            },
        ],
        "nonResourceRules": [],
        "incomplete": False,
    }
    assert ask(SELFSUBJECTRULESREVIEWS, {"namespace": "a"}, NODE, reader)["status"]["incomplete"] is True
    with pytest.raises(BadRequest, match="no namespace on request"):
        ask(SELFSUBJECTRULESREVIEWS, {}, user("alice"), reader)


# --- escalation


def write(
    reader: FakeReader, resource: Resource, obj: Object, who: User, old: Object | None = None
) -> ApiError | None:
    """Return what the escalation check says to a write."""
    attributes = Attributes(
        operation="UPDATE" if old else "CREATE",
        resource=resource,
        namespace=obj["metadata"].get("namespace", ""),
        name=obj["metadata"]["name"],
        object=obj,
        old_object=old,
        user=who,
    )
    [check] = authz.build(reader).admission
    try:
        asyncio.run(check.admit(attributes))
    except ApiError as error:
        return error
    return None


SECRETS = role("new", rule("get list", "core", "secrets"), namespace="a")
ALICE = user("alice", "dev")


def test_a_role_beyond_ones_own() -> None:
    error = write(granting(alice=rule("get", "core", "secrets")), ROLES, SECRETS, ALICE)
    assert error is not None
    assert error.message == (
        'roles.rbac.authorization.k8s.io "new" is forbidden: user "alice" (groups=["dev"]) is attempting to '
        "grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["list"]}'
    )


@pytest.mark.parametrize(
    ("held", "who"),
    [
        (rule("get list", "core", "secrets"), ALICE),
        (rule("*", "*", "*"), ALICE),
        (rule("escalate", "rbac.authorization.k8s.io", "roles"), ALICE),
        (rule("escalate", "rbac.authorization.k8s.io", "roles", "new"), ALICE),
        (rule("x", "x", "x"), MASTER),
    ],
    ids=str,
)
def test_a_role_within_ones_own(held: Object, who: User) -> None:
    assert write(granting(alice=held), ROLES, SECRETS, who) is None


def test_rights_in_another_namespace_do_not_count() -> None:
    reader = FakeReader()
    reader.put(ROLES, role("r", rule("*", "*", "*"), namespace="b"))
    reader.put(ROLEBINDINGS, binding("r", "Role/r", "User:alice", namespace="b"))
    assert write(reader, ROLES, SECRETS, ALICE) is not None
    in_b = role("new", rule("get list", "core", "secrets"), namespace="b")
    assert write(reader, ROLES, in_b, ALICE) is None


def test_the_collector_may_touch_a_role() -> None:
    old = {**SECRETS, "metadata": {**SECRETS["metadata"], "finalizers": ["x"], "resourceVersion": "1"}}
    assert write(FakeReader(), ROLES, SECRETS, ALICE, old) is None
    relabelled = {**SECRETS, "metadata": {**SECRETS["metadata"], "labels": {"a": "b"}}}
    assert write(FakeReader(), ROLES, relabelled, ALICE, SECRETS) is not None


def test_aggregation_needs_everything() -> None:
    aggregated = role("sum", aggregationRule={"clusterRoleSelectors": [{}]})
    error = write(granting(alice=rule("get list", "*", "*")), CLUSTERROLES, aggregated, ALICE)
    assert error is not None
    assert error.message.endswith("must have cluster-admin privileges to use the aggregationRule")


def test_a_binding_beyond_ones_own() -> None:
    reader = granting(alice=rule("get", "core", "pods"))
    reader.put(CLUSTERROLES, role("strong", rule("get", "core", "secrets")))
    bound = binding("b", "ClusterRole/strong", "User:me", namespace="a")
    error = write(reader, ROLEBINDINGS, bound, ALICE)
    assert isinstance(error, Forbidden)
    assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in error.message

    binder = granting(alice=rule("bind", "rbac.authorization.k8s.io", "clusterroles", "strong"))
    binder.put(CLUSTERROLES, role("strong", rule("get", "core", "secrets")))
    assert write(binder, ROLEBINDINGS, bound, ALICE) is None
    assert write(reader, ROLEBINDINGS, binding("b", "ClusterRole/alice", "User:me"), ALICE) is None


def test_a_binding_to_a_role_that_is_not_there() -> None:
    bound = binding("b", "ClusterRole/nosuch", "User:me", namespace="a")
    error = write(FakeReader(), ROLEBINDINGS, bound, ALICE)
    assert isinstance(error, NotFound)
    assert error.message == 'clusterroles.rbac.authorization.k8s.io "nosuch" not found'
