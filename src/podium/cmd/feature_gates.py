"""The flag `--feature-gates`, which the components share."""

from __future__ import annotations

import argparse

from podium.machinery.feature_gates import FeatureGates, GateError

VERSION = "1.36"
"""Whose table of gates holds where a program serves no version of its own."""


def add_feature_gates(parser: argparse.ArgumentParser) -> None:
    """Add the flag; it may be given several times."""
    parser.add_argument(
        "--feature-gates",
        action="append",
        default=[],
        metavar="NAME=BOOL,...",
        help="features to turn on or off",
    )


def chosen_gates(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, version: str = VERSION
) -> FeatureGates:
    """Return the gates of the command line; end the program where they cannot be so."""
    try:
        return FeatureGates.parse(arguments.feature_gates, version)
    except GateError as error:
        parser.error(f"--feature-gates: {error}")
