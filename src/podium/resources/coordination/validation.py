"""What is wrong with Leases and with candidates for them."""

from __future__ import annotations

import re

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, spec_of

OLDEST = "OldestEmulationVersion"
_NUMBER = "(?:0|[1-9][0-9]*)"
_IDENTIFIER = f"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMANTIC = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_Version = tuple[int, int, int, tuple[object, ...]]


def validate_lease(lease: Object) -> Errors:
    """Check a Lease."""
    spec = spec_of(lease)
    errors: Errors = []
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        errors.append(FieldError.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        detail = "must be greater than or equal to 0"
        errors.append(FieldError.invalid("spec.leaseTransitions", transitions, detail))
    if spec.get("strategy") is not None:
        errors += _strategy(str(spec["strategy"]))
    if spec.get("preferredHolder") and not spec.get("strategy"):
        detail = "may only be specified if `strategy` is defined"
        errors.append(FieldError.forbidden("spec.preferredHolder", detail))
    return errors


def validate_candidate(candidate: Object) -> Errors:
    """Check a LeaseCandidate."""
    spec = spec_of(candidate)
    strategy = str(spec.get("strategy") or "")
    emulated, binary = str(spec.get("emulationVersion") or ""), str(spec.get("binaryVersion") or "")
    errors: Errors = []
    if not spec.get("leaseName"):
        errors.append(FieldError.required("spec.leaseName"))
    if emulated:
        errors += _version("emulationVersion", emulated)
    errors += _version("binaryVersion", binary) if binary else [FieldError.required("spec.binaryVersion")]
    if emulated and binary and _number(binary) < _number(emulated):
        detail = "must be greater than or equal to `emulationVersion`"
        errors.append(FieldError.invalid("spec.binaryVersion", binary, detail))
    if not strategy:
        errors.append(FieldError.required("spec.strategy"))
        return errors
    if strategy == OLDEST and _number(emulated) == _ZERO:
        detail = "must be specified when `strategy` is 'OldestEmulationVersion'"
        errors.append(FieldError.required("spec.emulationVersion", detail))
    return errors + _strategy(strategy)


def validate_candidate_update(new: Object, old: Object) -> Errors:
    """Check a changed candidate: what it is a candidate for stays."""
    lease, before = spec_of(new).get("leaseName"), spec_of(old).get("leaseName")
    return validate_candidate(new) + validation.validate_immutable(lease, before, "spec.leaseName")


def _strategy(strategy: str) -> Errors:
    # Upstream names the field twice.
    field = "spec.strategy.strategy"
    if "/" in strategy:
        return named(field, strategy, validation.qualified_name_errors)
    return [] if strategy == OLDEST else [FieldError.not_supported(field, strategy, (OLDEST,))]


_ZERO: _Version = (0, 0, 0, (1,))


def _number(text: str) -> _Version:
    """Return a version in the order of semantic versions; what is none is zero."""
    match = _SEMANTIC.fullmatch(text)
    if match is None:
        return _ZERO
    # A pre-release comes before its release; numbers in it compare as such and come before words.
    parts = match[4].split(".") if match[4] else []
    before = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)
    return int(match[1]), int(match[2]), int(match[3]), (0, *before) if before else (1,)


def is_semantic_version(text: str) -> bool:
    """Say whether a text is a version as semver.org has it."""
    return _SEMANTIC.fullmatch(text) is not None


def _version(field: str, text: str) -> Errors:
    if _SEMANTIC.fullmatch(text):
        return []
    return [FieldError.invalid(f"spec.{field}", text, "must be a valid semantic version")]
