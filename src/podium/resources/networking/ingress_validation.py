"""What is wrong with ingresses and their classes. Upstream: pkg/apis/networking/validation/validation.go."""

from __future__ import annotations

from dataclasses import dataclass

from podium.machinery import validation
from podium.machinery.addresses import ip_warnings, older_ip, parse_ip
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import dict_or_none
from podium.resources.checks import Errors, immutable, metadata_of, named, objects, required_name, spec_of
from podium.resources.defaulting import given

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
SCOPES = ("Cluster", "Namespace")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_CONTROLLER_LENGTH_MAX = 250
_NO_IP = "must be a DNS name, not an IP address"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowed:
    """What an object may keep because an older release let it in."""

    secret_names: bool = False
    wildcard_rules: bool = False


_STRICT = _Allowed()


def validate_ingress(ingress: Object) -> Errors:
    """Check a new Ingress."""
    errors = _ingress(ingress, _STRICT)
    annotation = (metadata_of(ingress).get("annotations") or {}).get(CLASS_ANNOTATION)
    name = spec_of(ingress).get("ingressClassName")
    if annotation is not None and name is not None and annotation != name:
        detail = "must match `ingressClassName` when both are specified"
        errors.append(FieldError.invalid(f"annotations.{CLASS_ANNOTATION}", annotation, detail))
    return errors


def validate_ingress_update(new: Object, old: Object) -> Errors:
    """Check a changed Ingress: what older releases let in may stay."""
    spec = spec_of(old)
    secrets = any(_secret_name_errors(tls) for tls in objects(spec.get("tls")))
    wildcards = any(
        "*" in str(rule.get("host") or "") and _rule_value(rule, "") for rule in objects(spec.get("rules"))
    )
    return _ingress(new, _Allowed(secret_names=secrets, wildcard_rules=wildcards))


def validate_ingress_status(new: Object, old: Object) -> Errors:
    """Check the addresses that a load balancer reports."""
    kept = {str(balancer.get("ip") or "") for balancer in _balancers(old)}
    errors: Errors = []
    for index, balancer in enumerate(_balancers(new)):
        here = f"status.loadBalancer.ingress[{index}]"
        if balancer.get("ip"):
            errors += older_ip(f"{here}.ip", balancer["ip"], kept)
        hostname = balancer.get("hostname")
        if hostname:
            errors += named(f"{here}.hostname", hostname, validation.dns1123_subdomain_errors)
            if parse_ip(hostname) is not None:
                errors.append(FieldError.invalid(f"{here}.hostname", hostname, _NO_IP))
    return errors


def ingress_warnings(new: Object, old: Object | None) -> list[str]:
    """Tell who still chooses the class by annotation, and which addresses programs may read differently."""
    if old is not None:
        return [
            warning
            for index, balancer in enumerate(_balancers(new))
            if balancer.get("ip") and balancer not in _balancers(old)
            for warning in ip_warnings(f"status.loadBalancer.ingress[{index}]", balancer["ip"])
        ]
    annotations = metadata_of(new).get("annotations") or {}
    if CLASS_ANNOTATION in annotations and spec_of(new).get("ingressClassName") is None:
        return [
            f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"
        ]
    return []


def _balancers(ingress: Object) -> list[Object]:
    status = dict_or_none(ingress.get("status")) or {}
    return objects((dict_or_none(status.get("loadBalancer")) or {}).get("ingress"))


