"""Annotations that say something to Kubernetes itself, of pods and of templates for them."""

from __future__ import annotations

import re

from podium.machinery.errors import FieldError, Object
from podium.resources.checks import INT32_MAX, Errors, relative_path
from podium.resources.core.pod_create import APPARMOR_PREFIX
from podium.resources.core.pod_platform_validation import containers_of

MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_SECCOMP = ("runtime/default", "docker/default", "unconfined")
_APPARMOR = ("", "runtime/default", "unconfined")
_LOCAL = "localhost/"


def validate_annotations(annotations: Object, spec: Object, path: str) -> Errors:
    """Check the annotations at `path` against the pod's spec."""
    if not annotations:
        return []
    errors: Errors = []
    mirrored, cost = annotations.get(MIRROR), annotations.get(DELETION_COST)
    if mirrored is not None and not spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(FieldError.invalid(f"{path}[{MIRROR}]", mirrored, detail))
    if cost is not None and not _is_int32(cost):
        errors.append(FieldError.invalid(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer"))
    for key, profile in sorted(annotations.items()):
        if key == _SECCOMP_POD or key.startswith(_SECCOMP_CONTAINER):
            errors += _seccomp(profile, f"{path}.{key}")
    for key, profile in sorted(annotations.items()):
        if key.startswith(APPARMOR_PREFIX):
            errors += _app_armor(key.removeprefix(APPARMOR_PREFIX), profile, spec, f"{path}[{key}]")
    return errors


def _is_int32(text: str) -> bool:
    # Go reads `-` and then digits with zeros in front.
    if not re.fullmatch(r"0|[1-9][0-9]{0,9}|-[0-9]{1,18}", text):
        return False
    return -INT32_MAX - 1 <= int(text) <= INT32_MAX


def _seccomp(profile: str, path: str) -> Errors:
    if profile in _SECCOMP:
        return []
    if profile.startswith(_LOCAL):
        return relative_path(path, profile.removeprefix(_LOCAL))
    return [FieldError.invalid(path, profile, "must be a valid seccomp profile")]


def _app_armor(name: str, profile: str, spec: Object, path: str) -> Errors:
    errors: Errors = []
    if not any(container.get("name") == name for _, container in containers_of(spec, "")):
        errors.append(FieldError.invalid(path, name, "container not found"))
    if profile not in _APPARMOR and not profile.startswith(_LOCAL):
        detail = f'invalid AppArmor profile name: "{profile}"'
        errors.append(FieldError.invalid(path, profile, detail))
    return errors
