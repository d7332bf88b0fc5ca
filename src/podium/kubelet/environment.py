"""A container's environment: services, envFrom, env with all its sources, and $(VAR) expansion. All pure.

The objects that the environment reads are handed in; what is missing comes back as an error in upstream's
words, which becomes the container's CreateContainerConfigError.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from podium.kubelet.pods import find_container, limit, request
from podium.machinery.errors import Object
from podium.machinery.quantity import parse as parse_quantity

_SUBSCRIPT = re.compile(r"^(metadata\.(?:labels|annotations))\['(.*)'\]$")
_ENV_NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")


class ConfigFault(Exception):
    """The pod refers to something that is not there. Its text is the waiting status's message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSources:
    """What an environment may draw on beside the pod itself."""

    config_maps: Mapping[str, Object | None] = field(default_factory=dict)
    secrets: Mapping[str, Object | None] = field(default_factory=dict)
    services: Iterable[Object] = ()
    """The services of the pod's namespace, and kubernetes in default."""
    host_ips: tuple[str, ...] = ()
    pod_ips: tuple[str, ...] = ()
    node_allocatable: Mapping[str, str] = field(default_factory=dict)


def environment(pod: Object, container: Object, sources: EnvironmentSources) -> dict[str, str]:
    """Return the container's whole environment. Raises ConfigFault.

    Order of strength, as upstream's: env over envFrom over services.
    """
    result: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        result.update(_env_from(pod, source, sources))
    services = service_environment(pod, sources.services)
    declared: dict[str, str] = {}
    for entry in container.get("env") or ():
        if entry.get("valueFrom"):
            found = _value_from(pod, container, entry["valueFrom"], sources)
            if found is None:
                continue
            declared[entry["name"]] = found
        else:
            # A variable sees those before it, of env, envFrom and the services.
            known = {**services, **result, **declared}
            declared[entry["name"]] = expand(str(entry.get("value") or ""), known)
    return {**services, **result, **declared}


def _env_from(pod: Object, source: Object, sources: EnvironmentSources) -> dict[str, str]:
    namespace = pod["metadata"]["namespace"]
    prefix = str(source.get("prefix") or "")
    if reference := source.get("configMapRef"):
        found = sources.config_maps.get(reference.get("name", ""))
        if found is None:
            if reference.get("optional"):
                return {}
            raise ConfigFault(f'configmap "{reference.get("name", "")}" not found')
        values = {key: str(text) for key, text in (found.get("data") or {}).items()}
    elif reference := source.get("secretRef"):
        found = sources.secrets.get(reference.get("name", ""))
        if found is None:
            if reference.get("optional"):
                return {}
            raise ConfigFault(f'secret "{reference.get("name", "")}" not found')
        values = {key: decoded(text) for key, text in (found.get("data") or {}).items()}
    else:
        raise ConfigFault(f"envFrom without a source in namespace {namespace}")
    return {prefix + key: text for key, text in values.items() if _ENV_NAME.match(prefix + key)}


def _value_from(pod: Object, container: Object, source: Object, sources: EnvironmentSources) -> str | None:
    """Return the value, or None where an optional source lacks it."""
    if reference := source.get("fieldRef"):
        return pod_field(pod, str(reference["fieldPath"]), sources)
    if reference := source.get("resourceFieldRef"):
        return resource_field(pod, container, reference, sources.node_allocatable)
    namespace = pod["metadata"]["namespace"]
    for field_name, objects, word in (
        ("configMapKeyRef", sources.config_maps, "configmap"),
        ("secretKeyRef", sources.secrets, "secret"),
    ):
        reference = source.get(field_name)
        if not reference:
            continue
        name, key, optional = reference.get("name", ""), reference["key"], bool(reference.get("optional"))
        found = objects.get(name)
        if found is None:
            if optional:
                return None
            raise ConfigFault(f'{word} "{name}" not found')
        data = found.get("data") or {}
        if key not in data:
            if optional:
                return None
            kind = "ConfigMap" if word == "configmap" else "Secret"
            raise ConfigFault(f"couldn't find key {key} in {kind} {namespace}/{name}")
        return str(data[key]) if word == "configmap" else decoded(data[key])
    raise ConfigFault("valueFrom without a source that this kubelet knows")


def decoded(data: str) -> str:
    """Return a secret's value as text; bytes that are no UTF-8 pass through as they are."""
    return base64.b64decode(data).decode("utf-8", "surrogateescape")


