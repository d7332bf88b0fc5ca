"""All API versions that upstream has removed: resources, in order of preference, and their schemas."""

from __future__ import annotations

from podium.machinery.derived import Package
from podium.machinery.resource import Resource
from podium.resources.legacy import (
    admissionregistration,
    apiextensions,
    autoscaling,
    batch,
    certificates,
    discovery,
    packages,
    podsecuritypolicies,
    policy,
    rbac,
    reviews,
    storage,
    unchanged,
)
from podium.resources.legacy.apps import (
    controllerrevisions,
    daemonsets,
    deployments,
    replicasets,
    statefulsets,
)
from podium.resources.legacy.networking import ingressclasses, ingresses, networkpolicies

_OTHERS = (
    unchanged,
    reviews,
    autoscaling,
    batch,
    certificates,
    policy,
    rbac,
    storage,
    admissionregistration,
    apiextensions,
    discovery,
)

LEGACY: tuple[Resource, ...] = (
    # apps/v1beta2
    controllerrevisions.V1BETA2,
    daemonsets.V1BETA2,
    deployments.V1BETA2,
    replicasets.V1BETA2,
    statefulsets.V1BETA2,
    # apps/v1beta1
    controllerrevisions.V1BETA1,
    deployments.V1BETA1,
    statefulsets.V1BETA1,
    # networking.k8s.io/v1beta1
    ingressclasses.V1BETA1,
    ingresses.V1BETA1,
    *(resource for module in _OTHERS for resource in module.RESOURCES),
    # extensions/v1beta1
    daemonsets.EXTENSIONS,
    deployments.EXTENSIONS,
    ingresses.EXTENSIONS,
    networkpolicies.EXTENSIONS,
    podsecuritypolicies.in_extensions(packages.EXTENSIONS),
    replicasets.EXTENSIONS,
)

PACKAGES: tuple[Package, ...] = (
    packages.EXTENSIONS,
    packages.V1BETA2,
    packages.V1BETA1,
    ingresses.NETWORKING,
    *(package for module in _OTHERS for package in module.PACKAGES),
)
