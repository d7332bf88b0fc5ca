"""What an image's name says about it."""

from __future__ import annotations

import re

_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:(?:{_LABEL}(?:[.]{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)"
_PART = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
# Read as far as a tag: names with digests are told apart before.
_NAME = re.compile(rf"{_DOMAIN}?{_PART}(?:/{_PART})*(?::{_TAG})?").fullmatch


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
    return "Always" if tag(name) == "latest" and _NAME(name.partition("@")[0]) else "IfNotPresent"
