"""The flags about logs that every program has, and what they set up."""

from __future__ import annotations

import argparse

from podium.base import log as logs
from podium.cmd.durations import duration_s
from podium.cmd.flag_types import boolean
from podium.machinery.durations import shown

VERSION = "1.36.2"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add upstream's flags. Those about buffers are taken and mean nothing: lines are written at once."""
    add = parser.add_argument
    add("-v", "--v", type=int, default=0, dest="verbosity", help="log verbosity; from 4 on, debug lines")
    add("--logging-format", type=_format, default="text", help="text or json")
    for format in logs.FORMATS:
        add(
            f"--log-{format}-split-stream",
            type=boolean,
            nargs="?",
            const=True,
            default=False,
            help=f"with --logging-format={format}: errors to stderr, other lines to stdout",
        )
        add(f"--log-{format}-info-buffer-size", default="0", help=argparse.SUPPRESS)
    add("--log-flush-frequency", default="5s", help=argparse.SUPPRESS)
    add("--version", action="version", version=f"Kubernetes v{VERSION}")
    add("--vmodule", default="", help=argparse.SUPPRESS)


def configure(arguments: argparse.Namespace) -> None:
    """Let logs go where the flags say."""
    format = arguments.logging_format
    split = getattr(arguments, f"log_{format}_split_stream")
    logs.configure(verbosity=arguments.verbosity, format=format, split=split)


def as_told(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> dict[str, str]:
    """Return the command line as text by flag, with the defaults of what was not given."""
    told = {}
    for action in parser._actions:  # argparse has no other way to tell
        name = next((option[2:] for option in reversed(action.option_strings) if option[:2] == "--"), "")
        if name and action.dest in vars(arguments) and action.dest != "unused_flags":
            value = getattr(arguments, action.dest)
            is_duration = action.type is duration_s and value is not None
            told[name] = shown(value) if is_duration else _text(value)
    return told


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return "" if value is None else str(value)


def _format(text: str) -> str:
    if text not in logs.FORMATS:
        raise argparse.ArgumentTypeError(f'format: Invalid value: "{text}": Unsupported log format')
    return text
