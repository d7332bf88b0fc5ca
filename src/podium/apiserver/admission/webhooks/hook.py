"""One webhook of a configuration, compiled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from podium.apiserver.admission.evaluation import Condition
from podium.apiserver.admission.matching import Matcher
from podium.apiserver.admission.webhooks.identities import Identities
from podium.client.kubeconfig import Connection
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.admissionregistration.expressions import BOOLEAN, Compiler, Scope

REVIEW_VERSIONS = ("v1", "v1beta1")
DEFAULT_TIMEOUT_S = 10.0
_DRY_RUN = ("None", "NoneOnDryRun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What is known of a webhook before there is a write."""

    name: str
    uid: str
    """Unique among all webhooks: names need not be."""
    configuration: str
    client: Object
    """Its `clientConfig`."""
    identity: Connection | None
    """Who the server is to it."""
    matcher: Matcher
    conditions: Sequence[Condition]
    ignores_failure: bool
    side_effects: str | None
    takes_dry_run: bool
    timeout_s: float
    review_version: str
    """The first version of AdmissionReview that both sides know; "" when there is none."""
    reinvoked: bool
    """Whether it wants to see again what changes behind it."""


def hooks_of(configuration: Object, identities: Identities) -> Sequence[Hook]:
    """Compile the webhooks of a configuration of either kind, in their order."""
    name, seen = meta.name(configuration), Counter[str]()
    made = []
    for webhook in configuration.get("webhooks") or ():
        hook_name = webhook.get("name") or ""
        made.append(_hook(webhook, name, f"{name}/{hook_name}/{seen[hook_name]}", identities))
        seen[hook_name] += 1
    return made


def _hook(webhook: Object, configuration: str, uid: str, identities: Identities) -> Hook:
    versions = webhook.get("admissionReviewVersions") or ()
    effects = webhook.get("sideEffects")
    return Hook(
        name=webhook.get("name") or "",
        uid=uid,
        configuration=configuration,
        client=webhook.get("clientConfig") or {},
        identity=identities.of(webhook.get("clientConfig") or {}),
        matcher=Matcher(
            webhook.get("rules") or (),
            equivalent=webhook.get("matchPolicy") != "Exact",
            namespace_selector=webhook.get("namespaceSelector"),
            object_selector=webhook.get("objectSelector"),
        ),
        conditions=_conditions(webhook.get("matchConditions")),
        ignores_failure=webhook.get("failurePolicy") == "Ignore",
        side_effects=effects,
        takes_dry_run=effects in _DRY_RUN,
        timeout_s=float(webhook.get("timeoutSeconds") or DEFAULT_TIMEOUT_S),
        review_version=next((one for one in versions if one in REVIEW_VERSIONS), ""),
        reinvoked=webhook.get("reinvocationPolicy") == "IfNeeded",
    )


def _conditions(conditions: Sequence[Object] | None) -> Sequence[Condition]:
    if not conditions:
        return ()
    compiler, scope = Compiler(), Scope()
    return [
        (one.get("name") or "", compiler.compile(one.get("expression") or "", scope, BOOLEAN))
        for one in conditions
    ]
