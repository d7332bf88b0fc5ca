"""The questions about identity: TokenReview (whose token is this?) and SelfSubjectReview (who am I?)."""

from __future__ import annotations

from podium.apiserver.authn.bearer import BearerAuthenticator, Refused
from podium.apiserver.chain import Answers, Question, User
from podium.base.clock import Clock, WallClock, rfc3339
from podium.machinery.errors import BadRequest, Object, Unauthorized
from podium.resources.authentication.selfsubjectreviews import SELFSUBJECTREVIEWS
from podium.resources.authentication.tokenreviews import TOKENREVIEWS


def answers(bearer: BearerAuthenticator, *, clock: Clock | None = None) -> Answers:
    """Return how the questions of authentication.k8s.io are answered."""
    clock = clock or WallClock()

    async def token_review(question: Question) -> Object:
        review = question.object
        spec = review.get("spec") or {}
        token = spec.get("token") or ""
        if not token:
            raise BadRequest("token is required for TokenReview in authentication")
        asked = spec.get("audiences") or bearer.audiences
        try:
            identified = await bearer.identify(token, asked)
        except Unauthorized as error:
            why = "invalid bearer token"
            if isinstance(error, Refused):
                # Upstream's list of what each authenticator had to say.
                why = f"[{why}, {error.why}]"
            review["status"] = {"user": {}, "error": why}
            return review
        review["status"] = {"authenticated": True, "user": user_info(identified.user)}
        if identified.audiences:
            review["status"]["audiences"] = list(identified.audiences)
        return review

    async def self_subject_review(question: Question) -> Object:
        review = question.object
        review["metadata"] = {"creationTimestamp": rfc3339(clock.now())}
        review["status"] = {"userInfo": user_info(question.user)}
        return review

    return {
        TOKENREVIEWS.group_plural: token_review,
        SELFSUBJECTREVIEWS.group_plural: self_subject_review,
    }


def user_info(user: User) -> Object:
    """Return the wire's UserInfo."""
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info
