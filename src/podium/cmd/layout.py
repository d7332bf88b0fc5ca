"""Where a cluster's things are, and which addresses and ports it uses: one value, made once for each command.

A cluster is known by its state directory. On first use it is given a *slot*, a small number that no other
cluster of this machine has; ports, address ranges and interface names follow from it, so that several
clusters live side by side. Slot 0 has upstream's customary ranges.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

DEFAULT_NAME = "podium"
SLOTS_MAX = 32
DEFAULT_PORT = 6443
_CONTAINERD_SOCKET = "containerd.sock"


class LayoutError(Exception):
    """The state directory cannot be used; the message says why, in one line."""


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def base_dir() -> Path:
    """Return the directory below which clusters live by default."""
    if is_root():
        return Path("/var/lib/podium")
    data_home = os.environ.get("XDG_DATA_HOME")
    return (Path(data_home) if data_home else Path.home() / ".local/share") / "podium"


def default_state_dir() -> Path:
    return base_dir() / "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One cluster on this machine."""

    state_dir: Path
    name: str
    slot: int
    port: int
    nodes: int
    simulated_nodes: int
    runtime_config: str = ""
    """What `--runtime-config` of the API server says."""

    # ------------------------------------------------------------------ files

    @property
    def pki_dir(self) -> Path:
        return self.state_dir / "pki"

    @property
    def log_dir(self) -> Path:
        return self.state_dir / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state_dir / "kubeconfig"

    def component_kubeconfig(self, component: str) -> Path:
        return self.state_dir / "kubeconfigs" / f"{component}.conf"

    @property
    def store_file(self) -> Path:
        return self.state_dir / "store" / "podium.db"

    @property
    def volumes_dir(self) -> Path:
        """The volumes that were made for claims, a directory each."""
        return self.state_dir / "volumes"

    @property
    def storage_marker(self) -> Path:
        """Is there once the cluster has been given its storage class."""
        return self.state_dir / "storage-class"

    @property
    def status_file(self) -> Path:
        return self.state_dir / "status.json"

    @property
    def lock_file(self) -> Path:
        return self.state_dir / "lock"

    @property
    def run_dir(self) -> Path:
        """For sockets and mounts; short, because a socket's path may have no more than 107 bytes."""
        return Path(f"/run/podium/{self.slot}") if is_root() else self.state_dir / "run"

    def node_dir(self, index: int) -> Path:
        """What node number `index` (from 1) keeps over a reboot."""
        return self.state_dir / "nodes" / self.node_name(index)

    def node_run_dir(self, index: int) -> Path:
        return self.run_dir / str(index)

    def containerd_socket(self, index: int) -> Path:
        return self.node_run_dir(index) / _CONTAINERD_SOCKET

    # ------------------------------------------------------------------ names

    @property
    def context(self) -> str:
        """The kubeconfig context: `podium`, or `podium-NAME`."""
        return DEFAULT_NAME if self.name == DEFAULT_NAME else f"{DEFAULT_NAME}-{self.name}"

    def node_name(self, index: int) -> str:
        return f"{self.name}-{index}"

    @property
    def node_indexes(self) -> range:
        return range(1, self.nodes + 1)

    def netns(self, index: int) -> str | None:
        """The network namespace of a node; the first one lives in the machine's own."""
        return None if index == 1 else f"podium-{self.slot}-{index}"

    @property
    def bridge(self) -> str:
        """The bridge that joins the nodes, when there are several."""
        return f"podium{self.slot}"

    def nft_table(self, purpose: str, index: int) -> str:
        return f"podium-{self.slot}-{purpose}-{index}"

    def cgroup(self, index: int) -> str:
        """The cgroup under which all containers of a node live."""
        return f"/podium-{self.slot}/{self.node_name(index)}"

    # -------------------------------------------------------------- addresses

    @property
    def service_cidr(self) -> str:
        return f"10.{96 + self.slot}.0.0/16"

    @property
    def cluster_cidr(self) -> str:
        """Where pod addresses come from."""
        return "10.244.0.0/16" if self.slot == 0 else f"10.{200 + self.slot}.0.0/16"

    @property
    def node_cidr(self) -> str:
        return f"172.30.{self.slot}.0/24"

    @property
    def load_balancer_cidr(self) -> str:
        """Where Services of type LoadBalancer get their addresses from."""
        return f"172.30.{64 + self.slot}.0/24"

    @property
    def bridge_address(self) -> str:
        return f"172.30.{self.slot}.1"

    def node_address(self, index: int) -> str:
        return self.advertise_address if index == 1 else f"172.30.{self.slot}.{index}"

    @property
    def kubernetes_address(self) -> str:
        """The ClusterIP of the `kubernetes` Service."""
        return str(ipaddress.ip_network(self.service_cidr)[1])

    @property
    def dns_address(self) -> str:
        """The ClusterIP of the `kube-dns` Service."""
        return str(ipaddress.ip_network(self.service_cidr)[10])

    @property
    def advertise_address(self) -> str:
        """How pods and nodes reach the API server."""
        return host_address() or (self.bridge_address if self.nodes else "127.0.0.1")

    @property
    def needs_bridge(self) -> bool:
        return self.nodes > 1 or (self.nodes == 1 and host_address() is None)

    @property
    def server_url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def node_server_url(self, index: int) -> str:
        return self.server_url if index == 1 else f"https://{self.advertise_address}:{self.port}"

    def kubelet_port(self, index: int) -> int:
        # Only nodes that share the machine's own network namespace can get in each other's way.
        return 10250 + 100 * self.slot if index == 1 else 10250

    @property
    def dns_port(self) -> int:
        return 10053 + self.slot


