"""What is wrong with PodCertificateRequests. That an issued certificate begins about now is not checked: no
check knows the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from podium.base.clock import parse_rfc3339
from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources import pem
from podium.resources.certificates.validation import signer_errors
from podium.resources.checks import Errors, named, objects, spec_of, unchanged
from podium.resources.defaulting import given

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

EXPIRATION_S_MIN = 3600
EXPIRATION_S_MAX = 91 * 24 * 3600
KUBERNETES_EXPIRATION_S_MAX = 24 * 3600
UID_LENGTH_MAX = 128
KEY_SIZE_BYTES_MAX = 10 * 1024
CHAIN_SIZE_BYTES_MAX = 100 * 1024
_STATES = ("Issued", "Denied", "Failed")
_CHAIN = "status.certificateChain"
_REFRESH_MARGIN = timedelta(minutes=10)
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_RSA_BITS = (3072, 4096)


def validate_request(request: Object) -> Errors:
    """Check a PodCertificateRequest."""
    spec = spec_of(request)
    signer = str(spec.get("signerName") or "")
    errors = signer_errors("spec.signerName", signer)
    annotations = "unverifiedUserAnnotations"
    errors += validate_user_annotations(spec.get(annotations), f"spec.{annotations}")
    for owner in ("pod", "serviceAccount", "node"):
        name = str(spec.get(f"{owner}Name") or "")
        errors += named(f"spec.{owner}Name", name, validation.dns1123_subdomain_errors)
        uid = str(spec.get(f"{owner}UID") or "")
        if not uid:
            errors.append(FieldError.invalid(f"spec.{owner}UID", uid, "must not be empty"))
        if len(uid) > UID_LENGTH_MAX:
            errors.append(FieldError.too_long(f"spec.{owner}UID", UID_LENGTH_MAX))
    seconds = spec.get("maxExpirationSeconds")
    if seconds is None:
        errors.append(FieldError.required("spec.maxExpirationSeconds", "must be set"))
        return errors
    longest = KUBERNETES_EXPIRATION_S_MAX if is_kubernetes_signer(signer) else EXPIRATION_S_MAX
    if not EXPIRATION_S_MIN <= seconds <= longest:
        detail = f"must be in the range [{EXPIRATION_S_MIN}, {longest}]"
        errors.append(FieldError.invalid("spec.maxExpirationSeconds", seconds, detail))
    return errors + _key(spec)


def is_kubernetes_signer(name: str) -> bool:
    """Say whether Kubernetes itself defines the signer."""
    domain = name.partition("/")[0]
    return domain == "kubernetes.io" or domain.endswith(".kubernetes.io")


def validate_user_annotations(annotations: Object | None, field: str) -> Errors:
    """Ask for keys below a domain, and no more text than annotations may have."""
    errors: Errors = []
    for key in annotations or {}:
        errors += validation.validate_domain_prefixed_key(key.lower(), field)
    size = sum(len(key.encode()) + len(str(value).encode()) for key, value in (annotations or {}).items())
    if size > validation.ANNOTATIONS_SIZE_BYTES_MAX:
        errors.append(FieldError.too_long(field, validation.ANNOTATIONS_SIZE_BYTES_MAX))
    return errors


def _key(spec: Object) -> Errors:
    """Check the key that a certificate is wanted for: a PKCS#10 stub, or a key with a proof of possession."""
    stub, key, proof = (
        pem.decoded(spec.get(name)) for name in ("stubPKCS10Request", "pkixPublicKey", "proofOfPossession")
    )
    if stub and not key and not proof:
        return _stub_errors(stub)
    if not stub and key and proof:
        for name, value in (("pkixPublicKey", key), ("proofOfPossession", proof)):
            if len(value) > KEY_SIZE_BYTES_MAX:
                return [FieldError.too_long(f"spec.{name}", KEY_SIZE_BYTES_MAX)]
        return _proof_errors(str(spec.get("podUID") or ""), str(spec["pkixPublicKey"]), key, proof)
    detail = "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"
    return [_plain("spec", detail)]


def _plain(field: str, detail: str) -> FieldError:
    """Return an error that shows no value."""
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {detail}")


def _stub_errors(stub: bytes) -> Errors:
    path = "spec.stubPKCS10Request"
    if len(stub) > KEY_SIZE_BYTES_MAX:
        return [FieldError.too_long(path, KEY_SIZE_BYTES_MAX)]
    request = pem.certificate_request(stub)
    if request is None:
        return [_plain(path, "must be a valid PKCS#10 CSR")]
    errors = _kind_errors(path, request.public_key(), "P256, P384, or P521")
    if not errors and not request.is_signature_valid:
        errors = [_plain(path, "invalid signature")]
    return errors


