"""The container runtime over CRI: gRPC on a Unix socket.

A thin translation between the values of `cri.runtime` and protobuf messages. gRPC and the messages are
imported when a client is made, so that processes which only name these types do not pay for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podium.kubelet.cri.runtime import (
    Auth,
    Container,
    ContainerConfig,
    ContainerSecurity,
    ContainerState,
    ContainerStats,
    ContainerStatus,
    ExecResult,
    Image,
    Namespaces,
    Resources,
    RuntimeFault,
    RuntimeStatus,
    RuntimeVersion,
    Sandbox,
    SandboxConfig,
    SeccompProfile,
)

CALL_TIMEOUT_S = 120.0
"""Bounds every call but pulls and stops; upstream's --runtime-request-timeout is 2 min."""
PULL_TIMEOUT_S = 3600.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
POD_UID_LABEL = "io.kubernetes.pod.uid"

_STATES: tuple[ContainerState, ...] = ("created", "running", "exited", "unknown")
_NAMESPACE_MODES = {"POD": 0, "CONTAINER": 1, "NODE": 2, "TARGET": 3}
_SECCOMP_TYPES = {"RuntimeDefault": 0, "Unconfined": 1, "Localhost": 2}
_PROPAGATIONS = {"None": 0, "HostToContainer": 1, "Bidirectional": 2}
_PROTOCOLS = {"TCP": 0, "UDP": 1, "SCTP": 2}


