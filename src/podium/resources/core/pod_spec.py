"""Defaults of a PodSpec, for pods and for the templates of everything that makes pods.

`default_pod_spec` is what templates get; `default_pod` adds what only a pod itself gets (requests from
limits, service links, host ports), as upstream splits it so that templates stay as their authors wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery import quantity
from podium.machinery.errors import Object
from podium.resources.core import images, volumes
from podium.resources.defaulting import absent, blank, child, drop_zero, given, items, round_amounts

GRACE_PERIOD_S = 30
SCHEDULER = "default-scheduler"

_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_SERVICE_LINKS = True


def containers(spec: Object, *lists: str) -> Iterator[Object]:
    """Yield the containers of a pod's spec; of the named lists, or of all three."""
    for name in lists or _CONTAINER_LISTS:
        yield from items(spec, name)


def default_pod_spec(spec: Object) -> None:
    """Fill in a pod template's spec."""
    blank(spec, "dnsPolicy", "ClusterFirst")
    blank(spec, "restartPolicy", "Always")
    if given(spec, "securityContext") is None:
        spec["securityContext"] = {}
    absent(spec, "terminationGracePeriodSeconds", GRACE_PERIOD_S)
    blank(spec, "schedulerName", SCHEDULER)
    drop_zero(spec, "hostNetwork", "hostPID", "hostIPC", "hostname", "subdomain", "nodeName", "nodeSelector")
    drop_zero(spec, "priorityClassName", "tolerations", "imagePullSecrets", "volumes", "initContainers")
    if spec.get("serviceAccount") and not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for volume in items(spec, "volumes"):
        volumes.default_volume(volume)
    for container in containers(spec):
        default_container(container)


def default_container(container: Object) -> None:
    """Fill in one container of any of the three lists."""
    blank(container, "imagePullPolicy", images.pull_policy(str(container.get("image") or "")))
    blank(container, "terminationMessagePath", "/dev/termination-log")
    blank(container, "terminationMessagePolicy", "File")
    round_amounts(child(container, "resources"), "limits", "requests")
    drop_zero(
        container, "stdin", "stdinOnce", "tty", "workingDir", "command", "args", "env", "envFrom", "ports"
    )
    drop_zero(container, "volumeMounts")
    for port in items(container, "ports"):
        blank(port, "protocol", "TCP")
        drop_zero(port, "hostPort", "hostIP", "name")
    for env in items(container, "env"):
        drop_zero(env, "value")
        source = given(env, "valueFrom") or {}
        field = given(source, "fieldRef")
        if field is not None:
            blank(field, "apiVersion", "v1")
        resource = given(source, "resourceFieldRef")
        if resource is not None:
            absent(resource, "divisor", "0")
        file_key = given(source, "fileKeyRef")
        if file_key is not None:
            absent(file_key, "optional", False)
    for mount in items(container, "volumeMounts"):
        drop_zero(mount, "readOnly", "subPath", "subPathExpr")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = given(container, name)
        if probe is not None:
            default_probe(probe)
    lifecycle = given(container, "lifecycle") or {}
    for name in ("postStart", "preStop"):
        _default_http_get(given(lifecycle, name))


def default_probe(probe: Object) -> None:
    """Fill in a probe's timings and its handler."""
    blank(probe, "timeoutSeconds", 1)
    blank(probe, "periodSeconds", 10)
    blank(probe, "successThreshold", 1)
    blank(probe, "failureThreshold", 3)
    drop_zero(probe, "initialDelaySeconds")
    grpc = given(probe, "grpc")
    if grpc is not None:
        absent(grpc, "service", "")
    _default_http_get(probe)


def _default_http_get(handler: Object | None) -> None:
    action = given(handler or {}, "httpGet")
    if action is not None:
        blank(action, "path", "/")
        blank(action, "scheme", "HTTP")


def default_template(template: Object) -> None:
    """Fill in a PodTemplateSpec."""
    child(template, "metadata")
    default_pod_spec(child(template, "spec"))


def default_pod(spec: Object) -> None:
    """Fill in the spec of a pod itself."""
    default_pod_spec(spec)
    for container in containers(spec, "containers", "initContainers"):
        resources = child(container, "resources")
        limits = given(resources, "limits")
        if limits is not None:
            for name, value in limits.items():
                child(resources, "requests").setdefault(name, value)
    _default_pod_resources(spec)
    absent(spec, "enableServiceLinks", _SERVICE_LINKS)
    if spec.get("hostNetwork"):
        for container in containers(spec, "containers", "initContainers"):
            for port in items(container, "ports"):
                if port.get("containerPort"):
                    blank(port, "hostPort", port["containerPort"])


def pod_level(name: str) -> bool:
    """Say whether a resource can be given for the pod as a whole."""
    return name in {"cpu", "memory"} or name.startswith("hugepages-")


def _default_pod_resources(spec: Object) -> None:
    """Fill in pod-level limits of huge pages and requests, once something is given for the pod as a whole."""
    resources = given(spec, "resources")
    if resources is None or not (resources.get("limits") or resources.get("requests")):
        return
    for name, value in aggregated(spec, "limits").items():
        if name.startswith("hugepages-") and name not in (resources.get("requests") or {}):
            child(resources, "limits").setdefault(name, value)
    limits = resources.get("limits")
    if not limits:
        return
    requests = dict(resources.get("requests") or {})
    for name, value in aggregated(spec, "requests").items():
        if name in {"cpu", "memory"}:
            requests.setdefault(name, value)
    for name, value in limits.items():
        if pod_level(name):
            requests.setdefault(name, value)
    if requests:
        resources["requests"] = requests


def aggregated(spec: Object, kind: str) -> dict[str, str]:
    """Return what the containers need together: the sum of those that run at once, or an init container's
    need on top of the sidecars started before it, whichever is more. `kind` is requests or limits."""
    total: dict[str, quantity.Quantity] = {}
    sidecars: dict[str, quantity.Quantity] = {}
    peak: dict[str, quantity.Quantity] = {}
    for container in items(spec, "initContainers"):
        amounts = _amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, amounts)
            amounts = dict(sidecars)
        else:
            amounts = _sum(sidecars, amounts)
        _raise(peak, amounts)
    for container in items(spec, "containers"):
        _add(total, _amounts(container, kind))
    _add(total, sidecars)
    _raise(total, peak)
    return {name: str(value) for name, value in total.items()}


_Amounts = dict[str, quantity.Quantity]


def _amounts(container: Object, kind: str) -> _Amounts:
    given_amounts = (container.get("resources") or {}).get(kind) or {}
    found = {}
    for name, value in given_amounts.items():
        try:
            found[name] = quantity.parse(value)
        except quantity.QuantityError:
            continue
    return found


def _add(into: _Amounts, more: _Amounts) -> None:
    for name, value in more.items():
        into[name] = into[name] + value if name in into else value


def _sum(one: _Amounts, other: _Amounts) -> _Amounts:
    result = dict(one)
    _add(result, other)
    return result


def _raise(into: _Amounts, least: _Amounts) -> None:
    for name, value in least.items():
        if name not in into or into[name] < value:
            into[name] = value