def _ingress(ingress: Object, allowed: _Allowed) -> Errors:
    spec = spec_of(ingress)
    errors: Errors = []
    rules, default = objects(spec.get("rules")), given(spec, "defaultBackend")
    if not rules and default is None:
        detail = "either `defaultBackend` or `rules` must be specified"
        errors.append(FieldError.invalid("spec", [], detail))
    if default is not None:
        errors += _backend(default, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        errors += _rule(rule, f"spec.rules[{index}]", allowed)
    for index, tls in enumerate(objects(spec.get("tls"))):
        for host_index, host in enumerate(tls.get("hosts") or ()):
            errors += _host(host, f"spec.tls[{index}].hosts[{host_index}]")
        if not allowed.secret_names:
            name, faults = tls.get("secretName"), _secret_name_errors(tls)
            errors += validation.invalid_each(f"spec.tls[{index}].secretName", name, faults)
    if spec.get("ingressClassName") is not None:
        rule_of_name = validation.dns1123_subdomain_errors
        errors += named("spec.ingressClassName", spec["ingressClassName"], rule_of_name)
    return errors


def _host(host: str, path: str) -> Errors:
    if "*" in host:
        return named(path, host, validation.wildcard_subdomain_errors)
    return named(path, host, validation.dns1123_subdomain_errors)


def _secret_name_errors(tls: Object) -> list[str]:
    name = tls.get("secretName")
    return validation.dns1123_subdomain_errors(name) if name else []


def _rule(rule: Object, path: str, allowed: _Allowed) -> Errors:
    errors: Errors = []
    host = str(rule.get("host") or "")
    if host:
        if parse_ip(host) is not None:
            errors.append(FieldError.invalid(f"{path}.host", host, _NO_IP))
        errors += _host(host, f"{path}.host")
    if "*" in host and allowed.wildcard_rules:
        return errors
    return errors + _rule_value(rule, path)


def _rule_value(rule: Object, path: str) -> Errors:
    http = given(rule, "http")
    if http is None:
        return []
    errors: Errors = []
    paths = objects(http.get("paths"))
    if not paths:
        errors.append(FieldError.required(f"{path}.http.paths"))
    for index, entry in enumerate(paths):
        errors += _path(entry, f"{path}.http.paths[{index}]")
    return errors


def _path(entry: Object, path: str) -> Errors:
    kind, where = entry.get("pathType"), str(entry.get("path") or "")
    if kind is None:
        return [FieldError.required(f"{path}.pathType", "pathType must be specified")]
    errors: Errors = []
    if kind not in PATH_TYPES:
        errors.append(FieldError.not_supported(f"{path}.pathType", kind, PATH_TYPES))
    elif (kind != "ImplementationSpecific" or where) and not where.startswith("/"):
        errors.append(FieldError.invalid(f"{path}.path", where, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        for sequence in ("//", "/./", "/../", "%2f", "%2F"):
            if sequence in where:
                errors.append(FieldError.invalid(f"{path}.path", where, f"must not contain '{sequence}'"))
        for suffix in ("/..", "/."):
            if where.endswith(suffix):
                errors.append(FieldError.invalid(f"{path}.path", where, f"cannot end with '{suffix}'"))
    return errors + _backend(given(entry, "backend") or {}, f"{path}.backend")


def _backend(backend: Object, path: str) -> Errors:
    service, resource = given(backend, "service"), given(backend, "resource")
    if service is not None and resource is not None:
        detail = "cannot set both resource and service backends"
        return [FieldError.invalid(path, "", detail)]
    if resource is not None:
        return typed_reference(resource, f"{path}.resource")
    if service is None:
        return [FieldError.invalid(path, "", "resource or service backend is required")]
    errors: Errors = []
    name = str(service.get("name") or "")
    if not name:
        errors.append(FieldError.required(f"{path}.service.name"))
    else:
        errors += named(f"{path}.service.name", name, validation.dns1123_label_errors)
    port = given(service, "port") or {}
    here = f"{path}.service.port"
    if port.get("name") and port.get("number"):
        detail = "cannot set both port name & port number"
        errors.append(FieldError.invalid(path, "", detail))
    elif port.get("name"):
        errors += named(f"{here}.name", port["name"], validation.port_name_errors)
    elif port.get("number"):
        faults = validation.port_number_errors(port["number"])
        errors += validation.invalid_each(f"{here}.number", port["number"], faults)
    else:
        errors.append(FieldError.required(path, "port name or number is required"))
    return errors


def typed_reference(reference: Object, path: str) -> Errors:
    """Check a reference to an object of any kind in the same namespace."""
    errors: Errors = []
    if reference.get("apiGroup") is not None:
        errors += named(f"{path}.apiGroup", reference["apiGroup"], validation.dns1123_subdomain_errors)
    for key in ("kind", "name"):
        errors += required_name(f"{path}.{key}", reference.get(key), validation.path_segment_errors)
    return errors


def validate_ingress_class(ingress_class: Object) -> Errors:
    """Check an IngressClass."""
    spec = spec_of(ingress_class)
    controller = str(spec.get("controller") or "")
    errors: Errors = []
    if len(controller) > _CONTROLLER_LENGTH_MAX:
        errors.append(FieldError.too_long("spec.controller", _CONTROLLER_LENGTH_MAX))
    errors += validation.validate_domain_prefixed_path(controller, "spec.controller")
    parameters = given(spec, "parameters")
    return errors if parameters is None else errors + _parameters(parameters, "spec.parameters")


def validate_ingress_class_update(new: Object, old: Object) -> Errors:
    """Check a changed IngressClass: its controller stays."""
    return immutable(spec_of(new), spec_of(old), "controller", field="spec") + validate_ingress_class(new)


def _parameters(parameters: Object, path: str) -> Errors:
    errors = typed_reference(parameters, path)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        return [*errors, FieldError.required(f"{path}.scope")]
    if scope not in SCOPES:
        return [*errors, FieldError.not_supported(f"{path}.scope", scope, SCOPES)]
    if scope == "Cluster" and namespace is not None:
        errors.append(FieldError.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    elif scope == "Namespace" and namespace is None:
        errors.append(FieldError.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
    elif namespace is not None:
        errors += named(f"{path}.namespace", namespace, validation.dns1123_label_errors)
    return errors
