"""Every namespace has the ConfigMap `kube-root-ca.crt`, by which pods verify the API server.

Upstream: pkg/controller/certificates/rootcacertpublisher.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common.sync_figures import counted
from podium.controllers.figures import RootCaMetrics
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, Forbidden, Object
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.namespaces import NAMESPACES
from podium.runtime.controller import Caches, Context, Controller, Watch, namespace_is_terminating, own_key
from podium.runtime.informer import Delta

NAME = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"
# The text is part of what users see, so it is upstream's.
DESCRIPTION_TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints "
    "such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
    "distributions of Kubernetes clusters."
)


def plan(existing: Object | None, namespace: str, ca: str) -> Object | None:
    """Return the ConfigMap to write, None when the one there is right."""
    if existing is None:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "annotations": {DESCRIPTION: DESCRIPTION_TEXT},
            },
            "data": {"ca.crt": ca},
        }
    described = bool(meta.annotations(existing).get(DESCRIPTION))
    if existing.get("data") == {"ca.crt": ca} and described:
        return None
    new = meta.copy_path(existing, "metadata", "annotations")
    new["metadata"]["annotations"][DESCRIPTION] = DESCRIPTION_TEXT
    new["data"] = {"ca.crt": ca}
    return new


def _keys_of_config_map(delta: Delta, _caches: Caches) -> Iterable[str]:
    return (meta.namespace(delta.object),) if delta.old is not None else ()


def root_ca_publisher(ca: str) -> Controller:
    """Return the controller that publishes `ca` (PEM)."""

    async def reconcile(context: Context, key: str) -> float | None:
        metrics = context.metrics.of(RootCaMetrics)
        with counted(context.clock, metrics.syncs, metrics.seconds):
            await publish(context, key)
        return None

    async def publish(context: Context, key: str) -> None:
        namespace = context.caches[NAMESPACES].get(key)
        if namespace is None or meta.deleting(namespace):
            return
        existing = context.caches[CONFIGMAPS].get(f"{key}/{NAME}")
        new = plan(existing, key, ca)
        if new is None:
            return
        try:
            if existing is None:
                await context.client.create(CONFIGMAPS, new)
            else:
                await context.client.update(CONFIGMAPS, new)
        except AlreadyExists:
            return
        except Forbidden as error:
            if not namespace_is_terminating(error):
                raise

    return Controller(
        name="root-ca-certificate-publisher-controller",
        service_account="root-ca-cert-publisher",
        watches=(
            Watch(resource=NAMESPACES, keys_of=own_key),
            Watch(
                resource=CONFIGMAPS,
                keys_of=_keys_of_config_map,
                # Only these: the process need not hold everybody's ConfigMaps.
                field_selector=f"metadata.name={NAME}",
            ),
        ),
        reconcile=reconcile,
    )
