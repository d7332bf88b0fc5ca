"""kube-apiserver's flags of encryption at rest."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podium.base.clock import Clock
from podium.machinery.feature_gates import FeatureGates

if TYPE_CHECKING:
    from podium.apiserver.encryption.encryption import Encryption


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = made.add_argument
    add("--encryption-provider-config", default="", help="file that says how which resources are encrypted")
    add(
        "--experimental-encryption-provider-config",
        default="",
        help="deprecated: what --encryption-provider-config was called",
    )
    add(
        "--encryption-provider-config-automatic-reload",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help="take the file anew when it changes; the check kms-providers then stands for all plugins",
    )


def wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags taken together, "" when nothing is; says what is deprecated."""
    if arguments.experimental_encryption_provider_config:
        print(
            "kube-apiserver: --experimental-encryption-provider-config is deprecated: "
            "use --encryption-provider-config",
            file=sys.stderr,
        )
        if arguments.encryption_provider_config:
            return "--encryption-provider-config: its old name is given too"
        arguments.encryption_provider_config = arguments.experimental_encryption_provider_config
    if _reload(arguments) and not arguments.encryption_provider_config:
        return "--encryption-provider-config-automatic-reload must be set with --encryption-provider-config"
    return ""


def _reload(arguments: argparse.Namespace) -> bool:
    return bool(arguments.encryption_provider_config_automatic_reload == "true")


def encryption(
    made: argparse.ArgumentParser, arguments: argparse.Namespace, gates: FeatureGates, clock: Clock
) -> Encryption | None:
    """Return what the flags ask for; ends the program with a message when the file makes no sense."""
    if not arguments.encryption_provider_config:
        return None
    from podium.apiserver.encryption.encryption import Encryption  # noqa: PLC0415

    path = Path(arguments.encryption_provider_config)
    kms_v1 = gates.enabled("KMSv1")
    try:
        return Encryption(path, reload=_reload(arguments), kms_v1=kms_v1, clock=clock)
    except OSError as error:
        made.error(f"--encryption-provider-config: error while loading file: {error}")
    except ValueError as error:
        made.error(f"--encryption-provider-config: error while parsing file: {error}")
