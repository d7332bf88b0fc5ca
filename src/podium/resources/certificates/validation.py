"""What is wrong with certificate signing requests, and who may change which part of them."""

from __future__ import annotations

import base64
import binascii

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, Rule, difference, objects, spec_of, unchanged
from podium.resources.defaulting import given
from podium.resources.pem import signing_request

USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
EXPIRATION_S_MIN = 600
SIGNER_LENGTH_MAX = 571
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
_VERDICTS = ("Approved", "Denied")
_ALWAYS_TRUE = ("Approved", "Denied", "Failed")
_CONDITIONS = "status.conditions"
_CERTIFICATE = "status.certificate"


def validate_request(request: Object) -> Errors:
    """Check a CertificateSigningRequest. That its request parses is for those who load cryptography."""
    spec, status = spec_of(request), given(request, "status") or {}
    errors: Errors = []
    try:
        signing_request(spec.get("request"))
    except ValueError as error:
        errors.append(FieldError.invalid("spec.request", spec.get("request"), str(error)))
    usages = spec.get("usages") or []
    if not usages:
        errors.append(FieldError.required("spec.usages"))
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            errors.append(FieldError.not_supported(f"spec.usages[{index}]", usage, USAGES))
    for index, usage in enumerate(usages):
        if usage in usages[:index]:
            errors.append(FieldError.duplicate(f"spec.usages[{index}]", usage))
    errors += _signer(str(spec.get("signerName") or ""))
    expiration = spec.get("expirationSeconds")
    if expiration is not None and expiration < EXPIRATION_S_MIN:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(FieldError.invalid("spec.expirationSeconds", expiration, detail))
    errors += _conditions(objects(status.get("conditions")))
    if status.get("certificate") and "BEGIN CERTIFICATE" not in _pem(status["certificate"]):
        detail = "must contain at least one CERTIFICATE PEM block"
        errors.append(FieldError.invalid(_CERTIFICATE, "<certificate data>", detail))
    return errors


def _pem(data: object) -> str:
    try:
        return base64.b64decode(str(data or "")).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def _signer(name: str) -> Errors:
    if name == LEGACY_SIGNER:
        detail = "the legacy signerName is not allowed via this API version"
        return [FieldError.invalid("spec.signerName", name, detail)]
    return signer_errors("spec.signerName", name)


def signer_errors(path: str, name: str) -> Errors:
    """Ask for a signer's name: a domain and a path in it."""
    if not name:
        return [FieldError.required(path)]
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [FieldError.invalid(path, name, detail)]
    errors: Errors = []
    if len(domain) > validation.SUBDOMAIN_LENGTH_MAX:
        errors.append(FieldError.too_long(path, validation.SUBDOMAIN_LENGTH_MAX))
    errors += _segment(path, domain, validation.dns1123_label_errors)
    if "." not in domain:
        detail = "should be a domain with at least two segments separated by dots"
        errors.append(FieldError.invalid(path, domain, detail))
    errors += _segment(path, rest, validation.dns1123_subdomain_errors)
    if len(name) > SIGNER_LENGTH_MAX:
        errors.append(FieldError.too_long(path, SIGNER_LENGTH_MAX))
    return errors


def _segment(path: str, segment: str, rule: Rule) -> Errors:
    """Check the labels of a segment, up to the first that is wrong."""
    for label in segment.split("."):
        messages = rule(label)
        if messages:
            return [
                FieldError.invalid(path, segment, f'validating label "{label}": {message}')
                for message in messages
            ]
    return []


def _conditions(conditions: list[Object]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        path = f"{_CONDITIONS}[{index}]"
        kind, status = str(condition.get("type") or ""), condition.get("status")
        if not kind:
            errors.append(FieldError.required(f"{path}.type"))
        allowed = ("True",) if kind in _ALWAYS_TRUE else ("False", "True", "Unknown")
        if not status:
            errors.append(FieldError.required(f"{path}.status"))
        elif status not in allowed:
            errors.append(FieldError.not_supported(f"{path}.status", status, allowed))
        if kind in _VERDICTS and seen & (set(_VERDICTS) - {kind}):
            detail = "Approved and Denied conditions are mutually exclusive"
            errors.append(FieldError.invalid(_CONDITIONS, kind, detail))
        if kind in seen:
            errors.append(FieldError.duplicate(f"{path}.type", kind))
        seen.add(kind)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Check a changed request: neither verdicts nor certificates come this way."""
    return _changed(new, old, verdicts=False, certificate=False)


def validate_status(new: Object, old: Object) -> Errors:
    """Check a status written by a signer: certificates come this way, verdicts do not."""
    return _changed(new, old, verdicts=False, certificate=True)


def validate_approval(new: Object, old: Object) -> Errors:
    """Check what an approver wrote: verdicts come this way, certificates do not."""
    return _changed(new, old, verdicts=True, certificate=False)


def _of_type(request: Object, kind: str) -> list[Object]:
    conditions = objects((given(request, "status") or {}).get("conditions"))
    return [condition for condition in conditions if condition.get("type") == kind]


def _changed(new: Object, old: Object, *, verdicts: bool, certificate: bool) -> Errors:
    errors = validate_request(new)
    for kind in _ALWAYS_TRUE:
        if len(_of_type(new, kind)) < len(_of_type(old, kind)):
            detail = f'updates may not remove a condition of type "{kind}"'
            errors.append(FieldError.forbidden(_CONDITIONS, detail))
    for kind in () if verdicts else _VERDICTS:
        now, before = _of_type(new, kind), _of_type(old, kind)
        if len(now) > len(before):
            detail = f'updates may not add a condition of type "{kind}"'
            errors.append(FieldError.forbidden(_CONDITIONS, detail))
        elif len(now) == len(before) and not unchanged(now, before):
            detail = f'updates may not modify a condition of type "{kind}"\n{difference(before, now)}'
            errors.append(FieldError.forbidden(_CONDITIONS, detail))
    issued = (given(new, "status") or {}).get("certificate")
    was = (given(old, "status") or {}).get("certificate")
    if issued != was:
        if not certificate:
            errors.append(FieldError.forbidden(_CERTIFICATE, "updates may not set certificate content"))
        elif was:
            detail = "updates may not modify existing certificate content"
            errors.append(FieldError.forbidden(_CERTIFICATE, detail))
    return errors
