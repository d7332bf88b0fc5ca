"""The rules that every resource shares: names, labels, metadata, addresses; with upstream's exact messages.

Two shapes. `*_errors(value) -> list[str]` says what is wrong with one string, for the caller to hang on a
field; `validate_*(…, field) -> list[FieldError]` walks a structure. Upstream: in apimachinery,
pkg/api/validation, pkg/api/validate/content, pkg/apis/meta/v1/validation, pkg/util/validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from podium.base.caching import kept_if_short
from podium.base.clock import parse_rfc3339
from podium.machinery.errors import FieldError, Json, Object, quoted
from podium.machinery.resource import Resource

ANNOTATIONS_SIZE_BYTES_MAX = 256 * 1024
FIELD_MANAGER_LENGTH_MAX = 128
SUBRESOURCE_LENGTH_MAX = 256
LABEL_LENGTH_MAX = 63
SUBDOMAIN_LENGTH_MAX = 253

IMMUTABLE = "field is immutable"
FINALIZER_ORPHAN = "orphan"
FINALIZER_FOREGROUND = "foregroundDeletion"
CORE_FINALIZERS = ("kubernetes", FINALIZER_ORPHAN, FINALIZER_FOREGROUND)

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_UNDERSCORED_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORED_SUBDOMAIN = rf"{_UNDERSCORED_LABEL}(\.{_UNDERSCORED_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_LABEL_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_LABEL_KEY})?"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_PERCENT = "[0-9]+%"
_HTTP_HEADER = "[-A-Za-z0-9]+"
_ENV_VAR = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_CONDITION_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def _full(pattern: str) -> Callable[[str], object]:
    # `\Z`, not `$`: a trailing newline is no part of a name.
    return re.compile(rf"(?:{pattern})\Z", re.ASCII).match


_is_label = _full(_LABEL)
_is_subdomain = _full(_SUBDOMAIN)
_is_underscored_subdomain = _full(_UNDERSCORED_SUBDOMAIN)
_is_label_1035 = _full(_LABEL_1035)
_is_wildcard = _full(_WILDCARD)
_is_label_key = _full(_LABEL_KEY)
_is_label_value = _full(_LABEL_VALUE)
_is_c_identifier = _full(_C_IDENTIFIER)
_is_percent = _full(_PERCENT)
_is_http_header = _full(_HTTP_HEADER)
_is_env_var = _full(_ENV_VAR)
_is_config_key = _full(_CONFIG_KEY)
_is_condition_reason = _full(_CONDITION_REASON)
_is_http_path = _full(_HTTP_PATH)


# --- messages that several rules share ---


def regex_message(text: str, pattern: str, *examples: str) -> str:
    """Return upstream's RegexError: the rule, examples of it and the pattern."""
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    shown_examples = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {shown_examples}regex used for validation is '{pattern}')"


def too_long_message(length_max: int, unit: str = "characters") -> str:
    return f"must be no more than {length_max} {unit}"


def range_message(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


# --- one string ---


def is_dns1123_label(text: str) -> bool:
    return len(text) <= LABEL_LENGTH_MAX and _is_label(text) is not None


def is_dns1123_subdomain(text: str) -> bool:
    return len(text) <= SUBDOMAIN_LENGTH_MAX and _is_subdomain(text) is not None


def is_dns1035_label(text: str) -> bool:
    return len(text) <= LABEL_LENGTH_MAX and _is_label_1035(text) is not None


def dns1123_label_errors(text: str) -> list[str]:
    """Pod, container, namespace and volume names and the like."""
    errors = []
    if len(text.encode()) > LABEL_LENGTH_MAX:
        errors.append(too_long_message(LABEL_LENGTH_MAX))
    if not _is_label(text):
        if _is_subdomain(text):
            errors.append("must not contain dots")
        else:
            rule = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                "and must start and end with an alphanumeric character"
            )
            errors.append(regex_message(rule, _LABEL, "my-name", "123-abc"))
    return errors


def dns1123_subdomain_errors(text: str, *, unit: str = "characters") -> list[str]:
    """The usual rule for object names."""
    errors = []
    if len(text.encode()) > SUBDOMAIN_LENGTH_MAX:
        errors.append(too_long_message(SUBDOMAIN_LENGTH_MAX, unit))
    if not _is_subdomain(text):
        rule = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        errors.append(regex_message(rule, _SUBDOMAIN, "example.com"))
    return errors


