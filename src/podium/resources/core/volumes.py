"""Defaults of volumes, in pods and (the same sources) in persistent volumes."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.core import images
from podium.resources.defaulting import absent, blank, child, drop_zero, given, items, round_amounts

FILE_MODE = 0o644
TOKEN_EXPIRATION_S = 3600


def default_volume(volume: Object) -> None:
    """Fill in one volume of a pod; one without a source is an emptyDir."""
    sources = [key for key, value in volume.items() if key != "name" and value is not None]
    if not sources:
        volume["emptyDir"] = {}
    for key in ("secret", "configMap", "downwardAPI", "projected"):
        source = given(volume, key)
        if source is not None:
            absent(source, "defaultMode", FILE_MODE)
            default_field_refs(source)
    for source in items(given(volume, "projected"), "sources"):
        token = given(source, "serviceAccountToken")
        if token is not None:
            absent(token, "expirationSeconds", TOKEN_EXPIRATION_S)
        default_field_refs(given(source, "downwardAPI"))
    image = given(volume, "image")
    if image is not None:
        blank(image, "pullPolicy", images.pull_policy(str(image.get("reference") or "")))
    template = given(given(volume, "ephemeral") or {}, "volumeClaimTemplate")
    if template is not None:
        child(template, "metadata")
        default_claim_spec(child(template, "spec"))
    claim = given(volume, "persistentVolumeClaim")
    if claim is not None:
        drop_zero(claim, "readOnly")
    default_source(volume)


def default_source(source: Object) -> None:
    """Fill in the sources that pods and persistent volumes share."""
    host_path = given(source, "hostPath")
    if host_path is not None:
        absent(host_path, "type", "")
    iscsi = given(source, "iscsi")
    if iscsi is not None:
        blank(iscsi, "iscsiInterface", "default")
    rbd = given(source, "rbd")
    if rbd is not None:
        blank(rbd, "pool", "rbd")
        blank(rbd, "user", "admin")
        blank(rbd, "keyring", "/etc/ceph/keyring")
    disk = given(source, "azureDisk")
    if disk is not None:
        absent(disk, "cachingMode", "ReadWrite")
        absent(disk, "fsType", "ext4")
        absent(disk, "readOnly", False)
        absent(disk, "kind", "Shared")
    scale_io = given(source, "scaleIO")
    if scale_io is not None:
        blank(scale_io, "storageMode", "ThinProvisioned")
        blank(scale_io, "fsType", "xfs")


def default_field_refs(source: Object | None) -> None:
    """Fill in the fieldRefs of a downward API source's items."""
    for item in items(source, "items"):
        field = given(item, "fieldRef")
        if field is not None:
            blank(field, "apiVersion", "v1")
        resource = given(item, "resourceFieldRef")
        if resource is not None:
            absent(resource, "divisor", "0")


def default_claim_spec(spec: Object) -> None:
    """Fill in the spec of a persistent volume claim."""
    round_amounts(child(spec, "resources"), "limits", "requests")
    absent(spec, "volumeMode", "Filesystem")
