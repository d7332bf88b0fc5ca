"""The questions about access: may they (SubjectAccessReview and kin), what may I (SelfSubjectRulesReview)?"""

from __future__ import annotations

from podium.apiserver.authz.messages import aggregate
from podium.apiserver.authz.review_checks import (
    attribute_errors,
    local_errors,
    metadata_errors,
    subject_errors,
)
from podium.apiserver.authz.selectors import of_review
from podium.apiserver.authz.union import Chain
from podium.apiserver.chain import Answers, HeldRules, Question, RequestInfo, User
from podium.machinery.errors import BadRequest, FieldError, Invalid, Object
from podium.resources.authorization.localsubjectaccessreviews import LOCALSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectaccessreviews import SELFSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectrulesreviews import SELFSUBJECTRULESREVIEWS
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS


def answers(chain: Chain) -> Answers:
    """Return how the questions of authorization.k8s.io are answered."""

    async def subject(question: Question) -> Object:
        spec = question.object.get("spec") or {}
        _refuse(question, [*attribute_errors(spec), *subject_errors(spec), *metadata_errors(question)])
        return await _answer(chain, question.object, _subject(spec))

    async def local(question: Question) -> Object:
        spec = question.object.get("spec") or {}
        _refuse(
            question,
            [
                *attribute_errors(spec),
                *subject_errors(spec),
                *metadata_errors(question, allowed=("namespace",)),
                *local_errors(question, spec),
            ],
        )
        return await _answer(chain, question.object, _subject(spec))

    async def self_subject(question: Question) -> Object:
        spec = question.object.get("spec") or {}
        _refuse(question, [*attribute_errors(spec), *metadata_errors(question)])
        return await _answer(chain, question.object, question.user)

    async def self_rules(question: Question) -> Object:
        namespace = (question.object.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise BadRequest("no namespace on request")
        return {
            "kind": question.resource.kind,
            "apiVersion": question.resource.api_version,
            "metadata": {},
            "spec": {},
            "status": _rules_status(chain.rules_for(question.user, namespace)),
        }

    return {
        SUBJECTACCESSREVIEWS.group_plural: subject,
        LOCALSUBJECTACCESSREVIEWS.group_plural: local,
        SELFSUBJECTACCESSREVIEWS.group_plural: self_subject,
        SELFSUBJECTRULESREVIEWS.group_plural: self_rules,
    }


def _rules_status(held: HeldRules) -> Object:
    """Return a SubjectRulesReviewStatus."""
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
        "incomplete": held.incomplete,
    }
    if held.errors:
        status["evaluationError"] = aggregate(held.errors)
    return status


async def _answer(chain: Chain, review: Object, user: User) -> Object:
    info, ignored = _request_info(review["spec"])
    decision = await chain.authorize(user, info)
    status: Object = {"allowed": decision.allowed}
    if decision.denied:
        status["denied"] = True
    if decision.reason:
        status["reason"] = decision.reason
    errors = [decision.error, *ignored] if decision.error else ignored
    if errors:
        status["evaluationError"] = "; ".join(errors)
    review["status"] = status
    return review


def _subject(spec: Object) -> User:
    extra = {key.lower(): tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(
        name=spec.get("user") or "",
        uid=spec.get("uid") or "",
        groups=tuple(spec.get("groups") or ()),
        extra=extra,
    )


def _request_info(spec: Object) -> tuple[RequestInfo, list[str]]:
    """Return what a review asks about, and what is to be said of parts that are ignored."""
    wanted = spec.get("resourceAttributes")
    if not wanted:
        wanted = spec.get("nonResourceAttributes") or {}
        return RequestInfo(verb=wanted.get("verb") or "", path=wanted.get("path") or ""), []
    selection, ignored = of_review(wanted)
    info = RequestInfo(
        verb=wanted.get("verb") or "",
        path="",
        is_resource=True,
        api_group=wanted.get("group") or "",
        api_version=wanted.get("version") or "*",
        namespace=wanted.get("namespace") or "",
        resource=wanted.get("resource") or "",
        subresource=wanted.get("subresource") or "",
        name=wanted.get("name") or "",
        selection=selection,
    )
    return info, ignored


def _refuse(question: Question, errors: list[FieldError]) -> None:
    if errors:
        # Upstream names no kind here, and a client may compare the message.
        raise Invalid.of("", question.resource.group, "", errors)
