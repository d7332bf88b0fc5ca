"""From a configuration to transformers: for each resource the list of those that may read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podium.apiserver.encryption.ciphers import Cbc, Gcm, Secretbox
from podium.apiserver.encryption.configuration import Provider, Rule
from podium.apiserver.encryption.metrics import EncryptionMetrics
from podium.apiserver.encryption.transformers import (
    Identity,
    Prefixed,
    PrefixTransformers,
    Transformer,
    TransformError,
)
from podium.base.clock import Clock

if TYPE_CHECKING:
    from podium.apiserver.encryption.envelope import Envelope
    from podium.apiserver.encryption.kms_v1 import EnvelopeV1

_CIPHERS: Mapping[str, tuple[str, Callable[[bytes], Transformer]]] = {
    "aesgcm": ("AES", Gcm),
    "aescbc": ("AES", Cbc),
    "secretbox": ("Secretbox", Secretbox),
}

GroupResource = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """What a configuration comes to."""

    by_resource: Mapping[GroupResource, PrefixTransformers]
    envelopes: Sequence[Envelope | EnvelopeV1]

    def of(self, group: str, resource: str) -> Transformer:
        """Return what transforms a resource: the first of itself, all of its group, all there is."""
        for key in ((group, resource), (group, "*"), ("*", "*")):
            found = self.by_resource.get(key)
            if found is not None:
                return found
        return _IDENTITY


_IDENTITY = Identity()


def build(rules: Sequence[Rule], metrics: EncryptionMetrics, clock: Clock) -> Providers:
    """Make the ciphers, and connections to plugins."""
    v1: list[EnvelopeV1] = []
    lists: dict[GroupResource, list[Prefixed]] = {}
    envelopes: list[Envelope] = []
    for rule in rules:
        made = [_prefixed(provider, metrics, clock, envelopes, v1) for provider in rule.providers]
        for text in rule.resources:
            resource, _, group = text.partition(".")
            lists.setdefault((group, resource), []).extend(made)
    by_resource = {
        key: PrefixTransformers("no matching prefix found", found, metrics.transformed)
        for key, found in lists.items()
    }
    for found in by_resource.values():
        first = found.transformers[0].transformer
        found.before_write = next((one.before_write for one in v1 if one is first), None)
    return Providers(by_resource=by_resource, envelopes=[*envelopes, *v1])


def see_available(rules: Sequence[Rule]) -> None:
    """Raise `TransformError` when the rules need a library that is not installed."""
    for provider in (one for rule in rules for one in rule.providers):
        if provider.kind == "secretbox":
            Secretbox(provider.keys[0].secret)
        elif provider.kind == "kms":
            try:
                import grpc  # noqa: F401, PLC0415
            except ImportError as error:
                raise TransformError(f"the provider kms needs pip install grpcio ({error.name})") from None


def _prefixed(
    provider: Provider,
    metrics: EncryptionMetrics,
    clock: Clock,
    envelopes: list[Envelope],
    v1: list[EnvelopeV1],
) -> Prefixed:
    if provider.kind == "identity":
        return Prefixed(b"", _IDENTITY)
    if provider.kms is not None:
        from podium.apiserver.encryption.kms_service import KmsService, Plugin  # noqa: PLC0415

        name, plugin = provider.kms.name, Plugin(provider.kms, metrics.called)
        if provider.kms.version == "v1":
            from podium.apiserver.encryption.kms_v1 import EnvelopeV1, KmsV1Service  # noqa: PLC0415

            old = EnvelopeV1(name, KmsV1Service(plugin), metrics, clock)
            v1.append(old)
            return Prefixed(old.prefix, old)
        from podium.apiserver.encryption.envelope import Envelope  # noqa: PLC0415

        envelope = Envelope(name, KmsService(plugin), metrics, clock)
        envelopes.append(envelope)
        return Prefixed(envelope.prefix, envelope)
    called, cipher = _CIPHERS[provider.kind]
    keys = [Prefixed(f"{key.name}:".encode(), cipher(key.secret)) for key in provider.keys]
    unknown = f"no matching key was found for the provided {called} transformer"
    return Prefixed(
        f"k8s:enc:{provider.kind}:v1:".encode(), PrefixTransformers(unknown, keys, metrics.transformed)
    )
