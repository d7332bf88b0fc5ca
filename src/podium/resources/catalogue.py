"""All built-in resources, in upstream's discovery order: what the API server serves without any CRD."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from podium.machinery.resource import Resource
from podium.resources.admissionregistration.mutatingadmissionpolicies import (
    MUTATINGADMISSIONPOLICIES,
    MUTATINGADMISSIONPOLICIES_V1ALPHA1,
    MUTATINGADMISSIONPOLICIES_V1BETA1,
)
from podium.resources.admissionregistration.mutatingadmissionpolicybindings import (
    MUTATINGADMISSIONPOLICYBINDINGS,
    MUTATINGADMISSIONPOLICYBINDINGS_V1ALPHA1,
    MUTATINGADMISSIONPOLICYBINDINGS_V1BETA1,
)
from podium.resources.admissionregistration.mutatingwebhookconfigurations import MUTATINGWEBHOOKCONFIGURATIONS
from podium.resources.admissionregistration.validatingadmissionpolicies import VALIDATINGADMISSIONPOLICIES
from podium.resources.admissionregistration.validatingadmissionpolicybindings import (
    VALIDATINGADMISSIONPOLICYBINDINGS,
)
from podium.resources.admissionregistration.validatingwebhookconfigurations import (
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from podium.resources.apiextensions.customresourcedefinitions import CUSTOMRESOURCEDEFINITIONS
from podium.resources.apiregistration.apiservices import APISERVICES
from podium.resources.apiserverinternal.storageversions import STORAGEVERSIONS
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.authentication.selfsubjectreviews import SELFSUBJECTREVIEWS
from podium.resources.authentication.tokenreviews import TOKENREVIEWS
from podium.resources.authorization.localsubjectaccessreviews import LOCALSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectaccessreviews import SELFSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectrulesreviews import SELFSUBJECTRULESREVIEWS
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS
from podium.resources.autoscaling.horizontalpodautoscalers import HORIZONTALPODAUTOSCALERS
from podium.resources.autoscaling.horizontalpodautoscalers_v1 import HORIZONTALPODAUTOSCALERS_V1
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.batch.jobs import JOBS
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from podium.resources.certificates.clustertrustbundles import (
    CLUSTERTRUSTBUNDLES,
    CLUSTERTRUSTBUNDLES_V1ALPHA1,
)
from podium.resources.certificates.podcertificaterequests import PODCERTIFICATEREQUESTS
from podium.resources.coordination.leasecandidates import LEASECANDIDATES, LEASECANDIDATES_V1ALPHA2
from podium.resources.coordination.leases import LEASES
from podium.resources.core.bindings import BINDINGS
from podium.resources.core.componentstatuses import COMPONENTSTATUSES
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.events import EVENTS
from podium.resources.core.limitranges import LIMITRANGES
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.core.podtemplates import PODTEMPLATES
from podium.resources.core.replicationcontrollers import REPLICATIONCONTROLLERS
from podium.resources.core.resourcequotas import RESOURCEQUOTAS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.resources.events.events import EVENTS as EVENTS_V1
from podium.resources.flowcontrol.flowschemas import FLOWSCHEMAS
from podium.resources.flowcontrol.prioritylevelconfigurations import PRIORITYLEVELCONFIGURATIONS
from podium.resources.networking.ingressclasses import INGRESSCLASSES
from podium.resources.networking.ingresses import INGRESSES
from podium.resources.networking.ipaddresses import IPADDRESSES, IPADDRESSES_V1BETA1
from podium.resources.networking.networkpolicies import NETWORKPOLICIES
from podium.resources.networking.servicecidrs import SERVICECIDRS, SERVICECIDRS_V1BETA1
from podium.resources.node.runtimeclasses import RUNTIMECLASSES
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES
from podium.resources.resource.deviceclasses import (
    DEVICECLASSES,
    DEVICECLASSES_V1BETA1,
    DEVICECLASSES_V1BETA2,
)
from podium.resources.resource.devicetaintrules import DEVICETAINTRULES, DEVICETAINTRULES_V1BETA2
from podium.resources.resource.resourceclaims import (
    RESOURCECLAIMS,
    RESOURCECLAIMS_V1BETA1,
    RESOURCECLAIMS_V1BETA2,
)
from podium.resources.resource.resourceclaimtemplates import (
    RESOURCECLAIMTEMPLATES,
    RESOURCECLAIMTEMPLATES_V1BETA1,
    RESOURCECLAIMTEMPLATES_V1BETA2,
)
from podium.resources.resource.resourcepoolstatusrequests import RESOURCEPOOLSTATUSREQUESTS
from podium.resources.resource.resourceslices import (
    RESOURCESLICES,
    RESOURCESLICES_V1BETA1,
    RESOURCESLICES_V1BETA2,
)
from podium.resources.scheduling.podgroups import PODGROUPS
from podium.resources.scheduling.priorityclasses import PRIORITYCLASSES
from podium.resources.scheduling.workloads import WORKLOADS
from podium.resources.storage.csidrivers import CSIDRIVERS
from podium.resources.storage.csinodes import CSINODES
from podium.resources.storage.csistoragecapacities import CSISTORAGECAPACITIES
from podium.resources.storage.storageclasses import STORAGECLASSES
from podium.resources.storage.volumeattachments import VOLUMEATTACHMENTS
from podium.resources.storage.volumeattributesclasses import (
    VOLUMEATTRIBUTESCLASSES,
    VOLUMEATTRIBUTESCLASSES_V1BETA1,
)
from podium.resources.storagemigration.storageversionmigrations import STORAGEVERSIONMIGRATIONS

if TYPE_CHECKING:
    from podium.machinery.derived import Package

BUILTIN: tuple[Resource, ...] = (
    # v1
    BINDINGS,
    COMPONENTSTATUSES,
    CONFIGMAPS,
    ENDPOINTS,
    EVENTS,
    LIMITRANGES,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    PODTEMPLATES,
    REPLICATIONCONTROLLERS,
    RESOURCEQUOTAS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    # apiregistration.k8s.io/v1
    APISERVICES,
    # apps/v1
    CONTROLLERREVISIONS,
    DAEMONSETS,
    DEPLOYMENTS,
    REPLICASETS,
    STATEFULSETS,
    # events.k8s.io/v1
    EVENTS_V1,
    # authentication.k8s.io/v1
    SELFSUBJECTREVIEWS,
    TOKENREVIEWS,
    # authorization.k8s.io/v1
    LOCALSUBJECTACCESSREVIEWS,
    SELFSUBJECTACCESSREVIEWS,
    SELFSUBJECTRULESREVIEWS,
    SUBJECTACCESSREVIEWS,
    # autoscaling/v2
    HORIZONTALPODAUTOSCALERS,
    # autoscaling/v1
    HORIZONTALPODAUTOSCALERS_V1,
    # batch/v1
    CRONJOBS,
    JOBS,
    # certificates.k8s.io/v1
    CERTIFICATESIGNINGREQUESTS,
    # certificates.k8s.io/v1beta1
    CLUSTERTRUSTBUNDLES,
    PODCERTIFICATEREQUESTS,
    # certificates.k8s.io/v1alpha1
    CLUSTERTRUSTBUNDLES_V1ALPHA1,
    # networking.k8s.io/v1
    INGRESSCLASSES,
    INGRESSES,
    IPADDRESSES,
    NETWORKPOLICIES,
    SERVICECIDRS,
    # networking.k8s.io/v1beta1
    IPADDRESSES_V1BETA1,
    SERVICECIDRS_V1BETA1,
    # policy/v1
    PODDISRUPTIONBUDGETS,
    # rbac.authorization.k8s.io/v1
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    ROLEBINDINGS,
    ROLES,
    # storage.k8s.io/v1
    CSIDRIVERS,
    CSINODES,
    CSISTORAGECAPACITIES,
    STORAGECLASSES,
    VOLUMEATTACHMENTS,
    VOLUMEATTRIBUTESCLASSES,
    # storage.k8s.io/v1beta1
    VOLUMEATTRIBUTESCLASSES_V1BETA1,
    # admissionregistration.k8s.io/v1
    MUTATINGADMISSIONPOLICIES,
    MUTATINGADMISSIONPOLICYBINDINGS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    VALIDATINGADMISSIONPOLICIES,
    VALIDATINGADMISSIONPOLICYBINDINGS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    # admissionregistration.k8s.io/v1beta1
    MUTATINGADMISSIONPOLICIES_V1BETA1,
    MUTATINGADMISSIONPOLICYBINDINGS_V1BETA1,
    # admissionregistration.k8s.io/v1alpha1
    MUTATINGADMISSIONPOLICIES_V1ALPHA1,
    MUTATINGADMISSIONPOLICYBINDINGS_V1ALPHA1,
    # apiextensions.k8s.io/v1
    CUSTOMRESOURCEDEFINITIONS,
    # scheduling.k8s.io/v1
    PRIORITYCLASSES,
    # scheduling.k8s.io/v1alpha2
    PODGROUPS,
    WORKLOADS,
    # coordination.k8s.io/v1
    LEASES,
    # coordination.k8s.io/v1beta1
    LEASECANDIDATES,
    # coordination.k8s.io/v1alpha2
    LEASECANDIDATES_V1ALPHA2,
    # node.k8s.io/v1
    RUNTIMECLASSES,
    # discovery.k8s.io/v1
    ENDPOINTSLICES,
    # resource.k8s.io/v1
    DEVICECLASSES,
    RESOURCECLAIMS,
    RESOURCECLAIMTEMPLATES,
    RESOURCESLICES,
    # resource.k8s.io/v1beta2
    DEVICECLASSES_V1BETA2,
    DEVICETAINTRULES_V1BETA2,
    RESOURCECLAIMS_V1BETA2,
    RESOURCECLAIMTEMPLATES_V1BETA2,
    RESOURCESLICES_V1BETA2,
    # resource.k8s.io/v1beta1
    DEVICECLASSES_V1BETA1,
    RESOURCECLAIMS_V1BETA1,
    RESOURCECLAIMTEMPLATES_V1BETA1,
    RESOURCESLICES_V1BETA1,
    # resource.k8s.io/v1alpha3
    DEVICETAINTRULES,
    RESOURCEPOOLSTATUSREQUESTS,
    # flowcontrol.apiserver.k8s.io/v1
    FLOWSCHEMAS,
    PRIORITYLEVELCONFIGURATIONS,
    # internal.apiserver.k8s.io/v1alpha1
    STORAGEVERSIONS,
    # storagemigration.k8s.io/v1beta1
    STORAGEVERSIONMIGRATIONS,
)


def declared(*, legacy: bool) -> tuple[Resource, ...]:
    """Return all resources there are, with what upstream has removed if that is to be known too."""
    if not legacy:
        return BUILTIN
    # Loaded only by those who serve old versions.
    from podium.resources.legacy.catalogue import LEGACY  # noqa: PLC0415

    return (*BUILTIN, *LEGACY)


def packages(*, legacy: bool) -> tuple[Package, ...]:
    """Return the schemas that the published ones lack for `declared`."""
    if not legacy:
        return ()
    from podium.resources.legacy.catalogue import PACKAGES  # noqa: PLC0415

    return PACKAGES


def by_group_version(resources: Iterable[Resource] = BUILTIN) -> dict[tuple[str, str], tuple[Resource, ...]]:
    """Return the resources of each (group, version), both in the order given."""
    grouped: dict[tuple[str, str], tuple[Resource, ...]] = {}
    for resource in resources:
        gv = (resource.group, resource.version)
        grouped[gv] = (*grouped.get(gv, ()), resource)
    return grouped


_BY_PLURAL = {(r.group, r.version, r.plural): r for r in BUILTIN}
_BY_KIND = {(r.api_version, r.kind): r for r in BUILTIN}


def find(group: str, version: str, plural: str) -> Resource | None:
    """Return the built-in resource served at that group, version and plural, or None."""
    return _BY_PLURAL.get((group, version, plural))


def find_kind(api_version: str, kind: str) -> Resource | None:
    """Return the built-in resource whose objects say `apiVersion` and `kind`, or None."""
    return _BY_KIND.get((api_version, kind))
