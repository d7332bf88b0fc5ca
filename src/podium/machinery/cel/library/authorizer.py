"""`authorizer.group("apps").resource("deployments").namespace("x").check("delete").allowed()`.

Expressions only describe what they ask about; the answer comes from the function that the caller put into the
Authorizer, which runs when `check` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from podium.machinery.cel.declarations import declare
from podium.machinery.cel.errors import CelRuntimeError
from podium.machinery.validation import is_dns1123_label, is_dns1123_subdomain


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer. `error` is the text of what went wrong, if something did."""

    allowed: bool
    reason: str = ""
    error: str = ""
    cel_type: ClassVar[str] = "kubernetes.authorization.Decision"


Check = Callable[[Mapping[str, str]], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """`check` gets what is asked about: `verb` and `path`, or `verb`, `group`, `resource`, `subresource`,
    `namespace`, `name`, `fieldSelector`, `labelSelector`; and `serviceAccount` (`namespace:name`) when the
    question is about another user than the one of the request.
    """

    check: Check
    account: str = ""
    cel_type: ClassVar[str] = "kubernetes.authorization.Authorizer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question on its way: about a path, a group or a resource."""

    authorizer: Authorizer
    cel_type: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def resource_check(authorizer: Authorizer, attributes: Mapping[str, str]) -> Question:
    """Return what the variable `authorizer.requestResource` is bound to."""
    return Question(
        authorizer=authorizer, cel_type="kubernetes.authorization.ResourceCheck", attributes=attributes
    )


def _path(authorizer: Authorizer, path: str) -> Question:
    if not path:
        raise CelRuntimeError("path must not be empty")
    return Question(
        authorizer=authorizer, cel_type="kubernetes.authorization.PathCheck", attributes={"path": path}
    )


def _group(authorizer: Authorizer, group: str) -> Question:
    return Question(
        authorizer=authorizer, cel_type="kubernetes.authorization.GroupCheck", attributes={"group": group}
    )


def _service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    if not is_dns1123_subdomain(name):
        raise CelRuntimeError("Invalid service account name")
    if not is_dns1123_label(namespace):
        raise CelRuntimeError("Invalid service account namespace")
    return replace(authorizer, account=f"{namespace}:{name}")


def _resource(group: Question, resource: str) -> Question:
    if not resource:
        raise CelRuntimeError("resource must not be empty")
    return resource_check(group.authorizer, {**group.attributes, "resource": resource})


def _with(name: str) -> Callable[[Question, str], Question]:
    def with_attribute(question: Question, value: str) -> Question:
        return replace(question, attributes={**question.attributes, name: value})

    return with_attribute


def _check(question: Question, verb: str) -> Decision:
    asked: dict[str, Any] = {**question.attributes, "verb": verb}
    if question.authorizer.account:
        asked["serviceAccount"] = question.authorizer.account
    return question.authorizer.check(asked)


OVERLOADS = declare(
    [
        ("authorizer_path", ".path", "Authorizer, string", "PathCheck", _path),
        ("authorizer_group", ".group", "Authorizer, string", "GroupCheck", _group),
        (
            "authorizer_serviceaccount",
            ".serviceAccount",
            "Authorizer, string, string",
            "Authorizer",
            _service_account,
        ),
        ("groupcheck_resource", ".resource", "GroupCheck, string", "ResourceCheck", _resource),
        (
            "resourcecheck_subresource",
            ".subresource",
            "ResourceCheck, string",
            "ResourceCheck",
            _with("subresource"),
        ),
        (
            "resourcecheck_namespace",
            ".namespace",
            "ResourceCheck, string",
            "ResourceCheck",
            _with("namespace"),
        ),
        ("resourcecheck_name", ".name", "ResourceCheck, string", "ResourceCheck", _with("name")),
        ("pathcheck_check", ".check", "PathCheck, string", "Decision", _check),
        ("resourcecheck_check", ".check", "ResourceCheck, string", "Decision", _check),
        ("decision_errored", ".errored", "Decision", "bool", lambda decision: bool(decision.error)),
        ("decision_error", ".error", "Decision", "string", lambda decision: decision.error),
        ("decision_allowed", ".allowed", "Decision", "bool", lambda decision: decision.allowed),
        ("decision_reason", ".reason", "Decision", "string", lambda decision: decision.reason),
    ],
    since=27,
) + declare(
    [
        (
            "authorizer_fieldselector",
            ".fieldSelector",
            "ResourceCheck, string",
            "ResourceCheck",
            _with("fieldSelector"),
        ),
        (
            "authorizer_labelselector",
            ".labelSelector",
            "ResourceCheck, string",
            "ResourceCheck",
            _with("labelSelector"),
        ),
    ],
    since=31,
)
