"""What `bench.api` measures, as processes of their own: kube-apiserver, and the yardsticks nginx and etcd."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from bench.api_load import Client, Process
from podium.base import pki

READY_WITHIN_S = 30.0


class Missing(Exception):
    """A program that is not installed here; says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    process: Process
    client: Client


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(command: Sequence[str], port: int, log: Path) -> Iterator[Process]:
    """Run a server until the context ends; it is there when it takes connections."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield Process(pid=process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


class Credentials:
    """Keys and certificates for one run, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = pki.create_ca("ca")
        serving = pki.issue(
            authority, common_name="server", dns_names=["localhost"], ip_addresses=["127.0.0.1"], server=True
        )
        admin = pki.issue(authority, common_name="admin", organizations=["system:masters"], client=True)
        for name, content in (
            ("ca.crt", authority.certificate_pem),
            ("tls.crt", serving.certificate_pem),
            ("tls.key", serving.key_pem),
            ("admin.crt", admin.certificate_pem),
            ("admin.key", admin.key_pem),
            ("sa.key", pki.create_signing_key()),
        ):
            (folder / name).write_bytes(content)

    def client(self, port: int) -> Client:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        return Client(port=port, context=context)


@contextlib.contextmanager
def kube_apiserver(
    credentials: Credentials, *flags: str, python: Sequence[str] = (sys.executable,)
) -> Iterator[Server]:
    folder, port = credentials.folder, _free_port()
    command = [
        *python,
        "-m",
        "podium.cmd.kube_apiserver",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        f"--storage-path={folder / 'store.db'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--tls-cert-file={folder / 'tls.crt'}",
        f"--tls-private-key-file={folder / 'tls.key'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        *flags,
    ]
    with _running(command, port, folder / "kube-apiserver.log") as process:
        yield Server(process=process, client=credentials.client(port))


@contextlib.contextmanager
def nginx(credentials: Credentials, body: bytes) -> Iterator[Server]:
    """Serve `body` at /body.json over TLS with one worker. Raises `Missing`."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        raise Missing("nginx is not installed (Debian: apt install nginx-light)")
    folder, port = credentials.folder / "nginx", _free_port()
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "body.json").write_bytes(body)
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; keepalive_requests 1000000000; default_type application/json;
            open_file_cache max=10;
            client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
            uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
            server {{
                listen 127.0.0.1:{port} ssl; root {folder};
                ssl_certificate {credentials.folder}/tls.crt;
                ssl_certificate_key {credentials.folder}/tls.key;
            }}
        }}
        """
    )
    with _running([program, "-c", str(folder / "nginx.conf")], port, folder / "log") as process:
        yield Server(process=process, client=credentials.client(port))


@contextlib.contextmanager
def etcd(credentials: Credentials) -> Iterator[Server]:
    """Run etcd with its defaults (one member, fsync) over plain TCP. Raises `Missing`."""
    program = shutil.which("etcd")
    if program is None:
        raise Missing("etcd is not installed (Debian: apt install etcd-server)")
    folder, port, peer = credentials.folder / "etcd", _free_port(), _free_port()
    folder.mkdir()
    command = [
        program,
        f"--data-dir={folder / 'data'}",
        f"--listen-client-urls=http://127.0.0.1:{port}",
        f"--advertise-client-urls=http://127.0.0.1:{port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
    ]
    with _running(command, port, folder / "log") as process:
        yield Server(process=process, client=credentials.client(port))


async def put_to_etcd(port: int, value: bytes, concurrent: int, seconds: float, progress: list[int]) -> None:
    """Put new keys with a plain gRPC client; `progress` holds how many there are so far."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        put = channel.unary_unary("/etcdserverpb.KV/Put", bytes, bytes)
        await put(_put_request(b"warm", value), wait_for_ready=True)
        end = time.perf_counter() + seconds

        async def one(worker: int) -> None:
            number = 0
            while time.perf_counter() < end:
                await put(_put_request(b"%d/%d/%d" % (concurrent, worker, number), value))
                number += 1
                progress[0] += 1

        await asyncio.gather(*(one(worker) for worker in range(concurrent)))


def _put_request(key: bytes, value: bytes) -> bytes:
    """Return an etcdserverpb.PutRequest: key is field 1, value field 2."""
    return b"\x0a%s%s\x12%s%s" % (_varint(len(key)), key, _varint(len(value)), value)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