def underscored_subdomain_errors(text: str) -> list[str]:
    """As DNS names in search paths, which may have underscores."""
    errors = []
    if len(text.encode()) > SUBDOMAIN_LENGTH_MAX:
        errors.append(too_long_message(SUBDOMAIN_LENGTH_MAX))
    if not _is_underscored_subdomain(text):
        rule = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or "
            "'.', and must start and end with an alphanumeric character"
        )
        errors.append(regex_message(rule, _UNDERSCORED_SUBDOMAIN, "example.com"))
    return errors


def dns1035_label_errors(text: str) -> list[str]:
    """Service names."""
    errors = []
    if len(text.encode()) > LABEL_LENGTH_MAX:
        errors.append(too_long_message(LABEL_LENGTH_MAX))
    if not _is_label_1035(text):
        rule = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
            "alphabetic character, and end with an alphanumeric character"
        )
        errors.append(regex_message(rule, _LABEL_1035, "my-name", "abc-123"))
    return errors


def wildcard_subdomain_errors(text: str) -> list[str]:
    errors = []
    if len(text.encode()) > SUBDOMAIN_LENGTH_MAX:
        errors.append(too_long_message(SUBDOMAIN_LENGTH_MAX))
    if not _is_wildcard(text):
        rule = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
            "must consist of lower case alphanumeric characters, '-' or '.' and end with an "
            "alphanumeric character"
        )
        errors.append(regex_message(rule, _WILDCARD, "*.example.com"))
    return errors


def told_in_bytes(messages: list[str]) -> list[str]:
    """Return the faults of a name as upstream's declared rules word them: lengths are in bytes."""
    return [re.sub("^(must be no more than [0-9]+) characters$", r"\1 bytes", one) for one in messages]


def path_segment_errors(text: str) -> list[str]:
    """Names that need only survive in a URL: roles, bindings, ..."""
    if text == ".":
        return ["may not be '.'"]
    if text == "..":
        return ["may not be '..'"]
    return [f"may not contain '{illegal}'" for illegal in ("/", "%") if illegal in text]


_LABEL_KEY_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character"
)


@kept_if_short(4096)
def _qualified_name_errors(text: str) -> tuple[str, ...]:
    errors: list[str] = []
    examples = ("MyName", "my.name", "123-abc")
    parts = text.split("/")
    if len(parts) > 2:
        rule = regex_message(f"a valid label key {_LABEL_KEY_RULE}", _LABEL_KEY, *examples)
        return (f"{rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    if len(parts) == 2:
        prefix = parts[0]
        if not prefix:
            errors.append("prefix part must be non-empty")
        else:
            errors += [f"prefix part {error}" for error in dns1123_subdomain_errors(prefix, unit="bytes")]
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name.encode()) > LABEL_LENGTH_MAX:
        errors.append(f"name part {too_long_message(LABEL_LENGTH_MAX, 'bytes')}")
    if not _is_label_key(name):
        errors.append(f"name part {regex_message(_LABEL_KEY_RULE, _LABEL_KEY, *examples)}")
    return tuple(errors)


def qualified_name_errors(text: str) -> list[str]:
    """Label and annotation keys, finalizers, resource names: `[prefix/]name`."""
    return list(_qualified_name_errors(text))


