"""Upstream's flags that mean nothing here: taken, so that its command lines work, and told in the log."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from podium.base.log import Log

_log = Log("podium.flags")


class _Note(argparse.Action):
    """Notes that a flag was given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if values != "false":  # a feature that is not there is off
            namespace.unused_flags = [*namespace.unused_flags, self.option_strings[0]]


def add_flags(parser: argparse.ArgumentParser, unused: Mapping[str, str]) -> None:
    """Take flags, with a value or without. `unused` says of each why it means nothing."""
    parser.set_defaults(unused_flags=[])
    for name in unused:
        parser.add_argument(name, nargs="?", action=_Note, dest="unused_flags", help=argparse.SUPPRESS)


def warn(arguments: argparse.Namespace, unused: Mapping[str, str]) -> None:
    """Say of the flags that were given that they mean nothing, and why."""
    for name in dict.fromkeys(arguments.unused_flags):
        _log.warning("the flag has no effect", flag=name, why=unused[name])
