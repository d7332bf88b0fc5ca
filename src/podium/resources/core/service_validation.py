"""What is wrong with a service, once its addresses and ports are allocated."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.addresses import older_cidr, older_ip, parse_ip
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import (
    Errors,
    metadata_of,
    named,
    objects,
    one_of,
    port_or_name,
    required_name,
    spec_of,
)
from podium.resources.core.addresses import endpoint_errors, is_ipv6
from podium.resources.core.services import reachable_from_outside
from podium.resources.defaulting import given

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
TRAFFIC_POLICIES = ("Cluster", "Local")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
AFFINITY_SECONDS_MAX = 86400
_ONLY_BALANCER = "may only be used when `type` is 'LoadBalancer'"
_IP_MODES = ("Proxy", "VIP")
_SET_ONCE = "may not change once set"
_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"


def headless(spec: Object) -> bool:
    """Say whether the service has no address on purpose."""
    return (spec.get("clusterIPs") or [spec.get("clusterIP")]) == ["None"]


def needs_health_check(spec: Object) -> bool:
    """Say whether a load balancer asks the nodes which of them have endpoints."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def validate_service(service: Object) -> Errors:
    """Check a Service."""
    spec = spec_of(service)
    errors: Errors = []
    if not spec.get("ports") and not headless(spec) and spec.get("type") != "ExternalName":
        errors.append(FieldError.required("spec.ports"))
    errors += _by_type(spec)
    names: set[str] = set()
    ports = objects(spec.get("ports"))
    for index, port in enumerate(ports):
        errors += _port(port, f"spec.ports[{index}]", names, named_port=len(ports) > 1)
    errors += validation.validate_labels(spec.get("selector"), "spec.selector")
    errors += _affinity(spec)
    errors += validate_addresses(spec)
    for index, ip in enumerate(spec.get("externalIPs") or ()):
        here = f"spec.externalIPs[{index}]"
        errors += older_ip(here, ip) or endpoint_errors(here, ip)
    errors += one_of("spec.type", spec.get("type"), TYPES)
    errors += _port_conflicts(spec, ports)
    errors += _load_balancer(service, spec)
    errors += _traffic(spec)
    return errors


def _by_type(spec: Object) -> Errors:
    kind = spec.get("type")
    if kind in ("LoadBalancer", "NodePort"):
        if headless(spec):
            detail = f"may not be set to 'None' for {kind} services"
            return [FieldError.invalid("spec.clusterIPs[0]", "None", detail)]
        return []
    if kind != "ExternalName":
        return []
    errors: Errors = [
        FieldError.forbidden(f"spec.{key}", "may not be set for ExternalName services")
        for key in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(key) or (key == "ipFamilyPolicy" and spec.get(key) is not None)
    ]
    name = str(spec.get("externalName") or "").removesuffix(".")
    return errors + required_name("spec.externalName", name, validation.dns1123_subdomain_errors)


def _port(port: Object, path: str, names: set[str], *, named_port: bool) -> Errors:
    errors: Errors = []
    name = str(port.get("name") or "")
    if named_port and not name:
        errors.append(FieldError.required(f"{path}.name"))
    elif name:
        errors += named(f"{path}.name", name, validation.dns1123_label_errors)
        if name in names:
            errors.append(FieldError.duplicate(f"{path}.name", name))
        names.add(name)
    number = port.get("port") or 0
    errors += validation.invalid_each(f"{path}.port", number, validation.port_number_errors(number))
    errors += one_of(f"{path}.protocol", port.get("protocol"), PROTOCOLS)
    errors += port_or_name(f"{path}.targetPort", port.get("targetPort"))
    if port.get("appProtocol") is not None:
        errors += named(f"{path}.appProtocol", port["appProtocol"], validation.qualified_name_errors)
    return errors


