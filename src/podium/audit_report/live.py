"""Objects from a cluster: everything that checks ask about, the server itself among it."""

from __future__ import annotations

import re
from collections.abc import Callable

import orjson

from podium.audit_report.checks.versions import SERVER
from podium.audit_report.finding import Source
from podium.client.client import Client
from podium.machinery.errors import ApiError, Object
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
    *(DEPLOYMENTS, STATEFULSETS, DAEMONSETS, REPLICASETS, REPLICATIONCONTROLLERS, JOBS, CRONJOBS, PODS),
    *(SERVICEACCOUNTS, RESOURCEQUOTAS, LIMITRANGES, NETWORKPOLICIES, ROLES, ROLEBINDINGS),
)
_CLUSTER: tuple[Resource, ...] = (CLUSTERROLES, CLUSTERROLEBINDINGS)
_DEPRECATED = re.compile(r"^apiserver_requested_deprecated_apis\{(.*)\} 1(?:\.0)?$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_FIELDS = {"removed_release": "removedRelease"}


async def load(client: Client, *, namespace: str, unread: Callable[[str], None]) -> list[Source]:
    """Return the objects of a cluster, or of one namespace.

    `unread` is told what the caller may not read; the rest is judged without it. Raises ConnectionError.
    """
    sources: list[Source] = []

    async def add(resource: Resource, home: str | None) -> None:
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        try:
            listing = await client.list(resource, home, limit=PAGE)
        except ApiError as error:
            unread(f"{resource.plural} could not be read: {error}")
            return
        sources.extend(Source(object={**kind, **item}) for item in listing.get("items") or ())

    if namespace:
        try:
            sources.append(Source(object=await client.get(NAMESPACES, namespace)))
        except ApiError as error:
            unread(f"namespace {namespace} could not be read: {error}")
    else:
        await add(NAMESPACES, None)
        for resource in _CLUSTER:
            await add(resource, None)
        sources.append(Source(object=await _server(client, unread)))
    for resource in _NAMESPACED:
        await add(resource, namespace or None)
    return sources


async def _server(client: Client, unread: Callable[[str], None]) -> Object:
    """Return what stands for the API server among the objects."""
    status: Object = {}
    try:
        status["gitVersion"] = orjson.loads(await client.raw("GET", "/version")).get("gitVersion")
    except ApiError as error:
        unread(f"the version could not be read: {error}")
    try:
        figures = (await client.raw("GET", "/metrics")).decode(errors="replace")
        status["requestedDeprecatedAPIs"] = requested(figures)
    except ApiError as error:
        unread(f"metrics could not be read: {error}")
    metadata = {"name": "kube-apiserver"}
    return {"apiVersion": "audit.podium.dev/v1", "kind": SERVER, "metadata": metadata, "status": status}


def requested(figures: str) -> list[Object]:
    """Return the deprecated APIs that somebody has asked for, as an API server's metrics tell. Pure."""
    return [
        {_FIELDS.get(name, name): value for name, value in _LABEL.findall(labels) if value}
        for labels in _DEPRECATED.findall(figures)
    ]
