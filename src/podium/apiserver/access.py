"""Who may do what, put together: authentication, impersonation, authorization, admission of one server."""

from __future__ import annotations

from collections.abc import Sequence

from podium.apiserver import admission, authn, authz
from podium.apiserver.authn.impersonation import HeaderImpersonator
from podium.apiserver.bootstrap import node_rules
from podium.apiserver.chain import Access, AccessFactory, Reader
from podium.base.clock import Clock
from podium.base.metrics import Registry


def access_factory(
    options: authn.Options,
    *,
    modes: Sequence[str] = ("Node", "RBAC"),
    anonymous: bool = True,
    plugins: admission.Choice | None = None,
    clock: Clock | None = None,
) -> AccessFactory:
    """Return what composes the access rooms once the server's reader is there."""

    def build(reader: Reader, registry: Registry | None = None) -> Access:
        authentication = authn.build(reader, options, clock=clock, registry=registry)
        authorization = authz.build(reader, modes=modes, node_rules=node_rules())
        return Access(
            authenticator=authentication.authenticator,
            authorizer=authorization.authorizer,
            recognise=authentication.recognise,
            permits=authorization.permits,
            impersonator=HeaderImpersonator(authorization.authorizer),
            # The escalation checks judge what the plugins have made of an object.
            admission=(
                *admission.build(reader, authorization.authorizer, clock=clock, choice=plugins),
                *authorization.admission,
            ),
            answers={**authentication.answers, **authorization.answers},
            token_issuer=authentication.token_issuer,
            # Where everything is allowed, at least somebody must have asked for it.
            anonymous=anonymous and "AlwaysAllow" not in modes,
            background=authentication.background,
        )

    return build
