"""The figures of encryption at rest, under upstream's names. They are there where it is configured."""

from __future__ import annotations

from datetime import datetime

from podium.apiserver.encryption.transformers import TransformError
from podium.apiserver.server_id import hashed
from podium.base.metrics import Registry, exponential

_KEY_ID = ("transformation_type", "provider_name", "key_id_hash", "apiserver_id_hash")


class EncryptionMetrics:
    """The families at /metrics."""

    def __init__(self, registry: Registry, server_id: str = "") -> None:
        """`server_id` tells API servers of one store apart."""
        self._server = hashed(server_id)
        self._durations = registry.histogram(
            "apiserver_storage_transformation_duration_seconds",
            "Time to encrypt or decrypt a value.",
            exponential(5e-6, 2, 25),
            *("transformation_type", "transformer_prefix"),
        )
        self._operations = registry.counter(
            "apiserver_storage_transformation_operations_total",
            "Values encrypted and decrypted, by what came of it.",
            *("resource", "transformation_type", "transformer_prefix", "status"),
        )
        self.cache_misses = registry.counter(
            "apiserver_storage_envelope_transformation_cache_misses_total",
            "Keys that a KMS plugin had to decrypt.",
        )
        self._generation = registry.histogram(
            "apiserver_storage_data_key_generation_duration_seconds",
            "Time to make a data encryption key.",
            exponential(5e-6, 2, 14),
        )
        self._calls = registry.histogram(
            "apiserver_envelope_encryption_kms_operations_latency_seconds",
            "Time that calls of KMS plugins took.",
            exponential(0.0001, 2, 20),
            *("provider_name", "method_name", "grpc_status_code"),
        )
        self._key_ids = registry.counter(
            "apiserver_envelope_encryption_key_id_hash_total", "Uses of a KMS plugin's key.", *_KEY_ID
        )
        self._key_ids_last = registry.gauge(
            "apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds",
            "When a KMS plugin's key was last used.",
            *_KEY_ID,
        )
        self._told = registry.gauge(
            "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds",
            "When a KMS plugin last named a key.",
            *_KEY_ID[1:],
        )
        self._invalid = registry.counter(
            "apiserver_envelope_encryption_invalid_key_id_from_status_total",
            "Key names of KMS plugins that are none.",
            *("provider_name", "error"),
        )
        self.sources = registry.gauge(
            "apiserver_envelope_encryption_dek_source_cache_size",
            "Data encryption keys that are remembered.",
            "provider_name",
        )
        self._reloads = registry.counter(
            "apiserver_encryption_config_controller_automatic_reloads_total",
            "Changes of the configuration file, by what came of them.",
            *("status", "apiserver_id_hash"),
        )
        self._reloads_last = registry.gauge(
            "apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds",
            "When the configuration file was last taken, or not.",
            *("status", "apiserver_id_hash"),
        )
        self._configuration = registry.gauge(
            "apiserver_encryption_config_controller_last_config_info",
            "1, with the hash of the configuration that holds.",
            *("apiserver_id_hash", "hash"),
        )

    def transformed(
        self, resource: str, direction: str, prefix: str, seconds: float, wrong: TransformError | None
    ) -> None:
        """Count one value that passed a transformer."""
        status = "OK" if wrong is None else wrong.code
        self._operations.labels(resource, direction, prefix, status).value += 1
        if wrong is None:
            self._durations.labels(direction, prefix).observe(seconds)

    def called(self, provider: str, method: str, seconds: float, code: str) -> None:
        self._calls.labels(provider, method, code).observe(seconds)

    def used(self, direction: str, provider: str, key_id: str, now: datetime) -> None:
        labels = (direction, provider, hashed(key_id), self._server)
        self._key_ids.labels(*labels).value += 1
        self._key_ids_last.labels(*labels).set(now.timestamp())

    def told(self, provider: str, key_id: str, now: datetime) -> None:
        self._told.labels(provider, hashed(key_id), self._server).set(now.timestamp())

    def invalid_key_id(self, provider: str, why: str) -> None:
        self._invalid.labels(provider, why).inc()

    def generated(self, seconds: float) -> None:
        self._generation.labels().observe(seconds)

    def reloaded(self, *, well: bool, now: datetime) -> None:
        status = "success" if well else "failure"
        self._reloads.labels(status, self._server).inc()
        self._reloads_last.labels(status, self._server).set(now.timestamp())

    def configured(self, content_hash: str) -> None:
        self._configuration.clear()
        self._configuration.labels(self._server, content_hash).set(1)
