"""Provisioners: who makes volumes for claims, and what asks them.

A `Provisioner` is one file that implements the protocol below, and has a factory:

    def my_storage(options: Mapping[str, str]) -> Provisioner: ...

`kube-controller-manager --volume-provisioner=my_package.my_storage:my_storage,key=value` names it, or a name
under which the entry point group `podium.volume_provisioners` lists it; what stands behind commas are the
options. Storage classes ask for it by its name. Provisioners that run elsewhere need nothing from here: like
upstream's, they wait for claims that carry their name in an annotation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from podium.controllers.volume_binding_plan import FINALIZER
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, ApiError, NotFound, Object
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES, storage_class
from podium.resources.core.volume_binding import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    annotated,
)
from podium.resources.storage.storageclasses import STORAGECLASSES
from podium.runtime import plugins
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.events import reference_to
from podium.runtime.informer import Delta

NAME = "persistentvolume-provisioning"


class ProvisionerError(OSError):
    """A volume could not be made or deleted. The message is for the user; it is tried again, with back-off,
    as after any error of the system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRequest:
    """A volume that somebody needs."""

    name: str
    claim: Object
    storage_class: Object
    node: Object | None
    """The node on which it will be used first; None: not known, and of no matter."""


class Provisioner(Protocol):
    """Makes and deletes the volumes of one kind."""

    @property
    def name(self) -> str:
        """The name in storage classes, `DOMAIN/NAME`; that of no provisioner that runs elsewhere."""
        ...

    async def provision(self, request: VolumeRequest) -> Object:
        """Make a volume and return its PersistentVolume: source, capacity, access modes, node affinity.

        Called again after a crash, with the same name, for what may have been made already. Raises
        `ProvisionerError`.
        """
        ...

    def owns(self, volume: Object) -> bool:
        """Tell whether a volume that nobody has provisioned is of this kind."""
        ...

    async def delete(self, volume: Object) -> None:
        """Delete what is behind a volume; no error when it is gone already. Raises `ProvisionerError`."""
        ...


Factory = Callable[[Mapping[str, str]], Provisioner]
"""Makes a provisioner with the options of the command line. Raises ValueError, which says what is wrong."""

ENTRY_POINTS = "podium.volume_provisioners"
BUILT_IN = {"local-path": "podium.controllers.local_path_provisioner:local_path"}


def from_flag(text: str) -> Provisioner:
    """Return the provisioner that `NAME[,KEY=VALUE…]` means. Raises ValueError."""
    name, *words = text.split(",")
    options = dict(word.partition("=")[::2] for word in words)
    factory: Factory = plugins.load(name, what="volume provisioner", group=ENTRY_POINTS, built_in=BUILT_IN)
    return factory(options)


def provisioned(volume: Object, request: VolumeRequest, provisioner: str) -> Object:
    """Return the volume that a provisioner has made as it is to be stored: for its claim alone."""
    policy = request.storage_class.get("reclaimPolicy") or "Delete"
    metadata = dict(meta.metadata(volume))
    metadata.setdefault("name", request.name)
    metadata["annotations"] = {
        **meta.annotations(volume),
        BOUND_BY_CONTROLLER: "yes",
        PROVISIONED_BY: provisioner,
    }
    spec = {
        "persistentVolumeReclaimPolicy": policy,
        **volume["spec"],
        "claimRef": reference_to(request.claim),
        "storageClassName": storage_class(request.claim),
    }
    if spec["persistentVolumeReclaimPolicy"] == "Delete":
        metadata["finalizers"] = [FINALIZER]
    return {**volume, "metadata": metadata, "spec": spec}