def pod_field(pod: Object, path: str, sources: EnvironmentSources) -> str:
    """Return what a downward API path names. Raises ConfigFault for a path that is not served."""
    meta, spec = pod["metadata"], pod["spec"]
    if match := _SUBSCRIPT.match(path):
        section = match[1].partition(".")[2]
        return str((meta.get(section) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        section = path.partition(".")[2]
        return "\n".join(f"{key}={_quoted(text)}" for key, text in sorted((meta.get(section) or {}).items()))
    values = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": sources.host_ips[0] if sources.host_ips else "",
        "status.hostIPs": ",".join(sources.host_ips),
        "status.podIP": sources.pod_ips[0] if sources.pod_ips else "",
        "status.podIPs": ",".join(sources.pod_ips),
    }
    if path not in values:
        raise ConfigFault(f'unsupported fieldPath: "{path}"')
    return str(values[path])


def _quoted(text: str) -> str:
    # As Go's %q does for what labels and annotations usually hold.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def resource_field(
    pod: Object, container: Object | None, reference: Object, allocatable: Mapping[str, str]
) -> str:
    """Return a request or limit in units of its divisor, rounded up; no limit means the node's capacity."""
    if reference.get("containerName"):
        container = find_container(pod, str(reference["containerName"]))
    if container is None:
        raise ConfigFault(f'container "{reference.get("containerName", "")}" not found')
    kind, _, resource = str(reference["resource"]).partition(".")
    if kind == "limits":
        quantity = limit(container, resource) or allocatable.get(resource, "0")
    elif kind == "requests":
        quantity = request(container, resource) or "0"
    else:
        raise ConfigFault(f"unsupported container resource: {reference['resource']}")
    divisor_text = str(reference.get("divisor") or "0")
    divisor_m = parse_quantity(divisor_text).milli() or 1000
    amount_m = parse_quantity(quantity).milli()
    return str(-(-amount_m // divisor_m))


def service_environment(pod: Object, services: Iterable[Object]) -> dict[str, str]:
    """Return the variables for services, in Docker-links style too: what `enableServiceLinks` switches.

    The API server's own service is always there.
    """
    namespace = pod["metadata"]["namespace"]
    links = pod["spec"].get("enableServiceLinks", True)
    result: dict[str, str] = {}
    chosen: dict[str, Object] = {}
    for service in services:
        meta = service["metadata"]
        master = meta["namespace"] == "default" and meta["name"] == "kubernetes"
        own = meta["namespace"] == namespace and links
        # A service of the pod's own namespace wins over the API server's of the same name.
        if (master and meta["name"] not in chosen) or own:
            chosen[meta["name"]] = service
    for name, service in sorted(chosen.items()):
        spec = service["spec"]
        cluster_ip = str(spec.get("clusterIP") or "")
        if cluster_ip in ("", "None") or not spec.get("ports"):
            continue
        result.update(_service_variables(name, cluster_ip, spec["ports"]))
    return result


def _service_variables(name: str, cluster_ip: str, ports: list[Object]) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    host = f"[{cluster_ip}]" if ":" in cluster_ip else cluster_ip
    result = {f"{prefix}_SERVICE_HOST": cluster_ip, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            variable = f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"
            result[variable] = str(port["port"])
    first = ports[0]
    first_protocol = str(first.get("protocol") or "TCP").lower()
    result[f"{prefix}_PORT"] = f"{first_protocol}://{host}:{first['port']}"
    for port in ports:
        protocol = str(port.get("protocol") or "TCP")
        link = f"{prefix}_PORT_{port['port']}_{protocol.upper()}"
        result[link] = f"{protocol.lower()}://{host}:{port['port']}"
        result[f"{link}_PROTO"] = protocol.lower()
        result[f"{link}_PORT"] = str(port["port"])
        result[f"{link}_ADDR"] = cluster_ip
    return result


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace $(NAME) by its value; $$ is a dollar; what is unknown or malformed stays as written.

    `expand("$(A) $$(A) $(B) $A", {"A": "x"})` is `x $(A) $(B) $A`.
    """
    result: list[str] = []
    position = 0
    while position < len(text):
        dollar = text.find("$", position)
        if dollar < 0 or dollar + 1 >= len(text):
            result.append(text[position:])
            break
        result.append(text[position:dollar])
        follower = text[dollar + 1]
        if follower == "$":
            result.append("$")
            position = dollar + 2
        elif follower == "(":
            end = text.find(")", dollar + 2)
            if end < 0:
                result.append("$(")
                position = dollar + 2
            else:
                name = text[dollar + 2 : end]
                result.append(known.get(name, f"$({name})"))
                position = end + 1
        else:
            result.append("$" + follower)
            position = dollar + 2
    return "".join(result)
