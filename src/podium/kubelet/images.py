"""Seeing to it that a container's image is on the node, by its pull policy."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from podium.base.backoff import Backoff
from podium.base.clock import Clock
from podium.kubelet.cri.runtime import Auth, Image, Runtime, RuntimeFault
from podium.machinery.errors import Object

PULL_BACKOFF = Backoff(initial_s=10, max_s=300)
SHOWN_S = 3.0
"""How long a failed pull shows as ErrImagePull before it shows as ImagePullBackOff."""
LOOK_AGAIN_S = 10.0
"""How often, during a back-off, it is looked whether the image has come by another way."""
PULLS_MAX = 5
"""Pulls at a time on this node; more wait their turn."""

Event = Callable[[str, str, str], None]
"""Record (type, reason, message) for the container in question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """An image that is on the node: what to create a container from, and what it says of itself."""

    ref: str
    image: Image


class ImageFault(Exception):
    """The image is not there. `reason` is the container's waiting reason; retry after `retry_s`."""

    def __init__(self, reason: str, message: str, *, retry_s: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_s = retry_s


@dataclass(slots=True)
class _Failures:
    count: int
    last_s: float
    error: str


class Images:
    """The node's images. Failed pulls of one image for one pod back off from 10 s to 5 min."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._slots = asyncio.Semaphore(PULLS_MAX)
        self._failures: dict[tuple[str, str], _Failures] = {}

    async def ensure(
        self, pod: Object, container: Object, pull_secrets: Sequence[Object], event: Event
    ) -> Present:
        """Return the container's image, pulling it if need be. Raises ImageFault."""
        name = str(container.get("image") or "")
        policy = str(container.get("imagePullPolicy") or default_policy(name))
        try:
            present = await self._runtime.image_status(name)
        except RuntimeFault as fault:
            message = f'Failed to inspect image "{name}": {fault}'
            event("Warning", "InspectFailed", message)
            raise ImageFault("ImageInspectError", message, retry_s=10) from fault
        if present is not None and policy != "Always":
            event(
                "Normal",
                "Pulled",
                f'Container image "{name}" already present on machine and can be accessed by the pod',
            )
            return Present(ref=present.id, image=present)
        if present is None and policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            event("Warning", "ErrImageNeverPull", message)
            raise ImageFault("ErrImageNeverPull", message, retry_s=10)
        return await self._pull(pod, name, pull_secrets, event)

    async def _pull(self, pod: Object, name: str, pull_secrets: Sequence[Object], event: Event) -> Present:
        key = (pod["metadata"]["uid"], name)
        failures = self._failures.get(key)
        if failures is not None:
            due_s = failures.last_s + PULL_BACKOFF.delay_s(failures.count) - self._clock.monotonic_s()
            if due_s > 0:
                event("Normal", "BackOff", f'Back-off pulling image "{name}"')
                event("Warning", "Failed", "Error: ImagePullBackOff")
                message = f'Back-off pulling image "{name}": ErrImagePull: {failures.error}'
                raise ImageFault("ImagePullBackOff", message, retry_s=min(due_s, LOOK_AGAIN_S))
        event("Normal", "Pulling", f'Pulling image "{name}"')
        asked_s = self._clock.monotonic_s()
        try:
            async with self._slots:
                begun_s = self._clock.monotonic_s()
                ref = await self._pull_with(name, credentials(name, pull_secrets))
            image = await self._runtime.image_status(ref)
            if image is None:
                raise RuntimeFault(f'image "{name}" vanished after its pull', code="NOT_FOUND")
        except RuntimeFault as fault:
            count = failures.count + 1 if failures is not None else 1
            self._failures[key] = _Failures(count, self._clock.monotonic_s(), str(fault))
            event("Warning", "Failed", f'Failed to pull image "{name}": {fault}')
            event("Warning", "Failed", "Error: ErrImagePull")
            raise ImageFault("ErrImagePull", str(fault), retry_s=SHOWN_S) from fault
        self._failures.pop(key, None)
        now_s = self._clock.monotonic_s()
        event(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{name}" in {_shown(now_s - begun_s)} '
            f"({_shown(now_s - asked_s)} including waiting). Image size: {image.size_bytes} bytes.",
        )
        return Present(ref=ref, image=image)

    async def _pull_with(self, name: str, candidates: Sequence[Auth]) -> str:
        """Pull with each credential in turn, without one where there is none."""
        fault: RuntimeFault | None = None
        for auth in candidates or (None,):
            try:
                return await self._runtime.pull_image(name, auth=auth)
            except RuntimeFault as error:
                fault = error
        assert fault is not None
        raise fault

    def forget(self, uid: str) -> None:
        """Drop what is remembered for a pod that is gone."""
        for key in [key for key in self._failures if key[0] == uid]:
            del self._failures[key]


def _shown(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds < 1 else f"{seconds:.3f}s"


def default_policy(name: str) -> str:
    """Return Always for the tag latest (written or implied), else IfNotPresent."""
    last = name.rpartition("/")[2]
    if "@" in last:
        return "IfNotPresent"
    tag = last.partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def registry_of(name: str) -> str:
    """Return the registry's host that an image's name means."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return "docker.io"


def credentials(name: str, pull_secrets: Sequence[Object]) -> list[Auth]:
    """Return the credentials in the pod's pull secrets that fit the image's registry."""
    registry = registry_of(name)
    found = []
    for secret in pull_secrets:
        for server, entry in _entries(secret).items():
            host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
            if host == registry or (registry == "docker.io" and host == "index.docker.io"):
                found.append(_auth(server, entry))
    return found


def _entries(secret: Object) -> Mapping[str, Object]:
    data = secret.get("data") or {}
    try:
        if ".dockerconfigjson" in data:
            decoded = orjson.loads(base64.b64decode(data[".dockerconfigjson"]))
            return decoded.get("auths") or {}
        if ".dockercfg" in data:
            entries: Mapping[str, Object] = orjson.loads(base64.b64decode(data[".dockercfg"]))
            return entries
    except (ValueError, AttributeError):
        pass
    return {}


def _auth(server: str, entry: Object) -> Auth:
    return Auth(
        username=str(entry.get("username") or ""),
        password=str(entry.get("password") or ""),
        auth=str(entry.get("auth") or ""),
        server_address=server,
        identity_token=str(entry.get("identitytoken") or ""),
        registry_token=str(entry.get("registrytoken") or ""),
    )
