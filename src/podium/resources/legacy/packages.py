"""The schemas of the old workloads, and of all of extensions/v1beta1, where they began."""

from __future__ import annotations

from podium.machinery.derived import Change, Package, ref
from podium.resources.legacy import podsecuritypolicies

_ROLLBACK_FIELD = {"description": "Where the Deployment is to be rolled back to; cleared when that is done."}
_SCALE_STATUS = Change(
    base="io.k8s.api.autoscaling.v1.ScaleStatus",
    fields={
        "selector": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "The labels that select the scaled pods, where that is all.",
            "x-kubernetes-map-type": "atomic",
        },
        "targetSelector": {
            "type": "string",
            "description": "The selector of the scaled pods in its text form.",
        },
    },
)
_SCALE = {
    "Scale": Change(base="io.k8s.api.autoscaling.v1.Scale"),
    "ScaleSpec": Change(base="io.k8s.api.autoscaling.v1.ScaleSpec"),
    "ScaleStatus": _SCALE_STATUS,
}


def _rollback(package: str) -> dict[str, Change]:
    return {
        "DeploymentSpec": Change(
            fields={"rollbackTo": {**ref(f"{package}.RollbackConfig"), **_ROLLBACK_FIELD}},
            optional=("selector",),
        ),
        "RollbackConfig": Change(
            base="",
            description="Which revision a Deployment is rolled back to.",
            fields={
                "revision": {
                    "type": "integer",
                    "format": "int64",
                    "description": "The revision; 0 stands for the one before the last.",
                }
            },
            unusual="revision.",
        ),
        "DeploymentRollback": Change(
            base="",
            description="A request to roll a Deployment back.",
            fields={
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "name": {"type": "string", "description": "The name of the Deployment."},
                "updatedAnnotations": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Annotations that the Deployment gets with it.",
                },
                "rollbackTo": {**ref(f"{package}.RollbackConfig"), **_ROLLBACK_FIELD},
            },
            required=("name", "rollbackTo"),
        ),
    }


INGRESS_CHANGES = {
    "IngressSpec": Change(renamed={"defaultBackend": "backend"}),
    "HTTPIngressPath": Change(optional=("pathType",)),
    "IngressBackend": Change(
        without=("service",),
        fields={
            "serviceName": {"type": "string", "description": "The name of the Service."},
            "servicePort": {
                **ref("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
                "description": "The port of the Service, by number or by name.",
            },
        },
        unusual="servicePort.",
    ),
}

_EXTENSIONS = "io.k8s.api.extensions.v1beta1"
EXTENSIONS = Package(
    name=_EXTENSIONS,
    group="extensions",
    version="v1beta1",
    bases=("io.k8s.api.apps.v1", "io.k8s.api.networking.v1", "io.k8s.api.autoscaling.v1"),
    shared=frozenset(("StatefulSet", "ControllerRevision", "HorizontalPodAutoscaler")),
    changes={
        **_rollback(_EXTENSIONS),
        **_SCALE,
        **INGRESS_CHANGES,
        **podsecuritypolicies.changes(_EXTENSIONS),
        "DaemonSetSpec": Change(
            fields={
                "templateGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "How often the template has changed; kept by the server.",
                }
            },
            optional=("selector",),
            unusual="templateGeneration.",
        ),
        "ReplicaSetSpec": Change(optional=("selector",)),
    },
)

_V1BETA1 = "io.k8s.api.apps.v1beta1"
V1BETA1 = Package(
    name=_V1BETA1,
    group="apps",
    version="v1beta1",
    bases=("io.k8s.api.apps.v1", "io.k8s.api.autoscaling.v1"),
    changes={
        **_rollback(_V1BETA1),
        **_SCALE,
        "StatefulSetSpec": Change(optional=("selector",)),
        "StatefulSetStatus": Change(unusual="observedGeneration*"),
    },
)

V1BETA2 = Package(
    name="io.k8s.api.apps.v1beta2",
    group="apps",
    version="v1beta2",
    bases=("io.k8s.api.apps.v1", "io.k8s.api.autoscaling.v1"),
    changes=_SCALE,
)
