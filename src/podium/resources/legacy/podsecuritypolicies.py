"""PodSecurityPolicy, policy/v1beta1 and extensions/v1beta1: kept for old manifests, and not enforced.

Upstream removed both the kind and the admission plugin that enforced it. Whoever writes a policy is told what
does its work now.
"""

from __future__ import annotations

from podium.machinery.derived import Change, Package, ref
from podium.machinery.errors import FieldError, Object
from podium.machinery.resource import Column, Resource
from podium.resources.checks import spec_of
from podium.resources.defaulting import absent, child, given
from podium.resources.legacy.older import deprecation, older
from podium.resources.printing import NAME, column

_KIND = "PodSecurityPolicy"
_LIKE = "io.k8s.api.networking.v1.NetworkPolicy"
"""A kind with a spec and no status, whose definition the policy's begins with."""

_TEXT: Object = {"type": "string"}
_FLAG: Object = {"type": "boolean"}
_INT32: Object = {"type": "integer", "format": "int32"}
_INT64: Object = {"type": "integer", "format": "int64"}


def _list(items: Object) -> Object:
    return {"type": "array", "items": items, "x-kubernetes-list-type": "atomic"}


def _plain(description: str, *required: str, **fields: Object) -> Change:
    return Change(base="", description=description, fields=fields, required=required)


def changes(package: str) -> dict[str, Change]:
    """Return the definitions of the policy and its parts, as a package of this name has them."""

    def own(name: str) -> Object:
        return ref(f"{package}.{name}")

    ranges = _list(own("IDRange"))
    return {
        _KIND: Change(
            base=_LIKE,
            description="What pods may ask for. Kept, but not enforced.",
            fields={"spec": own("PodSecurityPolicySpec")},
        ),
        f"{_KIND}List": Change(
            base=f"{_LIKE}List",
            description="A list of policies.",
            fields={"items": {"type": "array", "items": own(_KIND)}},
        ),
        "PodSecurityPolicySpec": Change(
            base="",
            description="What pods may ask for.",
            required=("seLinux", "runAsUser", "supplementalGroups", "fsGroup"),
            fields={
                "privileged": _FLAG,
                "defaultAddCapabilities": _list(_TEXT),
                "requiredDropCapabilities": _list(_TEXT),
                "allowedCapabilities": _list(_TEXT),
                "volumes": _list(_TEXT),
                "hostNetwork": _FLAG,
                "hostPorts": _list(own("HostPortRange")),
                "hostPID": _FLAG,
                "hostIPC": _FLAG,
                "seLinux": own("SELinuxStrategyOptions"),
                "runAsUser": own("RunAsUserStrategyOptions"),
                "runAsGroup": own("RunAsGroupStrategyOptions"),
                "supplementalGroups": own("SupplementalGroupsStrategyOptions"),
                "fsGroup": own("FSGroupStrategyOptions"),
                "readOnlyRootFilesystem": _FLAG,
                "defaultAllowPrivilegeEscalation": _FLAG,
                "allowPrivilegeEscalation": _FLAG,
                "allowedHostPaths": _list(own("AllowedHostPath")),
                "allowedFlexVolumes": _list(own("AllowedFlexVolume")),
                "allowedCSIDrivers": _list(own("AllowedCSIDriver")),
                "allowedUnsafeSysctls": _list(_TEXT),
                "forbiddenSysctls": _list(_TEXT),
                "allowedProcMountTypes": _list(_TEXT),
                "runtimeClass": own("RuntimeClassStrategyOptions"),
            },
            unusual="privileged. hostNetwork. hostPID. hostIPC. readOnlyRootFilesystem. seLinux. runAsUser. "
            "supplementalGroups. fsGroup.",
        ),
        "AllowedFlexVolume": _plain("A driver of Flex volumes.", "driver", driver=_TEXT),
        "AllowedCSIDriver": _plain("A driver of CSI volumes.", "name", name=_TEXT),
        "AllowedHostPath": Change(
            base="",
            description="A directory of nodes.",
            fields={"pathPrefix": _TEXT, "readOnly": _FLAG},
            unusual="readOnly.",
        ),
        "HostPortRange": _plain("Ports of nodes.", "min", "max", min=_INT32, max=_INT32),
        "IDRange": _plain("Numbers of users or groups.", "min", "max", min=_INT64, max=_INT64),
        "SELinuxStrategyOptions": _plain(
            "Labels of SELinux.", "rule", rule=_TEXT, seLinuxOptions=ref("io.k8s.api.core.v1.SELinuxOptions")
        ),
        "RunAsUserStrategyOptions": _plain("Users.", "rule", rule=_TEXT, ranges=ranges),
        "RunAsGroupStrategyOptions": _plain("Groups.", "rule", rule=_TEXT, ranges=ranges),
        "SupplementalGroupsStrategyOptions": _plain("Further groups.", rule=_TEXT, ranges=ranges),
        "FSGroupStrategyOptions": _plain("Groups of files.", rule=_TEXT, ranges=ranges),
        "RuntimeClassStrategyOptions": Change(
            base="",
            description="Classes of runtimes.",
            fields={"allowedRuntimeClassNames": _list(_TEXT), "defaultRuntimeClassName": _TEXT},
            required=("allowedRuntimeClassNames",),
            unusual="defaultRuntimeClassName*",
        ),
    }


