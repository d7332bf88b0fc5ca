"""Can this machine run real nodes? Asked before anything is started."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from podium.cmd.layout import is_root

CNI_PLUGIN_DIR = Path("/usr/lib/cni")
_PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
_CNI_PLUGINS = ("ptp", "host-local", "loopback")


def why_no_real_nodes() -> str | None:
    """Return what stands in the way of real nodes, in a few words, or None."""
    if sys.platform != "linux":
        return f"real nodes need Linux, and this is {sys.platform}"
    if not is_root():
        return "real nodes need root"
    missing = {package for program, package in _PACKAGES.items() if shutil.which(program) is None}
    if not all((CNI_PLUGIN_DIR / plugin).exists() for plugin in _CNI_PLUGINS):
        missing.add("containernetworking-plugins")
    if missing:
        return f"real nodes need {' '.join(sorted(missing))} (apt-get install {' '.join(sorted(missing))})"
    return None
