"""The volumes of all pods on this node: set up before the first container, refreshed when what they show
changes, taken down when the pod is over. Works on the local disk only; what it shows is handed in.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from podium.kubelet.environment import ConfigFault
from podium.kubelet.paths import Paths
from podium.kubelet.pods import pod_uid
from podium.kubelet.volumes import empty_dir, persistent
from podium.kubelet.volumes.atomic_writer import Payload, write_payload
from podium.kubelet.volumes.host_path import host_path
from podium.kubelet.volumes.mounts import mount_tmpfs, unmount_below
from podium.kubelet.volumes.payload import (
    DEFAULT_MODE,
    PayloadSources,
    config_map_files,
    downward_files,
    projected_files,
    secret_files,
)
from podium.kubelet.volumes.subpath import bind_subpath
from podium.machinery.errors import Object


class VolumeFault(Exception):
    """A volume cannot be set up; the text is the FailedMount event's message."""


# Volumes that hold secrets are kept in memory, so that they never reach a disk.
_IN_MEMORY = ("secret", "projected", "downwardAPI")
_PLUGINS = {
    "emptyDir": "empty-dir",
    "configMap": "configmap",
    "secret": "secret",
    "projected": "projected",
    "downwardAPI": "downward-api",
    "hostPath": "host-path",
}


class Volumes:
    """Blocking file work; the worker calls it in a thread. Every method may be repeated."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def set_up(self, pod: Object, sources: PayloadSources) -> dict[str, str]:
        """Set up (or refresh) every volume and return its host path by name. Raises VolumeFault."""
        return {
            volume["name"]: self._set_up_one(pod, volume, sources)
            for volume in pod["spec"].get("volumes") or ()
        }

    def _set_up_one(self, pod: Object, volume: Object, sources: PayloadSources) -> str:
        name = volume["name"]
        if name in sources.claimed:
            return self._set_up_claimed(pod, name, sources.claimed[name])
        kind = next((kind for kind in _PLUGINS if kind in volume), None)
        if kind is None:
            kinds = ", ".join(key for key in volume if key != "name")
            raise VolumeFault(f'volume "{name}": this kubelet has no volume plugin for {kinds}')
        try:
            if kind == "hostPath":
                return host_path(volume["hostPath"])
            folder = self._paths.volume(pod_uid(pod), _PLUGINS[kind], name)
            gid = fs_group(pod)
            source = volume[kind] or {}
            if kind == "emptyDir":
                empty_dir.set_up(source, folder, gid=gid)
                return str(folder)
            payload = _payload(pod, kind, source, sources)
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            if kind in _IN_MEMORY:
                mount_tmpfs(folder)
            folder.chmod(0o755)
            write_payload(folder, payload, gid=gid)
        except (ConfigFault, OSError) as error:
            raise VolumeFault(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error
        return str(folder)

    def _set_up_claimed(self, pod: Object, name: str, spec: Object) -> str:
        folder = self._paths.volume(pod_uid(pod), "claimed", name)
        try:
            path = persistent.set_up(spec, gid=fs_group(pod), first=not folder.exists())
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)  # tells that the pod has had it
        except (ConfigFault, OSError) as error:
            raise VolumeFault(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error
        return path

    def bind_subpaths(
        self, pod: Object, container: str, volumes: Mapping[str, str], parts: Mapping[str, tuple[str, str]]
    ) -> dict[str, str]:
        """Mount parts of volumes for one container: mount path -> (volume, subpath); return host paths."""
        result = {}
        for number, (mount_path, (volume, subpath)) in enumerate(sorted(parts.items())):
            place = self._paths.subpaths(pod_uid(pod)) / volume / container / str(number)
            try:
                found = bind_subpath(Path(volumes[volume]), subpath, place, gid=fs_group(pod))
            except (OSError, RuntimeError) as error:
                raise ConfigFault(f'failed to prepare subPath for volumeMount "{volume}": {error}') from error
            result[mount_path] = str(found)
        return result

    def unbind_subpaths(self, uid: str) -> None:
        unmount_below(self._paths.subpaths(uid))

    def tear_down(self, uid: str) -> None:
        """Unmount and delete everything that belongs to a pod's volumes."""
        for folder in (self._paths.subpaths(uid), self._paths.volumes(uid)):
            if folder.exists():
                unmount_below(folder)
                shutil.rmtree(folder, ignore_errors=True)


def fs_group(pod: Object) -> int | None:
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return None if group is None else int(group)


def _payload(pod: Object, kind: str, source: Object, sources: PayloadSources) -> Payload:
    mode = int(source["defaultMode"]) if source.get("defaultMode") is not None else DEFAULT_MODE
    if kind == "configMap":
        found = sources.environment.config_maps.get(source.get("name", ""))
        return config_map_files(pod, source, found, mode)
    if kind == "secret":
        return secret_files(pod, source, sources.environment.secrets.get(source.get("secretName", "")), mode)
    if kind == "downwardAPI":
        return downward_files(pod, source, sources, mode)
    return projected_files(pod, source, sources)
