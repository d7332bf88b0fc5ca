"""Who may do what: one file per mode, composed by `build`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from podium.apiserver.authz import reviews
from podium.apiserver.authz.configuration import AuthorizerConfig, of_modes
from podium.apiserver.authz.escalation import EscalationCheck
from podium.apiserver.authz.metrics import AuthorizationMetrics
from podium.apiserver.authz.node import NodeAuthorizer
from podium.apiserver.authz.rbac import RbacAuthorizer
from podium.apiserver.authz.union import AlwaysAllow, AlwaysDeny, Chain, Link, Mode
from podium.apiserver.chain import AdmissionPlugin, Answers, Authorizer, Reader, RequestInfo, User
from podium.base.clock import Clock, WallClock
from podium.base.metrics import Registry
from podium.machinery.errors import Object

if TYPE_CHECKING:
    from podium.apiserver.authz.abac import Policy
    from podium.apiserver.authz.webhook import WebhookAuthorizer


class Misconfigured(ValueError):
    """The authorizers that are asked for cannot be made. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says of authorization."""

    chain: Sequence[AuthorizerConfig] = of_modes(("Node", "RBAC"))
    policies: Sequence[Policy] = ()
    """Of mode ABAC."""
    file: str = ""
    """Where the chain stands, when it is in a file: it is read again when it changes."""
    file_content: bytes = b""
    """What the chain was read from."""
    version: str = "1.36"
    """The Kubernetes version whose match conditions may be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What this room contributes to the chain."""

    authorizer: Authorizer
    permits: Callable[[User, RequestInfo], bool]
    answers: Answers = field(default_factory=dict)
    admission: tuple[AdmissionPlugin, ...] = ()
    """The escalation checks; they go behind the admission plugins that change objects."""
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()


class Authorizers:
    """Makes the authorizers of chains. What follows the cluster is made once, and serves each chain."""

    def __init__(
        self,
        reader: Reader,
        options: Options,
        *,
        node_rules: Iterable[Object],
        metrics: AuthorizationMetrics,
        clock: Clock,
    ) -> None:
        self.rbac = RbacAuthorizer(reader)
        self.metrics = metrics
        self._clock = clock
        self._kept: dict[str, Mode] = {}
        """By type: those that later chains can have only if the first one had them."""
        types = {one.type for one in options.chain}
        if "RBAC" in types:
            self._kept["RBAC"] = self.rbac
        if "Node" in types:
            self._kept["Node"] = NodeAuthorizer(reader, node_rules)
        if "ABAC" in types:
            from podium.apiserver.authz.abac import AbacAuthorizer  # noqa: PLC0415

            self._kept["ABAC"] = AbacAuthorizer(options.policies)
        self.webhooks: list[WebhookAuthorizer] = []
        """Of the chain made last."""

    def links(self, chain: Sequence[AuthorizerConfig]) -> list[Link]:
        """Return the authorizers of a chain. Raises `Misconfigured`."""
        webhooks: list[WebhookAuthorizer] = []
        made = [Link(type=one.type, name=one.name, mode=self._mode(one, webhooks)) for one in chain]
        self.webhooks = webhooks
        return made

    def _mode(self, config: AuthorizerConfig, webhooks: list[WebhookAuthorizer]) -> Mode:
        match config.type:
            case "AlwaysAllow":
                return AlwaysAllow()
            case "AlwaysDeny":
                return AlwaysDeny()
            case "Webhook":
                webhook = self._webhook(config)
                webhooks.append(webhook)
                return webhook
            case type_ if type_ in self._kept:
                return self._kept[type_]
            case type_:
                why = "is not allowed if it was not enabled at initial server startup"
                raise Misconfigured(f"authorizer type {type_} {why}")

    def _webhook(self, config: AuthorizerConfig) -> WebhookAuthorizer:
        from podium.apiserver.authz.webhook import WebhookAuthorizer  # noqa: PLC0415 - many clusters have none
        from podium.client import kubeconfig  # noqa: PLC0415

        assert config.webhook is not None
        if not config.webhook.kubeconfig:
            # It would ask this very server, which would ask the webhook.
            raise Misconfigured("connectionInfo type InClusterConfig is not allowed for kube-apiserver")
        try:
            connection = kubeconfig.load(config.webhook.kubeconfig)
            connection.ssl_context()
        except kubeconfig.KubeconfigError as error:
            raise Misconfigured(str(error)) from None
        return WebhookAuthorizer(
            config.name, config.webhook, connection, metrics=self.metrics, clock=self._clock
        )


def build(
    reader: Reader,
    options: Options | None = None,
    *,
    node_rules: Iterable[Object] = (),
    clock: Clock | None = None,
    registry: Registry | None = None,
) -> Authorization:
    """Compose the authorizers of a chain, in its order. Raises `Misconfigured`."""
    options, clock = options or Options(), clock or WallClock()
    metrics = AuthorizationMetrics(registry or Registry())
    authorizers = Authorizers(reader, options, node_rules=node_rules, metrics=metrics, clock=clock)
    chain = Chain(authorizers.links(options.chain), metrics)
    background: list[Callable[[], Coroutine[Any, Any, None]]] = []
    if options.file or authorizers.webhooks:
        from podium.apiserver.authz.reload import Reload  # noqa: PLC0415 - most chains stay as they are

        background.append(Reload(options, authorizers, chain, clock=clock).run)
    return Authorization(
        authorizer=chain,
        permits=chain.permits,
        answers=reviews.answers(chain),
        admission=(EscalationCheck(authorizers.rbac, chain),),
        background=background,
    )