def _kind_errors(path: str, key: Any, curves: str) -> Errors:
    """Ask for a key of a kind and strength that is accepted."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    if isinstance(key, ed25519.Ed25519PublicKey):
        return []
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name in _CURVES:
            return []
        detail = f"elliptic public keys must use curve {curves}"
        return [FieldError.invalid(path, f"curve {key.curve.name}", detail)]
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size in _RSA_BITS:
            return []
        detail = "RSA keys must have modulus size 3072 or 4096"
        return [FieldError.invalid(path, f"{key.key_size}-bit modulus", detail)]
    return [_plain(path, "unknown public key type; supported types are Ed25519, ECDSA, and RSA")]


def _proof_errors(pod_uid: str, shown: str, content: bytes, proof: bytes) -> Errors:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    path = "spec.pkixPublicKey"
    try:
        key = load_der_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        return [FieldError.invalid(path, shown, "must be a valid PKIX-serialized public key")]
    errors = _kind_errors(path, key, "P256 or P384")
    if errors:
        return errors
    said = pod_uid.encode()
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(proof, said)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(proof, said, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            key.verify(proof, said, salted, hashes.SHA256())
    except InvalidSignature:
        return [_plain("spec.proofOfPossession", "could not verify proof-of-possession signature")]
    return []


def validate_update(new: Object, old: Object) -> Errors:
    """Check a changed request: what it asks for stays."""
    return validation.validate_immutable(new.get("spec"), old.get("spec"), "spec")


def validate_status(new: Object, old: Object) -> Errors:
    """Check what a signer says: at most one verdict, which then stays."""
    status, before = given(new, "status") or {}, given(old, "status") or {}
    conditions = objects(status.get("conditions"))
    errors = _verdict_errors(conditions) + validation.validate_conditions(conditions, "status.conditions")
    if errors:
        return errors
    if _verdict(before):
        if not unchanged(status, before):
            detail = "immutable after PodCertificateRequest is issued, denied, or failed"
            errors.append(_plain("status", detail))
        return errors
    if _verdict(status) in ("Denied", "Failed"):
        if any(value for key, value in status.items() if key != "conditions"):
            detail = (
                "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
            )
            errors.append(_plain("status", detail))
        return errors
    if _verdict(status):
        return _issued_errors(status, spec_of(old))
    if not unchanged(status, before):
        detail = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
        errors.append(_plain("status", detail))
    return errors


def _verdict(status: Object) -> str:
    types = [str(condition.get("type")) for condition in objects(status.get("conditions"))]
    return next((kind for kind in types if kind in _STATES), "")


def _verdict_errors(conditions: list[Object]) -> Errors:
    errors: Errors = []
    known = 0
    for index, condition in enumerate(conditions):
        path, kind = f"status.conditions[{index}]", str(condition.get("type") or "")
        if kind not in _STATES:
            errors.append(FieldError.not_supported(f"{path}.type", kind, _STATES))
            continue
        known += 1
        if known > 1:
            detail = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            errors.append(FieldError.invalid(f"{path}.type", kind, detail))
        if condition.get("status") != "True":
            shown = str(condition.get("status") or "")
            errors.append(FieldError.not_supported(f"{path}.status", shown, ("True",)))
    return errors


def _issued_errors(status: Object, spec: Object) -> Errors:
    chain = str(status.get("certificateChain") or "")
    if len(chain.encode()) > CHAIN_SIZE_BYTES_MAX:
        return [FieldError.too_long(_CHAIN, CHAIN_SIZE_BYTES_MAX)]
    found = pem.blocks(chain.encode())
    if not found:
        detail = "issued certificate chain must contain at least one certificate"
        return [FieldError.invalid(_CHAIN, chain, detail)]
    if any(block.kind != "CERTIFICATE" for block in found):
        detail = "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
        return [FieldError.invalid(_CHAIN, chain, detail)]
    leaf = pem.certificate(found[0].content)
    if leaf is None:
        return [FieldError.invalid(_CHAIN, chain, "leaf certificate does not parse as valid X.509")]
    if not _is_for(leaf, spec):
        detail = "leaf certificate was not issued to the requested public key"
        return [FieldError.invalid(_CHAIN, chain, detail)]
    errors = _time_errors(status, leaf, spec)
    if not errors and any(pem.certificate(block.content) is None for block in found[1:]):
        detail = "intermediate certificate does not parse as valid X.509"
        errors = [FieldError.invalid(_CHAIN, chain, detail)]
    return errors


def _is_for(leaf: Certificate, spec: Object) -> bool:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    stub = pem.decoded(spec.get("stubPKCS10Request"))
    wanted = pem.decoded(spec.get("pkixPublicKey"))
    if stub:
        request = pem.certificate_request(stub)
        if request is None:
            return False
        wanted = request.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    issued = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return issued == wanted


def _time_errors(status: Object, leaf: Certificate, spec: Object) -> Errors:
    errors: Errors = []
    consistent = "must be present and consistent with the issued certificate"
    for name, detail in (
        ("notBefore", consistent),
        ("notAfter", consistent),
        ("beginRefreshAt", "must be present and in the range [notbefore+10min, notafter-10min]"),
    ):
        if not status.get(name):
            errors.append(FieldError.required(f"status.{name}", detail))
    if errors:
        return errors
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    for name, moment in (("notBefore", begins), ("notAfter", ends)):
        if _time(status, name) != moment:
            spelt = "NotBefore" if name == "notBefore" else "NotAfter"
            detail = f"must be set to the {spelt} time encoded in the leaf certificate"
            return [FieldError.invalid(f"status.{name}", status[name], detail)]
    lifetime, longest = ends - begins, int(spec.get("maxExpirationSeconds") or 0)
    shown = f"{int(lifetime.total_seconds())}s"
    if lifetime < timedelta(hours=1):
        return [FieldError.invalid(_CHAIN, shown, "leaf certificate lifetime must be >= 1 hour")]
    if lifetime > timedelta(seconds=longest):
        detail = f"leaf certificate lifetime must be <= spec.maxExpirationSeconds ({longest})"
        return [FieldError.invalid(_CHAIN, shown, detail)]
    refresh = _time(status, "beginRefreshAt")
    if refresh < begins + _REFRESH_MARGIN:
        detail = "must be at least 10 minutes after status.notBefore"
    elif refresh > ends - _REFRESH_MARGIN:
        detail = "must be at least 10 minutes before status.notAfter"
    else:
        return []
    return [FieldError.invalid("status.beginRefreshAt", status["beginRefreshAt"], detail)]


def _time(status: Object, name: str) -> datetime:
    return parse_rfc3339(str(status[name])).astimezone(UTC)
