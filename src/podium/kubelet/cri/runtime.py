"""The container runtime as the kubelet sees it: values, and the `Runtime` protocol that moves them.

The real client (`cri.client`) translates these to CRI's protobuf messages; the fake (`cri.fake`) keeps them
in memory. Both pass the same contract suite. Times are nanoseconds since the epoch, as in CRI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

NamespaceMode = Literal["POD", "CONTAINER", "NODE", "TARGET"]
ContainerState = Literal["created", "running", "exited", "unknown"]
Propagation = Literal["None", "HostToContainer", "Bidirectional"]


class RuntimeFault(Exception):
    """The runtime refused or failed. `code` is gRPC's name for the kind, such as NOT_FOUND."""

    def __init__(self, message: str, *, code: str = "UNKNOWN") -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    @property
    def not_found(self) -> bool:
        return self.code == "NOT_FOUND"

    def __str__(self) -> str:
        # The form in which upstream's messages quote a runtime error.
        return f"rpc error: code = {_CODE_WORDS.get(self.code, self.code)} desc = {self.message}"


_CODE_WORDS = {
    "UNKNOWN": "Unknown",
    "NOT_FOUND": "NotFound",
    "UNAVAILABLE": "Unavailable",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "INVALID_ARGUMENT": "InvalidArgument",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "INTERNAL": "Internal",
    "UNIMPLEMENTED": "Unimplemented",
    "ALREADY_EXISTS": "AlreadyExists",
    "CANCELLED": "Canceled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespaces:
    network: NamespaceMode = "POD"
    pid: NamespaceMode = "CONTAINER"
    ipc: NamespaceMode = "POD"
    target_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeccompProfile:
    type: Literal["RuntimeDefault", "Unconfined", "Localhost"]
    localhost_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PortMapping:
    protocol: str
    container_port: int
    host_port: int
    host_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """What a pod's sandbox is made from."""

    name: str
    namespace: str
    uid: str
    attempt: int = 0
    hostname: str = ""
    log_directory: str = ""
    dns: DnsConfig | None = None
    port_mappings: tuple[PortMapping, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    namespaces: Namespaces = Namespaces()
    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    seccomp: SeccompProfile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that exists. `ready` is false once it was stopped or died."""

    id: str
    name: str
    namespace: str
    uid: str
    attempt: int
    ready: bool
    created_at_ns: int
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    ips: tuple[str, ...] = ()
    """Filled in by `sandbox_status` only; empty on the host's network."""
    host_network: bool = False
    """Filled in by `sandbox_status` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    container_path: str
    host_path: str
    read_only: bool = False
    propagation: Propagation = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    container_path: str
    host_path: str
    permissions: str = "mrw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Cgroup settings; zero leaves one unset."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory_limit_bytes: int = 0
    oom_score_adj: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSecurity:
    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_username: str = ""
    read_only_root: bool = False
    no_new_privileges: bool = False
    supplemental_groups: tuple[int, ...] = ()
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    seccomp: SeccompProfile | None = None
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    namespaces: Namespaces = Namespaces()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    """What a container is made from, in a given sandbox."""

    name: str
    attempt: int = 0
    image: str
    """What `image_status` or `pull_image` returned."""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    log_path: str = ""
    """Relative to the sandbox's log directory."""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    resources: Resources = Resources()
    security: ContainerSecurity = ContainerSecurity()


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container that exists, as a list shows it."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    state: ContainerState
    created_at_ns: int
    image: str = ""
    image_ref: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """All that the runtime knows of one container."""

    id: str
    sandbox_id: str = ""
    """Filled in by whoever also listed the container: CRI's status lacks it."""
    name: str
    attempt: int
    state: ContainerState
    created_at_ns: int
    started_at_ns: int = 0
    finished_at_ns: int = 0
    exit_code: int = 0
    image: str = ""
    """The image by its name."""
    image_ref: str = ""
    """The image by its digest."""
    reason: str = ""
    message: str = ""
    log_path: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0
    uid: int | None = None
    username: str = ""
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Credentials for one registry."""

    username: str = ""
    password: str = ""
    auth: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    stdout: bytes
    stderr: bytes
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeVersion:
    name: str
    version: str
    api_version: str = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeStatus:
    runtime_ready: bool
    network_ready: bool
    runtime_message: str = ""
    network_message: str = ""
    """Upstream's `reason:… message:…`, for the node's Ready condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStats:
    """One container's use of resources at a moment."""

    container_id: str
    timestamp_ns: int
    cpu_ns: int
    memory_bytes: int
    disk_bytes: int
    labels: Mapping[str, str] = field(default_factory=dict)


class Runtime(Protocol):
    """A container runtime. Every method raises `RuntimeFault`.

    Stopping and removing are idempotent: what is gone already is no fault.
    """

    async def version(self) -> RuntimeVersion: ...

    async def status(self) -> RuntimeStatus: ...

    async def run_sandbox(self, config: SandboxConfig) -> str:
        """Create and start a sandbox, with its network, and return its id."""
        ...

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Kill what runs in the sandbox and give its network back."""
        ...

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove the sandbox and all its containers, killing what runs."""
        ...

    async def sandbox_status(self, sandbox_id: str) -> Sandbox: ...

    async def list_sandboxes(self, *, pod_uid: str = "") -> list[Sandbox]: ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        """Create a container, not started, and return its id."""
        ...

    async def start_container(self, container_id: str) -> None: ...

    async def stop_container(self, container_id: str, *, grace_s: int) -> None:
        """Send the stop signal, and SIGKILL after `grace_s`; return when the container has stopped."""
        ...

    async def remove_container(self, container_id: str) -> None: ...

    async def container_status(self, container_id: str) -> ContainerStatus: ...

    async def list_containers(self, *, pod_uid: str = "") -> list[Container]: ...

    async def exec_sync(self, container_id: str, command: Sequence[str], *, timeout_s: float) -> ExecResult:
        """Run a command in a running container. Raises with DEADLINE_EXCEEDED after `timeout_s`."""
        ...

    async def exec_url(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> str: ...

    async def attach_url(
        self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str: ...

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str: ...

    async def pull_image(self, image: str, *, auth: Auth | None = None) -> str:
        """Pull an image and return the reference to create containers from."""
        ...

    async def image_status(self, image: str) -> Image | None:
        """Return the image that is present under that name, digest or id, or None."""
        ...

    async def list_images(self) -> list[Image]: ...

    async def remove_image(self, image: str) -> None: ...

    async def container_stats(self) -> list[ContainerStats]: ...

    async def close(self) -> None: ...
