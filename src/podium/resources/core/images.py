"""What an image's name says about it."""

from __future__ import annotations

import re

_MAY_BE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]*", re.ASCII).fullmatch


def tag(name: str) -> str:
    """Return the tag of an image name: "latest" when it has neither tag nor digest, "" with a digest only."""
    repository, _, digest = name.partition("@")
    last = repository.rpartition("/")[2]
    _, colon, found = last.partition(":")
    if colon:
        return found
    return "" if digest or not name else "latest"


def pull_policy(name: str) -> str:
    """Return the pull policy of a container that does not name one."""
    # Of a name that is none, upstream knows no tag.
    return "Always" if tag(name) == "latest" and _MAY_BE_NAME(name) else "IfNotPresent"
