"""Who the API server is to each webhook: users of a kubeconfig whose names are the webhooks' addresses.

A user is named `host:port`, `*.domain:port`, either without the port where that is 443, or `*` for all; a
service is `name.namespace.svc`. Upstream: apiserver/pkg/util/webhook/authentication.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from podium.apiserver.admission.configuration import read_object
from podium.client import kubeconfig
from podium.client.kubeconfig import Connection, KubeconfigError
from podium.machinery.errors import Object

KINDS = ("WebhookAdmissionConfiguration", "WebhookAdmission")
_DEFAULT_PORT = 443


class Identities:
    """The identities in one file; none without a file."""

    def __init__(self, configuration: Object) -> None:
        """`configuration` is a WebhookAdmissionConfiguration, or empty. Raises ValueError, OSError."""
        path = configuration.get("kubeConfigFile") or ""
        self._users: Mapping[str, Connection] = {}
        self._usual = ""
        if not configuration:
            return
        if configuration.get("kind") not in KINDS:
            raise ValueError(f"expected a {KINDS[0]}, got {configuration.get('kind') or 'no kind'}")
        if path:
            if not Path(path).is_absolute():
                raise ValueError(f'kubeConfigFile: Invalid value: "{path}": must be an absolute file path')
            self._read(Path(path))

    def _read(self, path: Path) -> None:
        config = read_object(path)
        users = [one for one in config.get("users") or () if isinstance(one, dict) and one.get("name")]
        try:
            self._users = {str(user["name"]): _connection(user, path.parent) for user in users}
        except KubeconfigError as error:
            raise ValueError(f"{path}: {error}") from None
        for context in config.get("contexts") or ():
            if context.get("name") == config.get("current-context"):
                self._usual = str((context.get("context") or {}).get("user") or "")

    def of(self, client: Object) -> Connection | None:
        """Return who the server is to the webhook of a `clientConfig`; None for nobody in particular."""
        if not self._users:
            return None
        for name in names(target(client)):
            if name in self._users:
                return self._users[name]
        return self._users.get("*") or self._users.get(self._usual)


def target(client: Object) -> str:
    """Return the address of a webhook, with its port."""
    if client.get("url"):
        parts = urlsplit(client["url"])
        return f"{parts.hostname or ''}:{parts.port or _DEFAULT_PORT}"
    service: Object = client.get("service") or {}
    port = service.get("port") or _DEFAULT_PORT
    return f"{service.get('name') or ''}.{service.get('namespace') or ''}.svc:{port}"


def names(address: str) -> Iterator[str]:
    """Yield the names of users that may stand for an address, the closest first."""
    host, _, port = address.rpartition(":")
    for one in (address, host) if port == str(_DEFAULT_PORT) else (address,):
        yield one
        steps = one.split(".")
        for start in range(1, len(steps)):
            yield "*." + ".".join(steps[start:])


def _connection(user: dict[str, Any], folder: Path) -> Connection:
    config = {
        "current-context": "webhook",
        "contexts": [{"name": "webhook", "context": {"cluster": "webhook", "user": user["name"]}}],
        "clusters": [{"name": "webhook", "cluster": {"server": "https://webhook"}}],
        "users": [user],
    }
    return kubeconfig.parse(config, folder=folder)
