"""What is wrong with StorageVersions."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, objects
from podium.resources.defaulting import given

_LABEL_RULE = (
    "a DNS-1035 label, which must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character"
)
_LABEL_PATTERN = "[a-z]([-a-z0-9]*[a-z0-9])?"
_EMPTY = "must be non-empty"


def name_errors(name: str) -> list[str]:
    """Ask for `group.resource`."""
    group, dot, resource = name.rpartition(".")
    if not dot:
        return ["name must be in the form of <group>.<resource>"]
    return [
        *(f"the group segment {message}" for message in validation.dns1123_subdomain_errors(group)),
        *(f"the resource segment {message}" for message in validation.dns1035_label_errors(resource)),
    ]


def validate_storage_version(version: Object) -> Errors:
    """Check a StorageVersion, which is its status."""
    status = given(version, "status") or {}
    servers = objects(status.get("storageVersions"))
    errors: Errors = []
    seen: set[str] = set()
    for index, server in enumerate(servers):
        path, server_id = f"status.storageVersions[{index}]", str(server.get("apiServerID") or "")
        if server_id in seen:
            errors.append(FieldError.duplicate(f"{path}.apiServerID", server_id))
        seen.add(server_id)
        errors += _server(server, path)
    errors += _common(servers, status.get("commonEncodingVersion"))
    return errors + _conditions(objects(status.get("conditions")))


def _server(server: Object, path: str) -> Errors:
    server_id, encoding = str(server.get("apiServerID") or ""), str(server.get("encodingVersion") or "")
    decodable, served = server.get("decodableVersions") or [], server.get("servedVersions") or []
    errors = named(f"{path}.apiServerID", server_id, validation.dns1123_subdomain_errors)
    errors += _version(f"{path}.encodingVersion", encoding)
    for index, version in enumerate(decodable):
        errors += _version(f"{path}.decodableVersions[{index}]", version)
    if encoding not in decodable:
        detail = f"decodableVersions must include encodingVersion {encoding}"
        errors.append(FieldError.invalid(f"{path}.decodableVersions", decodable or None, detail))
    for index, version in enumerate(served):
        here = f"{path}.servedVersions[{index}]"
        errors += _version(here, version)
        if version not in decodable:
            listed = " ".join(decodable)
            detail = (
                f"individual served version : {version} must be included in decodableVersions : [{listed}]"
            )
            errors.append(FieldError.invalid(here, version, detail))
    return errors


def _version(field: str, text: str) -> Errors:
    messages = _version_errors(text)
    return [FieldError.invalid(field, text, ",".join(messages))] if messages else []


def _version_errors(text: str) -> list[str]:
    group, slash, version = text.rpartition("/")
    if "/" in group:
        rule = validation.regex_message(_LABEL_RULE, _LABEL_PATTERN, "my-name", "abc-123")
        return [
            f"an apiVersion is {rule} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyVersion')"
        ]
    messages = []
    if slash:
        found = validation.dns1123_subdomain_errors(group) if group else [_EMPTY]
        messages += [f"group part: {message}" for message in found]
    found = validation.dns1035_label_errors(version) if version else [_EMPTY]
    return messages + [f"version part: {message}" for message in found]


def _common(servers: list[Object], said: str | None) -> Errors:
    """Compare the version said to be common to all servers with what they say."""
    field = "status.commonEncodingVersion"
    versions = {str(server.get("encodingVersion") or "") for server in servers}
    if len(versions) != 1:
        if said is None:
            return []
        detail = (
            "should be nil if servers do not agree on the same encoding version, or if there is no server "
            "reporting the supported versions yet"
        )
        return [FieldError.invalid(field, said, detail)]
    actual = versions.pop()
    if said is None:
        return [FieldError.invalid(field, None, f"the common encoding version is {actual}")]
    if said != actual:
        return [FieldError.invalid(field, said, f"the actual common encoding version is {actual}")]
    return []


def _conditions(conditions: list[Object]) -> Errors:
    errors: Errors = []
    seen: dict[str, int] = {}
    for index, condition in enumerate(conditions):
        path, kind = f"status[{index}]", str(condition.get("type") or "")
        if kind in seen:
            detail = f"the type of the condition is not unique, it also appears in conditions[{seen[kind]}]"
            errors.append(FieldError.invalid(f"{path}.type", kind, detail))
        seen[kind] = index
        errors += named(f"{path}.type", kind, validation.qualified_name_errors)
        status = str(condition.get("status") or "")
        errors += named(f"{path}.status", status, validation.qualified_name_errors)
        for key in ("reason", "message"):
            if not condition.get(key):
                errors.append(FieldError.required(f"{path}.{key}"))
    return errors
