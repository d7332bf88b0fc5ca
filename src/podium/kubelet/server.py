"""The kubelet's own API, upstream's paths: logs, exec, attach, port-forward, pods, health, stats, metrics.

Served to the API server only, whose certificate must be signed by --client-ca-file; `/healthz` is open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import orjson

from podium.base.clock import parse_rfc3339, rfc3339
from podium.base.http.message import Headers, HttpError, Request, Response, StreamWriter
from podium.base.log import Log
from podium.base.metrics import CONTENT_TYPE, Registry
from podium.base.process_metrics import add_process_metrics
from podium.kubelet.certificates import Subject, subject_of
from podium.kubelet.cri.runtime import ContainerStats, ContainerStatus, RuntimeFault
from podium.kubelet.logs import LogOptions, read_log
from podium.kubelet.metrics import KubeletMetrics
from podium.kubelet.pods import all_containers
from podium.kubelet.sandbox_config import LABEL_CONTAINER_NAME, LABEL_POD_UID
from podium.machinery.errors import Object

if TYPE_CHECKING:
    from podium.kubelet.kubelet import Kubelet
    from podium.kubelet.pod_worker import PodWorker

_log = Log("podium.kubelet.server")

API_SERVER = "kube-apiserver-kubelet-client"
ADMINISTRATORS = ("system:masters", "kubeadm:cluster-admins")


class KubeletServer:
    """Answers requests about one kubelet's pods."""

    def __init__(self, kubelet: Kubelet, registry: Registry | None = None) -> None:
        """`registry` holds what others in the process count; its figures are served with the server's."""
        self._kubelet = kubelet
        self._registry = registry or Registry()
        add_process_metrics(self._registry)
        KubeletMetrics(self._registry, kubelet.settings.node_name, self._count)
        self._routes: dict[str, Callable[[Request, Sequence[str]], Awaitable[Response]]] = {
            "pods": self._pods,
            "runningpods": self._pods,
            "containerLogs": self._logs,
            "exec": self._exec,
            "attach": self._attach,
            "portForward": self._port_forward,
            "stats": self._stats,
            "metrics": self._metrics,
        }

    async def handle(self, request: Request) -> Response:
        head, *rest = [part for part in request.path.split("/") if part] or [""]
        if head == "healthz":
            return _text(200, "ok")
        if not allowed(request.peer_certificate):
            return _text(401 if request.peer_certificate is None else 403, "Unauthorized\n")
        route = self._routes.get(head)
        if route is None:
            return _text(404, "404 page not found\n")
        try:
            return await route(request, rest)
        except HttpError as error:
            return _text(error.status, f"{error.message}\n")
        except RuntimeFault as fault:
            return _text(500, f"{fault}\n")

    async def _pods(self, _request: Request, _rest: Sequence[str]) -> Response:
        items = [worker.pod for worker in self._kubelet.workers()]
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    # Logs

    async def _logs(self, request: Request, rest: Sequence[str]) -> Response:
        if len(rest) != 3:
            return _text(400, "containerLogs/{podNamespace}/{podID}/{containerName}\n")
        namespace, name, container = rest
        worker = self._worker(namespace, name)
        if not any(entry["name"] == container for entry in all_containers(worker.pod)):
            raise HttpError(404, "NotFound", f'container "{container}" not found in pod "{name}_{namespace}"')
        previous = _flag(request, "previous")
        status = _log_source(worker, container, previous=previous)
        options = self._log_options(request)
        path = self._kubelet.paths.container_log(worker.pod, container, status.attempt)

        def running() -> bool:
            now = next((s for s in worker.observed.containers if s.id == status.id), None)
            return now is not None and now.state == "running"

        if not path.exists():
            return _text(200, "")

        async def write(body: StreamWriter) -> None:
            try:
                async for piece in read_log(path, options, running=running):
                    body.write(piece)
                    await body.drain()
                    if body.closed:
                        return
            except (OSError, ConnectionError) as error:
                _log.debug("log reader left", container=container, error=error)

        return Response(headers=Headers([("content-type", "text/plain")]), stream=write)

    def _log_options(self, request: Request) -> LogOptions:
        since = None
        if seconds := _number(request, "sinceSeconds"):
            since = self._kubelet.clock.now() - timedelta(seconds=seconds)
        elif moment := request.parameter("sinceTime"):
            try:
                since = parse_rfc3339(moment).astimezone(UTC)
            except ValueError:
                raise HttpError(400, "BadRequest", f"invalid sinceTime {moment!r}") from None
        return LogOptions(
            follow=_flag(request, "follow"),
            tail_lines=_number(request, "tailLines"),
            since=since,
            timestamps=_flag(request, "timestamps"),
            limit_bytes=_number(request, "limitBytes"),
            stream=request.parameter("stream") or "All",
        )

    def _worker(self, namespace: str, name: str, uid: str = "") -> PodWorker:
        worker = self._kubelet.worker_for(namespace, name, uid)
        if worker is None:
            raise HttpError(404, "NotFound", f'pod "{name}" does not exist in namespace "{namespace}"')
        return worker

    # Streams

    async def _exec(self, request: Request, rest: Sequence[str]) -> Response:
        from podium.kubelet import streaming  # noqa: PLC0415

        streaming.require_upgrade(request)
        options = streaming.stream_options(request)
        if not options.command:
            raise HttpError(400, "BadRequest", "you must specify a command")
        url = await self._kubelet.runtime.exec_url(
            self._running(rest).id,
            options.command,
            stdin=options.stdin,
            stdout=options.stdout,
            stderr=options.stderr,
            tty=options.tty,
        )
        return await streaming.stream(request, url)

    async def _attach(self, request: Request, rest: Sequence[str]) -> Response:
        from podium.kubelet import streaming  # noqa: PLC0415

        streaming.require_upgrade(request)
        options = streaming.stream_options(request)
        url = await self._kubelet.runtime.attach_url(
            self._running(rest).id,
            stdin=options.stdin,
            stdout=options.stdout,
            stderr=options.stderr,
            tty=options.tty,
        )
        return await streaming.stream(request, url)

    async def _port_forward(self, request: Request, rest: Sequence[str]) -> Response:
        from podium.kubelet import streaming  # noqa: PLC0415

        if len(rest) not in (2, 3):
            raise HttpError(404, "NotFound", "portForward/{podNamespace}/{podID}")
        streaming.require_upgrade(request)
        worker = self._worker(*rest)
        sandbox = worker.observed.sandbox
        if sandbox is None or not sandbox.ready:
            raise HttpError(500, "InternalError", f'pod "{rest[1]}" has no running sandbox')
        ports = streaming.forwarded_ports(request)
        url = await self._kubelet.runtime.port_forward_url(sandbox.id, ports)
        return await streaming.stream(request, url)

    def _running(self, rest: Sequence[str]) -> ContainerStatus:
        """Return the running container that `ns/pod/container` or `ns/pod/uid/container` names."""
        if len(rest) not in (3, 4):
            raise HttpError(404, "NotFound", "{podNamespace}/{podID}/{containerName}")
        worker = self._worker(rest[0], rest[1], rest[2] if len(rest) == 4 else "")
        status = worker.observed.latest(rest[-1])
        if status is None or status.state != "running":
            raise HttpError(404, "NotFound", f'container not found ("{rest[-1]}")')
        return status

    # Figures

    async def _stats(self, _request: Request, _rest: Sequence[str]) -> Response:
        stats = await self._kubelet.runtime.container_stats()
        now = rfc3339(self._kubelet.clock.now())
        by_pod: dict[str, list[ContainerStats]] = {}
        for entry in stats:
            by_pod.setdefault(entry.labels.get(LABEL_POD_UID, ""), []).append(entry)
        pods = []
        for worker in self._kubelet.workers():
            meta = worker.pod["metadata"]
            mine = by_pod.get(meta["uid"], [])
            pods.append(
                {
                    "podRef": {key: meta[key] for key in ("name", "namespace", "uid")},
                    "startTime": (worker.pod.get("status") or {}).get("startTime"),
                    "containers": [_container_stats(entry, now) for entry in mine],
                    "cpu": {"time": now, "usageCoreNanoSeconds": sum(entry.cpu_ns for entry in mine)},
                    "memory": {"time": now, "workingSetBytes": sum(entry.memory_bytes for entry in mine)},
                }
            )
        return _json({"node": {"nodeName": self._kubelet.settings.node_name}, "pods": pods})

    async def _metrics(self, _request: Request, _rest: Sequence[str]) -> Response:
        headers = Headers([("content-type", CONTENT_TYPE)])
        return Response(headers=headers, body=self._registry.text())

    def _count(self) -> tuple[int, int, int]:
        workers = self._kubelet.workers()
        running = sum(len(worker.observed.running) for worker in workers)
        return len(workers), sum(1 for worker in workers if worker.observed.sandbox), running


