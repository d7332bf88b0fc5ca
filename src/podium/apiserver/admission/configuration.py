"""What `--admission-control-config-file` says to plugins.

An AdmissionConfiguration names plugins, each with its configuration or a file that has it. Files of old were
the configuration of one plugin themselves: those of ImagePolicyWebhook and PodNodeSelector still are taken.
Upstream: apiserver/pkg/admission/config.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from podium.machinery.codec import yaml
from podium.machinery.errors import Object

API_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1")
KIND = "AdmissionConfiguration"
_LEGACY = {"imagePolicy": "ImagePolicyWebhook", "podNodeSelectorPluginConfig": "PodNodeSelector"}

Configurations = Mapping[str, Object]
"""By plugin."""


def read(path: str) -> Configurations:
    """Return the configuration of each plugin that the file has one for.

    Raises OSError for files that cannot be read, ValueError for files that are none.
    """
    whole = read_object(Path(path))
    if "kind" not in whole and "apiVersion" not in whole:
        legacy = {plugin: whole for key, plugin in _LEGACY.items() if key in whole}
        if legacy:
            return legacy
    if whole.get("kind") != KIND or whole.get("apiVersion") not in API_VERSIONS:
        found = f"{whole.get('apiVersion') or ''}, Kind={whole.get('kind') or ''}"
        raise ValueError(f"{path}: expected {API_VERSIONS[0]}, Kind={KIND}, got {found}")
    made: dict[str, Object] = {}
    for plugin in whole.get("plugins") or ():
        name, own = plugin.get("name") or "", plugin.get("configuration")
        if own is None and plugin.get("path"):
            own = read_object(Path(path).parent / plugin["path"])
        if own is not None:
            made.setdefault(name, own)
    return made


def read_object(path: Path) -> Object:
    """Return the object in a YAML or JSON file. Raises OSError, ValueError."""
    try:
        value = yaml.decode(path.read_bytes())
    except yaml.YamlError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: not an object")
    return value
