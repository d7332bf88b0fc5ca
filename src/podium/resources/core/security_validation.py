"""What is wrong with the parts of security contexts that pods and containers share."""

from __future__ import annotations

import re
from collections.abc import Mapping

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import dig
from podium.resources.checks import Errors, metadata_of, named
from podium.resources.core.pod_platform_validation import containers_of, is_windows
from podium.resources.defaulting import given

PROFILE_LENGTH_MAX = 4095
SPEC_SIZE_BYTES_MAX = 64 * 1024
DOMAIN_LENGTH_MAX = 256
USER_LENGTH_MAX = 104
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SE_POLICIES_WHILE_OFF = ("Recursive",)
"""Of the gate SELinuxMount."""
_SE_POLICIES = ("MountOption", "Recursive")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NET_BIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_DOMAIN = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*")
_DOTS_AND_SPACES = re.compile(r"[. ]+")
_FORBIDDEN = re.compile(r'["/\\:;|=,+*?<>@\[\]]')
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def validate_app_armor(profile: Object | None, path: str) -> Errors:
    """Check an AppArmor profile."""
    if profile is None:
        return []
    kind, local = str(profile.get("type") or ""), profile.get("localhostProfile")
    field = f"{path}.localhostProfile"
    if kind == "Localhost":
        return _local_profile(local, field)
    if kind in _PROFILES:
        if local is None:
            return []
        return [FieldError.invalid(field, local, "can only be set when AppArmor type is Localhost")]
    if not kind:
        return [FieldError.required(f"{path}.type", "type is required when appArmorProfile is set")]
    return [FieldError.not_supported(f"{path}.type", kind, _PROFILES)]


def _local_profile(profile: str | None, field: str) -> Errors:
    missing = FieldError.required(field, "must be set when AppArmor type is Localhost")
    if profile is None:
        return [missing]
    errors: Errors = []
    if profile.strip() != profile:
        errors.append(FieldError.invalid(field, profile, "must not be padded with whitespace"))
    elif not profile:
        errors.append(missing)
    if len(profile) > PROFILE_LENGTH_MAX:
        errors.append(FieldError.too_long(field, PROFILE_LENGTH_MAX))
    return errors


def known_se_linux_policy(new: Object, _old: Object | None, path: str) -> Errors:
    """Check how volumes get their labels. `path` is where the object has the pod's spec."""
    policy = dig(new, *path.split("."), "securityContext", "seLinuxChangePolicy")
    if policy is None or policy in _SE_POLICIES:
        return []
    return [FieldError.not_supported(f"{path}.securityContext.seLinuxChangePolicy", policy, _SE_POLICIES)]


def only_recursive(new: Object, old: Object | None, path: str) -> Errors:
    """Refuse labels by mount option while the gate is off, unless a policy is chosen already.

    `path` is where the object has the pod's spec.
    """
    context = [*path.split("."), "securityContext", "seLinuxChangePolicy"]
    policy = dig(new, *context)
    if policy is None or policy in _SE_POLICIES_WHILE_OFF:
        return []
    if old is not None and dig(old, *context) is not None:
        return known_se_linux_policy(new, old, path)
    here = f"{path}.securityContext.seLinuxChangePolicy"
    return [FieldError.not_supported(here, str(policy), _SE_POLICIES_WHILE_OFF)]


def validate_windows_options(options: Object | None, path: str) -> Errors:
    """Check what Windows alone knows."""
    if options is None:
        return []
    errors: Errors = []
    name, spec = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec")
    if name is not None:
        errors += named(f"{path}.gmsaCredentialSpecName", str(name), validation.dns1123_subdomain_errors)
    if spec is not None and not spec:
        detail = "gmsaCredentialSpec cannot be an empty string"
        errors.append(FieldError.invalid(f"{path}.gmsaCredentialSpec", spec, detail))
    elif spec is not None and len(str(spec).encode()) > SPEC_SIZE_BYTES_MAX:
        detail = "gmsaCredentialSpec size must be under 64 KiB"
        errors.append(FieldError.invalid(f"{path}.gmsaCredentialSpec", spec, detail))
    user = options.get("runAsUserName")
    if user is not None:
        field = f"{path}.runAsUserName"
        errors += validation.invalid_each(field, user, _user_errors(str(user)))
    return errors