def label_value_errors(text: str) -> list[str]:
    errors = []
    if len(text.encode()) > LABEL_LENGTH_MAX:
        errors.append(too_long_message(LABEL_LENGTH_MAX, "bytes"))
    if not _is_label_value(text):
        rule = f"a valid label must be an empty string or {_LABEL_KEY_RULE.removeprefix('must ')}"
        errors.append(regex_message(rule, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return errors


def c_identifier_errors(text: str) -> list[str]:
    if _is_c_identifier(text):
        return []
    rule = (
        "a valid C identifier must start with alphabetic character or '_', followed by a string of "
        "alphanumeric characters or '_'"
    )
    return [regex_message(rule, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")]


def port_number_errors(port: int) -> list[str]:
    return [] if 1 <= port <= 65535 else [range_message(1, 65535)]


def user_id_errors(number: int) -> list[str]:
    """User and group ids."""
    return [] if 0 <= number <= 2**31 - 1 else [range_message(0, 2**31 - 1)]


def port_name_errors(text: str) -> list[str]:
    """IANA service names (RFC 6335), in lower case."""
    errors = []
    if len(text.encode()) > 15:
        errors.append(too_long_message(15))
    if not re.fullmatch("[-a-z0-9]+", text):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        errors.append("must contain at least one letter (a-z)")
    if "--" in text:
        errors.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def percent_errors(text: str) -> list[str]:
    if _is_percent(text):
        return []
    rule = "a valid percent string must be a numeric string followed by an ending '%'"
    return [regex_message(rule, _PERCENT, "1%", "93%")]


def http_header_name_errors(text: str) -> list[str]:
    if _is_http_header(text):
        return []
    rule = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [regex_message(rule, _HTTP_HEADER, "X-Header-Name")]


def env_var_name_errors(text: str) -> list[str]:
    """What upstream asks of a variable's name in a container: printable ASCII without `=`."""
    errors = []
    if not text:
        errors.append("environment variable name must be non-empty")
    if any(not " " <= char <= "~" or char == "=" for char in text):
        errors.append(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )
    return errors


def strict_env_var_name_errors(text: str) -> list[str]:
    """The older rule, which decides which keys `envFrom` takes where the relaxed one is off."""
    errors = []
    if not _is_env_var(text):
        rule = (
            "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or "
            "'.', and must not start with a digit"
        )
        errors.append(regex_message(rule, _ENV_VAR, "my.env-name", "MY_ENV.NAME", "MyEnvName1"))
    return errors + _dot_errors(text)


def config_map_key_errors(text: str) -> list[str]:
    """Keys of ConfigMaps and Secrets, which may become file names."""
    errors = []
    if len(text.encode()) > SUBDOMAIN_LENGTH_MAX:
        errors.append(too_long_message(SUBDOMAIN_LENGTH_MAX))
    if not _is_config_key(text):
        rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        errors.append(regex_message(rule, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return errors + _dot_errors(text)


def _dot_errors(text: str) -> list[str]:
    if text in (".", ".."):
        return [f"must not be '{text}'"]
    return ["must not start with '..'"] if text.startswith("..") else []


def condition_reason_errors(text: str) -> list[str]:
    if _is_condition_reason(text):
        return []
    rule = (
        "a condition reason must start with alphabetic character, optionally followed by a string of "
        "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'"
    )
    examples = ("my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB")
    return [regex_message(rule, _CONDITION_REASON, *examples)]


# --- structures ---


def invalid_each(field: str, value: Json, messages: Iterable[str]) -> list[FieldError]:
    """Hang each message about `value` on `field`."""
    return [FieldError.invalid(field, value, message) for message in messages]


def validate_domain_prefixed_path(text: str, field: str) -> list[FieldError]:
    """Check a name that its owner's domain keeps apart from others': `acme.io/foo`."""
    if not text:
        return [FieldError.required(field)]
    host, _, path = text.partition("/")
    if not host or not path:
        detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
        return [FieldError.invalid(field, text, detail)]
    errors = invalid_each(field, host, dns1123_subdomain_errors(host))
    if not re.fullmatch(_HTTP_PATH, path):
        errors.append(FieldError.invalid(field, path, regex_message("Invalid path", _HTTP_PATH)))
    return errors


def validate_nonnegative(value: int, field: str) -> list[FieldError]:
    if value >= 0:
        return []
    return [FieldError.invalid(field, value, "must be greater than or equal to 0")]


def validate_immutable(new: Json, old: Json, field: str) -> list[FieldError]:
    """Report a change; an absent value and an empty one are the same, as upstream's Semantic.DeepEqual."""
    if new == old or (not new and not old and not isinstance(new, int) and not isinstance(old, int)):
        return []
    return [FieldError.invalid(field, new, IMMUTABLE)]


def validate_labels(labels: Mapping[str, str] | None, field: str = "metadata.labels") -> list[FieldError]:
    errors = []
    for key, value in (labels or {}).items():
        errors += invalid_each(field, key, _qualified_name_errors(key))
        if value:
            errors += invalid_each(field, value, label_value_errors(value))
    return errors


def validate_label_selector(
    selector: Object | None, field: str, *, any_values: bool = False
) -> list[FieldError]:
    """A metav1.LabelSelector as part of an object; with `any_values` its expressions may name any."""
    if not selector:
        return []
    errors = validate_labels(selector.get("matchLabels"), f"{field}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        errors += _validate_expression(expression, f"{field}.matchExpressions[{index}]", any_values)
    return errors


def _validate_expression(expression: Object, field: str, any_values: bool) -> list[FieldError]:
    errors = []
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            detail = "must be specified when `operator` is 'In' or 'NotIn'"
            errors.append(FieldError.required(f"{field}.values", detail))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(FieldError.forbidden(f"{field}.values", detail))
    else:
        errors.append(FieldError.invalid(f"{field}.operator", operator, "not a valid selector operator"))
    key = expression.get("key", "")
    errors += invalid_each(f"{field}.key", key, _qualified_name_errors(key))
    for index, value in enumerate(() if any_values else values):
        errors += invalid_each(f"{field}.values[{index}]", value, label_value_errors(value))
    return errors


def validate_annotations(annotations: Mapping[str, str] | None, field: str) -> list[FieldError]:
    errors = []
    size = 0
    for key, value in (annotations or {}).items():
        errors += invalid_each(field, key, _qualified_name_errors(key.lower()))
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_SIZE_BYTES_MAX:
        errors.append(FieldError.too_long(field, ANNOTATIONS_SIZE_BYTES_MAX))
    return errors


def validate_domain_prefixed_key(key: str, field: str) -> list[FieldError]:
    """Ask for a qualified name that has its domain: `example.com/key`."""
    if not key:
        return [FieldError.required(field)]
    errors = invalid_each(field, key, qualified_name_errors(key))
    if not errors and key.count("/") != 1:
        detail = 'must be a domain-prefixed key (such as "acme.io/foo")'
        errors.append(FieldError.invalid(field, key, detail))
    return errors


def validate_owner_references(references: Sequence[Object], field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    controller = ""
    for reference in references:
        api_version = reference.get("apiVersion") or ""
        kind, name = reference.get("kind") or "", reference.get("name") or ""
        if not api_version.rpartition("/")[2]:
            errors.append(FieldError.invalid(f"{field}.apiVersion", api_version, "version must not be empty"))
        for part, value in (("kind", kind), ("name", name), ("uid", reference.get("uid") or "")):
            if not value:
                errors.append(FieldError.invalid(f"{field}.{part}", value, "must not be empty"))
        if (api_version, kind) == ("v1", "Event"):
            detail = "/v1, Kind=Event is disallowed from being an owner"
            errors.append(FieldError.invalid(field, reference, detail))
        if reference.get("controller"):
            this = f"{kind}/{name}"
            if controller:
                detail = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {this}'
                )
                errors.append(FieldError.invalid(field, list(references), detail))
            else:
                controller = this
    return errors


def validate_finalizers(finalizers: Sequence[str], field: str) -> list[FieldError]:
    errors = []
    for finalizer in finalizers:
        errors += invalid_each(field, finalizer, _qualified_name_errors(finalizer))
    if FINALIZER_ORPHAN in finalizers and FINALIZER_FOREGROUND in finalizers:
        detail = f"finalizer {FINALIZER_ORPHAN} and {FINALIZER_FOREGROUND} cannot be both set"
        errors.append(FieldError.invalid(field, list(finalizers), detail))
    return errors


def validate_core_finalizers(meta: Object, field: str = "metadata") -> list[FieldError]:
    """Ask of a finalizer in one word that it be one of upstream's own, as most built-in kinds do."""
    return [
        FieldError.invalid(
            f"{field}.finalizers[{index}]",
            finalizer,
            "name is neither a standard finalizer name nor is it fully qualified",
        )
        for index, finalizer in enumerate(meta.get("finalizers") or ())
        if "/" not in finalizer and finalizer not in CORE_FINALIZERS
    ]


def validate_field_manager(manager: str, field: str = "fieldManager") -> list[FieldError]:
    errors = []
    if len(manager.encode()) > FIELD_MANAGER_LENGTH_MAX:
        errors.append(FieldError.too_long(field, FIELD_MANAGER_LENGTH_MAX))
    if manager.isprintable():  # Of white space, only a blank is.
        return errors
    for index, char in enumerate(manager):
        if not char.isprintable():
            position = len(manager[:index].encode())
            detail = f"invalid character U+{ord(char):04X} (at position {position})"
            shown_value = quoted(manager)
            message = f"Invalid value: {shown_value}: {detail}"
            errors.append(FieldError(field, "FieldValueInvalid", message))
    return errors


def validate_managed_fields(entries: Sequence[Object], field: str) -> list[FieldError]:
    errors = []
    for index, entry in enumerate(entries):
        path = f"{field}[{index}]"
        operation = entry.get("operation", "")
        if operation not in ("Apply", "Update"):
            errors.append(FieldError.invalid(f"{path}.operation", operation, "must be `Apply` or `Update`"))
        kind = entry.get("fieldsType", "")
        if kind and kind != "FieldsV1":
            errors.append(FieldError.invalid(f"{path}.fieldsType", kind, "must be `FieldsV1`"))
        errors += validate_field_manager(entry.get("manager") or "", f"{path}.manager")
        if len((entry.get("subresource") or "").encode()) > SUBRESOURCE_LENGTH_MAX:
            errors.append(FieldError.too_long(f"{path}.subresource", SUBRESOURCE_LENGTH_MAX))
    return errors


def validate_conditions(conditions: Sequence[Object], field: str) -> list[FieldError]:
    """A list of metav1.Condition."""
    errors = []
    seen = set()
    for index, condition in enumerate(conditions):
        path = f"{field}[{index}]"
        kind = condition.get("type") or ""
        if kind in seen:
            errors.append(FieldError.duplicate(f"{path}.type", kind))
        seen.add(kind)
        errors += invalid_each(f"{path}.type", kind, _qualified_name_errors(kind))
        status = condition.get("status") or ""
        if status not in ("True", "False", "Unknown"):
            errors.append(FieldError.not_supported(f"{path}.status", status, ("False", "True", "Unknown")))
        observed = condition.get("observedGeneration") or 0
        if observed < 0:
            detail = "must be greater than or equal to zero"
            errors.append(FieldError.invalid(f"{path}.observedGeneration", observed, detail))
        if not condition.get("lastTransitionTime"):
            errors.append(FieldError.required(f"{path}.lastTransitionTime"))
        reason = condition.get("reason") or ""
        if not reason:
            errors.append(FieldError.required(f"{path}.reason"))
        else:
            errors += invalid_each(f"{path}.reason", reason, condition_reason_errors(reason))
            if len(reason.encode()) > 1024:
                errors.append(FieldError.too_long(f"{path}.reason", 1024))
        if len((condition.get("message") or "").encode()) > 32 * 1024:
            errors.append(FieldError.too_long(f"{path}.message", 32 * 1024))
    return errors


def _name_errors(resource: Resource) -> Callable[[str], list[str]]:
    return resource.name_errors or dns1123_subdomain_errors


def masked_generate_name(prefix: str) -> str:
    """Return the prefix as name rules should see it: a trailing dash is followed by a suffix later."""
    return prefix[:-1] + "a" if prefix.endswith("-") and len(prefix) > 1 else prefix


def validate_object_meta(obj: Object, resource: Resource) -> list[FieldError]:
    """Return what is wrong with the metadata of an object that is about to be created.

    A generated name must be in place already.
    """
    meta = obj.get("metadata") or {}
    errors = validate_metadata(meta, namespaced=resource.namespaced, name_errors=_name_errors(resource))
    return errors + validate_core_finalizers(meta) if resource.core_finalizers else errors


def validate_generate_name(prefix: str, name_errors: Callable[[str], list[str]]) -> list[FieldError]:
    """Return what is wrong with what names are to be made from."""
    return invalid_each("metadata.generateName", prefix, name_errors(masked_generate_name(prefix)))


def validate_metadata(
    meta: Object,
    *,
    namespaced: bool,
    name_errors: Callable[[str], list[str]],
    field: str = "metadata",
) -> list[FieldError]:
    """Upstream's ValidateObjectMeta."""
    errors: list[FieldError] = []
    prefix, name, namespace = meta.get("generateName"), meta.get("name"), meta.get("namespace")
    # Every write comes by here: what is absent costs a look, and paths are made for what is wrong.
    if prefix:
        errors += invalid_each(f"{field}.generateName", prefix, name_errors(masked_generate_name(prefix)))
    if not name:
        errors.append(FieldError.required(f"{field}.name", "name or generateName is required"))
    elif wrong := name_errors(name):
        errors += invalid_each(f"{field}.name", name, wrong)
    if namespaced:
        if not namespace:
            errors.append(FieldError.required(f"{field}.namespace"))
        elif wrong := dns1123_label_errors(namespace):
            errors += invalid_each(f"{field}.namespace", namespace, wrong)
    elif namespace:
        errors.append(FieldError.forbidden(f"{field}.namespace", "not allowed on this type"))
    if generation := meta.get("generation"):
        errors += validate_nonnegative(generation, f"{field}.generation")
    return errors + validate_described(meta, field)


def validate_described(meta: Object, field: str = "metadata") -> list[FieldError]:
    """Return what is wrong with labels, annotations, owners, finalizers and managed fields."""
    return _described_errors(meta, field, finalizers=meta.get("finalizers") or ())


def _described_errors(meta: Object, field: str, *, finalizers: Sequence[str] = ()) -> list[FieldError]:
    """Return what is wrong with those parts of metadata that may change at every write."""
    errors: list[FieldError] = []
    if labels := meta.get("labels"):
        errors += validate_labels(labels, f"{field}.labels")
    if annotations := meta.get("annotations"):
        errors += validate_annotations(annotations, f"{field}.annotations")
    if references := meta.get("ownerReferences"):
        errors += validate_owner_references(references, f"{field}.ownerReferences")
    if finalizers:
        errors += validate_finalizers(finalizers, f"{field}.finalizers")
    if entries := meta.get("managedFields"):
        errors += validate_managed_fields(entries, f"{field}.managedFields")
    return errors


_IMMUTABLE_META = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def validate_object_meta_update(new: Object, old: Object, *, field: str = "metadata") -> list[FieldError]:
    """Return which changes of metadata an update may not make. Upstream's ValidateObjectMetaUpdate."""
    meta, before = new.get("metadata") or {}, old.get("metadata") or {}
    errors: list[FieldError] = []
    if before.get("deletionTimestamp"):
        extra = sorted(set(meta.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if extra:
            listed = "[]string{" + ", ".join(quoted(name) for name in extra) + "}"
            detail = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers {listed}"
            )
            errors.append(FieldError.forbidden(f"{field}.finalizers", detail))
    if not meta.get("resourceVersion"):
        errors.append(FieldError.invalid(f"{field}.resourceVersion", "", "must be specified for an update"))
    generation = meta.get("generation") or 0
    if generation < (before.get("generation") or 0):
        errors.append(FieldError.invalid(f"{field}.generation", generation, "must not be decremented"))
    for part in _IMMUTABLE_META:
        if not _same_meta(meta.get(part), before.get(part)):
            value = meta.get(part)
            if value is None and part in ("name", "namespace", "uid"):
                value = ""
            errors.append(FieldError.invalid(f"{field}.{part}", value, IMMUTABLE))
    return errors + _described_errors(meta, field)


def validate_metadata_of_update(
    new: Object, old: Object, resource: Resource, subresource: str = ""
) -> list[FieldError]:
    """Return what is wrong with the metadata of an update, each fault as often as upstream tells of it.

    Upstream looks at it once as at that of a new object, once for changes, and then again as the kind has it.
    """
    changes = validate_object_meta_update(new, old)
    meta = new.get("metadata") or {}
    prefix, finalizers = meta.get("generateName"), meta.get("finalizers")
    if not changes and not prefix and not finalizers:
        return changes
    status = subresource == "status"
    again = resource.status_metadata_again if status else resource.metadata_again
    compares = resource.status_compares_metadata if status else resource.compares_metadata
    generated: list[FieldError] = []
    errors: list[FieldError] = []
    if prefix and prefix != (old.get("metadata") or {}).get("generateName"):
        errors += validate_generate_name(prefix, path_segment_errors)
        if again:
            generated = validate_generate_name(prefix, _name_errors(resource))
    described = (
        _described_errors(meta, "metadata", finalizers=finalizers or ()) if changes or finalizers else []
    )
    core = validate_core_finalizers(meta) if resource.core_finalizers else []
    errors += described + changes
    if compares:
        errors += changes + core
    return errors + (generated + described + core) * again


def _same_meta(new: Any, old: Any) -> bool:
    if new == old or (new in (None, "") and old in (None, "")):
        return True
    return isinstance(new, str) and isinstance(old, str) and _same_time(new, old)


def _same_time(new: str, old: str) -> bool:
    """Tell whether two texts name one moment (a client may write it with another zone)."""
    moments: list[datetime] = []
    for text in (new, old):
        if len(text) < 20 or text[4:5] != "-":
            return False
        try:
            moments.append(parse_rfc3339(text))
        except ValueError:
            return False
    return moments[0] == moments[1]
