"""kube-apiserver's flags of admission: which plugins run, and what they are told."""

from __future__ import annotations

import argparse
import sys

from podium.apiserver.admission import Choice, configuration

_GONE = ("PersistentVolumeLabel",)
"""Plugins that upstream once had: they may still be named, and are no longer."""


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = made.add_argument
    add("--enable-admission-plugins", default="", help="plugins that are off by default, comma-separated")
    add("--disable-admission-plugins", default="", help="plugins to leave out, comma-separated")
    add("--admission-control-config-file", default="", help="file with what is said to single plugins")
    add("--admission-control", default=None, help="the plugins that run, and no others; deprecated")


def choice(made: argparse.ArgumentParser, arguments: argparse.Namespace) -> Choice:
    """Return what the flags ask for; ends the program with a message when they make no sense."""
    only = arguments.admission_control
    if only is not None:
        told = "use --enable-admission-plugins and --disable-admission-plugins, which leave the order alone"
        print(f"kube-apiserver: --admission-control is deprecated: {told}", file=sys.stderr)
    path = arguments.admission_control_config_file
    try:
        configurations = configuration.read(path) if path else {}
    except (OSError, ValueError) as error:
        made.error(f"--admission-control-config-file: {error}")
    chosen = Choice(
        enabled=_names(arguments.enable_admission_plugins),
        disabled=_names(arguments.disable_admission_plugins),
        only=None if only is None else _names(only),
        configurations=configurations,
    )
    if errors := chosen.errors():
        made.error("; ".join(errors))
    return chosen


def _names(text: str) -> list[str]:
    names = []
    for name in text.split(","):
        if name in _GONE:
            print(f"kube-apiserver: the admission plugin {name} is no more, and is ignored", file=sys.stderr)
        elif name:
            names.append(name)
    return names
