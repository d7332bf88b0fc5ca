"""The default cluster roles: for people, for the components of the cluster, for everybody.

The rules are the contract of upstream 1.36 (`kubectl get clusterroles` on a fresh cluster).
"""

from __future__ import annotations

from collections.abc import Mapping

from podium.apiserver.bootstrap.rules import ALL_VERBS, EVENTS, READ, WATCH, WRITE, paths, rule
from podium.machinery.errors import Object

CLUSTER_ROLES: Mapping[str, tuple[Object, ...]] = {
    "cluster-admin": (
        rule("*", "*", "*"),
        paths("*", "*"),
    ),
    "system:aggregate-to-admin": (
        rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
        rule(ALL_VERBS, "rbac.authorization.k8s.io", "rolebindings roles"),
    ),
    "system:aggregate-to-edit": (
        rule(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
        rule("impersonate", "core", "serviceaccounts"),
        rule(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
        rule("create", "core", "pods/eviction"),
        rule(
            WRITE,
            "core",
            "configmaps persistentvolumeclaims replicationcontrollers "
            "replicationcontrollers/scale secrets serviceaccounts services services/proxy",
        ),
        rule("create", "core", "serviceaccounts/token"),
        rule(WRITE, "core events.k8s.io", "events"),
        rule(
            WRITE,
            "apps",
            "daemonsets deployments deployments/rollback deployments/scale replicasets "
            "replicasets/scale statefulsets statefulsets/scale",
        ),
        rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
        rule(WRITE, "batch", "cronjobs jobs"),
        rule(
            WRITE,
            "extensions",
            "daemonsets deployments deployments/rollback deployments/scale ingresses "
            "networkpolicies replicasets replicasets/scale replicationcontrollers/scale",
        ),
        rule(WRITE, "policy", "poddisruptionbudgets"),
        rule(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
        rule(ALL_VERBS, "coordination.k8s.io", "leases"),
        rule(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
    ),
    "system:aggregate-to-view": (
        rule(
            READ,
            "core",
            "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
            "replicationcontrollers replicationcontrollers/scale serviceaccounts services "
            "services/status",
        ),
        rule(
            READ,
            "core",
            "bindings limitranges namespaces/status pods/log pods/status "
            "replicationcontrollers/status resourcequotas resourcequotas/status",
        ),
        rule(READ, "core", "namespaces"),
        rule(READ, "core events.k8s.io", "events"),
        rule(READ, "discovery.k8s.io", "endpointslices"),
        rule(
            READ,
            "apps",
            "controllerrevisions daemonsets daemonsets/status deployments deployments/scale "
            "deployments/status replicasets replicasets/scale replicasets/status statefulsets "
            "statefulsets/scale statefulsets/status",
        ),
        rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
        rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
        rule(
            READ,
            "extensions",
            "daemonsets daemonsets/status deployments deployments/scale deployments/status "
            "ingresses ingresses/status networkpolicies replicasets replicasets/scale "
            "replicasets/status replicationcontrollers/scale",
        ),
        rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
        rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
        rule(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
    ),
    "system:auth-delegator": (
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    ),
    "system:basic-user": (
        rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        rule("create", "authentication.k8s.io", "selfsubjectreviews"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        rule("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        rule("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient"),
    ),
    "system:certificates.k8s.io:kube-apiserver-client-approver": (
        rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client"),
    ),
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": (
        rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
    ),
    "system:certificates.k8s.io:kubelet-serving-approver": (
        rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/kubelet-serving"),
    ),
    "system:certificates.k8s.io:legacy-unknown-approver": (
        rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/legacy-unknown"),
    ),
    "system:discovery": (
        paths(
            "get", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"
        ),
    ),
    "system:heapster": (
        rule(READ, "core", "events namespaces nodes pods"),
        rule(READ, "extensions", "deployments"),
    ),
    "system:kube-aggregator": (rule(READ, "core", "endpoints services"),),
    "system:kube-controller-manager": (
        EVENTS,
        rule("create", "coordination.k8s.io", "leases"),
        rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
        rule("create", "core", "secrets serviceaccounts"),
        rule("delete", "core", "secrets"),
        rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
        rule("update", "core", "secrets serviceaccounts"),
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        rule(WATCH, "*", "*"),
        rule("create", "core", "serviceaccounts/token"),
    ),
    "system:kube-dns": (rule(WATCH, "core", "endpoints services"),),
    "system:kube-scheduler": (
        EVENTS,
        rule("create", "coordination.k8s.io", "leases"),
        rule("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
        rule(ALL_VERBS, "coordination.k8s.io", "leasecandidates"),
        rule(READ, "core", "nodes"),
        rule("delete get list watch", "core", "pods"),
        rule("create", "core", "bindings pods/binding"),
        rule("patch update", "core", "pods/status"),
        rule(READ, "core", "replicationcontrollers services"),
        rule(READ, "apps extensions", "replicasets"),
        rule(READ, "apps", "statefulsets"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        rule(READ, "storage.k8s.io", "csinodes"),
        rule(READ, "storage.k8s.io", "volumeattachments"),
        rule(READ, "core", "namespaces"),
        rule(READ, "storage.k8s.io", "csidrivers"),
        rule(READ, "storage.k8s.io", "csistoragecapacities"),
        rule(READ, "resource.k8s.io", "deviceclasses"),
        rule("get list patch update watch", "resource.k8s.io", "resourceclaims"),
        rule("get list patch update watch", "resource.k8s.io", "resourceclaims/status"),
        rule("update", "core", "pods/finalizers"),
        rule(READ, "resource.k8s.io", "resourceslices"),
        rule("create delete", "resource.k8s.io", "resourceclaims"),
        rule("patch update", "resource.k8s.io", "resourceclaims/binding"),
    ),
    "system:kubelet-api-admin": (
        rule(READ, "core", "nodes"),
        rule("proxy", "core", "nodes"),
        rule("*", "core", "nodes/log nodes/metrics nodes/proxy nodes/stats"),
        rule("*", "core", "nodes/configz nodes/healthz nodes/pods"),
    ),
    "system:monitoring": (
        paths(
            "get",
            "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz",
        ),
        rule("get", "core", "nodes/metrics"),
    ),
    "system:node": (
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
        rule(READ, "core", "services"),
        rule("create get list watch", "core", "nodes"),
        rule("patch update", "core", "nodes/status"),
        rule("patch update", "core", "nodes"),
        EVENTS,
        rule(READ, "core", "pods"),
        rule("create delete", "core", "pods"),
        rule("patch update", "core", "pods/status"),
        rule("create", "core", "pods/eviction"),
        rule(READ, "core", "configmaps secrets"),
        rule("get", "core", "persistentvolumeclaims persistentvolumes"),
        rule("get", "core", "endpoints"),
        rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
        rule("create delete get patch update", "coordination.k8s.io", "leases"),
        rule("get", "storage.k8s.io", "volumeattachments"),
        rule("create", "core", "serviceaccounts/token"),
        rule("get patch update", "core", "persistentvolumeclaims/status"),
        rule(READ, "storage.k8s.io", "csidrivers"),
        rule("create delete get patch update", "storage.k8s.io", "csinodes"),
        rule(READ, "node.k8s.io", "runtimeclasses"),
        rule("get", "resource.k8s.io", "resourceclaims"),
        rule("deletecollection", "resource.k8s.io", "resourceslices"),
        rule("get", "core", "serviceaccounts"),
    ),
    "system:node-bootstrapper": (
        rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    ),
    "system:node-problem-detector": (
        rule("get", "core", "nodes"),
        rule("patch", "core", "nodes/status"),
        EVENTS,
    ),
    "system:node-proxier": (
        rule(WATCH, "core", "endpoints services"),
        rule(READ, "core", "nodes"),
        EVENTS,
        rule(WATCH, "networking.k8s.io", "servicecidrs"),
        rule(WATCH, "discovery.k8s.io", "endpointslices"),
    ),
    "system:persistent-volume-provisioner": (
        rule("create delete get list watch", "core", "persistentvolumes"),
        rule("get list update watch", "core", "persistentvolumeclaims"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule("watch", "core", "events"),
        EVENTS,
    ),
    "system:public-info-viewer": (paths("get", "/healthz /livez /readyz /version /version/"),),
    "system:service-account-issuer-discovery": (
        paths(
            "get",
            "/.well-known/openid-configuration /.well-known/openid-configuration/ "
            "/openid/v1/jwks /openid/v1/jwks/",
        ),
    ),
    "system:volume-scheduler": (
        rule("get list patch update watch", "core", "persistentvolumes"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule("get list patch update watch", "core", "persistentvolumeclaims"),
    ),
}

# Roles for people are sums: each label adds a role's rules to the aggregate that it names.
AGGREGATES = ("admin", "edit", "view")
AGGREGATED_TO: Mapping[str, str] = {
    "edit": "admin",
    "view": "edit",
    "system:aggregate-to-admin": "admin",
    "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
}

# Podium's own cluster DNS: watches what it answers from, and owns the Service through which it is found.
PODIUM_DNS: tuple[Object, ...] = (
    rule(READ, "core", "services endpoints namespaces pods nodes"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    EVENTS,
)
PODIUM_DNS_IN_KUBE_SYSTEM: tuple[Object, ...] = (
    # A create names no object yet, so it cannot be held to one name.
    rule("create", "core", "services endpoints"),
    rule("get update patch delete", "core", "services services/status endpoints", "kube-dns"),
    rule("create get list watch update patch delete", "discovery.k8s.io", "endpointslices"),
)

CLOUD_CONTROLLER_MANAGER: tuple[Object, ...] = (
    EVENTS,
    rule("delete get list patch watch", "core", "nodes"),
    rule("patch", "core", "nodes/status"),
    rule(READ, "core", "services"),
    rule("patch", "core", "services/status"),
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
)
"""What upstream leaves to the manifest that starts the program."""
_CLOUD_ACCOUNTS = "node-controller route-controller service-controller"
CLOUD_CONTROLLER_MANAGER_IN_KUBE_SYSTEM: tuple[Object, ...] = (
    rule("create", "coordination.k8s.io", "leases"),
    rule("get update", "coordination.k8s.io", "leases", "cloud-controller-manager"),
    # By whom clients of its port are signed.
    rule(READ, "core", "configmaps", "extension-apiserver-authentication"),
    # The record of the provider `local`.
    rule("create", "core", "configmaps"),
    rule("get update", "core", "configmaps", "podium-load-balancer-addresses"),
    # --use-service-account-credentials
    rule("create", "core", "serviceaccounts"),
    rule("get", "core", "serviceaccounts", _CLOUD_ACCOUNTS),
    rule("create", "core", "serviceaccounts/token", _CLOUD_ACCOUNTS),
)

# Subjects are `kind:name`, a service account's name with its namespace.
BINDINGS: Mapping[str, str] = {
    "cluster-admin": "Group:system:masters",
    "system:basic-user": "Group:system:authenticated",
    "system:discovery": "Group:system:authenticated",
    "system:kube-controller-manager": "User:system:kube-controller-manager",
    "system:kube-dns": "ServiceAccount:kube-system/kube-dns",
    "system:kube-scheduler": "User:system:kube-scheduler",
    "system:monitoring": "Group:system:monitoring",
    # Nobody: the Node authorizer decides for nodes. The binding is kept for those who bind it themselves.
    "system:node": "",
    "system:node-proxier": "User:system:kube-proxy",
    "system:public-info-viewer": "Group:system:authenticated Group:system:unauthenticated",
    "system:service-account-issuer-discovery": "Group:system:serviceaccounts",
    "system:volume-scheduler": "User:system:kube-scheduler",
    "system:podium-dns": "User:system:podium-dns",
    "system:cloud-controller-manager": "User:system:cloud-controller-manager",
}

_LEADER_LOCK = (
    rule("create get list update watch", "coordination.k8s.io", "leases"),
    rule("create get list update watch", "coordination.k8s.io", "leasecandidates"),
)
_MANAGER_AND_SCHEDULER = "User:system:kube-controller-manager User:system:kube-scheduler"
_CONFIG_READER = "extension-apiserver-authentication-reader"

NAMESPACE_ROLES: Mapping[str, Mapping[str, tuple[Object, ...]]] = {
    "kube-public": {
        "system:controller:bootstrap-signer": (
            rule(READ, "core", "configmaps"),
            rule("update", "core", "configmaps", "cluster-info"),
            EVENTS,
        ),
    },
    "kube-system": {
        _CONFIG_READER: (rule(READ, "core", "configmaps", "extension-apiserver-authentication"),),
        "system::leader-locking-kube-controller-manager": _LEADER_LOCK,
        "system::leader-locking-kube-scheduler": _LEADER_LOCK,
        "system:controller:bootstrap-signer": (rule(READ, "core", "secrets"),),
        "system:controller:cloud-provider": (rule(f"create {READ}", "core", "configmaps"),),
        "system:controller:token-cleaner": (rule(f"delete {READ}", "core", "secrets"), EVENTS),
        "system:podium-dns": PODIUM_DNS_IN_KUBE_SYSTEM,
        "system:cloud-controller-manager": CLOUD_CONTROLLER_MANAGER_IN_KUBE_SYSTEM,
    },
}

# namespace -> binding -> (role, subjects)
NAMESPACE_BINDINGS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "kube-public": {
        "system:controller:bootstrap-signer": (
            "system:controller:bootstrap-signer",
            "ServiceAccount:kube-system/bootstrap-signer",
        ),
    },
    "kube-system": {
        "system::extension-apiserver-authentication-reader": (_CONFIG_READER, _MANAGER_AND_SCHEDULER),
        "system::leader-locking-kube-controller-manager": (
            "system::leader-locking-kube-controller-manager",
            "User:system:kube-controller-manager ServiceAccount:kube-system/kube-controller-manager "
            "ServiceAccount:kube-system/leader-election-controller",
        ),
        "system::leader-locking-kube-scheduler": (
            "system::leader-locking-kube-scheduler",
            "User:system:kube-scheduler ServiceAccount:kube-system/kube-scheduler",
        ),
        "system:controller:bootstrap-signer": (
            "system:controller:bootstrap-signer",
            "ServiceAccount:kube-system/bootstrap-signer",
        ),
        "system:controller:cloud-provider": (
            "system:controller:cloud-provider",
            "ServiceAccount:kube-system/cloud-provider",
        ),
        "system:controller:token-cleaner": (
            "system:controller:token-cleaner",
            "ServiceAccount:kube-system/token-cleaner",
        ),
        "system:podium-dns": ("system:podium-dns", "User:system:podium-dns"),
        "system:cloud-controller-manager": (
            "system:cloud-controller-manager",
            "User:system:cloud-controller-manager",
        ),
    },
}
