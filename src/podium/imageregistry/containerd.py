"""Images on a node: import an archive into containerd's image store, where the kubelet finds it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from podium.imageregistry import oci, pause

PAUSE_IMAGE = "podium.local/pause:1"
CRI_NAMESPACE = "k8s.io"
_IMPORT_TIMEOUT_S = 120.0


class ImportFailed(Exception):
    """containerd refused an archive; the message is its own."""


def pause_archive() -> bytes:
    """Return the image of the pause program for this machine's architecture."""
    architecture = oci.host_architecture()
    files = {"/pause": oci.File(content=pause.program(architecture), mode=0o755)}
    config = oci.Config(entrypoint=["/pause"], user="65535:65535")
    return oci.image_archive(PAUSE_IMAGE, files, config, architecture=architecture)


async def import_archive(socket: Path, archive: Path | bytes) -> None:
    """Import an image archive (OCI layout or `docker save`) into the containerd listening on `socket`.

    Raises ImportFailed.
    """
    source = "-" if isinstance(archive, bytes) else str(archive)
    # fmt: off
    command = ["ctr", "--address", str(socket), "--namespace", CRI_NAMESPACE,
               "images", "import", "--no-unpack", source]
    # fmt: on
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_IMPORT_TIMEOUT_S):
        output, _ = await process.communicate(archive if isinstance(archive, bytes) else b"")
    if process.returncode != 0:
        raise ImportFailed(output.decode(errors="replace").strip())
