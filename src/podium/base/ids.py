"""Random names: uids, and the suffixes of generated names."""

from __future__ import annotations

import secrets
import uuid

# Upstream leaves out vowels and look-alikes, so that no suffix spells a word
# (k8s.io/apimachinery/pkg/util/rand).
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5


def new_uid() -> str:
    """Return a fresh object uid (a random UUID)."""
    return str(uuid.uuid4())


def random_suffix(length: int = SUFFIX_LENGTH) -> str:
    """Return `length` random characters that are safe in a name."""
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(length))


def safe_encode(text: str) -> str:
    """Map each character of `text` into the suffix alphabet, as upstream does for hashes in names."""
    return "".join(SUFFIX_ALPHABET[ord(c) % len(SUFFIX_ALPHABET)] for c in text)