class CriClient:
    """`Runtime` over CRI v1. Make it inside a running event loop."""

    def __init__(self, endpoint: str) -> None:
        import grpc.aio  # noqa: PLC0415
        from cri_api.v1 import api_pb2, api_pb2_grpc  # noqa: PLC0415

        stubs: Any = api_pb2_grpc
        self._pb: Any = api_pb2
        self._rpc_error: type[Exception] = grpc.aio.AioRpcError
        self._channel = grpc.aio.insecure_channel(
            endpoint,
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
                # A runtime that was down for a while is tried again soon after it is back.
                ("grpc.max_reconnect_backoff_ms", 1000),
                ("grpc.initial_reconnect_backoff_ms", 100),
            ],
        )
        self._runtime: Any = stubs.RuntimeServiceStub(self._channel)
        self._images: Any = stubs.ImageServiceStub(self._channel)

    async def _call(self, method: Any, request: Any, *, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        try:
            return await method(request, timeout=timeout_s)
        except self._rpc_error as error:
            code = error.code().name  # type: ignore[attr-defined]
            details = str(error.details() or "")  # type: ignore[attr-defined]
            raise RuntimeFault(details, code=code) from None

    async def _idempotent(self, method: Any, request: Any, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        try:
            await self._call(method, request, timeout_s=timeout_s)
        except RuntimeFault as fault:
            if not fault.not_found:
                raise

    # The runtime itself

    async def version(self) -> RuntimeVersion:
        answer = await self._call(self._runtime.Version, self._pb.VersionRequest(version="v1"))
        return RuntimeVersion(
            name=answer.runtime_name, version=answer.runtime_version, api_version=answer.runtime_api_version
        )

    async def status(self) -> RuntimeStatus:
        answer = await self._call(self._runtime.Status, self._pb.StatusRequest())
        conditions = {condition.type: condition for condition in answer.status.conditions}
        runtime, network = conditions.get("RuntimeReady"), conditions.get("NetworkReady")
        return RuntimeStatus(
            runtime_ready=bool(runtime and runtime.status),
            runtime_message=_condition_text(runtime),
            network_ready=bool(network and network.status),
            network_message=_condition_text(network),
        )

    async def close(self) -> None:
        await self._channel.close(None)

    # Sandboxes

    async def run_sandbox(self, config: SandboxConfig) -> str:
        request = self._pb.RunPodSandboxRequest(config=self._sandbox_config(config))
        answer = await self._call(self._runtime.RunPodSandbox, request, timeout_s=2 * CALL_TIMEOUT_S)
        return str(answer.pod_sandbox_id)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self._idempotent(
            self._runtime.StopPodSandbox, self._pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        )

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self._idempotent(
            self._runtime.RemovePodSandbox, self._pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        )

    async def sandbox_status(self, sandbox_id: str) -> Sandbox:
        request = self._pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        status = (await self._call(self._runtime.PodSandboxStatus, request)).status
        ips = [status.network.ip] if status.network.ip else []
        ips += [extra.ip for extra in status.network.additional_ips if extra.ip]
        return Sandbox(
            id=status.id,
            name=status.metadata.name,
            namespace=status.metadata.namespace,
            uid=status.metadata.uid,
            attempt=status.metadata.attempt,
            ready=status.state == self._pb.SANDBOX_READY,
            created_at_ns=status.created_at,
            labels=dict(status.labels),
            annotations=dict(status.annotations),
            ips=tuple(ips),
            host_network=status.linux.namespaces.options.network == _NAMESPACE_MODES["NODE"],
        )

    async def list_sandboxes(self, *, pod_uid: str = "") -> list[Sandbox]:
        chosen = self._pb.PodSandboxFilter(label_selector=_by_uid(pod_uid))
        answer = await self._call(self._runtime.ListPodSandbox, self._pb.ListPodSandboxRequest(filter=chosen))
        return [
            Sandbox(
                id=item.id,
                name=item.metadata.name,
                namespace=item.metadata.namespace,
                uid=item.metadata.uid,
                attempt=item.metadata.attempt,
                ready=item.state == self._pb.SANDBOX_READY,
                created_at_ns=item.created_at,
                labels=dict(item.labels),
                annotations=dict(item.annotations),
            )
            for item in answer.items
        ]

    def _sandbox_config(self, config: SandboxConfig) -> Any:
        pb = self._pb
        security = pb.LinuxSandboxSecurityContext(
            namespace_options=self._namespaces(config.namespaces),
            privileged=config.privileged,
            supplemental_groups=config.supplemental_groups,
            run_as_user=self._int64(config.run_as_user),
            run_as_group=self._int64(config.run_as_group),
            seccomp=self._seccomp(config.seccomp),
        )
        dns = config.dns
        return pb.PodSandboxConfig(
            metadata=pb.PodSandboxMetadata(
                name=config.name, namespace=config.namespace, uid=config.uid, attempt=config.attempt
            ),
            hostname=config.hostname,
            log_directory=config.log_directory,
            dns_config=pb.DNSConfig(servers=dns.servers, searches=dns.searches, options=dns.options)
            if dns
            else None,
            port_mappings=[
                pb.PortMapping(
                    protocol=_PROTOCOLS.get(port.protocol, 0),
                    container_port=port.container_port,
                    host_port=port.host_port,
                    host_ip=port.host_ip,
                )
                for port in config.port_mappings
            ],
            labels=config.labels,
            annotations=config.annotations,
            linux=pb.LinuxPodSandboxConfig(
                cgroup_parent=config.cgroup_parent, security_context=security, sysctls=config.sysctls
            ),
        )

    # Containers

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        request = self._pb.CreateContainerRequest(
            pod_sandbox_id=sandbox_id,
            config=self._container_config(config),
            sandbox_config=self._sandbox_config(sandbox),
        )
        return str((await self._call(self._runtime.CreateContainer, request)).container_id)

    async def start_container(self, container_id: str) -> None:
        await self._call(
            self._runtime.StartContainer, self._pb.StartContainerRequest(container_id=container_id)
        )

    async def stop_container(self, container_id: str, *, grace_s: int) -> None:
        request = self._pb.StopContainerRequest(container_id=container_id, timeout=grace_s)
        await self._idempotent(self._runtime.StopContainer, request, timeout_s=grace_s + CALL_TIMEOUT_S)

    async def remove_container(self, container_id: str) -> None:
        await self._idempotent(
            self._runtime.RemoveContainer, self._pb.RemoveContainerRequest(container_id=container_id)
        )

    async def container_status(self, container_id: str) -> ContainerStatus:
        request = self._pb.ContainerStatusRequest(container_id=container_id)
        status = (await self._call(self._runtime.ContainerStatus, request)).status
        return ContainerStatus(
            id=status.id,
            name=status.metadata.name,
            attempt=status.metadata.attempt,
            state=_STATES[status.state],
            created_at_ns=status.created_at,
            started_at_ns=status.started_at,
            finished_at_ns=status.finished_at,
            exit_code=status.exit_code,
            image=status.image.image,
            image_ref=status.image_ref,
            reason=status.reason,
            message=status.message,
            log_path=status.log_path,
            labels=dict(status.labels),
            annotations=dict(status.annotations),
        )

    async def list_containers(self, *, pod_uid: str = "") -> list[Container]:
        chosen = self._pb.ContainerFilter(label_selector=_by_uid(pod_uid))
        answer = await self._call(self._runtime.ListContainers, self._pb.ListContainersRequest(filter=chosen))
        return [
            Container(
                id=item.id,
                sandbox_id=item.pod_sandbox_id,
                name=item.metadata.name,
                attempt=item.metadata.attempt,
                state=_STATES[item.state],
                created_at_ns=item.created_at,
                image=item.image.image,
                image_ref=item.image_ref,
                labels=dict(item.labels),
                annotations=dict(item.annotations),
            )
            for item in answer.containers
        ]

    def _container_config(self, config: ContainerConfig) -> Any:
        pb = self._pb
        return pb.ContainerConfig(
            metadata=pb.ContainerMetadata(name=config.name, attempt=config.attempt),
            image=pb.ImageSpec(image=config.image),
            command=config.command,
            args=config.args,
            working_dir=config.working_dir,
            envs=[pb.KeyValue(key=key, value=value) for key, value in config.env],
            mounts=[
                pb.Mount(
                    container_path=mount.container_path,
                    host_path=mount.host_path,
                    readonly=mount.read_only,
                    propagation=_PROPAGATIONS[mount.propagation],
                )
                for mount in config.mounts
            ],
            devices=[
                pb.Device(
                    container_path=device.container_path,
                    host_path=device.host_path,
                    permissions=device.permissions,
                )
                for device in config.devices
            ],
            labels=config.labels,
            annotations=config.annotations,
            log_path=config.log_path,
            stdin=config.stdin,
            stdin_once=config.stdin_once,
            tty=config.tty,
            linux=pb.LinuxContainerConfig(
                resources=self._resources(config.resources),
                security_context=self._container_security(config.security),
            ),
        )

    def _container_security(self, security: ContainerSecurity) -> Any:
        pb = self._pb
        return pb.LinuxContainerSecurityContext(
            capabilities=pb.Capability(
                add_capabilities=security.add_capabilities, drop_capabilities=security.drop_capabilities
            ),
            privileged=security.privileged,
            namespace_options=self._namespaces(security.namespaces),
            run_as_user=self._int64(security.run_as_user),
            run_as_group=self._int64(security.run_as_group),
            run_as_username=security.run_as_username,
            readonly_rootfs=security.read_only_root,
            supplemental_groups=security.supplemental_groups,
            no_new_privs=security.no_new_privileges,
            masked_paths=security.masked_paths,
            readonly_paths=security.readonly_paths,
            seccomp=self._seccomp(security.seccomp),
        )

    def _resources(self, resources: Resources) -> Any:
        return self._pb.LinuxContainerResources(
            cpu_period=resources.cpu_period,
            cpu_quota=resources.cpu_quota,
            cpu_shares=resources.cpu_shares,
            memory_limit_in_bytes=resources.memory_limit_bytes,
            oom_score_adj=resources.oom_score_adj,
        )

    def _namespaces(self, namespaces: Namespaces) -> Any:
        return self._pb.NamespaceOption(
            network=_NAMESPACE_MODES[namespaces.network],
            pid=_NAMESPACE_MODES[namespaces.pid],
            ipc=_NAMESPACE_MODES[namespaces.ipc],
            target_id=namespaces.target_id,
        )

    def _seccomp(self, profile: SeccompProfile | None) -> Any:
        if profile is None:
            return None
        return self._pb.SecurityProfile(
            profile_type=_SECCOMP_TYPES[profile.type], localhost_ref=profile.localhost_ref
        )

    def _int64(self, value: int | None) -> Any:
        return None if value is None else self._pb.Int64Value(value=value)

    # Streaming

    async def exec_sync(self, container_id: str, command: Sequence[str], *, timeout_s: float) -> ExecResult:
        # CRI counts whole seconds; zero would mean for ever.
        whole_s = max(1, round(timeout_s))
        request = self._pb.ExecSyncRequest(container_id=container_id, cmd=command, timeout=whole_s)
        answer = await self._call(self._runtime.ExecSync, request, timeout_s=whole_s + 10)
        return ExecResult(stdout=answer.stdout, stderr=answer.stderr, exit_code=answer.exit_code)

    async def exec_url(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> str:
        request = self._pb.ExecRequest(
            container_id=container_id, cmd=command, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
        )
        return str((await self._call(self._runtime.Exec, request)).url)

    async def attach_url(
        self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        request = self._pb.AttachRequest(
            container_id=container_id, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
        )
        return str((await self._call(self._runtime.Attach, request)).url)

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        request = self._pb.PortForwardRequest(pod_sandbox_id=sandbox_id, port=ports)
        return str((await self._call(self._runtime.PortForward, request)).url)

    # Images

    async def pull_image(self, image: str, *, auth: Auth | None = None) -> str:
        credentials = None
        if auth is not None:
            credentials = self._pb.AuthConfig(
                username=auth.username,
                password=auth.password,
                auth=auth.auth,
                server_address=auth.server_address,
                identity_token=auth.identity_token,
                registry_token=auth.registry_token,
            )
        request = self._pb.PullImageRequest(image=self._pb.ImageSpec(image=image), auth=credentials)
        answer = await self._call(self._images.PullImage, request, timeout_s=PULL_TIMEOUT_S)
        return str(answer.image_ref)

    async def image_status(self, image: str) -> Image | None:
        request = self._pb.ImageStatusRequest(image=self._pb.ImageSpec(image=image))
        answer = await self._call(self._images.ImageStatus, request)
        return _image(answer.image) if answer.HasField("image") and answer.image.id else None

    async def list_images(self) -> list[Image]:
        answer = await self._call(self._images.ListImages, self._pb.ListImagesRequest())
        return [_image(image) for image in answer.images]

    async def remove_image(self, image: str) -> None:
        request = self._pb.RemoveImageRequest(image=self._pb.ImageSpec(image=image))
        await self._idempotent(self._images.RemoveImage, request)

    async def container_stats(self) -> list[ContainerStats]:
        answer = await self._call(self._runtime.ListContainerStats, self._pb.ListContainerStatsRequest())
        return [
            ContainerStats(
                container_id=item.attributes.id,
                timestamp_ns=item.cpu.timestamp,
                cpu_ns=item.cpu.usage_core_nano_seconds.value,
                memory_bytes=item.memory.working_set_bytes.value,
                disk_bytes=item.writable_layer.used_bytes.value,
                labels=dict(item.attributes.labels),
            )
            for item in answer.stats
        ]


def _condition_text(condition: Any) -> str:
    return f"reason:{condition.reason} message:{condition.message}" if condition else ""


def _by_uid(pod_uid: str) -> Mapping[str, str]:
    return {POD_UID_LABEL: pod_uid} if pod_uid else {}


def _image(image: Any) -> Image:
    return Image(
        id=image.id,
        tags=tuple(image.repo_tags),
        digests=tuple(image.repo_digests),
        size_bytes=image.size,
        uid=image.uid.value if image.HasField("uid") else None,
        username=image.username,
        pinned=image.pinned,
    )
