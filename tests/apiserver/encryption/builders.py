"""Configurations of encryption at rest for tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from podium.apiserver.encryption.encryption import Encryption
from podium.base.clock import Clock, WallClock

IDENTITY: dict[str, Any] = {"identity": {}}


def secret(seed: int, size: int = 32) -> str:
    """Return a key as configurations hold it, the same for the same seed."""
    return base64.b64encode(bytes((seed * 37 + index) % 256 for index in range(size))).decode()


def provider(kind: str, *names: str, size: int = 32) -> dict[str, Any]:
    """Return a provider with keys of these names; a name stands for one key."""
    return {kind: {"keys": [{"name": name, "secret": secret(sum(name.encode()), size)} for name in names]}}


def kms(name: str, endpoint: str, timeout: str = "3s") -> dict[str, Any]:
    return {"kms": {"apiVersion": "v2", "name": name, "endpoint": endpoint, "timeout": timeout}}


def rule(resources: Sequence[str], *providers: dict[str, Any]) -> dict[str, Any]:
    return {"resources": list(resources), "providers": list(providers)}


def configuration(*rules: dict[str, Any]) -> bytes:
    """Return a file's content."""
    whole = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": list(rules),
    }
    return json.dumps(whole).encode()


def encryption(
    folder: Path, *rules: dict[str, Any], reload: bool = False, clock: Clock | None = None
) -> Encryption:
    """Return what an API server is given for a file of these rules."""
    path = folder / "encryption.yaml"
    path.write_bytes(configuration(*rules))
    return Encryption(path, reload=reload, clock=clock or WallClock())
