"""Objects from a cluster: everything that checks ask about, the server itself among it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from podium.audit_report.checks.versions import SERVER
from podium.audit_report.finding import Loaded, Source
from podium.client.client import Client
from podium.machinery.errors import ApiError, NotFound, Object, Unauthorized
from podium.machinery.resource import Resource
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.batch.jobs import JOBS
from podium.resources.core.limitranges import LIMITRANGES
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pods import PODS
from podium.resources.core.podtemplates import PODTEMPLATES
from podium.resources.core.replicationcontrollers import REPLICATIONCONTROLLERS
from podium.resources.core.resourcequotas import RESOURCEQUOTAS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from podium.resources.networking.networkpolicies import NETWORKPOLICIES
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES

PAGE = 500
"""Objects of one answer."""
_NAMESPACED: tuple[Resource, ...] = (
    *(DEPLOYMENTS, STATEFULSETS, DAEMONSETS, REPLICASETS, REPLICATIONCONTROLLERS, JOBS, CRONJOBS),
    *(PODTEMPLATES, PODS),
    *(SERVICEACCOUNTS, RESOURCEQUOTAS, LIMITRANGES, NETWORKPOLICIES, ROLES, ROLEBINDINGS),
)
_CLUSTER: tuple[Resource, ...] = (CLUSTERROLES, CLUSTERROLEBINDINGS)
_DEPRECATED = re.compile(r"^apiserver_requested_deprecated_apis\{(.*)\} 1(?:\.0)?$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_FIELDS = {"removed_release": "removedRelease"}


async def load(client: Client, *, namespace: str) -> Loaded:
    """Return the objects of a cluster, or of one namespace.

    What the caller may not read is noted, and the rest read. Raises ConnectionError, and `Unauthorized` when
    the server does not know who asks.
    """
    loaded = Loaded()
    if namespace:
        await _add_namespace(client, namespace, loaded)
    else:
        for resource in (NAMESPACES, *_CLUSTER):
            await _add(client, resource, None, loaded)
        loaded.sources.append(Source(object=await _server(client, loaded)))
    for resource in _NAMESPACED:
        await _add(client, resource, namespace or None, loaded)
    # Who may see nothing has not been told that all is well.
    loaded.failed |= loaded.unseen_kinds >= {resource.kind for resource in _NAMESPACED}
    return loaded


async def _add_namespace(client: Client, name: str, loaded: Loaded) -> None:
    with _noted(loaded, f"namespace {name}"):
        try:
            loaded.sources.append(Source(object=await client.get(NAMESPACES, name)))
        except NotFound:
            loaded.failed = True
            raise


async def _add(client: Client, resource: Resource, home: str | None, loaded: Loaded) -> None:
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    loaded.unseen_kinds.add(resource.kind)
    with _noted(loaded, resource.plural):
        listing = await client.list(resource, home, limit=PAGE)
        loaded.sources += [Source(object={**kind, **item}) for item in listing.get("items") or ()]
        loaded.unseen_kinds.discard(resource.kind)


@contextmanager
def _noted(loaded: Loaded, what: str) -> Iterator[None]:
    """Note what may not be read. Who is not known may read nothing, and that is no report."""
    try:
        yield
    except ApiError as error:
        if isinstance(error, Unauthorized):
            raise
        loaded.unseen.append(f"{what}: {error}")


async def _server(client: Client, loaded: Loaded) -> Object:
    """Return what stands for the API server among the objects."""
    status: Object = {}
    with _noted(loaded, "the server's version"):
        status["gitVersion"] = orjson.loads(await client.raw("GET", "/version")).get("gitVersion")
    with _noted(loaded, "requests for deprecated APIs (/metrics)"):
        figures = (await client.raw("GET", "/metrics")).decode(errors="replace")
        status["requestedDeprecatedAPIs"] = requested(figures)
    metadata = {"name": "kube-apiserver"}
    return {"apiVersion": "audit.podium.dev/v1", "kind": SERVER, "metadata": metadata, "status": status}


def requested(figures: str) -> list[Object]:
    """Return the deprecated APIs that somebody has asked for, as an API server's metrics tell. Pure."""
    return [
        {_FIELDS.get(name, name): value for name, value in _LABEL.findall(labels) if value}
        for labels in _DEPRECATED.findall(figures)
    ]
