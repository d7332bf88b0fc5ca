"""One ClusterTrustBundle says by which CA the API server is verified.

It is named after its contents, so that pods which project bundles of the signer never see half a change:
a new one is made first, then those of before are deleted.
Upstream: pkg/controller/certificates/clustertrustbundlepublisher.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from podium.base.metrics import Registry, exponential
from podium.controllers.common.sync_figures import counted
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, NotFound, Object
from podium.resources.certificates.clustertrustbundles import CLUSTERTRUSTBUNDLES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "kube-apiserver-serving-clustertrustbundle-publisher-controller"
SIGNER = "kubernetes.io/kube-apiserver-serving"
_KEY = SIGNER
"""There is one thing to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be written."""

    create: Object | None = None
    update: Object | None = None
    delete: Sequence[str] = ()


class BundleMetrics:
    """What the controller counts, under upstream's names."""

    def __init__(self, registry: Registry) -> None:
        self.syncs = registry.counter(
            "clustertrustbundle_publisher_sync_total", "Looks at the bundles, by how they ended.", "code"
        )
        self.duration = registry.histogram(
            "clustertrustbundle_publisher_sync_duration_seconds",
            "How long they took.",
            exponential(0.001, 2, 15),
            "code",
        )


def bundle_name(ca: str) -> str:
    return f"{SIGNER.replace('/', ':')}:{hashlib.sha256(ca.encode()).hexdigest()[:24]}"


def plan(existing: Iterable[Object], ca: str) -> Plan:
    """Decide, from all bundles of the signer."""
    name = bundle_name(ca)
    by_name = {meta.name(bundle): bundle for bundle in existing}
    found = by_name.pop(name, None)
    spec = {"signerName": SIGNER, "trustBundle": ca}
    if found is None:
        made = {
            "apiVersion": CLUSTERTRUSTBUNDLES.api_version,
            "kind": CLUSTERTRUSTBUNDLES.kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        return Plan(create=made, delete=sorted(by_name))
    wrong = found["spec"].get("trustBundle") != ca
    return Plan(update={**found, "spec": spec} if wrong else None, delete=sorted(by_name))


def _keys_of(_delta: Delta, _caches: Caches) -> Iterable[str]:
    return (_KEY,)


def clustertrustbundle_publisher(ca: str) -> Controller:
    """Return the controller that publishes `ca` (PEM)."""

    async def reconcile(context: Context, _key: str) -> float | None:
        metrics = context.metrics.of(BundleMetrics)
        with counted(context.clock, metrics.syncs, metrics.duration):
            await publish(context)
        return None

    async def publish(context: Context) -> None:
        decided = plan(context.caches[CLUSTERTRUSTBUNDLES].list(), ca)
        if decided.create is not None:
            try:
                await context.client.create(CLUSTERTRUSTBUNDLES, decided.create)
            except AlreadyExists:
                return
        if decided.update is not None:
            await context.client.update(CLUSTERTRUSTBUNDLES, decided.update)
        for name in decided.delete:
            try:
                await context.client.delete(CLUSTERTRUSTBUNDLES, name)
            except NotFound:
                continue

    return Controller(
        name=NAME,
        service_account="kube-apiserver-serving-clustertrustbundle-publisher",
        watches=(
            Watch(resource=CLUSTERTRUSTBUNDLES, keys_of=_keys_of, field_selector=f"spec.signerName={SIGNER}"),
        ),
        reconcile=reconcile,
        workers=1,
        on_start=lambda context: context.queue.add(_KEY),
    )
