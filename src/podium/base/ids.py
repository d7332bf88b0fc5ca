"""Random names: uids, and the suffixes of generated names."""

from __future__ import annotations

import re
import secrets

# Upstream leaves out vowels and look-alikes, so that no suffix spells a word
# (k8s.io/apimachinery/pkg/util/rand).
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5

_coming: list[str] = []
"""Uids for those who ask next: making many at once costs little more than making one."""
_AT_ONCE = 256
_GROUPS = re.compile("(.{8})(.{4})(.{4})(.{4})(.{12})")


def new_uid() -> str:
    """Return a fresh object uid (a random UUID, version 4)."""
    if not _coming:
        _coming.extend(_uids(_AT_ONCE))
    return _coming.pop()


def _uids(count: int) -> list[str]:
    octets = bytearray(secrets.token_bytes(16 * count))
    # What is not random says which sort of UUID it is (RFC 9562, 5.4).
    octets[6::16] = bytes(octet & 0x0F | 0x40 for octet in octets[6::16])
    octets[8::16] = bytes(octet & 0x3F | 0x80 for octet in octets[8::16])
    return ["-".join(groups) for groups in _GROUPS.findall(octets.hex())]


def random_suffix(length: int = SUFFIX_LENGTH) -> str:
    """Return `length` random characters that are safe in a name."""
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(length))


def safe_encode(text: str) -> str:
    """Map each character of `text` into the suffix alphabet, as upstream does for hashes in names."""
    return "".join(SUFFIX_ALPHABET[ord(c) % len(SUFFIX_ALPHABET)] for c in text)