def _defaults(policy: Object) -> None:
    spec = child(policy, "spec")
    absent(spec, "allowPrivilegeEscalation", True)
    for name in _RULES:
        child(spec, name)


_RULES = {
    "seLinux": ("MustRunAs", "RunAsAny"),
    "runAsUser": ("MustRunAs", "MustRunAsNonRoot", "RunAsAny"),
    "supplementalGroups": ("MayRunAs", "MustRunAs", "RunAsAny"),
    "fsGroup": ("MayRunAs", "MustRunAs", "RunAsAny"),
}


def _validate(policy: Object) -> list[FieldError]:
    errors = []
    for name, rules in _RULES.items():
        rule = (given(spec_of(policy), name) or {}).get("rule") or ""
        if rule not in rules:
            errors.append(FieldError.not_supported(f"spec.{name}.rule", rule, rules))
    return errors


def _validate_update(new: Object, _old: Object) -> list[FieldError]:
    return _validate(new)


def _warnings(_new: Object, _old: Object | None) -> list[str]:
    return [
        "PodSecurityPolicy is kept, but not enforced: "
        "label namespaces with pod-security.kubernetes.io/enforce instead"
    ]


def _rule_column(name: str) -> Column:
    return column(
        f"{name[:1].upper()}{name[1:]}", lambda obj: (given(spec_of(obj), name) or {}).get("rule") or ""
    )


PODSECURITYPOLICIES = Resource(
    group="policy",
    version="v1beta1",
    kind=_KIND,
    plural="podsecuritypolicies",
    namespaced=False,
    short_names=("psp",),
    schema=f"io.k8s.api.policy.v1beta1.{_KIND}",
    legacy=True,
    storage_prefix="podsecuritypolicy",
    defaults=_defaults,
    validate=_validate,
    validate_update=_validate_update,
    warnings=_warnings,
    deprecation=deprecation("policy/v1beta1", _KIND, (1, 21), (1, 25), None),
    columns=(
        NAME,
        column("Priv", lambda obj: str(bool(spec_of(obj).get("privileged"))).lower()),
        column("Caps", lambda obj: ",".join(spec_of(obj).get("allowedCapabilities") or ())),
        *(_rule_column(name) for name in _RULES),
        column("ReadOnlyRootFs", lambda obj: str(bool(spec_of(obj).get("readOnlyRootFilesystem"))).lower()),
        column("Volumes", lambda obj: ",".join(spec_of(obj).get("volumes") or ())),
    ),
)


def in_extensions(package: Package) -> Resource:
    """Return the policies of extensions/v1beta1, where they began."""
    return older(
        PODSECURITYPOLICIES,
        package,
        deprecated=(1, 10),
        removed=(1, 16),
        replacement=f"policy/v1beta1 {_KIND}",
    )