def _affinity(spec: Object) -> Errors:
    affinity = spec.get("sessionAffinity")
    errors = one_of("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    config = given(spec, "sessionAffinityConfig")
    path = "spec.sessionAffinityConfig"
    if affinity == "None" and config is not None:
        errors.append(FieldError.forbidden(path, "must not be set when session affinity is None"))
    if affinity == "ClientIP":
        client = given(config or {}, "clientIP")
        seconds = (client or {}).get("timeoutSeconds")
        if seconds is None:
            detail = "when session affinity type is ClientIP"
            errors.append(FieldError.required(f"{path}.clientIP.timeoutSeconds", detail))
        elif not 0 < seconds <= AFFINITY_SECONDS_MAX:
            detail = f"must be greater than 0 and less than {AFFINITY_SECONDS_MAX}"
            errors.append(FieldError.invalid(f"{path}.clientIP.timeoutSeconds", seconds, detail))
    return errors


def validate_addresses(spec: Object) -> Errors:
    """Check what a service says of its cluster addresses and their families."""
    if spec.get("type") == "ExternalName":
        return []
    errors: Errors = []
    ip, ips = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    families = spec.get("ipFamilies") or []
    if ip and not ips:
        errors.append(FieldError.required("spec.clusterIPs"))
    elif ip and ips[0] != ip:
        errors.append(FieldError.invalid("spec.clusterIPs", ips, "first value must match `clusterIP`"))
    elif ips and not ip:
        detail = "must be empty when `clusterIP` is not specified"
        errors.append(FieldError.invalid("spec.clusterIPs", ips, detail))
    for index, family in enumerate(families):
        here = f"spec.ipFamilies[{index}]"
        if family not in FAMILIES:
            errors.append(FieldError.not_supported(here, family, FAMILIES))
        if family in families[:index]:
            errors.append(FieldError.duplicate(here, family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in FAMILY_POLICIES:
        errors.append(FieldError.not_supported("spec.ipFamilyPolicy", policy, FAMILY_POLICIES))
    malformed: Errors = []
    for index, address in enumerate(ips):
        if index == 0 and address == "None":
            if len(ips) > 1:
                detail = "'None' must be the first and only value"
                malformed.append(FieldError.invalid("spec.clusterIPs", ips, detail))
            continue
        malformed += older_ip(f"spec.clusterIPs[{index}]", address)
    errors += malformed
    if len(ips) > 2:
        errors.append(FieldError.invalid("spec.clusterIPs", ips, "may only hold up to 2 values"))
    if malformed:
        return errors
    if len(ips) == 2 and is_ipv6(ips[0]) == is_ipv6(ips[1]):
        detail = "may specify no more than one IP for each IP family"
        errors.append(FieldError.invalid("spec.clusterIPs", ips, detail))
    if not headless(spec):
        for index, (address, family) in enumerate(zip(ips, families, strict=False)):
            if (family == "IPv6") != is_ipv6(address):
                detail = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
                errors.append(FieldError.invalid(f"spec.clusterIPs[{index}]", address, detail))
    return errors


def _port_conflicts(spec: Object, ports: list[Object]) -> Errors:
    errors: Errors = []
    if spec.get("type") == "ClusterIP":
        errors += [
            FieldError.forbidden(
                f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'"
            )
            for index, port in enumerate(ports)
            if port.get("nodePort")
        ]
    seen: set[tuple[object, object]] = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("nodePort"))
        if port.get("nodePort"):
            if key in seen:
                errors.append(FieldError.duplicate(f"spec.ports[{index}].nodePort", port["nodePort"]))
            seen.add(key)
    seen.clear()
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            shown = {
                "Name": "",
                "Protocol": port.get("protocol"),
                "AppProtocol": None,
                "Port": port.get("port"),
                "TargetPort": 0,
                "NodePort": 0,
            }
            errors.append(FieldError.duplicate(f"spec.ports[{index}]", shown))
        seen.add(key)
    return errors


def _load_balancer(service: Object, spec: Object) -> Errors:
    errors: Errors = []
    balancer = spec.get("type") == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges") or []
    annotation = (metadata_of(service).get("annotations") or {}).get(_RANGES_ANNOTATION)
    if ranges:
        # The field's name starts with a capital in upstream's errors.
        path = "spec.LoadBalancerSourceRanges"
        if not balancer:
            errors.append(FieldError.forbidden(path, _ONLY_BALANCER))
        for index, value in enumerate(ranges):
            errors += older_cidr(f"{path}[{index}]", value.strip())
    elif annotation is not None:
        path = f"metadata.annotations[{_RANGES_ANNOTATION}]"
        if not balancer:
            errors.append(FieldError.forbidden(path, _ONLY_BALANCER))
        for value in annotation.strip().split(",") if annotation.strip() else ():
            errors += older_cidr(path, value.strip())
    if spec.get("allocateLoadBalancerNodePorts") is not None and not balancer:
        errors.append(FieldError.forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_BALANCER))
    return errors + _load_balancer_class(spec)


def _load_balancer_class(spec: Object) -> Errors:
    name = spec.get("loadBalancerClass")
    if name is None:
        return []
    if spec.get("type") != "LoadBalancer":
        return [FieldError.forbidden("spec.loadBalancerClass", _ONLY_BALANCER)]
    return named("spec.loadBalancerClass", name, validation.qualified_name_errors)


def _traffic(spec: Object) -> Errors:
    errors: Errors = []
    external = spec.get("externalTrafficPolicy")
    path = "spec.externalTrafficPolicy"
    if not reachable_from_outside(spec):
        if external:
            detail = "may only be set for externally-accessible services"
            errors.append(FieldError.invalid(path, external, detail))
    else:
        errors += one_of(path, external, TRAFFIC_POLICIES)
    port = spec.get("healthCheckNodePort") or 0
    if not needs_health_check(spec):
        if port:
            detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.append(FieldError.invalid("spec.healthCheckNodePort", port, detail))
    elif port:
        faults = validation.port_number_errors(port)
        errors += validation.invalid_each("spec.healthCheckNodePort", port, faults)
    internal = spec.get("internalTrafficPolicy")
    if internal is not None and internal not in TRAFFIC_POLICIES:
        errors.append(FieldError.not_supported("spec.internalTrafficPolicy", internal, TRAFFIC_POLICIES))
    elif internal is None and spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer"):
        errors.append(FieldError.required("spec.internalTrafficPolicy"))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        errors.append(FieldError.not_supported("spec.trafficDistribution", distribution, DISTRIBUTIONS))
    return errors


def validate_service_update(new: Object, old: Object) -> Errors:
    """Check a changed Service: what has been allocated to it stays."""
    spec, before = spec_of(new), spec_of(old)
    errors: Errors = []
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        errors += _changed_addresses(spec, before)
        if not headless(spec) and not headless(before):
            errors += _changed_families(spec, before)
    balancers = spec.get("type") == before.get("type") == "LoadBalancer"
    if balancers and spec.get("loadBalancerClass") != before.get("loadBalancerClass"):
        name = spec.get("loadBalancerClass")
        errors.append(FieldError.invalid("spec.loadBalancerClass", name, _SET_ONCE))
    checked = needs_health_check(spec) and needs_health_check(before)
    if checked and spec.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        errors.append(FieldError.forbidden("spec.healthCheckNodePort", "field is immutable"))
    return errors + validate_service(new)


def validate_service_status(new: Object, old: Object) -> Errors:
    """Check where a load balancer says that it takes traffic."""
    status, before = (
        objects((given(given(side, "status") or {}, "loadBalancer") or {}).get("ingress"))
        for side in (new, old)
    )
    path = "status.loadBalancer.ingress"
    if status and spec_of(new).get("type") != "LoadBalancer":
        return [FieldError.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    kept = {str(ingress["ip"]) for ingress in before if ingress.get("ip")}
    errors: Errors = []
    for index, ingress in enumerate(status):
        errors += _ingress(ingress, kept, f"{path}[{index}]")
    return errors


def _ingress(ingress: Object, kept: set[str], path: str) -> Errors:
    ip, mode, host = ingress.get("ip") or "", ingress.get("ipMode"), ingress.get("hostname") or ""
    errors = older_ip(f"{path}.ip", ip, kept) if ip else []
    if mode is None and ip:
        errors.append(FieldError.required(f"{path}.ipMode", "must be specified when `ip` is set"))
    elif mode is not None and not ip:
        errors.append(FieldError.forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set"))
    elif mode is not None and mode not in _IP_MODES:
        errors.append(FieldError.not_supported(f"{path}.ipMode", mode, _IP_MODES))
    if host:
        errors += named(f"{path}.hostname", host, validation.dns1123_subdomain_errors)
        if parse_ip(host) is not None:
            detail = "must be a DNS name, not an IP address"
            errors.append(FieldError.invalid(f"{path}.hostname", host, detail))
    return errors


def _changed_addresses(spec: Object, before: Object) -> Errors:
    if headless(spec) and headless(before):
        return []
    ips, were = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    errors: Errors = []
    if len(ips) == len(were):
        return [
            FieldError.invalid(f"spec.clusterIPs[{index}]", ips, _SET_ONCE)
            for index, (ip, was) in enumerate(zip(ips, were, strict=True))
            if ip != was
        ]
    if not ips:
        errors.append(FieldError.invalid("spec.clusterIPs[0]", ips, "primary clusterIP can not be unset"))
    elif were and ips[0] != were[0]:
        errors.append(FieldError.invalid("spec.clusterIPs[0]", ips, _SET_ONCE))
    if len(were) > len(ips) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        detail = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.append(FieldError.invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), detail))
    return errors


def _changed_families(spec: Object, before: Object) -> Errors:
    families, were = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    errors: Errors = []
    if len(families) == len(were):
        return [
            FieldError.invalid("spec.ipFamilies[0]", families, _SET_ONCE)
            for family, was in zip(families, were, strict=True)
            if family != was
        ]
    if len(were) > len(families) and not spec.get("clusterIPs"):
        detail = "primary ipFamily can not be unset"
        errors.append(FieldError.invalid("spec.ipFamilies[0]", families, detail))
    if families and were and families[0] != were[0]:
        errors.append(FieldError.invalid("spec.ipFamilies[0]", spec.get("clusterIPs"), _SET_ONCE))
    if len(were) > len(families) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        detail = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        errors.append(FieldError.invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), detail))
    return errors
