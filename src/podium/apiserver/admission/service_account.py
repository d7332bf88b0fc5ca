"""ServiceAccount: every pod has a service account, and unless it declines, that account's token mounted."""

from __future__ import annotations

import asyncio

from podium.apiserver.admission.mirror_pods import first_reference
from podium.apiserver.admission.mountable_secrets import enforced, forbidden
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused, spec_of, unaskable
from podium.apiserver.authn.issuer import MARKED_EXPIRATION_S
from podium.apiserver.chain import Attributes, Reader, ViewChange
from podium.base.ids import random_suffix
from podium.machinery import meta
from podium.machinery.errors import Forbidden, Object
from podium.resources.core.pods import PODS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS

DEFAULT = "default"
MIRROR_POD = "kubernetes.io/config.mirror"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
ROOT_CA = "kube-root-ca.crt"

# A namespace's first pod may come before the controller has made the namespace's default account.
WAIT_FOR_DEFAULT_S = 1.0


class ServiceAccount(Plugin):
    name = "ServiceAccount"
    resources = (PODS,)

    def __init__(self, reader: Reader, *, wait_for_default_s: float = WAIT_FOR_DEFAULT_S) -> None:
        self._accounts = reader.cached(SERVICEACCOUNTS)
        self._wait_for_default_s = wait_for_default_s
        self._waiting: dict[str, asyncio.Event] = {}
        """Namespaces whose default account somebody is waiting for."""
        self._accounts.subscribe(self._on_account)

    async def admit(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE")
        # The kubelet deletes a mirror pod whose spec differs from its file's.
        if pod is None or MIRROR_POD in meta.annotations(pod):
            return
        spec = spec_of(pod)
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT
        account = await self._find(attributes.namespace, name)
        if account is None:
            raise _not_found(attributes, name)
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        if _mounts_token(account, spec):
            mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]

    async def validate(self, attributes: Attributes) -> None:
        debugged = concerns(attributes, PODS, "UPDATE", subresource="ephemeralcontainers")
        pod = debugged or concerns(attributes, PODS, "CREATE")
        if pod is None:
            return
        if debugged or MIRROR_POD not in meta.annotations(pod):
            self._limit_secrets(attributes, pod, ephemeral=debugged is not None)
            return
        spec = spec_of(pod)
        if spec.get("serviceAccountName"):
            raise refused(attributes, "a mirror pod may not reference service accounts")
        if first_reference(pod).startswith("secrets"):
            raise refused(attributes, "a mirror pod may not reference secrets")
        for volume in spec.get("volumes") or ():
            for source in meta.dig(volume, "projected", "sources", default=()):
                if "serviceAccountToken" in source:
                    raise refused(
                        attributes, "a mirror pod may not use ServiceAccountToken volume projections"
                    )

    def _limit_secrets(self, attributes: Attributes, pod: Object, *, ephemeral: bool) -> None:
        name = spec_of(pod).get("serviceAccountName") or ""
        if not name:
            shown = f"{attributes.namespace}/{meta.name(pod)}"
            raise refused(attributes, f"no service account specified for pod {shown}")
        account = self._accounts.get(attributes.namespace, name)
        if account is None:
            # Others have changed it since this plugin has filled it in.
            raise _not_found(attributes, name)
        if enforced(account) and (why := forbidden(account, pod, ephemeral=ephemeral)):
            raise refused(attributes, why)

    async def _find(self, namespace: str, name: str) -> Object | None:
        account = self._accounts.get(namespace, name)
        if account is not None or name != DEFAULT:
            return account
        arrived = self._waiting.setdefault(namespace, asyncio.Event())
        try:
            async with asyncio.timeout(self._wait_for_default_s):
                await arrived.wait()
        except TimeoutError:
            self._waiting.pop(namespace, None)
        return self._accounts.get(namespace, name)

    def _on_account(self, change: ViewChange) -> None:
        if change.new is not None and meta.name(change.new) == DEFAULT and self._waiting:
            arrived = self._waiting.pop(meta.namespace(change.new), None)
            if arrived is not None:
                arrived.set()


def _not_found(attributes: Attributes, name: str) -> Forbidden:
    looked_up = f"error looking up service account {attributes.namespace}/{name}"
    why = unaskable(name) or f'serviceaccount "{name}" not found'
    return refused(attributes, f"{looked_up}: {why}")


def _mounts_token(account: Object, spec: Object) -> bool:
    """The pod's word counts, else the account's, else yes."""
    for holder in (spec, account):
        wish = holder.get("automountServiceAccountToken")
        if wish is not None:
            return bool(wish)
    return True


def mount_token(spec: Object) -> None:
    """Mount the token volume into each container that has nothing at its path; add the volume if one does."""
    volumes = spec.get("volumes") or []
    existing = next((v["name"] for v in volumes if v["name"].startswith(VOLUME_PREFIX)), None)
    name = existing or VOLUME_PREFIX + random_suffix()
    needed = False
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        mounts = container.get("volumeMounts") or []
        if any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
            continue
        container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
        needed = True
    if needed and existing is None:
        spec["volumes"] = [*volumes, token_volume(name)]


def token_volume(name: str) -> Object:
    namespace_field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": MARKED_EXPIRATION_S, "path": "token"}},
                {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace_field}]}},
            ],
            "defaultMode": 0o644,
        },
    }
