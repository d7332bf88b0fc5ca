"""The questions about access: may they (SubjectAccessReview and kin), what may I (SelfSubjectRulesReview)?"""

from __future__ import annotations

from podium.apiserver.authn.names import NODES
from podium.apiserver.authz.rbac import HeldRules, RbacAuthorizer
from podium.apiserver.chain import Answers, Authorizer, Question, RequestInfo, User
from podium.machinery.errors import BadRequest, FieldError, Invalid, Object
from podium.resources.authorization.localsubjectaccessreviews import LOCALSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectaccessreviews import SELFSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectrulesreviews import SELFSUBJECTRULESREVIEWS
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS


def answers(authorizer: Authorizer, rbac: RbacAuthorizer | None) -> Answers:
    """Return how the questions of authorization.k8s.io are answered."""

    async def subject(question: Question) -> Object:
        spec = question.object.get("spec") or {}
        _refuse(question, [*_subject_errors(spec), *_attribute_errors(spec), *_metadata_errors(question)])
        return await _answer(authorizer, question.object, _subject(spec))

    async def local(question: Question) -> Object:
        spec = question.object.get("spec") or {}
        _refuse(
            question,
            [
                *_subject_errors(spec),
                *_attribute_errors(spec),
                *_metadata_errors(question, allowed=("namespace",)),
                *_local_errors(question, spec),
            ],
        )
        return await _answer(authorizer, question.object, _subject(spec))

    async def self_subject(question: Question) -> Object:
        spec = question.object.get("spec") or {}
        _refuse(question, [*_attribute_errors(spec), *_metadata_errors(question)])
        return await _answer(authorizer, question.object, question.user)

    async def self_rules(question: Question) -> Object:
        namespace = (question.object.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise BadRequest("no namespace on request")
        held = rbac.held(question.user, namespace) if rbac is not None else HeldRules(rules=())
        is_node = NODES in question.user.groups
        return {
            "kind": question.resource.kind,
            "apiVersion": question.resource.api_version,
            "metadata": {},
            "spec": {},
            "status": rules_status(held, incomplete=is_node or rbac is None),
        }

    return {
        SUBJECTACCESSREVIEWS.group_plural: subject,
        LOCALSUBJECTACCESSREVIEWS.group_plural: local,
        SELFSUBJECTACCESSREVIEWS.group_plural: self_subject,
        SELFSUBJECTRULESREVIEWS.group_plural: self_rules,
    }


def rules_status(held: HeldRules, *, incomplete: bool) -> Object:
    """Return a SubjectRulesReviewStatus; nodes' rights cannot be listed, so a node's are incomplete."""
    status: Object = {
        "resourceRules": [
            {k: rule[k] for k in ("verbs", "apiGroups", "resources", "resourceNames") if rule.get(k)}
            for rule in held.rules
            if rule.get("resources")
        ],
        "nonResourceRules": [
            {k: rule[k] for k in ("verbs", "nonResourceURLs") if rule.get(k)}
            for rule in held.rules
            if rule.get("nonResourceURLs")
        ],
        "incomplete": incomplete,
    }
    errors = list(held.errors)
    if incomplete:
        errors.append("node authorizer does not support user rule resolution")
    if errors:
        status["evaluationError"] = ", ".join(errors)
    return status


async def _answer(authorizer: Authorizer, review: Object, user: User) -> Object:
    decision = await authorizer.authorize(user, _request_info(review["spec"]))
    review["status"] = {"allowed": decision.allowed}
    if decision.reason:
        review["status"]["reason"] = decision.reason
    return review


def _subject(spec: Object) -> User:
    extra = {key.lower(): tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(
        name=spec.get("user") or "",
        uid=spec.get("uid") or "",
        groups=tuple(spec.get("groups") or ()),
        extra=extra,
    )


def _request_info(spec: Object) -> RequestInfo:
    wanted = spec.get("resourceAttributes")
    if not wanted:
        wanted = spec.get("nonResourceAttributes") or {}
        return RequestInfo(verb=wanted.get("verb") or "", path=wanted.get("path") or "")
    return RequestInfo(
        verb=wanted.get("verb") or "",
        path="",
        is_resource=True,
        api_group=wanted.get("group") or "",
        api_version=wanted.get("version") or "",
        namespace=wanted.get("namespace") or "",
        resource=wanted.get("resource") or "",
        subresource=wanted.get("subresource") or "",
        name=wanted.get("name") or "",
        field_selector=_field_selector(wanted),
    )


def _field_selector(wanted: Object) -> str:
    selector = wanted.get("fieldSelector") or {}
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    equal = (r for r in selector.get("requirements") or () if r.get("operator") == "In")
    return ",".join(f"{r['key']}={r['values'][0]}" for r in equal if len(r.get("values") or ()) == 1)


# --- what is wrong with a question


def _attribute_errors(spec: Object) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        return [FieldError.invalid("spec.nonResourceAttributes", path, detail)]
    if resource is None and path is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [FieldError.invalid("spec.resourceAttributes", None, detail)]
    return []


def _subject_errors(spec: Object) -> list[FieldError]:
    if spec.get("user") or spec.get("groups"):
        return []
    detail = "at least one of user or group must be specified"
    return [FieldError.invalid("spec.user", spec.get("user") or "", detail)]


def _metadata_errors(question: Question, *, allowed: tuple[str, ...] = ()) -> list[FieldError]:
    metadata = question.object.get("metadata") or {}
    # What the server itself fills in on the way here says nothing about the asker.
    ignored = ("managedFields", "creationTimestamp", *allowed)
    if any(value for key, value in metadata.items() if key not in ignored):
        detail = "must be empty except for namespace" if allowed else "must be empty"
        return [FieldError.invalid("metadata", metadata, detail)]
    return []


def _local_errors(question: Question, spec: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    attributes = spec.get("resourceAttributes")
    if attributes is not None and (attributes.get("namespace") or "") != question.namespace:
        detail = "must match metadata.namespace"
        value = attributes.get("namespace") or ""
        errors.append(FieldError.invalid("spec.resourceAttributes.namespace", value, detail))
    if spec.get("nonResourceAttributes") is not None:
        detail = "disallowed on this kind of request"
        value = spec["nonResourceAttributes"]
        errors.append(FieldError.invalid("spec.nonResourceAttributes", value, detail))
    return errors


def _refuse(question: Question, errors: list[FieldError]) -> None:
    if errors:
        # Upstream names no kind here, and a client may compare the message.
        raise Invalid.of("", question.resource.group, "", errors)
