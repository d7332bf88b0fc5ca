"""The controller manager's flags about volumes."""

from __future__ import annotations

import argparse

from podium.cmd.flag_types import boolean


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