def allowed(certificate: bytes | None) -> bool:
    """Say whether the bearer of a verified certificate may use the kubelet's API."""
    if certificate is None:
        return False
    try:
        subject = subject_of(certificate)
    except ValueError:
        return False
    return may_manage(subject)


def may_manage(subject: Subject) -> bool:
    return subject.common_name == API_SERVER or any(
        organization in ADMINISTRATORS for organization in subject.organizations
    )


def _log_source(worker: PodWorker, container: str, *, previous: bool) -> ContainerStatus:
    """Return the attempt whose log is asked for. Raises HttpError (400) in upstream's words."""
    attempts = worker.observed.attempts(container)
    name = worker.pod["metadata"]["name"]
    shown = _shown_status(worker, container)
    if previous:
        terminated = (shown.get("lastState") or {}).get("terminated") or {}
        wanted = str(terminated.get("containerID") or "").rpartition("//")[2]
        found = next((status for status in attempts if wanted and status.id == wanted), None)
        if found is None:
            raise HttpError(
                400,
                "BadRequest",
                f'previous terminated container "{container}" in pod "{name}" not found',
            )
        return found
    if not attempts:
        reason = ((shown.get("state") or {}).get("waiting") or {}).get("reason") or "ContainerCreating"
        if reason in ("ErrImagePull", "ImagePullBackOff"):
            # Upstream's words for the one, the reason itself for all others.
            reason = (
                "trying and failing to pull image" if reason == "ErrImagePull" else "image can't be pulled"
            )
        raise HttpError(
            400, "BadRequest", f'container "{container}" in pod "{name}" is waiting to start: {reason}'
        )
    return attempts[0]


