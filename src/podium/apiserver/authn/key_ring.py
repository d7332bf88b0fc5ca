"""The keys of service-account tokens over a server's life: a file that is replaced takes effect at once.

Upstream reads its key files when it starts. Here rotation needs no restart: put the new public key into
`--service-account-key-file` beside the old one, then replace the signing key, and take the old key out when
the last token it has signed is gone. A key that is taken out verifies nothing from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from podium.apiserver.authn import keys
from podium.apiserver.authn.keys import SigningKey, VerificationKey
from podium.base import file_changes
from podium.base.clock import Clock
from podium.base.log import Log

_log = Log("podium.apiserver.authn")


class KeyRing:
    """Keys as PEM, read when they are first wanted: that imports `cryptography`."""

    def __init__(self, verifying: Sequence[bytes], signing: bytes | None) -> None:
        """The signing key verifies too."""
        self._verifying = tuple(verifying)
        self._signing = signing
        self._verification: tuple[VerificationKey, ...] | None = None
        self._signing_key: SigningKey | None = None
        self.changed: Callable[[], None] = lambda: None
        """Called when other keys have taken the place of those there were."""

    def verification(self) -> Sequence[VerificationKey]:
        if self._verification is None:
            pems = (*self._verifying, self._signing) if self._signing is not None else self._verifying
            self._verification = keys.verification_keys(pems)
        return self._verification

    def signing(self) -> SigningKey:
        """Return the signing key, where there is one."""
        assert self._signing is not None, "nobody signs without a key"
        if self._signing_key is None:
            self._signing_key = keys.signing_key(self._signing)
        return self._signing_key

    def replace(self, verifying: Sequence[bytes], signing: bytes | None) -> None:
        """Use other keys from now on. Raises ValueError, and changes nothing, when one of them is none."""
        fresh = KeyRing(verifying, signing)
        if not fresh.verification():
            raise ValueError("data does not contain any valid RSA or ECDSA public keys")
        if signing is not None:
            fresh.signing()
        self._verifying, self._signing = fresh._verifying, signing
        self._verification, self._signing_key = fresh._verification, fresh._signing_key
        self.changed()


async def follow(
    ring: KeyRing, verifying: Sequence[str], signing: str, *, clock: Clock, seen: file_changes.Stamp | None
) -> None:
    """Read the files again when one of them changes, for ever; what cannot be read changes nothing."""
    signing_files = [signing] if signing else []

    async def changed() -> bool:
        try:
            ring.replace([_read(path) for path in verifying], _read(signing) if signing else None)
        except (OSError, ValueError) as error:
            _log.error("changed keys of service-account tokens are not used", error=str(error))
        else:
            _log.info("the keys of service-account tokens have changed")
        return True

    await file_changes.follow([*verifying, *signing_files], changed, clock=clock, seen=seen)


def _read(path: str) -> bytes:
    return Path(path).read_bytes()
