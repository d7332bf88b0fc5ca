"""What is wrong with ClusterTrustBundles."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources import pem
from podium.resources.certificates.validation import signer_errors
from podium.resources.checks import Errors, immutable, metadata_of, spec_of

BUNDLE_SIZE_BYTES_MAX = 1024 * 1024
_BUNDLE = "spec.trustBundle"


def validate_bundle(bundle: Object) -> Errors:
    """Check a ClusterTrustBundle."""
    return _checked(bundle) + _anchors(str(spec_of(bundle).get("trustBundle") or ""))


def validate_bundle_update(new: Object, old: Object) -> Errors:
    """Check a changed bundle; certificates that stay are not parsed again."""
    spec, before = spec_of(new), spec_of(old)
    same = (spec.get("trustBundle") or "") == (before.get("trustBundle") or "")
    errors = _checked(new) if same else validate_bundle(new)
    return errors + immutable(
        {"signerName": spec.get("signerName") or ""},
        {"signerName": before.get("signerName") or ""},
        "signerName",
        field="spec",
    )


def _checked(bundle: Object) -> Errors:
    signer, metadata = str(spec_of(bundle).get("signerName") or ""), metadata_of(bundle)
    errors: Errors = []
    for key in ("generateName", "name"):
        if name := str(metadata.get(key) or ""):
            masked = validation.masked_generate_name(name) if key == "generateName" else name
            errors += validation.invalid_each(f"metadata.{key}", name, name_errors(masked, signer))
    return errors + (signer_errors("spec.signerName", signer) if signer else [])


def name_errors(name: str, signer: str) -> list[str]:
    """Return what is wrong with the name of a bundle of a signer, or with "" of none."""
    if not signer:
        if ":" in name:
            return ['ClusterTrustBundle without signer name must not have ":" in its name']
        return validation.dns1123_subdomain_errors(name)
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        return [f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"]
    return validation.dns1123_subdomain_errors(name.removeprefix(prefix))


def _anchors(text: str) -> Errors:
    """Ask for CA certificates, each once and nothing else."""
    if len(text.encode()) > BUNDLE_SIZE_BYTES_MAX:
        return [FieldError.too_long(_BUNDLE, BUNDLE_SIZE_BYTES_MAX)]
    errors: Errors = []
    places: dict[bytes, list[int]] = {}
    for index, block in enumerate(pem.blocks(text.encode())):
        wrong = _block_error(block)
        if wrong:
            errors.append(_invalid(f"entry {index} {wrong}"))
        else:
            places.setdefault(block.content, []).append(index)
    if errors:
        return errors
    if not places:
        return [_invalid("at least one trust anchor must be provided")]
    return [
        _invalid(f"duplicate trust anchor (indices [{' '.join(map(str, indices))}])")
        for indices in places.values()
        if len(indices) > 1
    ]


def _block_error(block: pem.Block) -> str:
    if block.kind != "CERTIFICATE":
        return f"has bad block type: {block.kind}"
    if block.headers:
        return "has PEM block headers"
    certificate = pem.certificate(block.content)
    if certificate is None:
        return "does not parse as X.509"
    from cryptography.x509 import BasicConstraints, ExtensionNotFound  # noqa: PLC0415

    try:
        constraints = certificate.extensions.get_extension_for_class(BasicConstraints).value
    except ExtensionNotFound:
        return "does not have the CA bit set"
    except ValueError:
        return "does not parse as X.509"
    return "" if constraints.ca else "does not have the CA bit set"


def _invalid(detail: str) -> FieldError:
    return FieldError.invalid(_BUNDLE, "<value omitted>", detail)