def provisioning(provisioners: Sequence[Provisioner], component: str, service_account: str) -> Controller:
    """Return the controller that asks the built-in provisioners for what claims need."""
    by_name = {provisioner.name: provisioner for provisioner in provisioners}

    async def reconcile(context: Context, key: str) -> float | None:
        claim = context.caches[PERSISTENTVOLUMECLAIMS].get(key)
        if claim is not None and _needs(claim, by_name):
            provisioner = by_name[meta.annotations(claim)[STORAGE_PROVISIONER]]
            await _Provisioning(context, claim, provisioner).run()
        return None

    def keys_of(delta: Delta, _caches: Caches) -> Iterable[str]:
        return (meta.key(delta.new),) if delta.new is not None and _needs(delta.new, by_name) else ()

    return Controller(
        name=NAME,
        component=component,
        service_account=service_account,
        watches=(
            Watch(resource=PERSISTENTVOLUMECLAIMS, keys_of=keys_of),
            Watch(resource=STORAGECLASSES),
            Watch(resource=NODES),
        ),
        reconcile=reconcile,
    )


def _needs(claim: Object, by_name: Mapping[str, Provisioner]) -> bool:
    return (
        meta.annotations(claim).get(STORAGE_PROVISIONER) in by_name
        and not meta.dig(claim, "spec", "volumeName")
        and not annotated(claim, BIND_COMPLETED)
        and not meta.deleting(claim)
    )


class _Provisioning:
    """One volume for one claim."""

    def __init__(self, context: Context, claim: Object, provisioner: Provisioner) -> None:
        self._context = context
        self._claim = claim
        self._provisioner = provisioner

    async def run(self) -> None:
        """Make the volume, unless that has been done. Raises for what is worth another try."""
        name = f"pvc-{meta.uid(self._claim)}"
        cls = self._context.caches[STORAGECLASSES].get(storage_class(self._claim))
        if cls is None or await self._exists(name):
            return
        if meta.dig(self._claim, "spec", "dataSource"):
            self._failed(
                f'plugin "{self._provisioner.name}" is not a CSI plugin. '
                "Only CSI plugin can provision a claim with a datasource"
            )
            return
        node_name = meta.annotations(self._claim).get(SELECTED_NODE)
        node = self._context.caches[NODES].get(node_name) if node_name else None
        if node_name and node is None:
            self._failed(f'Failed to get target node: node "{node_name}" not found')
            raise ProvisionerError(f"node {node_name} is not known")
        request = VolumeRequest(name=name, claim=self._claim, storage_class=cls, node=node)
        try:
            volume = await self._provisioner.provision(request)
        except ProvisionerError as error:
            await self._choose_another_node()
            self._failed(f'Failed to provision volume with StorageClass "{meta.name(cls)}": {error}')
            raise
        await self._store(provisioned(volume, request, self._provisioner.name))

    async def _exists(self, name: str) -> bool:
        try:
            await self._context.client.get(PERSISTENTVOLUMES, name)
        except NotFound:
            return False
        return True

    async def _choose_another_node(self) -> None:
        """Give a claim whose node has been chosen back to the scheduler."""
        if not annotated(self._claim, SELECTED_NODE):
            return
        rest = {k: v for k, v in meta.annotations(self._claim).items() if k != SELECTED_NODE}
        metadata = {**meta.metadata(self._claim), "annotations": rest}
        await self._context.client.update(PERSISTENTVOLUMECLAIMS, {**self._claim, "metadata": metadata})

    async def _store(self, volume: Object) -> None:
        try:
            await self._context.client.create(PERSISTENTVOLUMES, volume)
        except AlreadyExists:
            return
        except ApiError as error:
            key = meta.key(self._claim)
            self._failed(
                f"Error creating provisioned PV object for claim {key}: {error.message}. Deleting the volume."
            )
            await self._delete_again(volume)
            raise
        self._context.recorder.event(
            self._claim,
            "Normal",
            "ProvisioningSucceeded",
            f"Successfully provisioned volume {meta.name(volume)} using {self._provisioner.name}",
        )

    async def _delete_again(self, volume: Object) -> None:
        try:
            await self._provisioner.delete(volume)
        except ProvisionerError as error:
            self._context.recorder.event(
                self._claim,
                "Warning",
                "ProvisioningCleanupFailed",
                f"Error cleaning provisioned volume for claim {meta.key(self._claim)}: {error}. "
                "Please delete manually.",
            )

    def _failed(self, message: str) -> None:
        self._context.recorder.event(self._claim, "Warning", "ProvisioningFailed", message)
