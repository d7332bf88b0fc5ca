"""The controller manager's flags about volumes."""

from __future__ import annotations

import argparse

from podium.cmd.flag_types import boolean
from podium.controllers.attach_detach import FORCE_AFTER_S


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add upstream's flags."""
    add = parser.add_argument
    add(
        "--enable-hostpath-provisioner",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        help="make host paths below /tmp for storage classes of kubernetes.io/host-path; one machine only",
    )
    add(
        "--enable-dynamic-provisioning",
        type=boolean,
        nargs="?",
        const=True,
        default=True,
        help="have volumes made for claims whose storage class has a provisioner",
    )
    add(
        "--disable-force-detach-on-timeout",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        help="leave volumes attached that a node which is not ready has in use, however long",
    )


def force_detach_after_s(arguments: argparse.Namespace) -> float | None:
    """Return after how long volumes are detached by force; None: never."""
    return None if arguments.disable_force_detach_on_timeout else FORCE_AFTER_S