def host_address() -> str | None:
    """Return the address this machine uses towards others, or None when it has no route. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") or address == "0.0.0.0" else address


# ---------------------------------------------------------------------------------------- on disk


def load(state_dir: Path) -> Cluster | None:
    """Return the cluster of `state_dir`, or None where there is none. Raises LayoutError."""
    file = state_dir / "cluster.json"
    try:
        fields = json.loads(file.read_bytes())
        return Cluster(state_dir=state_dir, **fields)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise LayoutError(f"{file}: {error}") from error


def prepare(
    state_dir: Path,
    *,
    name: str | None,
    port: int | None,
    nodes: int,
    simulated_nodes: int,
    runtime_config: str = "",
) -> Cluster:
    """Return the cluster of `state_dir`, making it when it is new; remembers its shape for other commands.

    Raises LayoutError.
    """
    known = load(state_dir)
    if name is None:
        is_default = state_dir == default_state_dir()
        name = known.name if known else DEFAULT_NAME if is_default else state_dir.name.lower()
    _check_name(name)
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        slot = known.slot if known else _claim_slot(state_dir)
    except OSError as error:
        raise LayoutError(f"cannot use {state_dir}: {error.strerror}") from error
    cluster = Cluster(
        state_dir=state_dir,
        name=name,
        slot=slot,
        port=port or (known.port if known else DEFAULT_PORT),
        nodes=nodes,
        simulated_nodes=simulated_nodes,
        runtime_config=runtime_config,
    )
    fields = asdict(cluster)
    del fields["state_dir"]
    temporary = state_dir / ".cluster.json"
    temporary.write_text(json.dumps(fields))
    temporary.replace(state_dir / "cluster.json")
    return cluster


def _check_name(name: str) -> None:
    plain = name.replace("-", "")
    if not plain.isalnum() or not name.isascii() or name != name.lower() or name.strip("-") != name:
        raise LayoutError(f"{name!r} is no name for a cluster: lower-case letters, digits and '-' only")


def _claim_slot(state_dir: Path) -> int:
    """Return the lowest slot that no living state directory holds, now held by `state_dir`."""
    slots = base_dir() / "slots"
    slots.mkdir(parents=True, exist_ok=True)
    with _locked(slots / "lock"):
        for slot in range(SLOTS_MAX):
            link = slots / str(slot)
            if link.is_symlink():
                owner = link.readlink()
                if owner != state_dir and (owner / "cluster.json").exists():
                    continue
                link.unlink()
            link.symlink_to(state_dir)
            return slot
    raise LayoutError(f"all {SLOTS_MAX} cluster slots of this machine are taken; see {slots}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
