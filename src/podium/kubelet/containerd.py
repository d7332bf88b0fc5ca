"""How one node's own containerd is configured and started.

Every node gets a containerd of its own, below directories of its own, so that Podium never touches the
machine's containerd (or Docker's) and several nodes and clusters live side by side. Used by `podium up` and
by the tests; nothing here does I/O but `snapshotter_for` and `may_lower_oom_score`,
which ask what the machine allows.
"""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

UNIX_PATH_BYTES_MAX = 107
"""The longest path of a Unix socket: sockaddr_un.sun_path less its closing zero."""

CNI_BIN_DIR = "/usr/lib/cni"
CAP_SYS_RESOURCE = 24

# What a Kubernetes node has no use for: other snapshotters, ctr's restart monitor, tracing.
DISABLED_PLUGINS = (
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.internal.v1.restart",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerdNode:
    """Where one node's containerd keeps its things and what it is told about its surroundings."""

    root_dir: str
    """Images and snapshots; survives a reboot."""
    state_dir: str
    """Running tasks; in a tmpfs (below /run), and short, because sockets live here."""
    socket: str
    """The path of the CRI socket, below `state_dir` as a rule."""
    sandbox_image: str
    cni_conf_dir: str
    cni_bin_dir: str = CNI_BIN_DIR
    snapshotter: str = "overlayfs"
    """`overlayfs`, or `native` where overlays cannot be mounted (see `snapshotter_for`)."""
    restrict_oom_score: bool = field(default_factory=lambda: not may_lower_oom_score())
    """Keep containers from a lower OOM score than containerd's own, where the machine forbids it."""

    @property
    def endpoint(self) -> str:
        """The value of the kubelet's --container-runtime-endpoint."""
        return f"unix://{self.socket}"


def render(node: ContainerdNode) -> str:
    """Return the config.toml (version 2) for `node`.

    Raises ValueError when a socket's path would be too long for the kernel.
    """
    for path in (node.socket, node.socket + ".ttrpc"):
        if len(os.fsencode(path)) > UNIX_PATH_BYTES_MAX:
            raise ValueError(f"socket path longer than {UNIX_PATH_BYTES_MAX} bytes: {path}")
    disabled = ", ".join(_quoted(plugin) for plugin in DISABLED_PLUGINS)
    return f"""\
version = 2
root = {_quoted(node.root_dir)}
state = {_quoted(node.state_dir)}
disabled_plugins = [{disabled}]

[grpc]
  address = {_quoted(node.socket)}

[plugins."io.containerd.internal.v1.opt"]
  path = {_quoted(node.root_dir + "/opt")}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {_quoted(node.sandbox_image)}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  enable_tls_streaming = false
  disable_tcp_service = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  restrict_oom_score_adj = {_bool(node.restrict_oom_score)}
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  max_container_log_line_size = 16384

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {_quoted(node.cni_bin_dir)}
    conf_dir = {_quoted(node.cni_conf_dir)}
    max_conf_num = 1

  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    snapshotter = {_quoted(node.snapshotter)}
    discard_unpacked_layers = false

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = {_quoted(node.state_dir + "/runc")}

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = {_quoted(node.root_dir + "/certs.d")}
"""


def command(config_path: str, *, binary: str = "containerd") -> list[str]:
    """Return the command line that runs containerd in the foreground with the rendered configuration."""
    return [binary, "--config", config_path, "--log-level", "warn"]


def snapshotter_for(root_dir: str) -> str:
    """Return `overlayfs` when an overlay can be mounted below `root_dir`, else `native`.

    Tries it, because neither the kernel's list of filesystems nor the directory's filesystem tells: an
    overlay on an overlay (a container without a volume) and a user namespace both refuse only at mount time.
    """
    Path(root_dir).mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryDirectory(prefix=".overlay-probe-", dir=root_dir) as probe:
        base = Path(probe)
        for name in ("lower", "upper", "work", "merged"):
            (base / name).mkdir()
        options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
        merged = os.fsencode(base / "merged")
        if libc.mount(b"overlay", merged, b"overlay", 0, options.encode()) != 0:
            return "native"
        libc.umount2(merged, 2)  # MNT_DETACH
    return "overlayfs"


def may_lower_oom_score() -> bool:
    """Say whether this process may give a container a lower OOM score than its own (CAP_SYS_RESOURCE).

    Some containers and sandboxes withhold it even from root, and then no container would start.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return True
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "")
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1) if effective else True


def _quoted(text: str) -> str:
    # A JSON string is also a TOML basic string.
    return json.dumps(text)


def _bool(value: bool) -> str:
    return "true" if value else "false"
