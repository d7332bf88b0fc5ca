"""Who may do what, put together: authentication, impersonation, authorization, admission of one server."""

from __future__ import annotations

from podium.apiserver import admission, authn, authz
from podium.apiserver.authn.impersonation import HeaderImpersonator
from podium.apiserver.authn.impersonation_metrics import ImpersonationMetrics
from podium.apiserver.bootstrap import node_rules
from podium.apiserver.chain import Access, AccessFactory, Reader
from podium.base.clock import Clock
from podium.base.metrics import Registry
from podium.machinery.feature_gates import FeatureGates, table


def access_factory(
    options: authn.Options,
    *,
    authorization: authz.Options | None = None,
    anonymous: bool = True,
    plugins: admission.Choice | None = None,
    clock: Clock | None = None,
    gates: FeatureGates | None = None,
) -> AccessFactory:
    """Return what composes the access rooms once the server's reader is there."""

    def enabled(gate: str) -> bool:
        return gates is not None and gate in table(gates.version) and gates.enabled(gate)

    def build(reader: Reader, registry: Registry | None = None) -> Access:
        authentication = authn.build(reader, options, clock=clock, registry=registry)
        authorizing = authz.build(
            reader, authorization, node_rules=node_rules(), clock=clock, registry=registry
        )
        always = any(one.type == "AlwaysAllow" for one in (authorization or authz.Options()).chain)
        return Access(
            authenticator=authentication.authenticator,
            authorizer=authorizing.authorizer,
            recognise=authentication.recognise,
            permits=authorizing.permits,
            impersonator=HeaderImpersonator(
                authorizing.authorizer, ImpersonationMetrics(registry or Registry())
            ),
            # The escalation checks judge what the plugins have made of an object.
            admission=(
                *admission.build(
                    reader, authorizing.authorizer, clock=clock, choice=plugins, enabled=enabled
                ),
                *authorizing.admission,
            ),
            answers={**authentication.answers, **authorizing.answers},
            token_issuer=authentication.token_issuer,
            # Where everything is allowed, at least somebody must have asked for it.
            anonymous=anonymous and not always,
            anonymous_paths=options.anonymous_paths,
            writing=authentication.writing,
            background=(*authentication.background, *authorizing.background),
        )

    return build