def _shown_status(worker: PodWorker, container: str) -> Object:
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for status in worker.reported.get(field) or ():
            if status["name"] == container:
                found: Object = status
                return found
    return {}


def _container_stats(entry: ContainerStats, now: str) -> dict[str, object]:
    return {
        "name": entry.labels.get(LABEL_CONTAINER_NAME, ""),
        "cpu": {"time": now, "usageCoreNanoSeconds": entry.cpu_ns},
        "memory": {"time": now, "workingSetBytes": entry.memory_bytes},
        "rootfs": {"time": now, "usedBytes": entry.disk_bytes},
    }


def _flag(request: Request, name: str) -> bool:
    return request.parameter(name).lower() in ("true", "1", "t")


def _number(request: Request, name: str) -> int | None:
    text = request.parameter(name)
    if not text:
        return None
    if not text.lstrip("-").isdigit() or int(text) < 0:
        raise HttpError(400, "BadRequest", f"invalid {name} {text!r}: must be a non-negative number")
    return int(text)


def _text(status: int, text: str) -> Response:
    headers = Headers([("content-type", "text/plain; charset=utf-8")])
    return Response(status=status, headers=headers, body=text.encode())


def _json(value: object) -> Response:
    headers = Headers([("content-type", "application/json")])
    return Response(headers=headers, body=orjson.dumps(value))
