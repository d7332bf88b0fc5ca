"""Where the kubelet keeps things below its root directory; upstream's layout where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from podium.kubelet.pods import pod_uid
from podium.machinery.errors import Object


@dataclass(frozen=True, slots=True)
class Paths:
    """`root` is --root-dir."""

    root: Path

    @property
    def pods(self) -> Path:
        return self.root / "pods"

    def pod(self, uid: str) -> Path:
        return self.pods / uid

    def volumes(self, uid: str) -> Path:
        return self.pod(uid) / "volumes"

    def volume(self, uid: str, plugin: str, name: str) -> Path:
        """Return a volume's directory; `plugin` such as `empty-dir` names its kind."""
        return self.volumes(uid) / f"kubernetes.io~{plugin}" / name

    def subpaths(self, uid: str) -> Path:
        return self.pod(uid) / "volume-subpaths"

    def hosts_file(self, uid: str) -> Path:
        return self.pod(uid) / "etc-hosts"

    def termination_log(self, uid: str, container: str, attempt: int) -> Path:
        return self.pod(uid) / "containers" / container / str(attempt)

    @property
    def logs(self) -> Path:
        return self.root / "logs" / "pods"

    def pod_logs(self, pod: Object) -> Path:
        meta = pod["metadata"]
        return self.logs / f"{meta['namespace']}_{meta['name']}_{pod_uid(pod)}"

    def container_log(self, pod: Object, container: str, attempt: int) -> Path:
        return self.pod_logs(pod) / container_log_name(container, attempt)

    @property
    def ipam(self) -> Path:
        """Where the CNI plugin host-local keeps the addresses it gave out."""
        return self.root / "cni-ipam"


def container_log_name(container: str, attempt: int) -> str:
    """Return a container's log file relative to its pod's log directory."""
    return f"{container}/{attempt}.log"
