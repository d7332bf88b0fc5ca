"""The controller manager's flags about volumes."""

from __future__ import annotations

import argparse

from podium.cmd.flag_types import boolean
from podium.controllers.attach_detach import FORCE_AFTER_S
from podium.controllers.volume_provisioning import Provisioner, from_flag


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add upstream's flags, and the one by which further provisioners are named."""
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
        "--volume-provisioner",
        type=_provisioner,
        action="append",
        default=[],
        metavar="NAME[,KEY=VALUE…]",
        help="have volumes made by `local-path`, MODULE:FACTORY, or a name from the entry points"
        " `podium.volume_provisioners`; may be given several times",
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


def _provisioner(text: str) -> Provisioner:
    try:
        return from_flag(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def force_detach_after_s(arguments: argparse.Namespace) -> float | None:
    """Return after how long volumes are detached by force; None: never."""
    return None if arguments.disable_force_detach_on_timeout else FORCE_AFTER_S
