"""What the files of configMap, secret, downwardAPI and projected volumes hold. Pure.

Missing objects and keys come back as `ConfigFault`, in upstream's words, unless they are optional.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.kubelet.environment import ConfigFault, EnvironmentSources, pod_field, resource_field
from podium.kubelet.volumes.atomic_writer import File
from podium.machinery.errors import Object

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadSources:
    """The objects that volumes of one pod show."""

    environment: EnvironmentSources = field(default_factory=EnvironmentSources)
    tokens: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """Service account tokens by (audience, expirationSeconds)."""
    claimed: Mapping[str, Object] = field(default_factory=dict)
    """By the name of a volume that is a claim: the spec of the PersistentVolume."""


def config_map_files(pod: Object, source: Object, found: Object | None, mode: int) -> dict[str, File]:
    name = source.get("name", "")
    if found is None:
        if source.get("optional"):
            return {}
        raise ConfigFault(f'configmap "{name}" not found')
    content = {key: str(text).encode() for key, text in (found.get("data") or {}).items()}
    content |= {key: base64.b64decode(text) for key, text in (found.get("binaryData") or {}).items()}
    return _chosen(source, content, mode, "configmap references non-existent config key: {}")


def secret_files(pod: Object, source: Object, found: Object | None, mode: int) -> dict[str, File]:
    name = source.get("secretName") or source.get("name", "")
    if found is None:
        if source.get("optional"):
            return {}
        raise ConfigFault(f'secret "{name}" not found')
    content = {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}
    return _chosen(source, content, mode, "references non-existent secret key: {}")


def _chosen(source: Object, content: Mapping[str, bytes], mode: int, missing: str) -> dict[str, File]:
    """Return all keys, or those that `items` names, at their paths."""
    items = source.get("items")
    if not items:
        return {key: File(content=data, mode=mode) for key, data in content.items()}
    files = {}
    for item in items:
        if item["key"] not in content:
            if source.get("optional"):
                continue
            raise ConfigFault(missing.format(item["key"]))
        own_mode = item.get("mode")
        files[item["path"]] = File(
            content=content[item["key"]], mode=mode if own_mode is None else int(own_mode)
        )
    return files


def downward_files(pod: Object, source: Object, sources: PayloadSources, mode: int) -> dict[str, File]:
    files = {}
    for item in source.get("items") or ():
        if reference := item.get("fieldRef"):
            text = pod_field(pod, str(reference["fieldPath"]), sources.environment)
        else:
            allocatable = sources.environment.node_allocatable
            text = resource_field(pod, None, item["resourceFieldRef"], allocatable)
        own_mode = item.get("mode")
        files[item["path"]] = File(content=text.encode(), mode=mode if own_mode is None else int(own_mode))
    return files


def projected_files(pod: Object, source: Object, sources: PayloadSources) -> dict[str, File]:
    """Return the files of all sources laid over each other; the later wins."""
    mode = int(source["defaultMode"]) if source.get("defaultMode") is not None else DEFAULT_MODE
    files: dict[str, File] = {}
    for part in source.get("sources") or ():
        if config := part.get("configMap"):
            found = sources.environment.config_maps.get(config.get("name", ""))
            files |= config_map_files(pod, config, found, mode)
        elif secret := part.get("secret"):
            found = sources.environment.secrets.get(secret.get("name", ""))
            files |= secret_files(pod, secret, found, mode)
        elif "downwardAPI" in part:
            files |= downward_files(pod, part["downwardAPI"] or {}, sources, mode)
        elif token := part.get("serviceAccountToken"):
            files[token["path"]] = _token_file(pod, sources.tokens[token_key(token)], mode)
    return files


def token_key(token: Object) -> tuple[str, int]:
    return str(token.get("audience") or ""), int(token.get("expirationSeconds") or 3600)


def _token_file(pod: Object, token: str, mode: int) -> File:
    """Return the token's file: 0600 for its one user where that is known, as upstream's."""
    context = pod["spec"].get("securityContext") or {}
    if context.get("fsGroup") is not None:
        return File(content=token.encode(), mode=0o600)
    users = set()
    for container in [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]:
        own = (container.get("securityContext") or {}).get("runAsUser")
        users.add(context.get("runAsUser") if own is None else own)
    if len(users) == 1 and (user := users.pop()) is not None:
        return File(content=token.encode(), mode=0o600, uid=int(user))
    return File(content=token.encode(), mode=mode)


def references(pod: Object) -> tuple[set[str], set[str]]:
    """Return the names of the config maps and of the secrets that a pod's volumes and environment use."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    spec = pod["spec"]
    for volume in spec.get("volumes") or ():
        if "configMap" in volume:
            config_maps.add(volume["configMap"].get("name", ""))
        if "secret" in volume:
            secrets.add(volume["secret"].get("secretName", ""))
        for part in (volume.get("projected") or {}).get("sources") or ():
            if "configMap" in part:
                config_maps.add(part["configMap"].get("name", ""))
            if "secret" in part:
                secrets.add(part["secret"].get("name", ""))
    for field_name in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field_name) or ():
            for source in container.get("envFrom") or ():
                if reference := source.get("configMapRef"):
                    config_maps.add(reference.get("name", ""))
                if reference := source.get("secretRef"):
                    secrets.add(reference.get("name", ""))
            for entry in container.get("env") or ():
                value_from = entry.get("valueFrom") or {}
                if reference := value_from.get("configMapKeyRef"):
                    config_maps.add(reference.get("name", ""))
                if reference := value_from.get("secretKeyRef"):
                    secrets.add(reference.get("name", ""))
    secrets |= {entry.get("name", "") for entry in spec.get("imagePullSecrets") or ()}
    return config_maps - {""}, secrets - {""}


def token_requests(pod: Object) -> set[tuple[str, int]]:
    """Return the service account tokens that the pod's volumes show."""
    return {
        token_key(part["serviceAccountToken"])
        for volume in pod["spec"].get("volumes") or ()
        for part in (volume.get("projected") or {}).get("sources") or ()
        if part.get("serviceAccountToken")
    }