def _user_errors(name: str) -> list[str]:
    if not name:
        return ["runAsUserName cannot be an empty string"]
    if _CONTROL.search(name):
        return ["runAsUserName cannot contain control characters"]
    domain, slash, user = name.rpartition("\\")
    if "\\" in domain:
        return ["runAsUserName cannot contain more than one backslash"]
    errors = []
    if len(domain) >= DOMAIN_LENGTH_MAX:
        errors.append(f"runAsUserName's Domain length must be under {DOMAIN_LENGTH_MAX} characters")
    if slash and not (_NET_BIOS.fullmatch(domain) or _DOMAIN.fullmatch(domain)):
        errors.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        errors.append("runAsUserName's User cannot be empty")
    elif len(user) > USER_LENGTH_MAX:
        errors.append(f"runAsUserName's User length must not be longer than {USER_LENGTH_MAX} characters")
    if user and _DOTS_AND_SPACES.fullmatch(user):
        errors.append("runAsUserName's User cannot contain only periods or spaces")
    if _FORBIDDEN.search(user):
        errors.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return errors


def validate_profile_annotations(pod: Object, path: str = "spec") -> Errors:
    """Ask that annotations which once named profiles say what the fields say."""
    annotations = metadata_of(pod).get("annotations") or {}
    if not any(key == _SECCOMP_POD or key.startswith((_SECCOMP_CONTAINER, _APPARMOR)) for key in annotations):
        return []
    spec = given(pod, "spec") or {}
    context = given(spec, "securityContext") or {}
    errors: Errors = []
    if _SECCOMP_POD in annotations:
        profile = given(context, "seccompProfile")
        errors += _seccomp(str(annotations[_SECCOMP_POD]), profile, f"{path}.securityContext.seccompProfile")
    for here, container in containers_of(spec, path):
        key = f"{_SECCOMP_CONTAINER}{container.get('name')}"
        if key in annotations:
            profile = given(given(container, "securityContext") or {}, "seccompProfile")
            errors += _seccomp(str(annotations[key]), profile, f"{here}.securityContext.seccompProfile")
    if is_windows(spec):
        return errors
    for here, container in containers_of(spec, path):
        key = f"{_APPARMOR}{container.get('name')}"
        own = given(given(container, "securityContext") or {}, "appArmorProfile")
        profile = own if own is not None else given(context, "appArmorProfile")
        if key in annotations and profile is not None:
            errors += _app_armor(str(annotations[key]), profile, f"{here}.securityContext.appArmorProfile")
    return errors


def _seccomp(annotation: str, profile: Object | None, path: str) -> Errors:
    if profile is None:
        return []
    kinds = {
        "Unconfined": ("unconfined",),
        "RuntimeDefault": ("runtime/default", "docker/default"),
    }
    return _match(annotation, profile, path, kinds, "seccomp")


def _app_armor(annotation: str, profile: Object, path: str) -> Errors:
    kinds = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default",)}
    return _match(annotation, profile, path, kinds, "apparmor")


def _match(
    annotation: str, profile: Object, path: str, kinds: Mapping[str, tuple[str, ...]], what: str
) -> Errors:
    kind = str(profile.get("type") or "")
    unlike = FieldError.forbidden(f"{path}.type", f"{what} type in annotation and field must match")
    if kind in kinds:
        return [] if annotation in kinds[kind] else [unlike]
    if kind != "Localhost":
        return []
    if not annotation.startswith("localhost/"):
        return [unlike]
    if annotation.removeprefix("localhost/") != profile.get("localhostProfile"):
        detail = f"{what} profile in annotation and field must match"
        return [FieldError.forbidden(f"{path}.localhostProfile", detail)]
    return []
