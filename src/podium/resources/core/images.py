"""What an image's name says about it."""

from __future__ import annotations


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
    return "Always" if tag(name) == "latest" else "IfNotPresent"
