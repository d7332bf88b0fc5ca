"""What is wrong with webhook configurations."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.resources.checks import Errors, named, objects
from podium.resources.defaulting import given
from podium.resources.ratcheting import without_old_faults

REVIEW_VERSIONS = ("v1", "v1beta1")
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_FORM = "; desired format: https://host[/path]"
_BAD_PORT = re.compile(r":(?!\d*$)[^:\]@]*$")
_ENUMS = (
    ("failurePolicy", ("Fail", "Ignore")),
    ("matchPolicy", ("Equivalent", "Exact")),
)
_SIDE_EFFECTS = ("None", "NoneOnDryRun")


def validate_webhooks(configuration: Object) -> Errors:
    """Check the webhooks of a configuration of either kind."""
    return _webhooks(configuration, check_conditions=True)


def validate_webhooks_update(new: Object, old: Object) -> Errors:
    """As `validate_webhooks`; conditions that stay as they are are not looked at again."""
    before, after = (
        [webhook.get("matchConditions") for webhook in objects(one.get("webhooks"))] for one in (old, new)
    )
    return without_old_faults(
        _webhooks(new, check_conditions=before != after), lambda: _webhooks(old, check_conditions=False)
    )


def _webhooks(configuration: Object, *, check_conditions: bool) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, webhook in enumerate(objects(configuration.get("webhooks"))):
        path = f"webhooks[{index}]"
        errors += _webhook(webhook, path, check_conditions=check_conditions)
        errors += _review_versions(webhook.get("admissionReviewVersions") or [], path)
        name = str(webhook.get("name") or "")
        if name in seen:
            errors.append(FieldError.duplicate(f"{path}.name", name))
        if name:
            seen.add(name)
    return errors


def _conditions(conditions: Json, path: str) -> Errors:
    if not conditions:
        return []
    from podium.resources.admissionregistration.expressions import Scope  # noqa: PLC0415
    from podium.resources.admissionregistration.match_conditions import match_condition_errors  # noqa: PLC0415

    return match_condition_errors(conditions, Scope(), path)


def _webhook(webhook: Object, path: str, *, check_conditions: bool) -> Errors:
    errors = _qualified_name(str(webhook.get("name") or ""), f"{path}.name")
    for index, rule in enumerate(objects(webhook.get("rules"))):
        errors += rule_errors(rule, f"{path}.rules[{index}]")
    for key, values in _ENUMS:
        value = webhook.get(key)
        if value is not None and value not in values:
            errors.append(FieldError.not_supported(f"{path}.{key}", value, values))
    effects = webhook.get("sideEffects")
    if effects is None:
        detail = f"must specify one of {', '.join(_SIDE_EFFECTS)}"
        errors.append(FieldError.required(f"{path}.sideEffects", detail))
    elif effects not in _SIDE_EFFECTS:
        errors.append(FieldError.not_supported(f"{path}.sideEffects", effects, _SIDE_EFFECTS))
    timeout = webhook.get("timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= 30:
        detail = "the timeout value must be between 1 and 30 seconds"
        errors.append(FieldError.invalid(f"{path}.timeoutSeconds", timeout, detail))
    for key in ("namespaceSelector", "objectSelector"):
        errors += validation.validate_label_selector(given(webhook, key), f"{path}.{key}")
    again = webhook.get("reinvocationPolicy")
    if again is not None and again not in ("IfNeeded", "Never"):
        values = ("IfNeeded", "Never")
        errors.append(FieldError.not_supported(f"{path}.reinvocationPolicy", again, values))
    errors += validate_client(given(webhook, "clientConfig") or {}, f"{path}.clientConfig")
    if check_conditions:
        errors += _conditions(webhook.get("matchConditions"), f"{path}.matchConditions")
    return errors


def _qualified_name(name: str, path: str) -> Errors:
    if not name:
        return [FieldError.required(path)]
    errors = named(path, name, validation.dns1123_subdomain_errors)
    if not errors and len(name.split(".")) < 3:
        detail = "should be a domain with at least three segments separated by dots"
        errors.append(FieldError.invalid(path, name, detail))
    return errors


def validate_client(client: Object, path: str) -> Errors:
    """Check where a webhook is called: at a URL or at a service."""
    url, service = client.get("url"), given(client, "service")
    if (url is None) == (service is None):
        return [FieldError.required(path, "exactly one of url or service is required")]
    if url is not None:
        return _url(url, f"{path}.url")
    return _service(service or {}, f"{path}.service")


def _url(url: str, path: str) -> Errors:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return [FieldError.required(path, f"url must be a valid URL: {error}{_FORM}")]
    port = _BAD_PORT.search(parts.netloc)
    if port is not None:
        detail = f'url must be a valid URL: parse "{url}": invalid port "{port[0]}" after host{_FORM}'
        return [FieldError.required(path, detail)]
    errors: Errors = []
    if parts.scheme != "https":
        detail = f"'https' is the only allowed URL scheme{_FORM}"
        errors.append(FieldError.invalid(path, parts.scheme, detail))
    user, at, host = parts.netloc.rpartition("@")
    if not host:
        errors.append(FieldError.invalid(path, host, f"host must be specified{_FORM}"))
    if at:
        errors.append(FieldError.invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        detail = "fragments are not permitted in the URL"
        errors.append(FieldError.invalid(path, parts.fragment, detail))
    if parts.query:
        detail = "query parameters are not permitted in the URL"
        errors.append(FieldError.invalid(path, parts.query, detail))
    return errors


def _service(service: Object, path: str) -> Errors:
    # Upstream hands the two to its check in the wrong order, and so blames the other one.
    blamed = {"namespace": "name", "name": "namespace"}
    errors: Errors = [
        FieldError.required(f"{path}.{other}") for key, other in blamed.items() if not service.get(key)
    ]
    port = service.get("port")
    faults = validation.port_number_errors(port) if port is not None else []
    if faults:
        detail = "port is not valid: " + ", ".join(faults)
        errors.append(FieldError.invalid(f"{path}.port", port, detail))
    where = str(service.get("path") or "/")
    here = f"{path}.path"
    if where == "/":
        return errors
    if where == "//":
        return [*errors, FieldError.invalid(here, where, "segment[0] may not be empty")]
    if not where.startswith("/"):
        errors.append(FieldError.invalid(here, where, "must start with a '/'"))
    for index, step in enumerate(where[1:].removesuffix("/").split("/")):
        if not step:
            errors.append(FieldError.invalid(here, where, f"segment[{index}] may not be empty"))
            continue
        for fault in validation.dns1123_subdomain_errors(step):
            errors.append(FieldError.invalid(here, where, f"segment[{index}]: {fault}"))
    return errors


def _review_versions(versions: list[str], path: str) -> Errors:
    here = f"{path}.admissionReviewVersions"
    if not versions:
        return [FieldError.required(here, f"must specify one of {', '.join(REVIEW_VERSIONS)}")]
    errors: Errors = []
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.append(FieldError.invalid(f"{here}[{index}]", version, "duplicate version"))
            continue
        errors += named(f"{here}[{index}]", version, validation.dns1035_label_errors)
    if not set(versions) & set(REVIEW_VERSIONS):
        detail = f"must include at least one of {', '.join(REVIEW_VERSIONS)}"
        errors.append(FieldError.invalid(here, versions, detail))
    return errors


def rule_errors(rule: Object, path: str) -> Errors:
    """Check one rule of a webhook or a policy."""
    operations = rule.get("operations") or []
    errors: Errors = []
    if not operations:
        errors.append(FieldError.required(f"{path}.operations"))
    if len(operations) > 1 and "*" in operations:
        detail = "if '*' is present, must not specify other operations"
        errors.append(FieldError.invalid(f"{path}.operations", operations, detail))
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            here = f"{path}.operations[{index}]"
            errors.append(FieldError.not_supported(here, operation, _OPERATIONS))
    for key, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(key) or []
        if not values:
            errors.append(FieldError.required(f"{path}.{key}"))
        if len(values) > 1 and "*" in values:
            detail = f"if '*' is present, must not specify other {what}"
            errors.append(FieldError.invalid(f"{path}.{key}", values, detail))
        if key == "apiVersions":
            errors += [
                FieldError.required(f"{path}.{key}[{index}]") for index, one in enumerate(values) if not one
            ]
    errors += _resources(rule.get("resources") or [], f"{path}.resources")
    scope = rule.get("scope")
    scopes = ("*", "Cluster", "Namespaced")
    if scope is not None and scope not in scopes:
        errors.append(FieldError.not_supported(f"{path}.scope", scope, scopes))
    return errors


def _resources(resources: list[str], path: str) -> Errors:
    if not resources:
        return [FieldError.required(path)]
    errors: Errors = []
    whole: set[str] = set()
    everywhere: set[str] = set()
    for index, text in enumerate(resources):
        here = f"{path}[{index}]"
        if not text:
            errors.append(FieldError.required(here))
            continue
        resource, slash, sub = text.partition("/")
        if not slash:
            continue
        if resource in whole:
            detail = f"if '{resource}/*' is present, must not specify {text}"
            errors.append(FieldError.invalid(here, text, detail))
        if sub in everywhere:
            detail = f"if '*/{sub}' is present, must not specify {text}"
            errors.append(FieldError.invalid(here, text, detail))
        if sub == "*":
            whole.add(resource)
        if resource == "*":
            everywhere.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        detail = "if '*/*' is present, must not specify other resources"
        errors.append(FieldError.invalid(path, resources, detail))
    plain = [text for text in resources if "/" not in text]
    if "*" in plain and plain[-1] != "*":
        detail = "if '*' is present, must not specify other resources without subresources"
        errors.append(FieldError.invalid(path, resources, detail))
    return errors
