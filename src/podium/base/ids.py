"""Random names: uids, and the suffixes of generated names."""

from __future__ import annotations

import secrets

# Upstream leaves out vowels and look-alikes, so that no suffix spells a word
# (k8s.io/apimachinery/pkg/util/rand).
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The digit of a UUID that says which sort it is, from two random bits."""


_random: list[str] = []
"""Hexadecimal digits for coming uids: asking the system for many at once costs as much as for one."""
_AT_ONCE = 256


def new_uid() -> str:
    """Return a fresh object uid (a random UUID, version 4)."""
    if not _random:
        text = secrets.token_hex(16 * _AT_ONCE)
        _random.extend(text[start : start + 32] for start in range(0, len(text), 32))
    d = _random.pop()
    return f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{_VARIANT[d[16]]}{d[17:20]}-{d[20:]}"


def random_suffix(length: int = SUFFIX_LENGTH) -> str:
    """Return `length` random characters that are safe in a name."""
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(length))


def safe_encode(text: str) -> str:
    """Map each character of `text` into the suffix alphabet, as upstream does for hashes in names."""
    return "".join(SUFFIX_ALPHABET[ord(c) % len(SUFFIX_ALPHABET)] for c in text)
