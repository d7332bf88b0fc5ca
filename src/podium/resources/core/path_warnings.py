"""Files of one volume that are in each other's way: the same path twice, or a file where a folder must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from podium.machinery.errors import Object
from podium.resources.checks import objects
from podium.resources.defaulting import given


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    source: str = ""

    def __str__(self) -> str:
        return f'"{self.path}" ({self.source})' if self.source else f'"{self.path}"'


def overlapping_paths(volumes: list[Object]) -> Iterator[str]:
    """Yield a warning for each two files of a volume that cannot both be there."""
    for volume in volumes:
        name = volume.get("name")
        for key, shown, named in (
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("downwardAPI", "DownwardAPI", ""),
        ):
            source = given(volume, key)
            if source is not None:
                what = f'{shown} "{source.get(named) or ""}"' if named else shown
                for clash in _clashes(_files(source, "")):
                    yield f'volume "{name}" ({what}): overlapping paths: {clash}'
        projected = given(volume, "projected")
        if projected is not None:
            yield from _projected(projected, str(name))


def _projected(projected: Object, name: str) -> Iterator[str]:
    files: list[_File] = []
    for source in objects(projected.get("sources")):
        if not any(value is not None for value in source.values()):
            yield f'volume "{name}" (Projected) has no sources provided'
        files += _source_files(source)
    for clash in _clashes(files):
        yield f'volume "{name}" (Projected): overlapping paths: {clash}'


def _source_files(source: Object) -> list[_File]:
    for key, shown in (("configMap", "ConfigMap"), ("secret", "Secret")):
        part = given(source, key)
        if part is not None:
            return _files(part, f'{shown} "{part.get("name") or ""}"')
    part = given(source, "downwardAPI")
    if part is not None:
        return _files(part, "DownwardAPI")
    part = given(source, "serviceAccountToken")
    if part is not None:
        return [_File(str(part.get("path") or ""), "ServiceAccountToken")]
    part = given(source, "clusterTrustBundle")
    if part is not None:
        named = part.get("name") if part.get("name") is not None else part.get("signerName")
        return [_File(str(part.get("path") or ""), f'ClusterTrustBundle "{named or ""}"')]
    part = given(source, "podCertificate") or {}
    return [
        _File(str(part[key]), f"PodCertificate {shown}")
        for key, shown in (
            ("certificateChainPath", "chain"),
            ("keyPath", "key"),
            ("credentialBundlePath", "credential bundle"),
        )
        if part.get(key)
    ]


def _files(source: Object, shown: str) -> list[_File]:
    return [_File(str(item.get("path") or ""), shown) for item in objects(source.get("items"))]


def _clashes(files: list[_File]) -> Iterator[str]:
    before: list[_File] = []
    for file in files:
        one = _File(file.path.rstrip("/"), file.source)
        for other in before:
            inside = f"{other.path}/".startswith(f"{one.path}/") or f"{one.path}/".startswith(
                f"{other.path}/"
            )
            if one.path and other.path and inside:
                yield f"{one} with {other}"
        before.append(one)
