"""The config maps, secrets, services, tokens and persistent volumes that this node's pods use.

Each config map and secret is watched by itself, because a node may see only those of its pods; the watch
ends with the last pod that uses it. A change wakes the pods concerned.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from podium.base.clock import Clock, parse_rfc3339
from podium.client.client import Client
from podium.kubelet.environment import ConfigFault, EnvironmentSources
from podium.kubelet.pod_worker import PodInputs
from podium.kubelet.pods import pod_uid
from podium.kubelet.volumes.manager import VolumeFault
from podium.kubelet.volumes.payload import PayloadSources, references, token_requests
from podium.kubelet.volumes.persistent import claimed, source_of, volume_of
from podium.machinery.errors import ApiError, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from podium.resources.core.services import SERVICES
from podium.runtime.informer import Delta, Informer

SYNC_TIMEOUT_S = 10.0
TOKEN_REFRESH_SHARE = 0.8
TOKEN_AGE_S_MAX = 24 * 3600
Key = tuple[str, str, str]
"""(plural, namespace, name)"""


@dataclass(slots=True, kw_only=True)
class _Watched:
    informer: Informer
    task: asyncio.Task[None]
    pods: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    token: str
    refresh_at_s: float
    expires_at_s: float


class Objects:
    """What pods draw on. `wake` is called with the uid of a pod whose objects changed."""

    def __init__(self, client: Client, clock: Clock, wake: Callable[[str], None]) -> None:
        self._client = client
        self._clock = clock
        self._wake = wake
        self._watched: dict[Key, _Watched] = {}
        self._tokens: dict[tuple[str, str, int], _Token] = {}
        self._claimed: dict[str, dict[str, Object]] = {}
        """uid of a pod -> by volume, the spec of the PersistentVolume behind its claim"""
        self.services = Informer(client, SERVICES, clock=clock)

    async def inputs(
        self, pod: Object, *, pod_ips: Sequence[str], host_ips: Sequence[str], allocatable: dict[str, str]
    ) -> PodInputs:
        """Return what the pod's containers and volumes show. Raises VolumeFault when it cannot be had."""
        config_maps, secrets = references(pod)
        self._follow(pod, config_maps, secrets)
        namespace = pod["metadata"]["namespace"]
        try:
            async with asyncio.timeout(SYNC_TIMEOUT_S):
                await self.services.wait_synced()
                found_maps = {name: await self._get(CONFIGMAPS, namespace, name) for name in config_maps}
                found_secrets = {name: await self._get(SECRETS, namespace, name) for name in secrets}
                tokens, refresh_s = await self._tokens_of(pod)
                volumes = await self._volumes_of(pod)
        except TimeoutError:
            raise VolumeFault("failed to sync configmap, secret and service caches: timed out") from None
        pulls = [
            secret
            for entry in pod["spec"].get("imagePullSecrets") or ()
            if (secret := found_secrets.get(entry.get("name", ""))) is not None
        ]
        environment = EnvironmentSources(
            config_maps=found_maps,
            secrets=found_secrets,
            services=self.services.list(),
            host_ips=tuple(host_ips),
            pod_ips=tuple(pod_ips),
            node_allocatable=allocatable,
        )
        return PodInputs(
            sources=PayloadSources(environment=environment, tokens=tokens, claimed=volumes),
            pull_secrets=pulls,
            refresh_after_s=refresh_s,
        )

    def _follow(self, pod: Object, config_maps: set[str], secrets: set[str]) -> None:
        namespace, uid = pod["metadata"]["namespace"], pod_uid(pod)
        for resource, names in ((CONFIGMAPS, config_maps), (SECRETS, secrets)):
            for name in names:
                key = (resource.plural, namespace, name)
                if key not in self._watched:
                    self._watched[key] = self._watch(resource, key)
                self._watched[key].pods.add(uid)

    def _watch(self, resource: Resource, key: Key) -> _Watched:
        informer = Informer(
            self._client,
            resource,
            namespace=key[1],
            field_selector=f"metadata.name={key[2]}",
            clock=self._clock,
        )
        watched = _Watched(informer=informer, task=asyncio.create_task(informer.run()))

        def changed(_delta: Delta) -> None:
            for uid in watched.pods:
                self._wake(uid)

        informer.subscribe(changed)
        return watched

    async def _get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        informer = self._watched[resource.plural, namespace, name].informer
        await informer.wait_synced()
        return informer.get(f"{namespace}/{name}")

    async def _tokens_of(self, pod: Object) -> tuple[dict[tuple[str, int], str], float | None]:
        """Return the pod's tokens and when the first of them is to be renewed."""
        tokens: dict[tuple[str, int], str] = {}
        waits: list[float] = []
        for audience, seconds in token_requests(pod):
            key = (pod_uid(pod), audience, seconds)
            now_s = self._clock.now().timestamp()
            held = self._tokens.get(key)
            if held is None or held.refresh_at_s <= now_s:
                try:
                    held = self._tokens[key] = await self._request_token(pod, audience, seconds)
                except (ApiError, ConnectionError, OSError) as error:
                    if held is None or held.expires_at_s <= now_s:
                        raise VolumeFault(
                            f'MountVolume.SetUp failed for volume "token" : failed to fetch token: {error}'
                        ) from error
                    waits.append(SYNC_TIMEOUT_S)
            tokens[audience, seconds] = held.token
            waits.append(max(1.0, held.refresh_at_s - now_s))
        return tokens, min(waits) if waits else None

    async def _request_token(self, pod: Object, audience: str, seconds: int) -> _Token:
        meta = pod["metadata"]
        spec: Object = {
            "expirationSeconds": seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]},
            "audiences": [audience] if audience else [],
        }
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self._client.create(
            SERVICEACCOUNTS,
            request,
            meta["namespace"],
            subresource="token",
            name=pod["spec"].get("serviceAccountName") or "default",
        )
        now_s = self._clock.now().timestamp()
        expires_s = parse_rfc3339(answer["status"]["expirationTimestamp"]).timestamp()
        age_s = min(TOKEN_REFRESH_SHARE * (expires_s - now_s), TOKEN_AGE_S_MAX)
        return _Token(token=answer["status"]["token"], refresh_at_s=now_s + age_s, expires_at_s=expires_s)

    async def _volumes_of(self, pod: Object) -> dict[str, Object]:
        """Follow the pod's claims to what they are bound to, once."""
        known = self._claimed.setdefault(pod_uid(pod), {})
        for wanted in claimed(pod):
            if wanted.volume in known:
                continue
            try:
                claim = await self._found(PERSISTENTVOLUMECLAIMS, wanted.claim, pod["metadata"]["namespace"])
                name = volume_of(pod, wanted, claim)
                assert claim is not None
                volume = await self._found(PERSISTENTVOLUMES, name)
                known[wanted.volume] = source_of(wanted, claim, name, volume)
            except (ConfigFault, ApiError, ConnectionError, OSError) as error:
                name = wanted.volume
                raise VolumeFault(
                    f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[],"
                    f" failed to process volumes=[{name}]: {error}"
                ) from error
        return known

    async def _found(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        try:
            return await self._client.get(resource, name, namespace)
        except NotFound:
            return None

    def forget(self, uid: str) -> None:
        """The pod is gone: end the watches that only it used."""
        self._claimed.pop(uid, None)
        for key, watched in list(self._watched.items()):
            watched.pods.discard(uid)
            if not watched.pods:
                watched.task.cancel()
                del self._watched[key]
        for token in [token for token in self._tokens if token[0] == uid]:
            del self._tokens[token]

    async def close(self) -> None:
        for watched in self._watched.values():
            watched.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watched.task
